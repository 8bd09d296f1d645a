"""When a code counts as collapsed, when a run is judged, and what is advised."""

import math

import pytest

from seqvae.inference.evaluation import Evaluation
from seqvae.model.config import ModelConfig
from seqvae.model.remedies import BetaSchedule, Objective
from seqvae.training.collapse import (
    COLLAPSED_MI,
    CollapseWatch,
    collapse_warning,
    is_collapsed,
)
from seqvae.training.config import Config, TrainerConfig
from seqvae.training.schedule import Schedule


def figures(
    *, latent_dim: int = 16, active_units: int = 5, mi: float = 3.0, num_sequences: int = 1000
) -> Evaluation:
    return Evaluation(
        num_sequences=num_sequences,
        neg_elbo=90.0,
        nll=89.877,
        kl=0.123,
        active_units=active_units,
        latent_dim=latent_dim,
        mi_sequences=num_sequences,
        mi_aggregate=mi,
        mi_aggregate_ceiling=math.log(num_sequences),
        mi_batch=mi,
        mi_batch_ceiling=3.4,
        accuracy_teacher_forced=0.3,
        accuracy_free_running=0.1,
        accuracy_constant=0.05,
        exact_match=0.0,
    )


@pytest.mark.parametrize(
    ("latent_dim", "active_units", "mi", "collapsed"),
    [
        (16, 5, 3.0, False),
        (16, 1, COLLAPSED_MI, False),
        (16, 1, COLLAPSED_MI - 0.01, True),
        (16, 16, 0.0, True),
        (16, 0, 3.0, True),
        (16, 0, 0.0, True),
        (0, 0, 0.0, False),  # a language model has nothing that could collapse
    ],
)
def test_a_code_that_tells_nothing_is_collapsed(
    latent_dim: int, active_units: int, mi: float, collapsed: bool
) -> None:
    one = figures(latent_dim=latent_dim, active_units=active_units, mi=mi)
    assert is_collapsed(one) == collapsed


@pytest.mark.parametrize(
    ("num_sequences", "mi", "collapsed"),
    [(1, 0.0, False), (2, 0.4, False), (2, 0.3, True), (3, 0.51, False), (3, 0.45, True)],
)
def test_few_sequences_have_a_low_ceiling(num_sequences: int, mi: float, collapsed: bool) -> None:
    assert is_collapsed(figures(num_sequences=num_sequences, mi=mi)) == collapsed


@pytest.mark.parametrize(("latent_dim", "target_kl"), [(1, None), (2, 4.0), (16, 40.0)])
def test_the_remedy_is_a_setting_that_is_taken(latent_dim: int, target_kl: float | None) -> None:
    model = ModelConfig(latent_dim=latent_dim, token_dropout=0.5)
    config = Config(name="x", model=model, objective=Objective(target_kl=target_kl))
    warning = collapse_warning(figures(latent_dim=latent_dim, active_units=0), config)
    remedy = float(warning.partition("--objective.target_kl ")[2].split()[0])
    Config(name="x", model=model, objective=Objective(target_kl=remedy))


@pytest.mark.parametrize(
    ("model", "objective", "remedy"),
    [
        # No more than five nats a dimension, which is what a config takes.
        (ModelConfig(latent_dim=1), Objective(), "--objective.target_kl 5"),
        (
            ModelConfig(latent_dim=16),
            Objective(free_nats=2.0),
            "--objective.target_kl 8 --objective.free_nats 0",
        ),
        (
            ModelConfig(latent_dim=16),
            Objective(free_nats_per_dim=0.5),
            "--objective.target_kl 8 --objective.free_nats_per_dim 0",
        ),
        # Batch normalisation keeps the KL at 16 * 1.2^2 / 2 = 11.52 nats; the target is twice that.
        (ModelConfig(latent_dim=16, bn_gamma=1.2), Objective(), "--objective.target_kl 24"),
        (
            ModelConfig(latent_dim=2, token_dropout=0.5),
            Objective(target_kl=6.0),
            "--model.latent_dim 4",
        ),
    ],
    ids=str,
)
def test_the_remedy_heeds_the_other_settings(
    model: ModelConfig, objective: Objective, remedy: str
) -> None:
    config = Config(name="x", model=model, objective=objective)
    warning = collapse_warning(figures(latent_dim=model.latent_dim, active_units=0), config)
    assert warning.endswith(f"; try another --name with {remedy}")


@pytest.mark.parametrize(
    ("target_kl", "token_dropout", "remedy"),
    [
        (None, 0.0, "--objective.target_kl 8"),
        (None, 0.6, "--objective.target_kl 8"),
        (8.0, 0.0, "--model.token_dropout 0.3"),
        (8.0, 0.29, "--model.token_dropout 0.3"),
        (8.0, 0.3, "--objective.target_kl 16"),
        (2.5, 0.9, "--objective.target_kl 5"),
    ],
)
def test_the_warning_names_the_figures_and_what_to_change(
    target_kl: float | None, token_dropout: float, remedy: str
) -> None:
    config = Config(
        name="x",
        model=ModelConfig(latent_dim=16, token_dropout=token_dropout),
        objective=Objective(target_kl=target_kl),
    )
    warning = collapse_warning(figures(active_units=2, mi=0.456), config)
    assert warning.endswith(f"; try another --name with {remedy}")
    assert "\n" not in warning
    for part in ("KL 0.12 nats", "mutual information 0.46 nats", "2 of 16 units active"):
        assert part in warning


@pytest.mark.parametrize("limit", ["max_epochs", "max_steps", "max_minutes"])
def test_a_run_that_was_too_short_is_told_so_with_what_ends_it(limit: str) -> None:
    config = Config(name="x", trainer=TrainerConfig(**{limit: 3}))
    warning = collapse_warning(figures(active_units=0), config, too_short=True)
    assert warning.startswith("the code says nothing yet: KL 0.12 nats")
    assert warning.endswith(f"another --name with a greater --trainer.{limit}")


CONSTANT = Objective(beta=BetaSchedule(shape="constant"))
COLLAPSED, HEALTHY = figures(active_units=0), figures()


def watch(objective: Objective, num_steps: int, pretrain_steps: int = 0) -> CollapseWatch:
    """Of a run whose epochs have one step."""
    trainer = TrainerConfig(max_epochs=num_steps, pretrain_epochs=pretrain_steps)
    config = Config(name="x", objective=objective, trainer=trainer)
    return CollapseWatch(config, Schedule(config, 1))


@pytest.mark.parametrize(
    ("objective", "num_steps", "first"),
    [
        (CONSTANT, 5000, 1000),  # it has to learn first
        (CONSTANT, 40, 40),  # a short run is judged at its end
        (Objective(beta=BetaSchedule(beta_warmup_steps=3000)), 5000, 3000),  # the weight must rise
        (Objective(target_kl=8.0), 5000, 1000),
    ],
)
def test_no_run_is_judged_before_it_can_have_learned(
    objective: Objective, num_steps: int, first: int
) -> None:
    judge = watch(objective, num_steps)
    assert judge.warning(COLLAPSED, first - 1) is None
    warning = judge.warning(COLLAPSED, first)
    assert warning is not None
    assert warning.startswith("the posterior is collapsing: ")


@pytest.mark.parametrize(
    ("objective", "enough"),
    [(Objective(target_kl=8.0), 200), (Objective(beta=BetaSchedule(beta_warmup_steps=50)), 50)],
)
def test_a_run_that_ends_before_the_weight_has_acted_was_too_short(
    objective: Objective, enough: int
) -> None:
    short = watch(objective, enough - 1).warning(COLLAPSED, enough - 1)
    assert short is not None
    assert short.startswith("the code says nothing yet: ")
    long = watch(objective, enough).warning(COLLAPSED, enough)
    assert long is not None
    assert long.startswith("the posterior is collapsing: ")


def test_a_run_is_warned_once() -> None:
    judge = watch(CONSTANT, 5000)
    assert judge.warning(HEALTHY, 2000) is None
    assert not judge.warned
    assert judge.warning(COLLAPSED, 2001) is not None
    assert judge.warned
    assert judge.warning(COLLAPSED, 2002) is None


def test_an_autoencoder_is_not_judged() -> None:
    judge = watch(CONSTANT, 5000, pretrain_steps=2000)
    assert judge.warning(COLLAPSED, 1500) is None
    assert judge.warning(COLLAPSED, 2000) is None
    assert judge.warning(COLLAPSED, 2999) is None
    assert judge.warning(COLLAPSED, 3000) is not None
