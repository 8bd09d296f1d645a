"""Strings of symbols: SMILES, SELFIES, peptides, log lines.

A line is cut into symbols: characters, brackets, or the matches of a regular expression. Every
character belongs to one, so that joined they are the line again. The alphabet is that of the
training lines. There are no words, and no figure counts any.

Axes: T steps, C = 1 channel.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from seqvae.errors import InputError, at_least, at_most, one_of, shown
from seqvae.model.config import MAX_VOCABULARY
from seqvae.reasons import Dropped, Reason
from seqvae.tokenizers.contract import Ids, TextTokenizer, from_plain

EOS, UNK = 0, 1
UNK_SYMBOL = "\ufffd"  # U+FFFD stands for what cannot be shown
PATTERNS = {"characters": r"[\s\S]", "brackets": r"\[[^\[\]]*\]"}
FASTA_HEADER = Reason(
    "line", "a > at the beginning, as in headers of FASTA, learned as a sequence", "remove it"
)
WHITE_SPACE = Reason(
    "line",
    "white space, which the pattern never matches, learned as symbols",
    "remove names beside sequences",
)
MAX_TYPES = 1_000_000  # symbols that are counted at a time


@dataclass(frozen=True, kw_only=True)
class SymbolTokenizer(TextTokenizer):
    """Settings and, once trained, the alphabet."""

    kind: ClassVar[str] = "symbols"
    eos_id: ClassVar[int | None] = EOS
    learned: ClassVar[frozenset[str]] = frozenset({"alphabet"})
    has_words: ClassVar[bool] = False

    pattern: str = "characters"
    """What a symbol is: characters, brackets (each [...] is one, as in SELFIES), or a regular
    expression. What brackets or the expression leave over is cut into characters."""
    unknown: str = "refuse"
    """Symbols outside the alphabet, which is that of the training lines. `refuse`: their line is
    left out and counted, and no verb takes it. `keep`: each becomes U+FFFD."""
    vocab_size: int = 1000
    """The most symbols, end included; with `unknown: keep` the rarer ones become U+FFFD."""
    max_steps: int = 128
    """The longest sequence in symbols, end included; longer lines are left out and counted."""
    alphabet: tuple[str, ...] = ()
    """The symbols by id, from 1. With `unknown: keep` the first is U+FFFD."""

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        one_of(self, "unknown", ("refuse", "keep"), section="symbols: ")
        at_most(self, MAX_VOCABULARY, "vocab_size", section="symbols: ")
        at_least(self, 3, "vocab_size", section="symbols: ")
        at_least(self, 2, "max_steps", section="symbols: ")
        _ = self._cut

    @property
    def vocab_sizes(self) -> tuple[int]:
        """One channel of symbols."""
        return (1 + len(self.alphabet),)

    @property
    def expression(self) -> str:
        """The pattern as a regular expression."""
        return PATTERNS.get(self.pattern, self.pattern)

    @cached_property
    def _cut(self) -> re.Pattern[str]:
        """The expression whose matches are the symbols; its second half takes what is left."""
        try:
            return re.compile(rf"(?:{self.expression})|[\s\S]")
        except re.error as error:
            raise InputError(
                f"symbols: pattern is {shown(self.pattern)}, which is neither characters nor "
                f"brackets nor a regular expression: {error}"
            ) from error

    @cached_property
    def spaces_lead(self) -> bool:
        """Whether symbols begin with a space, such as words that the pattern cuts with theirs."""
        return any(symbol[0].isspace() and symbol.strip() for symbol in self.alphabet)

    def spellings(self, text: str) -> list[str]:
        """The symbols of a line, also those that are unknown; a match of nothing is none."""
        return [match[0] for match in self._cut.finditer(text) if match[0]]

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {symbol: i for i, symbol in enumerate(self.alphabet, start=1)}

    def train(self, lines: Iterable[str]) -> "SymbolTokenizer":
        """The same settings with the alphabet of these lines.

        Raises:
            InputError: there are no symbols, or too many and none may be unknown.
        """
        counts: Counter[str] = Counter()
        for line in lines:
            counts.update(self.spellings(line))
            if len(counts) > max(MAX_TYPES, 2 * self.vocab_size):
                self._refuse_large(len(counts))
                counts = Counter(dict(counts.most_common(len(counts) // 2)))
        if not counts:
            raise InputError("symbols: the training lines hold no symbols; check data.source")
        reserved = 1 + (self.unknown == "keep")
        if len(counts) > self.vocab_size - reserved:
            self._refuse_large(len(counts))
        # Ties are broken by the alphabet, so that the order of the lines changes nothing.
        if self.unknown == "keep":
            del counts[UNK_SYMBOL]
        ranked = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))
        first = (UNK_SYMBOL,) if self.unknown == "keep" else ()
        return replace(self, alphabet=(*first, *ranked[: self.vocab_size - reserved]))

    def _refuse_large(self, size: int) -> None:
        if self.unknown == "refuse":
            raise InputError(
                f"symbols: the training lines have {size} symbols or more, and vocab_size is "
                f"{self.vocab_size}; raise it, or keep the most frequent ones by "
                "--data.tokenizer.unknown keep"
            )

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "SymbolTokenizer":
        """The tokenizer that `to_json` described."""
        tokenizer = cls(**from_plain(saved))
        if not tokenizer.alphabet or len({*tokenizer.alphabet}) < len(tokenizer.alphabet):
            raise ValueError("an empty alphabet, or a symbol twice")
        if tokenizer.unknown == "keep" and tokenizer.alphabet[0] != UNK_SYMBOL:
            raise ValueError("the first symbol is not U+FFFD")
        return tokenizer

    def encode_lines(self, lines: list[str]) -> list[list[int]]:
        """The symbols of each line, then the end; nothing at all of a line that is refused."""
        ids, refused = self._ids, 0 if self.unknown == "refuse" else UNK
        found = ([ids.get(symbol, refused) for symbol in self.spellings(line)] for line in lines)
        return [[] if EOS in tokens else [*tokens, EOS] for tokens in found]

    def oddities(self, lines: Iterable[str]) -> Dropped:
        """Lines that begin as the headers of FASTA do, and those with what may be a name beside.

        White space is odd where a pattern has been chosen that it is no part of.
        """
        space = re.match(self.expression, " ")
        may_have_spaces = space is not None and space[0] == " "
        counts = Dropped()
        for line in lines:
            if line.startswith(">"):
                counts[FASTA_HEADER] += 1
            elif not may_have_spaces and len(line.split()) > 1:
                counts[WHITE_SPACE] += 1
        return counts

    def encode(self, text: str) -> Ids:
        """The symbols (T, 1) of a line, ended by `eos_id`.

        Raises:
            InputError: a symbol is outside the alphabet.
        """
        ids = super().encode(text)
        if not len(ids):
            unknown = self._unknown_in(text)[0]
            known = self._respaced(unknown)
            if not known:
                unknown = unknown.strip() or unknown  # a word without the space before it
            raise InputError(
                f"{shown(text)}: {shown(unknown)} is not in the vocabulary of the model "
                f"({len(self.alphabet)} {'words' if self.spaces_lead else 'symbols'})"
                f"{known}; one trained with data.tokenizer.unknown keep would "
                "take it"
            )
        return ids

    def unknown_in(self, text: str) -> list[str]:
        """The symbols of a line that are outside the alphabet, each once; a word has no space."""
        unknown = (symbol.strip() or symbol for symbol in self._unknown_in(text))
        return list(dict.fromkeys(unknown))

    def _unknown_in(self, text: str) -> list[str]:
        """The same, with the space before a word."""
        return [symbol for symbol in self.spellings(text) if symbol not in self._ids]

    def _respaced(self, unknown: str) -> str:
        """Whether a word is known at another place: its space before it is part of it."""
        other = unknown[1:] if unknown[0] == " " else f" {unknown}"
        place = "at the beginning" if unknown[0] == " " else "after a space"
        return f", which knows {shown(other)} {place}" if other in self._ids else ""

    def decode(self, ids: Ids) -> str:
        """The symbols joined; whatever follows the end is ignored."""
        tokens = ids[:, 0].tolist()
        end = tokens.index(EOS) if EOS in tokens else len(tokens)
        return "".join(self.alphabet[token - 1] for token in tokens[:end])
