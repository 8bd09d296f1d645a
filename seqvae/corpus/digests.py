"""Digests of files, kept from one start to the next: only what has changed since is read again.

A file is known by its path, size, number and times. One that has just been written is read again
next time: it may change once more without a difference in these.
"""

import contextlib
import hashlib
import io
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seqvae.disk import DAMAGE, write_file

KEPT = "digests.npy"
ROW = np.dtype([("file", "<u8"), ("first", "<u8"), ("second", "<u8")])
UNREADABLE = 0  # the number of a file that cannot be found
NEW_SECONDS = 2.0  # some file systems count no fewer


class Digests:
    """What is known of files: rows of `ROW`, sorted by a number that stands for the file."""

    def __init__(self, folder: Path | None = None) -> None:
        """Begin with what a folder keeps; a damaged file of it is as good as none."""
        self.rows = np.empty(0, ROW)
        self.has_new = False
        if folder is not None:
            with contextlib.suppress(OSError, *DAMAGE):
                rows = np.load(folder / KEPT)
                if rows.dtype == ROW and rows.ndim == 1:
                    self.rows = rows

    def of(self, paths: Sequence[Path]) -> bytes:
        """The digests of the bytes of all files, of 16 bytes each; zeros for unreadable ones."""
        files = np.fromiter(map(_number_now, paths), np.uint64, len(paths))
        places = np.searchsorted(self.rows["file"], files)
        found = np.zeros(len(paths), ROW)
        is_known = places < len(self.rows)
        found[is_known] = self.rows[places[is_known]]
        unknown = np.flatnonzero(found["file"] != files).tolist()
        for index in unknown:
            found[index] = (files[index], *_digest(paths[index]))
        settled = [i for i in unknown if found["first"][i] and _is_settled(paths[i])]
        if settled:
            rows = np.concatenate([self.rows, found[settled]])
            self.rows, self.has_new = rows[np.unique(rows["file"], return_index=True)[1]], True
        return np.stack([found["first"], found["second"]], axis=1).tobytes()

    def keep(self, folder: Path) -> None:
        """Write what is known into a folder, for the next start."""
        content = io.BytesIO()
        np.save(content, self.rows)
        write_file(folder / KEPT, content.getvalue())
        self.has_new = False


def _number_now(path: Path) -> int:
    """A number that stands for a file as it is now."""
    try:
        now = path.stat()
    except OSError:
        return UNREADABLE
    about = f"{path.absolute()}\0{now.st_ino} {now.st_size} {now.st_mtime_ns} {now.st_ctime_ns}"
    digest = hashlib.blake2b(os.fsencode(about), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _digest(path: Path) -> tuple[int, int]:
    """The digest of the bytes of a file as two numbers; 0 if it is unreadable.

    Reading it for its sequences will say why.
    """
    try:
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").digest()
    except OSError:
        return 0, 0
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")


def _is_settled(path: Path) -> bool:
    """Whether a file has not just been written."""
    try:
        now = path.stat()
    except OSError:
        return False
    return abs(time.time() - max(now.st_mtime, now.st_ctime)) > NEW_SECONDS
