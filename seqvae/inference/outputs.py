"""Names of the files that a verb writes: those of its inputs, and numbers where there are more."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

ONE_EACH = ("reconstruct", "humanise", "shift")  # whose outputs are named for one input each
MAX_NAME_BYTES = 120  # of all inputs together; file systems take 255


def output_names(verb: str, inputs: Sequence[object], num_outputs: int) -> list[str]:
    """A name without suffix for each output, all of them different.

    Args:
        verb: What the names begin with.
        inputs: What was read; only paths have names.
        num_outputs: How many names are needed.
    """
    paths = [Path(source) for source in inputs if isinstance(source, str | Path)]
    if verb in ONE_EACH and len(paths) == num_outputs:
        return _distinct(f"{verb}_{_safe(path.stem, MAX_NAME_BYTES)}" for path in paths)
    stems = [_safe(path.stem, MAX_NAME_BYTES // len(paths)) for path in paths]
    name = "_".join([verb, *stems])
    if stems and num_outputs == 1:
        return [name]
    digits = max(2, len(str(num_outputs - 1)))  # so that names sort
    return [f"{name}_{number:0{digits}d}" for number in range(num_outputs)]


def _safe(stem: str, max_bytes: int) -> str:
    """A name that every file system and every shell takes: letters, digits, dots, `-` and `_`."""
    kept = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", stem))
    return kept.encode()[:max_bytes].decode(errors="ignore").strip("._") or "clip"


def _distinct(names: Iterable[str]) -> list[str]:
    """The names, with a number behind those that another has, in whatever case."""
    distinct: dict[str, str] = {}
    for name in names:
        candidate, number = name, 1
        while candidate.casefold() in distinct:
            number += 1
            candidate = f"{name}_{number}"
        distinct[candidate.casefold()] = candidate
    return list(distinct.values())
