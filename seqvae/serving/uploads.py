"""The folder of what visitors send and get: private, and empty again after an hour."""

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

KEPT_SECONDS = 3600.0  # a visitor may work so long on one upload
SWEEP_SECONDS = 300.0
MAX_BYTES = 1_000_000  # of an upload; MIDI files of whole concerts are smaller
VARIABLE = "GRADIO_TEMP_DIR"  # by which Gradio is told where uploads go


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that nobody else reads, which is swept within the block and gone after it."""
    before = os.environ.get(VARIABLE)
    with tempfile.TemporaryDirectory(prefix="seqvae_app_", ignore_cleanup_errors=True) as name:
        os.environ[VARIABLE] = name
        done = threading.Event()
        sweeper = threading.Thread(target=_sweep_until, args=(done, Path(name)), daemon=True)
        sweeper.start()
        try:
            yield Path(name)
        finally:
            done.set()
            sweeper.join()
            if before is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = before


def sweep(folder: Path, older_than: float) -> None:
    """Delete the files that are older than some seconds, and the folders that this leaves empty."""
    latest = time.time() - older_than
    for place in sorted(folder.rglob("*"), reverse=True):  # what is in a folder comes before it
        with contextlib.suppress(OSError):  # another request uses it, or it is gone
            if place.stat().st_mtime >= latest:
                continue
            if place.is_dir():
                place.rmdir()
            else:
                place.unlink()


def _sweep_until(done: threading.Event, folder: Path) -> None:
    while not done.wait(SWEEP_SECONDS):
        sweep(folder, KEPT_SECONDS)
