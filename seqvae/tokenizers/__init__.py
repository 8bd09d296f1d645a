"""Representations: one file each, and the table of them.

Imports `music`, `model.config` and `errors`; never torch.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from seqvae.disk import write_file
from seqvae.errors import InputError
from seqvae.tokenizers.contract import MusicTokenizer, TextTokenizer, from_plain
from seqvae.tokenizers.drums import DrumsTokenizer
from seqvae.tokenizers.groove import GrooveTokenizer
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.polyphony import PolyphonyTokenizer
from seqvae.tokenizers.text import SubwordTokenizer
from seqvae.tokenizers.trio import TrioTokenizer
from seqvae.tokenizers.words import WordTokenizer

AnyTokenizer = TextTokenizer | MusicTokenizer

TOKENIZERS: dict[str, type[AnyTokenizer]] = {
    "text": SubwordTokenizer,
    "words": WordTokenizer,
    "melody": MelodyTokenizer,
    "drums": DrumsTokenizer,
    "groove": GrooveTokenizer,
    "trio": TrioTokenizer,
    "polyphony": PolyphonyTokenizer,
}

TOKENIZER_FILE = "tokenizer.json"
ACCEPTED: dict[type, Any] = {
    int: int, float: (int, float), str: str, bool: bool, tuple: tuple
}  # what YAML may give for a setting, by the type of its default  # fmt: skip


def make_tokenizer(settings: Mapping[str, Any]) -> AnyTokenizer:
    """A tokenizer from the `tokenizer` section of a config: `kind` and that kind's settings.

    Raises:
        InputError: the kind or a setting is unknown, or a value is impossible.
    """
    kind = settings.get("kind")
    if kind not in TOKENIZERS:
        raise InputError(f"tokenizer kind is {kind!r}; choose one of {', '.join(TOKENIZERS)}")
    made = TOKENIZERS[kind]
    defaults = {f.name: f.default for f in fields(made) if f.name not in made.learned}
    chosen = from_plain(settings)
    for name, value in chosen.items():
        if name not in defaults:
            raise InputError(f"{kind} tokenizer has no {name!r}; it has {', '.join(defaults)}")
        wanted = ACCEPTED[type(defaults[name])]
        if wanted is tuple and isinstance(value, str):  # 3/4,6/8 as a flag
            chosen[name] = value = tuple(part.strip() for part in value.split(","))
        strings = not isinstance(value, tuple) or all(isinstance(v, str) for v in value)
        fits = isinstance(value, wanted) and isinstance(value, bool) == (wanted is bool)
        if not (fits and strings):
            raise InputError(f"{kind} tokenizer: {name} is {value!r}; it must be like "
                             f"{defaults[name]!r}")  # fmt: skip
    return made(**chosen)


def complete_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings with all defaults written out."""
    tokenizer = make_tokenizer(settings)
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
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
        return TOKENIZERS[saved["kind"]].from_json(saved)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{file}: damaged ({error}); copy the bundle again") from error
