"""What a source of text holds: lines, with labels where they are asked for."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from seqvae.corpus.config import DataConfig
from seqvae.corpus.encodings import is_invalid, likely_encoding, open_text, replaced
from seqvae.corpus.tables import open_table
from seqvae.errors import InputError
from seqvae.reasons import Dropped, Reason

EMPTY_LINE = Reason("line", "an empty line")
INVALID_BYTES = Reason("line", "invalid bytes, replaced by U+FFFD", "--data.encoding")
ODD_ROW = Reason("line", "more or fewer cells than the first row")
MAX_INVALID_SHARE = 0.1  # of lines, in a file that is taken to be of its encoding
MAX_ODD_SHARE = 0.1  # of the rows of a table
NUM_SAMPLED = 200  # invalid lines from which their encoding is guessed

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class SourceLines:
    """The lines of one source."""

    lines: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    """Of each line, if the settings name a column of labels."""
    numbers: list[int] = field(default_factory=list)
    """Where each label stands in its file."""
    values: list[float] = field(default_factory=list)
    """The labels as numbers, once those of all sources are known."""
    dropped: Dropped = field(default_factory=Dropped)
    """What was left out."""
    noted: Dropped = field(default_factory=Dropped)
    """What was taken otherwise than it is written."""


def read_lines(path: Path, data: DataConfig) -> SourceLines:
    """The lines of a text, or the cells of a column of a table, without empty ones.

    Invalid bytes are replaced by U+FFFD and reported.

    Raises:
        InputError: it cannot be read, is no text, is of another encoding, or is a table and the
            settings do not name the column.
    """
    found, invalid, num_lines = SourceLines(), list[int](), 0
    sample: list[str] = []  # of invalid lines
    for number, cells in _records(path, data):
        num_lines += 1
        if cells is None:
            found.dropped[ODD_ROW] += 1
            continue
        text, *labels = cells
        if is_invalid(text):
            invalid.append(number)
            if len(sample) < NUM_SAMPLED:
                sample.append(text)
            text = replaced(text)
        if text.strip():
            found.lines.append(text)
            if labels:
                found.labels.append(labels[0])
                found.numbers.append(number)
        else:
            found.dropped[EMPTY_LINE] += 1
    _check_rows(path, found.dropped[ODD_ROW], num_lines)
    if invalid:
        found.noted[INVALID_BYTES] = len(invalid)
        _check_encoding(path, invalid, num_lines, sample, data.encoding)
    return found


def _records(path: Path, data: DataConfig) -> Iterator[tuple[int, list[str] | None]]:
    """The number of each line, and its text and label; None for odd rows of a table."""
    if path.is_file() and not path.stat().st_size:
        return
    table = open_table(path, data.encoding)
    if data.column is not None:
        if table is None:
            raise InputError(
                f"{path}: no CSV, TSV, JSONL, JSON or Parquet table, which data.column is for; "
                "rename it, such as to .csv, if it is one"
            )
        columns = [data.column] if data.label_column is None else [data.column, data.label_column]
        yield from table.read(columns)
        return
    if table is not None:
        raise InputError(f"{path}: {table}; name the one that holds the text by --data.column")
    with open_text(path, data.encoding) as lines:
        for number, line in enumerate(lines, start=1):
            yield number, [line.rstrip("\r\n")]


def _check_rows(path: Path, num_odd: int, num_rows: int) -> None:
    """Refuse a table that falls apart."""
    if num_odd > MAX_ODD_SHARE * num_rows:
        raise InputError(
            f"{path}: {num_odd} of {num_rows} rows have more or fewer cells than the first one; "
            "put cells that hold the delimiter in quotes"
        )


def _check_encoding(
    path: Path, invalid: list[int], num_lines: int, sample: list[str], encoding: str | None
) -> None:
    """Report lines that are not of the encoding, or refuse the file if there are many.

    Raises:
        InputError: there are many.
    """
    likely = None if encoding else likely_encoding(sample)
    looks = f"; they look like {likely}: give --data.encoding {likely}" if likely else ""
    of = encoding or "UTF-8"
    if len(invalid) > MAX_INVALID_SHARE * num_lines:
        raise InputError(
            f"{path}: {len(invalid)} of {num_lines} lines are not {of}, or have NUL{looks}"
            + ("" if likely else "; give their encoding by --data.encoding, or convert the file")
        )
    logger.warning(
        "%s: invalid %s or NUL in %d lines, the first is line %d; the bytes were replaced by "
        "U+FFFD%s", path, of, len(invalid), invalid[0], looks,
    )  # fmt: skip
