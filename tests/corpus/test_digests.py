"""Digests of files are kept, and files are read again when they have changed."""

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvae.corpus import digests
from seqvae.corpus.digests import KEPT, ROW, Digests


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Files of a day ago."""
    paths = [tmp_path / name for name in "cab"]
    for path in paths:
        path.write_text(f"in {path.name}", encoding="utf-8")
    return paths


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read; the clock says that it is tomorrow."""
    names: list[str] = []

    def file_digest(opened: Any, algorithm: str) -> Any:
        names.append(Path(opened.name).name)
        return hashlib.new(algorithm, opened.read())

    now = digests.time.time()
    monkeypatch.setattr(digests.hashlib, "file_digest", file_digest)
    monkeypatch.setattr(digests.time, "time", lambda: now + 86_400)
    return names


def test_digests_are_those_of_the_bytes_in_order(files: list[Path], read: list[str]) -> None:
    expected = [hashlib.sha256(path.read_bytes()).digest()[:16] for path in files]
    assert Digests().of(files) == b"".join(expected)
    assert Digests().of([files[1], *files, files[1]]) == b"".join(
        [expected[1], *expected, expected[1]]
    )
    assert Digests().of([]) == b""


def test_what_a_folder_keeps_is_not_read_again(
    files: list[Path], read: list[str], tmp_path: Path
) -> None:
    first = Digests(tmp_path)
    told = first.of(files[:2])
    assert first.has_new
    first.keep(tmp_path)
    again = Digests(tmp_path)
    assert again.of(files[:2]) == told
    assert (read, again.has_new) == (["c", "a"], False)
    again.of(files)
    assert (read, again.has_new) == (["c", "a", "b"], True)


def test_a_file_that_changed_is_read_again(
    files: list[Path], read: list[str], tmp_path: Path
) -> None:
    first = Digests()
    told = first.of(files)
    first.keep(tmp_path)
    then = files[1].stat().st_mtime_ns
    files[1].write_text("IN a", encoding="utf-8")  # as long as before
    os.utime(files[1], ns=(then, then))
    assert Digests(tmp_path).of(files) != told
    assert read == ["c", "a", "b", "a"]


def test_a_file_that_has_just_been_written_is_not_kept(
    files: list[Path], read: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests.time, "time", lambda: files[0].stat().st_mtime + 1)
    first = Digests()
    first.of(files)
    assert not first.has_new
    first.keep(tmp_path)
    Digests(tmp_path).of(files)
    assert read == ["c", "a", "b"] * 2


def test_what_cannot_be_read_has_no_digest_and_is_not_kept(files: list[Path]) -> None:
    known = Digests()
    assert known.of([files[0].with_name("gone"), files[0].parent]) == b"\0" * 32
    assert not known.has_new


def open_header() -> bytes:
    """An array whose header does not end."""
    content = io.BytesIO()
    np.save(content, np.zeros(3, ROW))
    return content.getvalue().replace(b"}", b" ")


@pytest.mark.parametrize(
    "content",
    [b"", b"no array", open_header(), np.zeros(3, ROW), np.zeros(3), np.zeros((2, 2), ROW)],
    ids=["empty", "text", "open header", "unsorted", "numbers", "table"],
)
def test_a_damaged_file_of_digests_is_as_good_as_none(
    files: list[Path], tmp_path: Path, content: Any
) -> None:
    if isinstance(content, bytes):
        (tmp_path / KEPT).write_bytes(content)
    else:
        np.save(tmp_path / KEPT, content)
    assert Digests(tmp_path).of(files) == Digests().of(files)
