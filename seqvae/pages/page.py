"""Pages that load nothing: a template of this folder, with its styles, scripts and data inlined.

A template names in double braces the files that it takes, `{{data}}` for JSON, and
`{{script hashes}}` for its Content-Security-Policy: the browser runs no other script.
"""

import base64
import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

FOLDER = Path(__file__).parent
INSTRUMENT = "play.html"  # of a run: its report links to it
FILE_SLOT = re.compile(r"\{\{(\w+\.(?:css|js))\}\}")
SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)

Data: TypeAlias = dict[str, Any]  # that JSON can hold


def fill(template: str, data: Data) -> str:
    """A page of the template, a file name. No text of the data can begin or end a tag."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    page = FILE_SLOT.sub(lambda slot: _read(slot[1]), _read(template))
    hashes = " ".join(map(_source_hash, SCRIPT.findall(page)))
    return page.replace("{{script hashes}}", hashes).replace("{{data}}", text)


def plain(values: Any) -> Any:
    """Numbers as JSON holds them, in lists: five significant digits, None for nan and infinity."""
    if isinstance(values, int):
        return values
    if isinstance(values, float):
        return float(f"{values:.5g}") if math.isfinite(values) else None
    numbers = values.tolist() if isinstance(values, Tensor | np.ndarray) else list(values)
    return [plain(number) for number in numbers]


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _source_hash(script: str) -> str:
    """The hash source of a Content-Security-Policy (Level 3, section 2.3.1)."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
