"""A corpus in the making: sequences on disk as they come, then the files of a corpus.

All that is known of a sequence goes to disk at once, and comes back a part at a time, so that
memory does not grow with the number of sequences.

Axes: C channels.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seqvae.corpus.store import (
    ABOUT,
    LABELS,
    MANIFEST,
    SPLITS,
    SourceRow,
    write_manifest,
)
from seqvae.disk import naming, write_file
from seqvae.errors import InputError
from seqvae.tokenizers import AnyTokenizer, save_tokenizer
from seqvae.tokenizers.contract import Tokenizer

STEPS_WAITING = 2**16  # that are in memory at most before they are written
CHUNK = 4096  # sequences that are copied together
MAX_COMPARED = 2**21  # sequences whose digests are in memory at a time
COLUMNS = {"starts": "<i8", "lengths": "<i8", "digests": "<u8", "labels": "<f4"}
"""What is known of each sequence: the step it starts at, and so on."""

Numbers: TypeAlias = range | NDArray[np.int64]  # of sequences in a spool


@dataclass(frozen=True, eq=False)
class Packed:
    """Sequences one after the other, as they go to a spool."""

    tokens: NDArray[Any]  # (steps of all, C)
    lengths: NDArray[np.int64]  # (sequences,)
    digests: NDArray[np.uint64]  # (sequences,)
    labels: NDArray[np.float32]  # (sequences,), or (0,) where there are none


def pack(
    tokens: NDArray[Any],
    lengths: NDArray[np.int64],
    labels: Sequence[float] | NDArray[np.float32] = (),
) -> Packed:
    """Sequences whose steps (steps, C) stand one after the other, with a digest of each."""
    raw, width = tokens.tobytes(), tokens[:1].nbytes
    begin, digests = 0, []
    for end in (np.cumsum(lengths) * width).tolist():
        digests.append(hashlib.blake2b(raw[begin:end], digest_size=8).digest())
        begin = end
    known = np.frombuffer(b"".join(digests), COLUMNS["digests"])
    return Packed(tokens, lengths, known, np.array(labels, np.float32))


def pack_sequences(sequences: Sequence[NDArray[Any]], tokenizer: Tokenizer) -> Packed:
    """Sequences (T, C), as the spool of a tokenizer takes them."""
    width = len(tokenizer.vocab_sizes) + len(tokenizer.condition_sizes)
    tokens = np.concatenate(
        [np.empty((0, width), tokenizer.token_type), *sequences], dtype=tokenizer.token_type,
        casting="unsafe",
    )  # fmt: skip
    return pack(tokens, np.array([*map(len, sequences)], np.int64))


class Spool:
    """Sequences on disk, numbered in the order of arrival."""

    def __init__(self, folder: Path, tokenizer: AnyTokenizer, name: str = "spool") -> None:
        """Write to files in `folder` whose names begin with `name`; `remove` ends them."""
        self.tokenizer, self.token_type = tokenizer, tokenizer.token_type
        self.width = len(tokenizer.vocab_sizes) + len(tokenizer.condition_sizes)
        self._file, self._num_sequences, self._num_steps = folder / name, 0, 0
        self._waiting: list[Packed] = []
        self.remove()  # one before it, which was given up

    def __len__(self) -> int:
        """Number of sequences."""
        return self._num_sequences

    def add(self, sequences: Sequence[NDArray[Any]]) -> range:
        """Append sequences (T, C); returns their numbers."""
        return self.add_packed(pack_sequences(sequences, self.tokenizer))

    def add_packed(self, packed: Packed) -> range:
        """Append sequences of the type of this spool; returns their numbers."""
        first = self._num_sequences
        self._num_sequences += len(packed.lengths)
        self._num_waiting += len(packed.tokens)
        self._waiting.append(packed)
        if self._num_waiting > STEPS_WAITING:
            self._write()
        return range(first, self._num_sequences)

    def _write(self) -> None:
        """Write what waits: many small additions at once."""
        waiting, self._waiting, self._num_waiting = self._waiting, [], 0
        if not waiting:
            return
        columns = {
            name: np.concatenate([vars(packed)[name] for packed in waiting])
            for name in ("tokens", "lengths", "digests", "labels")
        }
        lengths = columns["lengths"]
        columns["starts"] = self._num_steps + np.cumsum(lengths) - lengths
        self._num_steps += len(columns["tokens"])
        for name, part in columns.items():
            if len(part):
                with naming(self._place(name)), self._place(name).open("ab") as writer:
                    writer.write(part.tobytes())

    def column(self, name: str, numbers: Numbers) -> NDArray[Any]:
        """What is known of these sequences, by a name of `COLUMNS`."""
        if not len(numbers):
            return np.empty(0, COLUMNS[name])
        chosen = slice(numbers.start, numbers.stop) if isinstance(numbers, range) else numbers
        return np.array(self._mapped(name, COLUMNS[name])[chosen])

    def tokens(self, numbers: Numbers) -> NDArray[Any]:
        """The steps of these sequences, one after the other: (steps, C)."""
        if not len(numbers):
            return np.empty((0, self.width), self.token_type)
        starts, lengths = self.column("starts", numbers), self.column("lengths", numbers)
        mapped = self._mapped("tokens", self.token_type).reshape(-1, self.width)
        if isinstance(numbers, range):
            return np.array(mapped[starts[0] : starts[-1] + lengths[-1]])
        moves = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
        return np.array(mapped[moves + np.arange(len(moves))])

    def remove(self) -> None:
        """Remove the files."""
        self._waiting, self._num_waiting = [], 0
        for name in ("tokens", *COLUMNS):
            self._place(name).unlink(missing_ok=True)

    def _mapped(self, name: str, dtype: Any) -> NDArray[Any]:
        """A map of its own for each use: what it has read leaves memory with it."""
        self._write()
        return np.memmap(self._place(name), dtype, "r")

    def _place(self, name: str) -> Path:
        return self._file.with_name(f"{self._file.name}.{name}")


@dataclass(frozen=True, eq=False)
class Chosen:
    """Sequences of a spool, in the order in which a corpus keeps them."""

    spool: Spool
    numbers: Numbers

    def __len__(self) -> int:
        """How many they are."""
        return len(self.numbers)

    def chunks(self) -> Iterator[Numbers]:
        """The numbers, some at a time."""
        return (self.numbers[start : start + CHUNK] for start in range(0, len(self), CHUNK))

    def column(self, name: str) -> Iterator[NDArray[Any]]:
        """What is known of them, some at a time."""
        return (self.spool.column(name, numbers) for numbers in self.chunks())

    def tokens(self) -> Iterator[NDArray[Any]]:
        """Their steps, some at a time."""
        return map(self.spool.tokens, self.chunks())


Prepared: TypeAlias = tuple[dict[str, Chosen], list[SourceRow]]
"""What `prepare_texts` and `prepare_scores` make: the splits and the manifest."""


class Unusable(InputError):
    """Sources that make no corpus, with a manifest of what became of each."""

    def __init__(self, message: str, manifest: list[SourceRow]) -> None:
        super().__init__(message)
        self.manifest = [
            row if row.reason or row.taken else replace(row, reason=message) for row in manifest
        ]


def drop_leaks(
    splits: dict[str, Chosen], *, drop: bool
) -> tuple[dict[str, Chosen], dict[str, int]]:
    """Count the sequences that stand verbatim in an earlier split, and drop them on request.

    The order is train, valid, test: training data stay whole, held-out data become unseen.
    Digests are compared in groups by their first bits, no more than some `MAX_COMPARED` at a time.
    """
    leaked = {name: np.zeros(len(splits[name]), np.bool_) for name in SPLITS[1:]}
    num_groups = -(-sum(map(len, splits.values())) // MAX_COMPARED)
    for group in range(num_groups):
        earlier = np.sort(_digests_of_group(splits["train"], group, num_groups)[1])
        for name, found in leaked.items():
            places, digests = _digests_of_group(splits[name], group, num_groups)
            nearest = np.searchsorted(earlier, digests).clip(max=len(earlier) - 1)
            found[places] = earlier[nearest] == digests if len(earlier) else False
            earlier = np.sort(np.concatenate([earlier, digests]))
    kept = dict(splits)
    for name, found in leaked.items():
        if drop and found.any():
            kept[name] = replace(kept[name], numbers=np.asarray(kept[name].numbers)[~found])
    return kept, {"train": 0} | {name: int(found.sum()) for name, found in leaked.items()}


def _digests_of_group(
    chosen: Chosen, group: int, num_groups: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """The places and digests of the sequences that belong to a group, whatever their split."""
    begin, places, found = 0, [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    for digests in chosen.column("digests"):
        inside = np.flatnonzero(digests % np.uint64(num_groups) == group)
        places.append(begin + inside)
        found.append(digests[inside])
        begin += len(digests)
    return np.concatenate(places), np.concatenate(found)


def write_corpus(
    folder: Path,
    *,
    splits: dict[str, Chosen],
    manifest: list[SourceRow],
    fingerprint: str,
    num_leaked: dict[str, int],
    deduped: bool,
    label: str | None = None,
) -> None:
    """Write a corpus into a folder, and remove the spools of its splits."""
    parts = [splits[name] for name in SPLITS]
    num_sequences, spool = sum(map(len, parts)), parts[0].spool
    num_steps = sum(int(lengths.sum()) for part in parts for lengths in part.column("lengths"))
    offsets = _offsets(lengths for part in parts for lengths in part.column("lengths"))
    _write_array(folder / "offsets.npy", "<i8", (num_sequences + 1,), offsets)
    tokens = (steps for part in parts for steps in part.tokens())
    _write_array(folder / "tokens.npy", spool.token_type, (num_steps, spool.width), tokens)
    if label is not None:
        labels = (values for part in parts for values in part.column("labels"))
        _write_array(folder / LABELS, COLUMNS["labels"], (num_sequences,), labels)
    for part in parts:
        part.spool.remove()
    save_tokenizer(spool.tokenizer, folder)
    write_manifest(manifest, folder / MANIFEST)
    about = {
        "num_sequences": {name: len(splits[name]) for name in SPLITS},
        "num_leaked": num_leaked,
        "deduped": deduped,
        "fingerprint": fingerprint,
        "label": label,
    }
    write_file(folder / ABOUT, json.dumps(about, indent=2) + "\n")


def _offsets(lengths: Iterable[NDArray[np.int64]]) -> Iterator[NDArray[np.int64]]:
    """0, and where each sequence ends, some at a time."""
    last = np.zeros(1, np.int64)
    yield last
    for part in lengths:
        ends = last + np.cumsum(part)
        yield ends
        last = ends[-1:]


def _write_array(
    file: Path, dtype: Any, shape: tuple[int, ...], parts: Iterable[NDArray[Any]]
) -> None:
    """Write an array that comes in parts.

    It is written, not mapped: where the disk is full, writing to a map kills the process.
    """
    about = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False,
        "shape": shape,
    }  # fmt: skip
    with naming(file), file.open("wb") as writer:
        np.lib.format.write_array_header_1_0(writer, about)
        for part in parts:
            writer.write(part.astype(dtype, copy=False).tobytes())
