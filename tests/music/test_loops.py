"""Which pieces are loops, and what repeating them gives."""

from dataclasses import replace

import numpy as np
import pytest

from seqvae.music.loops import a_loop, loop_bars, repeated
from seqvae.music.notes import Key, Metre, Piece, Tempo, make_notes


def hits(*steps: int, length: int = 1, **about: object) -> Piece:
    starts = np.array(steps)
    return replace(Piece(make_notes(starts, starts + length, 36, is_drum=True), 4), **about)


WALTZ = (Metre(0, 3, 4),)


@pytest.mark.parametrize(
    ("piece", "num_bars"),
    [
        (hits(0, 4, 8, 12), 1),
        (hits(0), 1),
        (hits(0, 14, length=2), 1),
        (hits(0, 14, length=6), 1),  # released a quarter late
        (hits(0, 14, length=7), 2),
        (hits(0, 16), 2),
        (hits(0, length=32), 2),  # held
        (hits(0, 47), 3),
        (hits(0, num_steps=32), 2),  # the file says so
        (hits(0, num_steps=16), 1),
        (hits(0, num_steps=20), 1),  # no bar line
        (hits(0, 11, metres=WALTZ), 1),
        (hits(0, 12, metres=WALTZ), 2),
        (hits(0, 17, metres=(Metre(0, 4, 4), Metre(16, 3, 4))), None),
        (hits(0, 12, metres=(Metre(0, 4, 4), Metre(16, 3, 4))), 1),
        (hits(0, metres=(Metre(0, 1, 64),)), None),  # no whole step
        (hits(), None),
    ],
)
def test_bars_of_a_loop(piece: Piece, num_bars: int | None) -> None:
    assert loop_bars(piece) == num_bars


@pytest.mark.parametrize(
    ("num_bars", "window_bars", "times"),
    [
        (1, 2, 2), (1, 4, 4), (2, 4, 2), (3, 4, 1), (3, 8, 1), (2, 2, 1), (4, 2, 1), (1, 1, 1),
    ],
)  # fmt: skip
def test_a_loop_fills_a_window_where_it_fits_evenly(
    num_bars: int, window_bars: int, times: int
) -> None:
    piece = hits(0, 16 * num_bars - 1)
    whole = repeated(piece, 16 * window_bars)
    assert whole.notes["start"].tolist() == [
        16 * num_bars * i + step for i in range(times) for step in (0, 16 * num_bars - 1)
    ]
    assert whole.noted == ({a_loop(num_bars): 1} if times > 1 else {})


def test_repeating_keeps_chords_and_tempos_and_cuts_late_releases() -> None:
    piece = hits(
        0,
        14,
        length=4,
        key=Key(3),
        chords=((0, 1), (8, 2), (16, 3)),
        tempos=(Tempo(0, 90.0), Tempo(20, 80.0)),
    )
    whole = repeated(piece, 48)
    assert whole.notes["end"].tolist() == [4, 16, 20, 32, 36, 48]
    assert whole.chords == ((0, 1), (8, 2), (16, 1), (24, 2), (32, 1), (40, 2))
    assert whole.tempos == (Tempo(0, 90.0),)
    assert whole.metres == (Metre(0, 4, 4),)
    assert whole.key == Key(3)
    assert whole.end_step == 48


def test_what_is_said_of_a_loop() -> None:
    assert str(a_loop(1)) == "a loop of 1 bar, repeated to fill a window"
    assert str(a_loop(2)) == "a loop of 2 bars, repeated to fill a window"
