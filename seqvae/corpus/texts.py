"""Lines of text -> token sequences."""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from seqvae.corpus.config import DataConfig
from seqvae.corpus.sources import assign_splits
from seqvae.corpus.store import SPLITS, Numbers, Prepared, SourceRow, Spool
from seqvae.errors import InputError
from seqvae.tokenizers.contract import Ids, TextTokenizer

logger = logging.getLogger(__name__)


def prepare_texts(
    data: DataConfig, tokenizer: TextTokenizer, sources: dict[str, list[Path]], folder: Path
) -> Prepared:
    """Read lines, split them, train the tokenizer on the training lines, encode all."""
    lines: dict[str, list[tuple[str, str]]] = {name: [] for name in SPLITS}  # (source, line)
    dropped: dict[str, Counter[str]] = {}
    if "source" in sources:
        by_file = {str(path): _read_lines(path, dropped) for path in sources["source"]}
        for split, source, line in _split_lines(by_file, data):
            lines[split].append((source, line))
    else:
        for split, paths in sources.items():
            for path in paths:
                lines[split] += [(str(path), line) for line in _read_lines(path, dropped)]
    if not lines["train"]:
        raise InputError(f"{next(iter(dropped))}: no lines to train on")
    tokenizer = tokenizer.train(line for _, line in lines["train"])
    spool = Spool(folder, tokenizer)
    splits: dict[str, Numbers] = {}
    taken: dict[str, Counter[str]] = {source: Counter() for source in dropped}
    too_long = f"longer than {tokenizer.max_steps} tokens (data.tokenizer.max_steps)"

    def encoded(split: str) -> Iterator[Ids]:
        for source, line in tqdm(lines[split], f"tokenize {split}", unit=" lines", delay=1):
            ids = tokenizer.encode(line)
            if len(ids) > tokenizer.max_steps:
                dropped[source][too_long] += 1
            else:
                taken[source][split] += 1
                yield ids

    for split in SPLITS:
        splits[split] = np.array(spool.add(encoded(split)), np.int64)
    manifest = [
        SourceRow(
            source,
            dict(taken[source]),
            None if taken[source] else f"no usable line ({', '.join(counts) or 'empty file'})",
            dict(counts),
        )
        for source, counts in dropped.items()
    ]
    return spool, splits, manifest


def _read_lines(path: Path, dropped: dict[str, Counter[str]]) -> list[str]:
    """The lines of a file without empty ones. Invalid UTF-8 is replaced (U+FFFD) and reported."""
    counts = dropped.setdefault(str(path), Counter())
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    kept, invalid = [], []
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        text = line.decode("utf-8", errors="replace").replace("\0", "\ufffd")
        if "\ufffd" in text and "\ufffd".encode() not in line:
            invalid.append(number)
        if text.strip():
            kept.append(text)
        else:
            counts["an empty line"] += 1
    if invalid:
        logger.warning(
            "%s: invalid UTF-8 or NUL in %d lines, the first is line %d; "
            "the bytes were replaced by U+FFFD",
            path, len(invalid), invalid[0],
        )  # fmt: skip
    return kept


def _split_lines(by_file: dict[str, list[str]], data: DataConfig) -> Iterator[tuple[str, str, str]]:
    """(split, source, line): by file, or by distinct line where there are fewer than 3 files."""
    if len(by_file) >= 3:
        splits = assign_splits(len(by_file), data)
        for split, (source, lines) in zip(splits, by_file.items(), strict=True):
            yield from ((split, source, line) for line in lines)
        return
    distinct = list(dict.fromkeys(line for lines in by_file.values() for line in lines))
    split_of = dict(zip(distinct, assign_splits(len(distinct), data), strict=True))
    for source, lines in by_file.items():
        yield from ((split_of[line], source, line) for line in lines)
