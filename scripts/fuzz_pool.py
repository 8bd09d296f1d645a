"""Trials in forked processes: each has a seed, a folder, limits of time and memory, an outcome."""

import contextlib
import io
import json
import os
import random
import resource
import selectors
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarking import Row, markdown

from seqvae import cli

MAX_LINE = 300  # characters of a message
MAX_BYTES = 2**32  # of memory that a trial may take beyond what it begins with
TRIALS_PER_PROCESS = 25


class Fell(Exception):
    """What happened that must not."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended."""

    number: int
    kind: str
    """one line, unharmed, or fell."""
    about: str


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """Trials of one kind."""

    about: str
    count: int
    """Trials of the large form."""
    small: int
    """Trials of the small form, which is a test."""
    seconds: float
    """That a trial may take, by the clock."""
    trial: Callable[[random.Random, Path, Path], str]
    """Gets its randomness, the base and a folder of its own; returns the one line, or nothing."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def judged(self) -> str:
        """The one line of an error, or nothing where all went well.

        Raises:
            Fell: it ended in another way.
        """
        lines = [line for line in self.err.splitlines() if line.startswith("seqvae: error: ")]
        if "Traceback" in self.err or self.code not in (0, 2):
            raise Fell(f"code {self.code}: {self.err.strip()[-300:]}")
        if len(lines) != (self.code == 2) or any(len(line) > MAX_LINE + 15 for line in lines):
            raise Fell(f"code {self.code} with these lines: {lines}")
        if any(word in self.err for word in ("allocate", "not enough memory")):
            raise Fell(f"it asked for too much memory: {lines}")
        return lines[0] if lines else ""


def command(*words: object) -> Ended:
    """A command of seqvae in this process."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    before = sys.argv
    sys.argv = ["seqvae", *map(str, words)]
    out.fileno = lambda: 1  # type: ignore[method-assign]  # what a closed pipe would be muted by
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            code = 1
            traceback.print_exc()
        finally:
            sys.argv = before
    return Ended(code, out.getvalue(), err.getvalue())


def run_trials(
    campaign: Campaign, base: Path, log: Path, *, seed: int, count: int, processes: int
) -> list[Outcome]:
    """Outcomes of all trials below `count`; those that the log has are not run again."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch()
    lines = log.read_text(encoding="utf-8").splitlines()
    done = {each.number: each for each in (Outcome(**json.loads(line)) for line in lines)}
    left = [number for number in range(count) if number not in done]
    chunks = [left[i : i + TRIALS_PER_PROCESS] for i in range(0, len(left), TRIALS_PER_PROCESS)]
    with log.open("a", encoding="utf-8") as kept:
        for outcome in _in_processes(campaign, base, chunks, seed=seed, processes=processes):
            done[outcome.number] = outcome
            kept.write(json.dumps(asdict(outcome)) + "\n")
            kept.flush()
    return [done[number] for number in sorted(done) if number < count]


@dataclass
class _Process:
    """A process with the trials that it has not finished."""

    pid: int
    pipe: int
    left: list[int]
    heard: float
    buffer: bytes = b""


def _in_processes(
    campaign: Campaign, base: Path, chunks: list[list[int]], *, seed: int, processes: int
) -> Iterator[Outcome]:
    """Outcomes as they come. A trial that kills its process, or hangs, costs itself alone."""
    chunks = [chunk for chunk in chunks if chunk][::-1]
    running: dict[int, _Process] = {}
    with selectors.DefaultSelector() as heard:
        try:
            while chunks or running:
                while chunks and len(running) < processes:
                    process = _start(campaign, base, chunks.pop(), seed)
                    running[process.pipe] = process
                    heard.register(process.pipe, selectors.EVENT_READ)
                for key, _ in heard.select(1.0):
                    process = running[key.fd]
                    content = os.read(process.pipe, 2**16)
                    process.heard = time.monotonic()
                    *lines, process.buffer = (process.buffer + content).split(b"\n")
                    for line in lines:
                        outcome = Outcome(**json.loads(line))
                        process.left.remove(outcome.number)
                        yield outcome
                    if not content:
                        heard.unregister(process.pipe)
                        del running[process.pipe]
                        status = _end(process)
                        if process.left:
                            yield Outcome(process.left.pop(0), "fell", f"ended with {status}")
                            chunks.append(process.left)
                            chunks = [chunk for chunk in chunks if chunk]
                for process in running.values():
                    if time.monotonic() - process.heard > campaign.seconds:
                        _kill(process.pid)
        finally:
            for process in running.values():
                _kill(process.pid)
                _end(process)


def _start(campaign: Campaign, base: Path, numbers: list[int], seed: int) -> _Process:
    pipe, remote = os.pipe()
    if pid := os.fork():
        os.close(remote)
        return _Process(pid, pipe, [*numbers], time.monotonic())
    try:
        os.close(pipe)
        os.setsid()
        _limit_memory()
        silence = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(silence, descriptor)
        for number in numbers:
            outcome = trial_alone(campaign, base, seed=seed, number=number)
            os.write(remote, (json.dumps(asdict(outcome)) + "\n").encode())
    finally:
        os._exit(0)


def _kill(pid: int) -> None:
    """End a process and what it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _end(process: _Process) -> str:
    os.close(process.pipe)
    _kill(process.pid)  # what it left behind
    code = os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1])
    return f"code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
    limit = pages * resource.getpagesize() + MAX_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def trial_alone(campaign: Campaign, base: Path, *, seed: int, number: int) -> Outcome:
    """One trial in this process, in a folder of its own."""
    here = Path.cwd()
    folder = Path(tempfile.mkdtemp(prefix="fuzz"))
    try:
        os.chdir(folder)
        line = campaign.trial(random.Random(f"{seed} {number}"), base, folder)
        return Outcome(number, "one line" if line else "unharmed", line)
    except Fell as fall:
        return Outcome(number, "fell", str(fall))
    except Exception:  # whatever a user would see as a traceback
        return Outcome(number, "fell", traceback.format_exc()[-1500:])
    finally:
        os.chdir(here)
        shutil.rmtree(folder, ignore_errors=True)


def table(rows: list[Row]) -> str:
    """The campaigns, and how their trials ended."""
    header = ["campaign", "what is done", "tried", "one line", "unharmed", "fell"]
    columns = ("tried", "one_line", "unharmed", "fell")
    return markdown(
        header,
        [
            [f"`{row['name']}`", row["about"], *(f"{row[name]:,}" for name in columns)]
            for row in rows
        ],
    )
