"""`seqvae import magenta`: a checkpoint of magenta.js becomes a bundle."""

from dataclasses import asdict
from pathlib import Path

from seqvae.disk import check_replaceable
from seqvae.exchange.magenta.files import SPEC, read_checkpoint
from seqvae.exchange.magenta.reading import read_model
from seqvae.inference.bundle import CONFIG, WEIGHTS, save_bundle
from seqvae.inference.mixture import Mixture
from seqvae.inference.prior import save_prior
from seqvae.model.remedies import Objective
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers import settings_of
from seqvae.tokenizers.contract import MusicTokenizer
from seqvae.training.config import TrainerConfig


def import_magenta(folder: Path, out: Path) -> None:
    """Write the bundle `out`, which samples from N(0, I) as Magenta does.

    Raises:
        InputError: `folder` is no MusicVAE of magenta.js, or a part of it is missing or damaged;
            or `out` holds something else than a bundle.
    """
    check_replaceable(out, CONFIG, WEIGHTS)
    checkpoint = read_checkpoint(folder)
    model, tokenizer = read_model(folder, checkpoint)
    name = folder.resolve().name
    training = {
        "name": name,
        "data": {"tokenizer": settings_of(tokenizer)},
        "objective": asdict(Objective()),
        "trainer": asdict(TrainerConfig()),
        "magenta": checkpoint.spec,
    }
    save_bundle(out, model, tokenizer, training, _card(name, model, tokenizer))
    save_prior(Mixture.standard(model.config.latent_dim), out)


def _card(name: str, model: SequenceVAE, tokenizer: MusicTokenizer) -> str:
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    encoder = "" if model.encoder is not None else " It has no encoder: it reads no input."
    return f"""# {name}

A MusicVAE, imported from a checkpoint of magenta.js: {num_parameters:,} parameters,
{tokenizer.kind} tokens, a latent code of {model.config.latent_dim} dimensions.{encoder}
Codes are drawn from N(0, I). The spec of the checkpoint ({SPEC} there) is in `{CONFIG}`.

The licence of the weights is that of the checkpoint.
"""
