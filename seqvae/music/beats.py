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
    def positions(self) -> NDArray[np.float64]:
        """Where each beat begins, in quarters from the first downbeat: (N,)."""
        first = int(self.is_downbeat.argmax())
        if self.units is None:
            return np.arange(-first, len(self.times) - first, dtype=np.float64)
        lengths = 4 * self.units[:, 0] / self.units[:, 1]
        starts = np.cumsum(lengths) - lengths
        positions: NDArray[np.float64] = starts - starts[first]
        return positions

    def quarters(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions of times, in quarters from the first downbeat.

        Before the first beat and after the last one, the nearest tempo continues.
        """
        times, numbers = self.times, self.positions
        first, last = ((numbers[i + 1] - numbers[i]) / (times[i + 1] - times[i]) for i in (0, -2))
        positions: NDArray[np.float64] = np.interp(seconds, times, numbers)
        positions += np.minimum(seconds - times[0], 0) * first
        positions += np.maximum(seconds - times[-1], 0) * last
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
        bars = self._metres_of_bars()
        is_change = np.ones(len(bars), np.bool_)
        is_change[1:] = (bars[1:] != bars[:-1]).any(axis=1)
        changes = np.flatnonzero(is_change)
        starts = self.positions[self.is_downbeat][changes]
        steps = nearest_steps((starts + shift) * steps_per_quarter).astype(np.int64)
        steps[0] = 0
        changed = zip(steps.tolist(), bars[changes].tolist(), strict=True)
        return tuple(
            Metre(step, numerator, denominator) for step, (numerator, denominator) in changed
        )

    def _metres_of_bars(self) -> NDArray[np.int64]:
        """Numerator and denominator of each bar but the last: (bars - 1, 2)."""
        downbeats = np.flatnonzero(self.is_downbeat)
        if self.units is None:
            numerators = np.diff(downbeats)
            return np.stack([numerators, np.full_like(numerators, 4)], axis=1)
        # Eighths and quarters in one bar add up over the smaller of both.
        denominators = np.maximum.reduceat(self.units[:, 1], downbeats)
        bar_of_beat = np.maximum(np.cumsum(self.is_downbeat) - 1, 0)
        parts = self.units[:, 0] * denominators[bar_of_beat] // self.units[:, 1]
        return np.stack([np.add.reduceat(parts, downbeats), denominators], axis=1)[:-1]

    def tempos(self, steps_per_quarter: int, shift: float) -> tuple[Tempo, ...]:
        """The mean tempo of each bar; the first starts at step 0 (`shift` as in `metres`)."""
        times = self.times[self.is_downbeat]
        starts, lengths = self.bars()
        steps = nearest_steps((starts[:-1] + shift) * steps_per_quarter).astype(np.int64)
        steps[0] = 0
        qpms = 60 * lengths[:-1] / np.diff(times)
        return tuple(map(Tempo, steps.tolist(), qpms.tolist()))
