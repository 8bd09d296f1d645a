"""What is kept of posteriors that come batch by batch: memory does not grow with their number.

Axes: B sequences of a batch, N sequences of all batches, Z latent.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from seqvae.model.latent import DiagonalGaussian


class Spread:
    """The variance of each dimension (Chan et al. 1979)."""

    def __init__(self) -> None:
        """Of nothing yet."""
        self.count = 0
        self.mean: Tensor = torch.zeros(())
        self.squares: Tensor = torch.zeros(())
        """The sum of squared distances from the mean."""

    def add(self, values: Float[Tensor, "B Z"]) -> None:
        """Add the values of a batch."""
        values = values.double()
        mean = values.mean(0)
        squares = (values - mean).square().sum(0)
        if self.count:
            distance, total = mean - self.mean, self.count + len(values)
            squares = squares + self.squares
            squares += distance.square() * (self.count * len(values) / total)
            mean = self.mean + distance * (len(values) / total)
        self.count, self.mean, self.squares = self.count + len(values), mean, squares

    def variance(self) -> Float[Tensor, " Z"]:
        """The unbiased variance over all batches; 0 of a single sequence."""
        return self.squares / max(self.count - 1, 1)


class PosteriorSample:
    """All posteriors in their order, or a uniform sample of them where they are too many.

    Each draws a number; those with the smallest numbers stay.
    """

    def __init__(self, size: int, *, seed: int) -> None:
        """No more than `size` posteriors are sampled."""
        self.size, self.bound, self.count = size, 1.0, 0
        self.generator = torch.Generator().manual_seed(seed)
        self.parts: list[tuple[Tensor, Tensor, Tensor]] = []  # numbers, means, log_stddevs

    def add(self, posterior: DiagonalGaussian) -> None:
        """Add the posteriors of a batch."""
        drawn = torch.rand(len(posterior.mean), generator=self.generator, dtype=torch.float64)
        self._keep(drawn, posterior, drawn < self.bound)
        if self.count > 2 * self.size:
            self._cut()

    def result(self) -> DiagonalGaussian:
        """The sample of all batches."""
        if self.count > self.size:
            self._cut()
        _, means, log_stddevs = map(torch.cat, zip(*self.parts, strict=True))
        return DiagonalGaussian(means, log_stddevs)

    def _cut(self) -> None:
        """Leave out those with the largest numbers."""
        drawn, means, log_stddevs = map(torch.cat, zip(*self.parts, strict=True))
        self.bound = float(drawn.kthvalue(self.size).values)
        self.parts, self.count = [], 0
        self._keep(drawn, DiagonalGaussian(means, log_stddevs), drawn <= self.bound)

    def _keep(self, drawn: Tensor, posterior: DiagonalGaussian, chosen: Tensor) -> None:
        here = chosen.to(posterior.mean.device)
        self.parts.append((drawn[chosen], posterior.mean[here], posterior.log_stddev[here]))
        self.count += int(chosen.sum())
