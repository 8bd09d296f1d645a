"""Prepared corpora on disk: memory-mapped tokens, offsets and a manifest.

A corpus is a folder:
    tokens.npy      (steps of all sequences, C), the smallest unsigned type that fits
    offsets.npy     (sequences + 1,): sequence i is tokens[offsets[i]:offsets[i + 1]]
    labels.npy      (sequences,), if the settings name a column of labels
    corpus.json     number of sequences of each split, in file order, and a fingerprint of the data
    tokenizer.json  the tokenizer
    manifest.jsonl  a row per source: what was taken from it, or why nothing was
While a corpus is made, tokens go to disk as they come (`Spool`); memory holds a few bytes per
sequence.
"""

import hashlib
import json
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seqvae.disk import door, naming, read_json, write_file
from seqvae.errors import InputError
from seqvae.reasons import Dropped, Reason
from seqvae.tokenizers import AnyTokenizer, load_tokenizer, save_tokenizer
from seqvae.tokenizers.contract import Ids, Tokenizer

SPLITS = ("train", "valid", "test")
ABOUT = "corpus.json"
MANIFEST = "manifest.jsonl"
LABELS = "labels.npy"
AGAIN = "prepare the corpus again"
SPOOL_CHUNK = 4096  # sequences that are copied together

Numbers: TypeAlias = NDArray[np.int64]  # of sequences in a spool


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

    def to_json(self) -> dict[str, Any]:
        """A line of the manifest."""
        return {
            "source": self.source,
            "taken": self.taken,
            "reason": self.reason,
            "dropped": _counts_to_json(self.dropped),
            "noted": _counts_to_json(self.noted),
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "SourceRow":
        """The row that `to_json` wrote."""
        counts = {name: _counts_from_json(saved[name]) for name in ("dropped", "noted")}
        return cls(**saved | counts)


def _counts_to_json(counts: Dropped) -> list[dict[str, Any]]:
    return [{**asdict(reason), "count": count} for reason, count in counts.most_common()]


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

    def __getitem__(self, index: int) -> Ids:
        """The tokens (T, C) of one sequence."""
        return self.tokens[self.offsets[index] : self.offsets[index + 1]].astype(np.int64)

    def padded(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """The tokens (B, T, C) of several sequences, padded with zeros to the longest."""
        chosen = np.asarray(indices)
        starts, lengths = self.offsets[chosen], self.lengths[chosen]
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


def _read_offsets(file: Path, num_sequences: int, tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Offsets that cut into sequences as the tokenizer makes them."""
    offsets: NDArray[np.int64] = np.array(_read_array(file, num_sequences + 1))
    lengths = np.diff(offsets)
    longest = tokenizer.max_steps
    if offsets.dtype != np.int64 or offsets[0] or ((lengths < 1) | (lengths > longest)).any():
        raise ValueError(f"they do not cut into sequences of 1 to {longest} steps")
    return offsets


def _read_tokens(file: Path, num_steps: int, tokenizer: Tokenizer) -> NDArray[Any]:
    """Tokens that the tokenizer has; each is read once, which is how they are trained on, too."""
    sizes = tokenizer.vocab_sizes + tokenizer.condition_sizes
    tokens = _read_array(file, num_steps, len(sizes))
    if tokens.dtype != token_type(tokenizer):
        raise ValueError(f"numbers of type {tokens.dtype}, not {token_type(tokenizer)}")
    largest = tokens.max(0, initial=0)
    if (largest >= sizes).any():
        raise ValueError(f"tokens up to {largest.tolist()} of vocabularies of {[*sizes]}")
    return tokens


def _read_labels(file: Path, num_sequences: int) -> NDArray[np.float32]:
    labels: NDArray[np.float32] = np.array(_read_array(file, num_sequences))
    if labels.dtype != np.float32 or not np.isfinite(labels).all():
        raise ValueError("a label is no finite number")
    return labels


def token_type(tokenizer: Tokenizer) -> np.dtype[Any]:
    """The smallest unsigned type that holds the tokens of all channels."""
    return np.dtype(np.min_scalar_type(max(tokenizer.vocab_sizes + tokenizer.condition_sizes) - 1))


class Spool:
    """Sequences of a corpus in the making: a file of tokens, numbered in the order of arrival."""

    def __init__(self, folder: Path, tokenizer: AnyTokenizer) -> None:
        """Write to a file in `folder`; `take` removes it."""
        self.tokenizer, self.file = tokenizer, folder / "spool"
        self.file.write_bytes(b"")
        self.labels = array("f")
        """Of the sequences, if they have any."""
        self._lengths, self._digests = array("q"), array("Q")

    def add(self, sequences: Iterable[NDArray[Any]]) -> range:
        """Append sequences (T, C); returns their numbers."""
        first, dtype = len(self._lengths), token_type(self.tokenizer)
        with naming(self.file), self.file.open("ab") as writer:
            for ids in sequences:
                raw = ids.astype(dtype, copy=False).tobytes()
                writer.write(raw)
                self._lengths.append(len(ids))
                digest = hashlib.blake2b(raw, digest_size=8).digest()
                self._digests.append(int.from_bytes(digest, "little"))
        return range(first, len(self._lengths))

    @property
    def digests(self) -> NDArray[np.uint64]:
        """A fingerprint of each sequence."""
        return np.array(self._digests, np.uint64)

    def take(self, numbers: Numbers, folder: Path) -> None:
        """Write `tokens.npy` and `offsets.npy` of these sequences, in this order; end the spool."""
        lengths = np.array(self._lengths, np.int64)
        starts = (np.cumsum(lengths) - lengths)[numbers]
        lengths = lengths[numbers]
        offsets = np.append(0, np.cumsum(lengths))
        with naming(folder / "offsets.npy"):
            np.save(folder / "offsets.npy", offsets)
        dtype = token_type(self.tokenizer)
        width = len(self.tokenizer.vocab_sizes) + len(self.tokenizer.condition_sizes)
        source = np.memmap(self.file, dtype, "r").reshape(-1, width)
        about = {
            "descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False,
            "shape": (int(offsets[-1]), width),
        }  # fmt: skip
        # Written, not mapped: where the disk is full, writing to a map kills the process.
        with naming(folder / "tokens.npy"), (folder / "tokens.npy").open("wb") as writer:
            np.lib.format.write_array_header_1_0(writer, about)
            for i in range(0, len(numbers), SPOOL_CHUNK):
                begin, chunk = offsets[i], slice(i, i + SPOOL_CHUNK)
                end = begin + lengths[chunk].sum()
                moves = np.repeat(starts[chunk] - offsets[:-1][chunk], lengths[chunk])
                writer.write(source[moves + np.arange(begin, end)].tobytes())
        self.file.unlink()


Prepared: TypeAlias = tuple[Spool, dict[str, Numbers], list[SourceRow]]
"""What `prepare_texts` and `prepare_scores` make: all sequences, the splits, the manifest."""


def write_corpus(
    folder: Path,
    *,
    spool: Spool,
    splits: dict[str, Numbers],
    manifest: list[SourceRow],
    fingerprint: str,
    num_leaked: dict[str, int],
    deduped: bool,
    label: str | None = None,
) -> None:
    """Write a corpus into a folder: the sequences of the spool whose numbers are in `splits`."""
    about = {
        "num_sequences": {name: len(splits[name]) for name in SPLITS},
        "num_leaked": num_leaked,
        "deduped": deduped,
        "fingerprint": fingerprint,
        "label": label,
    }
    numbers = np.concatenate([splits[name] for name in SPLITS])
    spool.take(numbers, folder)
    if label is not None:
        with naming(folder / LABELS):
            np.save(folder / LABELS, np.array(spool.labels, np.float32)[numbers])
    save_tokenizer(spool.tokenizer, folder)
    write_manifest(manifest, folder / MANIFEST)
    write_file(folder / ABOUT, json.dumps(about, indent=2) + "\n")


def write_manifest(manifest: Iterable[SourceRow], file: Path) -> None:
    """Write a line per source."""
    write_file(file, "".join(json.dumps(row.to_json()) + "\n" for row in manifest))


def drop_leaks(
    digests: NDArray[np.uint64], splits: dict[str, Numbers], *, drop: bool
) -> tuple[dict[str, Numbers], dict[str, int]]:
    """Count the sequences that stand verbatim in an earlier split, and drop them on request.

    The order is train, valid, test: training data stay whole, held-out data become unseen.
    """
    earlier = np.empty(0, np.uint64)
    num_leaked: dict[str, int] = {}
    kept: dict[str, Numbers] = {}
    for split in SPLITS:
        of_split = digests[splits[split]]
        leaked = np.isin(of_split, earlier)
        num_leaked[split] = int(leaked.sum())
        kept[split] = splits[split][~leaked] if drop else splits[split]
        earlier = np.concatenate([earlier, of_split])
    return kept, num_leaked
