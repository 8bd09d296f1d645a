"""What the ranks of a training agree on, and what the main one makes for all.

Agreements go over a group of their own: no GPU takes part, and nobody waits in vain.
"""

import datetime
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from seqvae.model.ranks import is_main, size

MAX_WAIT = datetime.timedelta(days=7)  # for the main rank, while it prepares a large corpus

T = TypeVar("T")


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
