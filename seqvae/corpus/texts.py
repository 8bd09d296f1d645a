"""Lines of text -> a spool of token sequences."""

import logging
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from seqvae.corpus.config import DataConfig
from seqvae.corpus.sources import assign_splits
from seqvae.corpus.store import SPLITS, Prepared, SourceRow, Spool
from seqvae.errors import InputError
from seqvae.reasons import Dropped, Reason, main_reason
from seqvae.tokenizers.contract import Ids, TextTokenizer

Lines: TypeAlias = dict[str, list[str]]  # of each source

EMPTY_LINE = Reason("line", "an empty line")

logger = logging.getLogger(__name__)


def prepare_texts(
    data: DataConfig, tokenizer: TextTokenizer, sources: dict[str, list[Path]], folder: Path
) -> Prepared:
    """Read lines, split them, train the tokenizer on the training lines, encode all.

    Raises:
        InputError: a file cannot be read, or there is no line to train on.
    """
    rows = {str(path): SourceRow(str(path)) for paths in sources.values() for path in paths}
    lines = {
        split: {str(path): _read_lines(path, rows[str(path)].dropped) for path in paths}
        for split, paths in sources.items()
    }
    if "source" in lines:
        lines = _split_lines(lines["source"], data)
    if not any(lines["train"].values()):
        raise InputError(f"{next(iter(rows))}: no lines to train on")
    tokenizer = tokenizer.train(line for part in lines["train"].values() for line in part)
    spool = Spool(folder, tokenizer)
    splits = {split: _encode_split(split, lines[split], tokenizer, rows, spool) for split in SPLITS}
    for source, row in rows.items():
        if not row.taken:
            why = main_reason(row.dropped)
            rows[source] = replace(row, reason=why.text if why else "the file is empty")
    return spool, splits, list(rows.values())


def _read_lines(path: Path, dropped: Dropped) -> list[str]:
    """The lines of a file without empty ones. Invalid UTF-8 is replaced (U+FFFD) and reported."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    lines, num_empty, invalid = [], 0, []
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        text = line.decode("utf-8", errors="replace").replace("\0", "\ufffd")
        if "\ufffd" in text and "\ufffd".encode() not in line:
            invalid.append(number)
        if text.strip():
            lines.append(text)
        else:
            num_empty += 1
    if num_empty:
        dropped[EMPTY_LINE] = num_empty
    if invalid:
        logger.warning(
            "%s: invalid UTF-8 or NUL in %d lines, the first is line %d; "
            "the bytes were replaced by U+FFFD",
            path, len(invalid), invalid[0],
        )  # fmt: skip
    return lines


def _split_lines(lines: Lines, data: DataConfig) -> dict[str, Lines]:
    """Splits by file, or by distinct line where fewer than three files have lines."""
    usable = [source for source in lines if lines[source]]
    splits: dict[str, Lines] = {split: {} for split in SPLITS}
    if len(usable) >= 3:
        for source, split in zip(usable, assign_splits(len(usable), data), strict=True):
            splits[split][source] = lines[source]
        return splits
    distinct = list(dict.fromkeys(line for source in usable for line in lines[source]))
    split_of = dict(zip(distinct, assign_splits(len(distinct), data), strict=True))
    for split in SPLITS:
        for source in usable:
            splits[split][source] = [line for line in lines[source] if split_of[line] == split]
    return splits


def _encode_split(
    split: str, lines: Lines, tokenizer: TextTokenizer, rows: dict[str, SourceRow], spool: Spool
) -> NDArray[np.int64]:
    """Spool the sequences of a split, and count in `rows` what each source gave; the numbers."""
    numbers = array("q")
    num_lines = sum(map(len, lines.values()))
    with tqdm(total=num_lines, desc=f"tokenize {split}", unit=" lines", delay=1) as bar:
        for source, part in lines.items():
            added = spool.add(_encode(part, tokenizer, bar))
            numbers.extend(added)
            if added:
                rows[source].taken[split] = len(added)
            if num_too_long := len(part) - len(added):
                text = f"longer than {tokenizer.max_steps} tokens"
                too_long = Reason("line", text, "--data.tokenizer.max_steps")
                rows[source].dropped[too_long] += num_too_long
    return np.array(numbers, np.int64)


def _encode(lines: Iterable[str], tokenizer: TextTokenizer, bar: "tqdm[NoReturn]") -> Iterator[Ids]:
    """The tokens of the lines that are short enough."""
    for line in lines:
        ids = tokenizer.encode(line)
        if len(ids) <= tokenizer.max_steps:
            yield ids
        bar.update()
