"""Labels as they are written -> numbers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from seqvae.errors import InputError

MISSING = frozenset({"", "nan", "na", "n/a", "#n/a", "<na>", "none", "null"})  # in lower case
MAX_KINDS = 1000  # different labels that are told apart


def as_numbers(labels: Sequence[str], at: Callable[[int], str]) -> list[float]:
    """All labels of a source as numbers; `at` says where the one of an index stands.

    Raises:
        InputError: as `Labels.scale`.
    """
    known = Labels()
    known.add(labels, at)
    return [*map(known.scale(), labels)]


@dataclass(eq=False)
class Labels:
    """What is known of labels that have been read: enough to make a number of each."""

    num: int = 0
    num_words: int = 0
    """How many are no finite number."""
    kinds: set[str] = field(default_factory=set)
    """Different ones, up to `MAX_KINDS`."""
    first: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Where the first of each sort stands, and the label; the sorts are those of `_sorts`."""

    def add(self, labels: Sequence[str], at: Callable[[int], str]) -> None:
        """Read labels; `at` says where the one of an index stands."""
        self.num += len(labels)
        for index, label in enumerate(labels):
            sorts = _sorts(label)
            self.num_words += "word" in sorts
            for sort in sorts:
                if sort not in self.first:
                    self.first[sort] = at(index), label
            if len(self.kinds) < MAX_KINDS:
                self.kinds.add(label)

    def add_all(self, later: "Labels") -> None:
        """Read what others hold, which come after these."""
        self.num += later.num
        self.num_words += later.num_words
        self.first = later.first | self.first
        self.kinds = set(sorted(self.kinds | later.kinds)[:MAX_KINDS])

    def scale(self) -> Callable[[str], float]:
        """The number of a label; of two words, the alphabetically later one counts as 1.

        Raises:
            InputError: a label is missing or not finite, they are more than two words, or all are
                the same.
        """
        if "missing" in self.first:
            place, label = self.first["missing"]
            raise InputError(f"{place}: the label is missing ({label!r}); leave the line out")
        if len(self.kinds) == 1:
            place, label = self.first["any"]
            raise InputError(f"{place}: all {self.num} labels are {label!r}; they tell nothing")
        if "no number" in self.first:
            return self._scale_of_classes()
        if "word" in self.first:
            place, label = self.first["word"]
            raise InputError(f"{place}: the label is {label}; it must be a finite number")
        return float

    def _scale_of_classes(self) -> Callable[[str], float]:
        """0 and 1 for two words."""
        kinds = sorted(self.kinds)
        if len(kinds) == 2:
            return {kinds[0]: 0.0, kinds[1]: 1.0}.__getitem__
        if self.num_words <= self.num // 2:
            place, label = self.first["word"]
            raise InputError(f"{place}: the label is {label!r}, but others are numbers")
        shown = ", ".join(kind[:20] for kind in kinds[:4])
        count = f"{MAX_KINDS} or more" if len(kinds) == MAX_KINDS else len(kinds)
        place, _ = self.first["any"]
        raise InputError(f"{place}: labels are numbers or two words; these are {count}: {shown}")


@lru_cache(MAX_KINDS)
def _sorts(label: str) -> tuple[str, ...]:
    """What a label is: any, missing, a word (that is, no finite number), no number at all."""
    sorts = ["any"]
    if label.strip().lower() in MISSING:
        sorts.append("missing")
    try:
        is_number, is_finite = True, math.isfinite(float(label))
    except ValueError:
        is_number = is_finite = False
    return (*sorts, *(["word"] * (not is_finite)), *(["no number"] * (not is_number)))
