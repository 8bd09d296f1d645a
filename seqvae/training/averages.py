"""Averages over a training: of its nats since the last validation, and of its weights.

Axes: B sequences.
"""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor

from seqvae.model.ranks import total
from seqvae.model.vae import SequenceVAE


def sums_of(nll: Float[Tensor, " B"], kl: Float[Tensor, " B"]) -> Float[Tensor, "3"]:
    """The sum of nll, that of kl, and the number of sequences, over all ranks."""
    return total(torch.stack([nll, kl, torch.ones_like(nll)]).double().sum(1))


class TrainingNats:
    """Sums over the sequences that were trained on since the last validation."""

    def __init__(self) -> None:
        self.sums = torch.zeros(3, dtype=torch.float64)  # of nll, of kl, and number of sequences

    def add(self, batch: Float[Tensor, "3"]) -> None:
        """Add the sums of a batch; no GPU is waited for."""
        self.sums = self.sums.to(batch.device) + batch

    def means(self) -> dict[str, float]:
        """Nats per sequence."""
        nll, kl, number = self.sums.tolist()
        return {"nll": nll / number, "kl": kl / number}


@torch.no_grad()
def move_average(average: SequenceVAE, model: SequenceVAE, *, step: int, decay: float) -> None:
    """Take the average of weights and buffers one step on; the first steps count for more.

    (Torch's AveragedModel asks the device for its count at each step, which makes a GPU wait.)
    """
    weight = max(1 - decay, 10 / (10 + step))
    averages = itertools.chain(average.parameters(), average.buffers())
    values = itertools.chain(model.parameters(), model.buffers())
    for mean, value in zip(averages, values, strict=True):
        mean.lerp_(value, weight)
