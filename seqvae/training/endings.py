"""How the processes of one training end: one of them says why, whatever ended it."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import torch.distributed as dist

from seqvae.errors import InputError
from seqvae.model.ranks import is_main, rank, size
from seqvae.stops import exit_code

GRACE = 10.0  # seconds in which a process that has lost another one may end by itself


@contextlib.contextmanager
def one_voice(run: Path) -> Iterator[None]:
    """Let the main rank alone speak of a signal, and one rank of the loss of another.

    Raises:
        InputError: another process has ended before its time.
        SystemExit: another rank speaks of it.
    """
    try:
        yield
    except KeyboardInterrupt as interruption:
        if not is_main():
            raise SystemExit(exit_code(interruption)) from interruption
        raise
    except RuntimeError as error:
        if not has_lost_another(error):
            raise
        if not _is_first_to_tell():
            raise SystemExit(2) from error
        raise InputError(_LOST.format(run)) from error


_LOST = (
    "{}: another process of this training has ended; start all of them again, with --resume if "
    "there is a checkpoint"
)


def has_lost_another(error: BaseException) -> bool:
    """Whether an error says that another process is not there any more."""
    kinds = (dist.DistError, dist.DistNetworkError) if dist.is_available() else ()
    return size() > 1 and (isinstance(error, kinds) or "gloo" in str(error))


def end_in_time(error: BaseException, run: Path) -> None:
    """End this process after a while if another one is lost, for which a GPU may wait for ever."""
    if not has_lost_another(error):
        return

    def end() -> None:
        print(f"seqvae: error: {_LOST.format(run)}", file=sys.stderr, flush=True)
        os._exit(2)

    timer = threading.Timer(GRACE, end)
    timer.daemon = True
    timer.start()


def _is_first_to_tell() -> bool:
    """Whether no other rank has told yet; the main one stays until all have asked."""
    store = dist.distributed_c10d._get_default_store()
    try:
        first = store.add("told", 1) == 1
        latest = time.monotonic() + GRACE / 2
        while is_main() and store.add("told", 0) < size() - 1 and time.monotonic() < latest:
            time.sleep(0.05)  # the store tells nobody when it changes
    except RuntimeError:  # the main rank kept the store, and is lost
        return rank() == 1
    return bool(first)
