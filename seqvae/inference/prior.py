"""The density that samples are drawn from: N(0, I), or one fitted to the codes of a corpus.

Training pulls each posterior towards N(0, I), but not all the way: codes of real sequences fill
only a part of that space, and their dimensions depend on each other, as successive bars resemble
each other. So after the training a density is fitted to codes of the training split (ex-post
density estimation, Ghosh et al. 2020, section 4): a mixture of Gaussians, or, where a code is made
of slices, a network that draws one slice after another. Samples alone are drawn from it; every
likelihood and every KL is against N(0, I).

Axes: N codes, Z latent.
"""

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialized
from torch import Tensor

from seqvae.corpus.store import Split
from seqvae.disk import door, write_file
from seqvae.errors import InputError, shown
from seqvae.inference.codec import Codec
from seqvae.inference.mixture import Mixture, fit_mixture
from seqvae.inference.slices import SlicePrior, fit_slices
from seqvae.model.config import num_segments
from seqvae.model.latent import DiagonalGaussian
from seqvae.tokenizers import AnyTokenizer
from seqvae.tokenizers.contract import Example

FILE = "prior.safetensors"  # in a bundle
STORED = (torch.float32, torch.float16)  # half of it in models that ship
KIND = "kind"  # in its metadata; files without it hold a mixture
KINDS: dict[str, type[Mixture] | type[SlicePrior]] = {"mixture": Mixture, "slices": SlicePrior}
NUM_FITTED = 20_000  # sequences of a training split from which the distribution of codes is learned
NUM_DRAWN = 4000  # codes that stand for a prior where a mixture is needed
NUM_HELD_OUT = 2000  # sequences of a validation split that tell when to stop


@runtime_checkable
class Prior(Protocol):
    """Any density of codes: `TrainedVAE` takes what has these two methods."""

    def sample(self, num_codes: int, generator: torch.Generator, /) -> Float[Tensor, "N Z"]:
        """Draw codes, on the device of the generator."""

    def log_prob(self, z: Float[Tensor, "N Z"], /) -> Float[Tensor, " N"]:
        """The log density of codes, in nats."""


def as_mixture(prior: Prior) -> Mixture:
    """A mixture as it is; of another prior, one that is fitted to draws of its density.

    Where a code is conditioned on a part of it, the closed form of a mixture is needed.
    """
    if isinstance(prior, Mixture):
        return prior
    generator = torch.Generator().manual_seed(0)
    if isinstance(prior, SlicePrior):
        return fit_mixture(prior.draw(NUM_DRAWN, 1.0, generator))
    return fit_mixture(prior.sample(NUM_DRAWN, generator))


def save_prior(
    prior: Mixture | SlicePrior, folder: Path, stored_as: torch.dtype = torch.float32
) -> None:
    """Write `prior.safetensors`, whole or not at all."""
    kind = next(name for name, each in KINDS.items() if isinstance(prior, each))
    parts = {name: value.to(stored_as) for name, value in prior.parts().items()}
    write_file(folder / FILE, serialized(parts, {KIND: kind}))


def load_prior(folder: Path, latent_dim: int) -> Mixture | SlicePrior | None:
    """Read what `save_prior` wrote; None means that no prior has been fitted yet.

    A model that is meant to sample from N(0, I) has `Mixture.standard` in its folder.

    Raises:
        InputError: the file is damaged, of a kind that this version does not know, or belongs to a
            model of another `latent_dim`.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    remedy = "copy it again, or delete it: seqvae train ... --resume fits it anew"
    with door(file, remedy, SafetensorError):
        with safe_open(file, framework="pt") as opened:
            kind = (opened.metadata() or {}).get(KIND, "mixture")
            parts = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        if kind in KINDS:
            for name, value in parts.items():
                if value.dtype not in STORED:
                    raise ValueError(f"{name} of type {value.dtype}, not torch.float32")
                if not value.isfinite().all():
                    raise ValueError(f"{name} are not finite")
            floats = {name: value.float() for name, value in parts.items()}
            return KINDS[kind].of_parts(floats, latent_dim)
    raise InputError(
        f"{file}: a prior of kind {shown(kind)}, but this seqvae reads {', '.join(KINDS)}"
    )


def fit_prior_of(
    codec: Codec,
    train: Split,
    held_out: Split,
    *,
    base: Mixture | SlicePrior | None = None,
    hidden_dim: int | None = None,
    seed: int = 0,
) -> Mixture | SlicePrior:
    """Fit a prior to the codes of a training split, augmented as in training.

    Codes are draws of the posteriors, not their means, because the decoder learned to read draws.
    Those of a hierarchical model get a `SlicePrior`, those of a flat one a mixture. `held_out`
    tells when the network has learned enough. Where a `base` is given, the prior is of its kind,
    and takes from it what few codes leave open. `hidden_dim` is the width of a `SlicePrior`.
    """
    posterior = _posterior(codec, train, NUM_FITTED, seed)
    config = codec.model.config
    if isinstance(base, Mixture) or (base is None and config.decoder != "hierarchical"):
        draws = posterior.sample(torch.Generator().manual_seed(seed))
        return fit_mixture(draws, base=base, seed=seed)
    return fit_slices(
        posterior,
        _posterior(codec, held_out, NUM_HELD_OUT, seed),
        num_segments(config, codec.model.steps),
        base=base,
        hidden_dim=hidden_dim,
        seed=seed,
    )


def _posterior(codec: Codec, split: Split, most: int, seed: int) -> DiagonalGaussian:
    """The posteriors of at most so many sequences of a split, on the CPU."""
    posterior = codec.posterior(augmented(split, codec.tokenizer, most, seed=seed))
    return DiagonalGaussian(posterior.mean.cpu(), posterior.log_stddev.cpu())


def augmented(
    split: Split, tokenizer: AnyTokenizer, most: int = NUM_FITTED, *, seed: int
) -> list[Example]:
    """At most so many sequences of a split, drawn at random, augmented as in training."""
    rng = np.random.default_rng(seed)
    numbers = drawn(split, rng, most)
    ids = tokenizer.augment(split.padded(numbers), rng)
    lengths = split.lengths_of(numbers).tolist()
    return [Example(row[:length]) for row, length in zip(ids, lengths, strict=True)]


def drawn(split: Split, rng: np.random.Generator, most: int = NUM_FITTED) -> NDArray[np.int64]:
    """The numbers of at most so many sequences of a split."""
    return rng.permutation(len(split))[:most]
