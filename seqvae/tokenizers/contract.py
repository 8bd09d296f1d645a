"""What every tokenizer offers: sequences with `C` tokens per step, and the way back.

A representation is a frozen dataclass: its fields are the settings that a user may choose. It
stands in a file of its own and in one line of `seqvae.tokenizers.TOKENIZERS`.

Axes: B sequences, T steps, C channels, K condition columns.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import check_types
from seqvae.model.config import Steps
from seqvae.music.notes import DEFAULT_QPM, Key, Metre, Piece, Track
from seqvae.reasons import Dropped

Ids = NDArray[np.int64]  # (T, C + K), without padding
Kind = TypeVar("Kind", bound="Tokenizer")


@dataclass(frozen=True, eq=False)
class Example:
    """One encoded input, with what is needed beside the tokens to render it."""

    ids: Ids
    qpm: float = DEFAULT_QPM
    """Tempo of the clip, in quarters per minute."""
    program: int = 0
    """General MIDI program of the clip's melody, where the tokens do not say it."""
    tracks: Mapping[int, Track] = field(default_factory=dict)
    """What the clip says of each track that is decoded, by its number."""
    metre: Metre | None = None
    """That of the clip; None stands for the model's."""
    key: Key | None = None
    """Key signature of the clip."""
    moved: int = 0
    """Semitones by which the clip was moved to the common key; outputs are moved back."""
    start_step: int = 0
    """The step of the clip at which the window begins."""
    bar: int = 1
    """The bar of the clip that begins there, counted from 1."""
    end_step: int | None = None
    """The step of the clip at which its metre ends, or its last bar; None stands for never."""


@dataclass(frozen=True, eq=False)
class Extraction:
    """The training sequences of a source, and what was left out of it."""

    sequences: list[NDArray[Any]]
    """Tokens (T, C + K) of any integer type."""
    dropped: Dropped
    noted: Dropped = field(default_factory=Dropped)
    """What was taken otherwise than it is written."""


@dataclass(frozen=True, eq=False)
class Voice:
    """A part of the tokens that can be kept while others are written, such as the bass."""

    name: str
    channels: tuple[int, ...]
    track: int = 0
    """The number of its track in what is decoded."""
    heard: tuple[int, ...] = ()
    """The numbers of the tracks of a piece that it is heard in; empty where it is silent."""
    is_line: bool = False
    """Whether a note lasts until the next event of its channel."""


@dataclass(frozen=True, kw_only=True)
class Tokenizer(ABC):
    """What text and music share. Text adds `encode(str)`, music adds `encode(Piece)`."""

    kind: ClassVar[str]
    """Its name in `data.tokenizer.kind`."""
    modality: ClassVar[Literal["text", "music"]]
    eos_id: ClassVar[int | None] = None
    """The token of channel 0 that ends a sequence; None where all sequences have `max_steps`."""
    learned: ClassVar[frozenset[str]] = frozenset()
    """Fields that training fills in, and a user cannot set."""
    of_batches: ClassVar[frozenset[str]] = frozenset()
    """Settings that change the batches of training, and no token of a corpus."""

    def __post_init__(self) -> None:
        """Refuse values of another type."""
        check_types(self, section=f"{self.kind}: ")

    @property
    @abstractmethod
    def channels(self) -> tuple[str, ...]:
        """Names of the channels; where a step holds a set of notes, of the channels of a note."""

    @property
    @abstractmethod
    def vocab_sizes(self) -> tuple[int, ...]:
        """Number of tokens of each channel."""

    @property
    @abstractmethod
    def max_steps(self) -> int:
        """Length of the longest sequence, its end token included."""

    @property
    def num_members(self) -> tuple[int, ...]:
        """For each channel whose tokens are subsets of M things, M; 0 for other channels.

        Of the nine drums, token 5 = 0b101 is kick and closed hi-hat. Empty where no channel has
        subsets.
        """
        return ()

    @property
    def condition_sizes(self) -> tuple[int, ...]:
        """Number of values of each condition column, such as chords: read, but not predicted."""
        return ()

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

    @cached_property
    def token_type(self) -> np.dtype[Any]:
        """The smallest unsigned type that holds the tokens of all channels and conditions."""
        return np.dtype(np.min_scalar_type(max(self.vocab_sizes + self.condition_sizes) - 1))

    @abstractmethod
    def show(self, ids: Ids) -> str:
        """A sequence on one line, to be read by people."""

    def augment(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """A random variation of each sequence of a training batch (B, T, C + K)."""
        return ids

    def mix(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """A training batch (B, T, C + K) with parts of sequences exchanged between them."""
        return ids

    def encoder_input(self, ids: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """What the encoder reads in place of a batch (B, T, C + K); None where it reads that."""
        return None

    def to_json(self) -> dict[str, Any]:
        """Everything that `from_json` needs."""
        return {"kind": self.kind, **asdict(self)}

    def of_tokens(self) -> dict[str, Any]:
        """What two tokenizers share if their tokens mean the same."""
        return {
            name: value for name, value in self.to_json().items() if name not in self.of_batches
        }

    @classmethod
    def from_json(cls: type[Kind], saved: Mapping[str, Any]) -> Kind:
        """The tokenizer that `to_json` described."""
        return cls(**from_plain(saved))


@dataclass(frozen=True, kw_only=True)
class TextTokenizer(Tokenizer):
    """Strings <-> tokens."""

    modality: ClassVar[Literal["text"]] = "text"
    channels: ClassVar[tuple[str, ...]] = ("tokens",)
    has_words: ClassVar[bool] = True
    """Whether spaces separate words, so that figures may count them."""

    @property
    def spaces_lead(self) -> bool:
        """Whether a space is part of the token after it, so that none stands before a gap."""
        return self.has_words

    @abstractmethod
    def train(self, lines: Iterable[str]) -> "TextTokenizer":
        """The same settings with a vocabulary learned from these lines."""

    @abstractmethod
    def encode_lines(self, lines: list[str]) -> list[list[int]]:
        """The tokens of each line, ended by `eos_id`; none at all of a line that is refused."""

    def encode(self, text: str) -> Ids:
        """The tokens (T, 1) of a line, ended by `eos_id`.

        Raises:
            InputError: the line is refused.
        """
        (tokens,) = self.encode_lines([text])
        return np.array(tokens, np.int64)[:, None]

    @abstractmethod
    def decode(self, ids: Ids) -> str:
        """The text of tokens; whatever follows the end token is ignored."""

    def oddities(self, lines: Iterable[str]) -> Dropped:
        """What in these lines may be no data, though it is learned as such."""
        return Dropped()

    def spellings(self, text: str) -> list[str]:
        """What each token of a text stands for there, without the end; joined they are the text."""
        ids = self.encode(text)
        so_far = [self.decode(ids[:t]) for t in range(len(ids))]
        return [after[len(before) :] for before, after in itertools.pairwise(so_far)]

    def show(self, ids: Ids) -> str:
        """The text."""
        return self.decode(ids)


@dataclass(frozen=True, kw_only=True)
class MusicTokenizer(Tokenizer):
    """Pieces <-> tokens."""

    modality: ClassVar[Literal["music"]] = "music"
    onsets_by: ClassVar[tuple[str, ...]] = ("start", "pitch", "track")
    """What an onset must agree in to be right (`onset_f1`)."""
    on_grid: ClassVar[bool] = True
    """Whether a step of the tokens is one of the piece."""

    @property
    def keeps(self) -> frozenset[str]:
        """What the tokens keep of a performance: velocity, timing within a step."""
        return frozenset()

    @property
    def reads_chords(self) -> bool:
        """Whether the chord of each step is among the conditions, as their first column."""
        return False

    def chord_steps(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Named chords, which share a window equally, as a column of its conditions: (T, 1)."""
        return numbers[np.arange(self.max_steps) * len(numbers) // self.max_steps, None]

    @property
    @abstractmethod
    def steps_per_quarter(self) -> int:
        """Resolution of the grid."""

    @property
    @abstractmethod
    def steps_per_bar(self) -> int:
        """Steps of the model's bar."""

    @property
    @abstractmethod
    def bar_numbers(self) -> Mapping[str, int]:
        """For each metre that is taken, which of the model's bars it has.

        Where there are several, the number stands in the last column of the conditions.
        """

    @abstractmethod
    def window_steps(self, metre: Metre) -> int:
        """Steps of a piece of this metre in a window."""

    @abstractmethod
    def extract(self, piece: Piece) -> Extraction:
        """All training sequences of a piece."""

    @abstractmethod
    def encode(self, piece: Piece, bar: int | None = None) -> list[Example]:
        """The windows of a clip end to end, or the one that begins at `bar`, counted from 1.

        Raises:
            InputError: nothing of the clip can be encoded; the reason is named.
        """

    @abstractmethod
    def decode(self, example: Example) -> Piece:
        """The notes of one window, or of the first steps of one."""

    def voices(self, piece: Piece) -> list[Voice]:
        """The parts of the tokens, and the tracks of a piece that they are heard in."""
        tracks = tuple(np.unique(piece.notes["track"]).tolist())
        return [Voice("notes", tuple(range(len(self.vocab_sizes))), heard=tracks)]

    def cut(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Windows (N, T, C + K) that were cut out of longer ones, as if a piece was cut there."""
        return ids

    def reached(self, ids: Ids) -> int:
        """The step of the piece that the first steps (t, C + K) of a window reach.

        What they decode to is final up to there. With 0 nothing is, before the window ends.
        """
        return 0


def from_plain(saved: Mapping[str, Any]) -> dict[str, Any]:
    """A tokenizer's fields, without its kind, from JSON or YAML, which have lists for tuples."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in saved.items()
        if name != "kind"
    }
