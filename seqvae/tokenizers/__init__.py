"""Representations: one file each, and the table of them.

Imports `music`, `model.config` and `errors`; never torch.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from seqvae.disk import door, read_json, write_file
from seqvae.errors import InputError, at_most, checked, shown
from seqvae.model.config import MAX_STEPS
from seqvae.tokenizers.contract import MusicTokenizer, TextTokenizer, from_plain
from seqvae.tokenizers.drums import DrumsTokenizer
from seqvae.tokenizers.groove import GrooveTokenizer
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.multitrack import MultitrackTokenizer
from seqvae.tokenizers.polyphony import PolyphonyTokenizer
from seqvae.tokenizers.symbols import SymbolTokenizer
from seqvae.tokenizers.text import SubwordTokenizer
from seqvae.tokenizers.trio import TrioTokenizer
from seqvae.tokenizers.voices import VoicesTokenizer
from seqvae.tokenizers.words import WordTokenizer

AnyTokenizer = TextTokenizer | MusicTokenizer

TOKENIZERS: dict[str, type[AnyTokenizer]] = {
    "text": SubwordTokenizer,
    "words": WordTokenizer,
    "symbols": SymbolTokenizer,
    "melody": MelodyTokenizer,
    "drums": DrumsTokenizer,
    "groove": GrooveTokenizer,
    "trio": TrioTokenizer,
    "voices": VoicesTokenizer,
    "polyphony": PolyphonyTokenizer,
}
IMPORTED: dict[str, type[AnyTokenizer]] = {"multitrack": MultitrackTokenizer}
"""Kinds of models that other programs have trained."""

TOKENIZER_FILE = "tokenizer.json"
COPY = "copy the bundle again"


def make_tokenizer(settings: Mapping[str, Any]) -> AnyTokenizer:
    """A tokenizer from the `tokenizer` section of a config: `kind` and that kind's settings.

    Raises:
        InputError: the kind or a setting is unknown, a value is impossible, or no model of this
            kind is trained here.
    """
    kind = settings.get("kind")
    if kind in IMPORTED:
        raise InputError(
            f"tokenizer kind is {kind}, which is for imported models alone; of those trained here "
            f"choose one of {', '.join(TOKENIZERS)}"
        )
    if not isinstance(kind, str) or kind not in TOKENIZERS:
        raise InputError(f"tokenizer kind is {shown(kind)}; choose one of {', '.join(TOKENIZERS)}")
    made = TOKENIZERS[kind]
    defaults = {f.name: f.default for f in fields(made) if f.name not in made.learned}
    chosen, hints = from_plain(settings), get_type_hints(made)
    for name, value in [*chosen.items()]:
        if name not in defaults:
            raise InputError(f"{kind} tokenizer has no {name!r}; it has {', '.join(defaults)}")
        if get_origin(hints[name]) is tuple and isinstance(value, str):  # 3/4,6/8 as a flag
            chosen[name] = tuple(part.strip() for part in value.split(","))
    tokenizer = made(**checked(made, chosen, section=f"{kind}: "))
    at_most(tokenizer, MAX_STEPS, "max_steps", section=f"{kind}: ")
    return tokenizer


def complete_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings with all defaults written out."""
    return settings_of(make_tokenizer(settings))


def settings_of(tokenizer: AnyTokenizer) -> dict[str, Any]:
    """The settings that make a tokenizer, without what it has learned."""
    values = {f.name: getattr(tokenizer, f.name) for f in fields(tokenizer)}
    return {"kind": tokenizer.kind} | {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if name not in tokenizer.learned
    }


def save_tokenizer(tokenizer: AnyTokenizer, folder: Path) -> None:
    """Write the tokenizer's file."""
    write_file(folder / TOKENIZER_FILE, json.dumps(tokenizer.to_json()) + "\n")


def load_tokenizer(folder: Path) -> AnyTokenizer:
    """Read the tokenizer's file.

    Raises:
        InputError: the file is missing or damaged.
    """
    file = folder / TOKENIZER_FILE
    if not file.is_file():
        raise InputError(f"{folder}: {file.name} is missing; is this a seqvae bundle?")
    saved = read_json(file, COPY, kind=str)
    with door(file, COPY):
        tokenizer = (TOKENIZERS | IMPORTED)[saved["kind"]].from_json(saved)
        _ = tokenizer.steps  # whose sizes are checked
    return tokenizer
