"""Windows with one token of each channel per step: what melody, drums, groove and trio share.

They have a fixed length and no end token. A representation gives a `Roll` for each of its voices;
here rolls become windows, with the chord of each step beside them where chords are asked for.

Axes: N windows, T steps, C channels, K condition columns.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seqvae.music.chord_names import NO_CHORD, NUM_CHORDS
from seqvae.music.chords import half_bars, suggested_chords
from seqvae.music.notes import Piece
from seqvae.reasons import Reason
from seqvae.tokenizers.contract import Ids
from seqvae.tokenizers.windows import Span, Windows, WindowSettings, taken_bars

Conditions: TypeAlias = NDArray[Any] | None
"""The chord at each step of a piece, and after its end: (steps + 1, 1)."""


@dataclass(frozen=True, kw_only=True)
class GridSettings(WindowSettings):
    """Settings of a grid with one token of each channel per step."""

    chords: bool = False
    """Give the model the chord of each step: that of the chord file (data.chords), or else the one
    that the notes of its half bar suggest."""

    @property
    def condition_sizes(self) -> tuple[int, ...]:
        """Chords, where they are asked for, and the number of the bar, where there are several."""
        bars = len(self.model_bars)
        return (NUM_CHORDS,) * self.chords + (bars,) * (bars > 1)

    @property
    def max_steps(self) -> int:
        """All windows have this length."""
        return self.window_length

    @property
    def reads_chords(self) -> bool:
        """Whether chords are asked for."""
        return self.chords

    def chord_columns(self, ids: NDArray[np.int64]) -> slice:
        """Where the chords of windows (N, T, C + K) stand, if they have some."""
        begin = ids.shape[2] - len(self.condition_sizes)
        return slice(begin, begin + self.chords)

    def bar_number(self, ids: Ids) -> int:
        """Which of the model's bars a window (T, C + K) has."""
        return int(ids[0, -1]) if len(self.model_bars) > 1 else 0

    def sounding(self, ids: Ids) -> Ids:
        """A window (T, C + K) without the steps that fill up its bars."""
        steps = np.arange(len(ids)) % self.steps_per_bar
        return ids[steps < self.model_bars[self.bar_number(ids)]]

    def reached(self, ids: Ids) -> int:
        """The step of the piece that the first steps of a window reach."""
        return len(self.sounding(ids))

    def others(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """For each window of a batch (N, T, C + K) another at random, of the same bars."""
        order = rng.permutation(len(ids))
        if len(self.model_bars) > 1:
            for number in range(len(self.model_bars)):
                alike = np.flatnonzero(ids[:, 0, -1] == number)
                order[alike] = rng.permutation(alike)
        return ids[order]

    def conditions(self, piece: Piece) -> Conditions:
        """The chords of a piece, where they are asked for."""
        return chord_column(piece) if self.chords else None


@dataclass(frozen=True, eq=False)
class Roll:
    """One voice in the windows of a span."""

    tokens: NDArray[Any]
    """(N, T, C), of any integer type."""
    silent: NDArray[np.bool_]
    """Steps at which nothing sounds that was struck in the window: (N, T)."""
    refused: Mapping[Reason, NDArray[np.bool_]] = field(default_factory=dict)
    """For each reason, which windows it rules out: (N,)."""
    played: NDArray[Any] | None = None
    """How what is struck is played, such as its loudness: (N, T, P)."""


def grid_windows(rolls: Sequence[Roll], span: Span, conditions: Conditions) -> Windows:
    """Windows (N, T, C + K) of several voices, with the conditions of their steps.

    What is struck comes first in all voices, and then how it is played.
    """
    columns = [roll.tokens for roll in rolls]
    columns += [roll.played for roll in rolls if roll.played is not None]
    if conditions is not None:
        steps = span.steps()
        columns.append(conditions[np.where(steps < span.end_step, steps, len(conditions) - 1)])
    if span.bar_number is not None:
        columns.append(np.full((*columns[0].shape[:2], 1), span.bar_number, np.uint8))
    refused: dict[Reason, NDArray[np.bool_]] = {}
    for roll in rolls:
        for reason, which in roll.refused.items():
            refused[reason] = refused[reason] | which if reason in refused else which
    rests = reduce(np.maximum, (longest_runs(roll.silent) for roll in rolls))
    ids = columns[0] if len(columns) == 1 else np.concatenate(columns, axis=2)
    return Windows(ids, rests, refused)


def chord_column(piece: Piece) -> NDArray[np.uint8]:
    """The number of the chord at each step of a piece, and no chord after it: (steps + 1, 1)."""
    column = np.full((piece.end_step + 1, 1), NO_CHORD, np.uint8)
    if piece.chords:
        starts, numbers = (list(values) for values in zip(*piece.chords, strict=True))
        changes = zip(starts, [*starts[1:], piece.end_step], numbers, strict=True)
    else:
        edges = half_bars(piece)
        numbers = suggested_chords(piece.notes, edges).tolist()
        changes = zip(edges[:-1], edges[1:], numbers, strict=True)
    for start, end, number in changes:
        column[start : min(end, piece.end_step)] = number
    return column


def longest_runs(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """For each row of (N, T), the most steps in a row that are True: (N,)."""
    steps = np.arange(mask.shape[1], dtype=np.int32)
    last_false = np.maximum.accumulate(np.where(mask, -1, steps), axis=1)
    longest: NDArray[np.int32] = (steps - last_false).max(1)
    return longest


def taken_steps(
    settings: GridSettings,
    num_windows: int,
    num_parts: int,
    probability: float,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Which parts are taken from another window at each step, whole bars of them: (N, T, parts)."""
    bars = taken_bars((num_windows, settings.num_bars, num_parts), probability, rng)
    steps: NDArray[np.bool_] = bars.repeat(settings.steps_per_bar, axis=1)
    return steps


def in_quarters(symbols: Iterable[str], steps_per_quarter: int) -> str:
    """One symbol per step, with `|` between quarters."""
    steps = list(symbols)
    quarters = range(0, len(steps), steps_per_quarter)
    return " | ".join(" ".join(steps[start : start + steps_per_quarter]) for start in quarters)
