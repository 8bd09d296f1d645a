"""Text in whole words, counted exactly as the Penn Treebank literature does.

A line is split at spaces. The vocabulary is the most frequent types of the training split; each
other word becomes `<unk>`. Every line ends with EOS, which counts as a word. Words are not
lossless: a run of spaces becomes one space.

Axes: T steps, C = 1 channel.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from seqvae.errors import InputError, at_least, at_most
from seqvae.model.config import MAX_VOCABULARY
from seqvae.tokenizers.contract import Ids, TextTokenizer, from_plain

EOS_WORD, UNK_WORD = "<eos>", "<unk>"
EOS, UNK = 0, 1


@dataclass(frozen=True, kw_only=True)
class WordTokenizer(TextTokenizer):
    """Settings and, once trained, the list of words."""

    kind: ClassVar[str] = "words"
    eos_id: ClassVar[int | None] = EOS
    learned: ClassVar[frozenset[str]] = frozenset({"words"})

    vocab_size: int = 10_000
    """Word types, EOS and `<unk>` included; fewer where the corpus has fewer."""
    max_steps: int = 100
    """The longest sequence in words, EOS included; longer lines are left out and counted."""
    words: tuple[str, ...] = ()
    """The vocabulary by id; EOS and `<unk>` come first."""

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        at_most(self, MAX_VOCABULARY, "vocab_size", section="words: ")
        at_least(self, 3, "vocab_size", section="words: ")
        at_least(self, 2, "max_steps", section="words: ")

    @property
    def vocab_sizes(self) -> tuple[int]:
        """One channel of words."""
        return (len(self.words),)

    def train(self, lines: Iterable[str]) -> "WordTokenizer":
        """The same settings with the most frequent words of these lines.

        Raises:
            InputError: the lines hold no words, or are not split into words by spaces.
        """
        counts: Counter[str] = Counter()
        lone_words: list[str] = []  # of lines that are a single word
        num_lines = 0
        for line in lines:
            words = line.split()
            counts.update(words)
            lone_words += words if len(words) == 1 else []
            num_lines += 1
        num_unique = sum(counts[word] == 1 for word in lone_words)
        if len(lone_words) > 1 and 2 * num_unique > num_lines:
            raise InputError(
                f"words: {num_unique} of {num_lines} training lines are a single word that no "
                f"other line has (such as {lone_words[-1][:20]!r}); take data.tokenizer.kind text, "
                "which needs no spaces"
            )
        del counts[EOS_WORD], counts[UNK_WORD]
        if not counts:
            raise InputError("words: the training lines hold no words; check data.source")
        # Ties are broken by the alphabet, so that the order of the lines changes nothing.
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return replace(self, words=(EOS_WORD, UNK_WORD, *ranked[: self.vocab_size - 2]))

    @cached_property
    def _ids(self) -> dict[str, int]:
        """The id of each word. EOS is left out: written in a text it is an unknown word."""
        return {word: i for i, word in enumerate(self.words) if i != EOS}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "WordTokenizer":
        """The tokenizer that `to_json` described."""
        tokenizer = cls(**from_plain(saved))
        if len(tokenizer.words) < 3 or len({*tokenizer.words}) < len(tokenizer.words):
            raise ValueError("fewer than 3 words, or one twice")
        return tokenizer

    def encode(self, text: str) -> Ids:
        """The words of a line, then EOS: (T, 1)."""
        ids = [self._ids.get(word, UNK) for word in text.split()]
        return np.array([*ids, EOS], np.int64)[:, None]

    def decode(self, ids: Ids) -> str:
        """Words joined by spaces; whatever follows EOS is ignored."""
        tokens = ids[:, 0].tolist()
        end = tokens.index(EOS) if EOS in tokens else len(tokens)
        return " ".join(self.words[token] for token in tokens[:end])
