"""A function over many files in worker processes, any of which a file may kill; or over items.

Each worker has a pipe of its own, which ends when the worker dies: so it is known which task it
had. That is read again file by file, so that a file that crashes its worker, or takes more than
`CPU_SECONDS_PER_FILE` or `BYTES_PER_WORKER`, costs itself alone.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from multiprocessing import connection, resource_tracker
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from seqvae.errors import InputError
from seqvae.stops import held_back

CPU_SECONDS_PER_FILE = 5.0
BYTES_PER_WORKER = 2**30  # on top of what the worker needs to start
FILES_PER_TASK = 32  # sending files one by one would take longer than reading them
SECONDS_PER_TASK = 300.0  # by the clock, for what waits without computing: a dead network drive
POLL_SECONDS = 1.0  # from one look at the clock to the next
NUM_AT_HOME = 16  # items that are done sooner than workers start

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_files(
    read: Callable[[Path], Result],
    paths: Sequence[Path],
    num_workers: int | None = None,
    *,
    refuse: Callable[[str], Result],
    take: Callable[[int, Result], None],
) -> None:
    """Read every path in worker processes.

    Args:
        read: What to do with a file. It travels to the workers, and its results come back.
        paths: The files.
        num_workers: Processes, by default one per core. 0 reads in this process, without limits.
        refuse: Makes the result of a file that cost a worker, from the reason.
        take: Receives the index and the result of each path, in any order. Nothing is kept here
            beyond that, so that memory does not grow with the collection.

    Raises:
        InputError: worker processes cannot run here.
    """
    with tqdm(total=len(paths), desc="read", unit=" files", delay=1) as bar:

        def keep(task: range, results: Sequence[Result]) -> None:
            for index, result in zip(task, results, strict=True):
                take(index, result)
                bar.update()

        if num_workers == 0:
            for index, path in enumerate(paths):
                keep(range(index, index + 1), [read(path)])
            return
        starts = range(0, len(paths), FILES_PER_TASK)
        tasks = deque(range(i, min(i + FILES_PER_TASK, len(paths))) for i in starts)
        num_workers = min(num_workers or os.cpu_count() or 1, len(tasks))
        prepare_to_start()
        with held_back():
            _read_in_workers(read, paths, tasks, num_workers, refuse=refuse, keep=keep)


def _read_in_workers(
    read: Callable[[Path], Result],
    paths: Sequence[Path],
    tasks: deque[range],
    num_workers: int,
    *,
    refuse: Callable[[str], Result],
    keep: Callable[[range, Sequence[Result]], None],
) -> None:
    """Keep workers busy until all tasks, which are indices of paths, are done."""
    workers: list[_Worker] = []
    try:
        while tasks or any(worker.task for worker in workers):
            for worker in workers:
                if tasks and worker.is_idle and worker.process.is_alive():
                    worker.begin(tasks.popleft(), paths)
            while tasks and len(workers) < num_workers:
                workers.append(_Worker(read))
            for worker in _heard(workers):
                task = worker.task
                try:
                    keep(task, worker.receive())
                except _WorkerDied as death:
                    workers.remove(worker)
                    if len(task) == 1:
                        keep(task, [refuse(str(death))])
                    else:
                        tasks.extendleft(range(i, i + 1) for i in reversed(task))
    finally:
        _end(workers)


def in_order(
    do: Callable[[Item], Result], items: Iterable[Item], num_workers: int | None = None
) -> Generator[Result]:
    """The results of a function, in the order of the items, which are made as they are needed.

    Args:
        do: What to do with an item. It travels to the workers, and so do items and results.
        items: They may be endless: few are in memory at a time.
        num_workers: Processes, by default one per core. 0 does all in this process, which also
            does the first `NUM_AT_HOME` items: starting workers takes longer.

    Raises:
        InputError: worker processes cannot run here, or an item costs a worker.
    """
    items = iter(items)
    yield from map(do, items if num_workers == 0 else islice(items, NUM_AT_HOME))
    for first in items:
        yield from _in_workers(do, chain([first], items), num_workers or os.cpu_count() or 1)


def _in_workers(
    do: Callable[[Item], Result], items: Iterable[Item], num_workers: int
) -> Iterator[Result]:
    """The results of workers, each of which has an item at a time."""
    prepare_to_start()
    workers: list[_Worker] = []
    coming, given, done = enumerate(items), dict[int, Item](), dict[int, Result]()
    try:
        with held_back():
            workers += [_Worker(do) for _ in range(num_workers)]
        upcoming, num_yielded = next(coming, None), 0
        while upcoming or given:
            for worker in workers:
                ahead = 4 * num_workers  # of the slowest
                if upcoming and worker.is_idle and upcoming[0] < num_yielded + ahead:
                    given.update([upcoming])
                    worker.begin(range(upcoming[0], upcoming[0] + 1), given)
                    upcoming = next(coming, None)
            for worker in _heard(workers):
                task = worker.task
                for number, result in zip(task, worker.receive(), strict=True):
                    del given[number]
                    done[number] = result
            while num_yielded in done:
                yield done.pop(num_yielded)
                num_yielded += 1
    except _WorkerDied as death:
        raise InputError(
            f"a block of lines {death}; leave out very long lines, or set data.num_workers to 0"
        ) from death
    finally:
        _end(workers)


def _end(workers: list["_Worker"]) -> None:
    """End workers, whatever they are at."""
    for worker in workers:
        worker.process.kill()
        worker.process.join()


def end_import_by_worker() -> None:
    """End a worker that runs its parent's script, which has no main guard; the parent reports."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        sys.exit(1)


def prepare_to_start() -> None:
    """Do what comes before the first worker."""
    end_import_by_worker()
    resource_tracker.ensure_running()  # it unblocks Ctrl-C when it starts, so it starts first


class _WorkerDied(Exception):
    """The text says what the file did that it was reading."""


class _Worker:
    """A process that reads files, a pipe to it, and its task, which is empty when it has none."""

    def __init__(self, read: Callable[[Any], Any]) -> None:
        context = multiprocessing.get_context("spawn")  # forking a process with threads can hang
        self.pipe, remote = context.Pipe()
        arguments = (remote, read, CPU_SECONDS_PER_FILE)
        self.process = context.Process(target=_serve, args=arguments, daemon=True)
        try:
            self.process.start()
        except OSError as error:
            raise _cannot_run(error) from error
        remote.close()  # so that this end hears when the process ends
        self.task = range(0)
        self.has_started = self.is_idle = self.is_late = False
        self.task_began = time.monotonic()

    def begin(self, task: range, items: Sequence[Any] | Mapping[int, Any]) -> None:
        """Hand it the items of a task. It waits for one, so that neither end blocks the other."""
        self.task, self.is_idle, self.task_began = task, False, time.monotonic()
        with contextlib.suppress(ConnectionError):  # it has just ended: receive() will tell
            self.pipe.send([items[index] for index in task])

    def receive(self) -> list[Any]:
        """The results of its task, which is then empty; none if it has just started.

        Raises:
            _WorkerDied: the process has ended.
            InputError: the process has ended before it could take a task.
        """
        try:
            message = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            if not self.has_started:
                raise _cannot_run(f"exit code {self.process.exitcode}") from None
            raise _WorkerDied(self._reason()) from None
        if isinstance(message, Exception):
            raise message
        self.task, self.has_started, self.is_idle = range(0), True, True
        results: list[Any] = message
        return results

    def _reason(self) -> str:
        if self.is_late:
            return f"took longer than {SECONDS_PER_TASK:g} s"
        if self.process.exitcode == -getattr(signal, "SIGPROF", 0):
            return f"took longer than {CPU_SECONDS_PER_FILE:g} s of processor time"
        return "crashed the reader"


def _cannot_run(cause: object) -> InputError:
    return InputError(
        f"worker processes cannot run here ({cause}); if this is a script, put its calls under "
        'if __name__ == "__main__", or set data.num_workers to 0 to read files without workers'
    )


def _heard(workers: list[_Worker]) -> list[_Worker]:
    """Wait for workers that send or end; the one place where Ctrl-C and its like are let in."""
    with held_back(blocked=False):
        pipes = connection.wait([worker.pipe for worker in workers], POLL_SECONDS)
    for worker in workers:
        seconds = time.monotonic() - worker.task_began
        if worker.task and worker.pipe not in pipes and seconds > SECONDS_PER_TASK:
            worker.is_late = True
            worker.process.kill()
    return [worker for worker in workers if worker.pipe in pipes]


# In a worker


def _serve(pipe: connection.Connection, read: Callable[[Any], Any], cpu_seconds: float) -> None:
    """Take tasks and send their results until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where there are no signal masks
    threading.Thread(target=end_with_parent, daemon=True).start()
    _limit_memory()
    message: Any = []
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            pipe.send(message)
            files = pipe.recv()
            try:
                message = [_read_limited(read, file, cpu_seconds) for file in files]
            except Exception as error:
                error.add_note(traceback.format_exc())  # a traceback itself cannot travel
                message = error


def end_with_parent() -> None:
    """End this process when its parent has ended, also in the middle of a file."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _read_limited(read: Callable[[Path], Result], file: Path, cpu_seconds: float) -> Result:
    """Read a file; a signal ends this process if that takes more processor time."""
    if not hasattr(signal, "setitimer"):
        return read(file)
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    try:
        return read(file)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _limit_memory() -> None:
    """Let allocations beyond `BYTES_PER_WORKER` fail, where the system can."""
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
        limit = pages * resource.getpagesize() + BYTES_PER_WORKER
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
