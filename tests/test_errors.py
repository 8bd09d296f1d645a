"""Types and ranges of settings: values of other libraries are taken, other types refused."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from seqvae.errors import InputError, as_type, at_most, checked, in_words, listed, shown


def without_address(value: object) -> str:
    """The name of a case, which must be the same in every process."""
    return str(value).split(" at 0x")[0]


@dataclass(frozen=True)
class Inner:
    number: int = 0


@dataclass(frozen=True)
class Outer:
    count: int = 1
    share: float = 0.5
    on: bool = False
    name: str = "x"
    kind: Literal["a", "b"] = "a"
    target: float | None = None
    source: str | list[str] | None = None
    ways: tuple[str, ...] = ()
    names: Sequence[str] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)
    anything: Any = None


TAKEN = [
    ("count", np.int64(3), 3), ("count", np.array(3), 3), ("count", torch.tensor(3), 3),
    ("share", 1, 1), ("share", np.float32(0.5), 0.5), ("share", torch.tensor(0.5), 0.5),
    ("on", np.bool_(True), True), ("name", np.str_("y"), "y"), ("name", Path("a/b"), "a/b"),
    ("kind", "b", "b"), ("target", None, None), ("target", np.float64(2), 2.0),
    ("source", Path("x"), "x"), ("source", (Path("x"), "y"), ["x", "y"]),
    ("source", (name for name in "xy"), ["x", "y"]), ("ways", ["a"], ("a",)),
    ("ways", np.array(["a", "b"]), ("a", "b")), ("names", np.array(["a"], object), ("a",)),
    ("settings", {"a": 1}, {"a": 1}), ("inner", Inner(2), Inner(2)), ("anything", len, len),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    TAKEN,
    ids=[f"{name}-{type(value).__name__}" for name, value, _ in TAKEN],
)
def test_what_other_libraries_have_for_a_value_is_taken(
    name: str, value: Any, expected: Any
) -> None:
    taken = checked(Outer, {name: value})[name]
    assert taken == expected
    assert type(taken) is type(expected)


REFUSED = [
    ("count", value, "a whole number")
    for value in (None, "3", 3.0, 1.5, True, np.bool_(True), [3], b"3", math.nan, torch.tensor(2.5))
] + [
    ("share", value, "a finite number")
    for value in (None, "0.5", True, [0.5], b"1", math.nan, math.inf, 10**400, 1j, {}, np.zeros(2))
] + [
    ("on", 1, "true or false"), ("on", "true", "true or false"), ("on", None, "true or false"),
    ("name", 3, "text"), ("name", b"x", "text"), ("name", None, "text"), ("name", ["x"], "text"),
    ("kind", "c", "one of a, b"), ("kind", [], "one of a, b"), ("kind", 1, "one of a, b"),
    ("target", "x", "a finite number or null"), ("target", math.nan, "a finite number or null"),
    ("source", 3, "text or a list of text or null"),
    ("source", [3], "text or a list of text or null"),
    ("ways", "ab", "a list of text"), ("ways", {"a"}, "a list of text"),
    ("ways", {"a": 1}, "a list of text"), ("ways", b"ab", "a list of text"),
    ("settings", [("a", 1)], "a mapping"), ("settings", {1: 2}, "a mapping"),
    ("inner", {"number": 1}, "a Inner"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "words"), REFUSED, ids=without_address)
def test_a_value_of_another_type_is_one_line_that_names_the_field(
    name: str, value: Any, words: str
) -> None:
    with pytest.raises(InputError) as caught:
        checked(Outer, {name: value}, section="data.")
    message = str(caught.value)
    assert message.startswith(f"data.{name} is {shown(value)}; it takes ")
    assert message.endswith(words)
    assert "\n" not in message
    assert len(message) < 200


def test_a_message_is_one_line_of_300_characters_at_most() -> None:
    assert str(InputError("a\n  b")) == "a b"
    assert str(InputError("x" * 300)) == "x" * 300
    message = str(InputError(f"field is {'x' * 900}; give less"))
    assert len(message) == 300
    assert message.startswith("field is xxx")
    assert message.endswith("xxx; give less")


def test_fields_that_are_not_given_are_not_checked() -> None:
    assert checked(Outer, {"unknown": 1}) == {}


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\nb", r"'a\nb'"), (10**5000, "2^16609 or more"), (-(2**200), "-2^200 or more"),
        (10**30, "1" + "0" * 30),
        ("x" * 999, f"'{'x' * 56}..."), (deep(10_000), "a list"), (3, "3"),
        (np.zeros((2, 2)), "array([[0., 0.], [0., 0.]])"),
    ],
    ids=range(8),
)  # fmt: skip
def test_a_value_is_shown_on_one_short_line(value: Any, expected: str) -> None:
    assert shown(value) == expected


@pytest.mark.parametrize(
    "values",
    ["ab", b"ab", Path("ab"), {"a": 1}, {"a"}, 3, None, open, np.array("a")],
    ids=without_address,
)
def test_one_thing_is_no_list(values: Any) -> None:
    with pytest.raises(TypeError):
        listed(values)


def test_a_table_is_no_list_but_its_columns_are() -> None:
    class Column:  # as a column of pandas: it iterates over its values
        def __iter__(self) -> Any:
            return iter(["a", "b"])

    class Table(Column):  # which iterates over the names of its columns
        columns = ("a", "b")

    assert listed(Column()) == ["a", "b"]
    with pytest.raises(TypeError):
        listed(Table())


def test_an_open_file_is_no_list(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a\nb\n")
    with (tmp_path / "file").open() as opened, pytest.raises(TypeError):
        listed(opened)


def test_sizes_have_an_upper_limit() -> None:
    at_most(Outer(count=7), 7, "count")
    with pytest.raises(InputError, match=r"^x\.count is 10000; it must be 9,999 or less$"):
        at_most(Outer(count=10_000), 9_999, "count", section="x.")


def test_values_of_mappings_have_types_too() -> None:
    assert as_type({"a": np.int64(1)}, dict[str, int]) == {"a": 1}
    with pytest.raises(TypeError):
        as_type({"a": "1"}, dict[str, int])
    assert in_words(list[dict[str, int]]) == "a list of a mapping"
