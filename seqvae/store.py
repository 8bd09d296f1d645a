"""Prepared corpora on disk: memory-mapped tokens, offsets and a manifest.

A corpus is a folder:
    tokens.npy      (steps of all sequences, C), the smallest unsigned type that fits
    offsets.npy     (sequences + 1,): sequence i is tokens[offsets[i]:offsets[i + 1]]
    corpus.json     sequences of each split, in file order, and the fingerprint of what made it
    tokenizer.json  the tokenizer
    manifest.jsonl  a row a source: what was taken from it, or why nothing was
It is written beside its place and renamed, so that no half corpus is ever left.
"""

import contextlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.tokenizers import AnyTokenizer, load_tokenizer, save_tokenizer
from seqvae.tokenizers.contract import Ids

SPLITS = ("train", "valid", "test")
ABOUT = "corpus.json"


@dataclass(frozen=True)
class SourceRow:
    """What one source gave."""

    source: str
    taken: dict[str, int] = field(default_factory=dict)
    """Sequences of each split."""
    reason: str | None = None
    """Why nothing was taken, where nothing was."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Sequences left out, by reason."""


@dataclass(frozen=True, eq=False)
class Split:
    """The sequences of one split."""

    tokens: NDArray[Any]  # (steps, C) of the whole corpus
    offsets: NDArray[np.int64]  # (sequences of this split + 1,)

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
            InputError: the folder is no prepared corpus, or one of its files is damaged.
        """
        self.folder = folder
        if not (folder / ABOUT).is_file():
            raise InputError(f"{folder}: no prepared corpus (corpus.json is missing)")
        try:
            about = json.loads((folder / ABOUT).read_text())
            tokens = np.load(folder / "tokens.npy", mmap_mode="r")
            offsets = np.load(folder / "offsets.npy")
            self.num_sequences: dict[str, int] = about["num_sequences"]
            self.fingerprint: str = about["fingerprint"]
            self.num_leaked: dict[str, int] = about["num_leaked"]
            self.deduped: bool = about["deduped"]
            ends = np.cumsum([0, *(self.num_sequences[name] for name in SPLITS)])
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise InputError(f"{folder}: damaged corpus ({error}); prepare it again") from error
        self.tokenizer = load_tokenizer(folder)
        self.splits = {
            name: Split(tokens, offsets[ends[i] : ends[i + 1] + 1]) for i, name in enumerate(SPLITS)
        }

    def manifest(self) -> list[SourceRow]:
        """The rows of all sources."""
        try:
            lines = (self.folder / "manifest.jsonl").read_text().splitlines()
            return [SourceRow(**json.loads(line)) for line in lines]
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{self.folder}: damaged manifest ({error})") from error


def write_corpus(
    folder: Path,
    *,
    sequences: dict[str, list[Ids]],
    tokenizer: AnyTokenizer,
    manifest: list[SourceRow],
    fingerprint: str,
    num_leaked: dict[str, int],
    deduped: bool,
) -> None:
    """Write a corpus in one stroke."""
    ordered = [ids for name in SPLITS for ids in sequences[name]]
    dtype = np.min_scalar_type(max(tokenizer.vocab_sizes) - 1)
    about = {
        "num_sequences": {name: len(sequences[name]) for name in SPLITS},
        "num_leaked": num_leaked,
        "deduped": deduped,
        "fingerprint": fingerprint,
    }
    with replaced_folder(folder) as beside:
        np.save(beside / "tokens.npy", np.concatenate(ordered).astype(dtype))
        np.save(beside / "offsets.npy", np.cumsum([0, *map(len, ordered)], dtype=np.int64))
        save_tokenizer(tokenizer, beside)
        rows = "".join(json.dumps(asdict(row)) + "\n" for row in manifest)
        (beside / "manifest.jsonl").write_text(rows)
        (beside / ABOUT).write_text(json.dumps(about, indent=2) + "\n")


@contextlib.contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder` that takes its place when the block ends without an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    beside.chmod(0o755)
    old = beside.with_name(f"{beside.name}.old")
    try:
        yield beside
        if folder.exists():
            folder.rename(old)
        beside.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def drop_leaks(
    sequences: dict[str, list[Ids]], *, drop: bool
) -> tuple[dict[str, list[Ids]], dict[str, int]]:
    """Count the sequences that stand verbatim in an earlier split, and drop them on request.

    The order is train, valid, test: training data stay whole, held-out data become unseen.
    """
    seen: set[bytes] = set()
    leaked: Counter[str] = Counter()
    kept: dict[str, list[Ids]] = {}
    for name in SPLITS:
        keys = [ids.tobytes() for ids in sequences[name]]
        known = [key in seen for key in keys]
        leaked[name] = sum(known)
        kept[name] = [
            ids for ids, old in zip(sequences[name], known, strict=True) if not (drop and old)
        ]
        seen.update(keys)
    return kept, dict(leaked)
