"""A temporary copy of the tree, for tests that run while a line of it is changed."""

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from mutation import Mutation

COPIED = ("seqvae", "tests", "scripts", "configs", "data", "pyproject.toml", "README.md")


class Failures:
    """A plugin of pytest that writes down at once which tests fail."""

    def __init__(self, file: Path) -> None:
        """`file` takes a line per failure."""
        self.file = file
        file.write_text("", encoding="utf-8")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test failed, or what it needs."""
        self.note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file cannot be imported."""
        self.note(report)

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Write the name of a test that failed."""
        if report.failed:
            with self.file.open("a", encoding="utf-8") as opened:
                opened.write(f"{report.nodeid}\n")


class Copy:
    """A temporary copy of the tree, in which one run takes place at a time."""

    def __init__(self, root: Path, folder: Path) -> None:
        """Copy `root` to `folder`/tree; the real data, beside the root, are linked."""
        self.root, self.scratch = folder / "tree", folder / "scratch"
        self.log, self.failed = folder / "log", folder / "failed"
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
        file.write_text(source, encoding="utf-8")
        self.stamp += 1
        os.utime(file, (self.stamp, self.stamp))

    def restore(self, mutation: Mutation, root: Path) -> None:
        """Put the file of the original tree back."""
        shutil.copy2(root / mutation.file, self.root / mutation.file)

    def run_tests(self, tests: tuple[str, ...], *, to_the_end: bool) -> None:
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
        flags = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--basetemp", str(self.scratch)]
        flags += [] if to_the_end else ["-x"]
        code = pytest.main([*flags, *tests], plugins=[Failures(self.failed)])
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    def clear(self) -> None:
        """Forget the run before."""
        self.log.unlink(missing_ok=True)
        self.failed.unlink(missing_ok=True)

    def failures(self) -> list[str]:
        """The tests that failed in the last run."""
        return self.failed.read_text(encoding="utf-8").splitlines() if self.failed.exists() else []

    def last_line(self) -> str:
        """How pytest ended."""
        lines = (
            self.log.read_text(errors="replace", encoding="utf-8").splitlines()
            if self.log.exists()
            else []
        )
        return next(filter(None, reversed(lines)), "no output")
