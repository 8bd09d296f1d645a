"""What is optimised, as settings: the remedies against posterior collapse.

No torch is imported here: a corpus is prepared without it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from seqvae.errors import InputError, above, at_least, check_types, one_of

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
