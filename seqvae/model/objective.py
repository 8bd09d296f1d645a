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
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqvae.errors import InputError, above, at_least, check_types, one_of
from seqvae.model.ranks import Share, batch_mean
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


# Schedules: the fraction of the full weight, 0 to 1, after x = step / beta_warmup_steps warm-ups.
# x grows without end; beta_warmup_steps 0 is the full weight at once. A new schedule is a function
# of x and a line in SHAPES.


def constant(x: float) -> float:
    """The full weight at once."""
    return 1.0


def linear(x: float) -> float:
    """A straight rise, then the full weight (Sonderby et al. 2016)."""
    return min(x, 1.0)


def sigmoid(x: float) -> float:
    """A logistic rise over 12 logits, then the full weight (Bowman et al. 2016)."""
    return 1 / (1 + math.exp(-12 * (x - 0.5))) if x < 1 else 1.0


def cyclical(x: float) -> float:
    """A straight rise, then the full weight for as long, in cycles (Fu et al. 2019, R = 0.5)."""
    return min(x % 2, 1.0)


SHAPES: dict[str, Callable[[float], float]] = {
    shape.__name__: shape for shape in (constant, linear, sigmoid, cyclical)
}


@dataclass(frozen=True, kw_only=True)
class BetaSchedule:
    """The weight of the KL term as a function of the optimizer step."""

    shape: str = "linear"
    """How the weight rises: constant, linear, sigmoid or cyclical."""
    max_beta: float = 1.0
    """The weight after the rise; 1 is the evidence lower bound."""
    beta_warmup_steps: int = 1000
    """Optimizer steps of the rise; a cycle is twice as long."""

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        check_types(self, section="beta.")
        one_of(self, "shape", SHAPES, section="beta.")
        at_least(self, 0, "max_beta", "beta_warmup_steps")
        if self.shape == "cyclical" and self.beta_warmup_steps == 0:
            raise InputError("beta.shape is cyclical, but beta_warmup_steps 0 makes no cycles")

    def __call__(self, step: int) -> float:
        """The weight at a step, counted from 0."""
        if self.beta_warmup_steps == 0:
            return self.max_beta
        return self.max_beta * SHAPES[self.shape](step / self.beta_warmup_steps)

    @property
    def rise(self) -> int:
        """Optimizer steps until the weight is first at its greatest."""
        return 0 if self.shape == "constant" else self.beta_warmup_steps


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What is optimised: nll + beta * (the KL that is not free), averaged over the batch."""

    beta: BetaSchedule = field(default_factory=BetaSchedule)
    """Weight of the KL term, unless target_kl sets it."""
    free_nats: float = 0.0
    """KL per sequence, in nats, that costs nothing."""
    free_nats_per_dim: float = 0.0
    """KL per dimension, in nats, that costs nothing; it applies to the mean over the batch."""
    target_kl: float | None = None
    """Nats per sequence at which the KL is held; this sets the weight, and beta is ignored."""

    def __post_init__(self) -> None:
        """Refuse impossible values and remedies that contradict each other."""
        check_types(self)
        at_least(self, 0, "free_nats", "free_nats_per_dim")
        allowances = [name for name in ("free_nats", "free_nats_per_dim") if getattr(self, name)]
        if len(allowances) == 2:
            raise InputError("free_nats and free_nats_per_dim are both set; set one of the two")
        if self.target_kl is None:
            return
        above(self, 0, "target_kl")
        if allowances:
            name = allowances[0]
            raise InputError(
                f"target_kl and {name} are both set: the first holds the KL at "
                f"{self.target_kl:g} nats, the second makes {getattr(self, name):g} nats free; "
                f"set one of them (target_kl null, or {name} 0)"
            )

    def paid_kl(
        self, kl_per_dim: Float[Tensor, "B Z"], share: Share | None = None
    ) -> Float[Tensor, ""]:
        """The KL beyond the free nats.

        `free_nats_per_dim` applies to the mean over the batch (Kingma et al. 2016, eq. 15),
        `free_nats` to each sequence alone (Roberts et al. 2018, sec. 2.1).
        """
        if self.free_nats_per_dim > 0:
            return (batch_mean(kl_per_dim, share) - self.free_nats_per_dim).clamp(min=0).sum()
        return batch_mean((kl_per_dim.sum(-1) - self.free_nats).clamp(min=0), share)

    def loss(
        self, bound: NegativeELBO, beta: float | Float[Tensor, ""], share: Share | None = None
    ) -> Float[Tensor, ""]:
        """Nats: nll + beta * paid KL, of the whole batch where the bound is of a share of it."""
        return batch_mean(bound.nll, share) + beta * self.paid_kl(bound.kl_per_dim, share)

    def selection_loss(self, bound: NegativeELBO) -> Float[Tensor, ""]:
        """The loss by which the best epoch is chosen: the loss at the final weight.

        With `target_kl`, only KL above the target counts; otherwise epochs that miss the target
        would win.
        """
        if self.target_kl is None:
            return self.loss(bound, self.beta.max_beta)
        return bound.nll.mean() + (bound.kl_per_dim.sum(-1).mean() - self.target_kl).clamp(min=0)


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
