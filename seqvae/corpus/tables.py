"""Tables as sources of text: CSV, TSV, JSONL, JSON, and Parquet where pyarrow is installed.

What a file is, is told by its suffix, or by its first lines where it has one of plain text.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias

from seqvae.corpus.encodings import COMPRESSED_SUFFIXES, open_text
from seqvae.errors import InputError

KINDS = {
    ".csv": "CSV", ".tsv": "TSV", ".tab": "TSV", ".jsonl": "JSONL", ".ndjson": "JSONL",
    ".json": "JSON", ".parquet": "Parquet",
}  # fmt: skip
TABLE_SUFFIXES = tuple(KINDS)
DELIMITERS = ",;\t|"
MAX_NAME = 30  # characters of the name of a column; what is longer is data
NUM_HEAD_LINES = 30  # that tell what a file is
HEADER = re.compile(r'"?[\w.-]+"?([,;|]"?[\w.-]+"?)+')  # in a file that is not named like a table
HEADER_NAMES = frozenset({  # one of which tells a header from a row of data
    "id", "text", "sentence", "content", "body", "review", "comment", "title", "label", "labels",
    "class", "category", "sentiment", "rating", "stars", "score", "polarity", "target",
})  # fmt: skip

Cells: TypeAlias = list[Any] | None  # the chosen ones; None where a row is shorter or longer
Rows: TypeAlias = Callable[[Sequence[int]], Iterator[tuple[int, Cells]]]  # of columns, with lines


@dataclass(frozen=True, eq=False)
class Table:
    """A table, open for reading."""

    path: Path
    kind: str
    names: list[str]
    """The columns, or the cells of the first row where there is no header."""
    rows: Rows

    @property
    def has_header(self) -> bool:
        """Whether the first row looks like names; sentences are none."""
        if self.kind not in ("CSV", "TSV"):
            return True
        return not any(" " in name.strip() or len(name) > MAX_NAME for name in self.names)

    def by(self, flag: str) -> str:
        """How `flag` names a column."""
        if self.has_header:
            return flag
        plain = "; in plain text, put spaces for its tabs" if self.kind == "TSV" else ""
        return f"{flag}, by its name or, without a header, by its number, such as 1{plain}"

    def __str__(self) -> str:
        """What it is, for messages."""
        shown = ", ".join(name if len(name) <= 24 else f"{name[:21]}..." for name in self.names[:6])
        more = ", ..." if len(self.names) > 6 else ""
        head = "with the columns" if self.has_header else "that begins with the row"
        return f"a {self.kind} table {head} {shown}{more}"

    def read(self, columns: Sequence[str]) -> Iterator[tuple[int, list[str] | None]]:
        """The line of each row, and its text in some columns; None if its length is another one.

        Columns have names, or numbers from 1 if there is no header. A row is one line of text: line
        breaks within a cell become spaces. Cells without a value are "".

        Raises:
            InputError: there is no such column, a cell is no text, or the file is damaged.
        """
        rows = self.rows([self._place(column) for column in columns])
        if self.kind in ("CSV", "TSV"):
            names = {name.lower() for name in self.names}
            if names & HEADER_NAMES or not all(column.isdecimal() for column in columns):
                next(rows, None)
        for line, cells in rows:
            yield line, None if cells is None else [self._text(line, cell) for cell in cells]

    def at(self, line: int) -> str:
        """Where a row is, for messages; some tables have no lines."""
        return f"{'row' if self.kind in ('JSON', 'Parquet') else 'line'} {line}"

    def _place(self, column: str) -> int:
        if column.isdecimal() and 1 <= int(column) <= len(self.names):
            return int(column) - 1
        count = self.names.count(column)
        if count == 1:
            return self.names.index(column)
        has = "more than one column" if count else "no column"
        raise InputError(f"{self.path}: {has} {column!r}; it is {self}")

    def _text(self, line: int, cell: Any) -> str:
        if cell is None:
            return ""
        if not isinstance(cell, str | int | float):
            kind = type(cell).__name__
            raise InputError(f"{self.path}: {self.at(line)} has a {kind} where text is expected")
        return " ".join(str(cell).splitlines())


def open_table(path: Path, encoding: str | None = None) -> Table | None:
    """The table in a file, or None if the file is plain text.

    Raises:
        InputError: the file cannot be read.
    """
    kind = KINDS.get(_suffix(path))
    if kind == "Parquet":
        return _open_parquet(path)
    if kind == "JSON":
        return _open_json(path, _parse_json(path, encoding))
    with open_text(path, encoding) as lines:
        head = [line.rstrip("\r\n") for line in islice(lines, NUM_HEAD_LINES)]
    head = [line for line in head if line.strip()]
    if kind in (None, "TSV"):
        kind = _kind_by_lines(head, kind)
    if kind == "JSONL":
        return _open_json(path, _parse_lines(path, encoding), kind)
    return None if kind is None else _open_delimited(path, encoding, kind, head)


def is_table(path: Path) -> bool:
    """Whether a file is named like a table; a .tsv without tabs is a text."""
    kind = KINDS.get(_suffix(path))
    if kind != "TSV":
        return kind is not None
    try:
        with open_text(path) as lines:
            return any("\t" in line for line in islice(lines, NUM_HEAD_LINES))
    except InputError:
        return True  # reading it will say why


def _suffix(path: Path) -> str:
    """The suffix in lower case, that of a compression aside."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED_SUFFIXES:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _kind_by_lines(head: list[str], kind: str | None) -> str | None:
    """What the first lines of a file show; `kind` is what its name says."""
    if kind == "TSV" and any("\t" in line for line in head):
        return kind
    if not head or kind == "TSV":
        return None
    tabs = head[0].count("\t")
    if tabs and len(head) > 1 and all(line.count("\t") == tabs for line in head):
        return "TSV"
    if all(_is_object(line) for line in head):
        return "JSONL"
    names = HEADER.fullmatch(head[0]) and head[0].replace('"', "").split(_delimiter(head))
    return "CSV" if len(head) > 1 and HEADER_NAMES & {*map(str.lower, names or ())} else None


def _is_object(line: str) -> bool:
    try:
        return line.lstrip().startswith("{") and isinstance(json.loads(line), dict)
    except ValueError:
        return False


# Delimited


def _delimiter(head: list[str]) -> str:
    """The delimiter that splits most lines into as many cells as the first, and into most."""

    def fit(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(head, delimiter=delimiter)]
        return (widths.count(widths[0]) if widths[0] > 1 else 0, widths[0])

    return max(DELIMITERS, key=fit)


def _open_delimited(path: Path, encoding: str | None, kind: str, head: list[str]) -> Table:
    """A table of cells between delimiters."""
    if not head:
        raise InputError(f"{path}: an empty table")
    delimiter = "\t" if kind == "TSV" else _delimiter(head)

    def records() -> Iterator[tuple[int, list[str]]]:
        with open_text(path, encoding) as lines:
            if kind == "TSV":
                yield from _split_at_tabs(lines)
                return
            reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
            try:
                for cells in reader:
                    yield reader.line_num, cells
            except csv.Error as error:
                raise InputError(f"{path}: line {reader.line_num}: not CSV ({error})") from error

    names = next((cells for _, cells in records() if cells), [])

    def rows(places: Sequence[int]) -> Iterator[tuple[int, Cells]]:
        for line, cells in records():
            if cells:
                fits = len(cells) == len(names)
                yield line, [cells[place] for place in places] if fits else None

    return Table(path, kind, [name.strip() for name in names], rows)


def _split_at_tabs(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Cells between tabs; quotes are part of the text, unless they enclose a cell as in Excel."""
    for number, line in enumerate(lines, start=1):
        cells = line.rstrip("\r\n").split("\t")
        yield number, [_unquoted(cell) for cell in cells] if line.strip() else []


def _unquoted(cell: str) -> str:
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        inside = cell[1:-1]
        if '"' not in inside.replace('""', ""):
            return inside.replace('""', '"')
    return cell


# JSON


def _open_json(
    path: Path, records: Iterator[tuple[int, dict[str, Any]]], kind: str = "JSON"
) -> Table:
    """A table of objects, whose columns are the keys of the first ones."""
    head = list(islice(records, NUM_HEAD_LINES))
    names = list(dict.fromkeys(key for _, record in head for key in record))
    if not names:
        raise InputError(f"{path}: an empty table")

    def rows(places: Sequence[int]) -> Iterator[tuple[int, Cells]]:
        for line, record in chain(head, records):
            yield line, [record.get(names[place]) for place in places]

    return Table(path, kind, names, rows)


def _parse_lines(path: Path, encoding: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    with open_text(path, encoding) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}: line {number}: not JSON ({error})") from error
            if not isinstance(record, dict):
                raise InputError(f"{path}: line {number} is no JSON object")
            yield number, record


def _parse_json(path: Path, encoding: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a list, numbered from 1."""
    with open_text(path, encoding) as lines:
        try:
            records = json.loads("".join(lines))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: not JSON ({error})") from error
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise InputError(f"{path}: no list of JSON objects; save it as JSONL, an object a line")
    yield from enumerate(records, start=1)


# Parquet


def _open_parquet(path: Path) -> Table:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise InputError(
            f"{path}: a Parquet table; save it as CSV, or install pyarrow (pip install pyarrow)"
        ) from error
    try:
        names = parquet.ParquetFile(path).schema_arrow.names
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from error

    def rows(places: Sequence[int]) -> Iterator[tuple[int, Cells]]:
        chosen, line = [names[place] for place in places], 0
        try:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(columns=chosen):
                    columns = [batch.column(name).to_pylist() for name in chosen]
                    for cells in zip(*columns, strict=True):
                        line += 1
                        yield line, list(cells)
        except (OSError, pyarrow.ArrowException) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"{path}: damaged after row {line} ({reason})") from error

    return Table(path, "Parquet", names, rows)
