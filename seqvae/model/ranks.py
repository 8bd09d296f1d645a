"""The processes that train one model together, and the batches that they share.

Each process has a rank, a device and a share of every batch. `torch.distributed` carries tensors
between them; a process that trains alone needs none of it, and here is its own sum.

Gradients are averaged over the ranks. So where each rank returns the same loss of the whole batch,
made by `total`, each weight gets the gradient of that loss.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def size() -> int:
    """The number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_main() -> bool:
    """Whether this is the process that writes and speaks."""
    return rank() == 0


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
