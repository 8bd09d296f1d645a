"""The objective: the negative evidence lower bound, and the remedies against posterior collapse.

Axes: B sequences, T steps, C channels, Z latent. Both terms are nats summed over a sequence; the
batch is averaged, and nothing is divided by length.

A decoder that predicts well from the preceding words may ignore the code: the posterior collapses
to the prior, and every z decodes to the same. Remedies are a KL weight that starts low
(`BetaSchedule`), KL that costs nothing (`free_nats`, `free_nats_per_dim`) and a KL that is held at
a target (`TargetRate`). The remedies inside the network are documented there: batch-normalised
means in `encoder`, token dropout and the wiring of z in `decoder`.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqvae.model.ranks import Share, batch_mean
from seqvae.model.remedies import Objective
from seqvae.model.softmax import negative_log_probability


def over_sequence(
    token_nll: Float[Tensor, "B T"], lengths: Int[Tensor, " B"]
) -> Float[Tensor, " B"]:
    """The sum over valid steps."""
    valid = torch.arange(token_nll.shape[1], device=token_nll.device) < lengths[:, None]
    return token_nll.masked_fill(~valid, 0.0).sum(-1)


def sequence_nll(
    logits: list[Float[Tensor, "B T _"]], ids: Int[Tensor, "B T C"], lengths: Int[Tensor, " B"]
) -> Float[Tensor, " B"]:
    """-log p(x|z): cross-entropy summed over channels and valid steps."""
    nll = [negative_log_probability(channel, ids[..., c]) for c, channel in enumerate(logits)]
    return over_sequence(torch.stack(nll).sum(0), lengths)


@dataclass(frozen=True, eq=False)
class NegativeELBO:
    """The two terms of -ELBO(x) = nll + KL (Kingma & Welling 2014, eq. 3), in nats."""

    nll: Float[Tensor, " B"]
    kl_per_dim: Float[Tensor, "B Z"]

    @property
    def kl(self) -> Float[Tensor, " B"]:
        """The KL of each sequence."""
        return self.kl_per_dim.sum(-1)

    def total(self) -> Float[Tensor, " B"]:
        """The bound itself: -log p(x) <= nll + kl."""
        return self.nll + self.kl


def paid_kl(
    objective: Objective, kl_per_dim: Float[Tensor, "B Z"], share: Share | None = None
) -> Float[Tensor, ""]:
    """The KL beyond the free nats.

    `free_nats_per_dim` applies to the mean over the batch (Kingma et al. 2016, eq. 15),
    `free_nats` to each sequence alone (Roberts et al. 2018, sec. 2.1).
    """
    if objective.free_nats_per_dim > 0:
        return (batch_mean(kl_per_dim, share) - objective.free_nats_per_dim).clamp(min=0).sum()
    return batch_mean((kl_per_dim.sum(-1) - objective.free_nats).clamp(min=0), share)


def training_loss(
    objective: Objective,
    bound: NegativeELBO,
    beta: float | Float[Tensor, ""],
    share: Share | None = None,
) -> Float[Tensor, ""]:
    """Nats: nll + beta * paid KL, of the whole batch where the bound is of a share of it."""
    return batch_mean(bound.nll, share) + beta * paid_kl(objective, bound.kl_per_dim, share)


def selection_loss(objective: Objective, bound: NegativeELBO) -> Float[Tensor, ""]:
    """The loss by which the best epoch is chosen: the loss at the final weight.

    With `target_kl`, only KL above the target counts; otherwise epochs that miss the target
    would win.
    """
    if objective.target_kl is None:
        return training_loss(objective, bound, objective.beta.max_beta)
    return bound.nll.mean() + (bound.kl_per_dim.sum(-1).mean() - objective.target_kl).clamp(min=0)


class TargetRate(nn.Module):
    """The weight of the KL as the Lagrange multiplier of the constraint KL = target.

    Gradient ascent on its logarithm by the relative distance from the target (Rezende & Viola 2018,
    alg. 1; the constraint is on the KL, as in Pelsmaeker & Aziz 2020). It starts low, so that the
    code is in use before it is squeezed.
    """

    START, SPEED, LOW, HIGH = 0.1, 0.01, 1e-4, 1e2

    def __init__(self, target_kl: float) -> None:
        """`target_kl` in nats per sequence."""
        super().__init__()
        self.target_kl = target_kl
        self.log_beta: Tensor
        self.register_buffer("log_beta", torch.tensor(math.log(self.START)))

    def beta(self) -> Float[Tensor, ""]:
        """The weight."""
        return self.log_beta.exp()

    @torch.no_grad()
    def update(self, kl: Float[Tensor, " B"]) -> None:
        """Raise the weight where the batch's KL is above the target, lower it below."""
        distance = (kl.mean() / self.target_kl - 1).clamp(-1, 1).nan_to_num(0.0)
        self.log_beta += self.SPEED * distance
        self.log_beta.clamp_(math.log(self.LOW), math.log(self.HIGH))
