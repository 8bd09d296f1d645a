"""Songs: what a MIDI file or an object holds, with times in ticks.

Values are as they are written: whether they are possible is checked in `read`.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.music.notes import NOTE, Key, Notes, Track
from seqvae.reasons import Dropped

MAX_NOTES = 500_000


@dataclass(eq=False)
class Song:
    """A parsed file. Its notes have every field but start, end and offset, which need a grid."""

    name: str
    """Of the file, for error messages."""
    resolution: int
    """Ticks per quarter."""
    notes: Notes
    ticks: Float[np.ndarray, "2 N"]
    """Onsets and ends of the notes."""
    metres: list[tuple[int, int, int]]
    """Tick, numerator and denominator of time signatures, in the order of the file."""
    tempos: list[tuple[int, float]]
    """Tick and quarters per minute of tempo changes, in the order of the file."""
    tracks: list[Track]
    """What the file says of each track of the notes."""
    file_name: str = ""
    """Of the file, without its folder."""
    is_timecode: bool = False
    """Whether its ticks count seconds, not quarters."""
    noted: Dropped = field(default_factory=Dropped)
    """What of the file could not be taken as it is written."""
    end_tick: int = 0
    """Where the file says that it ends; 0 if that is where its last event is."""
    key: Key | None = None
    """Its first key signature."""


def checked_resolution(ticks_per_quarter: int, name: str) -> int:
    """A checked number of ticks per quarter."""
    if ticks_per_quarter <= 0:
        raise InputError(f"{name}: {ticks_per_quarter} ticks per quarter; it must be 1 or more")
    return ticks_per_quarter


def room_for(sizes: Sequence[int], name: str) -> tuple[Notes, NDArray[np.float64]]:
    """Uninitialised notes and ticks for tracks with so many notes."""
    num_notes = sum(sizes)
    if num_notes > MAX_NOTES:
        raise InputError(f"{name}: {num_notes} notes; at most {MAX_NOTES} are read")
    return np.empty(num_notes, NOTE), np.empty((2, num_notes))


def places(sizes: Sequence[int]) -> list[slice]:
    """Where the notes of each track lie in the table of all notes."""
    ends = itertools.accumulate(sizes)
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
