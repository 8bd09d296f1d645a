"""Which files are heard as the same tune, and that all of them are in one split."""

import logging
from pathlib import Path

import numpy as np
import pytest
from corpora import prepare_in, rows_of

from seqvae.corpus.store import SPLITS, Corpus
from seqvae.corpus.tunes import MIN_ALIKE, MIN_RUNS, same_tunes, signature
from seqvae.music.midi import to_pretty_midi
from seqvae.music.notes import Notes, Piece, Track, make_notes

MELODY = {"kind": "melody", "num_bars": 1}
LENGTH = 80  # notes


def pitches_of(seed: int, length: int = LENGTH) -> np.ndarray:
    steps = np.random.default_rng(seed).choice([-5, -3, -2, -1, 1, 2, 3, 4], length - 1)
    return 70 + np.append(0, steps.cumsum()) % 24


def line(pitches: np.ndarray, length: int = 2, track: int = 0) -> Notes:
    starts = np.arange(len(pitches)) * length
    return make_notes(starts, starts + length, pitches, track=track)


def tune(seed: int, transposed: int = 0, **about: int) -> Piece:
    return Piece(line(pitches_of(seed) + transposed, **about), 4)


def accompanied(seed: int) -> Piece:
    chords = make_notes(np.repeat(np.arange(0, 160, 8), 3), 160, np.tile([40, 44, 47], 20), track=1)
    chords["end"] = chords["start"] + 8
    notes = np.sort(np.concatenate([line(pitches_of(seed)), chords]), order=["start", "pitch"])
    return Piece(notes, 4, tracks=(Track("tune"), Track("chords")))


def ornamented(seed: int) -> Piece:
    pitches = pitches_of(seed)
    return Piece(line(np.insert(pitches, 40, [90, 89])), 4)


def repeating(seed: int) -> Piece:
    return Piece(line(np.repeat(pitches_of(seed), 2)), 4)


@pytest.mark.parametrize(
    "variant",
    [tune(1, 5), tune(1, -7), tune(1, length=4), accompanied(1), ornamented(1), repeating(1)],
    ids=["up", "down", "slower", "accompanied", "ornamented", "repeated notes"],
)
def test_a_tune_is_known_in_any_key_tempo_and_arrangement(variant: Piece) -> None:
    others = [tune(seed) for seed in range(2, 40)]
    signatures = [signature(piece) for piece in [*others, tune(1), variant]]
    assert same_tunes(signatures).tolist() == [*range(39), 38]


def test_tunes_that_share_a_few_bars_are_two() -> None:
    shared = np.append(pitches_of(1)[:20], pitches_of(2)[20:])
    one, other = signature(tune(2)), signature(Piece(line(np.append(shared, pitches_of(3))), 4))
    assert same_tunes([signature(tune(1)), other]).tolist() == [0, 1]
    assert (one == signature(tune(2))).all()


def test_the_share_in_common_is_estimated() -> None:
    common = np.append(pitches_of(1, 2000)[:1000], pitches_of(2, 1000))
    alike = (signature(tune_of(common)) == signature(tune_of(pitches_of(1, 2000)))).mean()
    assert alike == pytest.approx(1 / 3, abs=0.15)


def tune_of(pitches: np.ndarray) -> Piece:
    return Piece(line(pitches), 4)


def test_agreement_in_a_pair_of_numbers_is_not_enough() -> None:
    one, other = np.arange(64, dtype=np.uint32), np.arange(100, 164, dtype=np.uint32)
    shared = np.append(np.arange(9), np.arange(32, 41))  # 0.28 of them, in opposite pairs
    other[shared] = one[shared]
    assert same_tunes([one, other]).tolist() == [0, 1]
    other[[9, 41]] = one[[9, 41]]  # 0.31
    assert same_tunes([one, other]).tolist() == [0, 0]


def test_many_files_of_a_tune_are_joined_with_the_first() -> None:
    signatures = [signature(tune(seed % 5, seed % 7)) for seed in range(60)]
    assert same_tunes(signatures).tolist() == [seed % 5 for seed in range(60)]


def test_variants_of_variants_are_one_tune() -> None:
    a, b, c = pitches_of(1), pitches_of(2), pitches_of(3)
    pieces = [np.append(a, b), np.append(c[:20], b), np.append(a, b)[40:]]
    middle = np.concatenate([b, a[:40]])
    signatures = [signature(tune_of(pitches)) for pitches in (*pieces, middle)]
    assert same_tunes(signatures).tolist() == [0, 0, 0, 0]


def test_a_figure_and_silence_are_no_tune() -> None:
    figure = tune_of(np.tile([60, 64, 67, 64], 40))
    short = tune_of(pitches_of(1, MIN_RUNS + 5))
    nothing = Piece(make_notes([], [], []), 4)
    drums = Piece(
        make_notes(np.arange(100), np.arange(100) + 1, pitches_of(1, 100), is_drum=True), 4
    )
    assert [len(signature(piece)) for piece in (figure, short, nothing, drums)] == [0, 0, 0, 0]
    assert len(signature(tune_of(pitches_of(1, MIN_RUNS + 6)))) > 0
    assert same_tunes([signature(figure)] * 3).tolist() == [0, 1, 2]
    assert same_tunes([]).tolist() == []
    assert 0 < MIN_ALIKE < 1


def write_all(folder: Path, pieces: dict[str, Piece]) -> None:
    folder.mkdir(parents=True)
    for name, piece in pieces.items():
        to_pretty_midi(piece).write(str(folder / f"{name}.mid"))


def prepared(tmp_path: Path, pieces: dict[str, Piece], **settings: object) -> Corpus:
    write_all(tmp_path / "data", pieces)
    source = str(tmp_path / "data")
    return prepare_in(tmp_path / "corpus", MELODY, source=source, **settings)


def test_files_of_a_tune_are_in_one_split(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    pieces = {f"{seed}_{by}": tune(seed, by) for seed in range(8) for by in (0, 3, 5)}
    pieces["alone"] = tune(9)
    corpus = prepared(tmp_path, pieces, valid_share=0.3, test_share=0.3)
    rows = rows_of(corpus)
    for seed in range(8):
        of_tune = [rows[f"{seed}_{by}.mid"] for by in (0, 3, 5)]
        assert len({tuple(row.taken) for row in of_tune}) == 1
        assert {Path(row.tune).name for row in of_tune} == {f"{seed}_0.mid"}
    assert rows["alone.mid"].tune is None
    assert not rows["alone.mid"].noted
    assert all(corpus.num_sequences[split] for split in SPLITS)
    assert "tunes: 8 are played by several files each, 24 files in all" in caplog.text
    assert "24 files    a tune that other files play, too: they are in one split" in caplog.text


def test_who_has_two_tunes_gets_all_splits_and_is_told(tmp_path: Path) -> None:
    pieces = {f"{seed}_{by}": tune(seed, by) for seed in range(2) for by in range(6)}
    corpus = prepared(tmp_path, pieces)
    assert all(corpus.num_sequences[split] for split in SPLITS)
    held_out = [row for row in corpus.manifest() if "train" not in row.taken]
    assert {str(reason) for row in held_out for reason in row.noted} == {
        "a tune that an earlier split has, too"
    }


def test_splits_that_are_given_stay_and_shared_tunes_are_told(tmp_path: Path) -> None:
    for transposed, split in enumerate(SPLITS):
        pieces = {f"{split}{seed}": tune(seed, transposed) for seed in range(3)}
        write_all(tmp_path / split, pieces)
    write_all(tmp_path / "more", {"own": tune(20)})
    corpus = prepare_in(
        tmp_path / "corpus",
        MELODY,
        train=str(tmp_path / "train"),
        valid=str(tmp_path / "valid"),
        test=[str(tmp_path / "test"), str(tmp_path / "more")],
    )
    noted = {name: [*map(str, row.noted)] for name, row in rows_of(corpus).items()}
    assert noted["valid0.mid"] == noted["test2.mid"] == ["a tune that an earlier split has, too"]
    assert noted["own.mid"] == []
