"""Mutation tests of the wiring: change one line, run the tests named for it, expect a failure.

The lists in `scripts/mutations`, one a room, hold the mutations. Each is applied alone, in a
temporary copy of the tree, and its tests must then fail:

    python scripts/mutate.py                      # all of them
    python scripts/mutate.py pages kl_factor      # a room, and a mutation by its name

The tests that killed them are then run without any mutation, so that a test that always fails is
not taken for a good one. Every run is a fork of one process that has imported the heavy libraries.
Exit code 1 says that a mutation survived without a stated reason, or could not be tried.
"""

import argparse
import contextlib
import gc
import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
import textwrap
import time
import tomllib
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import connection
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest
from mutated_tree import Copy
from mutation import ListError, Mutation, choose, read_lists

ROOT = Path(__file__).resolve().parents[1]

# The heavy libraries that every run needs. Plugins of pytest are not among them: it warns of those
# that were imported before it could rewrite their assertions.
PRELOADED = (
    "lightning.pytorch", "torch.utils.data", "numpy", "pretty_midi", "symusic", "sentencepiece",
    "sacrebleu", "safetensors.torch", "jsonargparse", "yaml", "tqdm", "beartype",
)  # fmt: skip

TIMEOUT = 600.0  # seconds; the tests of one mutation take some ten
ACCEPTED = ("killed", "allowed")
OUTCOMES = (*ACCEPTED, "survived", "not applicable", "broken", "not run")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of a mutation."""

    outcome: str
    note: str = ""
    seconds: float = 0.0
    killer: tuple[str, ...] = ()
    """The test that failed; all that were run where it is not known which."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Tests to be run in a copy: unmutated, or for a mutation."""

    tests: tuple[str, ...]
    mutation: Mutation | None = None

    @property
    def label(self) -> str:
        """What the line of progress calls it."""
        if self.mutation is None:
            return f"{len(self.tests)} in {self.tests[0].split('::')[0]}"
        return f"{self.mutation.room} {self.mutation.name}"


@dataclass(kw_only=True)
class Running:
    """A run under way."""

    run: Run
    copy: Copy
    process: ForkProcess
    start: float

    def stop(self) -> None:
        """End the process and whatever it has started."""
        assert self.process.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()


def judge(
    mutation: Mutation, code: int | None, failures: list[str], ending: str
) -> tuple[str, str, tuple[str, ...]]:
    """Outcome, note and killer, from the exit code of the tests; None is that of a timeout."""
    if code == pytest.ExitCode.OK:
        if mutation.allowed:
            return "allowed", mutation.allowed, ()
        return "survived", f"{mutation.file}: {mutation.old} -> {mutation.new}", ()
    if code in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED):
        return "broken", ending, ()
    if failures and code is not None:
        return "killed", failures[0], (failures[0],)
    return "killed", ending, mutation.tests


class Session:
    """All runs, some at a time, and what is known of the mutations so far."""

    def __init__(self, root: Path, mutations: list[Mutation], *, timeout: float = TIMEOUT) -> None:
        self.root, self.mutations, self.timeout = root, mutations, timeout
        self.results: dict[str, Result] = {}
        self.red: dict[str, str] = {}  # tests that fail without a mutation: how
        self.queue = deque(Run(tests=m.tests, mutation=m) for m in mutations if self.can_try(m))
        self.num_ended, self.start = 0, time.monotonic()

    def can_try(self, mutation: Mutation) -> bool:
        """Whether the mutated file can be made; the result says why not."""
        source = mutation.source(self.root)
        if source is None:
            note = f"the text does not occur exactly once in {mutation.file}"
            self.results[mutation.name] = Result(outcome="not applicable", note=note)
            return False
        if mutation.file.endswith(".py"):
            try:
                compile(source, mutation.file, "exec")
            except SyntaxError as error:
                note = f"the mutated file does not compile: {error}"
                self.results[mutation.name] = Result(outcome="broken", note=note)
                return False
        return True

    def unmutated_runs(self) -> list[Run]:
        """The killers, to be run without a mutation: those of a file together."""
        killers = {result.killer for result in self.results.values() if result.killer}
        together: dict[str, list[str]] = defaultdict(list)
        for killer in sorted(killers):
            if len(killer) == 1:
                together[killer[0].split("::")[0]].append(killer[0])
        runs = [Run(tests=tuple(tests)) for tests in together.values()]
        return runs + [Run(tests=killer) for killer in sorted(killers) if len(killer) > 1]

    def run(self, num_jobs: int, folder: Path) -> None:
        """Run everything in the queue, `num_jobs` at a time."""
        idle = [Copy(self.root, folder / str(job)) for job in range(num_jobs)]
        self.run_queue(idle)
        self.queue.extend(self.unmutated_runs())
        self.run_queue(idle)

    def run_queue(self, idle: list[Copy]) -> None:
        """Run what is in the queue, one run at a time in each copy."""
        running: list[Running] = []
        try:
            while self.queue or running:
                while self.queue and idle:
                    running.append(self.begin(self.queue.popleft(), idle.pop()))
                for job in list(self.ended(running)):
                    running.remove(job)
                    idle.append(job.copy)
                    self.report(job, len(running))
        finally:
            for job in running:
                job.stop()

    def begin(self, run: Run, copy: Copy) -> Running:
        """Fork a process for a run."""
        copy.clear()
        if run.mutation is not None:
            copy.apply(run.mutation)
        process = multiprocessing.get_context("fork").Process(
            target=copy.run_tests,
            args=(run.tests,),
            kwargs={"to_the_end": run.mutation is None},
        )
        process.start()
        return Running(run=run, copy=copy, process=process, start=time.monotonic())

    def ended(self, running: list[Running]) -> Iterator[Running]:
        """Wait for a run to end or to take too long; note and yield those that did."""
        left = min(job.start for job in running) + self.timeout - time.monotonic()
        connection.wait([job.process.sentinel for job in running], timeout=max(0.0, left))
        for job in running:
            seconds = time.monotonic() - job.start
            is_alive = job.process.is_alive()
            if is_alive and seconds < self.timeout:
                continue
            job.stop()
            self.note(job, seconds, None if is_alive else job.process.exitcode)
            if job.run.mutation is not None:
                job.copy.restore(job.run.mutation, self.root)
            yield job

    def note(self, job: Running, seconds: float, code: int | None) -> None:
        """Take down how a run ended; the code is None where it took too long."""
        failures, mutation = job.copy.failures(), job.run.mutation
        ending = f"still running after {seconds:.0f} s" if code is None else job.copy.last_line()
        if mutation is not None:
            outcome, note, killer = judge(mutation, code, failures, ending)
            self.results[mutation.name] = Result(
                outcome=outcome, note=note, seconds=seconds, killer=killer
            )
        elif code == pytest.ExitCode.TESTS_FAILED:
            self.red |= dict.fromkeys(failures, "fails")
        elif code != pytest.ExitCode.OK:
            self.red |= dict.fromkeys(job.run.tests, ending)

    def result(self, mutation: Mutation) -> Result:
        """What became of a mutation; where its killer fails without it too, nothing is known."""
        result = self.results.get(mutation.name, Result(outcome="not run"))
        red = [
            test
            for test in self.red
            for killer in result.killer
            if test == killer or test.startswith(f"{killer}::")
        ]
        if red:
            note = f"without the mutation: {red[0]}: {self.red[red[0]]}"
            return replace(result, outcome="broken", note=note)
        return result

    def report(self, job: Running, num_running: int) -> None:
        """A line of progress, with the time left at the speed so far."""
        self.num_ended += 1
        num_left = len(self.queue) + num_running
        total = self.num_ended + num_left
        minutes = (time.monotonic() - self.start) / 60
        left = minutes / self.num_ended * num_left
        mutation, seconds = job.run.mutation, time.monotonic() - job.start
        outcome = "unmutated" if mutation is None else self.result(mutation).outcome
        print(
            f"[{self.num_ended:3}/{total}] {outcome:14} {job.run.label:50} {seconds:4.0f} s"
            f"  {left:3.0f} min left",
            flush=True,
        )

    def table(self) -> str:
        """A row per mutation, and how many of each there are; the good ones come first."""
        rows = [(self.result(mutation), mutation) for mutation in self.mutations]
        rows.sort(key=lambda row: OUTCOMES.index(row[0].outcome))  # stable: rooms stay together
        lines = [f"| {'result':14} | {'room':10} | {'mutation':36} |    s | note |"]
        lines.append("|---|---|---|---|---|")
        for result, mutation in rows:
            note = textwrap.shorten(result.note, 160, placeholder=" ...")
            cells = f"| {result.outcome:14} | {mutation.room:10} | {mutation.name:36} "
            lines.append(f"{cells}| {result.seconds:4.0f} | {note} |")
        outcomes = [result.outcome for result, _ in rows]
        counts = [f"{outcomes.count(o)} {o}" for o in OUTCOMES if o in outcomes]
        minutes = (time.monotonic() - self.start) / 60
        lines.append(f"\n{len(rows)} mutations: {', '.join(counts)}; {minutes:.1f} minutes")
        return "\n".join(lines)

    def is_good(self) -> bool:
        """Whether every mutation was killed or is allowed to live."""
        return all(self.result(mutation).outcome in ACCEPTED for mutation in self.mutations)


def preload(modules: Iterable[str]) -> None:
    """Import what all runs need, once; what is not installed is left to the tests."""
    for module in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    gc.freeze()  # pytest collects garbage as it ends, which need not search the libraries


def main(argv: list[str], root: Path = ROOT, *, timeout: float = TIMEOUT) -> int:
    """Run the mutations that are asked for; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("wanted", nargs="*", metavar="NAME|ROOM", help="all where none is named")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time")
    options = parser.parse_args(argv)
    try:
        mutations = choose(read_lists(root / "scripts" / "mutations"), options.wanted)
    except (ListError, tomllib.TOMLDecodeError) as error:
        print(error, file=sys.stderr)
        return 2
    os.environ["OMP_NUM_THREADS"] = "1"  # the models of the tests are tiny
    preload(PRELOADED)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    session = Session(root, mutations, timeout=timeout)
    with tempfile.TemporaryDirectory(prefix="mutate-", ignore_cleanup_errors=True) as folder:
        try:
            session.run(max(1, options.jobs), Path(folder))
        except KeyboardInterrupt:
            print("\ninterrupted; this is what is known so far")
    print(session.table())
    return 0 if session.is_good() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
