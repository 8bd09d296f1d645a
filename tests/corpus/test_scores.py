"""Workers that read files, and what may happen to them."""

import os
import pickle
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pretty_midi
import pytest

from seqvae.corpus import scores as extraction
from seqvae.corpus.scores import FileResult, extract_file, extract_files
from seqvae.music.midi import read_midi, to_pretty_midi
from seqvae.music.notes import Metre, Piece, Tempo, make_notes
from seqvae.tokenizers.contract import Extraction
from seqvae.tokenizers.melody import MelodyTokenizer

ONE_BAR = MelodyTokenizer(num_bars=1)


def write_tune(path: Path, pitch: int, num_bars: int = 1) -> Path:
    starts = np.arange(4 * num_bars) * 4
    piece = Piece(make_notes(starts, starts + 4, pitch), 4)
    to_pretty_midi(piece).write(str(path))
    return path


def extracted(paths: list[Path], tokenizer: MelodyTokenizer, num_workers: int) -> list[FileResult]:
    """Results in the order of the paths."""
    results: dict[int, FileResult] = {}
    extract_files(paths, tokenizer, num_workers, take=results.__setitem__)
    assert len(results) == len(paths)
    return [results[i] for i in range(len(paths))]


class Trap(MelodyTokenizer):
    """A tokenizer that some tunes crash, by their first pitch."""

    KILL, EXIT, HANG, EAT = 1, 2, 3, 4

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        extraction.SECONDS_PER_FILE = 1  # unpickled in the worker: a hanging file ends sooner

    def extract(self, piece: Piece) -> Extraction:
        match int(piece.notes["pitch"][0]):
            case self.KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            case self.EXIT:
                os._exit(0)
            case self.HANG:
                time.sleep(60)
            case self.EAT:
                np.ones(2 * extraction.BYTES_PER_WORKER, np.uint8)
        return super().extract(piece)


@pytest.mark.skipif(not hasattr(signal, "alarm"), reason="workers are bounded by POSIX signals")
def test_what_kills_a_worker_costs_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_pools = 0

    class CountedPool(ProcessPoolExecutor):
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            nonlocal num_pools
            num_pools += 1
            super().__init__(*arguments, **settings)

    monkeypatch.setattr(extraction, "ProcessPoolExecutor", CountedPool)
    monkeypatch.setattr(extraction, "FILES_PER_TASK", 8)
    deadly = {2: Trap.KILL, 3: Trap.EXIT, 9: Trap.HANG, 12: Trap.EAT}
    paths = [write_tune(tmp_path / f"{i}.mid", deadly.get(i, 60 + i)) for i in range(20)]
    results = extracted(paths, Trap(num_bars=1), num_workers=1)
    crashed = "crashed the reader, or took longer than 5 s"
    eaten = "needs more than 1024 MiB of memory"
    assert {i: result.refusal for i, result in enumerate(results) if result.refusal} == {
        2: crashed,
        3: crashed,
        9: crashed,
        12: eaten,
    }
    for i, result in enumerate(results):
        pitches = [int(ids[0, 0]) for ids in result.extraction.sequences]
        assert pitches == ([] if i in deadly else [60 + i - 19])
        assert (result.digest == "") == (i in deadly)
    # A process takes a second to start: a bad file may cost a few of them, not one for each
    # file that was still waiting.
    assert num_pools <= 8


def test_results_come_in_the_order_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "FILES_PER_TASK", 2)
    paths = [write_tune(tmp_path / f"{i}.mid", 60, num_bars=i + 1) for i in range(9)]
    results = extracted(paths[::-1], ONE_BAR, num_workers=2)
    assert [len(result.extraction.sequences) for result in results] == list(range(9, 0, -1))
    assert results[0].extraction.sequences[0].shape == (16, 1)
    # as without workers
    here = [extract_file(path, ONE_BAR) for path in paths[::-1]]
    assert [result.digest for result in here] == [result.digest for result in results]
    for one, other in zip(here, results, strict=True):
        for ids, same in zip(one.extraction.sequences, other.extraction.sequences, strict=True):
            assert (ids == same).all()


def test_a_task_carries_its_own_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All paths with each task would make large collections cost the square of their size."""
    sizes = []

    class WeighingPool(ProcessPoolExecutor):
        def submit(self, *arguments: Any, **settings: Any) -> Any:
            sizes.append(len(pickle.dumps(arguments)))
            return super().submit(*arguments, **settings)

    monkeypatch.setattr(extraction, "ProcessPoolExecutor", WeighingPool)
    monkeypatch.setattr(extraction, "FILES_PER_TASK", 1000)
    absent = [tmp_path / f"{i}.mid" for i in range(4000)]
    results = extracted(absent, ONE_BAR, num_workers=1)
    assert {result.refusal for result in results} == {"cannot be read (No such file or directory)"}
    assert max(sizes) < len(pickle.dumps(absent)) / 2


def test_the_digest_is_that_of_the_music(tmp_path: Path) -> None:
    first = extract_file(write_tune(tmp_path / "a.mid", 60), ONE_BAR)
    copy = extract_file(write_tune(tmp_path / "b.mid", 60), ONE_BAR)
    other = extract_file(write_tune(tmp_path / "c.mid", 61), ONE_BAR)
    assert first.digest == copy.digest != other.digest
    song = pretty_midi.PrettyMIDI(str(tmp_path / "a.mid"))
    song.text_events.append(pretty_midi.Text("another name", 0.0))
    song.write(str(tmp_path / "d.mid"))
    assert (tmp_path / "d.mid").read_bytes() != (tmp_path / "a.mid").read_bytes()
    assert extract_file(tmp_path / "d.mid", ONE_BAR).digest == first.digest
    slower = Piece(read_midi(tmp_path / "a.mid", 4).notes, 4, tempos=(Tempo(0, 60.0),))
    to_pretty_midi(slower).write(str(tmp_path / "slower.mid"))
    assert extract_file(tmp_path / "slower.mid", ONE_BAR).digest == first.digest
    in_two = Piece(read_midi(tmp_path / "a.mid", 4).notes, 4, metres=(Metre(0, 2, 4),))
    to_pretty_midi(in_two).write(str(tmp_path / "in_two.mid"))
    assert extract_file(tmp_path / "in_two.mid", ONE_BAR).digest != first.digest
    song.instruments[0].notes[0].velocity += 1
    song.write(str(tmp_path / "e.mid"))
    assert extract_file(tmp_path / "e.mid", ONE_BAR).digest != first.digest


def test_a_refusal_does_not_repeat_the_name(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    path.write_bytes(b"no music")
    result = extract_file(path, ONE_BAR)
    assert result.refusal == "not a MIDI file (no MThd header)"
    assert result.extraction.sequences == []
