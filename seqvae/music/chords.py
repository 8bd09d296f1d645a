"""Chords: their names, their numbers, and which one a bar of notes suggests.

A chord is one of five triads on one of twelve roots, or none; sevenths, added notes and other
basses are left out. A number is 0 for no chord and 1 + 12 * quality + root else.
"""

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.music.notes import NOTE_NAMES, Notes, Piece, bars, nearest_steps, steps_per_bar

QUALITIES = {"": (0, 4, 7), "m": (0, 3, 7), "aug": (0, 4, 8), "dim": (0, 3, 6), "sus4": (0, 5, 7)}
NO_CHORD = 0
NUM_CHORDS = 1 + 12 * len(QUALITIES)
MIN_FIT = 0.6  # share of the sounding time that a chord's own notes take; less suggests none

# What names of qualities begin with, the longer ones first; what follows is left out.
SPELLINGS = {
    "maj": "", "M": "", "min": "m", "hdim": "dim", "dim": "dim", "aug": "aug", "sus4": "sus4",
    "sus2": "sus2", "sus": "sus4", "m": "m", "-": "m", "o": "dim", "+": "aug",
    "": "",
}  # fmt: skip
NAME = re.compile(
    rf"([A-G])([#b]*):?({'|'.join(map(re.escape, SPELLINGS))})"
    r"((?:maj|M|add|sus4|sus2|sus|no|[#b]?\d|\([^)]*\))*)(/[^/ ]+)?"
)
ACCEPTED = "C, Am, F#dim, Bbaug, Gsus4, D7, Em7/B, C:maj, N for none"


def parse_chord(name: str) -> int:
    """The number of a chord's name.

    Raises:
        InputError: it is no chord.
    """
    if name in ("N", "N.C.", "NC", "X"):
        return NO_CHORD
    match = NAME.fullmatch(name)
    if match is None:
        raise InputError(f"{name!r} is no chord; write them as {ACCEPTED}")
    letter, accidentals, spelling, extension, _ = match.groups()
    root = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[letter]
    root += accidentals.count("#") - accidentals.count("b")
    quality = SPELLINGS[spelling]
    if quality == "" and "sus" in extension:
        quality = "sus2" if "sus2" in extension else "sus4"
    elif quality == "m" and "b5" in extension:
        quality = "dim"
    elif quality == "" and "#5" in extension:
        quality = "aug"
    if quality == "sus2":  # C D G is G C D, turned over
        quality, root = "sus4", root + 7
    return number(root, list(QUALITIES).index(quality))


def parse_chords(text: str) -> list[int]:
    """The numbers of chords with spaces, commas or bars between them: "C Am | F, G"."""
    names = re.findall(r"[^\s,|]+", text)
    if not names:
        raise InputError(f"no chords in {text!r}; write them as {ACCEPTED}")
    return [parse_chord(name) for name in names]


def number(root: int, quality: int) -> int:
    """The number of a chord."""
    return 1 + 12 * quality + root % 12


def chord_name(chord: int) -> str:
    """The name of a chord's number."""
    if chord == NO_CHORD:
        return "N"
    quality, root = divmod(chord - 1, 12)
    return NOTE_NAMES[root] + list(QUALITIES)[quality]


def transpose_chords(chords: NDArray[np.int64], semitones: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers moved by an interval; no chord stays none."""
    quality, root = np.divmod(chords - 1, 12)
    moved: NDArray[np.int64] = 1 + 12 * quality + (root + semitones) % 12
    return np.where(chords == NO_CHORD, NO_CHORD, moved)


@dataclass(frozen=True, eq=False)
class ChordTrack:
    """Chords of a piece: when each begins, in seconds."""

    times: NDArray[np.float64]
    numbers: NDArray[np.int64]  # where a chord ends before the next one begins there is none

    def changes(self, places: NDArray[np.float64]) -> tuple[tuple[int, int], ...]:
        """The step at which each chord begins, given its place in steps, and its number."""
        steps = np.maximum(nearest_steps(places), 0).astype(int).tolist()
        by_step = dict(zip(steps, self.numbers.tolist(), strict=True))  # of several the last
        return tuple(sorted(by_step.items()))


def read_chords(path: Path) -> ChordTrack:
    """Read a chord file: a line a chord, its begin and end in seconds and its name.

    Raises:
        InputError: it cannot be read, or a line is no such thing.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InputError(f"{path}: cannot be read ({reason})") from error
    times: list[float] = []
    numbers: list[int] = []
    ended = -math.inf
    for line_number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        where = f"{path}: line {line_number}"
        try:
            begin_word, end_word, name = words
            begin, end = float(begin_word), float(end_word)
        except ValueError as error:
            raise InputError(f"{where} is {line[:40]!r}; it must be begin, end, chord") from error
        if not (math.isfinite(end) and begin <= end and (not times or begin >= times[-1])):
            raise InputError(f"{where}: the times {begin:g} and {end:g} do not rise")
        try:
            chord = parse_chord(name)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        if times and begin > ended:
            times.append(ended)
            numbers.append(NO_CHORD)
        times.append(begin)
        numbers.append(chord)
        ended = end
    if not times:
        raise InputError(f"{path}: no chords")
    return ChordTrack(np.array([*times, ended]), np.array([*numbers, NO_CHORD]))


def half_bars(piece: Piece) -> list[int]:
    """Where half bars begin, bars where the half is no whole number of quarters, and the end."""
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
    """The chord that the notes between each two edges, in steps, suggest: (len(edges) - 1,).

    The one whose own notes sound longest, if they take `MIN_FIT` of what sounds. Of equals one that
    is there in full, then the one on the lowest note, then the plainest: major before minor.
    """
    pitched = notes[~notes["is_drum"]]
    bounds = np.asarray(edges, np.int64)
    found = np.full(len(bounds) - 1, NO_CHORD)
    plain = -(np.arange(NUM_CHORDS - 1) // 12)
    templates = np.zeros((NUM_CHORDS - 1, 12))
    for quality, tones in enumerate(QUALITIES.values()):
        for root in range(12):
            templates[number(root, quality) - 1, [(root + tone) % 12 for tone in tones]] = 1
    for i, (begin, end) in enumerate(itertools.pairwise(bounds.tolist())):
        own = pitched[(pitched["start"] < end) & (pitched["end"] > begin)]
        if not len(own):
            continue
        sounding = np.minimum(own["end"], end) - np.maximum(own["start"], begin)
        profile = np.bincount(own["pitch"] % 12, sounding, minlength=12)
        fit = templates @ profile / profile.sum()
        full = (templates @ (profile > 0)) >= 3  # all three notes are there
        bass = int(own["pitch"].min()) % 12
        on_bass = (np.arange(NUM_CHORDS - 1) % 12) == bass
        best = np.lexsort((plain, on_bass, full, fit.round(9)))[-1]
        if fit[best] >= MIN_FIT:
            found[i] = best + 1
    return found
