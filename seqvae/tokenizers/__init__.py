"""Representations: one file each, and this table of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqvae.errors import InputError
from seqvae.tokenizers.contract import MusicTokenizer, TextTokenizer
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.text import SubwordTokenizer
from seqvae.tokenizers.words import WordTokenizer

AnyTokenizer = TextTokenizer | MusicTokenizer

TOKENIZERS: dict[str, Any] = {
    tokenizer.kind: tokenizer for tokenizer in (SubwordTokenizer, WordTokenizer, MelodyTokenizer)
}

TOKENIZER_FILE = "tokenizer.json"


def make_tokenizer(settings: Mapping[str, Any]) -> Any:
    """A tokenizer from the `tokenizer` section of a config: `kind` and that kind's settings."""
    kind = settings.get("kind")
    if kind not in TOKENIZERS:
        raise InputError(f"tokenizer kind {kind!r}; there are {', '.join(TOKENIZERS)}")
    chosen = {name: value for name, value in settings.items() if name != "kind"}
    unknown = chosen.keys() - TOKENIZERS[kind].__dataclass_fields__.keys()
    if unknown:
        known = ", ".join(TOKENIZERS[kind].__dataclass_fields__)
        raise InputError(f"{kind} tokenizer has no setting {sorted(unknown)[0]!r}; it has {known}")
    try:
        return TOKENIZERS[kind](**chosen)
    except TypeError as error:
        raise InputError(f"{kind} tokenizer: a setting has the wrong type ({error})") from error


def save_tokenizer(tokenizer: AnyTokenizer, folder: Path) -> None:
    """Write the tokenizer's file."""
    (folder / TOKENIZER_FILE).write_text(json.dumps(tokenizer.to_json()) + "\n")


def load_tokenizer(folder: Path) -> Any:
    """Read the tokenizer's file.

    Raises:
        InputError: the file is missing or damaged.
    """
    file = folder / TOKENIZER_FILE
    if not file.is_file():
        raise InputError(f"{folder}: {file.name} is missing; is this a seqvae bundle?")
    try:
        saved = json.loads(file.read_text())
        return TOKENIZERS[saved["kind"]].from_json(saved)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{file}: damaged ({error}); copy the bundle again") from error
