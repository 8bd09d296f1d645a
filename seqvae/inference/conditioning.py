"""Codes of sequences of which a part is known.

The encoder reads the known part alone, with blanks for the rest. What it says of the whole code is
taken for a linear observation with Gaussian noise: y = A z + b + noise. The prior is a mixture of
Gaussians, and so is what remains of it after such an observation (Bishop 2006, section 2.3.3).

A hierarchical model reads one slice of z per segment. Of a segment that is known the slice is
observed as it is, and of one that is hidden it is not observed at all: its code comes from those
around it, through the covariances of the prior. Slices of segments that are known in part, and
codes of models without slices, are observed as far as samples of the model itself tell.

Axes: N codes, M samples, U slices, D latent dimensions of a slice, Z = U D, K components.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seqvae.inference.mixture import Mixture

KNOWN_VARIANCE = 0.05  # of a slice that is observed as it is: it depends a little on its context
RIDGE, LEAST_VARIANCE = 0.1, 1e-3


@dataclass(frozen=True, eq=False)
class Observation:
    """What an encoder that reads a part says of the code of the whole: y = A z + b + noise."""

    slope: Float[Tensor, "U D D"]
    offset: Float[Tensor, "U D"]
    noise: Float[Tensor, "U D D"]
    """Covariances."""

    @classmethod
    def of_slices(cls, known: Bool[Tensor, " U"], size: int) -> "Observation":
        """Slices that are observed as they are, or not at all."""
        one = torch.eye(size, dtype=torch.float64)
        noise = torch.where(known[:, None, None], KNOWN_VARIANCE * one, one)
        return cls(known[:, None, None] * one, torch.zeros(len(known), size).double(), noise)

    def fitted(
        self, which: Bool[Tensor, " U"], z: Float[Tensor, "M Z"], y: Float[Tensor, "M Z"]
    ) -> "Observation":
        """The same with some of the slices as least squares have them, of so many samples."""
        num_slices, size = self.offset.shape
        z, y = (x.double().view(len(x), num_slices, size)[:, which].transpose(0, 1) for x in (z, y))
        inputs = torch.cat([z, torch.ones_like(z[..., :1])], dim=-1)
        gram = inputs.mT @ inputs + RIDGE * torch.eye(size + 1, dtype=torch.float64)
        weights = torch.linalg.solve(gram, inputs.mT @ y)  # (U, D + 1, D)
        rest = y - inputs @ weights
        freedom = max(1, z.shape[1] - size - 1)
        noise = rest.mT @ rest / freedom + LEAST_VARIANCE * torch.eye(size, dtype=torch.float64)
        slope, offset, of_all = (x.clone() for x in (self.slope, self.offset, self.noise))
        slope[which], offset[which], of_all[which] = weights[:, :size].mT, weights[:, size], noise
        return replace(self, slope=slope, offset=offset, noise=of_all)


class Conditioned:
    """A prior after an observation, for any number of them."""

    def __init__(self, prior: Mixture, observation: Observation) -> None:
        """What does not depend on the values that are observed."""
        slope, noise = (_block_diagonal(x) for x in (observation.slope, observation.noise))
        self.weights = prior.weights.double()
        self.means, scales = prior.means.double(), prior.scales.double()
        self.expected = self.means @ slope.mT + observation.offset.flatten()
        covariances = scales @ scales.mT  # (K, Z, Z)
        across = slope @ covariances
        self.scales = torch.linalg.cholesky(across @ slope.mT + noise)
        self.gains = torch.cholesky_solve(across, self.scales).mT
        left = covariances - self.gains @ across
        jitter = 1e-5 * torch.eye(slope.shape[1], dtype=torch.float64)
        self.left = torch.linalg.cholesky((left + left.mT) / 2 + jitter)

    def sample(
        self, y: Float[Tensor, "N Z"], spread: float, generator: torch.Generator
    ) -> Float[Tensor, "N Z"]:
        """A code for each observation; `spread` 1 is a draw, 0 the most likely code."""
        surprise = y.double().cpu() - self.expected[:, None]  # (K, N, Z)
        white = torch.linalg.solve_triangular(self.scales, surprise.mT, upper=False)
        volume = self.scales.diagonal(dim1=1, dim2=2).log().sum(1)
        odds = self.weights.log() - volume - white.square().sum(1).T / 2  # (N, K)
        device = generator.device
        component = torch.multinomial(odds.softmax(1).to(device), 1, generator=generator)[:, 0]
        noise = torch.randn(y.shape, generator=generator, device=device).double().cpu()
        chosen, rows = component.cpu(), torch.arange(len(y))
        moved = torch.einsum("nij,nj->ni", self.gains[chosen], surprise[chosen, rows])
        drawn = torch.einsum("nij,nj->ni", self.left[chosen], noise)
        return (self.means[chosen] + moved + spread * drawn).to(y)


def _block_diagonal(blocks: Float[Tensor, "U D D"]) -> Float[Tensor, "Z Z"]:
    """One matrix with these on its diagonal."""
    whole: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]  # of torch
    return whole
