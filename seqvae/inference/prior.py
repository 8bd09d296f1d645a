"""The density that samples are drawn from: N(0, I), or what the codes of a corpus really have.

Training pulls each posterior towards N(0, I), but not all the way: codes of real sequences fill a
part of that space only, and between its dimensions there are ties, such as that a bar is like the
one before it. So after the training a mixture of Gaussians is fitted to codes of the training split
(ex-post density estimation, Ghosh et al. 2020, sec. 4). It serves sampling alone: every likelihood
and every KL is against N(0, I).

Axes: N codes, K components, Z latent.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import one_hot
from tqdm import tqdm

from seqvae.errors import InputError

FILE = "prior.safetensors"  # in a bundle
MAX_COMPONENTS, MIN_CODES = 50, 200  # of a mixture, and of each of its components on average
MAX_NUMBERS = 2**19  # in all covariances together
ITERATIONS = 30  # of k-means, a third, and of expectation maximisation


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

    def sample(self, num_codes: int, generator: torch.Generator) -> Float[Tensor, "N Z"]:
        """Codes, on the device of the generator."""
        device = generator.device
        chosen = torch.multinomial(
            self.weights.to(device), num_codes, replacement=True, generator=generator
        )
        shape = (num_codes, self.means.shape[1])
        noise = torch.randn(shape, generator=generator, device=device)
        means, scales = self.means.to(device)[chosen], self.scales.to(device)[chosen]
        return means + torch.einsum("nij,nj->ni", scales, noise)

    def save(self, bundle: Path) -> None:
        """Write `prior.safetensors`."""
        save_file({name: value.contiguous() for name, value in vars(self).items()}, bundle / FILE)
        (bundle / FILE).chmod(0o644)  # it is written as private

    @classmethod
    def load(cls, bundle: Path, latent_dim: int) -> "Prior":
        """Read what `save` wrote; N(0, I) where nothing is.

        Raises:
            InputError: it is damaged.
        """
        if not (bundle / FILE).is_file():
            return cls.standard(latent_dim)
        try:
            return cls(**load_file(bundle / FILE))
        except (OSError, TypeError, SafetensorError) as error:
            raise InputError(f"{bundle / FILE}: damaged ({error})") from error


def fit_prior(z: Float[Tensor, "N Z"], *, seed: int = 0) -> Prior:
    """Expectation maximisation on draws of the posteriors of many sequences.

    Each covariance leans on that of all codes, and that on I, as if Z codes more had been seen with
    it: few codes of many dimensions say little.
    """
    num_codes, size = z.shape
    most = min(MAX_COMPONENTS, num_codes // MIN_CODES, MAX_NUMBERS // size**2)
    num_components = max(1, most)
    share = one_hot(_clusters(z, num_components, seed), num_components).to(
        z
    )  # (N, K): how much is of each
    centred = z - z.mean(0)
    common = (centred.mT @ centred + size * torch.eye(size)) / (num_codes + size)
    for _ in tqdm(range(ITERATIONS), desc="prior", unit=" steps", leave=False, disable=None):
        found = _mixture(z, share, common)
        share = _log_densities(z, found).softmax(1)
    return _mixture(z, share, common)


def _clusters(z: Float[Tensor, "N Z"], num_clusters: int, seed: int) -> Tensor:
    """The cluster of each code, by k-means (Lloyd 1982)."""
    generator = torch.Generator().manual_seed(seed)
    centres = z[torch.randperm(len(z), generator=generator)[:num_clusters]]
    for _ in range(ITERATIONS // 3):
        share = one_hot(torch.cdist(z, centres).argmin(1), num_clusters).to(z)
        centres = (share.mT @ z + centres) / (share.sum(0)[:, None] + 1)  # none is ever empty
    return torch.cdist(z, centres).argmin(1)


def _mixture(
    z: Float[Tensor, "N Z"], share: Float[Tensor, "N K"], common: Float[Tensor, "Z Z"]
) -> Prior:
    """The most likely mixture where each code belongs to the components by these shares."""
    size, counts = z.shape[1], share.sum(0)
    means = share.mT @ z / counts.clamp(min=1e-6)[:, None]
    scales = []
    for own, mean in zip(share.mT, means, strict=True):
        centred = z - mean
        covariance = (own[:, None] * centred).mT @ centred
        scales.append(torch.linalg.cholesky((covariance + size * common) / (own.sum() + size)))
    return Prior(counts / counts.sum(), means, torch.stack(scales))


def _log_densities(z: Float[Tensor, "N Z"], prior: Prior) -> Float[Tensor, "N K"]:
    """Log w_k + log N(z; component k)."""
    found = []
    for weight, mean, scale in zip(prior.weights, prior.means, prior.scales, strict=True):
        white = torch.linalg.solve_triangular(scale, (z - mean).mT, upper=False)
        volume = scale.diagonal().log().sum() + len(mean) / 2 * math.log(2 * math.pi)
        found.append(weight.log() - white.square().sum(0) / 2 - volume)
    return torch.stack(found, dim=1)
