"""MIDI files -> training sequences, in worker processes that may die.

A file that crashes its worker, takes longer than `SECONDS_PER_FILE` or needs more than
`BYTES_PER_WORKER` costs that file only, and is named.
"""

import contextlib
import hashlib
import multiprocessing
import os
import signal
import sys
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path

import numpy as np
from tqdm import tqdm

from seqvae.corpus.config import DataConfig
from seqvae.corpus.sources import assign_splits
from seqvae.corpus.store import SPLITS, Prepared, SourceRow, Spool, token_type
from seqvae.errors import InputError
from seqvae.music.beats import file_beside, read_beats
from seqvae.music.chords import read_chords
from seqvae.music.midi import read_midi
from seqvae.tokenizers.contract import Extraction, MusicTokenizer

SECONDS_PER_FILE = 5
BYTES_PER_WORKER = 2**30  # on top of what the worker needs to start
FILES_PER_TASK = 32


@dataclass(frozen=True, eq=False)
class FileResult:
    """What a worker made of one file."""

    digest: str
    """Of what the file plays, at whatever tempo, to find copies."""
    extraction: Extraction
    refusal: str | None = None
    """Why the file could not be read."""


def extract_file(
    path: Path, tokenizer: MusicTokenizer, beats: str | None = None, chords: str | None = None
) -> FileResult:
    """Read and tokenize one file, with the beat and chord files beside it where they are named."""
    nothing = Extraction([], Counter())
    try:
        beat_track = None if beats is None else read_beats(file_beside(path, beats))
        wanted = (
            None if chords is None or not tokenizer.condition_sizes else file_beside(path, chords)
        )
        chord_track = read_chords(wanted) if wanted and wanted.is_file() else None
        piece = read_midi(path, tokenizer.steps_per_quarter, beat_track, chord_track)
        played = piece.notes.tobytes() + repr(piece.metres).encode()
        digest = hashlib.blake2b(played, digest_size=16).hexdigest()
        extraction, dtype = tokenizer.extract(piece), token_type(tokenizer)
        if wanted and chord_track is None:
            extraction.dropped["no chord file: the notes suggest the chords"] += 1
        narrow = [ids.astype(dtype) for ids in extraction.sequences]  # they go between processes
        return FileResult(digest, replace(extraction, sequences=narrow))
    except InputError as error:
        return FileResult("", nothing, str(error).removeprefix(f"{path}: "))
    except MemoryError:
        return FileResult("", nothing, f"needs more than {BYTES_PER_WORKER >> 20} MiB of memory")


def extract_files(
    paths: Sequence[Path],
    tokenizer: MusicTokenizer,
    num_workers: int | None = None,
    beats: str | None = None,
    chords: str | None = None,
    *,
    take: Callable[[int, FileResult], None],
) -> None:
    """Give `take` the number and the result of every path, in any order.

    Nothing is kept here, so that memory does not grow with the collection; whatever kills a worker
    costs one file only.
    """
    num_workers = min(num_workers or os.cpu_count() or 1, -(-len(paths) // FILES_PER_TASK))
    work = partial(_work, tokenizer, beats, chords)
    deadly = Extraction([], Counter())
    reason = f"crashed the reader, or took longer than {SECONDS_PER_FILE} s"
    resource_tracker.ensure_running()  # it lets Ctrl-C in when it starts: so before it is held back
    progress = tqdm(total=len(paths), desc="read", unit=" files", delay=1)
    with _interrupts(held=True), progress as bar:

        def keep(task: range, found: list[FileResult]) -> None:
            for number, result in zip(task, found, strict=True):
                take(number, result)
            bar.update(len(task))

        waiting = deque(
            range(i, min(i + FILES_PER_TASK, len(paths)))
            for i in range(0, len(paths), FILES_PER_TASK)
        )
        while waiting:
            suspects = _run(waiting, paths, num_workers, work, keep)
            alone = deque(range(i, i + 1) for task in suspects for i in task)
            while alone:
                for task in _run(alone, paths, 1, work, keep):
                    keep(task, [FileResult("", deadly, reason)])


def _run(
    waiting: deque[range],
    paths: Sequence[Path],
    num_workers: int,
    work: Callable[[list[Path]], list[FileResult]],
    keep: Callable[[range, list[FileResult]], None],
) -> list[range]:
    """Take tasks from `waiting` until it is empty or a worker dies.

    A dead worker takes its pool along: the tasks that were running then are returned.
    """
    context = multiprocessing.get_context("spawn")  # forking a process with threads can hang
    pool = ProcessPoolExecutor(num_workers, context, initializer=_limit_worker)
    running: dict[Future[list[FileResult]], range] = {}
    try:
        while waiting or running:
            while waiting and len(running) < num_workers:
                task = waiting[0]
                running[pool.submit(work, [paths[i] for i in task])] = task
                waiting.popleft()
            with _interrupts(held=False):
                done = wait(running, return_when=FIRST_COMPLETED).done
            for future in done:
                found = future.result()
                keep(running.pop(future), found)
    except BrokenProcessPool:
        return list(running.values())
    finally:
        pool.shutdown(cancel_futures=True)
    return []


@contextlib.contextmanager
def _interrupts(*, held: bool) -> Iterator[None]:
    """Hold Ctrl-C back within the block, or let it in again.

    A pool that is interrupted while it starts or stops its workers waits for them for ever, so it
    is let in only where the parent waits. Workers inherit the mask, and so leave Ctrl-C to their
    parent.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    how = signal.SIG_BLOCK if held else signal.SIG_UNBLOCK
    previous = signal.pthread_sigmask(how, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _limit_worker() -> None:
    """Bound a worker's memory; leave Ctrl-C to the parent also where there are no signal masks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + BYTES_PER_WORKER
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _work(
    tokenizer: MusicTokenizer, beats: str | None, chords: str | None, paths: list[Path]
) -> list[FileResult]:
    """Extract some files; the alarm ends the worker where a file takes too long."""
    results = []
    for path in paths:
        if hasattr(signal, "alarm"):
            signal.alarm(SECONDS_PER_FILE)
        results.append(extract_file(path, tokenizer, beats, chords))
        if hasattr(signal, "alarm"):
            signal.alarm(0)
    return results


def prepare_scores(
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
