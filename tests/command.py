"""A command of the line, run in the process of the test."""

import sys

import pytest

from seqvae import cli


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of a command in this process."""
    monkeypatch.setattr(sys, "argv", ["seqvae", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    return 0
