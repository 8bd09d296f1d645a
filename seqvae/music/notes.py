"""Notes on a grid of steps: the form in which seqvae holds a piece of music.

A step is a fraction of a quarter note (`steps_per_quarter`). Positions are integer steps from the
start of the piece, and ranges are half open. Seconds and ticks appear only in `midi`, `beats` and
the chord files of `chords`.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.reasons import Dropped

NOTE = np.dtype(
    [
        ("start", np.int32),
        ("end", np.int32),
        ("pitch", np.int16),
        ("velocity", np.int16),
        ("program", np.int16),
        ("is_drum", np.bool_),
        ("track", np.int16),
        ("offset", np.float32),  # of the onset as played from its step, in steps: -0.5..0.5
    ]
)
Notes = NDArray[Any]  # records of NOTE, sorted by start, then pitch

NOTE_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
NUM_VELOCITIES = 127  # in MIDI, from 1 to 127
DEFAULT_QPM = 120.0  # the tempo of a MIDI file that names none
CHORD_SECONDS, CHORD_QUARTERS = 0.03, 1 / 16  # how far apart notes of a chord are struck


@dataclass(frozen=True)
class Metre:
    """A time signature and the step from which it holds."""

    start_step: int
    numerator: int
    denominator: int

    def __str__(self) -> str:
        """The usual notation, such as 4/4."""
        return f"{self.numerator}/{self.denominator}"


@dataclass(frozen=True)
class Tempo:
    """A tempo in quarters per minute and the step from which it holds."""

    start_step: int
    qpm: float


@dataclass(frozen=True)
class Key:
    """A key signature."""

    num_sharps: int
    """Flats count below 0."""
    is_minor: bool = False


@dataclass(frozen=True)
class Track:
    """What a file says of a track beside its notes."""

    name: str = ""
    channel: int | None = None
    """MIDI channel, from 1 to 16; None if it is not known."""
    program: int = 0
    """General MIDI program, from 0."""


@dataclass(frozen=True, eq=False)
class Piece:
    """The contents of a file or a clip. The first metre and the first tempo start at step 0."""

    notes: Notes
    steps_per_quarter: int
    metres: tuple[Metre, ...] = (Metre(0, 4, 4),)
    tempos: tuple[Tempo, ...] = (Tempo(0, DEFAULT_QPM),)
    num_steps: int = 0
    """Length in steps, with the silence after the last note; 0 if only the notes are known."""
    chords: tuple[tuple[int, int], ...] = ()
    """The step at which each chord begins, and its number; empty if they are not known."""
    tracks: tuple[Track, ...] = ()
    """What is known of the tracks, which notes name by number; empty if nothing is."""
    name: str = ""
    """Of the file, without its folder; empty if there is none."""
    noted: Dropped = field(default_factory=Dropped)
    """What of the file could not be taken as it is written."""
    key: Key | None = None
    """Its first key signature."""
    moved: int | None = None
    """Semitones by which it was moved to the common key (see `keys`); None if it never was."""

    @cached_property
    def notes_end(self) -> int:
        """The step at which the last note ends; 0 without notes."""
        return int(self.notes["end"].max()) if len(self.notes) else 0

    @property
    def end_step(self) -> int:
        """The step at which the last note, or the silence after it, ends."""
        return max(self.notes_end, self.num_steps)

    def qpm_at(self, step: int) -> float:
        """The tempo in quarters per minute at a step."""
        return [tempo.qpm for tempo in self.tempos if tempo.start_step <= step][-1]

    def mean_qpm(self, starts: NDArray[np.int64], length: int) -> NDArray[np.float64]:
        """The tempo at which each span (N,) of this many steps would last as long as it does."""
        changes = [tempo.start_step for tempo in self.tempos]
        first = np.searchsorted(changes, starts, side="right") - 1
        last = np.searchsorted(changes, starts + length - 1, side="right") - 1
        minutes = (self.seconds(starts + length) - self.seconds(starts)) / 60
        qpm = np.array([tempo.qpm for tempo in self.tempos])[first]
        return np.where(first == last, qpm, length / self.steps_per_quarter / minutes)

    def seconds(self, steps: NDArray[Any]) -> NDArray[np.float64]:
        """When each step comes, in seconds from the start."""
        changes = np.array([tempo.start_step for tempo in self.tempos])
        per_step = np.array([60 / tempo.qpm / self.steps_per_quarter for tempo in self.tempos])
        starts = np.append(0.0, np.cumsum(np.diff(changes) * per_step[:-1]))
        tempo = np.maximum(np.searchsorted(changes, steps, side="right") - 1, 0)
        at: NDArray[np.float64] = starts[tempo] + (steps - changes[tempo]) * per_step[tempo]
        return at


def make_notes(
    start: object,
    end: object,
    pitch: object,
    *,
    velocity: object = 80,
    program: object = 0,
    is_drum: object = False,
    track: object = 0,
    offset: object = 0.0,
) -> Notes:
    """Build a sorted note array from columns or scalars."""
    notes = np.empty(len(np.atleast_1d(np.asarray(start))), NOTE)
    columns = (start, end, pitch, velocity, program, is_drum, track, offset)
    for name, column in zip(NOTE.names or (), columns, strict=True):
        notes[name] = column
    return sort_notes(notes)


def sort_notes(notes: Notes) -> Notes:
    """Sort by start, then pitch; the same array where they are in that order."""
    keys = notes["start"] * np.int64(1024) + notes["pitch"]  # faster than two keys
    if (keys[1:] >= keys[:-1]).all():
        return notes
    ordered: Notes = notes.take(keys.argsort(kind="stable"))  # faster than notes[...]
    return ordered


def before(notes: Notes, step: int) -> Notes:
    """The notes that begin before a step; the same array where all do."""
    if not len(notes) or notes["start"][-1] < step:
        return notes
    earlier: Notes = notes.compress(notes["start"] < step)
    return earlier


def nearest_steps(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The whole steps nearest to positions in steps; halves go up."""
    steps: NDArray[np.float64] = np.floor(positions + 0.5)
    return steps


def parse_metre(text: str) -> Metre:
    """Parse a time signature such as 6/8; it starts at step 0.

    Raises:
        InputError: it is not one, or MIDI cannot write it.
    """
    numerator, slash, denominator = text.partition("/")
    digits = slash and numerator.isdecimal() and denominator.isdecimal()
    metre = Metre(0, int(numerator), int(denominator)) if digits else None
    if metre is None or str(metre) != text:
        raise InputError(f"metre {text!r}; write it as 4/4")
    if not (1 <= metre.numerator <= 255 and metre.denominator in (1, 2, 4, 8, 16, 32, 64)):
        raise InputError(f"metre {text!r}: use 1 to 255 over 1, 2, 4, 8, 16, 32 or 64")
    return metre


def steps_per_bar(metre: Metre, steps_per_quarter: int) -> int | None:
    """Steps in a bar, or None if a bar is no whole number of steps."""
    steps, rest = divmod(4 * metre.numerator * steps_per_quarter, metre.denominator)
    return steps if steps > 0 and rest == 0 else None


def beats_per_bar(metre: Metre) -> int:
    """Beats in a bar: three eighths of a compound metre, such as 6/8, are one beat."""
    is_compound = metre.numerator > 3 and metre.numerator % 3 == 0
    return metre.numerator // 3 if is_compound else metre.numerator


def bar_length(piece: Piece) -> int:
    """Steps in a bar of the first metre; four quarters if that bar is no whole number of steps."""
    steps = steps_per_bar(piece.metres[0], piece.steps_per_quarter)
    return steps or 4 * piece.steps_per_quarter


def bars_end(piece: Piece) -> int:
    """The bar line at which the last bar of a piece ends; its end where a bar is no whole steps."""
    last = piece.metres[-1]
    bar = steps_per_bar(last, piece.steps_per_quarter)
    if bar is None or piece.end_step <= last.start_step:
        return piece.end_step
    return last.start_step + -(-(piece.end_step - last.start_step) // bar) * bar


def pitched_notes(piece: Piece) -> Notes:
    """The notes of a piece without its drums."""
    notes: Notes = piece.notes[~piece.notes["is_drum"]]
    return notes


@dataclass(frozen=True)
class Stretch:
    """A part of a piece under one metre. The bars are counted from its start."""

    metre: Metre
    start_step: int
    end_step: int


def stretches(piece: Piece) -> Iterator[Stretch]:
    """The parts of a piece between changes of metre; an empty piece counts as one step."""
    starts = [metre.start_step for metre in piece.metres]
    last = max(piece.end_step, 1)  # a change of metre after it does not lengthen the piece
    ends = [*(min(start, last) for start in starts[1:]), last]
    for metre, start, end in zip(piece.metres, starts, ends, strict=True):
        if end > start:
            yield Stretch(metre, start, end)


@dataclass(frozen=True)
class Bar:
    """A bar, numbered from 1 as musicians do, and the stretch that contains it."""

    number: int
    start_step: int
    stretch: Stretch


def bars(piece: Piece) -> Iterator[Bar]:
    """All bars of a piece; a stretch whose bar is no whole number of steps is a single bar."""
    number = 1
    for stretch in stretches(piece):
        length = stretch.end_step - stretch.start_step
        hop = steps_per_bar(stretch.metre, piece.steps_per_quarter) or length
        for start in range(stretch.start_step, stretch.end_step, hop):
            yield Bar(number, start, stretch)
            number += 1


def melody_line(notes: Notes, *, lowest: bool = False) -> Notes:
    """Reduce notes to one voice: the highest of each onset, or the lowest.

    An onset ends the note before it.
    """
    if not len(notes):
        return notes
    begins_onset = np.ones(len(notes) + 1, np.bool_)
    begins_onset[1:-1] = notes["start"][1:] != notes["start"][:-1]
    line: Notes = notes.compress(begins_onset[:-1] if lowest else begins_onset[1:])
    line["end"][:-1] = np.minimum(line["end"][:-1], line["start"][1:])  # pitches rise in an onset
    return line


def uncovered(notes: Notes, *, lowest: bool = False) -> Notes:
    """The notes under which nothing lower, or above which nothing higher, sounds at their onset.

    They are those that are heard as the highest voice, or as the lowest, where notes are held.
    """
    if not len(notes):
        return notes
    height = notes["pitch"].astype(np.int64) * (-1 if lowest else 1)
    top = np.full(int(notes["end"].max()), height.min())
    for start, end, value in zip(
        notes["start"].tolist(), notes["end"].tolist(), height.tolist(), strict=True
    ):
        np.maximum(top[start:end], value, out=top[start:end])
    heard: Notes = notes[height == top[notes["start"]]]
    return heard


def chord_share(notes: Notes, piece: Piece) -> float:
    """Share of onsets, as played, that strike more than one note; nan without notes.

    Notes belong to one onset if each follows the one before it within 30 ms, and within half of a
    32nd note: chords are never struck quite together by hand, and fast runs are no chords.
    """
    if not len(notes):
        return math.nan
    onsets = np.sort(notes["start"] + notes["offset"].astype(np.float64))
    qpm: Any = piece.tempos[0].qpm
    if len(piece.tempos) > 1:
        starts, of_each = zip(
            *((tempo.start_step, tempo.qpm) for tempo in piece.tempos), strict=True
        )
        tempo = np.searchsorted(starts, onsets[1:], side="right") - 1
        qpm = np.array(of_each)[np.maximum(tempo, 0)]
    longest = np.minimum(CHORD_SECONDS * qpm / 60, CHORD_QUARTERS)  # in quarters
    # Whether each onset but the first belongs to the note before it.
    is_joined = onsets[1:] - onsets[:-1] <= longest * piece.steps_per_quarter
    num_joined = np.count_nonzero(is_joined)
    if not num_joined:
        return 0.0
    num_chords = num_joined - np.count_nonzero(is_joined[1:] & is_joined[:-1])
    return num_chords / (len(onsets) - num_joined)


def changes_of_metre(metres: Iterable[Metre], steps_per_quarter: int) -> tuple[Metre, ...]:
    """Drop metres that change nothing: repetitions of a metre on one of its bar lines."""
    kept: list[Metre] = []
    for metre in metres:
        bar = steps_per_bar(metre, steps_per_quarter)
        is_repeated = bool(kept and bar) and str(metre) == str(kept[-1])
        if not is_repeated or (metre.start_step - kept[-1].start_step) % (bar or 1):
            kept.append(metre)
    return tuple(kept)


def changes_of_tempo(tempos: Iterable[Tempo]) -> tuple[Tempo, ...]:
    """Drop tempos that change nothing."""
    kept: list[Tempo] = []
    for tempo in tempos:
        if not kept or tempo.qpm != kept[-1].qpm:
            kept.append(tempo)
    return tuple(kept)


def velocity_bins(notes: Notes, num_bins: int) -> NDArray[np.int64]:
    """The velocity of each note as one of `num_bins` bins of equal width, from 0."""
    bins: NDArray[np.int64] = (notes["velocity"].astype(np.int64) - 1) * num_bins // NUM_VELOCITIES
    return bins


def bin_velocities(bins: NDArray[np.int64], num_bins: int) -> NDArray[np.int64]:
    """The MIDI velocity at the middle of each bin."""
    width = NUM_VELOCITIES / num_bins
    middles: NDArray[np.int64] = np.ceil(1 + bins * width + (width - 1) / 2).astype(np.int64)
    return middles


def join(pieces: Sequence[Piece]) -> Piece:
    """Put pieces one after another, each with its metres, tempos, chords and what was noted.

    A note may last beyond the end of its piece.
    """
    lengths = (piece.num_steps or piece.end_step for piece in pieces)
    begins = np.cumsum([0, *lengths]).tolist()
    notes: list[Notes] = []
    chords: list[tuple[int, int]] = []
    metres: list[Metre] = []
    tempos: list[Tempo] = []
    noted = Dropped()
    for piece, begin in zip(pieces, begins, strict=False):
        moved = piece.notes.copy()
        moved["start"] += begin
        moved["end"] += begin
        notes.append(moved)
        chords += [(start + begin, number) for start, number in piece.chords]
        noted |= piece.noted
        metres += [replace(metre, start_step=metre.start_step + begin) for metre in piece.metres]
        tempos += [Tempo(tempo.start_step + begin, tempo.qpm) for tempo in piece.tempos]
    return Piece(
        np.concatenate(notes),
        pieces[0].steps_per_quarter,
        changes_of_metre(metres, pieces[0].steps_per_quarter),
        changes_of_tempo(tempos),
        begins[-1],
        tuple(chords),
        max((piece.tracks for piece in pieces), key=len),
        pieces[0].name,
        noted,
        pieces[0].key,
    )
