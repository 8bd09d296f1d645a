"""What is kept of posteriors that come batch by batch, against all of them."""

import pytest
import torch

from seqvae.inference.running import PosteriorSample, Spread
from seqvae.model.latent import DiagonalGaussian


def posteriors(count: int) -> DiagonalGaussian:
    """Each with its number as mean, and the number's opposite as log_stddev."""
    numbers = torch.arange(count, dtype=torch.float32)[:, None]
    return DiagonalGaussian(numbers, -numbers)


def sampled(size: int, count: int, batch_size: int, seed: int = 0) -> list[int]:
    sample, every = PosteriorSample(size, seed=seed), posteriors(count)
    for mean, log_stddev in zip(
        every.mean.split(batch_size), every.log_stddev.split(batch_size), strict=True
    ):
        sample.add(DiagonalGaussian(mean, log_stddev))
        assert sample.count <= 2 * size + batch_size
    result = sample.result()
    assert (result.log_stddev == -result.mean).all()
    return [int(number) for number in result.mean[:, 0].tolist()]


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_few_posteriors_are_all_sampled_in_order(batch_size: int) -> None:
    assert sampled(100, 100, batch_size) == [*range(100)]


def test_many_posteriors_are_sampled_evenly_whatever_the_batches() -> None:
    found = sampled(100, 1000, 7)
    assert found == sampled(100, 1000, 1000) == sorted({*found})
    assert len(found) == 100
    assert found != sampled(100, 1000, 7, seed=1)
    counts = torch.bincount(torch.tensor(found) // 200, minlength=5)
    # Hypergeometric with mean 20 and deviation 3.8 in each fifth, of which 4 are allowed.
    assert (counts - 20).abs().max() < 16


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_a_spread_is_the_variance_of_all(batch_size: int) -> None:
    values = 1000 + torch.randn(100, 4, generator=torch.Generator().manual_seed(0)).double()
    spread = Spread()
    for batch in values.split(batch_size):
        spread.add(batch)
    torch.testing.assert_close(spread.variance(), values.var(0), rtol=1e-9, atol=0)


def test_a_single_value_has_no_spread() -> None:
    spread = Spread()
    spread.add(torch.ones(1, 3))
    assert spread.variance().tolist() == [0, 0, 0]
