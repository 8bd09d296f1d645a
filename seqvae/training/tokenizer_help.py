"""The settings of all tokenizers as text: what --help says of `--data.tokenizer`."""

import textwrap
from collections import defaultdict
from dataclasses import fields
from typing import Any

from seqvae.inference.options import field_docs
from seqvae.tokenizers import TOKENIZERS

WIDTH = 79
INTRODUCTION = """\
The tokenizer:
  --data.tokenizer.kind KIND
{kinds}
  Its settings, each with the kinds that have it and their defaults:
"""


def tokenizer_help() -> str:
    """A paragraph per setting: its flag, what it is, and its default for each kind."""
    docs: dict[str, str] = {}
    defaults: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for kind, tokenizer in TOKENIZERS.items():
        known = field_docs(tokenizer)
        for field in fields(tokenizer):
            if field.name not in tokenizer.learned:
                docs.setdefault(field.name, known[field.name])
                defaults[field.name][_shown(field.default)].append(kind)
    lines = [INTRODUCTION.format(kinds=_described(f"One of {', '.join(TOKENIZERS)}."))]
    for name, doc in docs.items():
        of_kinds = "; ".join(
            f"{', '.join(kinds)}: {default}" for default, kinds in defaults[name].items()
        )
        lines.append(f"  --data.tokenizer.{name} {name.upper()}\n")
        lines.append(_described(f"{doc} ({of_kinds})") + "\n")
    return "".join(lines)


def _described(text: str) -> str:
    """Text beside flags, as argparse sets it."""
    indent = " " * 24
    return textwrap.fill(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def _shown(default: Any) -> str:
    """A default as it is written on the command line."""
    if isinstance(default, tuple):
        return ",".join(default) or "none"
    return str(default).lower() if isinstance(default, bool) else str(default)
