"""Text in SentencePiece subwords (Kudo & Richardson 2018), trained on the user's own corpus.

Byte fallback and no normalisation make it lossless by default, but for U+2581, SentencePiece's own
mark of a space. Sequences end with EOS; there is no begin and no padding token.

Axes: T steps, C = 1 channel.
"""

import base64
import io
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import sentencepiece
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.model.config import Steps
from seqvae.tokenizers.contract import Ids, from_plain

UNK, EOS = 0, 1
NUM_RESERVED = 2 + 256  # UNK, EOS and the byte pieces

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SubwordTokenizer:
    """Settings of the subwords and, once trained, the SentencePiece model itself."""

    kind: ClassVar[str] = "text"
    modality: ClassVar[Literal["text"]] = "text"
    eos_id: ClassVar[int | None] = EOS

    vocab_size: int = 4000
    """Subwords, byte pieces included; lowered where the corpus is too small for it."""
    model_type: str = "unigram"
    """How the subwords are found."""
    max_steps: int = 64
    """The longest sequence in subwords, EOS included; longer lines are left out and counted."""
    normalize: bool = False
    """Fold Unicode variants and repeated spaces (NFKC): fewer subwords, no longer lossless."""
    proto: bytes = b""
    """The trained SentencePiece model."""

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        if self.vocab_size <= NUM_RESERVED:
            raise InputError(
                f"text: vocab_size is {self.vocab_size}; {NUM_RESERVED} are reserved, give more"
            )
        if self.model_type not in ("unigram", "bpe"):
            raise InputError(f"text: model_type is {self.model_type!r}; there are unigram, bpe")
        if self.max_steps < 2:
            raise InputError(f"text: max_steps is {self.max_steps}; it must be 2 or more")

    @property
    def channels(self) -> tuple[str]:
        """One."""
        return ("tokens",)

    @property
    def vocab_sizes(self) -> tuple[int]:
        """One channel of subwords."""
        return (self.vocab_size,)

    @cached_property
    def _processor(self) -> Any:
        processor = sentencepiece.SentencePieceProcessor()
        processor.LoadFromSerializedProto(self.proto)
        return processor

    def train(self, lines: Iterable[str]) -> "SubwordTokenizer":
        """The same settings with a model trained on these lines."""
        lines = list(lines)
        size = self.vocab_size
        while True:
            try:
                return replace(self, vocab_size=size, proto=self._train(lines, size))
            except RuntimeError as error:
                # SentencePiece says which size the corpus can fill, and only in its message.
                limit = re.search(r"value <= (\d+)", str(error))
                if limit is None or not NUM_RESERVED < int(limit[1]) < size:
                    raise InputError(
                        f"text: no vocabulary of {size} subwords can be learned "
                        f"from {len(lines)} lines; change vocab_size or give more text"
                    ) from error
                size = int(limit[1])
                logger.warning(
                    "vocab_size lowered from %d to %d: the corpus has no more subwords",
                    self.vocab_size,
                    size,
                )

    def _train(self, lines: list[str], vocab_size: int) -> bytes:
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type=self.model_type,
            vocab_size=vocab_size,
            unk_id=UNK,
            eos_id=EOS,
            bos_id=-1,
            pad_id=-1,
            byte_fallback=True,
            normalization_rule_name="nmt_nfkc" if self.normalize else "identity",
            remove_extra_whitespaces=self.normalize,
            max_sentence_length=2**20,
            input_sentence_size=2_000_000,
            shuffle_input_sentence=False,
            num_threads=1,  # with more, the vocabulary depends on timing
            minloglevel=2,
        )
        return model.getvalue()

    def encode(self, text: str) -> Ids:
        """The subwords of a line, then EOS: (T, 1)."""
        return np.array([*self._processor.EncodeAsIds(text), EOS], np.int64)[:, None]

    def decode(self, ids: Ids) -> str:
        """The text of subwords; whatever follows EOS is ignored."""
        tokens = ids[:, 0].tolist()
        end = tokens.index(EOS) if EOS in tokens else len(tokens)
        return str(self._processor.DecodeIds(tokens[:end]))

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
        """Settings, and the SentencePiece model in base64."""
        return {
            "kind": self.kind,
            **asdict(self),
            "proto": base64.b64encode(self.proto).decode("ascii"),
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "SubwordTokenizer":
        """The tokenizer that `to_json` described."""
        tokenizer = cls(**from_plain(saved) | {"proto": base64.b64decode(saved["proto"])})
        _ = tokenizer._processor  # damage shows here
        return tokenizer
