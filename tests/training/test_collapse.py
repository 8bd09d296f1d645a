import math

import pytest

from seqvae.inference.evaluation import Evaluation
from seqvae.model.objective import Objective
from seqvae.training.collapse import COLLAPSED_MI, collapse_warning, is_collapsed
from seqvae.training.config import Config, ModelConfig


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
    found = is_collapsed(figures(latent_dim=latent_dim, active_units=active_units, mi=mi))
    assert found == collapsed


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


def test_a_run_that_was_too_short_is_told_so() -> None:
    warning = collapse_warning(figures(active_units=0), Config(name="x"), too_short=True)
    assert warning.startswith("the code says nothing yet: KL 0.12 nats")
    assert warning.endswith("another --name with a greater --trainer.max_epochs")
