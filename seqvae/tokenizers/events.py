"""The notes of a track as events: what begins or ends, how loud it is, and the time in between.

They are those of Magenta's performances, with its numbers: a note begins (its pitch), a note ends
(128 + pitch), time passes, and the loudness of the notes that follow. Until it is said it is the
greatest. What happens at one step comes in the order of notes: the ends of earlier ones first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqvae.music.notes import NOTE_NAMES, NUM_VELOCITIES, Notes, make_notes
from seqvae.music.overlaps import DRUMS

ON, OFF, SHIFT = 0, 128, 256


@dataclass(frozen=True)
class Events:
    """The events of spans of so many steps, at so many degrees of loudness."""

    num_steps: int
    num_degrees: int

    @property
    def softest(self) -> int:
        """The first degree of loudness, which those of time come before."""
        return SHIFT + self.num_steps

    def __len__(self) -> int:
        """The number of different events."""
        return self.softest + self.num_degrees

    @property
    def _width(self) -> int:
        """Velocities of MIDI in a degree."""
        return -(-NUM_VELOCITIES // self.num_degrees)

    def of(self, notes: Notes) -> list[int]:
        """The events of notes that end within the span, and the time to its end."""
        degrees = ((notes["velocity"] - 1) // self._width).tolist()
        pitches = notes["pitch"].tolist()
        changes = [(step, i, False) for i, step in enumerate(notes["start"].tolist())]
        changes += [(step, i, True) for i, step in enumerate(notes["end"].tolist())]
        events: list[int] = []
        now, degree = 0, self.num_degrees - 1
        for step, i, ends in sorted(changes):
            events += _shift(step - now)
            now = step
            if not ends and degrees[i] != degree:
                degree = degrees[i]
                events.append(self.softest + degree)
            events.append((OFF if ends else ON) + pitches[i])
        return events + _shift(self.num_steps - now)

    def notes(self, events: Iterable[int], program: int) -> Notes:
        """The notes of a program; those that are not ended last as long as the span.

        Of several of a pitch the first that was struck ends. What ends where it begins is no note.
        """
        now, degree = 0, self.num_degrees - 1
        begun: dict[int, list[tuple[int, int]]] = {}
        rows: list[tuple[int, int, int, int]] = []
        for event in events:
            if event < OFF:
                begun.setdefault(event - ON, []).append((now, degree))
            elif event < SHIFT:
                if begun.get(event - OFF):
                    start, of_note = begun[event - OFF].pop(0)
                    rows.append((start, now, event - OFF, of_note))
            elif event < self.softest:
                now = min(now + event - SHIFT + 1, self.num_steps)
            else:
                degree = event - self.softest
        for pitch, notes in begun.items():
            rows += [(start, self.num_steps, pitch, of_note) for start, of_note in notes]
        columns: Any = np.array([row for row in rows if row[1] > row[0]], np.int64).reshape(-1, 4)
        start, end, pitch, degrees = columns.T
        middle = 1 + degrees * self._width + self._width // 2
        return make_notes(
            start, end, pitch, velocity=np.minimum(middle, NUM_VELOCITIES),
            program=program % DRUMS, is_drum=program == DRUMS,
        )  # fmt: skip

    def shown(self, event: int, program: int) -> str:
        """An event as people read it: +C4 begins, -C4 ends, >48 steps pass, v5 is a loudness."""
        if event >= self.softest:
            return f"v{event - self.softest}"
        if event >= SHIFT:
            return f">{event - SHIFT + 1}"
        octave, name = divmod(event % OFF, 12)
        pitch = str(event % OFF) if program == DRUMS else f"{NOTE_NAMES[name]}{octave - 1}"
        return f"{'-' if event >= OFF else '+'}{pitch}"


def _shift(num_steps: int) -> list[int]:
    """The event of so many steps, if there are some."""
    return [SHIFT + num_steps - 1] if num_steps else []
