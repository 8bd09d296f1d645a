"""Windows with a token a step: what melody, drums, groove and trio share.

A representation says what the tokens of its voices are in the windows that begin at given steps
(`_rolls`); which windows are taken, and why others are not, is decided here. Windows have a fixed
length, so there is no end token.

Axes: N windows, T steps, C channels.
"""

import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seqvae.music.chords import (
    NO_CHORD,
    NUM_CHORDS,
    half_bars,
    suggested_chords,
    transpose_chords,
)
from seqvae.music.notes import Piece
from seqvae.tokenizers.windows import Given, Part, WindowTokenizer, silence, taken_bars


@dataclass(frozen=True, eq=False)
class Roll:
    """Windows of one voice, and what may keep them from being taken."""

    tokens: NDArray[np.int64]  # (N, T, C)
    silent: NDArray[np.bool_]  # (N, T): nothing sounds that was struck in the window
    refused: Mapping[str, NDArray[np.bool_]]  # a reason -> which windows it refuses, (N,)


@dataclass(frozen=True, kw_only=True)
class GridTokenizer(WindowTokenizer):
    """A token of each channel at each step."""

    eos_id: ClassVar[int | None] = None

    chords: bool = False
    """Each step is given its chord: that of the chord file (data.chords), or else the one that the
    notes of its half bar suggest."""

    @property
    def condition_sizes(self) -> tuple[int, ...]:
        """Chords, if they are asked for."""
        return (NUM_CHORDS,) if self.chords else ()

    @property
    def max_steps(self) -> int:
        """All windows are as long."""
        return self.window_length

    @abstractmethod
    def _rolls(self, part: Part, starts: NDArray[np.int64], end_step: int) -> list[Roll]:
        """Windows of each voice of a part; `end_step` is where the metre ends."""

    def _windows(
        self,
        part: Part,
        starts: NDArray[np.int64],
        end_step: int,
        gap_bars: float,
        dropped: Counter[str],
        given: Given,
    ) -> NDArray[np.int64]:
        """Tokens and what is given, (N, T, C + K), of the usable windows that begin at `starts`."""
        rolls = self._rolls(part, starts, end_step)
        refused = np.zeros(len(starts), np.bool_)
        for roll in rolls:
            for reason, which in roll.refused.items():
                if (which & ~refused).any():
                    dropped[reason] += int((which & ~refused).sum())
                refused |= which
        if gap_bars > 0:
            gap = np.zeros(len(starts), np.bool_)
            # One that is silent throughout is left out however short it is.
            length = min(math.ceil(gap_bars * self.steps_per_bar), self.max_steps)
            for roll in rolls:
                gap |= has_run(roll.silent, length)
            if (gap & ~refused).any():
                dropped[silence(gap_bars)] += int((gap & ~refused).sum())
            refused |= gap
        columns = [roll.tokens for roll in rolls]
        if given is not None:
            steps = window_steps(starts, self.max_steps)
            columns.append(given[np.where(steps < end_step, steps, len(given) - 1)])
        return np.concatenate(columns, axis=2)[~refused]

    def _given(self, piece: Piece) -> Given:
        """The chord at each step of a piece, and none after it: (steps + 1, 1)."""
        if not self.chords:
            return None
        chords = np.full((piece.end_step + 1, 1), NO_CHORD)
        if piece.chords:
            starts, numbers = (list(column) for column in zip(*piece.chords, strict=True))
            changes = zip(starts, [*starts[1:], piece.end_step], numbers, strict=True)
        else:
            edges = half_bars(piece)
            numbers = suggested_chords(piece.notes, edges).tolist()
            changes = zip(edges[:-1], edges[1:], numbers, strict=True)
        for start, end, number in changes:
            chords[start : min(end, piece.end_step)] = number
        return chords

    def _transposed_chords(
        self, ids: NDArray[np.int64], semitones: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The columns of what is given (N, T, K), moved by as much as each window."""
        given = ids[..., len(self.vocab_sizes) :]
        return transpose_chords(given, semitones[:, None, None])

    def _taken_steps(
        self, num_windows: int, num_parts: int, share: float, rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        """Which parts are taken from other windows at each step: (N, T, parts)."""
        bars = taken_bars((num_windows, self.num_bars, num_parts), share, rng)
        steps: NDArray[np.bool_] = bars.repeat(self.steps_per_bar, axis=1)
        return steps

    def _in_quarters(self, symbols: Sequence[str]) -> str:
        """A symbol a step, `|` between quarters."""
        quarters = range(0, len(symbols), self.steps_per_quarter)
        return " | ".join(" ".join(symbols[q : q + self.steps_per_quarter]) for q in quarters)


def window_steps(starts: NDArray[np.int64], num_steps: int) -> NDArray[np.int64]:
    """The steps of each window: (N, T)."""
    return starts[:, None] + np.arange(num_steps)


def has_run(mask: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    """Whether a row of (N, T) is True at `length` steps on end, 1 or more."""
    sums = np.zeros((mask.shape[0], mask.shape[1] + 1), np.int64)
    mask.cumsum(axis=1, out=sums[:, 1:])
    found: NDArray[np.bool_] = (sums[:, length:] - sums[:, :-length] == length).any(1)
    return found
