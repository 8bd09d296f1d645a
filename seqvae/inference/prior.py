"""The density that samples are drawn from: N(0, I), or one fitted to the codes of a corpus.

Training pulls each posterior towards N(0, I), but not all the way: codes of real sequences fill
only a part of that space, and their dimensions depend on each other, as successive bars resemble
each other. So after the training a mixture of Gaussians is fitted to codes of the training split
(ex-post density estimation, Ghosh et al. 2020, section 4). Samples alone are drawn from it; every
likelihood and every KL is against N(0, I).

Axes: N codes, K components, Z latent.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialized
from torch import Tensor
from torch.nn.functional import one_hot
from tqdm import tqdm

from seqvae.corpus.store import Split
from seqvae.disk import door, write_file
from seqvae.inference.codec import Codec
from seqvae.tokenizers import AnyTokenizer
from seqvae.tokenizers.contract import Example

FILE = "prior.safetensors"  # in a bundle
STORED = (torch.float32, torch.float16)  # half of it in models that ship
NUM_FITTED = 20_000  # sequences of a training split from which the distribution of codes is learned
MAX_COMPONENTS, MIN_CODES = 50, 200  # of a mixture; codes per component, on average
MAX_NUMBERS = 2**19  # in all covariances together: 2 MiB in a bundle
KMEANS_ITERATIONS = 10  # enough for the start of the mixture
EM_ITERATIONS = 30  # the next 20 would gain less than 0.05 nats per code in all


@dataclass(frozen=True, eq=False)
class Prior:
    """A mixture of Gaussians."""

    weights: Float[Tensor, " K"]
    means: Float[Tensor, "K Z"]
    scales: Float[Tensor, "K Z Z"]
    """Cholesky factors of the covariances."""

    @classmethod
    def standard(cls, latent_dim: int) -> "Prior":
        """N(0, I)."""
        return cls(torch.ones(1), torch.zeros(1, latent_dim), torch.eye(latent_dim)[None])

    @property
    def covariance(self) -> Float[Tensor, "Z Z"]:
        """That of all codes, whatever their component."""
        apart = self.means - self.weights @ self.means
        inside = torch.einsum("k,kij,klj->il", self.weights, self.scales, self.scales)
        return inside + torch.einsum("k,ki,kj->ij", self.weights, apart, apart)

    def sample(self, num_codes: int, generator: torch.Generator) -> Float[Tensor, "N Z"]:
        """Draw codes, on the device of the generator."""
        device = generator.device
        components = torch.multinomial(
            self.weights.to(device), num_codes, replacement=True, generator=generator
        )
        shape = (num_codes, self.means.shape[1])
        noise = torch.randn(shape, generator=generator, device=device)
        means, scales = self.means.to(device)[components], self.scales.to(device)[components]
        return means + torch.einsum("nij,nj->ni", scales, noise)

    def save(self, folder: Path) -> None:
        """Write `prior.safetensors`, whole or not at all."""
        plain = {name: value.contiguous() for name, value in vars(self).items()}
        write_file(folder / FILE, serialized(plain))

    @classmethod
    def load(cls, folder: Path, latent_dim: int) -> "Prior | None":
        """Read what `save` wrote; None means that no prior has been fitted yet.

        A model that is meant to sample from N(0, I) has `Prior.standard` in its folder.

        Raises:
            InputError: the file is damaged, or belongs to a model of another `latent_dim`.
        """
        file = folder / FILE
        if not file.is_file():
            return None
        remedy = "copy it again, or delete it: seqvae train ... --resume fits it anew"
        with door(file, remedy, SafetensorError):
            parts = load_file(file)
            count = len(parts["weights"])
            shapes = {"weights": (count,), "means": (count, latent_dim)}
            shapes["scales"] = (count, latent_dim, latent_dim)
            for name, value in parts.items():
                if tuple(value.shape) != shapes[name] or value.dtype not in STORED:
                    raise ValueError(f"{name} of shape {tuple(value.shape)}, not {shapes[name]}")
                if not value.isfinite().all():
                    raise ValueError(f"{name} are not finite")
            if (parts["weights"] < 0).any() or not parts["weights"].sum() > 0:
                raise ValueError("weights below 0")
            return cls(**{name: value.float() for name, value in parts.items()})


def fit_prior_of(codec: Codec, split: Split, *, base: Prior | None = None, seed: int = 0) -> Prior:
    """Fit a prior to the codes of a training split, augmented as in training.

    Codes are draws of the posteriors, not their means, because the decoder learned to read draws.
    """
    posterior = codec.posterior(augmented(split, codec.tokenizer, seed=seed))
    return fit_prior(posterior.sample(codec.generator(seed)).cpu(), base=base, seed=seed)


def augmented(split: Split, tokenizer: AnyTokenizer, *, seed: int) -> list[Example]:
    """At most `NUM_FITTED` sequences of a split, drawn at random, augmented as in training."""
    rng = np.random.default_rng(seed)
    numbers = drawn(split, rng)
    ids = tokenizer.augment(split.padded(numbers), rng)
    lengths = split.lengths_of(numbers).tolist()
    return [Example(row[:length]) for row, length in zip(ids, lengths, strict=True)]


def drawn(split: Split, rng: np.random.Generator) -> NDArray[np.int64]:
    """The numbers of at most `NUM_FITTED` sequences of a split."""
    return rng.permutation(len(split))[:NUM_FITTED]


def fit_prior(z: Float[Tensor, "N Z"], *, base: Prior | None = None, seed: int = 0) -> Prior:
    """Fit a mixture by expectation maximisation.

    Covariances are shrunk towards the covariance of all codes, and that one towards the covariance
    of the `base` (N(0, I) by default), each with the weight of Z pseudo-observations, because a few
    codes say little about many dimensions.
    """
    num_codes, size = z.shape
    most = min(MAX_COMPONENTS, num_codes // MIN_CODES, MAX_NUMBERS // size**2)
    num_components = max(1, most)
    belongs = one_hot(_clusters(z, num_components, seed), num_components).to(z)  # (N, K)
    centred = z - z.mean(0)
    shape = (base or Prior.standard(size)).covariance
    common = (centred.mT @ centred + size * shape) / (num_codes + size)
    for _ in tqdm(
        range(EM_ITERATIONS), desc="prior", unit=" steps", leave=False, disable=None, delay=1
    ):
        belongs = _log_densities(z, _mixture(z, belongs, common)).softmax(1)
    return _mixture(z, belongs, common)


def _clusters(z: Float[Tensor, "N Z"], num_clusters: int, seed: int) -> Tensor:
    """The cluster of each code, by k-means (Lloyd 1982)."""
    generator = torch.Generator().manual_seed(seed)
    centres = z[torch.randperm(len(z), generator=generator)[:num_clusters]]
    for _ in range(KMEANS_ITERATIONS):
        members = one_hot(torch.cdist(z, centres).argmin(1), num_clusters).to(z)
        # The old centre counts as one member, so that no cluster is ever empty.
        centres = (members.mT @ z + centres) / (members.sum(0)[:, None] + 1)
    return torch.cdist(z, centres).argmin(1)


def _mixture(
    z: Float[Tensor, "N Z"], belongs: Float[Tensor, "N K"], common: Float[Tensor, "Z Z"]
) -> Prior:
    """The most likely mixture if each code belongs to the components to these degrees."""
    size, counts = z.shape[1], belongs.sum(0)
    means = belongs.mT @ z / counts.clamp(min=1e-6)[:, None]
    scales = []
    for degrees, mean in zip(belongs.mT, means, strict=True):
        centred = z - mean
        scatter = (degrees[:, None] * centred).mT @ centred
        scales.append(torch.linalg.cholesky((scatter + size * common) / (degrees.sum() + size)))
    return Prior(counts / counts.sum(), means, torch.stack(scales))


def _log_densities(z: Float[Tensor, "N Z"], prior: Prior) -> Float[Tensor, "N K"]:
    """Log weight_k + log N(z; component k)."""
    densities = []
    for weight, mean, scale in zip(prior.weights, prior.means, prior.scales, strict=True):
        white = torch.linalg.solve_triangular(scale, (z - mean).mT, upper=False)
        volume = scale.diagonal().log().sum() + len(mean) / 2 * math.log(2 * math.pi)
        densities.append(weight.log() - white.square().sum(0) / 2 - volume)
    return torch.stack(densities, dim=1)
