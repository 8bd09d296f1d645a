"""What a trained model is, as `look` tells it."""

from pathlib import Path

from seqvae.inference.bundle import CONFIG, bundle_in, read_config
from seqvae.inference.directions import Directions
from seqvae.shipped import find_model
from seqvae.tokenizers import load_tokenizer


def about_model(place: Path) -> str:
    """Kind and size of the code of a run or a bundle, and the attributes that shift moves along.

    Raises:
        InputError: there is no such model, or it is damaged.
    """
    bundle = bundle_in(place)
    config, _ = read_config(bundle / CONFIG)
    names = Directions.names_in(find_model(place)) or Directions.names_in(bundle)
    fitted = ", ".join(names) or f"none yet; seqvae attributes {place} fits them"
    kind = load_tokenizer(bundle).kind
    return f"{place}: a model of {kind}, {config.latent_dim} dimensions; attributes: {fitted}"
