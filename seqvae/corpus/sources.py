"""Sources on disk: which files there are, the split of each, and a fingerprint of all."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from seqvae.corpus.config import DataConfig
from seqvae.corpus.digests import Digests
from seqvae.corpus.encodings import COMPRESSED_SUFFIXES
from seqvae.corpus.store import SPLITS
from seqvae.corpus.tables import TABLE_SUFFIXES, is_table, open_table
from seqvae.corpus.vocabulary import tokenizer_of
from seqvae.errors import InputError
from seqvae.files import Found, expanded, find_files
from seqvae.music.beat_files import file_beside
from seqvae.music.midi import MIDI_SUFFIXES
from seqvae.tokenizers import AnyTokenizer
from seqvae.tokenizers.keys import KeySettings

SPLIT_NAMES = {"train": "train", "validation": "valid", "valid": "valid", "test": "test"}
TEXT_SUFFIXES = (".txt", ".text", ".md")
PLAIN = (*TEXT_SUFFIXES, *TABLE_SUFFIXES)
NAMES_OF_TEXTS = (*PLAIN, *(name + packed for name in PLAIN for packed in COMPRESSED_SUFFIXES))


@dataclass(frozen=True, eq=False)
class Sources:
    """The files that a corpus is made of."""

    splits: dict[str, list[Path]]
    """Of each split that the user names, or of "source" where none is named."""
    passed_over: Counter[str] = field(default_factory=Counter)
    """How many files lie among them that are no data, by reason."""

    @property
    def files(self) -> list[Path]:
        """All of them."""
        return [path for paths in self.splits.values() for path in paths]


def has_sources(data: DataConfig) -> bool:
    """Whether the settings name data; without them a prepared corpus is taken as it is."""
    return any((data.source, data.table, data.train))


def find_sources(data: DataConfig, tokenizer: AnyTokenizer) -> Sources:
    """The files that the settings name.

    Raises:
        InputError: there are no data, or a place holds none.
    """
    if tokenizer.modality == "music":
        for name in ("column", "label_column", "encoding"):
            if getattr(data, name) is not None:
                raise InputError(f"data.{name} is for texts; {tokenizer.kind} is music")
    if data.table is not None:
        return Sources(read_table(expanded(data.table)))
    places = {"source": data.source}
    if data.train is not None:
        places = {"train": data.train, "valid": data.valid, "test": data.test}
    if not any(places.values()):
        raise InputError(
            "no data: give data.source, data.table, or data.train, data.valid and data.test, or "
            "the folder of a prepared corpus as data.corpus"
        )
    sources = Sources({})
    for split, named in places.items():
        files: list[Path] = []
        for place in [named] if isinstance(named, str) else named or []:
            found = find_files(place, suffixes_of(tokenizer))
            files += _of_one_kind(place, found, data, tokenizer, f"--data.{split}")
            sources.passed_over.update(found.passed_over)
        sources.splits[split] = list(dict.fromkeys(files))
    return sources


def suffixes_of(tokenizer: AnyTokenizer) -> tuple[str, ...]:
    """How the names of data end."""
    if tokenizer.modality == "music":
        return tuple(MIDI_SUFFIXES)
    return NAMES_OF_TEXTS


def find_texts(folder: Path) -> list[Path]:
    """The texts and tables in a folder and its subfolders, sorted."""
    return find_files(str(folder), NAMES_OF_TEXTS).files


def _of_one_kind(
    place: str, found: Found, data: DataConfig, tokenizer: AnyTokenizer, flag: str
) -> list[Path]:
    """The files of a place; of texts and tables those that the settings are for.

    Raises:
        InputError: there are none.
    """
    kind, files = "MIDI", found.files
    if tokenizer.modality == "text":
        kind = "text"
        tables = [file for file in files if is_table(file)]
        texts = [file for file in files if not is_table(file)]
        if tables and texts:
            files, rest = (texts, tables) if data.column is None else (tables, texts)
            why = "tables, which need --data.column" if rest is tables else "texts beside tables"
            found.passed_over[why] += len(rest)
    if not files:
        known = ", ".join(sorted(MIDI_SUFFIXES if kind == "MIDI" else TEXT_SUFFIXES))
        others = f"; it holds {in_words(found.passed_over)}" if found.passed_over else ""
        if kind == "text" and (suffix := _most_frequent_suffix(found.passed_over)):
            folders = "" if any(expanded(place).glob(suffix)) else "**/"
            others += f"; if that is text, {flag} '{place.rstrip('/')}/{folders}{suffix}' reads it"
        raise InputError(f"{place}: holds no {kind} files (named {known}){others}")
    return files


def _most_frequent_suffix(passed_over: Counter[str]) -> str | None:
    """That of most files that were passed over, as a glob."""
    return next((why for why, _ in passed_over.most_common() if why.startswith("*.")), None)


def in_words(passed_over: Counter[str]) -> str:
    """What was passed over, the most frequent first."""
    counts = [f"{why} ({count})" for why, count in passed_over.most_common()]
    return ", ".join(counts[:5] + (["..."] if len(counts) > 5 else []))


def read_table(file: Path) -> dict[str, list[Path]]:
    """The files of each split, by the columns `midi_filename` and `split` of a table.

    Raises:
        InputError: it cannot be read, a column is missing, or a row names an unknown split.
    """
    table = open_table(file)
    if table is None:
        raise InputError(f"{file}: no table of CSV")
    columns = ("midi_filename", "split")
    sources: dict[str, list[Path]] = {name: [] for name in SPLITS}
    for number, cells in table.read(columns):
        for column, cell in zip(columns, cells or ("", ""), strict=True):
            if not cell:
                raise InputError(f"{file}: {table.at(number)} has no {column}")
        name, split = cells
        if split not in SPLIT_NAMES:
            raise InputError(
                f"{file}: {table.at(number)} has the split {split!r}; "
                f"choose one of {', '.join(SPLIT_NAMES)}"
            )
        sources[SPLIT_NAMES[split]].append(file.parent / name)
    return sources


def assign_splits(sizes: Sequence[int], data: DataConfig) -> list[str]:
    """A random split for each source, of so many sequences; of three or more, each split has one.

    The held-out splits come as near to their shares of all sequences as whole sources allow.
    """
    splits = ["train"] * len(sizes)
    if len(sizes) < 3:
        return splits
    order = np.random.default_rng(data.split_seed).permutation(len(sizes)).tolist()
    shares = {"valid": data.valid_share, "test": data.test_share}
    for num_left, (split, share) in zip((2, 1), shares.items(), strict=True):
        for index in _nearest(order, sizes, share * sum(sizes), len(order) - num_left):
            splits[index] = split
        order = [index for index in order if splits[index] == "train"]
    return splits


def _nearest(order: list[int], sizes: Sequence[int], target: float, most: int) -> list[int]:
    """Up to `most` sources, in this order, whose total comes near the target.

    Each that fits is taken, then one more if that is nearer than none; the smallest at least.
    """
    taken: list[int] = []
    missing = target
    for index in order:
        if len(taken) < most and sizes[index] <= missing:
            taken.append(index)
            missing -= sizes[index]
    others = set(order).difference(taken)
    nearer = (index for index in order if index in others and sizes[index] - missing < missing)
    if len(taken) < most and (one_more := next(nearer, None)) is not None:
        return [*taken, one_more]
    return taken or [min(order, key=lambda index: sizes[index])]


def fingerprint_of(data: DataConfig, sources: Sources, digests: Digests) -> str:
    """A digest of everything that the tokens of a corpus depend on.

    Files count by their bytes, their order and their names within the folder that holds them all,
    not by where that folder lies or when they were written.
    """
    tokenizer = tokenizer_of(data)
    about: dict[str, Any] = {
        "tokenizer": tokenizer.of_tokens(),
        "split": [data.valid_share, data.test_share, data.split_seed, data.dedupe],
        "sources": {split: len(paths) for split, paths in sources.splits.items()},
    }
    for name in ("column", "label_column", "encoding", "beats_metre"):
        if getattr(data, name) is not None:
            about[name] = getattr(data, name)
    if data.grid != "checked":
        about["grid"] = data.grid
    if "source" in sources.splits and isinstance(tokenizer, KeySettings):
        about["split_by"] = "tune"
    parts = [json.dumps(about, sort_keys=True).encode()]
    for paths in sources.splits.values():
        parts += [os.fsencode("\0".join(_names(paths))), digests.of(paths)]
    for name, pattern in (("beats", data.beats), ("chords", data.chords)):
        if pattern is not None:
            beside = [file_beside(path, pattern) for path in sources.files]
            parts += [name.encode(), digests.of(beside)]
    fingerprint = hashlib.blake2b(digest_size=16)
    for part in parts:
        fingerprint.update(len(part).to_bytes(8, "little") + part)
    return fingerprint.hexdigest()


def _names(paths: list[Path]) -> list[str]:
    """The names of files within the deepest folder that holds them all."""
    places = [str(path.absolute()) for path in paths]
    folder = os.path.commonpath(map(os.path.dirname, {min(places), max(places)})) if places else ""
    begin = len(os.path.join(folder, ""))  # noqa: PTH118  # a Path drops the slash
    return [place[begin:].replace(os.sep, "/") for place in places]
