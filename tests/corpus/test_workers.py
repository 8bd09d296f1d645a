"""Worker processes that read files, and what may happen to them."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deadly import read

from seqvae.corpus import workers
from seqvae.corpus.workers import in_order, read_files
from seqvae.errors import InputError

ROOT = Path(__file__).parents[2]


def write_words(folder: Path, words: list[str]) -> list[Path]:
    for number, word in enumerate(words):
        (folder / f"{number:02d}").write_text(word)
    return sorted(folder.iterdir())


def results_of(paths: list[Path], num_workers: int | None) -> list[str]:
    """Results in the order of the paths, of which each comes once."""
    results: dict[int, str] = {}

    def take(index: int, result: str) -> None:
        assert index not in results
        results[index] = result

    read_files(read, paths, num_workers, refuse=lambda reason: f"refused: {reason}", take=take)
    return [results[i] for i in range(len(paths))]


def test_what_kills_a_worker_costs_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "FILES_PER_TASK", 4)
    monkeypatch.setattr(workers, "CPU_SECONDS_PER_FILE", 0.2)
    words = [f"word {i}" for i in range(14)]
    words[2], words[3], words[4] = "kill", "abort", "exit"
    words[9], words[12] = "compute", "allocate"
    expected = words.copy()
    expected[2:5] = ["refused: crashed the reader"] * 3
    expected[9] = "refused: took longer than 0.2 s of processor time"
    expected[12] = "no memory"
    assert results_of(write_words(tmp_path, words), num_workers=2) == expected


def test_a_file_that_waits_for_ever_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(workers, "SECONDS_PER_TASK", 0.1)
    results = results_of(write_words(tmp_path, ["wait"]), num_workers=1)
    assert results == ["refused: took longer than 0.1 s"]


def test_a_bug_keeps_its_traceback_and_leaves_no_process(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        results_of(write_words(tmp_path, ["divide"]), num_workers=1)
    assert "return str(1 / 0)" in caught.value.__notes__[0]
    assert multiprocessing.active_children() == []


def test_no_workers_read_in_this_process(tmp_path: Path) -> None:
    assert results_of(write_words(tmp_path, ["where", "a"]), 0) == [str(os.getpid()), "a"]
    assert results_of([], 0) == results_of([], None) == []


@pytest.mark.parametrize(
    ("num_workers", "num_files", "expected"), [(None, 40, 5), (3, 40, 3), (3, 9, 2), (7, 1, 1)]
)
def test_no_more_workers_than_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    num_workers: int | None, num_files: int, expected: int,
) -> None:  # fmt: skip
    num_started: list[int] = []

    class Stopped(Exception):
        pass

    def heard(started: list[Any]) -> None:
        num_started.append(len(started))
        raise Stopped

    monkeypatch.setattr(workers, "_heard", heard)
    monkeypatch.setattr(workers, "FILES_PER_TASK", 8)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    with pytest.raises(Stopped):
        results_of([tmp_path] * num_files, num_workers)
    assert num_started == [expected]
    assert multiprocessing.active_children() == []


def test_a_worker_gets_its_next_files_after_the_last_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So memory does not grow with the collection, nor what is sent with its square."""
    events: list[int] = []
    begin = workers._Worker.begin

    def watched(self: Any, task: range, paths: Any) -> None:
        events.append(-len(task))
        begin(self, task, paths)

    monkeypatch.setattr(workers._Worker, "begin", watched)
    monkeypatch.setattr(workers, "FILES_PER_TASK", 3)
    paths = write_words(tmp_path, [f"word {i}" for i in range(8)])
    read_files(read, paths, 1, refuse=str, take=lambda index, _: events.append(index))
    assert events == [-3, 0, 1, 2, -3, 3, 4, 5, -2, 6, 7]


def test_a_worker_that_dies_between_two_tasks_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system may kill any process, such as for want of memory."""
    monkeypatch.setattr(workers, "FILES_PER_TASK", 1)
    receive, num_killed = workers._Worker.receive, 0

    def killing(self: Any) -> list[str]:
        nonlocal num_killed
        results = receive(self)
        if self.is_idle and num_killed < 2:
            num_killed += 1
            self.process.kill()
            self.process.join()
        return results

    monkeypatch.setattr(workers._Worker, "receive", killing)
    words = [f"word {i}" for i in range(6)]
    assert results_of(write_words(tmp_path, words), num_workers=1) == words


def test_processes_that_cannot_start_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: Any) -> None:
        raise OSError("Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", start)
    message = r"worker processes cannot run here \(Resource temporarily unavailable\); if this is"
    with pytest.raises(InputError, match=message):
        results_of([tmp_path / "a", tmp_path / "b"], num_workers=2)


SCRIPT = """\
from pathlib import Path
from seqvae.corpus.workers import in_order, read_files

read_files(len, [Path("a")] * 99, 2, refuse=str, take=print)
"""


def test_a_script_without_a_main_guard_is_told_so_once(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.splitlines()[-1].startswith(
        "seqvae.errors.InputError: worker processes cannot run here (exit code 1); if this "
        'is a script, put its calls under if __name__ == "__main__", or set data.num_workers to 0'
    )


ORPHANS = """\
import os, signal
from pathlib import Path
from deadly import read
from seqvae.corpus import workers

def take(index, result):
    os.kill(os.getpid(), signal.SIGKILL)

workers.FILES_PER_TASK = 1
workers.read_files(read, sorted(Path("files").iterdir()), 2, refuse=str, take=take)
"""


def test_workers_end_with_their_parent_also_in_the_middle_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    write_words(tmp_path / "files", ["wait", "a word"])
    process = subprocess.Popen(
        [sys.executable, "-c", ORPHANS], cwd=tmp_path, stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )  # fmt: skip
    process.communicate(timeout=60)  # until all that share its output have ended
    assert process.returncode == -signal.SIGKILL


# Items in order


def test_results_come_in_the_order_of_the_items(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "NUM_AT_HOME", 1)
    words = ["where", "where", "hear", "tell", *(f"word {i}" for i in range(20)), "where"]
    results = [*in_order(read, iter(write_words(tmp_path, words)), 2)]
    assert results[0] == str(os.getpid())
    assert {results[1], results[-1]}.isdisjoint({str(os.getpid())})
    assert results[2:-1] == words[2:-1]
    assert multiprocessing.active_children() == []


def test_items_are_made_as_they_are_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "NUM_AT_HOME", 2)
    (path,) = write_words(tmp_path, ["word"])
    num_made = 0

    def endless() -> Iterator[Path]:
        nonlocal num_made
        while True:
            num_made += 1
            yield path

    results = in_order(read, endless(), 1)
    for num_taken in range(1, 30):
        assert next(results) == "word"
        assert num_made <= num_taken + 6  # those that workers are ahead, and the next one
    results.close()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("num_workers", [0, 2])
def test_few_items_start_no_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_workers: int
) -> None:
    monkeypatch.delattr(workers, "_Worker")
    monkeypatch.setattr(workers, "NUM_AT_HOME", 3 if num_workers else 0)
    words = ["a", "where", "b"]
    paths = write_words(tmp_path, words)
    assert [*in_order(read, paths, num_workers)] == ["a", str(os.getpid()), "b"]


def test_an_item_that_kills_a_worker_ends_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "NUM_AT_HOME", 0)
    paths = write_words(tmp_path, ["a", "b", "kill", "c", "d"])
    with pytest.raises(InputError, match="a block of lines crashed the reader; leave out very"):
        [*in_order(read, paths, 2)]
    assert multiprocessing.active_children() == []
