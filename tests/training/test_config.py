"""Settings that cannot be, alone or together, are refused in one line that names them."""

import math
from typing import Any

import pytest

from seqvae.corpus.config import DataConfig
from seqvae.errors import InputError
from seqvae.model.config import POOLINGS, ModelConfig
from seqvae.model.remedies import Objective
from seqvae.training import config as config_file
from seqvae.training.config import Config, TrainerConfig

SECTIONS = {
    "data": DataConfig, "model": ModelConfig, "objective": Objective, "trainer": TrainerConfig,
}  # fmt: skip


def config(settings: dict[str, Any]) -> Config:
    """A config from settings such as {"model.latent_dim": 3}."""
    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for name, value in settings.items():
        section, field = name.split(".")
        sections[section][field] = value
    made = {name: SECTIONS[name](**settings) for name, settings in sections.items()}
    return Config(name="x", **made)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"model.latent_dim": 2, "objective.target_kl": 10.5},
            "target_kl is 10.5 nats, but latent_dim 2 holds about 10 (5 per dimension); "
            "give latent_dim 3 or more",
        ),
        (
            {"model.latent_dim": 4, "objective.target_kl": 1000.0},
            "target_kl is 1000 nats, but latent_dim 4 holds about 20",
        ),
        (
            {"model.latent_dim": 32, "model.bn_gamma": 0.7, "objective.target_kl": 7.0},
            "target_kl is 7 nats, but bn_gamma 0.7 keeps the KL of 32 dimensions at 7.84 or more",
        ),
        (
            {"model.latent_dim": 4, "model.bn_gamma": 1.0, "objective.target_kl": 2.0},
            "target_kl is 2 nats, but bn_gamma 1 keeps the KL of 4 dimensions at 2 or more",
        ),
        (
            {"model.latent_dim": 4, "objective.free_nats": 20.5},
            "free_nats is 20.5, but latent_dim 4 holds about 20 nats (5 per dimension)",
        ),
        (
            {"model.latent_dim": 4, "objective.free_nats_per_dim": 5.5},
            "free_nats_per_dim is 5.5, but latent_dim 4 holds about 20 nats (5 per dimension)",
        ),
        (
            {"model.bn_gamma": 0.5, "trainer.batch_size": 1},
            "bn_gamma is 0.5, but a batch of 1 has no variance; give batch_size 2 or more",
        ),
        *(
            ({"model.latent_dim": 0, name: value}, f"{name} is {value}, but latent_dim 0 has no")
            for name, value in {
                "objective.target_kl": 8.0,
                "objective.free_nats": 2.0,
                "objective.free_nats_per_dim": 0.5,
                "model.bn_gamma": 0.6,
                "trainer.pretrain_epochs": 2,
            }.items()
        ),
    ],
    ids=str,
)
def test_a_kl_that_the_code_cannot_have_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as no:
        config(settings)
    assert str(no.value).startswith(message)
    assert "\n" not in str(no.value)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"model.latent_dim": 0},
        {"model.latent_dim": 0, "model.z_wiring": ()},
        {"model.latent_dim": 2, "objective.target_kl": 10.0},
        {"model.latent_dim": 32, "model.bn_gamma": 0.7, "objective.target_kl": 7.9},
        {"model.latent_dim": 32, "objective.free_nats": 7.0, "model.bn_gamma": 0.7},
        {"trainer.pretrain_epochs": 4, "trainer.max_epochs": 5},
        {"trainer.ema_decay": 0.9999},
        {"model.latent_dim": 4, "objective.free_nats": 20.0},
        {"model.latent_dim": 4, "objective.free_nats_per_dim": 5.0},
        {"model.bn_gamma": 0.5, "trainer.batch_size": 2},
        {"model.z_wiring": ("output",)},
    ],
    ids=str,
)
def test_what_goes_together_is_taken(settings: dict[str, Any]) -> None:
    config(settings)


def test_five_nats_a_dimension_is_what_the_message_promises() -> None:
    for latent_dim, target in ((2, 10.5), (3, 15.1), (7, 99.0)):
        with pytest.raises(InputError) as no:
            config({"model.latent_dim": latent_dim, "objective.target_kl": target})
        words = str(no.value).split()
        enough = int(words[words.index("give") + 2])
        config({"model.latent_dim": enough, "objective.target_kl": target})
        with pytest.raises(InputError):
            config({"model.latent_dim": enough - 1, "objective.target_kl": target})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model.z_wiring": ()}, "z_wiring is empty, so the 64 dimensions of z reach nothing"),
        ({"model.z_wiring": ("state", "attention")}, "z_wiring has 'attention'; choose from"),
        (
            {"model.encoder_pooling": "sum"},
            f"encoder_pooling is 'sum'; choose one of {', '.join(POOLINGS)}",
        ),
        (
            {"model.latent_dim": 8, "objective.free_nats_per_dim": 5.5},
            "free_nats_per_dim is 5.5, but latent_dim 8 holds about 40 nats (5 per dimension)",
        ),
        (
            {"model.bn_gamma": 0.6, "trainer.batch_size": 1},
            "bn_gamma is 0.6, but a batch of 1",
        ),
        (
            {"model.bn_gamma": 0.6, "trainer.accumulate": 2},
            "bn_gamma is 0.6, which takes the mean over a whole batch, but accumulate 2 computes",
        ),
        (
            {"objective.free_nats_per_dim": 0.5, "trainer.accumulate": 3},
            "free_nats_per_dim is 0.5, which takes the mean over a whole batch, but accumulate 3",
        ),
        ({"trainer.devices": 0}, "devices is 0; it must be 1 or more"),
        ({"trainer.num_nodes": 0}, "num_nodes is 0; it must be 1 or more"),
        ({"trainer.checkpoint_minutes": -1.0}, "checkpoint_minutes is -1.0; it must be 0 or more"),
        ({"model.latent_dim": -1}, "latent_dim is -1; it must be 0 or more"),
        ({"model.bn_gamma": -0.5}, "bn_gamma is -0.5; it must be 0 or more"),
        ({"model.bn_gamma": math.nan}, "bn_gamma is nan; it takes a finite number"),
        ({"model.num_softmaxes": 0}, "num_softmaxes is 0; it must be 1 or more"),
        *(
            ({f"model.{name}": value}, f"{name} is {value}; it must lie in [0, 1)")
            for name in (
                "dropout", "token_dropout", "encoder_dropout", "embedding_dropout",
                "weight_dropout",
            )
            for value in (1.0, -0.1)
        ),
        ({"trainer.ema_decay": 1.0}, "ema_decay is 1.0; it must lie in [0, 1)"),
        ({"trainer.ema_decay": -0.1}, "ema_decay is -0.1; it must lie in [0, 1)"),
        ({"trainer.pretrain_epochs": -1}, "pretrain_epochs is -1; it must be 0 or more"),
        (
            {"trainer.pretrain_epochs": 5, "trainer.max_epochs": 5},
            "pretrain_epochs is 5, of max_epochs 5: nothing is left",
        ),
        (
            {"trainer.pretrain_epochs": 9, "trainer.max_epochs": 5},
            "pretrain_epochs is 9, of max_epochs 5: nothing is left",
        ),
        ({"trainer.max_steps": 0}, "max_steps is 0; it must be 1 or more"),
        ({"trainer.max_minutes": 0.0}, "max_minutes is 0.0; it must be above 0"),
        (
            {"trainer.max_steps": 9, "trainer.max_minutes": 2.0},
            "max_steps is 9 and max_minutes 2; give one",
        ),
        (
            {"trainer.max_minutes": 2.0, "trainer.pretrain_epochs": 1},
            "pretrain_epochs is 1, but nobody knows how many epochs max_minutes will be; give",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_an_impossible_setting_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as no:
        config(settings)
    assert str(no.value).startswith(message)
    assert "\n" not in str(no.value)


def test_a_logger_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_file, "find_spec", lambda _: None)
    with pytest.raises(
        InputError, match=r"wandb, which is not installed; pip install '\.\[wandb\]'"
    ):
        config({"trainer.loggers": ["wandb"]})
