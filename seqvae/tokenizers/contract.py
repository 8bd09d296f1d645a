"""What every tokenizer offers: tokens of `C` channels a step, and the way back.

Axes: B sequences, T steps, C channels.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from seqvae.model.config import Steps
from seqvae.music.notes import DEFAULT_QPM, Piece

Ids = NDArray[np.int64]  # (T, C), without padding


def from_plain(saved: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a tokenizer from JSON or YAML, which know no tuples; without its kind."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in saved.items()
        if name != "kind"
    }


@dataclass(frozen=True, eq=False)
class Example:
    """One encoded input, and what its rendering needs beside the tokens."""

    ids: Ids
    qpm: float = DEFAULT_QPM
    """Tempo of a clip, in quarters per minute."""
    program: int = 0
    """General MIDI program of a clip's line."""
    bar: int = 1
    """The bar of its file at which a clip begins, counted from 1."""


@dataclass(frozen=True, eq=False)
class Extraction:
    """What a source gave for training, and how much was left out for which reason."""

    sequences: list[NDArray[Any]]
    """Tokens (T, C) of any integer type."""
    dropped: Counter[str]


@runtime_checkable
class Tokenizer(Protocol):
    """The part that text and music share. Text adds `encode(str)`, music `encode(Piece)`."""

    kind: ClassVar[str]
    eos_id: ClassVar[int | None]
    """The token of channel 0 that ends a sequence; None where all have `max_steps`."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels."""

    @property
    def steps(self) -> Steps:
        """What the model must know of the sequences."""

    @property
    def vocab_sizes(self) -> tuple[int, ...]:
        """Tokens of each channel."""

    @property
    def num_members(self) -> tuple[int, ...]:
        """Of how many things the tokens of each channel are subsets, or 0; () where none are."""

    @property
    def condition_sizes(self) -> tuple[int, ...]:
        """Tokens of each column after the channels that is given, not predicted."""

    @property
    def max_steps(self) -> int:
        """The longest sequence, its end token included."""

    def show(self, ids: Ids) -> str:
        """A sequence on one line, for people."""

    def augment(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """A fresh variation of a training batch (B, T, C)."""

    def mix(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """A training batch (B, T, C) with parts of one sequence in the place of another's."""

    def encoder_input(self, ids: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """What the encoder reads of a batch (B, T, C), where it is not the batch itself."""

    def to_json(self) -> dict[str, Any]:
        """Everything that `from_json` needs."""

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "Tokenizer":
        """The tokenizer that `to_json` described."""


@runtime_checkable
class TextTokenizer(Tokenizer, Protocol):
    """Strings <-> tokens."""

    modality: ClassVar[Literal["text"]]

    def train(self, lines: Iterable[str]) -> "TextTokenizer":
        """The same settings with a vocabulary learned from these lines."""

    def encode(self, text: str) -> Ids:
        """The tokens of a line, ended by `eos_id`."""

    def decode(self, ids: Ids) -> str:
        """The text of tokens; whatever follows the end token is ignored."""


@runtime_checkable
class MusicTokenizer(Tokenizer, Protocol):
    """Pieces <-> tokens."""

    modality: ClassVar[Literal["music"]]
    keeps: ClassVar[frozenset[str]]
    """What of a performance the tokens keep: velocity, timing within a step."""

    @property
    def steps_per_quarter(self) -> int:
        """Resolution of the grid."""

    @property
    def steps_per_bar(self) -> int:
        """Steps of the model's bar."""

    def extract(self, piece: Piece) -> Extraction:
        """All training sequences of a piece."""

    def encode(self, piece: Piece, bar: int | None = None) -> list[Example]:
        """The windows of a clip, end to end, or the one that begins at a bar (from 1)."""

    def decode(self, example: Example) -> Piece:
        """The notes of one window."""
