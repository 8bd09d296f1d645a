"""The first look at a source of text: how many lines it holds, and whether it can be used."""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from seqvae.corpus.config import DataConfig
from seqvae.corpus.encodings import likely_encoding
from seqvae.corpus.labels import Labels
from seqvae.corpus.line_split import hashes_of
from seqvae.corpus.lines import ODD_ROW, Block, read_blocks
from seqvae.errors import InputError
from seqvae.reasons import Dropped, Reason, amount

INVALID_BYTES = Reason("line", "invalid bytes, replaced by U+FFFD", "--data.encoding")
MAX_INVALID_SHARE = 0.1  # of lines, in a file that is taken to be of its encoding
MAX_ODD_SHARE = 0.1  # of the rows of a table
HEAD_LINES = 10  # that are kept to be shown
NUM_SAMPLED = 200  # invalid lines from which their encoding is guessed

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Survey:
    """What a source holds."""

    num_lines: int
    """Without those that are left out."""
    lengths: tuple[int, int]
    """Characters of the shortest and the longest of them; 0 where there are none."""
    head: list[str]
    """The first ones."""
    digest: bytes
    """Of lines and labels, to recognise copies."""
    labels: Labels
    dropped: Dropped
    """What is left out."""
    noted: Dropped
    """What is taken otherwise than it is written."""


@dataclass(eq=False)
class _Invalid:
    """Lines with bytes that are not of the encoding."""

    num: int = 0
    first: int = 0
    sample: list[str] = field(default_factory=list)

    def add(self, lines: list[tuple[int, str]]) -> None:
        """Count more of them, each with its number."""
        self.first = self.first or lines[0][0]
        self.num += len(lines)
        self.sample += [line for _, line in lines[: NUM_SAMPLED - len(self.sample)]]


def survey(
    path: Path,
    data: DataConfig,
    *,
    digested: bool = False,
    column_flag: str = "--data.column",
    encoding_flag: str | None = "--data.encoding",
) -> Survey:
    """Read a source once; invalid bytes are reported. It may be `digested`, which takes longer.

    Messages name these flags; there may be none for the encoding.

    Raises:
        InputError: it cannot be read, is no text, is of another encoding, or is a table and the
            settings do not name the column.
    """
    num_all, num_lines, invalid = 0, 0, _Invalid()
    lengths, head = list[int](), list[str]()
    dropped, labels = Dropped(), Labels()
    digest, digest_of_labels = hashlib.blake2b(), hashlib.blake2b()
    for block in read_blocks(path, data, column_flag):
        num_all += block.num_lines
        num_lines += len(block.lines)
        head += block.lines[: HEAD_LINES - len(head)]
        lengths = [*map(len, block.lines), *lengths]
        lengths = [min(lengths), max(lengths)] if lengths else []
        dropped.update(block.dropped)
        if digested:
            digest.update(hashes_of(block.lines).tobytes())
            digest_of_labels.update("".join(f"{label}\n" for label in block.labels).encode())
        labels.add(block.labels, lambda i, at=block.numbers: f"{path}: line {at[i]}")
        if block.invalid:
            invalid.add(block.invalid)
    _check_rows(path, dropped[ODD_ROW], num_all)
    if invalid.num:
        _check_encoding(path, invalid, num_all, data.encoding, encoding_flag)
    of_bytes = replace(INVALID_BYTES, remedy=encoding_flag or "")
    noted = Dropped({of_bytes: invalid.num} if invalid.num else {})
    digests = digest.digest() + digest_of_labels.digest()
    shortest, longest = lengths or (0, 0)
    return Survey(num_lines, (shortest, longest), head, digests, labels, dropped, noted)


def _check_rows(path: Path, num_odd: int, num_rows: int) -> None:
    """Refuse a table that falls apart."""
    if num_odd > MAX_ODD_SHARE * num_rows:
        raise InputError(
            f"{path}: {num_odd} of {num_rows} rows have more or fewer cells than the first one; "
            "put cells that hold the delimiter in quotes"
        )


def checked(
    source: str, blocks: Iterable[Block], encoding: str | None = None, flag: str | None = None
) -> Iterator[Block]:
    """The blocks of a stream; at its end invalid bytes are reported.

    `flag` is the one that names the encoding, if there is one.

    Raises:
        InputError: many lines are of another encoding.
    """
    num_all, invalid = 0, _Invalid()
    for block in blocks:
        num_all += block.num_lines
        if block.invalid:
            invalid.add(block.invalid)
        yield block
    if invalid.num:
        _check_encoding(source, invalid, num_all, encoding, flag)


def _check_encoding(
    source: Path | str,
    invalid: _Invalid,
    num_lines: int,
    encoding: str | None,
    flag: str | None,
) -> None:
    """Report lines that are not of the encoding, or refuse the file if there are many.

    Raises:
        InputError: there are many.
    """
    likely = None if encoding else likely_encoding(invalid.sample)
    mend = f"give {flag} {likely}" if flag else "convert them to UTF-8"
    looks = f"; they look like {likely}: {mend}" if likely else ""
    others = f"give their encoding by {flag}, or convert them" if flag else "convert them to UTF-8"
    of = encoding or "UTF-8"
    if invalid.num > MAX_INVALID_SHARE * num_lines:
        raise InputError(
            f"{source}: {invalid.num} of {num_lines} lines are not {of}, or have NUL"
            + (looks if likely else f"; {others}")
        )
    logger.warning(
        "%s: invalid %s or NUL in %s, the first is line %d; the bytes were replaced by "
        "U+FFFD%s", source, of, amount(invalid.num, "line"), invalid.first, looks,
    )  # fmt: skip
