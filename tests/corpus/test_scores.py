"""MIDI files: what each gives, how they are split, and what is left out."""

import logging
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pretty_midi
import pytest
from corpora import MELODY, assert_adds_up, prepare_in, rows_of, write_tune, write_tunes

from seqvae.corpus import scores
from seqvae.corpus.scores import NO_CHORD_FILE, PackedResult, extract_file, extract_files
from seqvae.corpus.store import SPLITS
from seqvae.corpus.summary import summary
from seqvae.errors import InputError
from seqvae.music.midi import read_midi, to_pretty_midi
from seqvae.music.notes import Metre, Piece, Tempo, make_notes
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.windows import long_rest

ONE_BAR = MelodyTokenizer(num_bars=1)


def write_line(path: Path, pitch: int) -> Path:
    """A bar of quarters of one pitch."""
    starts = np.arange(4) * 4
    to_pretty_midi(Piece(make_notes(starts, starts + 4, pitch), 4)).write(str(path))
    return path


# One file


def test_the_digest_is_that_of_the_music(tmp_path: Path) -> None:
    first = extract_file(write_line(tmp_path / "a.mid", 60), ONE_BAR)
    copy = extract_file(write_line(tmp_path / "b.mid", 60), ONE_BAR)
    other = extract_file(write_line(tmp_path / "c.mid", 61), ONE_BAR)
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


def test_beats_and_chords_are_read_from_the_files_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_line(tmp_path / "a.mid", 60)
    (tmp_path / "a_beats.txt").write_text("".join(f"{i} {int(i % 4 == 0)}\n" for i in range(9)))
    (tmp_path / "a_chords.txt").write_text("0.0 2.0 C:maj\n2.0 4.0 A:min\n")
    received: list[Any] = []

    def read(path: Path, steps_per_quarter: int, beats: Any, chords: Any) -> Piece:
        received.append((beats, chords))
        return read_midi(path, steps_per_quarter)

    monkeypatch.setattr(scores, "read_midi", read)
    with_chords = MelodyTokenizer(num_bars=1, chords=True)
    for tokenizer in (ONE_BAR, with_chords):
        extract_file(path, tokenizer, "{stem}_beats.txt", "{stem}_chords.txt")
    extract_file(path, with_chords)
    (beats, no_chords), (_, chords), neither = received
    assert beats.times.tolist() == list(range(9))
    assert no_chords is None  # this tokenizer has no place for them
    assert chords.times.tolist() == [0.0, 2.0, 4.0]
    assert neither == (None, None)


def test_a_missing_chord_file_is_counted_and_a_missing_beat_file_refuses(tmp_path: Path) -> None:
    path = write_line(tmp_path / "a.mid", 60)
    with_chords = MelodyTokenizer(num_bars=1, chords=True)
    result = extract_file(path, with_chords, chords="absent.txt")
    assert result.extraction.noted == {NO_CHORD_FILE: 1}
    refusal = extract_file(path, with_chords, beats="absent.txt").refusal
    assert refusal == "absent.txt: cannot be read (No such file or directory)"


# Many files


def test_workers_give_what_this_process_gives(tmp_path: Path) -> None:
    paths = [write_tune(tmp_path / f"{i}.mid", i, num_bars=i % 5 + 1) for i in range(40)]
    results: dict[int, dict[int, PackedResult]] = {0: {}, 2: {}}
    for num_workers, result in results.items():
        extract_files(paths, ONE_BAR, num_workers, take=result.__setitem__)
        assert sorted(result) == list(range(40))
    for i in range(40):
        here, there = results[0][i], results[2][i]
        assert here.digest == there.digest
        assert len(here.packed.lengths) == i % 5 + 1
        for name, column in vars(here.packed).items():
            assert (column == vars(there.packed)[name]).all()


def test_the_settings_reach_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tunes(tmp_path / "data", 3)
    received: list[Any] = []

    def extract(
        paths: list[Path], tokenizer: Any, *settings: Any, beats_metre: Any, grid: Any, take: Any
    ) -> None:
        received.append((*settings, beats_metre, grid))
        extract_files(paths, tokenizer, 0, take=take)

    monkeypatch.setattr(scores, "extract_files", extract)
    settings = {"beats": "beats.txt", "chords": "chords.txt", "beats_metre": "6/8", "grid": "none"}
    prepare_in(
        tmp_path / "corpus", MELODY, source=str(tmp_path / "data"), num_workers=7, **settings
    )
    assert received == [(7, *settings.values())]


def test_the_order_in_which_workers_finish_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tunes(tmp_path / "data", 12)
    shutil.copy(tmp_path / "data" / "000.mid", tmp_path / "data" / "copy.mid")
    forward = prepare_in(tmp_path / "forward", MELODY, source=str(tmp_path / "data"))

    def extract(paths: list[Path], tokenizer: Any, *_: Any, take: Any, **__: Any) -> None:
        for index in reversed(range(len(paths))):
            take(index, PackedResult.of(extract_file(paths[index], tokenizer), tokenizer))

    monkeypatch.setattr(scores, "extract_files", extract)
    backward = prepare_in(tmp_path / "backward", MELODY, source=str(tmp_path / "data"))
    assert forward.manifest() == backward.manifest()
    for name in ("tokens.npy", "offsets.npy", "corpus.json"):
        assert (tmp_path / "forward" / name).read_bytes() == (
            tmp_path / "backward" / name
        ).read_bytes()


def test_tunes_are_split_by_file(tmp_path: Path) -> None:
    write_tunes(tmp_path / "data", 30)
    corpus = prepare_in(tmp_path / "corpus", MELODY, source=str(tmp_path / "data"), test_share=0.2)
    assert_adds_up(corpus, 30)
    assert Counter(tuple(row.taken) for row in corpus.manifest()) == {
        ("train",): 21,
        ("valid",): 3,
        ("test",): 6,
    }
    assert {name: len(split) for name, split in corpus.splits.items()} == {
        "train": 84,
        "valid": 12,
        "test": 24,
    }


def test_tunes_of_given_splits(tmp_path: Path) -> None:
    for number, name in enumerate(SPLITS):
        for i in range(3):
            write_tune(tmp_path / name / f"{i}.mid", 3 * number + i)
    shutil.copy(tmp_path / "train" / "1.mid", tmp_path / "valid" / "copy.mid")
    corpus = prepare_in(tmp_path / "corpus", MELODY, **{n: str(tmp_path / n) for n in SPLITS})
    assert_adds_up(corpus, 10)
    for row in corpus.manifest():
        folder = Path(row.source).parent.name
        if Path(row.source).name == "copy.mid":
            assert row.reason == "a copy of another file"
        else:
            assert row.taken == {folder: 4}


def test_reasons_and_counts_of_tunes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "data"
    write_tunes(folder, 8)
    shutil.copy(folder / "003.mid", folder / "z_copy.mid")
    shutil.copy(folder / "003.mid", folder / "z_copy_2.mid")
    write_tune(folder / "waltz.mid", 100, metre="3/4")
    (folder / "broken.mid").write_bytes(b"no music")
    (folder / "empty.mid").write_bytes(b"")
    to_pretty_midi(Piece(make_notes([], [], []), 4)).write(str(folder / "silent.mid"))
    drums = make_notes([0, 4], [1, 5], [36, 38], is_drum=True)
    to_pretty_midi(Piece(drums, 4)).write(str(folder / "drums.mid"))
    chords = make_notes([0, 0, 8, 8], [8, 8, 16, 16], [60, 64, 60, 65])
    to_pretty_midi(Piece(chords, 4)).write(str(folder / "chords.mid"))
    gap = make_notes([0, 60], [4, 64], [60, 62])
    to_pretty_midi(Piece(gap, 4)).write(str(folder / "gap.mid"))
    with caplog.at_level(logging.INFO):
        corpus = prepare_in(tmp_path / "corpus", MELODY, source=str(folder))
    assert_adds_up(corpus, 17)
    rows = rows_of(corpus)
    reasons = {name: row.reason for name, row in rows.items() if row.reason is not None}
    assert reasons == {
        "z_copy.mid": "a copy of another file",
        "z_copy_2.mid": "a copy of another file",
        "waltz.mid": "metre 3/4",
        "broken.mid": "not a MIDI file (no MThd header)",
        "empty.mid": "the file is empty",
        "silent.mid": "no notes",
        "drums.mid": "drums",
        "chords.mid": "mostly chords",
    }
    # used, but not the whole of it: two bars of silence between two with a note
    assert rows["gap.mid"].dropped == {long_rest(1): 2}
    assert sum(rows["gap.mid"].taken.values()) == 2
    report = summary(corpus.manifest())
    assert report[0] == "files used: 9 of 17, 34 sequences"
    assert f"        2 windows  {long_rest(1)}" in report
    assert report == [r.getMessage() for r in caplog.records][: len(report)]


def test_too_few_usable_tunes_name_the_reasons(tmp_path: Path) -> None:
    for i in range(5):
        write_tune(tmp_path / "data" / f"{i}.mid", i, metre="3/4")
    with pytest.raises(InputError) as caught:
        prepare_in(tmp_path / "corpus", MELODY, source=str(tmp_path / "data"))
    message = str(caught.value)
    assert message.startswith(
        "no sequences for train, valid, test: 5 sources gave 0; "
        "5 files: metre 3/4 (--data.tokenizer.metres 4/4,2/2,2/4,3/4); "
    )
    assert message.endswith(f"{tmp_path}/corpus/manifest.jsonl has all reasons")
    assert "\n" not in message


def test_a_refusal_holds_as_many_reasons_as_fit(tmp_path: Path) -> None:
    metres = ("3/4", "5/4", "7/8", "6/8", "9/8", "12/8")
    for i, metre in enumerate(metres):
        write_tune(tmp_path / "data" / f"{i}.mid", i, metre=metre)
    with pytest.raises(InputError) as caught:
        prepare_in(tmp_path / "corpus", MELODY, source=str(tmp_path / "data"))
    message = str(caught.value)
    assert " ... " not in message  # nothing was cut out of it
    assert 1 <= message.count("1 file: metre") < len(metres)
    assert message.endswith("/manifest.jsonl has all reasons")


def test_the_nasty_folder_is_prepared(data_folder: Path, tmp_path: Path) -> None:
    corpus = prepare_in(
        tmp_path / "corpus", MELODY, source=str(data_folder / "midi_nasty"), num_workers=2
    )
    assert_adds_up(corpus, 73)
    used = [row for row in corpus.manifest() if row.reason is None]
    assert len(used) >= 10
    for row in corpus.manifest():
        assert row.reason is None or (row.reason and "\n" not in row.reason)
        assert row.reason is None or not row.reason.startswith("/")


def test_loops_are_repeated_and_the_manifest_says_so(tmp_path: Path) -> None:
    for i in range(6):
        steps = np.array([0, 4 + i, 13])
        loop = Piece(make_notes(steps, steps + 1, 36, is_drum=True), 4)
        (tmp_path / "loops").mkdir(exist_ok=True)
        to_pretty_midi(loop).write(str(tmp_path / "loops" / f"{i}.mid"))
    shutil.copy(tmp_path / "loops" / "0.mid", tmp_path / "loops" / "copy.mid")
    drums = {"kind": "drums", "num_bars": 2}
    corpus = prepare_in(tmp_path / "corpus", drums, source=str(tmp_path / "loops"))
    rows = rows_of(corpus)
    assert rows.pop("copy.mid").reason == "a copy of another file"
    for row in rows.values():
        assert sum(row.taken.values()) == 1
        assert not row.dropped
        assert [reason.text for reason in row.noted] == [
            "a loop of 1 bar, repeated to fill a window"
        ]
    ids = corpus.splits["train"][0][:, 0]
    assert np.array_equal(ids[:16], ids[16:])
