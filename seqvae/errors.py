"""The one exception for mistakes that a user can mend, and the range checks of all settings."""

import math
from collections.abc import Iterable


class InputError(ValueError):
    """A mistake in the user's input: what, where, the offending value, the remedy, in one line.

    The command line prints it and exits with code 2. Every other exception is a bug in seqvae and
    keeps its traceback.
    """


def at_least(settings: object, low: float, *names: str, section: str = "") -> None:
    """Refuse fields of `settings` that lie below `low` or are not finite.

    Raises:
        InputError: one of them does; `section` precedes its name in the message.
    """
    for name, value in _fields(settings, names):
        if not low <= value < math.inf:
            raise InputError(f"{section}{name} is {value}; it must be {low:g} or more, and finite")


def above(settings: object, low: float, *names: str, section: str = "") -> None:
    """Refuse fields of `settings` that are not above `low`, or not finite.

    Raises:
        InputError: one of them is not.
    """
    for name, value in _fields(settings, names):
        if not low < value < math.inf:
            raise InputError(f"{section}{name} is {value}; it must be above {low:g}, and finite")


def within(
    settings: object,
    low: float,
    high: float,
    *names: str,
    section: str = "",
    closed: bool = False,
) -> None:
    """Refuse fields of `settings` outside [low, high), or outside [low, high] where `closed`.

    Raises:
        InputError: one of them is outside.
    """
    for name, value in _fields(settings, names):
        if not (low <= value < high or (closed and value == high)):
            end = "]" if closed else ")"
            raise InputError(f"{section}{name} is {value}; it must lie in [{low:g}, {high:g}{end}")


def one_of(settings: object, name: str, choices: Iterable[str], section: str = "") -> None:
    """Refuse a field of `settings` that is not one of the choices.

    Raises:
        InputError: it is not.
    """
    value = getattr(settings, name)
    choices = list(choices)
    if value not in choices:
        raise InputError(f"{section}{name} is {value!r}; choose one of {', '.join(choices)}")


def _fields(settings: object, names: Iterable[str]) -> list[tuple[str, float]]:
    return [(name, getattr(settings, name)) for name in names]
