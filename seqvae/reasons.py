"""Why something of a source is left out: reasons that many sources share, and how often each held.

A reason is the same for all sources that it holds for. It names settings and kinds, such as the
metre 6/8, but neither paths nor other values of a single source, so that reasons add up.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias

UNITS = ("file", "window", "track", "line", "note", "byte")  # that may be left out, largest first


@dataclass(frozen=True)
class Reason:
    """Why a file, a track, a window, a line or a note is left out."""

    unit: str
    """What is left out: one of `UNITS`."""
    text: str
    remedy: str = ""
    """The flag that would change it, where there is one."""
    of_clip: str = field(default="", compare=False)
    """What else would change it for one clip, which a user may alter."""

    def __post_init__(self) -> None:
        """Only known units can be added up."""
        assert self.unit in UNITS

    def __str__(self) -> str:
        """The text, with the remedy in brackets."""
        return f"{self.text} ({self.remedy})" if self.remedy else self.text

    def for_model(self) -> str:
        """The text, with what takes a clip that a trained model does not."""
        trained = f"a model trained with {self.remedy} takes it" if self.remedy else ""
        return "; ".join(filter(None, (self.text, self.of_clip, trained)))


Dropped: TypeAlias = Counter[Reason]


def main_reason(dropped: Dropped) -> Reason | None:
    """The one reason why a source gave nothing.

    It is the last obstacle: what ruled out most of its windows or lines; else what it lacks as a
    whole; else what most of its tracks are. None if nothing was left out.
    """
    for units in (("window", "line"), ("file",), ("track",), ("note",)):
        counts = [(count, reason) for reason, count in dropped.items() if reason.unit in units]
        if counts:
            return max(counts, key=lambda pair: pair[0])[1]  # of equal counts the first
    return None


def in_words(dropped: Dropped) -> str:
    """What was left out, and how many (but of files): 3 windows: metre 6/8; 1 track: chords."""
    return "; ".join(
        reason.text if reason.unit == "file" else f"{amount(count, reason.unit)}: {reason.text}"
        for reason, count in ranked(dropped)
    )


def ranked(dropped: Dropped) -> list[tuple[Reason, int]]:
    """Reasons with their counts, the most frequent of each unit first."""
    return sorted(dropped.items(), key=lambda pair: (UNITS.index(pair[0].unit), -pair[1]))


def amount(count: int, unit: str) -> str:
    """A number of things: 1 window, 2 windows."""
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
