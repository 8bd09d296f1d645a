"""Windows with a token per step: their rests, their conditions, and how they are shown."""

import numpy as np
import pytest

from seqvae.music.chord_names import NO_CHORD, number
from seqvae.music.notes import Piece, make_notes
from seqvae.reasons import Reason
from seqvae.tokenizers.drums import DrumsTokenizer
from seqvae.tokenizers.grid import (
    Roll,
    chord_column,
    grid_windows,
    in_quarters,
    longest_runs,
    taken_steps,
)
from seqvae.tokenizers.windows import Span

C, A_MINOR, G = number(0, 0), number(9, 1), number(7, 0)


def test_longest_runs() -> None:
    mask = np.random.default_rng(0).random((200, 12)) < 0.7
    expected = [max(map(len, "".join("01"[int(x)] for x in row).split("0"))) for row in mask]
    assert longest_runs(mask).tolist() == expected
    edges = np.array([[True] * 4, [False] * 4, [True, False, True, True]])
    assert longest_runs(edges).tolist() == [4, 0, 2]


def roll(tokens: list[list[int]], refused: dict[str, list[bool]]) -> Roll:
    column = np.array(tokens)[..., None]
    which = {Reason("window", text): np.array(windows) for text, windows in refused.items()}
    return Roll(column, column[..., 0] == 0, which)


def test_voices_stand_side_by_side_and_each_must_sound() -> None:
    high = roll([[1, 1, 1], [2, 0, 0], [3, 3, 3]], {"out": [True, False, False]})
    low = roll([[4, 4, 4], [5, 5, 5], [6, 0, 6]], {"out": [False, True, False], "odd": [False] * 3})
    windows = grid_windows([high, low], Span(np.array([0, 3, 6]), 3, 9), None)
    assert np.array(windows.ids)[:, 0].tolist() == [[1, 4], [2, 5], [3, 6]]
    assert windows.rests.tolist() == [0, 2, 1]  # of the voice that rests longer
    refused = {reason.text: which.tolist() for reason, which in windows.refused.items()}
    assert refused == {"out": [True, True, False], "odd": [False, False, False]}


def test_conditions_are_those_of_the_step_and_none_after_the_metre() -> None:
    conditions = np.array([[1], [2], [3], [4], [5], [6], [0]])  # of six steps, and after them
    voice = roll([[7] * 3] * 3, {})
    windows = grid_windows([voice], Span(np.array([0, 2, 3]), 3, 5), conditions)
    assert np.array(windows.ids)[..., 1].tolist() == [[1, 2, 3], [3, 4, 5], [4, 5, 0]]


def test_named_chords_hold_until_the_next_one() -> None:
    notes = make_notes([0], [16], [60])
    piece = Piece(notes, 4, num_steps=20, chords=((2, C), (8, A_MINOR), (18, G), (30, C)))
    column = [NO_CHORD] * 2 + [C] * 6 + [A_MINOR] * 10 + [G] * 2 + [NO_CHORD]
    assert chord_column(piece)[:, 0].tolist() == column


def test_notes_suggest_the_chord_of_their_half_bar() -> None:
    notes = make_notes([0, 0, 0, 8, 8, 8], [8] * 3 + [16] * 3, [60, 64, 67, 57, 60, 64])
    column = chord_column(Piece(notes, 4, num_steps=24))[:, 0].tolist()
    assert column == [C] * 8 + [A_MINOR] * 8 + [NO_CHORD] * 9


@pytest.mark.parametrize("chords", [False, True])
def test_conditions_are_there_where_chords_are_asked_for(chords: bool) -> None:
    tokenizer = DrumsTokenizer(chords=chords)
    assert tokenizer.condition_sizes == tokenizer.steps.condition_sizes == ((61,) if chords else ())
    piece = Piece(make_notes([0], [16], [60]), 4)
    conditions = tokenizer.conditions(piece)
    assert (conditions is not None) == chords


def test_whole_bars_are_taken() -> None:
    settings = DrumsTokenizer(num_bars=3, steps_per_quarter=2)
    steps = taken_steps(settings, 50, 4, 1.0, np.random.default_rng(0))
    assert steps.shape == (50, 24, 4)
    bars = steps.reshape(50, 3, 8, 4)
    assert (bars == bars[:, :, :1]).all()
    assert (bars[:, 0] != bars[:, 1]).any()


def test_quarters_are_set_apart() -> None:
    assert in_quarters(iter("abcdef"), 4) == "a b c d | e f"
    assert in_quarters("abcdef", 2) == "a b | c d | e f"
