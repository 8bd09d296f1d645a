"""MIDI files -> training sequences."""

import hashlib
import logging
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqvae.corpus.config import DataConfig
from seqvae.corpus.sources import Sources, assign_splits
from seqvae.corpus.spool import Chosen, Packed, Prepared, Spool, pack_sequences
from seqvae.corpus.store import SPLITS, SourceRow
from seqvae.corpus.tunes import NO_TUNE, Signature, same_tunes, signature
from seqvae.corpus.workers import BYTES_PER_WORKER, read_files
from seqvae.errors import InputError
from seqvae.music.beat_files import beats_beside, file_beside, read_beats
from seqvae.music.chords import read_chords
from seqvae.music.loops import repeated
from seqvae.music.midi import read_midi
from seqvae.music.notes import Piece
from seqvae.music.timing import (
    NO_GRID,
    OFF_GRID,
    OTHER_BEATS,
    has_grid,
    off_grid,
    on_sixteenths,
)
from seqvae.reasons import Dropped, Reason, main_reason
from seqvae.tokenizers.contract import Extraction, MusicTokenizer
from seqvae.tokenizers.keys import KeySettings

logger = logging.getLogger(__name__)

NO_CHORD_FILE = Reason("file", "no chord file: the notes suggest the chords")
SAME_TUNE = Reason("file", "a tune that other files play, too: they are in one split")
TUNE_OF_EARLIER_SPLIT = Reason("file", "a tune that an earlier split has, too")
FILES_SEARCHED = 20  # for beat files beside them


@dataclass(frozen=True, eq=False)
class FileResult:
    """What became of one file."""

    digest: str
    """Digest of what the file plays, at whatever tempo, to recognise copies."""
    extraction: Extraction
    refusal: str | None = None
    """Why the file could not be read."""
    tune: Signature = field(default_factory=lambda: NO_TUNE)
    """What its melody is known by, where tokens hold pitches."""

    @classmethod
    def refused(cls, reason: str) -> "FileResult":
        """The result of a file that gives nothing."""
        return cls("", Extraction([], Dropped()), reason)


def extract_file(
    path: Path,
    tokenizer: MusicTokenizer,
    beats: str | None = None,
    chords: str | None = None,
    *,
    beats_metre: str | None = None,
    grid: str = "checked",
) -> FileResult:
    """Read and tokenize one file, with the beat and chord files beside it where they are named."""
    chord_file = file_beside(path, chords) if chords and tokenizer.reads_chords else None
    try:
        beat_track = read_beats(file_beside(path, beats), beats_metre) if beats else None
        chord_track = read_chords(chord_file) if chord_file and chord_file.is_file() else None
        piece = read_midi(path, tokenizer.steps_per_quarter, beat_track, chord_track)
        is_close = on_sixteenths(piece)
        has_any = is_close or grid != "checked" or has_grid(piece, by_beats=beats is not None)
        if not has_any:
            why = OTHER_BEATS if beats else NO_GRID
            return FileResult("", Extraction([], Dropped({why: 1})), why.text)
        window = repeated(piece, tokenizer.window_steps(piece.metres[0]))
        extraction, dtype = tokenizer.extract(window), tokenizer.token_type
    except InputError as error:
        return FileResult.refused(_about(str(error), path, beats, chords))
    except MemoryError:
        return FileResult.refused(f"needs more than {BYTES_PER_WORKER >> 20} MiB of memory")
    if window.noted:
        extraction.noted.update(window.noted)
    how_off = None if is_close or "timing" in tokenizer.keeps else off_grid(piece)
    if how_off is not None:
        extraction.noted[replace(how_off, remedy="") if beats else how_off] += 1
    if chord_file and chord_track is None:
        extraction.noted[NO_CHORD_FILE] += 1
    played = hashlib.sha1(piece.notes.data, usedforsecurity=False)  # the quickest
    played.update(repr([(metre.start_step, str(metre)) for metre in piece.metres]).encode())
    if any(ids.dtype != dtype for ids in extraction.sequences[:1]):  # they go between processes
        narrow = [ids.astype(dtype) for ids in extraction.sequences]
        extraction = replace(extraction, sequences=narrow)
    return FileResult(played.hexdigest(), extraction, tune=_tune(piece, tokenizer))


def _tune(piece: Piece, tokenizer: MusicTokenizer) -> Signature:
    """The signature of the melody that a tokenizer of pitches hears."""
    if not isinstance(tokenizer, KeySettings):
        return NO_TUNE
    return signature(piece, tokenizer.parts(piece) if "melody" in tokenizer.roles else None)


@dataclass(frozen=True, eq=False)
class PackedResult:
    """What became of one file, as it goes from a worker to the spool."""

    digest: str
    packed: Packed
    """Its sequences."""
    dropped: Dropped
    noted: Dropped
    refusal: str | None
    tune: Signature

    @classmethod
    def of(cls, result: FileResult, tokenizer: MusicTokenizer) -> "PackedResult":
        """The result of a file, packed."""
        extraction = result.extraction
        packed = pack_sequences(extraction.sequences, tokenizer)
        return cls(
            result.digest, packed, extraction.dropped, extraction.noted, result.refusal, result.tune
        )


def _about(message: str, path: Path, *patterns: str | None) -> str:
    """A message without the names that differ from file to file."""
    for pattern in filter(None, patterns):
        message = message.replace(str(file_beside(path, pattern)), pattern)
    return message.removeprefix(f"{path}: ")


def extract_files(
    paths: Sequence[Path],
    tokenizer: MusicTokenizer,
    num_workers: int | None = None,
    beats: str | None = None,
    chords: str | None = None,
    *,
    beats_metre: str | None = None,
    grid: str = "checked",
    take: Callable[[int, PackedResult], None],
) -> None:
    """Give `take` the index and the result of every path, in any order.

    Raises:
        InputError: worker processes cannot run here.
    """
    extract = partial(
        _extract_packed,
        tokenizer=tokenizer,
        beats=beats,
        chords=chords,
        beats_metre=beats_metre,
        grid=grid,
    )

    def refused(reason: str) -> PackedResult:
        return PackedResult.of(FileResult.refused(reason), tokenizer)

    read_files(extract, paths, num_workers, refuse=refused, take=take)


def _extract_packed(path: Path, tokenizer: MusicTokenizer, **settings: Any) -> PackedResult:
    """Read, tokenize and pack one file: what is done here is done by all workers at once."""
    return PackedResult.of(extract_file(path, tokenizer, **settings), tokenizer)


def prepare_scores(
    data: DataConfig, tokenizer: MusicTokenizer, sources: Sources, folder: Path
) -> Prepared:
    """Read and tokenize files in parallel, leave out copies, then split by tune.

    Raises:
        InputError: worker processes cannot run here.
    """
    paths = sources.files
    named_splits = [split for split, group in sources.splits.items() for _ in group]
    spool = Spool(folder, tokenizer)
    manifest = [SourceRow("")] * len(paths)
    digests = [""] * len(paths)
    signatures = [NO_TUNE] * len(paths)
    sequences = [range(0)] * len(paths)  # numbers in the spool

    def take(index: int, result: PackedResult) -> None:
        digests[index], signatures[index] = result.digest, result.tune
        sequences[index] = spool.add_packed(result.packed)
        dropped, reason = result.dropped, result.refusal
        if reason is None and not sequences[index]:
            why = main_reason(dropped)
            reason = why.text if why else "no window"
        manifest[index] = SourceRow(str(paths[index]), {}, reason, dropped, result.noted)

    extract_files(
        paths,
        tokenizer,
        data.num_workers,
        data.beats,
        data.chords,
        beats_metre=data.beats_metre,
        grid=data.grid,
        take=take,
    )
    if data.beats is None:
        _hint_at_beats(manifest)
    _refuse_copies(manifest, digests)
    usable = [index for index, row in enumerate(manifest) if row.reason is None]
    tunes = same_tunes([signatures[index] for index in usable])
    if "source" in sources.splits:
        splits = _splits_by_tune([len(sequences[index]) for index in usable], tunes, data)
    else:
        splits = [named_splits[index] for index in usable]
    _note_tunes(manifest, usable, tunes, splits)
    numbers = {split: array("q") for split in SPLITS}
    for index, split in zip(usable, splits, strict=True):
        numbers[split].extend(sequences[index])
        manifest[index].taken[split] = len(sequences[index])
    chosen = {split: Chosen(spool, np.array(numbers[split], np.int64)) for split in SPLITS}
    return chosen, manifest


def _splits_by_tune(sizes: list[int], tunes: NDArray[np.int64], data: DataConfig) -> list[str]:
    """A split for each file, the same for all that play a tune; by file if all play one or two."""
    known, tune_of = np.unique(tunes, return_inverse=True)
    if len(known) < len(SPLITS):
        return assign_splits(sizes, data)
    totals = np.bincount(tune_of, sizes).astype(np.int64)
    splits = assign_splits(totals.tolist(), data)
    return [splits[tune] for tune in tune_of.tolist()]


def _note_tunes(
    manifest: list[SourceRow], usable: list[int], tunes: NDArray[np.int64], splits: list[str]
) -> None:
    """Say in the rows of usable files which of them play the same tune."""
    is_shared = np.bincount(tunes, minlength=len(usable))[tunes] > 1
    earliest: dict[int, int] = {}
    for tune, split in zip(tunes.tolist(), splits, strict=True):
        earliest[tune] = min(earliest.get(tune, len(SPLITS)), SPLITS.index(split))
    for place in np.flatnonzero(is_shared).tolist():
        index, tune = usable[place], int(tunes[place])
        is_leaked = SPLITS.index(splits[place]) > earliest[tune]
        manifest[index].noted[TUNE_OF_EARLIER_SPLIT if is_leaked else SAME_TUNE] = 1
        manifest[index] = replace(manifest[index], tune=manifest[usable[tune]].source)
    if is_shared.any():
        logger.info(
            "tunes: %d are played by several files each, %d files in all",
            len(np.unique(tunes[is_shared])), np.count_nonzero(is_shared),
        )  # fmt: skip


def _hint_at_beats(manifest: list[SourceRow]) -> None:
    """Name the beat files beside files that gave nothing or lie off their grid."""
    paths = [Path(row.source) for row in manifest if row.reason or OFF_GRID in row.noted]
    found = (beats_beside(path) for path in paths[:FILES_SEARCHED])
    pattern = next(filter(None, found), None)
    if pattern is not None:
        count = sum(file_beside(path, pattern).is_file() for path in paths)
        logger.warning(
            "%s lies beside %d files that gave nothing or are off their grid: --data.beats '%s'",
            pattern, count, pattern,
        )  # fmt: skip


def _refuse_copies(manifest: list[SourceRow], digests: list[str]) -> None:
    """Give the rows of usable files that play the same as an earlier usable one that reason."""
    earlier: set[str] = set()
    for index, row in enumerate(manifest):
        if digests[index] in earlier:
            manifest[index] = SourceRow(row.source, reason="a copy of another file")
        elif row.reason is None:
            earlier.add(digests[index])
