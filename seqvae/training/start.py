"""Begin where another model ends: its settings, weights, vocabulary and prior."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from seqvae.disk import door, fields_of, read_json
from seqvae.errors import InputError, shown
from seqvae.files import expanded
from seqvae.inference.bundle import CONFIG, COPY, bundle_in, load_bundle
from seqvae.inference.mixture import Mixture
from seqvae.inference.prior import load_prior
from seqvae.inference.slices import SlicePrior
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers import AnyTokenizer, load_tokenizer, make_tokenizer, settings_of
from seqvae.training.config import Config

# In place of those of the base, which had more data and began from nothing.
TRAINER = {"learning_rate": 5e-4, "warmup_steps": 20, "min_epoch_steps": 25, "validate_every": 1}
OF_MACHINES = ("accelerator", "devices", "num_nodes", "strategy", "accumulate", "loggers")
LENGTHS = ("max_steps", "max_minutes")  # which would stand before the max_epochs of a user


def settings_from(base: str) -> str:
    """The settings of a run, a bundle or a model that ships, as a config in YAML.

    Data and name are not among them. The learning rate is that of small corrections.
    """
    file = bundle_in(expanded(base)) / CONFIG
    sections = dict.fromkeys(("objective", "trainer"), dict[str, Any])
    with door(file, COPY):
        saved = read_json(file, COPY, model=dict[str, Any])
        training = fields_of(saved["training"], {"name": str, **sections})
    tokenizer = load_tokenizer(file.parent)
    trainer = {k: v for k, v in training["trainer"].items() if k not in OF_MACHINES + LENGTHS}
    settings: dict[str, Any] = {
        "name": f"my_{training['name']}",
        "data": {"tokenizer": settings_of(tokenizer)},
        "model": saved["model"],
        "objective": training["objective"],
        "trainer": {**trainer, **TRAINER, "init_from": base},
    }
    if tokenizer.learned:
        settings["data"]["vocabulary"] = base
    return str(yaml.safe_dump(settings))


def load_base(config: Config) -> tuple[SequenceVAE, Mixture | SlicePrior | None]:
    """The model that a training begins from, and its prior.

    Raises:
        InputError: there is none, or a setting contradicts it.
    """
    base = str(config.trainer.init_from)
    bundle = bundle_in(Path(expanded(base)))
    model, tokenizer = load_bundle(bundle)
    _check_kind(base, tokenizer, config)
    _check_same(base, "model", _shaping(asdict(model.config)), _shaping(asdict(config.model)))
    _check_tokenizer(base, tokenizer, config)
    return model, load_prior(bundle, model.config.latent_dim)


def _shaping(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a network without those that are of the training alone."""
    return {name: value for name, value in settings.items() if not name.endswith("dropout")}


def _check_kind(base: str, tokenizer: AnyTokenizer, config: Config) -> None:
    """Refuse a model of other data, whose other settings differ for that reason."""
    kind = config.data.tokenizer.get("kind")
    if kind != tokenizer.kind:
        raise InputError(
            f"{base} is a model of {tokenizer.modality} ({tokenizer.kind}), but "
            f"data.tokenizer.kind is {kind}; name a model of that kind (seqvae models "
            "lists them), or train without --init_from"
        )


def _check_tokenizer(base: str, tokenizer: AnyTokenizer, config: Config) -> None:
    wanted = make_tokenizer(config.data.tokenizer)
    free = {*wanted.learned, *wanted.of_batches}
    saved, chosen = (
        {name: value for name, value in one.of_tokens().items() if name not in free}
        for one in (tokenizer, wanted)
    )
    _check_same(base, "data.tokenizer", saved, chosen)
    if wanted.learned and config.data.vocabulary is None:
        raise InputError(
            f"init_from {base} keeps its vocabulary; give --data.vocabulary {base}, too"
        )


def _check_same(base: str, section: str, saved: dict[str, Any], chosen: dict[str, Any]) -> None:
    """Refuse a setting that is another one than the base's, by its name."""
    for name in chosen:
        if saved.get(name) != chosen[name]:
            raise InputError(
                f"{section}.{name} is {shown(chosen[name])}, but {base} has "
                f"{shown(saved.get(name))}; leave it out, or train without --init_from"
            )
