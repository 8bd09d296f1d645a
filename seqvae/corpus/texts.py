"""Lines of text -> a spool of token sequences."""

from array import array
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, TypeAlias

import numpy as np
from tqdm import tqdm

from seqvae.corpus.config import DataConfig
from seqvae.corpus.labels import as_numbers
from seqvae.corpus.lines import SourceLines, read_lines
from seqvae.corpus.sources import Sources, assign_splits
from seqvae.corpus.spool import Chosen, Packed, Prepared, Spool, pack
from seqvae.corpus.store import SPLITS, SourceRow
from seqvae.errors import InputError
from seqvae.reasons import Dropped, Reason, main_reason
from seqvae.tokenizers.contract import TextTokenizer

COPY = "a copy of another file"
MIN_DISTINCT = 3  # lines: one for each split

Texts: TypeAlias = dict[Path, SourceLines]
OfFiles: TypeAlias = dict[Path, Sequence[int]]  # numbers of lines of each source
Rows: TypeAlias = dict[Path, SourceRow]


def prepare_texts(
    data: DataConfig, tokenizer: TextTokenizer, sources: Sources, folder: Path
) -> Prepared:
    """Read lines, split them, train the tokenizer on the training lines, encode all.

    Raises:
        InputError: no source can be read, or there is no line to train on.
    """
    texts, rows = _read_sources(sources, data)
    if "source" not in sources.splits:
        chosen: dict[str, OfFiles] = {
            split: {path: range(len(texts[path].lines)) for path in paths if path in texts}
            for split, paths in sources.splits.items()
        }
        return _encode(chosen, texts, tokenizer, rows, folder)
    while True:
        made = _encode(_split(texts, data), texts, tokenizer, rows, folder)
        # Only a tokenizer tells that all lines of a file are too long; then the rest is split.
        usable = {path: text for path, text in texts.items() if rows[path].taken}
        if all(map(len, made[0].values())) or len(usable) in (0, len(texts)):
            return made
        texts = usable


def _read_sources(sources: Sources, data: DataConfig) -> tuple[Texts, Rows]:
    """The sources that hold lines, and a row for each of all.

    Raises:
        InputError: none holds any, or the labels cannot be used.
    """
    texts: Texts = {}
    rows: Rows = {}
    refusals: list[InputError] = []
    copies: set[int] = set()
    for path in sources.files:
        try:
            text = read_lines(path, data)
        except InputError as error:
            refusals.append(error)
            rows[path] = SourceRow(str(path), reason=str(error).removeprefix(f"{path}: "))
            continue
        why = main_reason(text.dropped)
        rows[path] = SourceRow(str(path), dropped=text.dropped, noted=text.noted)
        digest = hash((*text.lines, *text.labels))
        if not text.lines:
            rows[path] = replace(rows[path], reason=why.text if why else "the file is empty")
        elif "source" in sources.splits and digest in copies:
            rows[path] = SourceRow(str(path), reason=COPY)
        else:
            texts[path] = text
        copies.add(digest)
    if not texts:
        first = next(iter(rows.values()))
        raise (
            refusals[0]
            if refusals
            else InputError(f"{first.source}: no lines to train on: {first.reason}")
        )
    return _with_numbers(texts) if data.label_column else texts, rows


def _with_numbers(texts: Texts) -> Texts:
    """The same texts, whose labels are numbers; words are the same two in all files."""
    places = [(path, number) for path, text in texts.items() for number in text.numbers]
    labels = [label for text in texts.values() for label in text.labels]
    numbers = iter(as_numbers(labels, lambda i: f"{places[i][0]}: line {places[i][1]}"))
    return {
        path: replace(text, values=[next(numbers) for _ in text.labels])
        for path, text in texts.items()
    }


def _split(texts: Texts, data: DataConfig) -> dict[str, OfFiles]:
    """Splits by file, or by distinct line where fewer than three files have lines.

    Raises:
        InputError: there are fewer than three distinct lines.
    """
    splits: dict[str, OfFiles] = {split: {} for split in SPLITS}
    if len(texts) >= 3:
        sizes = [len(text.lines) for text in texts.values()]
        for path, split in zip(texts, assign_splits(sizes, data), strict=True):
            splits[split][path] = range(len(texts[path].lines))
        return splits
    distinct = list(dict.fromkeys(line for text in texts.values() for line in text.lines))
    if len(distinct) < MIN_DISTINCT:
        places, shown = " and ".join(map(str, texts)), " or ".join(repr(d[:60]) for d in distinct)
        total = sum(len(text.lines) for text in texts.values())
        all_of = "the only line is" if total == 1 else f"all {total} lines are"
        raise InputError(f"{places}: {all_of} {shown}; give at least 3 different lines")
    split_of = dict(zip(distinct, assign_splits([1] * len(distinct), data), strict=True))
    for path, text in texts.items():
        by_split: dict[str, array[int]] = {split: array("q") for split in SPLITS}
        for number, line in enumerate(text.lines):
            by_split[split_of[line]].append(number)
        for split in SPLITS:
            splits[split][path] = by_split[split]
    return splits


def _encode(
    chosen: dict[str, OfFiles], texts: Texts, tokenizer: TextTokenizer, rows: Rows, folder: Path
) -> Prepared:
    """Train the tokenizer, spool the sequences of all splits, and note in `rows` what came of it.

    Raises:
        InputError: there is no line to train on.
    """
    if not any(chosen["train"].values()):
        raise InputError("no lines to train on: the training files hold none")
    trained = tokenizer.train(
        texts[path].lines[number] for path, numbers in chosen["train"].items() for number in numbers
    )
    spool = Spool(folder, trained)
    for path in texts:
        rows[path] = replace(rows[path], taken={}, dropped=Dropped(texts[path].dropped))
    splits = {split: _encode_split(split, chosen[split], texts, rows, spool) for split in SPLITS}
    for path in texts:
        why = main_reason(rows[path].dropped)
        if not rows[path].taken and why is not None:
            rows[path] = replace(rows[path], reason=why.text)
    return splits, list(rows.values())


def _encode_split(split: str, chosen: OfFiles, texts: Texts, rows: Rows, spool: Spool) -> Chosen:
    """Spool the sequences of a split, and count in `rows` what each source gave."""
    tokenizer, spooled = spool.tokenizer, array("q")
    text = f"longer than {tokenizer.max_steps} tokens"
    too_long = Reason("line", text, "--data.tokenizer.max_steps")
    num_lines = sum(map(len, chosen.values()))
    with tqdm(total=num_lines, desc=f"tokenize {split}", unit=" lines", delay=1) as bar:
        for path, numbers in chosen.items():
            added = spool.add_packed(_short(texts[path], numbers, spool, bar))
            spooled.extend(added)
            if added:
                rows[path].taken[split] = len(added)
            if num_too_long := len(numbers) - len(added):
                rows[path].dropped[too_long] += num_too_long
    return Chosen(spool, np.array(spooled, np.int64))


def _short(
    text: SourceLines, numbers: Sequence[int], spool: Spool, bar: "tqdm[NoReturn]"
) -> Packed:
    """The tokens and labels of the lines that are short enough."""
    assert spool.tokenizer.modality == "text"
    sequences, labels = [np.empty((0, 1), spool.token_type)], array("f")
    for number in numbers:
        ids = spool.tokenizer.encode(text.lines[number])
        if len(ids) <= spool.tokenizer.max_steps:
            if text.values:
                labels.append(text.values[number])
            sequences.append(ids.astype(spool.token_type))
        bar.update()
    lengths = np.array([*map(len, sequences[1:])], np.int64)
    return pack(np.concatenate(sequences), lengths, labels)
