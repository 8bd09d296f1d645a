"""Beats of a performance: the grid of MIDI files whose ticks follow no beat."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seqvae.music.notes import Metre, Tempo, nearest_steps

MAX_BEATS_OUTSIDE = 16  # notes further away than this show that the beats are of another piece


@dataclass(frozen=True, eq=False)
class BeatTrack:
    """Times of beats in rising seconds, which of them begin a bar, and what each is."""

    times: NDArray[np.float64]
    is_downbeat: NDArray[np.bool_]
    units: NDArray[np.int64] | None = None
    """Each beat as a fraction of a whole note, in 6/8 (3, 8): (N, 2). By default a quarter."""

    @cached_property
    def fractions(self) -> NDArray[np.int64]:
        """Numerator and denominator of each beat: (N, 2)."""
        return np.tile([1, 4], (len(self.times), 1)) if self.units is None else self.units

    @cached_property
    def positions(self) -> NDArray[np.float64]:
        """Where each beat begins, in quarters from the first downbeat: (N,)."""
        lengths = 4 * self.fractions[:, 0] / self.fractions[:, 1]
        starts = np.cumsum(lengths) - lengths
        positions: NDArray[np.float64] = starts - starts[int(self.is_downbeat.argmax())]
        return positions

    def quarters(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions of times, in quarters from the first downbeat.

        Before the first beat and after the last one, the nearest tempo continues.
        """
        numbers = self.positions
        inside = np.interp(seconds, self.times, numbers)
        first, last = (np.diff(numbers) / np.diff(self.times))[[0, -1]]
        before = np.minimum(seconds - self.times[0], 0) * first
        after = np.maximum(seconds - self.times[-1], 0) * last
        positions: NDArray[np.float64] = inside + before + after
        return positions

    def bars(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The start of each bar, in quarters from the first downbeat, and its length in quarters.

        The last bar is as long as the one before it.
        """
        starts = self.positions[self.is_downbeat]
        lengths = np.diff(starts)
        return starts, np.append(lengths, lengths[-1])

    def metres(self, steps_per_quarter: int, shift: float) -> tuple[Metre, ...]:
        """A metre at each change of the beats in a bar; the first starts at step 0.

        The first downbeat is `shift` quarters after the start of the piece.
        """
        starts, _ = self.bars()
        downbeats = np.flatnonzero(self.is_downbeat)
        # Eighths and quarters in one bar add up over the smaller of both.
        denominators = np.maximum.reduceat(self.fractions[:, 1], downbeats)
        bar_of_beat = np.maximum(np.cumsum(self.is_downbeat) - 1, 0)
        parts = self.fractions[:, 0] * denominators[bar_of_beat] // self.fractions[:, 1]
        bars = np.stack([np.add.reduceat(parts, downbeats), denominators], axis=1)[:-1]
        changes = np.flatnonzero((np.diff(bars, axis=0, prepend=0) != 0).any(axis=1))
        steps = nearest_steps((starts[changes] + shift) * steps_per_quarter).astype(np.int64)
        steps[0] = 0
        changed = zip(steps.tolist(), bars[changes].tolist(), strict=True)
        return tuple(
            Metre(step, numerator, denominator) for step, (numerator, denominator) in changed
        )

    def tempos(self, steps_per_quarter: int, shift: float) -> tuple[Tempo, ...]:
        """The mean tempo of each bar; the first starts at step 0 (`shift` as in `metres`)."""
        times = self.times[self.is_downbeat]
        starts, lengths = self.bars()
        steps = nearest_steps((starts[:-1] + shift) * steps_per_quarter).astype(np.int64)
        steps[0] = 0
        qpms = 60 * lengths[:-1] / np.diff(times)
        return tuple(map(Tempo, steps.tolist(), qpms.tolist()))
