"""What a source of text holds: lines, with labels where they are asked for, a block at a time."""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import TypeAlias

from seqvae.corpus.config import DataConfig
from seqvae.corpus.encodings import (
    BLOCK_CHARACTERS,
    is_invalid,
    open_blocks,
    replaced,
)
from seqvae.corpus.tables import open_table
from seqvae.errors import InputError
from seqvae.reasons import Dropped, Reason

EMPTY_LINE = Reason("line", "an empty line")
ODD_ROW = Reason("line", "more or fewer cells than the first row")

Row: TypeAlias = tuple[int, list[str] | None]  # the line, and the cells that are asked for


@dataclass(frozen=True, eq=False)
class Block:
    """Lines that stand together in a source, without those that are left out."""

    num_lines: int
    """With those that are left out."""
    lines: list[str]
    labels: list[str]
    """Of each line, if the settings name a column of labels."""
    numbers: Sequence[int]
    """Which line of the source each is, counted from 1."""
    dropped: Dropped
    """What was left out."""
    invalid: list[tuple[int, str]]
    """Numbers and texts of the lines whose invalid bytes were replaced by U+FFFD."""


def read_blocks(path: Path, data: DataConfig, flag: str = "--data.column") -> Iterator[Block]:
    """The lines of a text, or the cells of a column of a table, without empty ones.

    `flag` is the one that names the column.

    Raises:
        InputError: it cannot be read, is no text, or is a table and the settings do not name the
            column.
    """
    if path.is_file() and not path.stat().st_size:
        return
    table = open_table(path, data.encoding)
    if data.column is not None:
        if table is None:
            raise InputError(
                f"{path}: no CSV, TSV, JSONL, JSON or Parquet table, which {flag} is for; "
                "rename it, such as to .csv, if it is one"
            )
        columns = [data.column] if data.label_column is None else [data.column, data.label_column]
        yield from map(_block_of_rows, _together(table.read(columns)))
        return
    if table is not None:
        raise InputError(f"{path}: {table}; name the column of the text by {table.by(flag)}")
    with open_blocks(path, data.encoding) as blocks:
        yield from _numbered(blocks)


def read_stream(stream: io.TextIOWrapper) -> Iterator[Block]:
    """The lines of a stream, such as standard input, as they come."""
    yield from _numbered(iter(lambda: stream.readlines(BLOCK_CHARACTERS), []))


def _numbered(blocks: Iterable[list[str]]) -> Iterator[Block]:
    first = 1
    for lines in blocks:
        yield _block(range(first, first + len(lines)), [line.rstrip("\r\n") for line in lines])
        first += len(lines)


def _together(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows of a table, as many at a time as have some `BLOCK_CHARACTERS`."""
    together: list[Row] = []
    size = 0
    for row in rows:
        together.append(row)
        size += 1 + len(row[1][0] if row[1] else "")
        if size >= BLOCK_CHARACTERS:
            yield together
            together, size = [], 0
    if together:
        yield together


def _block_of_rows(rows: list[Row]) -> Block:
    """The block of some rows, each of a text and perhaps a label."""
    cells = [(number, *cells) for number, cells in rows if cells is not None]
    numbers, texts, *labels = zip(*cells, strict=True) if cells else ((), ())
    return _block(numbers, [*texts], [*labels[0]] if labels else [], len(rows) - len(cells))


def _block(
    numbers: Sequence[int], lines: list[str], labels: Sequence[str] = (), num_odd: int = 0
) -> Block:
    """The block of some lines of a source, empty ones among them."""
    num_lines, invalid = len(lines) + num_odd, []
    if is_invalid("".join(lines)):
        invalid = [(n, line) for n, line in zip(numbers, lines, strict=True) if is_invalid(line)]
        lines = [replaced(line) if is_invalid(line) else line for line in lines]
    kept = [line for line in lines if line and not line.isspace()]
    if len(kept) < len(lines):
        full = [bool(line.strip()) for line in lines]
        labels, numbers = [*compress(labels, full)], [*compress(numbers, full)]
    dropped = {ODD_ROW: num_odd, EMPTY_LINE: len(lines) - len(kept)}
    return Block(num_lines, kept, [*labels], numbers, +Dropped(dropped), invalid)
