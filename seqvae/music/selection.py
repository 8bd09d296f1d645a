"""What a user names of a clip: bars such as 1-4 or 3,7-8, and parts such as drums."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from seqvae.errors import InputError, shown

BARS = re.compile(r"(\d+)(?:-(\d+))?")
MAX_BARS = 10_000


@dataclass(frozen=True)
class Selection:
    """Bars, counted from 1, and parts."""

    bars: frozenset[int] = frozenset()
    parts: frozenset[str] = frozenset()


def parse_selection(text: str, parts: Sequence[str], name: str) -> Selection:
    """What a text names, with commas between bars, ranges of them, and parts.

    Raises:
        InputError: it names nothing, or what is neither; `name` is that of the option.
    """
    bars: set[int] = set()
    named: set[str] = set()
    for word in text.split(","):
        word = word.strip()
        if match := BARS.fullmatch(word):
            first, last = int(match[1]), int(match[2] or match[1])
            if not 1 <= first <= last <= MAX_BARS:
                raise InputError(f"{name} is {shown(text)}; bars rise from 1, as in 1-4 or 3,7-8")
            bars.update(range(first, last + 1))
        elif word.casefold() in parts:
            named.add(word.casefold())
        else:
            has = (
                f"the parts of this model are {', '.join(parts)}"
                if len(parts) > 1
                else ("this model has no parts to choose from")
            )
            raise InputError(f"{name} has {shown(word)}; name bars, as in 1-4 or 3,7-8; {has}")
    return Selection(frozenset(bars), frozenset(named))
