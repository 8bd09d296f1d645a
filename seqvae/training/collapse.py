"""The watch for posterior collapse, which a validation ends with."""

import math

from seqvae.inference.evaluation import Evaluation
from seqvae.training.config import MAX_NATS_PER_DIM, Config

COLLAPSED_MI = 0.5  # nats: the code cannot even tell two halves of the data apart
STEPS_TO_LEARN = 1000  # in which a code may well be empty that will say much


def is_collapsed(figures: Evaluation) -> bool:
    """Whether the code says next to nothing about the sequence; one sequence cannot tell."""
    if figures.latent_dim == 0 or figures.num_sequences < 2:
        return False
    enough = min(COLLAPSED_MI, figures.mi_aggregate_ceiling / 2)
    return figures.active_units == 0 or figures.mi_aggregate < enough


def collapse_warning(figures: Evaluation, config: Config, *, too_short: bool = False) -> str:
    """What is wrong and which setting to change, in one line.

    A run is `too_short` if it ends before the weight of the KL has risen.
    """
    found = (
        f"KL {figures.kl:.2f} nats, mutual information {figures.mi_aggregate:.2f} nats, "
        f"{figures.active_units} of {figures.latent_dim} units active"
    )
    if too_short:
        return (
            f"the code says nothing yet: {found}; so few steps teach little: "
            "try another --name with a greater --trainer.max_epochs"
        )
    target, most = config.objective.target_kl, MAX_NATS_PER_DIM * figures.latent_dim
    if target is None:
        floor = figures.latent_dim * config.model.bn_gamma**2 / 2
        remedy = f"--objective.target_kl {min(max(8, math.ceil(2 * floor)), most):g}"
        for name in ("free_nats", "free_nats_per_dim"):
            if getattr(config.objective, name) > 0:
                remedy += f" --objective.{name} 0"
    elif config.model.token_dropout < 0.3:
        remedy = "--model.token_dropout 0.3"
    elif 2 * target <= most:
        remedy = f"--objective.target_kl {2 * target:g}"
    else:
        remedy = f"--model.latent_dim {2 * figures.latent_dim}"
    return (
        f"the posterior is collapsing: {found}, so the decoder ignores z; "
        f"try another --name with {remedy}"
    )
