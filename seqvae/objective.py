"""The objective: the negative evidence lower bound and the schedule of its KL weight.

Axes: B sequences, T steps, C channels. Both terms are nats summed over a sequence; the batch is
averaged, and nothing is divided by length.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from seqvae.errors import InputError


def sequence_nll(
    logits: list[Float[Tensor, "B T _"]], ids: Int[Tensor, "B T C"], lengths: Int[Tensor, " B"]
) -> Float[Tensor, " B"]:
    """-log p(x|z): cross-entropy summed over channels and valid steps."""
    nll = torch.stack(
        [
            cross_entropy(channel.float().transpose(1, 2), ids[..., c], reduction="none")
            for c, channel in enumerate(logits)
        ]
    ).sum(0)  # (B, T)
    valid = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
    return nll.masked_fill(~valid, 0.0).sum(-1)


@dataclass(frozen=True, eq=False)
class NegativeELBO:
    """The two terms of -ELBO(x) = nll + KL (Kingma & Welling 2014, eq. 3), in nats."""

    nll: Float[Tensor, " B"]
    kl: Float[Tensor, " B"]

    def total(self) -> Float[Tensor, " B"]:
        """The bound itself: -log p(x) <= nll + kl."""
        return self.nll + self.kl

    def loss(self, beta: float, free_nats: float) -> Float[Tensor, ""]:
        """What is optimised: nll + beta * max(kl - free_nats, 0), averaged over the batch.

        `free_nats` is per sequence: that much KL costs nothing (Kingma et al. 2016, eq. 15, with
        one group; Roberts et al. 2018, sec. 2.1).
        """
        return (self.nll + beta * (self.kl - free_nats).clamp(min=0)).mean()


@dataclass(frozen=True, kw_only=True)
class BetaSchedule:
    """The weight of the KL term as a function of the optimizer step."""

    shape: Literal["constant", "linear", "sigmoid"] = "linear"
    """How the weight rises: linear (Sonderby et al. 2016) or sigmoid (Bowman et al. 2016)."""
    max_beta: float = 1.0
    """The weight after the rise; 1 is the evidence lower bound."""
    beta_warmup_steps: int = 1000
    """Optimizer steps of the rise."""

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        if not 0 <= self.max_beta < math.inf:
            raise InputError(f"max_beta is {self.max_beta}; it must be 0 or more, and finite")
        if self.beta_warmup_steps < 0:
            raise InputError(f"beta_warmup_steps is {self.beta_warmup_steps}; it must be 0 or more")

    def __call__(self, step: int) -> float:
        """The weight at a step, counted from 0."""
        if self.shape == "constant" or step >= self.beta_warmup_steps:
            return self.max_beta
        fraction = step / self.beta_warmup_steps
        if self.shape == "linear":
            return self.max_beta * fraction
        return self.max_beta / (1 + math.exp(-12 * (fraction - 0.5)))
