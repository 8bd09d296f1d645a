"""Rules by which a user says which tracks are what: "drums: name=drum*", "melody: highest".

A rule is a role, a colon, and what is meant, or several with commas between them:

    name=PATTERN     tracks of such a name, such as name=vox*; upper case does not count
    file=PATTERN     all tracks of files of such a name
    channel=N        tracks on this MIDI channel, from 1, or on one of a range such as 1-9
    program=N        tracks of this program, from 0, or of one of a range such as 32-39
    track=N          the track of this number, as `seqvae look` counts them
    highest, lowest  of all lines that are nothing else, the one that lies so
    all              every such line; of drums and none, every track

Several rules have semicolons between them. The first rule that fits a track holds. A bare highest,
lowest or all is said of the melody.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Any

from seqvae.errors import InputError
from seqvae.music.notes import Track

ROLES = ("melody", "bass", "drums", "none")
LINES = ("melody", "bass")
PICKS = ("highest", "lowest", "all")
RANGES = {"channel": (1, 16), "program": (0, 127), "track": (1, 10**6)}
EXAMPLE = "write it as 'drums: name=drum*' or 'melody: highest'"


@dataclass(frozen=True)
class Rule:
    """One role and one way to say which tracks have it."""

    role: str
    key: str
    """name, file, channel, program, track, or one of `PICKS`."""
    pattern: str = ""
    numbers: range = range(0)

    def __str__(self) -> str:
        """The rule as it is written."""
        return f"{self.role}: {self.key}" + f"={self.pattern}" * bool(self.pattern)

    def fits(self, number: int, track: Track, file_name: str) -> bool:
        """Whether this is said of a track, counted from 0, whatever other tracks there are."""
        if self.key in PICKS:
            return self.key == "all" and self.role not in LINES
        if self.key == "name":
            return fnmatchcase(track.name.strip().casefold(), self.pattern.casefold())
        if self.key == "file":
            names = (file_name.casefold(), PurePath(file_name).stem.casefold())
            return any(fnmatchcase(name, self.pattern.casefold()) for name in names)
        values = {"channel": track.channel, "program": track.program, "track": number + 1}
        return values.get(self.key) in self.numbers


def parse_rules(rules: Iterable[str]) -> tuple[Rule, ...]:
    """The rules in texts that hold one rule or several each.

    Raises:
        InputError: one of them is none.
    """
    clauses = [clause.strip() for text in rules for clause in re.split(r"[;\n]", text)]
    return tuple(rule for clause in clauses if clause for rule in _parse_clause(clause))


def _parse_clause(clause: str) -> Iterable[Rule]:
    if clause in PICKS:
        clause = f"melody: {clause}"
    role, colon, meant = (part.strip() for part in clause.partition(":"))
    if not colon or role not in ROLES:
        raise InputError(f"tracks: {clause!r} names no role ({', '.join(ROLES)}); {EXAMPLE}")
    for selector in meant.split(","):
        key, _, pattern = (part.strip() for part in selector.partition("="))
        if key in PICKS and "=" not in selector:
            if key != "all" and role not in LINES:
                raise InputError(f"tracks: {clause!r}; {role} are no line: give a name or 'all'")
            yield Rule(role, key)
        elif key in ("name", "file") and pattern:
            yield Rule(role, key, pattern)
        elif key in RANGES:
            yield Rule(role, key, pattern, _range(key, pattern, clause))
        else:
            known = ", ".join([f"{name}=" for name in ("name", "file", *RANGES)] + [*PICKS])
            raise InputError(f"tracks: {selector.strip()!r} in {clause!r}; use one of {known}")


def _range(key: str, pattern: str, clause: str) -> range:
    low, high = RANGES[key]
    found = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", pattern)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, -1)
    if not low <= first <= last <= high:
        raise InputError(
            f"tracks: {key}={pattern} in {clause!r}; give a number from {low} to {high}, or a range"
        )
    return range(first, last + 1)


def as_rules(value: object) -> tuple[str, ...]:
    """Rules as a config gives them: a text, a list of texts, or a table with a rule per role.

    Raises:
        InputError: it is none of these, or a rule is none.
    """
    if isinstance(value, Mapping) and all(isinstance(meant, str) for meant in value.values()):
        value = [f"{role}: {meant}" for role, meant in value.items()]
    texts: Any = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise InputError(f"tracks is {value!r}; {EXAMPLE}")
    parse_rules(texts)
    return tuple(texts)
