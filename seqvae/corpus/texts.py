"""Lines of text -> spools of token sequences.

Sources are read several times, a block of lines at a time: to see what they hold, to learn a
vocabulary from the training lines, and to encode all lines in as many processes as there are cores.
So memory does not grow with the number of lines.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, compress
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from seqvae.corpus.config import DataConfig
from seqvae.corpus.labels import Labels
from seqvae.corpus.line_split import LineSplit, split_lines
from seqvae.corpus.lines import read_blocks
from seqvae.corpus.sources import Sources, assign_splits
from seqvae.corpus.spool import Chosen, Packed, Prepared, Spool, Unusable, pack
from seqvae.corpus.store import SPLITS, SourceRow
from seqvae.corpus.survey import Survey, survey
from seqvae.corpus.workers import in_order
from seqvae.errors import InputError
from seqvae.reasons import Dropped, Reason, main_reason
from seqvae.tokenizers.contract import TextTokenizer

COPY = "a copy of another file"
UNKNOWN = Reason("line", "a symbol that no training line has", "--data.tokenizer.unknown keep")

Surveys: TypeAlias = dict[Path, Survey]
Rows: TypeAlias = dict[Path, SourceRow]
Divided: TypeAlias = list[tuple[Path, str | LineSplit]]
"""Sources, each with the split that all of its lines belong to, or with that of each line."""


def prepare_texts(
    data: DataConfig, tokenizer: TextTokenizer, sources: Sources, folder: Path
) -> Prepared:
    """Look at the sources, split their lines, train the tokenizer on training lines, encode all.

    Raises:
        Unusable: no source can be read, or there is no line to train on.
    """
    rows: Rows = {}
    try:
        return _prepared(data, tokenizer, sources, folder, rows)
    except InputError as error:
        raise Unusable(str(error), [*rows.values()]) from error


def _prepared(
    data: DataConfig, tokenizer: TextTokenizer, sources: Sources, folder: Path, rows: Rows
) -> Prepared:
    """The same; what becomes of each source is noted in `rows`."""
    surveys = _look_at(sources, data, rows)
    if "source" not in sources.splits:
        divided: Divided = [
            (path, split)
            for split, paths in sources.splits.items()
            for path in paths
            if path in surveys
        ]
        return _encode(divided, surveys, rows, tokenizer, folder, data)
    while True:
        made = _encode(_split(surveys, data), surveys, rows, tokenizer, folder, data)
        # Only a tokenizer tells that all lines of a file are too long; then the rest is split.
        usable = {path: found for path, found in surveys.items() if rows[path].taken}
        if all(map(len, made[0].values())) or len(usable) in (0, len(surveys)):
            return made
        surveys = usable


def _look_at(sources: Sources, data: DataConfig, rows: Rows) -> Surveys:
    """The sources that hold lines. Each of all sources gets a row.

    Raises:
        InputError: none holds any, or the labels cannot be used.
    """
    surveys: Surveys = {}
    refusals: list[InputError] = []
    digests: set[bytes] = set()
    may_have_copies = "source" in sources.splits and len(sources.files) > 1
    for path in tqdm(dict.fromkeys(sources.files), desc="read", unit=" files", delay=1):
        try:
            found = survey(path, data, digested=may_have_copies)
        except InputError as error:
            refusals.append(error)
            rows[path] = SourceRow(str(path), reason=str(error).removeprefix(f"{path}: "))
            continue
        why = main_reason(found.dropped)
        rows[path] = SourceRow(str(path), dropped=found.dropped, noted=found.noted)
        if not found.num_lines:
            rows[path] = replace(rows[path], reason=why.text if why else "the file is empty")
        elif may_have_copies and found.digest in digests:
            rows[path] = SourceRow(str(path), reason=COPY)
        else:
            surveys[path] = found
        digests.add(found.digest)
    if not surveys:
        first = next(iter(rows.values()))
        raise (
            refusals[0]
            if refusals
            else InputError(f"{first.source}: no lines to train on: {first.reason}")
        )
    if data.label_column:
        _scale_of(surveys)
    return surveys


def _scale_of(surveys: Surveys) -> Callable[[str], float]:
    """The numbers of labels; words are the same two in all files."""
    labels = Labels()
    for found in surveys.values():
        labels.add_all(found.labels)
    return labels.scale()


def _split(surveys: Surveys, data: DataConfig) -> Divided:
    """Splits by file, or by line where fewer than three files have lines.

    Raises:
        InputError: there are fewer than three distinct lines.
    """
    if len(surveys) >= 3:
        sizes = [found.num_lines for found in surveys.values()]
        return [*zip(surveys, assign_splits(sizes, data), strict=True)]
    lines = (block.lines for path in surveys for block in read_blocks(path, data))
    by_line = split_lines(lines, data, " and ".join(map(str, surveys)))
    return [(path, by_line) for path in surveys]


def _splits_of(lines: list[str], split: str | LineSplit) -> NDArray[np.int64]:
    """The number in `SPLITS` of each line."""
    if isinstance(split, LineSplit):
        return split.of(lines)
    return np.full(len(lines), SPLITS.index(split))


def _training_lines(divided: Divided, data: DataConfig) -> Iterator[str]:
    """The lines of the training split."""
    with tqdm(desc="learn", unit=" lines", delay=1) as bar:
        for path, split in divided:
            if split not in SPLITS[1:]:
                for block in read_blocks(path, data):
                    is_held_out = _splits_of(block.lines, split)
                    yield from compress(block.lines, is_held_out == 0)
                    bar.update(len(block.lines))


class Lines(NamedTuple):
    """A block of lines on its way to a worker."""

    path: Path
    lines: list[str]
    labels: NDArray[np.float32]
    """Of each line, or none."""
    split: str | LineSplit


class Encoded(NamedTuple):
    """What comes back."""

    path: Path
    num_lines: int
    num_refused: int
    """Lines that the tokenizer does not take."""
    noted: Dropped
    """What may be no data, among the lines that are taken."""
    packed: dict[str, Packed]
    """The sequences of each split, without those lines, and without those that are too long."""


def encode_lines(block: Lines, tokenizer: TextTokenizer) -> Encoded:
    """Encode a block of lines."""
    tokens = tokenizer.encode_lines(block.lines)
    lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
    splits = _splits_of(block.lines, block.split)
    fits = (lengths > 0) & (lengths <= tokenizer.max_steps)
    packed = {}
    for number, split in enumerate(SPLITS):
        chosen = (splits == number) & fits
        if chosen.any():
            steps = chain.from_iterable(compress(tokens, chosen.tolist()))
            flat = np.fromiter(steps, tokenizer.token_type, lengths[chosen].sum())
            labels = block.labels[chosen] if len(block.labels) else block.labels
            packed[split] = pack(flat[:, None], lengths[chosen], labels)
    noted = tokenizer.oddities(compress(block.lines, fits.tolist()))
    return Encoded(block.path, len(tokens), int((lengths == 0).sum()), noted, packed)


def _encode(
    divided: Divided,
    surveys: Surveys,
    rows: Rows,
    tokenizer: TextTokenizer,
    folder: Path,
    data: DataConfig,
) -> Prepared:
    """Train the tokenizer, spool the sequences of all splits, and note in `rows` what came of it.

    A vocabulary that the settings name is taken as it is.

    Raises:
        InputError: there is no line to train on, or a source has changed since it was looked at.
    """
    training = _training_lines(divided, data)
    if (first := next(training, None)) is None:
        raise InputError("no lines to train on: the training files hold none")
    trained = tokenizer if data.vocabulary else tokenizer.train(chain([first], training))
    spools = {split: Spool(folder, trained, f"spool.{split}") for split in SPLITS}
    num_lines, num_refused = Counter[Path](), Counter[Path]()
    taken = {path: Counter[str]() for path in surveys}
    noted = {path: Dropped(found.noted) for path, found in surveys.items()}
    for encoded in _encoded(divided, surveys, trained, data):
        num_lines[encoded.path] += encoded.num_lines
        num_refused[encoded.path] += encoded.num_refused
        noted[encoded.path].update(encoded.noted)
        for split, packed in encoded.packed.items():
            taken[encoded.path][split] += len(spools[split].add_packed(packed))
    text = f"longer than {trained.max_steps} tokens"
    too_long = Reason("line", text, "--data.tokenizer.max_steps")
    for path, found in surveys.items():
        dropped = Dropped(found.dropped)
        if num_refused[path]:
            dropped[UNKNOWN] = num_refused[path]
        if num_too_long := num_lines[path] - num_refused[path] - taken[path].total():
            dropped[too_long] = num_too_long
        why = main_reason(dropped)
        reason = why.text if why and not taken[path] else None
        in_order_of_splits = {split: taken[path][split] for split in SPLITS if taken[path][split]}
        rows[path] = replace(
            rows[path], taken=in_order_of_splits, dropped=dropped, noted=noted[path], reason=reason
        )
    chosen = {split: Chosen(spool, range(len(spool))) for split, spool in spools.items()}
    return chosen, [*rows.values()]


def _encoded(
    divided: Divided, surveys: Surveys, trained: TextTokenizer, data: DataConfig
) -> Iterator[Encoded]:
    """All lines, encoded in worker processes, in their order."""
    total = sum(surveys[path].num_lines for path, _ in divided)
    results = in_order(
        partial(encode_lines, tokenizer=trained), _to_encode(divided, surveys, data),
        data.num_workers,
    )  # fmt: skip
    with (
        contextlib.closing(results),
        tqdm(total=total, desc="tokenize", unit=" lines", delay=1) as bar,
    ):
        for encoded in results:
            yield encoded
            bar.update(encoded.num_lines)


def _to_encode(divided: Divided, surveys: Surveys, data: DataConfig) -> Iterator[Lines]:
    """All lines, a block at a time.

    Raises:
        InputError: a source has changed since it was looked at.
    """
    scale = _scale_of(surveys) if data.label_column else float
    for path, split in divided:
        num_lines = 0
        changed = InputError(f"{path}: changed while it was read; start again")
        for block in read_blocks(path, data):
            try:
                labels = np.array([scale(label) for label in block.labels], np.float32)
            except (KeyError, ValueError) as error:
                raise changed from error
            yield Lines(path, block.lines, labels, split)
            num_lines += len(block.lines)
        if num_lines != surveys[path].num_lines:
            raise changed
