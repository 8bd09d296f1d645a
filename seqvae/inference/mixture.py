"""A mixture of Gaussians over whole codes.

Axes: N codes, K components, Z latent.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot
from tqdm import tqdm

MAX_COMPONENTS, MIN_CODES = 50, 200  # of a mixture; codes per component, on average
MAX_NUMBERS = 2**19  # in all covariances together; half of them are stored: 1 MiB in a bundle
KMEANS_ITERATIONS = 10  # enough for the start of the mixture
EM_ITERATIONS = 30  # the next 20 would gain less than 0.05 nats per code in all


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of Gaussians."""

    weights: Float[Tensor, " K"]
    means: Float[Tensor, "K Z"]
    scales: Float[Tensor, "K Z Z"]
    """Cholesky factors of the covariances."""

    @classmethod
    def standard(cls, latent_dim: int) -> "Mixture":
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

    def log_prob(self, z: Float[Tensor, "N Z"]) -> Float[Tensor, " N"]:
        """The log density of codes, on their device."""
        return log_densities(z, self).logsumexp(1)

    def parts(self) -> dict[str, Tensor]:
        """What a file holds: of each Cholesky factor the lower triangle, row by row."""
        rows, columns = torch.tril_indices(*self.scales.shape[1:])
        return {
            "weights": self.weights,
            "means": self.means.contiguous(),
            "scales": self.scales[:, rows, columns],
        }

    @classmethod
    def of_parts(cls, parts: dict[str, Tensor], latent_dim: int) -> "Mixture":
        """The mixture of such `parts`; those of older files have whole Cholesky factors.

        Raises:
            ValueError: they are of another model, or no mixture.
        """
        count = len(parts["weights"])
        rows, columns = torch.tril_indices(latent_dim, latent_dim)
        shapes = {"weights": (count,), "means": (count, latent_dim), "scales": (count, len(rows))}
        if parts["scales"].ndim == 3:
            shapes["scales"] = (count, latent_dim, latent_dim)
        for name, value in parts.items():
            if tuple(value.shape) != shapes[name]:
                raise ValueError(f"{name} of shape {tuple(value.shape)}, not {shapes[name]}")
        if (parts["weights"] < 0).any() or not parts["weights"].sum() > 0:
            raise ValueError("weights below 0")
        scales = parts["scales"]
        if scales.ndim == 2:
            scales = scales.new_zeros(count, latent_dim, latent_dim)
            scales[:, rows, columns] = parts["scales"]
        return cls(parts["weights"], parts["means"], scales)


def fit_mixture(z: Float[Tensor, "N Z"], *, base: Mixture | None = None, seed: int = 0) -> Mixture:
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
    shape = (base or Mixture.standard(size)).covariance
    common = (centred.mT @ centred + size * shape) / (num_codes + size)
    for _ in tqdm(
        range(EM_ITERATIONS), desc="prior", unit=" steps", leave=False, disable=None, delay=1
    ):
        belongs = log_densities(z, _mixture(z, belongs, common)).softmax(1)
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
) -> Mixture:
    """The most likely mixture if each code belongs to the components to these degrees."""
    size, counts = z.shape[1], belongs.sum(0)
    means = belongs.mT @ z / counts.clamp(min=1e-6)[:, None]
    scales = []
    for degrees, mean in zip(belongs.mT, means, strict=True):
        centred = z - mean
        scatter = (degrees[:, None] * centred).mT @ centred
        scales.append(torch.linalg.cholesky((scatter + size * common) / (degrees.sum() + size)))
    return Mixture(counts / counts.sum(), means, torch.stack(scales))


def log_densities(z: Float[Tensor, "N Z"], mixture: Mixture) -> Float[Tensor, "N K"]:
    """Log weight_k + log N(z; component k)."""
    densities = []
    parts = (part.to(z.device) for part in (mixture.weights, mixture.means, mixture.scales))
    for weight, mean, scale in zip(*parts, strict=True):
        white = torch.linalg.solve_triangular(scale, (z - mean).mT, upper=False)
        volume = scale.diagonal().log().sum() + len(mean) / 2 * math.log(2 * math.pi)
        densities.append(weight.log() - white.square().sum(0) / 2 - volume)
    return torch.stack(densities, dim=1)
