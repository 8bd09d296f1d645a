"""Notes on a grid of steps: what a piece of music is inside seqvae.

Units: a step is a fraction of a quarter (`steps_per_quarter`), positions are integer steps from
the start of the piece, ranges are half open. Seconds and ticks exist in `midi.py` alone.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError

NOTE = np.dtype(
    [
        ("start", np.int32),
        ("end", np.int32),
        ("pitch", np.int16),
        ("velocity", np.int16),
        ("program", np.int16),
        ("is_drum", np.bool_),
        ("track", np.int16),
    ]
)
Notes = NDArray[Any]  # records of NOTE, sorted by start, then pitch

DEFAULT_QPM = 120.0  # of a MIDI file that names no tempo


@dataclass(frozen=True)
class Metre:
    """A time signature that holds from a step on."""

    start_step: int
    numerator: int
    denominator: int

    def __str__(self) -> str:
        """As musicians write it: 4/4."""
        return f"{self.numerator}/{self.denominator}"


@dataclass(frozen=True)
class Tempo:
    """A tempo in quarters per minute that holds from a step on."""

    start_step: int
    qpm: float


@dataclass(frozen=True, eq=False)
class Piece:
    """Notes, metres and tempos of one file or one clip; the first of each starts at step 0."""

    notes: Notes
    steps_per_quarter: int
    metres: tuple[Metre, ...] = (Metre(0, 4, 4),)
    tempos: tuple[Tempo, ...] = (Tempo(0, DEFAULT_QPM),)
    num_steps: int = 0
    """Length including the silence after the last note, where it is known."""

    @property
    def end_step(self) -> int:
        """Where the last note, or the silence after it, ends."""
        last_note = int(self.notes["end"].max()) if len(self.notes) else 0
        return max(last_note, self.num_steps)

    def qpm_at(self, step: int) -> float:
        """The tempo that holds at a step."""
        return [tempo.qpm for tempo in self.tempos if tempo.start_step <= step][-1]


def make_notes(
    start: object,
    end: object,
    pitch: object,
    *,
    velocity: object = 80,
    program: object = 0,
    is_drum: object = False,
    track: object = 0,
) -> Notes:
    """Build a sorted note array from columns or scalars."""
    notes = np.empty(len(np.atleast_1d(np.asarray(start))), NOTE)
    columns = (start, end, pitch, velocity, program, is_drum, track)
    for name, column in zip(NOTE.names or (), columns, strict=True):
        notes[name] = column
    return sort_notes(notes)


def sort_notes(notes: Notes) -> Notes:
    """Sort by start, then pitch."""
    order = np.lexsort((notes["pitch"], notes["start"]))
    ordered: Notes = notes[order]
    return ordered


def parse_metre(text: str) -> Metre:
    """Read a time signature such as 6/8."""
    numerator, slash, denominator = text.partition("/")
    if not (slash and numerator.isdecimal() and denominator.isdecimal() and int(denominator)):
        raise InputError(f"metre {text!r}; write it as 4/4")
    return Metre(0, int(numerator), int(denominator))


def steps_per_bar(metre: Metre, steps_per_quarter: int) -> int | None:
    """Steps of a bar, or None where a bar is no whole number of steps."""
    steps, rest = divmod(4 * metre.numerator * steps_per_quarter, metre.denominator)
    return steps if steps > 0 and rest == 0 else None


@dataclass(frozen=True)
class Stretch:
    """A part of a piece under one metre; the bar grid restarts with it."""

    metre: Metre
    start_step: int
    end_step: int


def stretches(piece: Piece) -> Iterator[Stretch]:
    """The parts of a piece between changes of metre; silence is one step long."""
    starts = [metre.start_step for metre in piece.metres]
    ends = [*starts[1:], max(piece.end_step, 1)]
    for metre, start, end in zip(piece.metres, starts, ends, strict=True):
        if end > start:
            yield Stretch(metre, start, end)


@dataclass(frozen=True)
class Bar:
    """A bar as musicians count it, from 1, and the stretch it lies in."""

    number: int
    start_step: int
    stretch: Stretch


def bars(piece: Piece) -> Iterator[Bar]:
    """All bars; a stretch whose bar is no whole number of steps counts as one."""
    number = 1
    for stretch in stretches(piece):
        length = stretch.end_step - stretch.start_step
        hop = steps_per_bar(stretch.metre, piece.steps_per_quarter) or length
        for start in range(stretch.start_step, stretch.end_step, hop):
            yield Bar(number, start, stretch)
            number += 1


def melody_line(notes: Notes) -> Notes:
    """One line: at equal onsets the highest pitch wins, and an onset ends the note before it."""
    if not len(notes):
        return notes
    last_of_onset = np.append(notes["start"][1:] != notes["start"][:-1], True)
    line: Notes = notes[last_of_onset].copy()  # the highest: pitches rise within an onset
    line["end"][:-1] = np.minimum(line["end"][:-1], line["start"][1:])
    return line


def chord_share(notes: Notes) -> float:
    """Share of a track's onsets that strike more than one note."""
    if not len(notes):
        return math.nan
    _, counts = np.unique(notes["start"], return_counts=True)
    return float((counts > 1).mean())


def join(pieces: Sequence[Piece]) -> Piece:
    """The pieces one after the other, at the tempo and metre of the first."""
    offsets = np.cumsum([0, *(piece.end_step for piece in pieces)])
    parts = []
    for piece, offset in zip(pieces, offsets, strict=False):
        notes = piece.notes.copy()
        notes["start"] += offset
        notes["end"] += offset
        parts.append(notes)
    return replace(pieces[0], notes=np.concatenate(parts), num_steps=int(offsets[-1]))
