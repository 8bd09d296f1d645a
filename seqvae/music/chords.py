"""Chords of a piece: those that a file names, those that its notes suggest, and transposed ones.

Chords are numbers; see `chord_names`.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.music.beat_files import COMMENT_SIGNS, decoded, separator_of
from seqvae.music.chord_names import NO_CHORD, NUM_CHORDS, QUALITIES, parse_chord
from seqvae.music.notes import Notes, Piece, bars, nearest_steps, steps_per_bar

MIN_FIT = 0.6  # of the sounding time must belong to notes of the chord; else there is none

# Whether a pitch class belongs to a chord; row n is that of chord n + 1.
TRIADS = np.array(
    [
        [(pitch - root) % 12 in tones for pitch in range(12)]
        for tones in QUALITIES.values()
        for root in range(12)
    ],
    np.float64,
)


def transpose_chords(chords: NDArray[np.int64], semitones: NDArray[np.int64]) -> NDArray[np.int64]:
    """Transpose numbers of chords up by semitones; no chord stays no chord."""
    quality, root = np.divmod(chords - 1, 12)
    moved: NDArray[np.int64] = 1 + 12 * quality + (root + semitones) % 12
    return np.where(chords == NO_CHORD, NO_CHORD, moved)


@dataclass(frozen=True, eq=False)
class ChordTrack:
    """The chords of a performance."""

    times: NDArray[np.float64]
    """Second at which each chord begins."""
    numbers: NDArray[np.int64]
    """Number of each chord; `NO_CHORD` between two chords and after the last one."""

    def changes(self, positions: NDArray[np.float64]) -> tuple[tuple[int, int], ...]:
        """The nearest step to the position of each chord, in steps, and the chord's number.

        The last of several chords at a step counts.
        """
        steps = np.maximum(nearest_steps(positions), 0).astype(int).tolist()
        number_at = dict(zip(steps, self.numbers.tolist(), strict=True))
        return tuple(sorted(number_at.items()))


def read_chords(path: Path) -> ChordTrack:
    """Read a chord file: one line per chord, with its begin and end in seconds and its name.

    They are separated by spaces, tabs, semicolons or commas. Names of the columns and comments may
    come first.

    Raises:
        InputError: the file cannot be read, or a line is malformed.
    """
    times: list[float] = []
    numbers: list[int] = []
    last_begin, last_end = -math.inf, math.inf
    for line_number, line in _numbered_lines(path):
        try:
            begin, end, chord = _parse_line(line)
            if not (math.isfinite(end) and last_begin <= begin <= end):
                raise InputError(f"the times {begin:g} and {end:g} do not rise")
        except InputError as error:
            raise InputError(f"{path}: line {line_number}: {error}") from error
        if begin > last_end:
            times.append(last_end)
            numbers.append(NO_CHORD)
        times.append(begin)
        numbers.append(chord)
        last_begin, last_end = begin, end
    if not times:
        raise InputError(f"{path}: no chords; a line is begin, end, chord")
    return ChordTrack(np.array([*times, last_end]), np.array([*numbers, NO_CHORD]))


def _numbered_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a file with their numbers, without comments and names of columns."""
    try:
        lines = decoded(path.read_bytes()).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "neither UTF-8 nor UTF-16"
        raise InputError(f"{path}: cannot be read ({reason})") from error
    numbered = [
        (number, line)
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.lstrip().startswith(COMMENT_SIGNS)
    ]
    if len(numbered) > 1 and not any(map(str.isdigit, numbered[0][1])):
        del numbered[0]  # names of the columns
    return numbered


def _parse_line(line: str) -> tuple[float, float, int]:
    """Begin, end and number of the chord in a line of a chord file."""
    separator = separator_of(line)
    fields = line.split() if separator is None else line.split(separator, maxsplit=2)
    try:
        begin, end, name = (field.strip(' \t"') for field in fields)
        times = float(begin.replace(",", ".")), float(end.replace(",", "."))
    except ValueError as error:
        raise InputError(f"{line[:40]!r} must be begin, end, chord") from error
    return *times, parse_chord(name)


def half_bars(piece: Piece) -> list[int]:
    """The steps at which half bars begin, and the end of the piece.

    A bar is not halved if its half is no whole number of quarters.
    """
    edges = []
    for bar in bars(piece):
        edges.append(bar.start_step)
        length = steps_per_bar(bar.stretch.metre, piece.steps_per_quarter) or 0
        half, rest = divmod(length, 2)
        middle = bar.start_step + half
        if half and not rest and half % piece.steps_per_quarter == 0:
            edges += [middle] if middle < bar.stretch.end_step else []
    return [*edges, piece.end_step]


def suggested_chords(notes: Notes, edges: Sequence[int]) -> NDArray[np.int64]:
    """The chord that the notes between each two edges suggest, or none: (len(edges) - 1,).

    Edges are steps. A chord fits by the share of the sounding time that its notes take, at least
    `MIN_FIT`. Among equal fits a chord with all three notes wins, then one on the lowest note, then
    the plainest: major before minor.
    """
    pitched = notes[~notes["is_drum"]]
    bounds = np.asarray(edges, np.int64).tolist()
    return np.array([_best_chord(pitched, *bound) for bound in itertools.pairwise(bounds)], int)


def _best_chord(pitched: Notes, begin: int, end: int) -> int:
    """The chord that fits best what sounds from one step to another."""
    sounding = pitched[(pitched["start"] < end) & (pitched["end"] > begin)]
    if not len(sounding):
        return NO_CHORD
    steps = np.minimum(sounding["end"], end) - np.maximum(sounding["start"], begin)
    profile = np.bincount(sounding["pitch"] % 12, steps, minlength=12)
    fit = TRIADS @ profile / profile.sum()
    is_complete = TRIADS @ (profile > 0) >= 3
    quality, root = np.divmod(np.arange(NUM_CHORDS - 1), 12)
    is_on_bass = root == sounding["pitch"].min() % 12
    best = int(np.lexsort((-quality, is_on_bass, is_complete, fit.round(9)))[-1])
    return best + 1 if fit[best] >= MIN_FIT else NO_CHORD
