"""Mutation tests of the wiring: change one line, run the tests named for it, expect a failure.

The lists in `scripts/mutations`, one a room, hold the mutations. Each is applied alone, in a
temporary copy of the tree, and its tests must then fail:

    python scripts/mutate.py                      # all of them
    python scripts/mutate.py pages kl_factor      # a room, and a mutation by its name

The named tests are run once without any mutation first, so that a test that always fails is not
taken for a good one. Every run is a fork of one process that has imported the heavy libraries.
Exit code 1 says that a mutation survived without a stated reason, or could not be tried.
"""

import argparse
import contextlib
import importlib
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import textwrap
import time
import tomllib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest
from mutation import ListError, Mutation, choose, read_lists

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("seqvae", "tests", "scripts", "configs", "data", "pyproject.toml", "README.md")

# The heavy libraries that every run needs. Plugins of pytest are not among them: it warns of those
# that were imported before it could rewrite their assertions.
PRELOADED = (
    "lightning.pytorch", "torch.utils.data", "numpy", "pretty_midi", "symusic", "sentencepiece",
    "sacrebleu", "safetensors.torch", "jsonargparse", "yaml", "tqdm", "beartype",
)  # fmt: skip

TIMEOUT = 300.0  # seconds; the tests of one mutation take some 20
ACCEPTED = ("killed", "allowed")
OUTCOMES = (*ACCEPTED, "survived", "not applicable", "broken", "not run")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of a mutation."""

    outcome: str
    note: str = ""
    seconds: float = 0.0


class Copy:
    """A temporary copy of the tree, in which one run takes place at a time."""

    def __init__(self, root: Path, folder: Path) -> None:
        """Copy `root` to `folder`/tree; the real data, beside the root, are linked."""
        self.root, self.log, self.scratch = folder / "tree", folder / "log", folder / "scratch"
        self.root.mkdir(parents=True)
        self.stamp = 0
        for name in COPIED:
            if (root / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(root / name, self.root / name, ignore=ignored)
            elif (root / name).is_file():
                shutil.copy2(root / name, self.root / name)
        if (root.parent / "shared").is_dir():
            (folder / "shared").symlink_to((root.parent / "shared").resolve())

    def apply(self, mutation: Mutation) -> None:
        """Write the mutated file; its time is new, so no bytecode of before is taken for it."""
        source = mutation.source(self.root)
        assert source is not None
        file = self.root / mutation.file
        file.write_text(source)
        self.stamp += 1
        os.utime(file, (self.stamp, self.stamp))

    def restore(self, mutation: Mutation, root: Path) -> None:
        """Put the file of the original tree back."""
        shutil.copy2(root / mutation.file, self.root / mutation.file)

    def run_tests(self, tests: tuple[str, ...]) -> None:
        """Run pytest in this process, which is a fork, and leave it with the exit code."""
        os.setpgid(0, 0)  # Ctrl-C reaches the parent alone, which stops the whole group
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        output = os.open(self.log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(output, stream.fileno())
        os.chdir(self.root)
        os.environ["PYTHONPATH"] = str(self.root)
        sys.path.insert(0, str(self.root))
        flags = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--basetemp"]
        code = pytest.main([*flags, str(self.scratch), *tests])
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    def failure(self) -> str:
        """The first test that failed in the last run, or the last line it wrote."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line]
        failed = [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
        return (failed or lines[-1:] or ["no output"])[0].split(" - ")[0]


@dataclass(frozen=True, kw_only=True)
class Run:
    """Tests to be run in a copy: unmutated, or for a mutation."""

    tests: tuple[str, ...]
    mutation: Mutation | None = None

    @property
    def label(self) -> str:
        """What the line of progress calls it."""
        if self.mutation is None:
            return "unmutated " + " ".join(self.tests)
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


def judge(mutation: Mutation, code: int | None, failure: str) -> tuple[str, str]:
    """The outcome and a note, from the exit code of the tests; None is that of a timeout."""
    if code == pytest.ExitCode.OK:
        if mutation.allowed:
            return "allowed", mutation.allowed
        return "survived", f"{mutation.file}: {mutation.old} -> {mutation.new}"
    if code in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED):
        return "broken", failure
    return "killed", failure


class Session:
    """All runs, some at a time, and what is known of the mutations so far."""

    def __init__(self, root: Path, mutations: list[Mutation], *, timeout: float = TIMEOUT) -> None:
        self.root, self.mutations, self.timeout = root, mutations, timeout
        self.results: dict[str, Result] = {}
        self.failures: dict[tuple[str, ...], str] = {}  # of the unmutated tree
        self.queue: deque[Run] = deque()
        for mutation in mutations:
            self.enqueue(mutation)
        self.queue.extend(Run(tests=m.tests, mutation=m) for m in mutations if self.is_open(m))
        self.total, self.num_ended = len(self.queue), 0
        self.start = time.monotonic()

    def enqueue(self, mutation: Mutation) -> None:
        """Plan the unmutated runs for a mutation, unless it cannot be tried at all."""
        source = mutation.source(self.root)
        if source is None:
            note = f"the text does not occur exactly once in {mutation.file}"
            self.results[mutation.name] = Result(outcome="not applicable", note=note)
            return
        if mutation.file.endswith(".py"):
            try:
                compile(source, mutation.file, "exec")
            except SyntaxError as error:
                note = f"the mutated file does not compile: {error}"
                self.results[mutation.name] = Result(outcome="broken", note=note)
                return
        runs = (Run(tests=tests) for tests in mutation.unmutated_runs())
        self.queue.extend(run for run in runs if run not in self.queue)

    def is_open(self, mutation: Mutation) -> bool:
        """Whether nothing is known of it yet."""
        return mutation.name not in self.results

    def run(self, num_jobs: int, folder: Path) -> None:
        """Run everything in the queue, `num_jobs` at a time."""
        idle = [Copy(self.root, folder / str(job)) for job in range(num_jobs)]
        running: list[Running] = []
        try:
            while self.queue or running:
                while self.queue and idle:
                    running.append(self.begin(self.queue.popleft(), idle.pop()))
                for job in list(self.ended(running)):
                    running.remove(job)
                    idle.append(job.copy)
        finally:
            for job in running:
                job.stop()

    def begin(self, run: Run, copy: Copy) -> Running:
        """Fork a process for a run."""
        if run.mutation is not None:
            copy.apply(run.mutation)
        process = multiprocessing.get_context("fork").Process(
            target=copy.run_tests, args=(run.tests,)
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
        failure = f"still running after {seconds:.0f} s" if code is None else job.copy.failure()
        mutation = job.run.mutation
        if mutation is None:
            outcome = "passed" if code == pytest.ExitCode.OK else "failed"
            if outcome == "failed":
                self.failures[job.run.tests] = failure
        else:
            outcome, note = judge(mutation, code, failure)
            self.results[mutation.name] = Result(outcome=outcome, note=note, seconds=seconds)
        self.report(f"{outcome:14} {job.run.label:50} {seconds:4.0f} s")

    def result(self, mutation: Mutation) -> Result:
        """What became of a mutation; where its tests fail without it, nothing is known."""
        for tests in mutation.unmutated_runs():
            if tests in self.failures:
                note = f"without the mutation: {self.failures[tests]}"
                return Result(outcome="broken", note=note)
        return self.results.get(mutation.name, Result(outcome="not run"))

    def report(self, line: str) -> None:
        """A line of progress, with the time left at the speed so far."""
        self.num_ended += 1
        minutes = (time.monotonic() - self.start) / 60
        left = minutes / self.num_ended * (self.total - self.num_ended)
        print(f"[{self.num_ended:3}/{self.total}] {line}  {left:3.0f} min left", flush=True)

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
