"""Whether onsets follow a grid: played freely, in triplets, to a click, and of few notes."""

import numpy as np
import pytest

from seqvae.music.notes import Metre, Piece, Tempo, make_notes, nearest_steps
from seqvae.music.timing import (
    MIN_NOTES,
    OFF_GRID,
    SHORT_NOTES,
    TRIPLETS,
    concentration,
    has_grid,
    off_grid,
    on_sixteenths,
)
from seqvae.reasons import Reason


def piece(onsets: np.ndarray, steps_per_quarter: int = 4, qpm: float = 120.0) -> Piece:
    """Notes at these onsets, in quarters."""
    positions = onsets * steps_per_quarter
    steps = nearest_steps(positions)
    notes = make_notes(steps, steps + 1, 60, offset=positions - steps)
    return Piece(notes, steps_per_quarter, tempos=(Tempo(0, qpm),))


def freely(num_notes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.05, 0.6, num_notes).cumsum()


def by_hand(onsets: np.ndarray, spread: float) -> np.ndarray:
    return np.abs(onsets + np.random.default_rng(1).normal(0, spread, len(onsets)))


EIGHTHS = np.arange(200) / 2
SWING = np.arange(200) // 2 + np.tile([0, 2 / 3], 100)


def test_a_free_performance_has_no_grid() -> None:
    for seed in range(20):
        assert not has_grid(piece(freely(400, seed)))
        assert not has_grid(piece(freely(2000, seed), qpm=97.0))


@pytest.mark.parametrize("steps_per_quarter", [4, 6, 12])
@pytest.mark.parametrize(
    "onsets", [EIGHTHS, EIGHTHS / 4, SWING, EIGHTHS / 1.5, EIGHTHS / 6], ids=str
)
def test_music_on_a_grid_has_one_however_it_is_divided(
    onsets: np.ndarray, steps_per_quarter: int
) -> None:
    assert has_grid(piece(onsets, steps_per_quarter))
    assert has_grid(piece(by_hand(onsets, 0.02), steps_per_quarter))


def test_a_grid_that_lies_late_is_one() -> None:
    assert has_grid(piece(EIGHTHS + 0.06))


def test_of_few_notes_nobody_can_tell() -> None:
    assert has_grid(piece(freely(MIN_NOTES - 1)))
    assert not has_grid(piece(freely(MIN_NOTES, seed=5)))


def test_who_names_a_tempo_or_beats_needs_less_of_a_grid() -> None:
    """A drummer who drifts: the file's own tempo says that there was a click."""
    drifting = by_hand(np.arange(4000) / 2, 0.143)
    assert 0.15 < concentration(drifting) < 0.25
    assert not has_grid(piece(drifting))
    assert has_grid(piece(drifting, qpm=97.0))
    waltz = Piece(piece(drifting).notes, 4, (Metre(0, 3, 4),))
    assert has_grid(waltz)
    rubato = by_hand(np.arange(4000) / 2, 0.165)
    assert 0.1 < concentration(rubato) < 0.15
    assert not has_grid(piece(rubato, qpm=97.0))
    assert has_grid(piece(rubato, qpm=97.0), by_beats=True)


def test_concentration_has_its_closed_form() -> None:
    assert concentration(EIGHTHS) == pytest.approx(1)
    assert concentration(np.arange(200) / 3) == pytest.approx(1)
    assert concentration(np.arange(480) / 48) == pytest.approx(0)
    # half on the quarter, half a quarter of it later: |1 + i| / 2, and 1 on sixteenths
    assert concentration(np.array([0.0, 0.25])) == pytest.approx(1)
    seven_eighths = np.arange(4800) / 4800 * 7 / 8  # of the circle: sin(7 pi / 8) / (7 pi / 8)
    phase = 7 * np.pi / 8
    assert concentration(seven_eighths) == pytest.approx(np.sin(phase) / phase, abs=0.01)


def test_most_files_need_no_closer_look() -> None:
    assert on_sixteenths(piece(EIGHTHS))
    assert on_sixteenths(piece(np.append(EIGHTHS, EIGHTHS[:45] + 0.06)))  # 82 % are close
    assert not on_sixteenths(piece(np.append(EIGHTHS, EIGHTHS[:60] + 0.06)))  # 77 %
    assert not on_sixteenths(piece(EIGHTHS, steps_per_quarter=12))


@pytest.mark.parametrize(
    ("onsets", "steps_per_quarter", "expected"),
    [
        (EIGHTHS, 4, None),
        (by_hand(EIGHTHS, 0.01), 4, None),
        (SWING, 4, TRIPLETS),
        (np.arange(200) / 3, 4, TRIPLETS),
        (by_hand(SWING, 0.01), 4, TRIPLETS),
        (SWING, 12, None),
        (SWING, 24, None),
        (SWING, 6, TRIPLETS),
        (np.arange(200) / 8, 4, SHORT_NOTES),
        (np.arange(200) / 8, 8, None),
        (EIGHTHS + 0.06, 12, OFF_GRID),
        (EIGHTHS + 0.25, 6, None),
        (EIGHTHS + 0.06, 4, OFF_GRID),
        (np.arange(200) + 0.56, 4, OFF_GRID),
        (by_hand(EIGHTHS, 0.1), 4, OFF_GRID),
        (np.append(EIGHTHS, EIGHTHS[:80] + 0.06), 4, None),  # 29 % of them
        (np.append(EIGHTHS, EIGHTHS[:90] + 0.06), 4, OFF_GRID),  # 31 %
        (np.array([]), 4, None),
    ],
)
def test_what_lies_off_the_sixteenths_is_told_apart(
    onsets: np.ndarray, steps_per_quarter: int, expected: Reason | None
) -> None:
    assert off_grid(piece(onsets, steps_per_quarter)) == expected
