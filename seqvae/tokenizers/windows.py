"""Windows of bars: how music representations cut pieces, and what they say about the rest.

A representation says which notes belong together (`_parts`) and what the windows of such a part
are (`_windows`). Windows lie on the bar lines of one metre and never cross a change of it.
"""

import logging
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.model.config import Steps
from seqvae.music.notes import (
    Metre,
    Notes,
    Piece,
    Tempo,
    bars,
    parse_metre,
    steps_per_bar,
    stretches,
)
from seqvae.tokenizers.contract import Example, Extraction, Ids, from_plain

logger = logging.getLogger(__name__)

Given: TypeAlias = NDArray[np.int64] | None
"""What is given at each step of a piece: (steps, K)."""
Part: TypeAlias = tuple[Notes, ...]
"""Notes that go into one sequence together, a list a voice: a line, or a line, a bass and a kit."""


@dataclass(frozen=True, kw_only=True)
class WindowTokenizer(ABC):
    """Settings of the grid and of the windows."""

    kind: ClassVar[str]
    modality: ClassVar[Literal["music"]] = "music"
    eos_id: ClassVar[int | None]
    keeps: ClassVar[frozenset[str]] = frozenset()

    num_bars: int = 2
    """Bars of a window."""
    metres: tuple[str, ...] = ("4/4", "2/2", "2/4")
    """Metres that are taken. The first gives the bar; bars of the others must divide it."""
    steps_per_quarter: int = 4
    """Resolution of the grid; 4 is sixteenths."""
    hop_bars: int = 1
    """Bars from one training window to the next."""
    gap_bars: float = 1.0
    """Training leaves out windows with a rest of this many bars or more; 0 leaves out none."""

    def __post_init__(self) -> None:
        """Refuse settings that no window can satisfy."""
        self._at_least(1, "num_bars", "steps_per_quarter", "hop_bars")
        self._at_least(0, "gap_bars")
        if not math.isfinite(self.gap_bars):
            raise InputError(f"{self.kind}: gap_bars is {self.gap_bars}; 0 leaves out none")
        if not self.metres:
            raise InputError(f"{self.kind}: metres is empty; give at least one, such as 4/4")
        whole_bar = self.steps_per_bar
        for metre in self.metres:
            bar = steps_per_bar(parse_metre(metre), self.steps_per_quarter)
            if bar is None or whole_bar % bar:
                raise InputError(
                    f"{self.kind}: a bar of {metre} does not divide one of {self.metres[0]} "
                    f"at {self.steps_per_quarter} steps per quarter"
                )

    def _at_least(self, low: int, *names: str) -> None:
        for name in names:
            if getattr(self, name) < low:
                value = getattr(self, name)
                raise InputError(f"{self.kind}: {name} is {value}; it must be {low} or more")

    def _at_most(self, high: int, name: str, what: str) -> None:
        if getattr(self, name) > high:
            value = getattr(self, name)
            raise InputError(f"{self.kind}: {name} is {value}; MIDI has {high} {what}")

    def _share(self, name: str) -> None:
        if not 0 <= getattr(self, name) <= 1:
            value = getattr(self, name)
            raise InputError(f"{self.kind}: {name} is {value}; it must lie in [0, 1]")

    @cached_property
    def steps_per_bar(self) -> int:
        """Steps of the model's bar, that of the first metre."""
        steps = steps_per_bar(parse_metre(self.metres[0]), self.steps_per_quarter)
        if steps is None:
            raise InputError(
                f"{self.kind}: a bar of {self.metres[0]} is no whole number of steps "
                f"at {self.steps_per_quarter} steps per quarter"
            )
        return steps

    @property
    def window_length(self) -> int:
        """Steps of the grid in a window."""
        return self.num_bars * self.steps_per_bar

    @property
    @abstractmethod
    def max_steps(self) -> int:
        """The longest sequence, its end token included."""

    @property
    @abstractmethod
    def channels(self) -> tuple[str, ...]:
        """Names of the channels."""

    @property
    @abstractmethod
    def vocab_sizes(self) -> tuple[int, ...]:
        """Tokens of each channel."""

    @property
    def steps(self) -> Steps:
        """What the model must know of the sequences."""
        return Steps(
            vocab_sizes=self.vocab_sizes,
            max_steps=self.max_steps,
            eos_id=self.eos_id,
            num_members=self.num_members,
            condition_sizes=self.condition_sizes,
        )

    @property
    def num_members(self) -> tuple[int, ...]:
        """No token is a subset."""
        return ()

    @property
    def condition_sizes(self) -> tuple[int, ...]:
        """Nothing is given beside the tokens."""
        return ()

    def _given(self, piece: Piece) -> Given:
        """What is given at each step of a piece."""
        return None

    @abstractmethod
    def _parts(self, notes: Notes, dropped: Counter[str]) -> list[Part]:
        """The parts of a piece, and why other notes belong to none."""

    @abstractmethod
    def _windows(
        self,
        part: Part,
        starts: NDArray[np.int64],
        end_step: int,
        gap_bars: float,
        dropped: Counter[str],
        given: Given,
    ) -> Iterable[Ids]:
        """The usable windows of a part among those that begin at `starts`.

        `end_step` is where the metre ends. What is left out is counted under its reason. The
        columns of `given`, if there is one, go with the tokens.
        """

    def _main(self, notes: Notes, dropped: Counter[str]) -> Part | None:
        """The part that a clip is taken for; silence is one, too."""
        if not len(notes):
            return (notes,)
        parts = self._parts(notes, dropped)
        return parts[0] if parts else None

    def extract(self, piece: Piece) -> Extraction:
        """All training windows of all parts, and why the others were left out."""
        dropped: Counter[str] = Counter()
        sequences: list[Ids] = []
        if not len(piece.notes):
            dropped["no notes"] += 1
        given = self._given(piece)
        for part in self._parts(piece.notes, dropped):
            for stretch in stretches(piece):
                length = stretch.end_step - stretch.start_step
                num_bars = -(-length // self.steps_per_bar)  # the last may end in silence
                hops = range(0, max(num_bars - self.num_bars, 0) + 1, self.hop_bars)
                starts = stretch.start_step + self.steps_per_bar * np.array(hops)
                if str(stretch.metre) not in self.metres:
                    dropped[self._other_metre(stretch.metre)] += len(starts)
                    continue
                sequences.extend(
                    self._windows(part, starts, stretch.end_step, self.gap_bars, dropped, given)
                )
        return Extraction(sequences, dropped)

    def encode(self, piece: Piece, bar: int | None = None) -> list[Example]:
        """The windows of a clip, end to end, or the one that begins at a bar (from 1).

        Rests are taken as they are.

        Raises:
            InputError: no window can be used; the reason is named.
        """
        unfit: Counter[str] = Counter()
        part = self._main(piece.notes, unfit)
        if part is None:
            raise InputError(f"no {self.kind} in it: {'; '.join(unfit)}")
        dropped: Counter[str] = Counter()
        program = int(part[0]["program"][0]) if len(part[0]) else 0
        given = self._given(piece)
        examples: list[Example] = []
        free_from = 0
        all_bars = list(bars(piece))
        for candidate in all_bars:
            start, metre = candidate.start_step, candidate.stretch.metre
            if (start < free_from) if bar is None else (candidate.number != bar):
                continue
            if str(metre) not in self.metres:
                dropped[self._other_metre(metre)] += 1
                continue
            end = candidate.stretch.end_step
            examples += [
                Example(ids, piece.qpm_at(start), program, candidate.number)
                for ids in self._windows(part, np.array([start]), end, 0.0, dropped, given)
            ]
            free_from = min(start + self.window_length, end)
        if not examples:
            reason = "; ".join(dropped) or f"bar is {bar}; it has bars 1 to {len(all_bars)}"
            raise InputError(f"no usable window: {reason}")
        if dropped:
            counts = "; ".join(f"{count} times {reason}" for reason, count in dropped.items())
            logger.warning("left out of the clip: %s", counts)
        return examples

    def _other_metre(self, metre: Metre) -> str:
        return f"{metre}, model expects {' or '.join(self.metres)}"

    def _piece(self, notes: Notes, example: Example) -> Piece:
        """Decoded notes as a piece of a window's length."""
        return Piece(
            notes,
            self.steps_per_quarter,
            (parse_metre(self.metres[0]),),
            (Tempo(0, example.qpm),),
            num_steps=self.window_length,
        )

    def augment(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """As they are."""
        return ids

    def mix(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Nothing is mixed."""
        return ids

    def encoder_input(self, ids: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """The encoder reads the batch itself."""
        return None

    def to_json(self) -> dict[str, Any]:
        """The settings say everything."""
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "WindowTokenizer":
        """The tokenizer of these settings."""
        return cls(**from_plain(saved))


def silence(gap_bars: float) -> str:
    """Why a window is left out; one that outlasts its piece is silent from there on."""
    plural = "" if gap_bars == 1 else "s"
    return f"silent for {gap_bars:g} bar{plural} or more, or as much longer than the piece"


def taken_bars(
    shape: tuple[int, int, int], share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Which parts of which bars windows take from others: (N, bars, parts).

    Half of them in a window that takes any. Parts are what sounds together: a rhythm of one drum
    goes with many rhythms of the rest, and most of these no corpus holds.
    """
    num_windows = shape[0]
    taken: NDArray[np.bool_] = rng.random(shape) < 0.5
    return taken & (rng.random((num_windows, 1, 1)) < share)
