"""Performances without a grid: refused, mended by beats, insisted on, and said."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pretty_midi
import pytest
from corpora import MELODY, assert_adds_up, prepare_in, rows_of, write_tunes

from seqvae.corpus.scores import extract_file
from seqvae.errors import InputError
from seqvae.music.timing import NO_GRID, OFF_GRID, OTHER_BEATS, TRIPLETS
from seqvae.tokenizers.drums import DrumsTokenizer
from seqvae.tokenizers.groove import GrooveTokenizer
from seqvae.tokenizers.melody import MelodyTokenizer

ONE_BAR = MelodyTokenizer(num_bars=1)


def write_at(path: Path, seconds: np.ndarray, *, is_drum: bool = False) -> Path:
    """Notes of a tenth of a second at these times, in a file that names 120 and no metre."""
    song = pretty_midi.PrettyMIDI(resolution=480)
    song.instruments.append(pretty_midi.Instrument(0, is_drum))
    for number, start in enumerate(seconds):
        pitch = 36 if is_drum else 60 + number % 12
        song.instruments[0].notes.append(pretty_midi.Note(80, pitch, start, start + 0.1))
    song.write(str(path))
    return path


def rubato(seed: int, num_beats: int = 160) -> np.ndarray:
    """Beats of a performer who does as he likes, in seconds."""
    return np.random.default_rng(seed).uniform(0.3, 0.7, num_beats).cumsum()


def write_beats(path: Path, times: np.ndarray) -> None:
    path.write_text(
        "".join(f"{t:.4f} {i % 4 + 1}\n" for i, t in enumerate(times)), encoding="utf-8"
    )


def write_performance(folder: Path, seed: int) -> Path:
    """A note on each beat, with the beats in a file beside."""
    times = rubato(seed)
    write_beats(folder / f"{seed}_beats.txt", times)
    return write_at(folder / f"{seed}.mid", times)


def test_a_performance_is_taken_with_its_beats_or_at_the_users_word(tmp_path: Path) -> None:
    path = write_performance(tmp_path, 0)
    refused = extract_file(path, ONE_BAR)
    assert refused.refusal == NO_GRID.text
    assert refused.extraction.dropped == {NO_GRID: 1}
    assert "--data.beats" in NO_GRID.remedy
    assert "--data.grid none" in NO_GRID.remedy
    insisted = extract_file(path, ONE_BAR, grid="none")
    assert insisted.refusal is None
    assert insisted.extraction.sequences
    with_beats = extract_file(path, ONE_BAR, "{stem}_beats.txt").extraction
    assert len(with_beats.sequences) == 40
    assert not with_beats.noted
    write_at(path, rubato(0, 1200))
    write_beats(tmp_path / "0_beats.txt", rubato(1, 1200))
    assert extract_file(path, ONE_BAR, "{stem}_beats.txt").refusal == OTHER_BEATS.text


def test_triplets_are_taken_and_counted_with_the_remedy(tmp_path: Path) -> None:
    path = write_at(tmp_path / "a.mid", np.arange(96) / 6)
    assert extract_file(path, ONE_BAR).extraction.noted == {TRIPLETS: 1}
    assert "steps_per_quarter 12" in TRIPLETS.remedy
    finer = MelodyTokenizer(num_bars=1, steps_per_quarter=12)
    assert not extract_file(path, finer).extraction.noted


def test_who_keeps_the_timing_of_drums_rounds_nothing(tmp_path: Path) -> None:
    path = write_at(tmp_path / "a.mid", np.arange(64) / 4 + 0.03, is_drum=True)
    assert extract_file(path, DrumsTokenizer(num_bars=1)).extraction.noted == {OFF_GRID: 1}
    assert not extract_file(path, GrooveTokenizer(num_bars=1)).extraction.noted


def test_beats_that_are_given_are_no_remedy(tmp_path: Path) -> None:
    path = write_at(tmp_path / "a.mid", np.arange(96) / 2 + 0.03)
    assert extract_file(path, ONE_BAR).extraction.noted == {OFF_GRID: 1}
    write_beats(tmp_path / "a.txt", np.arange(96) / 2)
    with_beats = extract_file(path, ONE_BAR, "{stem}.txt").extraction
    assert with_beats.noted == {replace(OFF_GRID, remedy=""): 1}


def test_settings_reach_the_files_and_beats_beside_are_hinted_at(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "songs"
    write_tunes(folder, 3)
    for seed in range(3):
        write_performance(folder, seed)
    with caplog.at_level(logging.WARNING):
        corpus = prepare_in(tmp_path / "a", MELODY, source=str(folder))
    rows = rows_of(corpus)
    assert_adds_up(corpus, 6)
    assert all(rows[f"{seed}.mid"].reason == NO_GRID.text for seed in range(3))
    hint = "{stem}_beats.txt lies beside 3 files that gave nothing or are off their grid"
    assert f"{hint}: --data.beats '{{stem}}_beats.txt'" in caplog.text
    caplog.clear()
    corpus = prepare_in(tmp_path / "a", MELODY, source=str(folder), grid="none")  # made anew
    assert all(row.reason is None for row in corpus.manifest())
    assert "lies beside" in caplog.text  # their onsets are rounded
    for path in folder.glob("00*.mid"):
        write_beats(folder / f"{path.stem}_beats.txt", np.arange(64) / 2)
    caplog.clear()
    settings = {"source": str(folder), "beats": "{stem}_beats.txt"}
    corpus = prepare_in(tmp_path / "a", MELODY, **settings)
    assert all(row.reason is None for row in corpus.manifest())
    assert "lies beside" not in caplog.text
    with pytest.raises(InputError, match="6 files: metre 4/2"):  # four beats, each a half
        prepare_in(tmp_path / "a", MELODY, **settings, beats_metre="2/2")


def test_refusals_of_files_beside_are_the_same_for_every_folder_and_name(tmp_path: Path) -> None:
    refusals = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        path = write_performance(tmp_path / name, 0).rename(tmp_path / name / f"{name}.mid")
        refusals.add(extract_file(path, ONE_BAR, "{stem}.beats").refusal)
        (tmp_path / name / f"{name}.beats").write_text("1\n2\n3\n4\n")
        refusals.add(extract_file(path, ONE_BAR, "{stem}.beats").refusal)
    missing, silent = sorted(map(str, refusals))
    assert missing == "{stem}.beats: cannot be read (No such file or directory)"
    assert silent.startswith("{stem}.beats: no column says where bars begin")


def test_unknown_choices_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data.grid is 'off'; choose one of checked, none"):
        prepare_in(tmp_path / "a", MELODY, source=str(tmp_path), grid="off")
    with pytest.raises(InputError, match="metre '6-8'; write it as 4/4"):
        prepare_in(tmp_path / "a", MELODY, source=str(tmp_path), beats_metre="6-8")
