"""Sources on disk: which files there are, the split of each, and a fingerprint of all."""

import csv
import glob
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from seqvae.corpus.config import DataConfig
from seqvae.corpus.store import SPLITS
from seqvae.errors import InputError
from seqvae.music.beats import file_beside
from seqvae.music.midi import MIDI_SUFFIXES, find_midi
from seqvae.tokenizers import AnyTokenizer

SPLIT_NAMES = {"train": "train", "validation": "valid", "valid": "valid", "test": "test"}
TEXT_SUFFIXES = frozenset({".txt", ".text", ".tsv", ".md"})


def find_sources(data: DataConfig, tokenizer: AnyTokenizer) -> dict[str, list[Path]]:
    """The files of each given split, or of "source" where none is given."""
    if data.table is not None:
        return read_table(Path(data.table).expanduser())
    if data.train is not None:
        given = {"train": data.train, "valid": data.valid, "test": data.test}
        return {name: _expand(place or "", tokenizer) for name, place in given.items()}
    if data.source is None:
        raise InputError(
            "no data: give data.source, data.table, or data.train, data.valid and data.test"
        )
    places = [data.source] if isinstance(data.source, str) else data.source
    found = [path for place in places for path in _expand(place, tokenizer)]
    return {"source": list(dict.fromkeys(found))}


def _expand(place: str, tokenizer: AnyTokenizer) -> list[Path]:
    """The files that a folder, a file or a glob names."""
    path = Path(place).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        if tokenizer.modality == "music":
            found, kind, suffixes = find_midi(path), "MIDI", MIDI_SUFFIXES
        else:
            named = (p for p in path.rglob("*") if p.suffix.lower() in TEXT_SUFFIXES)
            found = sorted(p for p in named if p.is_file())
            kind, suffixes = "text", TEXT_SUFFIXES
        if not found:
            known = ", ".join(sorted(suffixes))
            raise InputError(f"{place}: the folder holds no {kind} files (named {known})")
        return found
    found = sorted(Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file())
    if not found:
        raise InputError(f"{place}: no such file or folder, and no file matches it as a glob")
    return found


def read_table(file: Path) -> dict[str, list[Path]]:
    """The files of each split, by the columns `midi_filename` and `split` of a CSV file.

    Raises:
        InputError: it cannot be read, a column is missing, or a row names an unknown split.
    """
    try:
        with file.open(newline="", encoding="utf-8") as opened:
            rows = list(csv.DictReader(opened))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file}: cannot be read as a CSV file ({error})") from error
    sources: dict[str, list[Path]] = {name: [] for name in SPLITS}
    for number, row in enumerate(rows, start=2):
        for column in ("midi_filename", "split"):
            if not row.get(column):
                raise InputError(f"{file}: line {number} has no {column}")
        split = SPLIT_NAMES.get(row["split"])
        if split is None:
            raise InputError(
                f"{file}: line {number} has the split {row['split']!r}; "
                f"there are {', '.join(SPLIT_NAMES)}"
            )
        sources[split].append(file.parent / row["midi_filename"])
    return sources


def fingerprint_of(data: DataConfig, sources: dict[str, list[Path]]) -> str:
    """A digest of everything that the corpus depends on."""
    about: dict[str, Any] = {
        "tokenizer": data.tokenizer,
        "split": [data.valid_share, data.test_share, data.split_seed, data.dedupe],
        "sources": {
            name: [(str(path), _digest(path)) for path in paths] for name, paths in sources.items()
        },
    }
    paths = [path for group in sources.values() for path in group]
    for name, pattern in (("beats", data.beats), ("chords", data.chords)):
        if pattern is not None:
            about[name] = [_digest(file_beside(path, pattern)) for path in paths]
    return hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=16).hexdigest()


def _digest(file: Path) -> str:
    """Of the bytes: times change when data are copied or checked out, and mean nothing."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "blake2b").hexdigest()
    except OSError:
        return "unreadable"  # reading it for its sequences will say why


def assign_splits(num_items: int, data: DataConfig) -> list[str]:
    """A split for each item, seeded; each held-out split has at least one of three or more."""
    if num_items < 3:
        return ["train"] * num_items
    order = np.random.default_rng(data.split_seed).permutation(num_items)
    num_valid = min(max(1, round(num_items * data.valid_share)), num_items - 2)
    num_test = min(max(1, round(num_items * data.test_share)), num_items - 1 - num_valid)
    splits = np.full(num_items, "train", dtype=object)
    splits[order[:num_valid]] = "valid"
    splits[order[num_valid : num_valid + num_test]] = "test"
    return list(splits)
