"""Chords that notes suggest, and chords transposed."""

import numpy as np
import pytest
from chords import named, notes

from seqvae.music.chord_names import NO_CHORD, parse_chords
from seqvae.music.chords import half_bars, suggested_chords, transpose_chords
from seqvae.music.notes import Metre, Piece, make_notes


def test_transposition() -> None:
    before = np.array(parse_chords("C Am Bdim N F#sus4"))
    after = transpose_chords(before, np.full(5, 3))
    assert named(after) == ["Eb", "Cm", "Ddim", "N", "Asus4"]
    assert (transpose_chords(after, np.full(5, -3)) == before).all()


@pytest.mark.parametrize(
    ("pitches", "expected"),
    [
        ([60, 64, 67], "C"),
        ([64, 67, 72], "C"),  # turned over
        ([57, 60, 64, 69], "Am"),
        ([59, 62, 65], "Bdim"),
        ([60, 64, 68], "Caug"),
        ([64, 68, 72], "Eaug"),  # of equals the one on the lowest note
        ([67, 72, 74], "Gsus4"),
        ([60, 64, 67, 70], "C"),  # a seventh
        ([60], "C"),  # of equals the plainest
        ([60, 63], "Cm"),
        ([60, 67], "C"),
        ([60, 61, 62, 63, 64, 65], "N"),
    ],
)
def test_what_notes_suggest(pitches: list[int], expected: str) -> None:
    (chord,) = suggested_chords(notes((0, pitches)).notes, [0, 4])
    assert named([chord]) == [expected]


def test_notes_suggest_where_they_sound() -> None:
    piece = notes((0, [60, 64, 67]), (6, [57, 60, 64]))
    suggested = suggested_chords(piece.notes, [0, 4, 6, 12, 16])
    assert named(suggested) == ["C", "N", "Am", "N"]
    drums = make_notes([0], [4], [36], is_drum=True)
    assert suggested_chords(drums, [0, 4]).tolist() == [NO_CHORD]


@pytest.mark.parametrize(
    ("sounding", "expected"),
    [
        # long notes count more than many short ones
        ([(60, 0, 8), (64, 0, 8), (67, 0, 8), (62, 0, 1), (65, 1, 2), (69, 2, 3), (71, 3, 4)], "C"),
        # only the time between the edges counts
        ([(60, -20, 1), (64, -20, 1), (67, -20, 1), (62, 1, 4), (65, 1, 4), (69, 1, 4)], "Dm"),
        ([(60, 7, 30), (64, 7, 30), (67, 7, 30), (62, 0, 7), (65, 0, 7), (69, 0, 7)], "Dm"),
        # of equals, C has all its notes, and F#dim only the bass
        ([(42, 0, 2), (48, 0, 2), (52, 0, 1), (55, 0, 1)], "C"),
    ],
)
def test_chords_fit_by_the_time_that_notes_sound(
    sounding: list[tuple[int, int, int]], expected: str
) -> None:
    pitch, start, end = (np.array(column) for column in zip(*sounding, strict=True))
    before = 32
    (chord,) = suggested_chords(make_notes(start + before, end + before, pitch), [32, 40])
    assert named([chord]) == [expected]


def test_suggestions_follow_the_bars_of_the_piece() -> None:
    """After a pickup half bars begin later; a bar of three quarters is not halved."""
    broken = [48, 64, 67, 64] * 2  # two quarters of C
    starts = 4 + np.arange(8) * 2
    after_pickup = Piece(
        make_notes([0, *starts], [4, *(starts + 2)], [67, *broken]), 4,
        (Metre(0, 1, 4), Metre(4, 4, 4)),
    )  # fmt: skip
    assert half_bars(after_pickup) == [0, 4, 12, 20]
    waltz = Piece(make_notes([0], [36], [60]), 4, (Metre(0, 3, 4),))
    assert half_bars(waltz) == [0, 12, 24, 36]
    jig = Piece(make_notes([0], [24], [60]), 2, (Metre(0, 12, 8),))
    assert half_bars(jig) == [0, 6, 12, 18, 24]
