"""Codes of whole files, folders, corpora and standard input, some rows at a time.

Lines of a block are encoded in the order of their lengths, so that little is padding, and come
out in their own. On a CPU each thread encodes a block. Memory does not grow with the number of
rows.

Axes: N rows, T steps, C channels, Z latent.
"""

import io
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from seqvae.corpus.config import DataConfig
from seqvae.corpus.lines import Block, read_blocks, read_stream
from seqvae.corpus.sources import suffixes_of
from seqvae.corpus.store import ABOUT, Corpus, Split
from seqvae.corpus.survey import checked, survey
from seqvae.corpus.tables import open_table
from seqvae.corpus.texts import UNKNOWN
from seqvae.errors import InputError, shown
from seqvae.files import expanded, find_files, is_file, refuse_input
from seqvae.inference.bundle import check_tokens, fingerprint
from seqvae.inference.code_table import new_table
from seqvae.inference.codec import Codec
from seqvae.inference.inputs import Opened, sentence, tell_left_out, windows_of
from seqvae.inference.options import Coding, Reading
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.threads import in_parallel
from seqvae.reasons import Dropped, Reason, amount, in_words
from seqvae.tokenizers.contract import Ids, TextTokenizer
from seqvae.tokenizers.symbols import SymbolTokenizer

PIPE, PIPED = "-", "standard input"  # what stands for it, and what messages call it
MAX_SYMBOLS = 5  # outside the alphabet that a warning names
SEQUENCES_TOGETHER = 4096  # of a corpus

logger = logging.getLogger(__name__)


class Rows(NamedTuple):
    """Sequences of one source, and their numbers in it, counted from 1."""

    source: str
    ids: list[int]
    sequences: list[Ids]


def encode_places(
    codec: Codec,
    places: Sequence[str],
    out: Path,
    coding: Coding,
    *,
    column: str | None = None,
    encoding: str | None = None,
    half: bool = False,
) -> int:
    """Write the codes of all that places hold; the number of rows.

    A place is a file, a folder, a glob, a prepared corpus, a split of one (CORPUS:test), or `-`.
    What is left out is told in a warning for each source. `half` computes in bfloat16.

    Raises:
        InputError: a place holds nothing that the model takes, the model has no code, or the table
            would take the place of an input.
    """
    latent_dim = codec.model.config.latent_dim
    if not latent_dim:
        raise InputError("this model is a language model (latent_dim 0): it has no code")

    for place in places if out.exists() else ():
        if place != PIPE and corpus_in(place) is None:
            refuse_input(out, "--out", find_files(place, suffixes_of(codec.tokenizer)).files)

    def encoded(rows: Rows) -> tuple[Rows, DiagonalGaussian]:
        with torch.autocast(codec.device.type, torch.bfloat16, enabled=half):  # of this thread
            return rows, encode_in_order(codec, rows.sequences, coding.refine)

    on_cpu = codec.device.type == "cpu"
    with (
        new_table(out, latent_dim, fingerprint(codec.model)) as table,
        tqdm(desc="encode", unit=" rows", disable=None, delay=1) as bar,
    ):
        for place in places:
            before = table.num_rows
            found = rows_in(
                codec, place, coding, column, encoding=encoding, encoding_flag="--encoding"
            )
            for rows, posterior in in_parallel(encoded, found) if on_cpu else map(encoded, found):
                ids = np.array(rows.ids, np.int64)
                means, spreads = posterior.mean.float(), posterior.log_stddev.float()
                table.add(rows.source, ids, means.cpu().numpy(), spreads.cpu().numpy())
                bar.update(len(ids))
            if table.num_rows == before:
                raise InputError(f"{place}: nothing in it can be encoded")
        return table.num_rows


@torch.no_grad()
def encode_in_order(codec: Codec, sequences: list[Ids], refine: int = 0) -> DiagonalGaussian:
    """q(z|x) of sequences, computed from the shortest to the longest."""
    order = np.argsort([len(ids) for ids in sequences], kind="stable")
    batches = codec.batches([sequences[i] for i in order.tolist()])
    posteriors = [codec.posterior_of(batch, refine) for batch in batches]
    back = torch.from_numpy(np.argsort(order)).to(codec.device)
    return DiagonalGaussian(
        torch.cat([posterior.mean for posterior in posteriors])[back],
        torch.cat([posterior.log_stddev for posterior in posteriors])[back],
    )


def rows_in(
    codec: Codec,
    place: str,
    reading: Reading,
    column: str | None = None,
    *,
    encoding: str | None = None,
    encoding_flag: str | None = None,
) -> Iterator[Rows]:
    """What a place holds, in the order of files and time; a warning tells what is left out.

    `encoding_flag` is what the verb calls its `encoding`, if it has one.

    Raises:
        InputError: a file that is named cannot be read, or none of a folder or a glob.
    """
    if (found := corpus_in(place)) is not None:
        folder, splits = found
        yield from _rows_of_corpus(codec, Corpus(folder), splits)
    elif codec.tokenizer.modality == "text":
        yield from _rows_of_texts(
            codec.tokenizer, place, DataConfig(column=column, encoding=encoding), encoding_flag
        )
    else:
        yield from _rows_of_music(codec, place, reading)


def corpus_in(place: str) -> tuple[Path, list[str]] | None:
    """The folder of a prepared corpus, and the splits of it that a place names."""
    folder, _, split = place.rpartition(":")
    for name, splits in ((folder, [split]), (place, ["train", "valid", "test"])):
        if name and (expanded(name) / ABOUT).is_file():
            return expanded(name), splits
    return None


def _rows_of_corpus(codec: Codec, corpus: Corpus, splits: list[str]) -> Iterator[Rows]:
    """The sequences of the splits of a prepared corpus."""
    check_tokens(corpus, codec.tokenizer)
    for name in splits:
        if name not in corpus.splits:
            raise InputError(f"{corpus.folder}: no split {name!r}; there are train, valid and test")
        split: Split = corpus.splits[name]
        for start in range(0, len(split), SEQUENCES_TOGETHER):
            numbers = range(start, min(start + SEQUENCES_TOGETHER, len(split)))
            sequences = [split[number] for number in numbers]
            yield Rows(f"{corpus.folder}:{name}", [n + 1 for n in numbers], sequences)


def _rows_of_texts(
    tokenizer: TextTokenizer, place: str, data: DataConfig, encoding_flag: str | None
) -> Iterator[Rows]:
    """The lines of a file of text, of those of a folder, or of standard input."""
    if place == PIPE:
        if data.column is not None:
            raise InputError(
                f"{PIPED}: lines of text, without the columns that --column is for; give the table "
                "as a file"
            )
        blocks = checked(PIPED, piped_blocks(data.encoding), data.encoding, encoding_flag)
        yield from _rows_of_blocks(tokenizer, PIPED, blocks)
        return

    def rows_of(file: Path) -> Iterator[Rows]:
        is_text = file != expanded(place) and open_table(file, data.encoding) is None
        of_file = replace(data, column=None) if is_text else data  # of a table beside it
        found = survey(file, of_file, column_flag="--column", encoding_flag=encoding_flag)
        if found.num_lines or is_file(place):
            return _rows_of_blocks(tokenizer, str(file), read_blocks(file, of_file, "--column"))
        raise InputError(f"{file}: no line of text")

    yield from _rows_of_files(place, find_files(place, suffixes_of(tokenizer)).files, rows_of)


def _rows_of_files(
    place: str, files: list[Path], rows_of: Callable[[Path], Iterator[Rows]]
) -> Iterator[Rows]:
    """The rows of the files of a place; a warning tells of those that are left out.

    Raises:
        InputError: the place is a file that is left out, or all are.
    """
    reasons = []
    for file in files:
        try:
            rows = rows_of(file)
        except InputError as error:
            if is_file(place):
                raise
            reasons.append(str(error))
            continue
        yield from rows
    if files and len(reasons) == len(files):
        raise InputError(f"{place}: none of {amount(len(files), 'file')} fits: {reasons[0]}")
    tell_left_out(place, reasons, len(files), "file")


def piped_blocks(encoding: str | None = None) -> Iterator[Block]:
    """The lines of standard input, as they come, by default in UTF-8."""
    stream = io.TextIOWrapper(
        sys.stdin.buffer, encoding=encoding or "utf-8", errors="surrogateescape", newline=""
    )
    return read_stream(stream)


def piped_sentences(tokenizer: TextTokenizer) -> list[Opened]:
    """The lines of standard input that a model takes; a warning tells the numbers of the others.

    Empty lines are passed over.

    Raises:
        InputError: none fits, or they are no text in UTF-8.
    """
    opened: list[Opened] = []
    reasons: list[str] = []
    for block in checked(PIPED, piped_blocks()):
        for number, line in zip(block.numbers, block.lines, strict=True):
            try:
                opened.append(Opened(line, [sentence(tokenizer, line)]))
            except InputError as error:
                reasons.append(f"line {number}: {error}")
    num_lines = len(opened) + len(reasons)
    if reasons and not opened:
        raise InputError(f"{PIPED}: none of {amount(num_lines, 'line')} fits: {reasons[0]}")
    tell_left_out(PIPED, reasons, num_lines, "line")
    return opened


def _rows_of_blocks(
    tokenizer: TextTokenizer, source: str, blocks: Iterable[Block]
) -> Iterator[Rows]:
    """The lines of blocks that the model takes; a warning tells of the others."""
    left_out = Dropped()
    too_long = Reason("line", f"longer than {tokenizer.max_steps} tokens")
    unknown = Counter[str]()
    for block in blocks:
        left_out.update(block.dropped)
        tokens = tokenizer.encode_lines(block.lines)
        fits = [0 < len(line) <= tokenizer.max_steps for line in tokens]
        left_out[UNKNOWN] += tokens.count([])
        left_out[too_long] += len(fits) - sum(fits) - tokens.count([])
        if isinstance(tokenizer, SymbolTokenizer):
            for line, found in zip(block.lines, tokens, strict=True):
                unknown.update([] if found else tokenizer.unknown_in(line))
        sequences = [np.array(line, np.int64)[:, None] for line in compress(tokens, fits)]
        if sequences:
            yield Rows(source, [*compress(block.numbers, fits)], sequences)
    if +left_out:
        logger.warning("%s: %s", source, in_words(+left_out))
    if unknown:
        symbols = ", ".join(f"{shown(s)} ({n})" for s, n in unknown.most_common(MAX_SYMBOLS))
        more = ", ..." if len(unknown) > MAX_SYMBOLS else ""
        logger.warning(
            "  the symbols, and in how many lines: %s%s; a model trained with %s would take them",
            symbols, more, UNKNOWN.remedy,
        )  # fmt: skip


def _rows_of_music(codec: Codec, place: str, reading: Reading) -> Iterator[Rows]:
    """The windows of a MIDI file, or of those of a folder; a warning tells of the others."""
    if place == PIPE:
        raise InputError(f"{PIPED} holds lines of text; this model takes MIDI files")

    def rows_of(file: Path) -> Iterator[Rows]:
        windows = windows_of(codec.tokenizer, file, reading)
        ids = [*range(1, len(windows) + 1)]
        return iter([Rows(str(file), ids, [window.ids for window in windows])])

    yield from _rows_of_files(place, find_files(place, suffixes_of(codec.tokenizer)).files, rows_of)
