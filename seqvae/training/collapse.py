"""The watch for posterior collapse: when a run is judged, what counts as collapsed, what helps."""

import math

from seqvae.inference.evaluation import Evaluation
from seqvae.model.objective import TargetRate
from seqvae.training.config import MAX_NATS_PER_DIM, Config
from seqvae.training.schedule import Schedule

COLLAPSED_MI = 0.5  # nats; ln 2 = 0.69 would tell two halves of the data apart
STEPS_TO_LEARN = 1000  # within which the code of a model that learns well may still be empty


class CollapseWatch:
    """Judges each validation, and warns once per run."""

    def __init__(self, config: Config, schedule: Schedule) -> None:
        self.config, self.schedule = config, schedule
        self.warned = False

    @property
    def rise(self) -> int:
        """Optimizer steps after which the weight of the KL has had its effect."""
        if self.config.objective.target_kl is not None:
            return round(2 / TargetRate.SPEED)  # by then the weight can have fallen to an eighth
        return self.config.objective.beta.rise

    def warning(self, figures: Evaluation, step: int) -> str | None:
        """The warning that is due after `step` optimizer steps, if one is."""
        if self.warned or step <= self.schedule.pretrain_steps:
            return None
        steps_taken, num_steps = self.schedule.stage(step)
        settled = steps_taken >= min(max(self.rise, STEPS_TO_LEARN), num_steps)
        if not settled or not is_collapsed(figures):
            return None
        self.warned = True
        return collapse_warning(figures, self.config, too_short=num_steps < self.rise)


def is_collapsed(figures: Evaluation) -> bool:
    """Whether the code says next to nothing about the sequence; a single sequence cannot tell."""
    if figures.latent_dim == 0 or figures.num_sequences < 2:
        return False
    enough = min(COLLAPSED_MI, figures.mi_aggregate_ceiling / 2)
    return figures.active_units == 0 or figures.mi_aggregate < enough


def collapse_warning(figures: Evaluation, config: Config, *, too_short: bool = False) -> str:
    """What is wrong and which setting to change, in one line.

    A run is `too_short` if it ends before the weight of the KL has risen.
    """
    state = (
        f"KL {figures.kl:.2f} nats, mutual information {figures.mi_aggregate:.2f} nats, "
        f"{figures.active_units} of {figures.latent_dim} units active"
    )
    if too_short:
        return (
            f"the code says nothing yet: {state}; so few steps teach little: "
            f"try another --name with a greater --trainer.{limit(config)}"
        )
    return (
        f"the posterior is collapsing: {state}, so the decoder ignores z; "
        f"try another --name with {remedy(config)}"
    )


def limit(config: Config) -> str:
    """The setting that ends the run."""
    others = ("max_steps", "max_minutes")
    return next((n for n in others if getattr(config.trainer, n) is not None), "max_epochs")


def remedy(config: Config) -> str:
    """The flags to try next: a target for the KL, then a weaker decoder, then a higher target."""
    latent_dim, target = config.model.latent_dim, config.objective.target_kl
    most = MAX_NATS_PER_DIM * latent_dim
    if target is None:
        floor = latent_dim * config.model.bn_gamma**2 / 2
        flags = f"--objective.target_kl {min(max(8, math.ceil(2 * floor)), most):g}"
        for name in ("free_nats", "free_nats_per_dim"):  # which a target does not go with
            if getattr(config.objective, name) > 0:
                flags += f" --objective.{name} 0"
        return flags
    if config.model.token_dropout < 0.3:
        return "--model.token_dropout 0.3"
    if 2 * target <= most:
        return f"--objective.target_kl {2 * target:g}"
    return f"--model.latent_dim {2 * latent_dim}"
