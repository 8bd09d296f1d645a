"""A reader of files for worker processes, which some files kill; it imports little."""

import os
import signal
import time
from pathlib import Path

from seqvae.corpus.workers import BYTES_PER_WORKER


def read(path: Path) -> str:
    """What stands in a file; some words are deadly."""
    match path.read_text(encoding="utf-8"):
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(0)
        case "abort":
            os.abort()
        case "compute":
            while True:
                pass
        case "wait":
            signal.pause()
        case "tell":
            path.with_name("told").touch()
        case "hear":  # ends after a file that tells
            while not path.with_name("told").exists():
                time.sleep(0.001)
        case "allocate":
            try:
                bytearray(2 * BYTES_PER_WORKER)
            except MemoryError:
                return "no memory"
        case "divide":
            return str(1 / 0)
        case "where":
            return str(os.getpid())
    return path.read_text(encoding="utf-8")
