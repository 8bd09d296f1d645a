"""Prepared corpora on disk: memory-mapped tokens and offsets, and a manifest.

A corpus is a folder:
    tokens.npy      (steps of all sequences, C), the smallest unsigned type that fits
    offsets.npy     (sequences + 1,): sequence i is tokens[offsets[i]:offsets[i + 1]]
    labels.npy      (sequences,), if the settings name a column of labels
    corpus.json     number of sequences of each split, in file order, and a fingerprint of the data
    tokenizer.json  the tokenizer
    manifest.jsonl  a row per source: what was taken from it, or why nothing was
    digests.npy     digests of the sources, so that the next start reads only what has changed
What is checked when a corpus is opened is read a part at a time, so that memory does not grow with
the corpus.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqvae.disk import door, read_json, write_file
from seqvae.errors import InputError
from seqvae.reasons import Dropped, Reason
from seqvae.tokenizers import load_tokenizer
from seqvae.tokenizers.contract import Ids, Tokenizer

SPLITS = ("train", "valid", "test")
ABOUT = "corpus.json"
MANIFEST = "manifest.jsonl"
LABELS = "labels.npy"
AGAIN = "prepare the corpus again"
ROWS_CHECKED = 2**20  # that are in memory at a time


@dataclass(frozen=True)
class SourceRow:
    """What became of one source."""

    source: str
    taken: dict[str, int] = field(default_factory=dict)
    """Number of sequences that each split has from it."""
    reason: str | None = None
    """Why nothing was taken, if nothing was."""
    dropped: Dropped = field(default_factory=Dropped)
    """What was left out of it."""
    noted: Dropped = field(default_factory=Dropped)
    """What was taken otherwise than it is written."""
    tune: str | None = None
    """The first source that plays its tune, where several do."""

    def to_json(self) -> dict[str, Any]:
        """A line of the manifest."""
        return {
            "source": self.source,
            "taken": self.taken,
            "reason": self.reason,
            "dropped": _counts_to_json(self.dropped),
            "noted": _counts_to_json(self.noted),
            **({"tune": self.tune} if self.tune else {}),
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "SourceRow":
        """The row that `to_json` wrote."""
        counts = {name: _counts_from_json(saved[name]) for name in ("dropped", "noted")}
        return cls(**saved | counts)


def _counts_to_json(counts: Dropped) -> list[dict[str, Any]]:
    return [{**vars(reason), "count": count} for reason, count in counts.most_common()]


def _counts_from_json(saved: list[dict[str, Any]]) -> Dropped:
    reasons = [Reason(row["unit"], row["text"], row["remedy"]) for row in saved]
    return Dropped(dict(zip(reasons, [row["count"] for row in saved], strict=True)))


@dataclass(frozen=True, eq=False)
class Split:
    """The sequences of one split."""

    tokens: NDArray[Any]  # (steps, C) of the whole corpus
    offsets: NDArray[np.int64]  # (sequences of this split + 1,)
    labels: NDArray[np.float32] | None = None  # (sequences of this split,)

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Steps of each sequence."""
        return np.diff(self.offsets)

    def lengths_of(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Steps of some sequences; the others are not looked at."""
        chosen = np.asarray(indices, np.int64)
        return self.offsets[chosen + 1] - self.offsets[chosen]

    def __getitem__(self, index: int) -> Ids:
        """The tokens (T, C) of one sequence."""
        return self.tokens[self.offsets[index] : self.offsets[index + 1]].astype(np.int64)

    def padded(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """The tokens (B, T, C) of several sequences, padded with zeros to the longest."""
        starts, lengths = self.offsets[np.asarray(indices)], self.lengths_of(indices)
        steps = np.arange(lengths.max())
        inside = steps < lengths[:, None]
        ids = self.tokens[np.where(inside, starts[:, None] + steps, starts[:, None])]
        return np.where(inside[..., None], ids, 0).astype(np.int64)


class Corpus:
    """A prepared corpus, opened for reading."""

    def __init__(self, folder: Path) -> None:
        """Open the files.

        Raises:
            InputError: the folder holds no prepared corpus, or one of its files is damaged.
        """
        self.folder = folder
        if not (folder / ABOUT).is_file():
            raise InputError(f"{folder}: no prepared corpus (corpus.json is missing)")
        about = read_json(
            folder / ABOUT, AGAIN, num_sequences=dict[str, int], num_leaked=dict[str, int],
            fingerprint=str, deduped=bool,
        )  # fmt: skip
        self.num_sequences: dict[str, int] = about["num_sequences"]
        self.fingerprint: str = about["fingerprint"]
        self.num_leaked: dict[str, int] = about["num_leaked"]
        self.deduped: bool = about["deduped"]
        self.label: str | None = about.get("label")
        self.tokenizer = load_tokenizer(folder)
        with door(folder / ABOUT, AGAIN):
            counts = [self.num_sequences[name] for name in SPLITS]
            if min(*counts, *(self.num_leaked[name] for name in SPLITS)) < 0:
                raise ValueError("a number of sequences is below 0")
        with door(folder / "offsets.npy", AGAIN):
            offsets = _read_offsets(folder / "offsets.npy", sum(counts), self.tokenizer)
        with door(folder / "tokens.npy", AGAIN):
            tokens = _read_tokens(folder / "tokens.npy", int(offsets[-1]), self.tokenizer)
        labels = None
        if self.label is not None:
            with door(folder / LABELS, AGAIN):
                labels = _read_labels(folder / LABELS, sum(counts))
        ends = np.cumsum([0, *counts])
        self.splits = {
            name: Split(
                tokens,
                offsets[ends[i] : ends[i + 1] + 1],
                None if labels is None else labels[ends[i] : ends[i + 1]],
            )
            for i, name in enumerate(SPLITS)
        }

    def manifest(self) -> list[SourceRow]:
        """The rows of all sources.

        Raises:
            InputError: the file is damaged.
        """
        with door(self.folder / MANIFEST, AGAIN):
            lines = (self.folder / MANIFEST).read_text(encoding="utf-8").splitlines()
            return [SourceRow.from_json(json.loads(line)) for line in lines]


def _read_array(file: Path, *shape: int) -> NDArray[Any]:
    """An array of this shape, as a memory map: a header alone asks for no memory."""
    array = np.load(file, mmap_mode="r")
    if not isinstance(array, np.ndarray) or array.shape != shape:
        raise ValueError(f"shape {getattr(array, 'shape', None)}, not {shape}")
    return array


def _parts(file: Path, num_rows: int, overlap: int = 0) -> Iterator[NDArray[Any]]:
    """The rows of an array, some at a time; each part leaves memory before the next is read."""
    for start in range(0, num_rows, ROWS_CHECKED):
        yield np.load(file, mmap_mode="r")[start : start + ROWS_CHECKED + overlap]


def _read_offsets(file: Path, num_sequences: int, tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Offsets that cut into sequences as the tokenizer makes them."""
    offsets = np.asarray(_read_array(file, num_sequences + 1))
    longest = tokenizer.max_steps
    lengths = map(np.diff, _parts(file, num_sequences, overlap=1))
    wrong = any(((part < 1) | (part > longest)).any() for part in lengths)
    if offsets.dtype != np.int64 or offsets[0] or wrong:
        raise ValueError(f"they do not cut into sequences of 1 to {longest} steps")
    return offsets


def _read_tokens(file: Path, num_steps: int, tokenizer: Tokenizer) -> NDArray[Any]:
    """Tokens that the tokenizer has; each is read once, which is how they are trained on, too."""
    sizes = tokenizer.vocab_sizes + tokenizer.condition_sizes
    tokens = _read_array(file, num_steps, len(sizes))
    if tokens.dtype != tokenizer.token_type:
        raise ValueError(f"numbers of type {tokens.dtype}, not {tokenizer.token_type}")
    for part in _parts(file, num_steps):
        largest = part.max(0)
        if (largest >= sizes).any():
            raise ValueError(f"tokens up to {largest.tolist()} of vocabularies of {[*sizes]}")
    return tokens


def _read_labels(file: Path, num_sequences: int) -> NDArray[np.float32]:
    labels = np.asarray(_read_array(file, num_sequences))
    finite = all(np.isfinite(part).all() for part in _parts(file, num_sequences))
    if labels.dtype != np.float32 or not finite:
        raise ValueError("a label is no finite number")
    return labels


def write_manifest(manifest: Iterable[SourceRow], file: Path) -> None:
    """Write a line per source."""
    write_file(file, "".join(json.dumps(row.to_json()) + "\n" for row in manifest))
