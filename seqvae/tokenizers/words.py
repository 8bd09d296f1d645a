"""Text in whole words, counted exactly as the Penn Treebank literature does.

A line is split at spaces; the vocabulary is the most frequent types of the training split; other
words become `<unk>`, each on its own; every line ends with EOS, which counts as a word. Words are
not lossless: runs of spaces become one. Axes: T steps, C = 1 channel.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.model.config import Steps
from seqvae.tokenizers.contract import Ids, from_plain

EOS_WORD, UNK_WORD = "<eos>", "<unk>"
EOS, UNK = 0, 1


@dataclass(frozen=True, kw_only=True)
class WordTokenizer:
    """Settings and, once trained, the list of words."""

    kind: ClassVar[str] = "words"
    modality: ClassVar[Literal["text"]] = "text"
    eos_id: ClassVar[int | None] = EOS

    vocab_size: int = 10_000
    """Word types, EOS and `<unk>` included; fewer where the corpus has fewer."""
    max_steps: int = 100
    """The longest sequence in words, EOS included; longer lines are left out and counted."""
    words: tuple[str, ...] = ()
    """The vocabulary by id; EOS and `<unk>` come first."""

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        if self.vocab_size < 3:
            raise InputError(f"words: vocab_size is {self.vocab_size}; it must be 3 or more")
        if self.max_steps < 2:
            raise InputError(f"words: max_steps is {self.max_steps}; it must be 2 or more")

    @property
    def channels(self) -> tuple[str]:
        """One."""
        return ("tokens",)

    @property
    def vocab_sizes(self) -> tuple[int]:
        """One channel of words."""
        return (len(self.words),)

    def train(self, lines: Iterable[str]) -> "WordTokenizer":
        """The same settings with the most frequent words of these lines."""
        rows = [line.split() for line in lines]
        counts = Counter(word for row in rows for word in row)
        alone = [row[0] for row in rows if len(row) == 1]
        once = sum(counts[word] == 1 for word in alone)
        if len(alone) > 1 and 2 * once > len(rows):
            raise InputError(
                f"words: {once} of {len(rows)} training lines are a single word that no other line "
                f"has (such as {alone[-1][:20]!r}); take data.tokenizer.kind text, which needs no "
                "spaces"
            )
        del counts[EOS_WORD], counts[UNK_WORD]
        if not counts:
            raise InputError("words: the training lines hold no words")
        # Ties in order of the alphabet, so that the order of lines changes nothing.
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return replace(self, words=(EOS_WORD, UNK_WORD, *ranked[: self.vocab_size - 2]))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words) if i != EOS}  # one in the text is unk

    def encode(self, text: str) -> Ids:
        """The words of a line, then EOS: (T, 1)."""
        ids = [self._ids.get(word, UNK) for word in text.split()]
        return np.array([*ids, EOS], np.int64)[:, None]

    def decode(self, ids: Ids) -> str:
        """Words joined by spaces; whatever follows EOS is ignored."""
        tokens = ids[:, 0].tolist()
        end = tokens.index(EOS) if EOS in tokens else len(tokens)
        return " ".join(self.words[token] for token in tokens[:end])

    def show(self, ids: Ids) -> str:
        """The text."""
        return self.decode(ids)

    def augment(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Text is taken as it is."""
        return ids

    def mix(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Nothing is mixed."""
        return ids

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
        """Nothing is given beside the text."""
        return ()

    def encoder_input(self, ids: NDArray[np.int64]) -> None:
        """The encoder reads the batch itself."""

    def to_json(self) -> dict[str, Any]:
        """Settings and words."""
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "WordTokenizer":
        """The tokenizer that `to_json` described."""
        return cls(**from_plain(saved))
