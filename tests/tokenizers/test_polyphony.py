"""A set of notes a step: by hand, and there and back through MIDI files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvae.errors import InputError
from seqvae.music.midi import find_midi, read_midi, to_pretty_midi
from seqvae.music.notes import Metre, Notes, Piece, Track, join, make_notes, sort_notes
from seqvae.music.overlaps import DRUMS, outer_notes
from seqvae.tokenizers.contract import Example, Ids
from seqvae.tokenizers.polyphony import (
    NO_DRUMS,
    ONE_PROGRAM,
    STRUCK_TWICE,
    PolyphonyTokenizer,
)
from seqvae.tokenizers.windows import long_rest

ONE_BAR = PolyphonyTokenizer(num_bars=1, max_notes=3)
SCORE = PolyphonyTokenizer(num_bars=1, max_notes=3, programs=True, num_velocity_bins=127)


def tokens(tokenizer: PolyphonyTokenizer, piece: Piece) -> dict[int, list[list[int]]]:
    """The notes of each step that has some."""
    (example,) = tokenizer.encode(piece)
    slots = example.ids.reshape(len(example.ids), tokenizer.max_notes, -1)
    return {t: [n for n in notes if n[0]] for t, notes in enumerate(slots.tolist()) if notes[0][0]}


def notes_of(piece: Piece) -> list[tuple[int, ...]]:
    return piece.notes[["start", "end", "pitch", "velocity", "program", "is_drum"]].tolist()


def test_the_vocabulary_follows_the_settings() -> None:
    assert ONE_BAR.vocab_sizes == (129, 16) * 3
    assert ONE_BAR.channels == ("pitch", "duration")
    assert (ONE_BAR.steps.slot_size, ONE_BAR.steps.unison, ONE_BAR.keeps) == (2, False, set())
    assert SCORE.vocab_sizes == (129, 16, 127, 129) * 3
    assert SCORE.channels == ("pitch", "duration", "velocity", "program")
    assert (SCORE.steps.slot_size, SCORE.steps.unison, SCORE.keeps) == (4, True, {"velocity"})
    assert (ONE_BAR.max_steps, ONE_BAR.eos_id) == (16, None)


def test_one_instrument_by_hand() -> None:
    piece = Piece(make_notes([0, 0, 4], [16, 4, 8], [64, 60, 62], program=40), 4)
    assert tokens(ONE_BAR, piece) == {0: [[61, 3], [65, 15]], 4: [[63, 3]]}
    (example,) = ONE_BAR.encode(piece)
    assert notes_of(ONE_BAR.decode(example)) == [
        (0, 4, 60, 80, 40, False), (0, 16, 64, 80, 40, False), (4, 8, 62, 80, 40, False),
    ]  # fmt: skip
    assert ONE_BAR.show(example.ids) == "C4*4+E4*16 . . . | D4*4 . . . | . . . . | . . . ."


def test_a_score_by_hand() -> None:
    chord = make_notes([0, 0, 4], [16, 4, 8], [60, 64, 62], velocity=[1, 90, 127], program=40)
    drums = make_notes([4, 15], [5, 16], [36, 42], is_drum=True, velocity=64, track=1)
    piece = Piece(sort_notes(np.concatenate([chord, drums])), 4)
    assert tokens(SCORE, piece) == {
        0: [[61, 15, 0, 40], [65, 3, 89, 40]],
        4: [[37, 0, 63, DRUMS], [63, 3, 126, 40]],
        15: [[43, 0, 63, DRUMS]],
    }
    (example,) = SCORE.encode(piece)
    assert notes_of(SCORE.decode(example)) == notes_of(piece)
    assert SCORE.show(example.ids).startswith("C4*16+E4*4 . . . | drum36*1+D4*4 . ")


def test_two_instruments_may_play_in_unison() -> None:
    notes = make_notes([0, 0, 0], [8, 4, 1], [36, 36, 36], program=[0, 5, 0],
                       is_drum=[False, False, True], track=[0, 1, 2])  # fmt: skip
    piece = Piece(notes, 4)
    assert [note[3] for note in tokens(SCORE, piece)[0]] == [0, 5, DRUMS]
    assert len(SCORE.decode(SCORE.encode(piece)[0]).notes) == 3
    assert tokens(ONE_BAR, piece) == {0: [[37, 7]]}  # the longest; no drums


def test_what_one_instrument_cannot_be_is_said(caplog: pytest.LogCaptureFixture) -> None:
    lead, bass = make_notes([0, 8], [8, 16], 72, program=5), make_notes(0, 16, 40, program=38)
    bass["track"] = 1
    kit = make_notes([0], [1], [36], is_drum=True, track=2)
    tracks = (Track("Flute", 1, 5), Track("Deep", 2, 38), Track("Kit", 10))
    band = Piece(sort_notes(np.concatenate([lead, bass, kit])), 4, tracks=tracks, name="a.mid")
    extraction = ONE_BAR.extract(band)
    assert (extraction.dropped, extraction.noted) == ({NO_DRUMS: 1}, {ONE_PROGRAM: 1})
    (example,) = ONE_BAR.encode(band)
    assert (example.program, example.tracks) == (5, {0: tracks[0]})  # it has the most notes
    assert [record.getMessage() for record in caplog.records] == [
        "a.mid: not heard: track 3 'Kit' (drums: channel 10); --tracks says which track is what",
        "a.mid: several programs, heard as one instrument: program 5, as most notes are",
    ]
    extraction = SCORE.extract(band)
    assert (extraction.dropped, extraction.noted) == ({}, {})
    with pytest.raises(InputError, match=r"'Kit'.*; a model of drums, .*programs true$"):
        ONE_BAR.encode(Piece(kit, 4, tracks=tracks))
    assert ONE_BAR.extract(Piece(kit, 4, tracks=tracks)).sequences == []


def test_the_same_note_struck_again_ends_the_one_before() -> None:
    piece = Piece(make_notes([0, 4, 4, 8], [16, 6, 10, 12], [60, 60, 60, 60]), 4)
    assert ONE_BAR.extract(piece).dropped == {STRUCK_TWICE: 1}
    assert tokens(ONE_BAR, piece) == {0: [[61, 3]], 4: [[61, 3]], 8: [[61, 3]]}


def test_of_thick_chords_the_middle_is_left_out() -> None:
    chord = make_notes([0] * 6 + [4], [4] * 6 + [8], [60, 62, 64, 65, 67, 69, 71])
    kept = {n: outer_notes(chord, n)["pitch"].tolist() for n in (1, 2, 3, 6)}
    assert kept[1] == [69, 71]
    assert kept[2] == [60, 69, 71]
    assert kept[3] == [60, 67, 69, 71]
    assert kept[6] == chord["pitch"].tolist()
    assert ONE_BAR.extract(Piece(chord, 4)).dropped == {ONE_BAR.too_many_notes: 3}
    assert [note[0] for note in tokens(ONE_BAR, Piece(chord, 4))[0]] == [61, 68, 70]


def test_what_a_window_does_not_hold_is_cut() -> None:
    piece = Piece(make_notes([0, 12, 18], [40, 20, 20], [60, 64, 67]), 4)
    windows = [ONE_BAR.decode(example) for example in ONE_BAR.encode(piece)]
    assert [notes_of(window) for window in windows] == [
        [(0, 16, 60, 80, 0, False), (12, 16, 64, 80, 0, False)],
        [(2, 4, 67, 80, 0, False)],
        [],  # silence is a window, too
    ]


def test_a_window_holds_nothing_of_the_next_metre() -> None:
    notes = make_notes([0, 4, 8, 12], [30, 6, 10, 14], [60, 62, 64, 65])
    piece = Piece(notes, 4, (Metre(0, 4, 4), Metre(8, 3, 8)))
    (example,) = ONE_BAR.encode(piece)
    assert notes_of(ONE_BAR.decode(example)) == [
        (0, 8, 60, 80, 0, False), (4, 6, 62, 80, 0, False)
    ]  # fmt: skip
    half = PolyphonyTokenizer(num_bars=1, gap_bars=0.5)
    assert half.extract(piece).dropped[long_rest(0.5)] == 1  # the note held over is not heard


def test_windows_with_a_long_rest_are_left_out() -> None:
    tokenizer = PolyphonyTokenizer(num_bars=2, hop_bars=2)
    for end, dropped in ((17, {}), (16, {long_rest(1): 1})):
        piece = Piece(make_notes([0, 2], [end, 4], [60, 64]), 4, num_steps=32)
        extraction = tokenizer.extract(piece)
        assert (len(extraction.sequences), extraction.dropped) == (not dropped, dropped)


def test_a_long_note_under_short_ones_is_no_rest() -> None:
    piece = Piece(make_notes([0, 4, 4], [32, 6, 5], [40, 60, 64]), 4)
    extraction = PolyphonyTokenizer(num_bars=2).extract(piece)
    assert (len(extraction.sequences), extraction.dropped) == (1, {})


def test_chords_stand_beside_the_notes() -> None:
    tokenizer = PolyphonyTokenizer(num_bars=1, chords=True)
    piece = Piece(make_notes([0, 0, 0], [16] * 3, [60, 64, 67]), 4, chords=((0, 5), (8, 9)))
    (example,) = tokenizer.encode(piece)
    assert example.ids[:, -1].tolist() == [5] * 8 + [9] * 8
    moved = tokenizer.augment(np.stack([example.ids] * 50), np.random.default_rng(0))
    semitones = moved[:, 0, 0] - 61
    assert len(set(semitones.tolist())) > 5
    assert np.array_equal(moved[:, 0, -1], 1 + (5 - 1 + semitones) % 12)


@pytest.mark.parametrize("metre", ["4/4", "3/4", "5/4"])
def test_durations_of_shorter_bars_come_back(metre: str) -> None:
    tokenizer = PolyphonyTokenizer(num_bars=2, metres=("4/4", "3/4", "5/4"))
    bar = 4 * int(metre[0])
    starts = np.arange(0, 4 * bar, 3)
    ends = np.minimum(starts + 7, np.where(starts < 2 * bar, 2 * bar, 4 * bar))
    piece = Piece(make_notes(starts, ends, 60 + starts % 5), 4, (Metre(0, int(metre[0]), 4),))
    decoded = [tokenizer.decode(example) for example in tokenizer.encode(piece)]
    assert [part.end_step for part in decoded] == [2 * bar] * 2
    assert notes_of(join(decoded)) == notes_of(piece)


def random_ids(tokenizer: PolyphonyTokenizer, rng: np.random.Generator) -> Ids:
    """What an untrained model may draw: any tokens of rising pitch, then zeros."""
    slots = np.stack([rng.integers(size, size=(tokenizer.max_steps, tokenizer.max_notes))
                      for size in tokenizer.slot_sizes.values()], axis=2)  # fmt: skip
    slots[..., 0] = np.sort(slots[..., 0], axis=1)
    slots[np.arange(tokenizer.max_notes) >= rng.integers(4, size=(len(slots), 1))] = 0
    return slots.reshape(len(slots), -1)


@pytest.mark.parametrize("settings", [{}, {"programs": True, "num_velocity_bins": 16}])
def test_whatever_a_model_draws_is_a_piece(tmp_path: Path, settings: dict[str, Any]) -> None:
    tokenizer = PolyphonyTokenizer(num_bars=2, max_notes=4, **settings)
    rng = np.random.default_rng(0)
    for _ in range(20):
        piece = tokenizer.decode(Example(random_ids(tokenizer, rng)))
        assert len(piece.notes) > 20
        assert (piece.notes["end"] <= 32).all()
        to_pretty_midi(piece).write(str(tmp_path / "clip.mid"))
        written = read_midi(tmp_path / "clip.mid", 4)
        assert notes_of(written) == notes_of(piece)
        (again,) = tokenizer.encode(written)
        assert notes_of(tokenizer.decode(again)) == notes_of(piece)


@pytest.mark.parametrize(("collection", "step"), [("jsb_chorales", 20), ("freedoom", 12)])
def test_real_windows_survive_a_file(
    data_folder: Path, tmp_path: Path, collection: str, step: int
) -> None:
    tokenizer = PolyphonyTokenizer(programs=True, num_velocity_bins=16, max_notes=12)
    windows = dict[bytes, Ids]()
    for file in find_midi(data_folder / "midi" / collection)[::step]:
        for ids in tokenizer.extract(read_midi(file, 4)).sequences:
            assert (ids.max(0) < np.array(tokenizer.vocab_sizes)).all()
            windows.setdefault(ids.tobytes(), ids)
    assert len(windows) > 100
    for ids in list(windows.values())[::17]:
        window = Example(ids.astype(np.int64))
        to_pretty_midi(tokenizer.decode(window)).write(str(tmp_path / "clip.mid"))
        (again,) = tokenizer.encode(read_midi(tmp_path / "clip.mid", 4))
        assert np.array_equal(again.ids, ids)


def batch(tokenizer: PolyphonyTokenizer, *notes: Notes) -> Ids:
    length = tokenizer.window_length
    return np.stack([tokenizer.encode(Piece(n, 4, num_steps=length))[0].ids for n in notes])


def test_bars_come_from_another_window() -> None:
    tokenizer = PolyphonyTokenizer(num_bars=2, max_notes=2)
    starts = np.arange(0, 32, 4)
    ids = batch(tokenizer, *(make_notes(starts, starts + 2, 20 + i) for i in range(100)))
    before = ids.copy()
    mixed = tokenizer.mix(ids, np.random.default_rng(0))
    assert np.array_equal(ids, before)
    pitches = mixed[:, ::16, 0] - 21
    foreign = pitches != np.arange(100)[:, None]
    assert 25 < foreign.any(1).sum() < 50  # three quarters of the half of the windows
    assert np.array_equal(mixed[:, 12, 0], mixed[:, 0, 0])  # whole bars
    both = foreign.all(1)
    assert np.array_equal(pitches[both, 0], pitches[both, 1])  # from one window
    assert np.array_equal(tokenizer.mix(ids, np.random.default_rng(0)), mixed)


def test_augment_moves_all_but_drums_and_keeps_the_order() -> None:
    kit = make_notes([0, 4], [1, 5], [37, 36], is_drum=True, track=1)
    notes = sort_notes(np.concatenate([kit, make_notes([0, 0, 8], [4] * 2 + [9], [36, 60, 125])]))
    ids = batch(SCORE, *[notes] * 200)
    before = ids.copy()
    moved = SCORE.augment(ids, np.random.default_rng(0))
    assert np.array_equal(ids, before)
    heard = [SCORE.decode(Example(window)).notes for window in moved]
    semitones = {int(n["pitch"][-1]) - 125 for n in heard}
    assert semitones == {-5, -4, -3, -2, -1, 0, 1, 2}  # 127 is the highest pitch
    for window, after in zip(moved, heard, strict=True):
        shift = int(after["pitch"][-1]) - 125
        pitched = after[~after["is_drum"]]
        assert sorted(pitched["pitch"].tolist()) == [36 + shift, 60 + shift, 125 + shift]
        assert after["pitch"][after["is_drum"]].tolist() == [37, 36]
        pitches = window.reshape(16, 3, 4)[0, :, 0]
        assert (np.diff(pitches) >= 0).all()
        assert np.count_nonzero(pitches) == 3
    still = PolyphonyTokenizer(num_bars=1, max_transpose=0)
    few = batch(still, make_notes([0], [1], [60]))
    assert np.array_equal(still.augment(few, np.random.default_rng(0)), few)


@pytest.mark.parametrize(
    "settings",
    [
        {"max_notes": 0},
        {"max_notes": 129},
        {"num_velocity_bins": 128},
        {"max_transpose": -1},
        {"mix_share": 1.5},
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="polyphony: "):
        PolyphonyTokenizer(**settings)
