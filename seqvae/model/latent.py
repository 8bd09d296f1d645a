"""The latent variable: diagonal Gaussian posteriors q(z|x) against the prior N(0, I).

Axes: B sequences, Z latent dimensions, N points. Information is in nats.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from seqvae.model.ranks import Share


@dataclass(frozen=True, eq=False)
class DiagonalGaussian:
    """One Gaussian with diagonal covariance per sequence."""

    mean: Float[Tensor, "B Z"]
    log_stddev: Float[Tensor, "B Z"]

    def sample(
        self, generator: torch.Generator | None = None, share: Share | None = None
    ) -> Float[Tensor, "B Z"]:
        """Draw z = mean + stddev * noise (Kingma & Welling 2014, eq. 10).

        Of a batch that is shared, each row has the noise that it has in the whole batch.
        """
        num_rows = len(self.mean) if share is None else share.num_rows
        noise = self.mean.new_empty(num_rows, self.mean.shape[1]).normal_(generator=generator)
        if share is not None:
            noise = share.rows(noise)
        return self.mean + torch.exp(self.log_stddev) * noise

    def kl_per_dim(self) -> Float[Tensor, "B Z"]:
        """KL(q || N(0, 1)) of each dimension, in nats (ibid., appendix B)."""
        variance = torch.exp(2 * self.log_stddev)
        return 0.5 * (self.mean.square() + variance - 1) - self.log_stddev

    def kl(self) -> Float[Tensor, " B"]:
        """KL(q || N(0, I)) in nats, summed over dimensions."""
        return self.kl_per_dim().sum(-1)


def lerp(
    start: Float[Tensor, " Z"], end: Float[Tensor, " Z"], fractions: Float[Tensor, " N"]
) -> Float[Tensor, "N Z"]:
    """Interpolate along the straight line from start (fraction 0) to end (fraction 1)."""
    t = fractions[:, None]
    return (1 - t) * start + t * end


def slerp(
    start: Float[Tensor, " Z"], end: Float[Tensor, " Z"], fractions: Float[Tensor, " N"]
) -> Float[Tensor, "N Z"]:
    """Interpolate along the great circle from start to end (Shoemake 1985).

    Parallel, opposite and zero vectors span no unique circle; the line is taken instead.
    """
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=0).clamp(-1.0, 1.0)
    angle = torch.acos(cosine)
    no_direction = not (start.any() and end.any())
    if no_direction or math.sin(angle) < 1e-4:
        return lerp(start, end, fractions)
    t = fractions[:, None]
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)


def weighted(z: Float[Tensor, "N *W Z"], weights: Float[Tensor, " N"]) -> Float[Tensor, "*W Z"]:
    """The weighted mean of N points, as long as their lengths are on the weighted average.

    Plain means of codes are too short: almost all of the prior lies near the radius sqrt(Z).
    """
    mean = torch.tensordot(weights, z, dims=1)
    length = torch.tensordot(weights, z.norm(dim=-1, keepdim=True), dims=1)
    point: Tensor = mean * length / mean.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    return point


INTERPOLATIONS = {"slerp": slerp, "lerp": lerp}
