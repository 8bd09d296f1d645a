"""A clip that plays round and round, in time: its notes, and the ticks of MIDI clock.

Time is counted in units of the beat, in whole numbers, and each unit has its moment from one
anchor: waiting too long once delays nothing that follows. Whatever is begun is ended.
"""

import bisect
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from seqvae.music.notes import DEFAULT_QPM, Piece

UNITS = 960  # per quarter
TICKS = 24  # of MIDI clock, per quarter
TICK = UNITS // TICKS
DRUM_CHANNEL = 10  # counted from 1
CHANNELS = [channel for channel in range(1, 17) if channel != DRUM_CHANNEL]
LATEST = 0.25  # seconds by which a note may be late; later ones are left out, and the beat stays
SLEEP = 60.0  # seconds after which the machine has slept, and the beat goes on from there
QPM_RANGE = (10.0, 400.0)


@runtime_checkable
class Output(Protocol):
    """Where notes and the clock go."""

    def note(self, pitch: int, velocity: int, channel: int) -> None:
        """A note begins, or ends where the velocity is 0; channels are counted from 1."""

    def tick(self, number: int) -> None:
        """A tick of the clock, counted from the start."""

    def start(self) -> None:
        """Playing begins."""

    def stop(self) -> None:
        """Playing ends."""


@dataclass(frozen=True, order=True)
class LoopNote:
    """A note in units from the start of its clip."""

    start: int
    length: int
    pitch: int
    velocity: int
    channel: int


def notes_of(piece: Piece) -> tuple[list[LoopNote], int]:
    """The notes of a clip by their onsets, and the length of the clip; early onsets wait for it."""
    per_step = UNITS // piece.steps_per_quarter
    length = max(piece.end_step, 1) * per_step
    notes = []
    for note in piece.notes:
        start = round((float(note["start"]) + float(note["offset"])) * per_step)
        start = min(max(start, 0), length - 1)
        channel = DRUM_CHANNEL if note["is_drum"] else CHANNELS[int(note["track"]) % len(CHANNELS)]
        end = max(int(note["end"]) * per_step, start + 1)
        pitch, velocity = int(note["pitch"]), int(note["velocity"])
        notes.append(LoopNote(start, end - start, pitch, velocity, channel))
    return sorted(notes), length


class Looper:
    """Plays one clip until another takes its place; the beat goes on meanwhile."""

    def __init__(
        self, outputs: Sequence[Output], now: Callable[[], float] = time.monotonic
    ) -> None:
        """Silent, at 120 qpm."""
        self.outputs, self.now = outputs, now
        self.notes: list[LoopNote] = []
        self.length = UNITS
        self.qpm = DEFAULT_QPM
        self.is_playing = self.is_closed = False
        self.sounding: dict[tuple[int, int], int] = {}
        """Of each channel and pitch that sounds, the unit at which it ends."""
        self.changed = threading.Condition(threading.RLock())
        self._next_unit = 0  # all before it is done
        self._anchor = (0.0, self.now())  # a place in units, and its moment

    def take(self, notes: list[LoopNote], length: int) -> None:
        """Go on with another clip, at the same place in it."""
        with self.changed:
            self.notes, self.length = notes, length
            self.changed.notify()

    def play(self) -> None:
        """Begin at the start of the clip."""
        with self.changed:
            self.stop()
            self._next_unit, self._anchor = 0, (0.0, self.now())
            self.is_playing = True
            for output in self.outputs:
                output.start()
            self.changed.notify()

    def stop(self) -> None:
        """Be silent."""
        with self.changed:
            self.silence()
            if self.is_playing:
                self.is_playing = False
                for output in self.outputs:
                    output.stop()

    def set_tempo(self, qpm: float) -> None:
        """Go on at another tempo, which is kept within `QPM_RANGE`."""
        with self.changed:
            anchor, moment = self._anchor
            now = self.now()
            self._anchor = (anchor + (now - moment) * self.qpm * UNITS / 60, now)
            self.qpm = min(max(qpm, QPM_RANGE[0]), QPM_RANGE[1])
            self.changed.notify()

    def close(self) -> None:
        """End `run`."""
        with self.changed:
            self.is_closed = True
            self.stop()
            self.changed.notify()

    def silence(self) -> None:
        """End every note that sounds."""
        for channel, pitch in [*self.sounding]:
            self._end(channel, pitch)

    def moment(self, unit: int) -> float:
        """When a unit is due."""
        anchor, moment = self._anchor
        return moment + (unit - anchor) * 60 / self.qpm / UNITS

    def run(self) -> None:
        """Play until `close`, in a thread of its own."""
        with self.changed:
            while not self.is_closed:
                self.changed.wait(self.advance())

    def advance(self) -> float | None:
        """Do what is due; returns the seconds until something is, None if nothing will be."""
        with self.changed:
            while self.is_playing:
                unit = self._following()
                late = self.now() - self.moment(unit)
                if late < 0:
                    return -late
                if late > SLEEP:
                    self.silence()
                    self._anchor = (float(unit), self.now())
                self._do(unit, too_late=late > LATEST)
                self._next_unit = unit + 1
            return None

    def _following(self) -> int:
        """The next unit at which something is to be done."""
        unit = self._next_unit
        units = [-(-unit // TICK) * TICK, *self.sounding.values()]
        if self.notes:
            place = unit % self.length
            index = bisect.bisect_left(self.notes, place, key=lambda note: note.start)
            begin = unit - place
            if index == len(self.notes):
                index, begin = 0, begin + self.length
            units.append(begin + self.notes[index].start)
        return max(min(units), unit)

    def _do(self, unit: int, *, too_late: bool) -> None:
        for (channel, pitch), end in [*self.sounding.items()]:
            if end <= unit:
                self._end(channel, pitch)
        if unit % TICK == 0:
            for output in self.outputs:
                output.tick(unit // TICK)
        if too_late:
            return
        place = unit % self.length
        first = bisect.bisect_left(self.notes, place, key=lambda note: note.start)
        for note in self.notes[first:]:
            if note.start > place:
                break
            if (note.channel, note.pitch) in self.sounding:
                self._end(note.channel, note.pitch)
            self.sounding[note.channel, note.pitch] = unit + note.length
            self._note(note.pitch, note.velocity, note.channel)

    def _end(self, channel: int, pitch: int) -> None:
        del self.sounding[channel, pitch]
        self._note(pitch, 0, channel)

    def _note(self, pitch: int, velocity: int, channel: int) -> None:
        for output in self.outputs:
            output.note(pitch, velocity, channel)
