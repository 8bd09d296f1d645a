"""Labels as they are written -> numbers."""

import math
from collections.abc import Callable, Sequence

from seqvae.errors import InputError

MISSING = frozenset({"", "nan", "na", "n/a", "#n/a", "<na>", "none", "null"})  # in lower case


def as_numbers(labels: Sequence[str], at: Callable[[int], str]) -> list[float]:
    """Labels that are numbers; or two words, of which the alphabetically later one counts as 1.

    `at` says where the label of an index stands, for messages.

    Raises:
        InputError: one is missing or not finite, they are more than two words, or all are the same.
    """
    kinds = sorted(set(labels))
    for index, label in enumerate(labels):
        if label.strip().lower() in MISSING:
            raise InputError(f"{at(index)}: the label is missing ({label!r}); leave the line out")
    if len(kinds) == 1:
        raise InputError(f"{at(0)}: all {len(labels)} labels are {kinds[0]!r}; they tell nothing")
    try:
        numbers = [float(label) for label in labels]
    except ValueError:
        return _as_classes(labels, kinds, at)
    wrong = next((index for index, number in enumerate(numbers) if not math.isfinite(number)), None)
    if wrong is not None:
        raise InputError(f"{at(wrong)}: the label is {labels[wrong]}; it must be a finite number")
    return numbers


def _as_classes(labels: Sequence[str], kinds: list[str], at: Callable[[int], str]) -> list[float]:
    """0 and 1 for two words."""
    if len(kinds) == 2:
        return [float(label == kinds[1]) for label in labels]
    words = [index for index, label in enumerate(labels) if not _is_number(label)]
    if len(words) <= len(labels) // 2:
        raise InputError(
            f"{at(words[0])}: the label is {labels[words[0]]!r}, but others are numbers"
        )
    shown = ", ".join(kind[:20] for kind in kinds[:4])
    raise InputError(f"{at(0)}: labels are numbers or two words; these are {len(kinds)}: {shown}")


def _is_number(label: str) -> bool:
    try:
        return math.isfinite(float(label))
    except ValueError:
        return False
