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

from seqvae.errors import InputError, at_least, at_most
from seqvae.model.config import MAX_VOCABULARY
from seqvae.tokenizers.contract import Ids, TextTokenizer, from_plain

EOS_WORD, UNK_WORD = "<eos>", "<unk>"
EOS, UNK = 0, 1
MAX_TYPES = 1_000_000  # words that are counted at a time


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

        Whenever there are more than `MAX_TYPES` words, the rarer half of them is forgotten, so that
        memory has a bound. Words that are frequent only in the last lines are counted too low then.

        Raises:
            InputError: the lines hold no words, or are not split into words by spaces.
        """
        counts: Counter[str] = Counter()
        lone_words: set[str] = set()  # which were the only word of a line
        for num_lines, line in enumerate(lines, start=1):
            words = line.split()
            counts.update(words)
            if len(words) == 1:
                lone_words.update(words)
            if len(counts) > max(MAX_TYPES, 2 * self.vocab_size):
                _refuse_unspaced(counts, lone_words, num_lines)
                counts = Counter(dict(counts.most_common(len(counts) // 2)))
                lone_words &= counts.keys()
        if counts:
            _refuse_unspaced(counts, lone_words, num_lines)
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

    def encode_lines(self, lines: list[str]) -> list[list[int]]:
        """The words of each line, then EOS."""
        ids = self._ids
        return [[*(ids.get(word, UNK) for word in line.split()), EOS] for line in lines]

    def spellings(self, text: str) -> list[str]:
        """The words as they are written, also those that are unknown."""
        first, *others = text.split() or [""]
        return [first, *(f" {word}" for word in others)] if first else []

    def decode(self, ids: Ids) -> str:
        """Words joined by spaces; whatever follows EOS is ignored."""
        tokens = ids[:, 0].tolist()
        end = tokens.index(EOS) if EOS in tokens else len(tokens)
        return " ".join(self.words[token] for token in tokens[:end])


def _refuse_unspaced(counts: Counter[str], lone_words: set[str], num_lines: int) -> None:
    """Refuse lines that are no words between spaces, as those of Chinese.

    Raises:
        InputError: most lines are a word that no other line has.
    """
    unique = [word for word in lone_words if counts[word] == 1]
    if len(unique) > 1 and 2 * len(unique) > num_lines:
        raise InputError(
            f"words: {len(unique)} of {num_lines} training lines are a single word that no other "
            f"line has (such as {min(unique)[:20]!r}); take data.tokenizer.kind text, which needs "
            "no spaces"
        )
