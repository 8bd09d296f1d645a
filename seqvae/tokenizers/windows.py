"""Which windows of a piece are taken, for training and of a clip, and why others are not.

A window is `num_bars` bars long, begins on a bar line and never crosses a change of metre. What it
holds is up to the representation: a `Cut` is a function of its own that turns a span of windows
into tokens of one part of the piece, such as a line, a kit, or a melody with a bass and a kit.

Axes: N windows, T steps, C channels, K condition columns.
"""

import logging
import math
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import compress
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError, at_least, check_types
from seqvae.music.notes import (
    Bar,
    Metre,
    Notes,
    Piece,
    Stretch,
    Tempo,
    Track,
    bars,
    parse_metre,
    steps_per_bar,
    stretches,
)
from seqvae.reasons import Dropped, Reason, in_words, main_reason
from seqvae.tokenizers.contract import Example, Extraction

logger = logging.getLogger(__name__)

NO_NOTES = Reason("file", "no notes")
TOO_MANY = Reason("window", "more than a piece may give", "--data.tokenizer.max_windows")
NO_TRACKS: Mapping[int, Track] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class WindowSettings:
    """Settings of the grid and of its windows."""

    kind: ClassVar[str]

    num_bars: int = 2
    """Bars of a window."""
    metres: tuple[str, ...] = ("4/4", "2/2", "2/4")
    """Metres that are taken. Those whose bars divide the bar of an earlier one share it; others
    have bars of their own, filled up to the longest."""
    steps_per_quarter: int = 4
    """Resolution of the grid; 4 is sixteenths."""
    hop_bars: int = 1
    """Bars from one training window to the next. For a large collection with long windows, more of
    them save disk: a bar is stored num_bars / hop_bars times."""
    max_windows: int = 0
    """Training windows that a piece gives at most, spread over it at random, so that long pieces
    and those of many voices do not outweigh the rest; 0 takes all."""
    gap_bars: float = 1.0
    """Training leaves out windows with a rest of this many bars or more; 0 leaves out none."""

    def __post_init__(self) -> None:
        """Refuse settings that no window can satisfy."""
        section = f"{self.kind}: "
        check_types(self, section)
        at_least(self, 1, "num_bars", "steps_per_quarter", "hop_bars", section=section)
        at_least(self, 0, "gap_bars", "max_windows", section=section)
        if not self.metres:
            raise InputError(f"{section}metres is empty; give at least one, such as 4/4")
        _ = self.model_bars  # whose metres are checked

    @cached_property
    def bar_numbers(self) -> dict[str, int]:
        """For each metre, which of the model's bars it has."""
        return {
            metre: next(i for i, bar in enumerate(self.model_bars) if bar % self._bar(metre) == 0)
            for metre in self.metres
        }

    @cached_property
    def model_bars(self) -> tuple[int, ...]:
        """Steps of each of the model's bars: of those metres whose bars divide no earlier one."""
        bars: list[int] = []
        for metre in self.metres:
            if all(bar % self._bar(metre) for bar in bars):
                bars.append(self._bar(metre))
        return tuple(bars)

    def _bar(self, metre: str) -> int:
        steps = steps_per_bar(parse_metre(metre), self.steps_per_quarter)
        if steps is None:
            raise InputError(
                f"{self.kind}: a bar of {metre} is no whole number of steps "
                f"at {self.steps_per_quarter} steps per quarter"
            )
        return steps

    @cached_property
    def steps_per_bar(self) -> int:
        """Steps of the model's longest bar."""
        return max(self.model_bars)

    @property
    def window_length(self) -> int:
        """Steps of the model in a window. Shorter bars are filled up to the longest."""
        return self.num_bars * self.steps_per_bar

    def bar_steps(self, metre: Metre) -> int:
        """Steps of the model's bar for a metre.

        For one that is not taken, those of the bar that it would have; of the longest if that is
        no whole number.
        """
        own = steps_per_bar(metre, self.steps_per_quarter)
        if own is None:
            return self.steps_per_bar
        return next((bar for bar in self.model_bars if bar % own == 0), own)

    def window_steps(self, metre: Metre) -> int:
        """Steps of a piece of this metre in a window."""
        return self.num_bars * self.bar_steps(metre)

    def span(self, starts: NDArray[np.int64], stretch: Stretch) -> "Span":
        """The windows of a stretch that begin at these steps."""
        number = self.bar_numbers[str(stretch.metre)] if len(self.model_bars) > 1 else None
        bar, length = self.bar_steps(stretch.metre), self.window_steps(stretch.metre)
        return Span(starts, length, stretch.end_step, bar, self.steps_per_bar, number)


@dataclass(frozen=True, eq=False)
class Span:
    """Windows of equal length under one metre."""

    starts: NDArray[np.int64]
    """The step at which each window begins, in rising order: (N,)."""
    length: int
    """Steps of a window."""
    end_step: int
    """Where the metre ends; windows that reach beyond it are silent from there on."""
    bar: int = 1
    """Steps of a bar."""
    model_bar: int = 1
    """Steps of a bar in the model."""
    bar_number: int | None = None
    """Which of the model's bars it is, where there are several."""

    @property
    def size(self) -> int:
        """Steps that the windows may ask for: those of the piece, and `nowhere`."""
        return max(self.end_step, int(self.starts[-1]) + self.length) + 2

    @property
    def nowhere(self) -> int:
        """A step after the end of everything, which stands for what fills up a shorter bar."""
        return self.size - 1

    def steps(self) -> NDArray[np.int64]:
        """The steps of the piece that each window covers: (N, T)."""
        return self._steps

    @cached_property
    def _steps(self) -> NDArray[np.int64]:
        if self.bar == self.model_bar:
            return self.starts[:, None] + np.arange(self.length)
        bars, steps = np.divmod(np.arange(self.length // self.bar * self.model_bar), self.model_bar)
        inside = steps < self.bar
        return np.where(inside, self.starts[:, None] + bars * self.bar + steps, self.nowhere)


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of a span as tokens, and what may rule them out."""

    ids: Sequence[NDArray[Any]] | NDArray[Any]
    """Tokens (T, C + K) of each window, of any integer type."""
    rests: NDArray[np.integer[Any]]
    """The longest rest of any voice in each window, in steps: (N,)."""
    refused: Mapping[Reason, NDArray[np.bool_]] = field(default_factory=dict)
    """For each reason, which windows it rules out: (N,)."""


Cut: TypeAlias = Callable[[Span], Windows]


def extract_windows(
    settings: WindowSettings, piece: Piece, cuts: Iterable[Cut], dropped: Dropped
) -> Extraction:
    """All training windows of the parts of a piece, one after the other.

    What is left out is added to `dropped`, which already counts what belongs to no part.
    """
    if not len(piece.notes):
        dropped[NO_NOTES] += 1
        return Extraction([], dropped)
    sequences: list[NDArray[Any]] = []
    for cut in cuts:
        for stretch in stretches(piece):
            bar = settings.bar_steps(stretch.metre)
            length = stretch.end_step - stretch.start_step
            num_bars = -(-length // bar)  # the last may end in silence
            hops = range(0, max(num_bars - settings.num_bars, 0) + 1, settings.hop_bars)
            starts = stretch.start_step + bar * np.array(hops)
            if str(stretch.metre) not in settings.metres:
                dropped[other_metre(stretch.metre, settings)] += len(starts)
                continue
            windows = cut(settings.span(starts, stretch))
            refused = {**windows.refused, **_long_rests(windows, settings)}
            sequences += compress(windows.ids, _usable(len(starts), refused, dropped))
    return Extraction(_spread(sequences, settings.max_windows, piece, dropped), dropped)


def _spread(
    sequences: list[NDArray[Any]], max_windows: int, piece: Piece, dropped: Dropped
) -> list[NDArray[Any]]:
    """Of more windows than a piece may give, one at random of each of as many equal parts.

    Which ones depends on the notes of the piece alone.
    """
    if not 0 < max_windows < len(sequences):
        return sequences
    dropped[TOO_MANY] += len(sequences) - max_windows
    rng = np.random.default_rng(zlib.crc32(piece.notes.tobytes()))
    edges = np.arange(max_windows + 1) * len(sequences) // max_windows
    return [sequences[number] for number in rng.integers(edges[:-1], edges[1:])]


def encode_windows(
    settings: WindowSettings,
    piece: Piece,
    cut: Cut,
    bar: int | None,
    program: int = 0,
    tracks: Mapping[int, Track] = NO_TRACKS,
) -> list[Example]:
    """The windows of a clip end to end, or the one that begins at `bar`, counted from 1.

    Rests are taken as they are. `program` and `tracks` are what the examples keep of the clip.

    Raises:
        InputError: no window can be used; the reason is named.
    """
    dropped = Dropped()
    examples: list[Example] = []
    all_bars = list(bars(piece))
    numbers = {each.start_step: each.number for each in all_bars}
    for stretch, chosen in _clip_starts(settings, all_bars, bar, dropped).items():
        starts = np.array(chosen)
        windows = cut(settings.span(starts, stretch))
        usable = _usable(len(starts), windows.refused, dropped)
        tempos = piece.mean_qpm(starts, settings.window_steps(stretch.metre)).tolist()
        timed = compress(zip(windows.ids, tempos, chosen, strict=True), usable)
        metre, key, moved = stretch.metre, piece.key, piece.moved or 0
        end = _last_line(stretch, all_bars[-1], piece.steps_per_quarter)
        examples += [
            Example(
                ids.astype(np.int64), qpm, program, tracks, metre, key, moved,
                start, numbers[start], end,
            )
            for ids, qpm, start in timed
        ]  # fmt: skip
    if not examples:
        raise InputError(f"no usable window: {_why_no_window(settings, dropped, bar, all_bars)}")
    if dropped:
        logger.warning("%s: left out: %s", piece.name or "the clip", in_words(dropped))
    return examples


def _last_line(stretch: Stretch, last: Bar, steps_per_quarter: int) -> int:
    """Where a metre of a clip ends: at the next one, or with the last bar of the clip."""
    if stretch != last.stretch:
        return stretch.end_step
    return last.start_step + (steps_per_bar(stretch.metre, steps_per_quarter) or 0)


def _clip_starts(
    settings: WindowSettings, all_bars: Sequence[Bar], bar: int | None, dropped: Dropped
) -> dict[Stretch, list[int]]:
    """Where the windows of a clip begin in each stretch: end to end, or at `bar` alone."""
    starts: dict[Stretch, list[int]] = {}
    free_from = 0
    for candidate in all_bars:
        start, stretch = candidate.start_step, candidate.stretch
        if (start < free_from) if bar is None else (candidate.number != bar):
            continue
        free_from = min(start + settings.window_steps(stretch.metre), stretch.end_step)
        if str(stretch.metre) not in settings.metres:
            dropped[other_metre(stretch.metre, settings)] += 1
            continue
        starts.setdefault(stretch, []).append(start)
    return starts


def _why_no_window(
    settings: WindowSettings, dropped: Dropped, bar: int | None, all_bars: Sequence[Bar]
) -> str:
    reason = main_reason(dropped)
    if reason is None:
        return f"bar is {bar}; it has bars 1 to {len(all_bars)}"
    return reason.for_model()


def window_piece(settings: WindowSettings, notes: Notes, qpm: float, bar_number: int = 0) -> Piece:
    """The decoded notes of a window as a piece of its length and metre."""
    metre = next(name for name, number in settings.bar_numbers.items() if number == bar_number)
    return Piece(
        notes,
        settings.steps_per_quarter,
        (parse_metre(metre),),
        (Tempo(0, qpm),),
        num_steps=settings.num_bars * settings.model_bars[bar_number],
    )


@cache
def long_rest(gap_bars: float) -> Reason:
    """Why training leaves out a window with a rest of `gap_bars`."""
    plural = "" if gap_bars == 1 else "s"
    text = f"a rest of {gap_bars:g} bar{plural} or more, counting silence after the piece"
    return Reason("window", text, "--data.tokenizer.gap_bars")


def _long_rests(windows: Windows, settings: WindowSettings) -> dict[Reason, NDArray[np.bool_]]:
    """Which windows rest for `gap_bars`, or throughout, where windows are shorter than that."""
    if settings.gap_bars == 0:
        return {}
    longest = min(math.ceil(settings.gap_bars * settings.steps_per_bar), settings.window_length)
    return {long_rest(settings.gap_bars): windows.rests >= longest}


def _usable(
    num_windows: int, refused: Mapping[Reason, NDArray[np.bool_]], dropped: Dropped
) -> list[bool]:
    """Which windows nothing rules out; others are counted under the first reason that does."""
    is_refused = np.zeros(num_windows, np.bool_)
    for reason, which in refused.items():
        if num_newly := int(np.count_nonzero(which & ~is_refused)):
            dropped[reason] += num_newly
        is_refused |= which
    usable: list[bool] = (~is_refused).tolist()
    return usable


def other_metre(metre: Metre, settings: WindowSettings) -> Reason:
    """Why a window is left out whose metre is none of the model's."""
    remedy = f"--data.tokenizer.metres {','.join([*settings.metres, str(metre)])}"
    taken = f"the model takes {' or '.join(settings.metres)}"
    if steps_per_bar(metre, settings.steps_per_quarter) is not None:
        return Reason("window", f"metre {metre}", remedy, taken)
    quarter = 4 * metre.numerator  # bar = quarter * steps_per_quarter / denominator
    missing = metre.denominator // math.gcd(quarter * settings.steps_per_quarter, metre.denominator)
    remedy += f" --data.tokenizer.steps_per_quarter {missing * settings.steps_per_quarter}"
    text = f"metre {metre}, whose bar is no whole number of steps"
    return Reason("window", text, remedy, taken)


def taken_bars(
    shape: tuple[int, int, int], probability: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Which parts of which bars a window takes from another in mixing: (N, bars, parts).

    A window takes any with this probability, and then each with probability 1/2. Parts are what
    sounds together: a rhythm of one drum goes with many rhythms of the others, and a corpus holds
    few of these combinations.
    """
    taken: NDArray[np.bool_] = rng.random(shape) < 0.5
    return taken & (rng.random((shape[0], 1, 1)) < probability)
