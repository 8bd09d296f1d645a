"""Writing: whole or not at all, by one process at a time; what dead processes leave is removed."""

import contextlib
import errno
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from full_disk import full_disk

from seqvae import disk
from seqvae.disk import (
    naming,
    only_writer,
    remove_leftovers,
    replaced_file,
    replaced_folder,
    require_folder,
    write_file,
    write_json,
    writing_to,
)
from seqvae.errors import InputError


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@contextlib.contextmanager
def child(work: str, place: Path) -> Iterator[int]:
    """A forked process that has begun to write to a place, and writes until it is killed."""
    ready, tell = os.pipe()
    pid = os.fork()
    if not pid:
        with getattr(disk, work)(place):
            os.write(tell, b"!")
            signal.pause()
    os.close(tell)
    assert os.read(ready, 1) == b"!"
    os.close(ready)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_numbers_that_json_has_no_words_for_are_null(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": [1.5, (float("nan"), -float("inf"))], "b": "Infinity"})
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "a": [1.5, [None, None]],
        "b": "Infinity",
    }


def test_a_file_is_replaced_and_its_folder_is_made(tmp_path: Path) -> None:
    for content in ("ä\r\n", b"\x00new"):
        write_file(tmp_path / "a/b/file", content)
        expected = content.encode() if isinstance(content, str) else content
        assert (tmp_path / "a/b/file").read_bytes() == expected
    assert names(tmp_path / "a/b") == {"file"}
    assert (tmp_path / "a/b/file").stat().st_mode & 0o777 == 0o644


def test_what_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    write_file(tmp_path / "file", "old")
    for file in ("file", "new/file"):
        stopped = pytest.raises(KeyboardInterrupt)
        with stopped, replaced_file(tmp_path / file) as beside:
            beside.write_text("half")
            raise KeyboardInterrupt
    assert names(tmp_path) == {"file"}
    assert (tmp_path / "file").read_text() == "old"


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path: Path) -> None:
    write_file(tmp_path / "file", "old")
    with full_disk(100), pytest.raises(OSError, match="File too large") as caught:
        write_file(tmp_path / "file", "x" * 200)
    assert caught.value.filename == str(tmp_path / "file")
    assert caught.value.errno == errno.EFBIG
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == {"file"}


def test_a_folder_in_the_place_of_a_file_and_the_reverse_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder/inner").mkdir(parents=True)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(IsADirectoryError) as caught:
        write_file(tmp_path / "folder", "x")
    assert caught.value.filename == str(tmp_path / "folder")
    with pytest.raises(NotADirectoryError) as caught, replaced_folder(tmp_path / "file"):
        pass
    assert caught.value.filename == str(tmp_path / "file")
    with pytest.raises(NotADirectoryError) as caught:
        write_file(tmp_path / "file/inner", "x")
    assert caught.value.filename == str(tmp_path / "file/inner")
    assert (tmp_path / "file").read_text() == "mine"
    assert names(tmp_path) == {"folder", "file"}


def test_links_are_followed_and_devices_written_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere/file")
    write_file(tmp_path / "link", "text")
    assert (tmp_path / "elsewhere/file").read_text() == "text"
    assert (tmp_path / "link").is_symlink()
    write_file(Path(os.devnull), "text")
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize("name", ["x" * 250, "音" * 80])
def test_names_may_be_as_long_as_the_system_allows(tmp_path: Path, name: str) -> None:
    write_file(tmp_path / name, "text")
    with only_writer(tmp_path / f"{name}y"), replaced_folder(tmp_path / f"{name}y"):
        pass
    assert names(tmp_path) == {name, f"{name}y"}


def test_a_replaced_folder_keeps_nothing_of_the_old_one(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with replaced_folder(tmp_path / "folder") as beside:
            assert beside.parent == tmp_path
            (beside / name).write_text(name)
    assert names(tmp_path) == {"folder"}
    assert names(tmp_path / "folder") == {"new"}
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("work", ["replaced_file", "replaced_folder", "only_writer"])
def test_what_the_dead_left_is_removed_and_what_the_living_make_is_not(
    tmp_path: Path, work: str
) -> None:
    place = tmp_path / "place"
    others = {".place.backup", ".place.b.0123abcd.partial", "place.partial", ".placed.1.partial"}
    for name in others:
        (tmp_path / name).touch()
    with child(work, place):
        made = names(tmp_path) - others
        assert len(made) == 1
        remove_leftovers(place)
        assert names(tmp_path) == others | made
    assert names(tmp_path) == others | made  # it was killed
    with only_writer(place), replaced_folder(place):
        pass
    assert names(tmp_path) == others | {"place"}


def test_a_folder_whose_replacement_was_killed_half_way_comes_back(tmp_path: Path) -> None:
    old = tmp_path / ".place.0123abcd.old"
    old.mkdir()
    (old / "file").write_text("whole")
    (tmp_path / ".place.0123abcd.partial").mkdir()
    remove_leftovers(tmp_path / "place")
    assert names(tmp_path) == {"place"}
    assert (tmp_path / "place/file").read_text() == "whole"


def test_a_second_writer_is_told_who_the_first_is(tmp_path: Path) -> None:
    place = tmp_path / "runs/one"
    with child("only_writer", place) as pid:
        message = rf"one: process {pid} on \S+ is writing there; wait"
        with pytest.raises(InputError, match=message), only_writer(place):
            pytest.fail("two at once")
        with only_writer(tmp_path / "runs/two"):
            pass
    with only_writer(place):  # it is dead
        assert names(tmp_path / "runs") == {".one.lock"}
    assert names(tmp_path / "runs") == set()


def test_links_to_one_place_have_one_writer(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    refused = pytest.raises(InputError, match="is writing there")
    with only_writer(tmp_path / "real/x"), refused, only_writer(tmp_path / "link/x"):
        pytest.fail("two at once")
    refused = pytest.raises(InputError, match="is writing there")
    with only_writer(tmp_path / "real"), refused, only_writer(tmp_path / "link"):
        pytest.fail("two at once")


def test_writers_that_wait_write_one_after_the_other(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.touch()
    children = []
    for _ in range(10):
        if not (pid := os.fork()):
            with only_writer(tmp_path / "place", wait=True):
                lines.write_text(lines.read_text() + "x")
            os._exit(0)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 10
    assert lines.read_text() == "x" * 10
    assert names(tmp_path) == {"lines"}


def test_where_there_are_no_locks_writing_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    (tmp_path / ".place.0123abcd.partial").touch()  # nobody can tell whose this is
    with only_writer(tmp_path / "place"), replaced_folder(tmp_path / "place"):
        pass
    assert names(tmp_path) == {"place", ".place.0123abcd.partial"}


def test_a_folder_that_cannot_be_written_to_is_named_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_folder(tmp_path)
    require_folder(tmp_path / "a/b")
    (tmp_path / "file").touch()
    for name in ("file", "file/x"):
        with pytest.raises(NotADirectoryError, match=f"Not a directory: .*{name}'"):
            require_folder(tmp_path / name)
    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_RDONLY))
        with pytest.raises(OSError, match=r"Read-only file system: .*a/b'"):
            require_folder(tmp_path / "a/b")
    monkeypatch.setattr(os, "access", lambda path, how: False)
    with pytest.raises(PermissionError, match="a/b'"):
        require_folder(tmp_path / "a/b")


def test_where_no_lock_can_be_made_nobody_tries_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in /proc, where a folder is that holds nothing new."""

    asked: list[Path] = []

    def opened(file: Path, *_: int) -> int:
        asked.append(file)
        assert len(asked) < 1000
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))

    monkeypatch.setattr(os, "open", opened)
    with pytest.raises(FileNotFoundError, match=r"place'$"), only_writer(tmp_path / "place"):
        pass


def test_an_error_of_a_place_that_is_written_to_says_the_remedy(tmp_path: Path) -> None:
    place = tmp_path / "folder/out.txt"
    for named in (place, place.parent, place / "below"):
        error = OSError(errno.EACCES, "Denied", str(named))
        with (
            pytest.raises(InputError, match=rf"^{named}: cannot be written to \(Denied\); help$"),
            writing_to(place, "help"),
        ):
            raise error
    for other in (OSError(errno.EACCES, "Denied", str(tmp_path / "read.mid")), BrokenPipeError()):
        with pytest.raises(OSError) as caught, writing_to(place, "help"):  # noqa: PT011 (checked below)
            raise other
        assert caught.value is other


def test_errors_that_name_another_file_keep_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"/other'$"), naming(tmp_path / "place"):
        (tmp_path / "other").read_text()
    with pytest.raises(OSError, match=r"/place'$"), naming(tmp_path / "place"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match=r"/place'$"), naming(tmp_path / "place", tmp_path / "other"):
        (tmp_path / "other/inner").read_text()


def test_a_lock_ends_with_its_block_also_for_processes_that_were_forked_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, lock = threading.Event(), disk._lock

    def noted(descriptor: int, *, wait: bool = False) -> bool:
        if wait:
            waiting.set()
        return lock(descriptor, wait=wait)

    def write_next() -> None:
        with only_writer(tmp_path / "place", wait=True):
            pass

    monkeypatch.setattr(disk, "_lock", noted)
    follower = threading.Thread(target=write_next, daemon=True)
    with only_writer(tmp_path / "place"):
        if not (pid := os.fork()):
            signal.pause()
        follower.start()
        assert waiting.wait(30)
    try:
        follower.join(30)
        assert not follower.is_alive()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
