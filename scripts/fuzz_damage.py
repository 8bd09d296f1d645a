"""How bytes and values are damaged; everything is drawn from a generator that is passed in."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def damage_bytes(rng: random.Random, content: bytes, other: Path) -> bytes:
    """The content after one to three damages; one of them mixes it with another file's."""
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        rng.choice(DAMAGES)(rng, damaged, other)
    return bytes(damaged)


def _flip(rng: random.Random, content: bytearray, other: Path) -> None:
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if content:
            content[rng.randrange(len(content))] = rng.choice((0, 1, 127, 128, 255, *range(256)))


def _flip_head(rng: random.Random, content: bytearray, other: Path) -> None:
    """Sizes, versions and names stand at the beginning."""
    for _ in range(rng.choice((1, 2))):
        if content:
            content[rng.randrange(min(40, len(content)))] = rng.randrange(256)


def _truncate(rng: random.Random, content: bytearray, other: Path) -> None:
    del content[rng.randrange(len(content) + 1) :]


def _cut_out(rng: random.Random, content: bytearray, other: Path) -> None:
    start = rng.randrange(len(content) + 1)
    del content[start : start + rng.choice((1, 2, 4, 100))]


def _insert(rng: random.Random, content: bytearray, other: Path) -> None:
    start = rng.randrange(len(content) + 1)
    content[start:start] = rng.randbytes(rng.choice((1, 2, 4, 100)))


def _repeat(rng: random.Random, content: bytearray, other: Path) -> None:
    start = rng.randrange(len(content) + 1)
    content[start:start] = content[start : start + rng.choice((4, 20, 200))]


def _splice(rng: random.Random, content: bytearray, other: Path) -> None:
    """From some place on, the other file."""
    tail = other.read_bytes()
    content[rng.randrange(len(content) + 1) :] = tail[rng.randrange(len(tail) + 1) :]


DAMAGES: tuple[Callable[[random.Random, bytearray, Path], None], ...] = (
    _flip, _flip, _flip_head, _truncate, _cut_out, _insert, _repeat, _splice,
)  # fmt: skip


def damage_json(rng: random.Random, value: Any) -> Any:
    """The value with one part removed, replaced, or doubled."""
    inside = [*value] if isinstance(value, dict) else [*range(len(value))] if value and isinstance(
        value, list
    ) else []  # fmt: skip
    if not inside or rng.random() < 0.15:
        return nasty(rng, plain=True)
    key = rng.choice(inside)
    if rng.random() < 0.15:
        rest = value.copy()
        del rest[key]
        return rest
    changed = value.copy()
    if isinstance(value[key], int | float) and rng.random() < 0.3:
        changed[key] = value[key] + rng.choice((-1, 1))
    else:
        changed[key] = damage_json(rng, value[key])
    return changed


def nasty(rng: random.Random, *, plain: bool = False) -> Any:
    """A value that few settings take; `plain` ones are those of JSON."""
    deep: Any = []
    for _ in range(rng.choice((3, 500))):
        deep = [deep]
    values: list[Any] = [
        None, True, False, 0, 1, -1, 2, 3, 7, 10**6, 10**12, -(10**12), 2**63, 10**400, 0.5, -0.5,
        1e-300, 1e300, float("nan"), float("inf"), float("-inf"), "", "x", "3", "a\nb", "é" * 300,
        "\x00", "../x", "~", [], [1], ["a", "b"], [None], {}, {"a": 1}, {"kind": "melody"}, [[1]],
        deep,
    ]  # fmt: skip
    if not plain:
        values += [
            b"bytes", (1, 2), np.float32(0.5), np.int64(3), np.array([1, 2]), np.array("x"), {1, 2},
            object(), range(3), Path("x"), int, len, np.bool_(True), 1j, "\udcff", iter("ab"),
        ]  # fmt: skip
    return rng.choice(values)
