"""The processes that train one model together: all that knows of ranks.

Each process has a rank, a device and a share of every batch. `torch.distributed` carries tensors
between them; a process that trains alone needs none of it, and here is its own sum.

Gradients are averaged over the ranks. So where each rank returns the same loss of the whole batch,
made by `total`, each weight gets the gradient of that loss.
"""

import contextlib
import datetime
import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor

from seqvae.errors import InputError
from seqvae.stops import exit_code

MAX_WAIT = datetime.timedelta(days=7)  # for the main rank, while it prepares a large corpus

T = TypeVar("T")


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def size() -> int:
    """The number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_main() -> bool:
    """Whether this is the process that writes and speaks."""
    return rank() == 0


# Batches


@dataclass(frozen=True)
class Share:
    """The rows of a batch that one process computes at a time: every `of`th from `first` on."""

    num_rows: int
    """Rows of the whole batch."""
    first: int
    of: int
    num_parts: int = 1
    """Parts in which each process computes its rows, one after the other."""

    def rows(self, x: Shaped[Tensor, "N ..."]) -> Shaped[Tensor, "B ..."]:
        """The rows of this share."""
        return x[self.first :: self.of]


class _Total(torch.autograd.Function):
    """A sum over ranks. What each rank makes of it counts for the gradient of every rank."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return total(gradients[0])


def total(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The sum over ranks; it has a gradient, and no GPU is waited for."""
    if size() == 1:
        return x
    summed: Tensor = _Total.apply(x)  # type: ignore[no-untyped-call]  # of torch
    return summed


def batch_mean(x: Float[Tensor, "B ..."], share: Share | None = None) -> Float[Tensor, "..."]:
    """The mean over the rows of a batch, of which `x` has a share.

    Of a batch in several parts, each part gives a summand of it, times their number.
    """
    if share is None:
        return x.mean(0)
    return total(x.sum(0)) * (share.num_parts / share.num_rows)


# Agreements, over a group of their own: no GPU takes part, and nobody waits in vain


@functools.cache
def _control() -> Any:
    return dist.new_group(backend="gloo", timeout=MAX_WAIT)


class Agreement:
    """The greatest of the numbers that the ranks name; asked for now, and read when it is there."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = torch.tensor(numbers)
        self.work = None
        if size() > 1:
            self.work = dist.all_reduce(
                self.numbers, dist.ReduceOp.MAX, group=_control(), async_op=True
            )

    def read(self) -> list[int]:
        """The numbers, each the greatest of all ranks."""
        if self.work is not None:
            self.work.wait()
        agreed: list[int] = self.numbers.tolist()
        return agreed


def from_main(make: Callable[[], T]) -> T:
    """What the main rank makes while the others wait; if it fails, they end as well.

    Raises:
        SystemExit: the main rank failed, and speaks of it; this is another one.
    """
    if size() == 1:
        return make()
    made: list[Any] = [None, False]
    try:
        if is_main():
            made = [make(), True]
    finally:
        dist.broadcast_object_list(made, group=_control())
    if not made[1]:
        raise SystemExit(2)
    result: T = made[0]
    return result


# Ends

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
