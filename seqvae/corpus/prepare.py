"""Sources -> a prepared corpus: find, read, split, tokenize, write."""

import csv
import glob
import hashlib
import json
import logging
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from seqvae.corpus.scores import FileResult, extract_files
from seqvae.corpus.store import (
    ABOUT,
    SPLITS,
    Corpus,
    SourceRow,
    Spool,
    drop_leaks,
    replaced_folder,
    write_corpus,
)
from seqvae.errors import InputError
from seqvae.music.beats import file_beside
from seqvae.music.midi import MIDI_SUFFIXES, find_midi
from seqvae.tokenizers import AnyTokenizer, make_tokenizer
from seqvae.tokenizers.contract import Ids, MusicTokenizer, TextTokenizer
from seqvae.training.config import Config, DataConfig

SPLIT_NAMES = {"train": "train", "validation": "valid", "valid": "valid", "test": "test"}
TEXT_SUFFIXES = frozenset({".txt", ".text", ".tsv", ".md"})

Numbers: TypeAlias = NDArray[np.int64]  # of sequences in a spool
Prepared: TypeAlias = tuple[Spool, dict[str, Numbers], list[SourceRow]]

logger = logging.getLogger(__name__)


def prepare(config: Config) -> Corpus:
    """The prepared corpus of a config; made only where source, tokenizer or settings changed.

    Raises:
        InputError: there are no sources, or too few of them can be used.
    """
    data = config.data
    folder = Path(data.corpus or f"corpora/{config.name}").expanduser()
    tokenizer = make_tokenizer(data.tokenizer)
    sources = find_sources(data, tokenizer)
    fingerprint = fingerprint_of(data, sources)
    if (folder / ABOUT).is_file():
        try:
            corpus = Corpus(folder)
            if corpus.fingerprint == fingerprint:
                logger.info("%s: unchanged, %s", folder, _describe(corpus))
                return corpus
            logger.warning("%s: made from another source or settings; it is replaced", folder)
        except InputError as error:
            logger.warning("%s", error)  # it is about to be prepared again
    elif folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder}: holds other files; name another folder with data.corpus")
    prepare_modality = _prepare_text if tokenizer.modality == "text" else _prepare_music
    with replaced_folder(folder) as beside:
        spool, splits, manifest = prepare_modality(data, tokenizer, sources, beside)
        splits, num_leaked = drop_leaks(spool.digests, splits, drop=data.dedupe)
        _require_all_splits(splits, manifest)
        write_corpus(
            beside,
            spool=spool,
            splits=splits,
            manifest=manifest,
            fingerprint=fingerprint,
            num_leaked=num_leaked,
            deduped=data.dedupe,
        )
    corpus = Corpus(folder)
    for line in summary(manifest):
        logger.info(line)
    logger.info("%s: %s", folder, _describe(corpus))
    return corpus


def _describe(corpus: Corpus) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in corpus.num_sequences.items())
    leaked = ", ".join(f"{corpus.num_leaked[name]} of {name}" for name in SPLITS[1:])
    done = "dropped" if corpus.deduped else "kept; --dedupe drops them"
    return f"sequences {counts}; verbatim in an earlier split ({done}): {leaked}"


# Sources


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


def _require_all_splits(splits: dict[str, Numbers], manifest: list[SourceRow]) -> None:
    empty = [name for name in SPLITS if not len(splits[name])]
    if not empty:
        return
    reasons = [line for line in summary(manifest) if not line.startswith("sources used")]
    why = f" ({'; '.join(reasons)})" if reasons else ""
    raise InputError(
        f"no sequences for {', '.join(empty)}: {len(manifest)} sources gave "
        f"{sum(map(len, splits.values()))}{why}; "
        "give at least 3 usable sources, or all of data.train, data.valid and data.test"
    )


def summary(manifest: Iterable[SourceRow]) -> list[str]:
    """One line per reason, with its count."""
    used, refused, dropped = 0, Counter[str](), Counter[str]()
    for row in manifest:
        if row.reason is None:
            used += 1
        else:
            refused[row.reason] += 1
        dropped.update(row.dropped)
    lines = [f"sources used: {used}"]
    lines += [f"sources that gave nothing: {n}: {reason}" for reason, n in refused.most_common()]
    lines += [f"left out: {n} times: {reason}" for reason, n in dropped.most_common()]
    return lines


# Text


def _prepare_text(
    data: DataConfig, tokenizer: TextTokenizer, sources: dict[str, list[Path]], folder: Path
) -> Prepared:
    """Read lines, split them, train the tokenizer on the training lines, encode all."""
    lines: dict[str, list[tuple[str, str]]] = {name: [] for name in SPLITS}  # (source, line)
    dropped: dict[str, Counter[str]] = {}
    if "source" in sources:
        by_file = {str(path): _read_lines(path, dropped) for path in sources["source"]}
        for split, source, line in _split_lines(by_file, data):
            lines[split].append((source, line))
    else:
        for split, paths in sources.items():
            for path in paths:
                lines[split] += [(str(path), line) for line in _read_lines(path, dropped)]
    if not lines["train"]:
        raise InputError(f"{next(iter(dropped))}: no lines to train on")
    tokenizer = tokenizer.train(line for _, line in lines["train"])
    spool = Spool(folder, tokenizer)
    splits: dict[str, Numbers] = {}
    taken: dict[str, Counter[str]] = {source: Counter() for source in dropped}
    too_long = f"longer than {tokenizer.max_steps} tokens (data.tokenizer.max_steps)"

    def encoded(split: str) -> Iterator[Ids]:
        for source, line in tqdm(lines[split], f"tokenize {split}", unit=" lines", delay=1):
            ids = tokenizer.encode(line)
            if len(ids) > tokenizer.max_steps:
                dropped[source][too_long] += 1
            else:
                taken[source][split] += 1
                yield ids

    for split in SPLITS:
        splits[split] = np.array(spool.add(encoded(split)), np.int64)
    manifest = [
        SourceRow(
            source,
            dict(taken[source]),
            None if taken[source] else f"no usable line ({', '.join(counts) or 'empty file'})",
            dict(counts),
        )
        for source, counts in dropped.items()
    ]
    return spool, splits, manifest


def _read_lines(path: Path, dropped: dict[str, Counter[str]]) -> list[str]:
    """The lines of a file without empty ones. Invalid UTF-8 is replaced (U+FFFD) and reported."""
    counts = dropped.setdefault(str(path), Counter())
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    kept, invalid = [], []
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        text = line.decode("utf-8", errors="replace").replace("\0", "\ufffd")
        if "\ufffd" in text and "\ufffd".encode() not in line:
            invalid.append(number)
        if text.strip():
            kept.append(text)
        else:
            counts["an empty line"] += 1
    if invalid:
        logger.warning(
            "%s: invalid UTF-8 or NUL in %d lines, the first is line %d; "
            "the bytes were replaced by U+FFFD",
            path, len(invalid), invalid[0],
        )  # fmt: skip
    return kept


def _split_lines(by_file: dict[str, list[str]], data: DataConfig) -> Iterator[tuple[str, str, str]]:
    """(split, source, line): by file, or by distinct line where there are fewer than 3 files."""
    if len(by_file) >= 3:
        splits = assign_splits(len(by_file), data)
        for split, (source, lines) in zip(splits, by_file.items(), strict=True):
            yield from ((split, source, line) for line in lines)
        return
    distinct = list(dict.fromkeys(line for lines in by_file.values() for line in lines))
    split_of = dict(zip(distinct, assign_splits(len(distinct), data), strict=True))
    for source, lines in by_file.items():
        yield from ((split_of[line], source, line) for line in lines)


# Music


def _prepare_music(
    data: DataConfig, tokenizer: MusicTokenizer, sources: dict[str, list[Path]], folder: Path
) -> Prepared:
    """Read and tokenize files in parallel, then split by file."""
    paths = [path for group in sources.values() for path in group]
    given = [name for name, group in sources.items() for _ in group]
    spool = Spool(folder, tokenizer)
    digests = [""] * len(paths)
    found = [range(0)] * len(paths)
    manifest = [SourceRow(str(path)) for path in paths]

    def take(index: int, result: FileResult) -> None:
        digests[index] = result.digest
        found[index] = spool.add(result.extraction.sequences)
        dropped = dict(result.extraction.dropped)
        reason = result.refusal
        if reason is None and not found[index]:
            reason = "; ".join(dropped) or "no window"
        manifest[index] = replace(manifest[index], reason=reason, dropped=dropped)

    extract_files(paths, tokenizer, data.num_workers, data.beats, data.chords, take=take)
    usable: list[int] = []
    known: set[str] = set()
    for index, row in enumerate(manifest):
        if digests[index] in known:
            manifest[index] = SourceRow(row.source, {}, "a copy of another file")
        elif row.reason is None:
            known.add(digests[index])
            usable.append(index)
    if "source" in sources:
        assigned = assign_splits(len(usable), data)
    else:
        assigned = [given[index] for index in usable]
    numbers = {name: array("q") for name in SPLITS}
    for index, split in zip(usable, assigned, strict=True):
        numbers[split].extend(found[index])
        manifest[index].taken[split] = len(found[index])
    return spool, {name: np.array(own, np.int64) for name, own in numbers.items()}, manifest
