"""Sources on disk: which files there are, the split of each, and a fingerprint of all."""

import csv
import glob
import hashlib
import json
from functools import cache
from itertools import takewhile
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
    """The files of each split that the user names, or of "source" where none is named.

    Raises:
        InputError: there are no data, or a place holds none.
    """
    if data.table is not None:
        return read_table(Path(data.table).expanduser())
    if data.train is not None:
        places = {"train": data.train, "valid": data.valid, "test": data.test}
        return {split: _expand(place or "", tokenizer) for split, place in places.items()}
    if data.source is None:
        raise InputError(
            "no data: give data.source, data.table, or data.train, data.valid and data.test"
        )
    sources = [data.source] if isinstance(data.source, str) else data.source
    paths = [path for place in sources for path in _expand(place, tokenizer)]
    return {"source": list(dict.fromkeys(paths))}


def _expand(place: str, tokenizer: AnyTokenizer) -> list[Path]:
    """The files of a folder, a file, or a glob."""
    path = Path(place).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        if tokenizer.modality == "music":
            files, kind, suffixes = find_midi(path), "MIDI", MIDI_SUFFIXES
        else:
            named = (p for p in path.rglob("*") if p.suffix.lower() in TEXT_SUFFIXES)
            files = sorted(p for p in named if p.is_file())
            kind, suffixes = "text", TEXT_SUFFIXES
        if not files:
            known = ", ".join(sorted(suffixes))
            raise InputError(f"{place}: the folder holds no {kind} files (named {known})")
        return files
    files = sorted(Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file())
    if not files:
        raise InputError(f"{place}: no such file or folder, and no file matches it as a glob")
    return files


def read_table(file: Path) -> dict[str, list[Path]]:
    """The files of each split, by the columns `midi_filename` and `split` of a CSV file.

    Raises:
        InputError: it cannot be read, a column is missing, or a row names an unknown split.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:  # Excel begins with a BOM
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
                f"choose one of {', '.join(SPLIT_NAMES)}"
            )
        sources[split].append(file.parent / row["midi_filename"])
    return sources


def assign_splits(num_items: int, data: DataConfig) -> list[str]:
    """A random split for each item. Of three items or more, each split has at least one."""
    if num_items < 3:
        return ["train"] * num_items
    order = np.random.default_rng(data.split_seed).permutation(num_items)
    num_valid = min(max(1, round(num_items * data.valid_share)), num_items - 2)
    num_test = min(max(1, round(num_items * data.test_share)), num_items - 1 - num_valid)
    splits = np.full(num_items, "train", dtype=object)
    splits[order[:num_valid]] = "valid"
    splits[order[num_valid : num_valid + num_test]] = "test"
    return list(splits)


def fingerprint_of(data: DataConfig, sources: dict[str, list[Path]]) -> str:
    """A digest of everything that the tokens of a corpus depend on.

    Files count by their bytes, their order and their names within the folder that holds them all,
    not by where that folder lies or when they were written.
    """
    about: dict[str, Any] = {
        "tokenizer": data.tokenizer,
        "split": [data.valid_share, data.test_share, data.split_seed, data.dedupe],
        "sources": {
            split: list(zip(_names(paths), map(_digest, paths), strict=True))
            for split, paths in sources.items()
        },
    }
    paths = [path for group in sources.values() for path in group]
    for name, pattern in (("beats", data.beats), ("chords", data.chords)):
        if pattern is not None:
            about[name] = [_digest(file_beside(path, pattern)) for path in paths]
    return hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=16).hexdigest()


def _names(paths: list[Path]) -> list[str]:
    """The names of files within the deepest folder that holds them all."""
    parts = [path.absolute().parts for path in paths]
    levels = zip(*(folders[:-1] for folders in parts), strict=False)
    depth = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    return ["/".join(names[depth:]) for names in parts]


def _digest(file: Path) -> str:
    """A digest of the bytes: times change when data are copied or checked out."""
    try:
        now = file.stat()
        return _digest_now(file, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
    except OSError:
        return "unreadable"  # reading it for its sequences will say why


@cache
def _digest_now(file: Path, *_: int) -> str:
    """The digest of a file as it is now; a resumed run asks twice."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "blake2b").hexdigest()
