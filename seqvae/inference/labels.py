"""Files of labels: sentences or MIDI files, each with a number or one of two words."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from seqvae.corpus.encodings import is_invalid, open_text
from seqvae.corpus.labels import as_numbers
from seqvae.corpus.store import Corpus
from seqvae.corpus.tables import open_table
from seqvae.errors import InputError
from seqvae.files import expanded
from seqvae.inference.codec import Codec
from seqvae.inference.prior import augmented, drawn
from seqvae.reasons import amount
from seqvae.tokenizers import AnyTokenizer
from seqvae.tokenizers.contract import Example

MAX_UNUSABLE_SHARE = 0.5  # of the lines of a file that is still taken
MAX_SHOWN = 5  # places of lines that cannot be used

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Labelled:
    """Examples that attributes are fitted on."""

    name: str
    """Of the labels, which are one more attribute."""
    examples: list[Example]
    values: Float[Tensor, " N"] | None
    """The labels, if there are any."""


def draw_labelled(corpus: Corpus, tokenizer: AnyTokenizer, seed: int) -> Labelled:
    """Sequences of the training split, with their labels if the corpus has some."""
    split = corpus.splits["train"]
    examples = augmented(split, tokenizer, seed=seed)
    if split.labels is None:
        return Labelled("", examples, None)
    labels = split.labels[drawn(split, np.random.default_rng(seed))]
    assert corpus.label is not None
    return Labelled(corpus.label, examples, torch.from_numpy(labels))


def read_labels(
    codec: Codec, file: Path, column: str | None = None, label_column: str | None = None
) -> Labelled:
    """The windows of labelled sentences or MIDI files, and the label of each.

    A line holds a label, a tab, and a sentence or the name of a MIDI file beside the file; or the
    file is a table with such columns. Labels are numbers, or exactly two words; the alphabetically
    later word is the positive class. Lines that cannot be used are left out, with a warning.

    Raises:
        InputError: the file cannot be read, or half of its lines cannot be used; it says which.
    """
    examples: list[Example] = []
    labels: list[str] = []
    places: list[str] = []
    wrong: list[tuple[str, str]] = []
    num_rows = 0
    for place, cells in _rows(file, column, label_column):
        num_rows += 1
        try:
            windows = _windows(codec, file, cells)
        except InputError as error:
            wrong.append((place, str(error)))
            continue
        examples += windows
        labels += [cells[0]] * len(windows)
        places += [place] * len(windows)
    if wrong:
        said = f"{file}: {len(wrong)} of {amount(num_rows, 'line')} cannot be used: {_told(wrong)}"
        if len(wrong) >= MAX_UNUSABLE_SHARE * num_rows:
            raise InputError(f"{said}; mend them, or leave them out")
        logger.warning("%s; they are left out", said)
    if not labels:
        raise InputError(f"{file}: no labels; a line has a label, a tab, and a sentence or file")
    values = as_numbers(labels, lambda index: f"{file}: {places[index]}")
    return Labelled(file.stem, examples, torch.tensor(values))


def _told(wrong: list[tuple[str, str]]) -> str:
    """Why the first line cannot be used, and which others there are."""
    (place, reason), *others = wrong
    told = f"{place} ({reason})"
    if others:
        places = ", ".join(place for place, _ in others[: MAX_SHOWN - 1])
        told += f", and {places}" + ", ..." * (len(wrong) > MAX_SHOWN)
    return told


def _rows(
    file: Path, column: str | None, label_column: str | None
) -> Iterator[tuple[str, list[str]]]:
    """Where each row is, and its cells: label and content, if it has both."""
    if (column is None) != (label_column is None):
        raise InputError("column and label_column go together; give both")
    if column is not None and label_column is not None:
        table = open_table(file)
        if table is None:
            raise InputError(f"{file}: no CSV, TSV, JSONL, JSON or Parquet table")
        for number, cells in table.read([label_column, column]):
            yield table.at(number), cells or []
        return
    if (table := open_table(file)) is not None and table.kind != "TSV":
        raise InputError(
            f"{file}: {table}; name those of text and labels by --column and --label_column"
        )
    with open_text(file) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield f"line {number}", line.rstrip("\r\n").split("\t", 1)


def _windows(codec: Codec, file: Path, cells: list[str]) -> list[Example]:
    """The windows of the sentence or MIDI file in a row."""
    if len(cells) != 2:
        raise InputError("no tab" if cells else "more or fewer cells than the first row")
    content = cells[1]
    if is_invalid(content):
        raise InputError("not UTF-8")
    if codec.tokenizer.modality == "music":
        content = str(file.parent / expanded(content))
    return codec.windows(content)
