"""The one exception for mistakes that a user can mend, and the checks of all settings.

First their types are checked, then their ranges.
"""

import contextlib
import functools
import math
import operator
import os
import sys
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

MAX_MESSAGE = 300  # characters
SHOWN = 60  # characters of a value in a message
WORDS = {int: "a whole number", float: "a finite number", bool: "true or false", str: "text"}


class InputError(ValueError):
    """A mistake in the user's input: what, where, the offending value, the remedy, in one line.

    The command line prints it and exits with code 2. Every other exception is a bug in seqvae and
    keeps its traceback.
    """

    def __init__(self, message: str) -> None:
        super().__init__(shortened(message))


@contextlib.contextmanager
def in_one_line() -> Iterator[None]:
    """Around a script: users' mistakes end as one line and exit code 2, like those of a verb.

    Raises:
        SystemExit: there was one.
    """
    try:
        yield
    except InputError as error:
        message = str(error)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    else:
        return
    print(f"{Path(sys.argv[0]).name}: error: {shortened(message)}", file=sys.stderr)
    sys.exit(2)


def shortened(message: str) -> str:
    """A message on one line, without its middle if it is long: the remedy comes last."""
    line = " ".join(message.split())
    if len(line) <= MAX_MESSAGE:
        return line
    end = MAX_MESSAGE // 2
    return f"{line[: MAX_MESSAGE - end - 5]} ... {line[-end:]}"


def check_types(settings: Any, section: str = "") -> None:
    """Refuse fields of a dataclass whose values are not what their annotations say.

    Numbers and texts of other libraries, such as NumPy, become Python's own. Where a tuple or a
    list is wanted, any other sequence or iterator becomes one.

    Raises:
        InputError: a field holds something else; `section` precedes its name in the message.
    """
    for name, taken in checked(type(settings), vars(settings), section).items():
        object.__setattr__(settings, name, taken)


def checked(kind: Any, values: Mapping[str, Any], section: str = "") -> dict[str, Any]:
    """Values of fields of a dataclass, each as what its annotation says.

    Raises:
        InputError: one of them is something else; `section` precedes its name in the message.
    """
    taken = {}
    for name, hint in _hints(kind).items():
        if name in values:
            try:
                taken[name] = as_type(values[name], hint)
            except (TypeError, ValueError, OverflowError):
                value = shown(values[name])
                raise InputError(f"{section}{name} is {value}; it takes {in_words(hint)}") from None
    return taken


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    """The annotations of the fields of a dataclass."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def as_type(value: Any, hint: Any) -> Any:
    """The value as what an annotation says.

    Raises:
        TypeError, ValueError, OverflowError: it is something else.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any or (Any in inner and origin in (Union, types.UnionType)):
        return value
    if origin in (Union, types.UnionType):
        for option in inner:
            try:
                return as_type(value, option)
            except (TypeError, ValueError):
                continue
        raise TypeError(value)
    if origin is Literal:
        if not isinstance(value, str) or value not in inner:
            raise ValueError(value)
        return str(value)
    if origin in (tuple, list, Sequence):
        made = [as_type(each, inner[0]) for each in listed(value)]
        return made if origin is list else tuple(made)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise TypeError(value)
        return {as_type(name, str): as_type(each, inner[1]) for name, each in value.items()}
    return NUMBERS[hint](value) if hint in NUMBERS else _instance(value, hint)


def listed(values: Any) -> list[Any]:
    """The elements of a list, a tuple, an array, a column of a table or an iterator, in order.

    Raises:
        TypeError: it is one text or path, bytes, a mapping, a set, a file, a table, or nothing of
            the kind.
    """
    refused = (str, bytes, bytearray, memoryview, os.PathLike, Mapping, AbstractSet)
    if isinstance(values, refused) or hasattr(values, "readline") or hasattr(values, "columns"):
        raise TypeError(values)
    return list(values)


def _bool(value: Any) -> bool:
    if not _is_bool(value):
        raise TypeError(value)
    return bool(value)


def _int(value: Any) -> int:
    if _is_bool(value):
        raise TypeError(value)
    return operator.index(value)


def _float(value: Any) -> float:
    if _is_bool(value) or isinstance(value, str | bytes | bytearray):
        raise TypeError(value)
    if not math.isfinite(float(value)):
        raise ValueError(value)
    return value if type(value) in (int, float) else float(value)


NUMBERS = {int: _int, float: _float, bool: _bool}


def _is_bool(value: Any) -> bool:
    """Whether it is a truth value, of Python or of an array library."""
    return isinstance(value, bool) or str(getattr(value, "dtype", "")) in ("bool", "torch.bool")


def _instance(value: Any, kind: Any) -> Any:
    """The value, if it is of that class; a path is a text, too, where a text is wanted."""
    if kind is str and isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, kind):
        raise TypeError(value)
    return str(value) if kind is str else value


def shown(value: Any) -> str:
    """A value on one short line."""
    if isinstance(value, int) and value.bit_length() > 190:
        return f"{'-' if value < 0 else ''}2^{value.bit_length() - 1} or more"
    try:
        text = " ".join(repr(value).split())
    except RecursionError:
        text = f"a {type(value).__name__}"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def in_words(hint: Any) -> str:
    """What an annotation takes."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(in_words(option) for option in inner)
    if origin is Literal:
        return f"one of {', '.join(inner)}"
    if origin in (tuple, list, Sequence):
        if get_origin(inner[0]) is Literal:
            choices = get_args(inner[0])
            return f"a list such as [{choices[0]}], of {', '.join(choices)}"
        return f"a list of {in_words(inner[0])}"
    if origin is dict:
        return "a mapping"
    return WORDS.get(hint, "null" if hint is type(None) else f"a {hint.__name__}")


def _and_finite(value: float) -> str:
    """What a number that is not finite needs to be told."""
    return "" if math.isfinite(value) else ", and finite"


def at_least(settings: object, low: float, *names: str, section: str = "") -> None:
    """Refuse fields of `settings` that lie below `low` or are not finite.

    Raises:
        InputError: one of them does; `section` precedes its name in the message.
    """
    for name, value in _fields(settings, names):
        if not low <= value < math.inf:
            raise InputError(
                f"{section}{name} is {shown(value)}; it must be {low:g} or more{_and_finite(value)}"
            )


def at_most(settings: object, high: int, *names: str, section: str = "") -> None:
    """Refuse sizes and counts of `settings` that no machine could hold.

    Raises:
        InputError: one of them is above `high`.
    """
    for name, value in _fields(settings, names):
        if value > high:
            raise InputError(f"{section}{name} is {shown(value)}; it must be {high:,} or less")


def above(settings: object, low: float, *names: str, section: str = "") -> None:
    """Refuse fields of `settings` that are not above `low`, or not finite.

    Raises:
        InputError: one of them is not.
    """
    for name, value in _fields(settings, names):
        if not low < value < math.inf:
            raise InputError(
                f"{section}{name} is {shown(value)}; it must be above {low:g}{_and_finite(value)}"
            )


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
            raise InputError(
                f"{section}{name} is {shown(value)}; it must lie in [{low:g}, {high:g}{end}"
            )


def one_of(settings: object, name: str, choices: Iterable[str], section: str = "") -> None:
    """Refuse a field of `settings` that is not one of the choices.

    Raises:
        InputError: it is not.
    """
    value = getattr(settings, name)
    choices = list(choices)
    if value not in choices:
        raise InputError(f"{section}{name} is {shown(value)}; choose one of {', '.join(choices)}")


def _fields(settings: object, names: Iterable[str]) -> list[tuple[str, float]]:
    return [(name, getattr(settings, name)) for name in names]
