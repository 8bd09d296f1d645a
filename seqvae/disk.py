"""Files and folders: written whole or not at all, by one process at a time, and read back.

What is written is made beside its place, under a hidden name that ends in `.partial`, and renamed.
Its maker holds a lock (flock) on it, which the system releases when the process ends, however it
ends. So whoever writes there next can tell what a dead process left behind, and removes it.
"""

import contextlib
import errno
import json
import logging
import math
import os
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from tokenize import TokenError
from typing import Any

from seqvae.errors import InputError, as_type, in_words, shown

try:
    import fcntl
except ImportError:  # Windows, where nothing is locked and nobody's leftovers are removed
    fcntl = None  # type: ignore[assignment]

PARTIAL, OLD, LOCK = "partial", "old", "lock"
NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)  # of some network drives
DAMAGE = (  # what reading a damaged file may raise
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError,
    RuntimeError, SyntaxError, TypeError, ValueError, TokenError,
)  # fmt: skip
MAX_TRIES = 100  # to make a file in a folder that others may remove
MAX_NAME = 200  # bytes of a name that a hidden one takes up; most systems allow 255 in all

logger = logging.getLogger(__name__)


def write_file(file: Path, content: str | bytes) -> None:
    """Write text in UTF-8, or bytes, whole or not at all.

    Bytes of file names that are not UTF-8, which Python shows as surrogates, are written as bytes.

    Raises:
        OSError: it cannot be written; the error names the file.
    """
    with replaced_file(file) as beside:
        beside.write_bytes(
            content.encode(errors="surrogateescape") if isinstance(content, str) else content
        )


def write_json(file: Path, value: Any) -> None:
    """Write JSON. Numbers that are not finite, which it has no words for, are null.

    Raises:
        OSError: it cannot be written; the error names the file.
    """
    write_file(file, json.dumps(_finite(value), indent=2, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextlib.contextmanager
def replaced_file(file: Path) -> Iterator[Path]:
    """A new file beside `file` that takes its place when the block ends without an error.

    Links are followed; a device or a pipe is written to directly.

    Raises:
        OSError: it cannot be written; the error names the file.
    """
    place = file.resolve()
    if place.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
    if place.exists() and not place.is_file():
        with naming(file):
            yield place
        return
    with _partial(place, lambda beside: beside.touch(exist_ok=False)) as beside:
        yield beside
        beside.replace(place)


def check_replaceable(folder: Path, *marks: str) -> None:
    """Refuse to write where there is something else than nothing, or than what has these files.

    Raises:
        InputError: the place is a file, or a folder that lacks one of `marks` and is not empty.
    """
    if not folder.exists():
        return
    is_ours = folder.is_dir() and all((folder / mark).is_file() for mark in marks)
    if not is_ours and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder}: holds other files; name a new folder")


@contextlib.contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder` that takes its place when the block ends without an error.

    Raises:
        OSError: it cannot be written; the error names the folder, or a file of another place.
    """
    place = folder.resolve()
    if place.exists() and not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    with _partial(place, Path.mkdir) as beside:
        old = beside.with_suffix(f".{OLD}")
        try:
            yield beside
            if place.exists():
                place.rename(old)
            beside.rename(place)
        finally:
            if old.exists() and not place.exists():
                old.rename(place)
            _remove(old)


@contextlib.contextmanager
def only_writer(place: Path, *, wait: bool = False) -> Iterator[None]:
    """Be the only process that writes to a folder, until the block ends; leftovers are removed.

    Where the file system has no locks, nothing is checked.

    Raises:
        InputError: another process is writing there, unless told to `wait` for it.
        OSError: the folder's own folder cannot be written to; the error names the folder.
    """
    place = place.resolve()
    file = _hidden(place, LOCK)
    with _parents_of(place):
        with naming(place, file):
            descriptor = _take(file, place, wait=wait)
        try:
            remove_leftovers(place)
            yield
        finally:
            file.unlink(missing_ok=True)  # before it is released: whoever waits looks for it
            _release(descriptor)


@contextlib.contextmanager
def door(file: Path, remedy: str, *others: type[Exception]) -> Iterator[None]:
    """The way in for a file that is read back: whatever a damaged one raises becomes one line.

    `others` are exceptions of the library that reads it.

    Raises:
        InputError: the file cannot be read, or what is made of it is not as it must be.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{file}: cannot be read ({reason}); {remedy}") from error
    except (*DAMAGE, *others) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        missing = "no " if isinstance(error, KeyError) else ""
        raise InputError(f"{file}: damaged ({missing}{reason}); {remedy}") from error


def read_json(file: Path, remedy: str, **wanted: Any) -> dict[str, Any]:
    """An object of a JSON file with the values that are `wanted`, by name, each of its type.

    Raises:
        InputError: the file is damaged, or a value is missing or of another type.
    """
    with door(file, remedy):
        return fields_of(json.loads(file.read_text(encoding="utf-8")), wanted)


def fields_of(saved: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """All values of an object, those that are `wanted` as what their types say.

    Raises:
        TypeError: it is no object, or one of the values is of another type.
        KeyError: one of them is missing.
    """
    if not isinstance(saved, dict):
        raise TypeError(f"{shown(saved)} is no object with names and values")
    taken: dict[str, Any] = saved
    for name, hint in wanted.items():
        try:
            taken = taken | {name: as_type(saved[name], hint)}
        except (TypeError, ValueError, OverflowError):
            value = shown(saved[name])
            raise TypeError(f"{name} is {value}; it takes {in_words(hint)}") from None
    return taken


def require_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made or written to, before the work for it is done.

    Raises:
        OSError: it names the folder.
    """
    absolute = folder.absolute()
    nearest = next(each for each in (absolute, *absolute.parents) if each.exists())
    reason = None
    if not nearest.is_dir():
        reason = errno.ENOTDIR
    elif hasattr(os, "statvfs") and os.statvfs(nearest).f_flag & os.ST_RDONLY:
        reason = errno.EROFS
    elif not os.access(nearest, os.W_OK):
        reason = errno.EACCES
    if reason is not None:
        raise OSError(reason, os.strerror(reason), str(folder))


@contextlib.contextmanager
def writing_to(place: Path, remedy: str) -> Iterator[None]:
    """Let errors of a place that a user named, or of what is in it or above it, say the remedy.

    Raises:
        InputError: the place cannot be written to.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise
        named, ours = Path(os.fsdecode(error.filename)).resolve(), place.resolve()
        if not (named.is_relative_to(ours) or ours.is_relative_to(named)):
            raise
        reason = error.strerror or str(error)
        raise InputError(f"{error.filename}: cannot be written to ({reason}); {remedy}") from error


@contextlib.contextmanager
def naming(place: Path, *stand_ins: Path) -> Iterator[None]:
    """Let errors name this place where they name none, as for a full disk, or a stand-in of it.

    Raises:
        OSError: one was raised within the block.
    """
    try:
        yield
    except OSError as error:
        named = error.filename
        if named is None or any(Path(os.fsdecode(named)).is_relative_to(p) for p in stand_ins):
            reason = error.strerror or str(error)
            raise OSError(error.errno, reason, str(place)) from error
        raise


@contextlib.contextmanager
def _partial(place: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """Something new beside a place, which is locked as long as it is made."""
    with _parents_of(place):
        remove_leftovers(place)
        beside = _hidden(place, PARTIAL, secrets.token_hex(4))
        with naming(place, beside, beside.with_suffix(f".{OLD}")):
            try:
                make(beside)
                descriptor = os.open(beside, os.O_RDONLY) if fcntl else None
                try:
                    if descriptor is not None:
                        _lock(descriptor)
                    yield beside
                finally:
                    if descriptor is not None:
                        _release(descriptor)
            finally:
                _remove(beside)


def _hidden(place: Path, kind: str, token: str = "") -> Path:
    """A name beside a place that no listing shows."""
    name = place.name
    while len(os.fsencode(name)) > MAX_NAME:
        name = name[:-1]
    return place.with_name(".".join(["", name, *filter(None, [token]), kind]))


def remove_leftovers(place: Path) -> None:
    """Remove what dead processes left beside a place; what they had moved away goes back."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError):  # a folder that nobody can write to has none, or keeps them
        for path in sorted(place.parent.iterdir()):
            if _is_leftover(path, place):
                _remove_unlocked(path, place)


def _is_leftover(path: Path, place: Path) -> bool:
    """Whether a name is one that this module makes beside a place."""
    if path.name == _hidden(place, LOCK).name:
        return True
    start, num_dots = _hidden(place, "").name, _hidden(place, PARTIAL, "token").name.count(".")
    ours = path.name.startswith(start) and path.name.count(".") == num_dots
    return ours and path.name.rpartition(".")[2] in (PARTIAL, OLD)


def _remove_unlocked(path: Path, place: Path) -> None:
    """Remove a leftover unless a process holds it; what was moved away goes back to its place."""
    with contextlib.suppress(OSError):  # somebody else was faster, or may not
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.name.endswith(OLD) and not place.exists():
                path.rename(place)
            else:
                _remove(path)
        finally:
            os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _take(file: Path, place: Path, *, wait: bool) -> int:
    """Create and lock a lock file that says whose it is."""
    tries = 0
    while True:
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # the one before took its empty folder away
            tries += 1
            if tries > MAX_TRIES:  # or nothing can be made here, as in /proc
                raise
            file.parent.mkdir(parents=True, exist_ok=True)
            continue
        try:
            if not _lock(descriptor):
                owner = os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"
                if not wait:
                    raise InputError(
                        f"{place}: {owner} is writing there; wait for it, or give another name"
                    )
                logger.warning("%s: %s is writing there; waiting for it", place, owner)
                _lock(descriptor, wait=True)
            if _is_at(descriptor, file):
                owner = f"process {os.getpid()} on {socket.gethostname()}"
                with contextlib.suppress(OSError):  # it is a lock on a full disk, too
                    os.truncate(descriptor, 0)
                    os.pwrite(descriptor, owner.encode(), 0)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its owner has removed it: make a new one


def _lock(descriptor: int, *, wait: bool = False) -> bool:
    """Lock an open file; False if another process has."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True


def _release(descriptor: int) -> None:
    """Unlock and close, also for processes that were forked meanwhile."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # there are no locks here
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _is_at(descriptor: int, file: Path) -> bool:
    """Whether an open file is still the one of this name."""
    try:
        return file.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _parents_of(place: Path) -> Iterator[None]:
    """Make the folders above a place; those that stay empty go again."""
    made = [parent for parent in place.parents if not parent.exists()]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place)) from None
    try:
        yield
    finally:
        for parent in made:
            with contextlib.suppress(OSError):  # it holds the new place
                parent.rmdir()
