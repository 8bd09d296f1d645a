"""What the engine of `play` must know to turn notes or lines into tokens, and tokens into them."""

from typing import Any

from seqvae.pages.page import Data
from seqvae.tokenizers.contract import TextTokenizer
from seqvae.tokenizers.kits import CLASS_OF, CLASSES, WRITTEN
from seqvae.tokenizers.symbols import UNK as UNKNOWN_SYMBOL
from seqvae.tokenizers.symbols import SymbolTokenizer
from seqvae.tokenizers.text import UNK as UNKNOWN_SUBWORD
from seqvae.tokenizers.text import SubwordTokenizer
from seqvae.tokenizers.words import UNK as UNKNOWN_WORD
from seqvae.tokenizers.words import WordTokenizer

SETTINGS = (  # of a tokenizer of music, as far as it has them
    "num_bars", "steps_per_quarter", "min_pitch", "max_pitch", "keys", "num_velocity_bins",
    "num_offset_bins", "encoder_sees", "max_notes",
)  # fmt: skip


def music_grid(tokenizer: Any) -> Data:
    """The grid of a representation of music, and what its numbers stand for."""
    numbers, bars = tokenizer.bar_numbers, tokenizer.model_bars
    fields: dict[str, Any] = {
        name: getattr(tokenizer, name) for name in SETTINGS if hasattr(tokenizer, name)
    }
    return fields | {
        "kind": tokenizer.kind,
        "bars": list(bars),
        "model_bar": tokenizer.steps_per_bar,
        "metres": [
            [metre for metre, number in numbers.items() if number == of] for of in range(len(bars))
        ],
        "reads_chords": tokenizer.reads_chords,
        "num_voices": getattr(tokenizer, "num_voices", 1),
        "slot_size": tokenizer.steps.slot_size,
        "has_programs": bool(getattr(tokenizer, "programs", False)),
        "classes": [*CLASSES],
        "written": WRITTEN.tolist(),
        "class_of": CLASS_OF.tolist(),
    }


def text_grid(tokenizer: TextTokenizer) -> Data:
    """The vocabulary of a representation of text; `unknown` is the token of what is not in it."""
    shared = {
        "kind": tokenizer.kind, "max_steps": tokenizer.max_steps, "eos": tokenizer.eos_id
    }  # fmt: skip
    if isinstance(tokenizer, WordTokenizer):
        return shared | {"words": [*tokenizer.words], "unknown": UNKNOWN_WORD}
    if isinstance(tokenizer, SymbolTokenizer):
        unknown = None if tokenizer.unknown == "refuse" else UNKNOWN_SYMBOL
        symbols = {"alphabet": [*tokenizer.alphabet], "pattern": tokenizer.expression}
        return shared | symbols | {"unknown": unknown}
    assert isinstance(tokenizer, SubwordTokenizer)
    pieces, scores = zip(*tokenizer.pieces(), strict=True)
    return shared | {"pieces": [*pieces], "scores": [*scores], "unknown": UNKNOWN_SUBWORD}
