"""Text in SentencePiece subwords (Kudo & Richardson 2018), trained on the user's own corpus.

Byte fallback without normalisation makes it lossless, except for U+2581, which is SentencePiece's
own mark of a space. Sequences end with EOS; there is no begin token and no padding token.

Axes: T steps, C = 1 channel.
"""

import base64
import heapq
import io
import logging
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from operator import itemgetter
from typing import Any, ClassVar

import sentencepiece

from seqvae.errors import InputError, at_least, at_most
from seqvae.model.config import MAX_VOCABULARY
from seqvae.tokenizers.contract import Ids, TextTokenizer, from_plain

UNK, EOS = 0, 1
NUM_RESERVED = 2 + 256  # UNK, EOS and the byte pieces
MAX_LINES = 1_000_000  # that a vocabulary is learned from; of more a sample is taken
MAX_CHARACTERS = 2**23  # of these lines: SentencePiece takes some 50 bytes for each

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SubwordTokenizer(TextTokenizer):
    """Settings of the subwords and, once trained, the SentencePiece model itself."""

    kind: ClassVar[str] = "text"
    eos_id: ClassVar[int | None] = EOS
    learned: ClassVar[frozenset[str]] = frozenset({"proto"})

    vocab_size: int = 4000
    """Number of subwords, byte pieces included; lowered where the corpus is too small for it."""
    max_steps: int = 64
    """The longest sequence in subwords, EOS included; longer lines are left out and counted."""
    proto: bytes = b""
    """The trained SentencePiece model."""

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        at_most(self, MAX_VOCABULARY, "vocab_size", section="text: ")
        if self.vocab_size <= NUM_RESERVED:
            raise InputError(
                f"text: vocab_size is {self.vocab_size}; it must be above {NUM_RESERVED}, "
                "because bytes and special tokens take so many"
            )
        at_least(self, 2, "max_steps", section="text: ")

    @property
    def vocab_sizes(self) -> tuple[int]:
        """One channel of subwords."""
        return (self.vocab_size,)

    @cached_property
    def _processor(self) -> Any:
        processor = sentencepiece.SentencePieceProcessor()
        processor.LoadFromSerializedProto(self.proto)
        return processor

    def pieces(self) -> list[tuple[str, float]]:
        """Each subword by its token, with its log-probability: what another program needs."""
        processor = self._processor
        return [
            (processor.IdToPiece(token), processor.GetScore(token))
            for token in range(self.vocab_size)
        ]

    def train(self, lines: Iterable[str]) -> "SubwordTokenizer":
        """The same settings with a model trained on these lines, or on a sample of them.

        Raises:
            InputError: the lines are too few for any vocabulary.
        """
        sample = sample_lines(lines, MAX_LINES, MAX_CHARACTERS)
        size = self.vocab_size
        while True:
            try:
                return replace(self, vocab_size=size, proto=train_subwords(sample, size))
            except RuntimeError as error:
                # Only SentencePiece's message says which size the corpus can fill.
                limit = re.search(r"value <= (\d+)", str(error))
                if limit is None or not NUM_RESERVED < int(limit[1]) < size:
                    raise InputError(
                        f"text: no vocabulary of {size} subwords can be learned "
                        f"from {len(sample)} lines; change vocab_size or give more text"
                    ) from error
                size = int(limit[1])
                logger.warning(
                    "vocab_size lowered from %d to %d: the corpus has no more subwords",
                    self.vocab_size,
                    size,
                )

    def encode_lines(self, lines: list[str]) -> list[list[int]]:
        """The subwords of each line, then EOS."""
        # One thread: whoever has many lines has many processes.
        encoded: list[list[int]] = self._processor.EncodeAsIds(lines, add_eos=True, num_threads=1)
        return encoded

    def decode(self, ids: Ids) -> str:
        """The text of subwords; whatever follows EOS is ignored."""
        tokens = ids[:, 0].tolist()
        end = tokens.index(EOS) if EOS in tokens else len(tokens)
        return str(self._processor.DecodeIds(tokens[:end]))

    def to_json(self) -> dict[str, Any]:
        """Settings, and the SentencePiece model in base64."""
        proto = base64.b64encode(self.proto).decode("ascii")
        return {"kind": self.kind, **asdict(self), "proto": proto}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "SubwordTokenizer":
        """The tokenizer that `to_json` described."""
        proto = base64.b64decode(saved["proto"], validate=True)
        tokenizer = cls(**from_plain(saved) | {"proto": proto})
        processor = tokenizer._processor
        if (processor.GetPieceSize(), processor.eos_id()) != (tokenizer.vocab_size, EOS):
            raise ValueError(f"proto does not hold {tokenizer.vocab_size} subwords")
        return tokenizer


def sample_lines(lines: Iterable[str], max_lines: int, max_characters: int) -> list[str]:
    """All lines in their order, or where they are too many a sample of them, the same each time.

    Each line draws a number; those with the smallest numbers stay, as many as may be, and at least
    one. No more than these are held in memory.
    """
    draw = random.Random(0).random
    sample: list[tuple[float, int, str]] = []  # a heap: the largest number, negated, is first
    num_characters, bound = 0, 1.0
    for place, line in enumerate(lines):
        if (drawn := draw()) >= bound:
            continue
        heapq.heappush(sample, (-drawn, place, line))
        num_characters += len(line)
        while len(sample) > max_lines or (num_characters > max_characters and len(sample) > 1):
            negated, _, left_out = heapq.heappop(sample)
            num_characters -= len(left_out)
            bound = -negated
    return [line for _, _, line in sorted(sample, key=itemgetter(1))]


def train_subwords(lines: list[str], vocab_size: int) -> bytes:
    """A SentencePiece unigram model of these lines.

    Raises:
        RuntimeError: the lines do not have that many subwords.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=vocab_size,
        unk_id=UNK,
        eos_id=EOS,
        bos_id=-1,
        pad_id=-1,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        max_sentence_length=2**20,
        num_threads=1,  # with more, the vocabulary depends on timing
        minloglevel=2,
    )
    return model.getvalue()
