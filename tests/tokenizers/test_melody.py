"""MusicVAE's melody events: written by hand, and there and back through MIDI files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.music.midi import find_midi, read_midi, to_pretty_midi
from seqvae.music.notes import Metre, Piece, Tempo, make_notes
from seqvae.tokenizers import complete_settings, make_tokenizer
from seqvae.tokenizers.contract import Example, Ids
from seqvae.tokenizers.lines import out_of_range
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.tracks import NOT_TAKEN
from seqvae.tokenizers.windows import NO_NOTES, long_rest, other_metre

Row = tuple[int, int, int]  # start, end, pitch

NO_EVENT, NOTE_OFF = 0, 1
BAR = 16
VOCAB_SIZE = 90  # NO_EVENT, NOTE_OFF and the 88 keys of a piano


def token(pitch: int) -> int:
    """MusicVAE's event of an onset: pitch 21 is 2 (Roberts et al. 2018, section 5)."""
    return pitch - 19


def tokens(text: str) -> list[int]:
    """A sequence as it is written here: a pitch, `.` for NO_EVENT, `-` for NOTE_OFF."""
    silent = {".": NO_EVENT, "-": NOTE_OFF}
    return [silent[word] if word in silent else token(int(word)) for word in text.split()]


def piece_of(
    *rows: Row, metres: tuple[Metre, ...] = (Metre(0, 4, 4),), length: int = 0, track: int = 0
) -> Piece:
    start, end, pitch = (list(column) for column in zip(*rows, strict=True))
    return Piece(make_notes(start, end, pitch, track=track), 4, metres, num_steps=length)


def merge(*pieces: Piece) -> Piece:
    """Several tracks at once."""
    notes = np.concatenate([piece.notes for piece in pieces])
    return Piece(notes[np.lexsort((notes["pitch"], notes["start"]))], 4, pieces[0].metres)


def rows_of(piece: Piece) -> list[Row]:
    return [tuple(note) for note in piece.notes[["start", "end", "pitch"]].tolist()]


def windows_of(examples: list[Example]) -> list[list[int]]:
    return [example.ids[:, 0].tolist() for example in examples]


def extracted(tokenizer: MelodyTokenizer, piece: Piece) -> list[list[int]]:
    return [ids[:, 0].tolist() for ids in tokenizer.extract(piece).sequences]


def through_a_file(piece: Piece, folder: Path) -> Piece:
    path = folder / "clip.mid"
    to_pretty_midi(piece).write(str(path))
    return read_midi(path, piece.steps_per_quarter)


def canonical(sequence: list[int]) -> list[int]:
    """The same melody without the events that say nothing: a NOTE_OFF in silence."""
    sounds, result = False, []
    for event in sequence:
        result.append(NO_EVENT if event == NOTE_OFF and not sounds else event)
        sounds = sounds if event == NO_EVENT else event != NOTE_OFF
    return result


ONE_BAR = MelodyTokenizer(num_bars=1)
TWO_BARS = MelodyTokenizer()


def test_the_vocabulary_is_that_of_musicvae() -> None:
    assert TWO_BARS.vocab_sizes == (VOCAB_SIZE,)
    assert TWO_BARS.max_steps == 32
    assert TWO_BARS.eos_id is None
    assert MelodyTokenizer(num_bars=16).max_steps == 256
    assert MelodyTokenizer(min_pitch=60, max_pitch=60).vocab_sizes == (3,)
    assert MelodyTokenizer(metres=("3/4",), steps_per_quarter=6).max_steps == 36


# Encoding, by hand


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # legato: an onset ends the note before it, and the end of the window the last one
        ([(0, 4, 60), (4, 8, 62), (8, 16, 64)], "60 . . . 62 . . . 64 . . . . . . ."),
        # a rest begins with NOTE_OFF
        ([(0, 4, 60), (8, 16, 62)], "60 . . . - . . . 62 . . . . . . ."),
        # one step each, to the last one
        ([(0, 1, 60), (1, 2, 60), (15, 16, 62)], "60 60 - . . . . . . . . . . . . 62"),
        # the lowest and the highest key
        ([(0, 8, 21), (8, 16, 108)], "21 . . . . . . . 108 . . . . . . ."),
        # silence at the start needs no NOTE_OFF
        ([(4, 16, 60)], ". . . . 60 . . . . . . . . . . ."),
        # the end of the piece is silence
        ([(0, 6, 60)], "60 . . . . . - . . . . . . . . ."),
        # an overlapping note is cut by the next onset, and stays silent after it
        ([(0, 16, 72), (4, 6, 60)], "72 . . . 60 . - . . . . . . . . ."),
        # of a chord the highest note
        ([(0, 4, 60), (4, 12, 55), (4, 8, 64), (12, 16, 50)],
         "60 . . . 64 . . . - . . . 50 . . ."),
        # the same pitch struck again, while it sounds and after it
        ([(0, 8, 60), (4, 8, 60), (10, 16, 60)], "60 . . . 60 . . . - . 60 . . . . ."),
    ],
)  # fmt: skip
def test_encode_by_hand(rows: list[Row], expected: str) -> None:
    assert windows_of(ONE_BAR.encode(piece_of(*rows))) == [tokens(expected)]


def test_the_notation_of_these_tests() -> None:
    assert tokens("21 . - 108") == [2, 0, 1, 89]


def test_windows_lie_end_to_end() -> None:
    piece = piece_of((0, 8, 60), (8, 16, 62), (16, 40, 64), (64, 66, 65), length=80)
    assert windows_of(TWO_BARS.encode(piece)) == [
        tokens("60 . . . . . . . 62 . . . . . . . 64 . . . . . . . . . . . . . . ."),
        [NO_EVENT] * 32,  # the 64 is held into it for 8 steps: cut, and its end says nothing
        tokens("65 . - . . . . . . . . . . . . .") + [NO_EVENT] * 16,
    ]


def test_a_note_held_into_a_window_is_cut() -> None:
    piece = piece_of((0, 4, 60), (8, 20, 62), (24, 32, 64))
    assert windows_of(ONE_BAR.encode(piece)) == [
        tokens("60 . . . - . . . 62 . . . . . . ."),
        tokens(". . . . . . . . 64 . . . . . . ."),
    ]


def test_a_note_that_ends_on_the_bar_line_leaves_no_note_off_behind_it() -> None:
    piece = piece_of((0, 16, 60), (20, 32, 62))
    assert windows_of(ONE_BAR.encode(piece))[1] == tokens(". . . . 62 . . . . . . . . . . .")
    whole = windows_of(TWO_BARS.encode(piece))
    assert whole == [tokens("60" + " ." * 15 + " - . . . 62" + " ." * 11)]


def test_a_silent_clip_encodes() -> None:
    silence = Piece(make_notes([], [], []), 4, num_steps=32)
    assert windows_of(ONE_BAR.encode(silence)) == [[NO_EVENT] * 16] * 2
    assert rows_of(ONE_BAR.decode(ONE_BAR.encode(silence)[0])) == []


def test_a_short_clip_is_padded_with_silence() -> None:
    (example,) = TWO_BARS.encode(piece_of((0, 2, 60)))
    assert example.ids.shape == (32, 1)
    assert example.ids[:, 0].tolist() == tokens("60 . -") + [NO_EVENT] * 29


def test_tempo_and_program_are_kept() -> None:
    notes = make_notes([0, 16, 40], [4, 20, 44], [60, 62, 64], program=73)
    piece = Piece(notes, 4, tempos=(Tempo(0, 100.0), Tempo(16, 50.0), Tempo(48, 80.0)))
    examples = ONE_BAR.encode(piece)
    assert [(e.qpm, e.program) for e in examples] == [(100, 73), (50, 73), (50, 73)]
    decoded = ONE_BAR.decode(examples[1])
    assert decoded.tempos == (Tempo(0, 50.0),)
    assert decoded.metres == (Metre(0, 4, 4),)
    assert decoded.notes["program"].tolist() == [73]
    assert decoded.end_step == 16


# Metres


def test_two_bars_of_2_4_are_one_of_the_model() -> None:
    piece = piece_of((0, 8, 60), (8, 16, 62), (16, 24, 64), (24, 32, 65), metres=(Metre(0, 2, 4),))
    assert windows_of(ONE_BAR.encode(piece)) == [
        tokens("60 . . . . . . . 62 . . . . . . ."),
        tokens("64 . . . . . . . 65 . . . . . . ."),
    ]
    (second,) = ONE_BAR.encode(piece, bar=2)  # a window may begin at any of their bars
    assert second.ids[:, 0].tolist() == tokens("62 . . . . . . . 64 . . . . . . .")
    # training windows begin every bar of the model
    assert len(extracted(ONE_BAR, piece)) == 2


def test_an_odd_number_of_2_4_bars_is_padded() -> None:
    piece = piece_of((0, 8, 60), (8, 16, 62), (16, 24, 64), metres=(Metre(0, 2, 4),))
    assert windows_of(ONE_BAR.encode(piece))[1] == tokens("64 . . . . . . . - . . . . . . .")


WRONG_METRE = (
    "metre 3/4; the model takes 4/4 or 2/2 or 2/4; a model trained with "
    "--data.tokenizer.metres 4/4,2/2,2/4,3/4 takes it"
)


def test_another_metre_is_named() -> None:
    piece = piece_of((0, 4, 60), metres=(Metre(0, 3, 4),), length=48)
    with pytest.raises(InputError) as caught:
        TWO_BARS.encode(piece)
    assert str(caught.value) == f"no usable window: {WRONG_METRE}"
    only = MelodyTokenizer(metres=("4/4",))
    with pytest.raises(InputError, match=r": metre 3/4; the model takes 4/4; .* 4/4,3/4 takes it$"):
        only.encode(piece)
    extraction = TWO_BARS.extract(piece)
    assert extraction.sequences == []
    assert extraction.dropped == {other_metre(Metre(0, 3, 4), TWO_BARS): 3}
    taking = MelodyTokenizer(metres=("4/4", "2/2", "2/4", "3/4"), gap_bars=0)
    assert len(taking.extract(piece).sequences) == 3
    assert len(taking.encode(piece)) == 2


CHANGING = piece_of(
    # its first note names the bar
    (0, 16, 61),
    (16, 32, 62),
    (32, 44, 63),
    (44, 56, 64),
    (56, 64, 65),
    (64, 72, 66),
    (72, 80, 67),
    (80, 96, 68),
    (96, 100, 69),
    metres=(Metre(0, 4, 4), Metre(32, 3, 4), Metre(56, 2, 4), Metre(80, 4, 4)),
)


@pytest.mark.parametrize(
    ("bar", "expected"),
    [
        (1, [61, 62]),
        (2, [62]),
        (5, [65, 66, 67]),
        (6, [66, 67]),
        (7, [67]),
        (8, [68, 69]),
        (9, [69]),
    ],
)
def test_a_bar_is_found_over_changes_of_metre(bar: int, expected: list[int]) -> None:
    (example,) = TWO_BARS.encode(CHANGING, bar=bar)
    ids = example.ids[:, 0]
    assert ids[0] == token(expected[0])
    assert ids[ids > NOTE_OFF].tolist() == [token(pitch) for pitch in expected]


@pytest.mark.parametrize(
    ("bar", "reason"),
    [
        (3, WRONG_METRE),
        (4, WRONG_METRE),
        (0, "bar is 0; it has bars 1 to 9"),
        (10, "bar is 10; it has bars 1 to 9"),
        (-1, "bar is -1; it has bars 1 to 9"),
    ],
)
def test_a_bar_that_cannot_be_taken_has_a_reason(bar: int, reason: str) -> None:
    with pytest.raises(InputError, match="no usable window") as caught:
        TWO_BARS.encode(CHANGING, bar=bar)
    assert str(caught.value) == f"no usable window: {reason}"


def test_windows_do_not_cross_a_change_of_metre() -> None:
    starts = [e.ids[0, 0] for e in TWO_BARS.encode(CHANGING)]
    assert starts == [token(pitch) for pitch in (61, 65, 68)]
    windows = extracted(MelodyTokenizer(gap_bars=0), CHANGING)
    assert [w[0] for w in windows] == [token(pitch) for pitch in (61, 65, 68)]
    assert windows[1] == tokens(
        "65" + " ." * 7 + " 66" + " ." * 7 + " 67" + " ." * 7 + " -" + " ." * 7
    )


def test_each_bar_of_a_piece_is_its_own_window() -> None:
    """An offset by one bar or one step would show here."""
    bars = 12
    rows = [(BAR * bar, BAR * bar + 4, 40 + bar) for bar in range(bars)]
    piece = piece_of(*rows, length=bars * BAR)
    expected = [[token(40 + bar), 0, 0, 0, 1, *[0] * 11] for bar in range(bars)]
    assert windows_of(ONE_BAR.encode(piece)) == expected
    assert extracted(ONE_BAR, piece) == expected
    for bar in range(bars):
        assert windows_of(ONE_BAR.encode(piece, bar=bar + 1)) == [expected[bar]]


# What training takes and leaves


def test_training_windows_hop() -> None:
    rows = [(4 * i, 4 * i + 4, 60 + i) for i in range(20)]  # five bars
    starts = {1: [0, 4, 8, 12], 2: [0, 8], 3: [0, 12]}
    for hop_bars, first in starts.items():
        windows = extracted(MelodyTokenizer(hop_bars=hop_bars), piece_of(*rows))
        assert [w[0] for w in windows] == [token(60 + i) for i in first]


@pytest.mark.parametrize(
    ("rest", "gap_bars", "kept"),
    [(15, 1.0, True), (16, 1.0, False), (16, 0.0, True), (8, 0.5, False), (7, 0.5, True)],
)
def test_windows_with_a_long_rest_are_left_out(rest: int, gap_bars: float, kept: bool) -> None:
    piece = piece_of((0, 4, 60), (4 + rest, 32, 62))
    extraction = MelodyTokenizer(gap_bars=gap_bars).extract(piece)
    assert len(extraction.sequences) == kept
    reason = long_rest(gap_bars)
    assert extraction.dropped == ({} if kept else {reason: 1})


def test_encoding_takes_rests_as_they_are() -> None:
    assert len(TWO_BARS.encode(piece_of((0, 1, 60), (31, 32, 62)))) == 1


def test_a_silent_window_is_no_training_window() -> None:
    """Also where a note is held through it, which the window does not show."""
    held = piece_of((0, 80, 60))
    assert all(max(window) > NOTE_OFF for window in extracted(TWO_BARS, held))


@pytest.mark.parametrize("pitch", [47, 73])
def test_pitches_outside_the_range_are_left_out(pitch: int) -> None:
    tokenizer = MelodyTokenizer(num_bars=1, min_pitch=48, max_pitch=72)
    piece = piece_of((0, 16, 48), (16, 32, pitch), (32, 48, 72))
    extraction = tokenizer.extract(piece)
    assert [ids[0, 0] for ids in extraction.sequences] == [2, 26]
    assert extraction.dropped == {out_of_range(48, 72): 1}
    with pytest.raises(InputError, match=r"no usable window: a note outside 48\.\.72") as caught:
        tokenizer.encode(piece, bar=2)
    assert str(caught.value).endswith(
        "; transposing the clip into this range helps; a model trained with "
        "--data.tokenizer.min_pitch, --data.tokenizer.max_pitch takes it"
    )


def test_drums_and_chords_are_no_melody() -> None:
    melody = piece_of((0, 8, 60), (8, 16, 62), track=1)
    chords = piece_of((0, 8, 80), (0, 8, 84), (8, 16, 80), (8, 16, 84), track=0)
    drums = piece_of((0, 8, 100), (8, 16, 101), track=2)
    drums.notes["is_drum"] = True
    expected = [tokens("60 . . . . . . . 62 . . . . . . .")]
    whole = merge(chords, melody, drums)
    assert windows_of(ONE_BAR.encode(whole)) == expected
    extraction = ONE_BAR.extract(whole)
    assert [ids[:, 0].tolist() for ids in extraction.sequences] == expected
    assert extraction.dropped == {NOT_TAKEN["chords"]: 1, NOT_TAKEN["drums"]: 1}
    with pytest.raises(InputError) as caught:
        ONE_BAR.encode(merge(chords, drums))
    assert str(caught.value) == (
        "no melody in it: track 1 (chords: 100% of its onsets are chords), "
        "track 3 (drums: a drum kit); a polyphonic model, such as piano_2bar, takes chords; "
        "--tracks 'melody: track=1' takes track 1 for it"
    )
    insisting = MelodyTokenizer(num_bars=1, tracks=("melody: track=1",))
    assert windows_of(insisting.encode(merge(chords, drums)))[0][0] == token(84)


def test_some_chords_are_no_accompaniment() -> None:
    half = piece_of((0, 8, 60), (0, 8, 64), (8, 16, 62))
    assert windows_of(ONE_BAR.encode(half)) == [tokens("64 . . . . . . . 62 . . . . . . .")]
    strict = MelodyTokenizer(num_bars=1, max_chord_share=0.4)
    with pytest.raises(InputError, match="50% of its onsets are chords"):
        strict.encode(half)


def test_training_and_clips_take_the_highest_line() -> None:
    low = piece_of((0, 16, 40), track=0)
    high = piece_of((0, 16, 70), track=1)
    middle = piece_of((0, 16, 60), track=2)
    piece = merge(low, high, middle)
    assert [w[0] for w in windows_of(ONE_BAR.encode(piece))] == [token(70)]
    assert [w[0] for w in extracted(ONE_BAR, piece)] == [token(70)]
    assert ONE_BAR.extract(piece).dropped == {NOT_TAKEN["line"]: 2}
    every = MelodyTokenizer(num_bars=1, tracks=("melody: all",))
    assert [w[0] for w in extracted(every, piece)] == [token(p) for p in (40, 70, 60)]
    assert [w[0] for w in windows_of(every.encode(piece))] == [token(70)]


def test_a_file_without_notes_has_a_reason() -> None:
    extraction = TWO_BARS.extract(Piece(make_notes([], [], []), 4))
    assert extraction.sequences == []
    assert extraction.dropped == {NO_NOTES: 1}


# Decoding


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("60 . . . 62 . . . - . . . 64 . . .", [(0, 4, 60), (4, 8, 62), (12, 16, 64)]),
        # NOTE_OFF in silence says nothing
        ("- . - . 60 . - - . - . . . . . -", [(4, 6, 60)]),
        (". . . . . . . . . . . . . . . .", []),
        ("- - - - - - - - - - - - - - - -", []),
        ("60 60 . . . . . . . . . . . . . 108", [(0, 1, 60), (1, 15, 60), (15, 16, 108)]),
        (". . . . . . . . . . . . . . 21 -", [(14, 15, 21)]),
    ],
)  # fmt: skip
def test_decode_by_hand(text: str, rows: list[Row]) -> None:
    piece = ONE_BAR.decode(Example(np.array(tokens(text))[:, None]))
    assert rows_of(piece) == rows
    assert piece.end_step == 16


def test_show() -> None:
    ids = np.array(tokens("60 . . . - . . 73 21 . . . . . . ."))[:, None]
    assert ONE_BAR.show(ids) == "C4 . . . | - . . C#5 | A0 . . . | . . . ."
    coarse = MelodyTokenizer(steps_per_quarter=2)
    assert coarse.show(ids) == "C4 . | . . | - . | . C#5 | A0 . | . . | . . | . ."


# There and back


def random_ids(rng: np.random.Generator, num_steps: int) -> Ids:
    """Any sequence of the vocabulary: a model may decode each."""
    share = rng.dirichlet([2, 1, 1])  # of NO_EVENT, NOTE_OFF and onsets
    kind = rng.choice(3, num_steps, p=share)
    onsets = rng.integers(2, VOCAB_SIZE, num_steps)
    return np.where(kind == 2, onsets, kind)[:, None]


@pytest.mark.parametrize("num_bars", [1, 2, 16])
def test_what_a_model_decodes_is_encoded_again(tmp_path: Path, num_bars: int) -> None:
    tokenizer = MelodyTokenizer(num_bars=num_bars)
    rng = np.random.default_rng(num_bars)
    for number in range(100):
        ids = random_ids(rng, tokenizer.max_steps)
        example = Example(ids, qpm=round(rng.uniform(40, 240), 1), program=number)
        piece = tokenizer.decode(example)
        written = through_a_file(piece, tmp_path)
        (again,) = tokenizer.encode(written)
        assert again.ids[:, 0].tolist() == canonical(ids[:, 0].tolist())
        assert rows_of(tokenizer.decode(again)) == rows_of(piece) == rows_of(written)
        assert again.qpm == pytest.approx(example.qpm, rel=1e-4)
        if len(piece.notes):
            assert again.program == number
        # without the file too
        assert (tokenizer.encode(piece)[0].ids == again.ids).all()


def test_windows_of_real_tunes_survive_a_file(data_folder: Path, tmp_path: Path) -> None:
    files = find_midi(data_folder / "midi" / "nottingham" / "MIDI" / "melody")[::10]
    windows: dict[bytes, Ids] = {}
    for file in files:
        for ids in TWO_BARS.extract(read_midi(file, 4)).sequences:
            windows.setdefault(ids.tobytes(), ids)
    for ids in windows.values():
        assert ids.shape == (32, 1)
        assert canonical(ids[:, 0].tolist()) == ids[:, 0].tolist()
        (again,) = TWO_BARS.encode(
            through_a_file(TWO_BARS.decode(Example(ids.astype(np.int64))), tmp_path)
        )
        assert (again.ids == ids).all()
    assert len(files) >= 100
    assert len(windows) > 900


def test_windows_of_real_tunes_are_their_bars(data_folder: Path) -> None:
    """Extraction for training and encoding by bar are two ways to the same window."""
    for file in find_midi(data_folder / "midi" / "nottingham" / "MIDI" / "melody")[::40]:
        piece = read_midi(file, 4)
        if {str(metre) for metre in piece.metres} != {"4/4"} or len(piece.metres) > 1:
            continue
        tokenizer = MelodyTokenizer(gap_bars=0)
        windows = extracted(tokenizer, piece)
        for bar, window in enumerate(windows, start=1):
            assert windows_of(tokenizer.encode(piece, bar=bar)) == [window]


def test_the_grid_may_be_finer(tmp_path: Path) -> None:
    tokenizer = MelodyTokenizer(num_bars=1, steps_per_quarter=12, metres=("3/4", "6/8"))
    ids = random_ids(np.random.default_rng(5), 36)
    piece = tokenizer.decode(Example(ids, qpm=83.3))
    assert piece.metres == (Metre(0, 3, 4),)
    (again,) = tokenizer.encode(through_a_file(piece, tmp_path))
    assert again.ids[:, 0].tolist() == canonical(ids[:, 0].tolist())


def test_settings_survive_json() -> None:
    tokenizer = MelodyTokenizer(num_bars=4, metres=("3/4",), gap_bars=0, max_transpose=0)
    assert MelodyTokenizer.from_json(tokenizer.to_json()) == tokenizer


# Transposition


def batch(num_windows: int, low: int, high: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(0)
    ids = np.stack([random_ids(rng, 32) for _ in range(num_windows)])
    return np.where(ids > NOTE_OFF, rng.integers(token(low), token(high) + 1, ids.shape), ids)


def shifts(before: NDArray[np.int64], after: NDArray[np.int64]) -> list[int]:
    """The shift of each window that has an onset; the same for all its onsets."""
    semitones = []
    for old, new in zip(before, after, strict=True):
        onset = old > NOTE_OFF
        assert (new[~onset] == old[~onset]).all()
        if onset.any():
            assert len(set((new - old)[onset].tolist())) == 1
            semitones.append(int((new - old)[onset][0]))
    return semitones


def test_augment_moves_each_window_as_a_whole() -> None:
    ids = batch(300, 50, 80)
    kept = ids.copy()
    augmented = TWO_BARS.augment(ids, np.random.default_rng(1))
    assert augmented.shape == ids.shape
    assert augmented.dtype == ids.dtype
    assert set(shifts(ids, augmented)) == set(range(-5, 6))
    assert (ids == kept).all()


def test_augment_stays_in_the_vocabulary() -> None:
    for low, high in [(21, 108), (21, 24), (105, 108), (23, 106)]:
        ids = batch(200, low, high)
        for seed in range(5):
            augmented = TWO_BARS.augment(ids, np.random.default_rng(seed))
            moved = shifts(ids, augmented)
            assert augmented.max() < VOCAB_SIZE
            assert min(moved) >= -5
            assert max(moved) <= 5
            assert ((augmented > NOTE_OFF) == (ids > NOTE_OFF)).all()


def test_augment_goes_as_far_as_the_range_allows() -> None:
    ids = np.array(tokens("21 . 103" + " ." * 13))[None, :, None].repeat(400, axis=0)
    assert set(shifts(ids, ONE_BAR.augment(ids, np.random.default_rng(0)))) == set(range(6))
    ids = np.array(tokens("108 . 24" + " ." * 13))[None, :, None].repeat(400, axis=0)
    assert set(shifts(ids, ONE_BAR.augment(ids, np.random.default_rng(0)))) == set(range(-3, 1))


def test_augment_differs_between_draws_and_repeats_with_a_seed() -> None:
    ids = batch(50, 50, 80)
    rng = np.random.default_rng(3)
    first, second = TWO_BARS.augment(ids, rng), TWO_BARS.augment(ids, rng)
    assert shifts(ids, first) != shifts(ids, second)
    assert (TWO_BARS.augment(ids, np.random.default_rng(3)) == first).all()


def test_augment_can_be_turned_off() -> None:
    ids = batch(20, 50, 80)
    still = MelodyTokenizer(max_transpose=0).augment(ids, np.random.default_rng(0))
    assert (still == ids).all()


# Settings


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {"kind": "melodie"},
            "tokenizer kind is 'melodie'; choose one of text, words, symbols, melody",
        ),
        ({"kind": None}, "tokenizer kind is None"),
        ({"num_bar": 2}, "melody tokenizer has no 'num_bar'; it has num_bars"),
        ({"num_bars": 0}, "num_bars is 0; it must be 1 or more"),
        ({"num_bars": -2}, "num_bars is -2"),
        ({"num_bars": "2"}, "num_bars is '2'"),
        ({"num_bars": 2.5}, "num_bars is 2.5"),
        ({"num_bars": None}, "num_bars is None"),
        ({"num_bars": [2]}, "num_bars is"),
        ({"steps_per_quarter": 0}, "steps_per_quarter is 0"),
        ({"hop_bars": 0}, "hop_bars is 0"),
        ({"gap_bars": -1}, "gap_bars is -1; it must be 0 or more"),
        ({"gap_bars": "1"}, "gap_bars is '1'"),
        ({"max_transpose": -1}, "max_transpose is -1"),
        ({"max_transpose": True}, "max_transpose is True"),
        ({"min_pitch": 80, "max_pitch": 60}, "pitches 80..60; they must rise within 0..127"),
        ({"min_pitch": -1}, "pitches -1..108"),
        ({"max_pitch": 128}, "pitches 21..128"),
        ({"metres": []}, "metres is empty"),
        ({"metres": ""}, "metre ''"),
        ({"metres": ["7/3"]}, "7/3"),
        ({"metres": ["4/4", "7/3"]}, "7/3"),
        ({"metres": ["3/8"], "steps_per_quarter": 1}, "3/8"),
        ({"metres": ["0/4"]}, "0/4"),
        ({"metres": ["4/0"]}, "4/0"),
        ({"metres": ["four"]}, "metre 'four'; write it as 4/4"),
        ({"metres": [4]}, "4"),
    ],
    ids=str,
)
def test_impossible_settings_are_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError) as caught:
        make_tokenizer({"kind": "melody"} | settings)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_are_completed() -> None:
    complete = complete_settings({"kind": "melody", "num_bars": 4})
    assert complete["num_bars"] == 4
    assert complete["metres"] == ["4/4", "2/2", "2/4"]
    assert make_tokenizer(complete) == MelodyTokenizer(num_bars=4)
    assert complete_settings(complete) == complete


def test_what_is_left_out_of_a_clip_is_said(caplog: pytest.LogCaptureFixture) -> None:
    notes = make_notes([0, 4, 32, 44], [4, 8, 36, 48], [60, 62, 64, 65])
    piece = Piece(notes, 4, (Metre(0, 4, 4), Metre(32, 3, 4)))
    assert len(MelodyTokenizer().encode(piece)) == 1
    assert "the clip: left out: 1 window: metre 3/4" in caplog.text
    MelodyTokenizer().encode(replace(piece, name="b.mid"))
    assert "b.mid: left out: 1 window: metre 3/4" in caplog.text
