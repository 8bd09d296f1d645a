import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from seqvae.model.latent import INTERPOLATIONS, DiagonalGaussian, lerp, slerp

ENDS = torch.tensor([0.0, 1.0])
FRACTIONS = torch.linspace(0, 1, 9)


def random_posterior(num_sequences: int = 50, latent_dim: int = 7) -> DiagonalGaussian:
    generator = torch.Generator().manual_seed(0)
    shape = (num_sequences, latent_dim)
    mean = 2 * torch.randn(shape, generator=generator)
    return DiagonalGaussian(mean, torch.randn(shape, generator=generator))


def test_kl_equals_torch_distributions() -> None:
    q = random_posterior()
    prior = Normal(torch.zeros_like(q.mean), torch.ones_like(q.mean))
    expected = kl_divergence(Normal(q.mean, q.log_stddev.exp()), prior).sum(-1)
    torch.testing.assert_close(q.kl(), expected, rtol=1e-5, atol=1e-5)  # float32


@pytest.mark.parametrize(
    ("mean", "stddev", "expected"),
    [
        (0.0, 1.0, 0.0),
        (2.0, 1.0, 2.0),
        # With mean 0, a log-variance in the place of the log-stddev, or a factor 1/2 before it,
        # gives 0.5 * (e - 2) or (e^2 - 2) / 2 instead.
        (0.0, math.e, (math.e**2 - 3) / 2),
        (0.0, 1 / math.e, (math.e**-2 + 1) / 2),
        (1.0, 2.0, 2.0 - math.log(2)),
    ],
)
def test_kl_by_hand(mean: float, stddev: float, expected: float) -> None:
    q = DiagonalGaussian(torch.tensor([[mean]]), torch.tensor([[stddev]]).log())
    assert q.kl().item() == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_kl_is_summed_over_dimensions_and_not_over_sequences() -> None:
    q = DiagonalGaussian(torch.tensor([[2.0, 2.0, 2.0], [0.0, 0.0, 4.0]]), torch.zeros(2, 3))
    assert q.kl().tolist() == [6.0, 8.0]


def test_kl_of_each_dimension_equals_torch_distributions_and_sums_to_the_kl() -> None:
    q = random_posterior()
    expected = kl_divergence(Normal(q.mean, q.log_stddev.exp()), Normal(0.0, 1.0))
    assert q.kl_per_dim().shape == (50, 7)
    torch.testing.assert_close(q.kl_per_dim(), expected, rtol=1e-5, atol=1e-5)  # float32
    torch.testing.assert_close(q.kl(), q.kl_per_dim().sum(1), rtol=0, atol=0)


def test_the_mean_kl_of_linear_gaussian_codes_is_information_and_mismatch() -> None:
    """E KL(q || p) = I(x; z) + KL(q(z) || p), and here q(z) is N(0, spread^2 + width^2)."""
    spread, width = torch.tensor([1.0, 0.5, 2.0]), 0.4
    mean = spread * torch.randn(200_000, 3, generator=torch.Generator().manual_seed(0))
    q = DiagonalGaussian(mean, torch.full_like(mean, width).log())
    information = 0.5 * torch.log1p((spread / width).square())
    aggregate = Normal(torch.zeros(3), (spread.square() + width**2).sqrt())
    expected = information + kl_divergence(aggregate, Normal(0.0, 1.0))
    # mean^2 / 2 scatters by spread^2 / sqrt(2): five errors of the widest are 0.032.
    torch.testing.assert_close(q.kl_per_dim().mean(0), expected, rtol=0, atol=0.032)


def test_samples_have_the_mean_and_the_stddev() -> None:
    num_draws = 100_000
    mean, stddev = torch.tensor([-1.0, 0.0, 3.0]), torch.tensor([0.1, 1.0, 2.5])
    q = DiagonalGaussian(mean.expand(num_draws, -1), stddev.log().expand(num_draws, -1))
    z = q.sample(torch.Generator().manual_seed(0))
    five_errors = 5 * stddev / math.sqrt(num_draws)
    assert ((z.mean(0) - mean).abs() < five_errors).all()
    assert ((z.std(0) - stddev).abs() < five_errors).all()
    off_diagonal = torch.corrcoef(z.T) - torch.eye(3)
    assert off_diagonal.abs().max() < 5 / math.sqrt(num_draws)


def test_samples_follow_the_generator_alone() -> None:
    q = random_posterior()
    before = torch.get_rng_state()
    draws = [q.sample(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_sample_passes_gradients_to_mean_and_stddev() -> None:
    mean, log_stddev = torch.zeros(1, 2, requires_grad=True), torch.ones(1, 2, requires_grad=True)
    z = DiagonalGaussian(mean, log_stddev).sample(torch.Generator().manual_seed(0))
    z.sum().backward()
    assert torch.equal(mean.grad, torch.ones(1, 2))
    torch.testing.assert_close(log_stddev.grad, z.detach())  # d(stddev * noise) / d log stddev


@pytest.mark.parametrize("name", INTERPOLATIONS)
def test_ends_are_the_given_points(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        pair = torch.randn(2, 16, generator=generator)
        ends = INTERPOLATIONS[name](pair[0], pair[1], ENDS)
        torch.testing.assert_close(ends, pair, rtol=1e-6, atol=1e-7)  # one rounding


def test_slerp_keeps_the_norm_of_equal_norms() -> None:
    generator = torch.Generator().manual_seed(0)
    for radius in (0.5, 1.0, 8.0):
        pair = torch.nn.functional.normalize(torch.randn(2, 16, generator=generator)) * radius
        norms = slerp(pair[0], pair[1], FRACTIONS).norm(dim=1)
        torch.testing.assert_close(norms, torch.full((9,), radius), rtol=1e-5, atol=0)


def test_slerp_moves_by_equal_angles() -> None:
    start, end = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    angles = FRACTIONS * math.pi / 2
    expected = torch.stack([angles.cos(), angles.sin()], dim=1)
    torch.testing.assert_close(slerp(start, end, FRACTIONS), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("start", "end", "midpoint"),
    [
        ((1.0, 0.0), (0.0, 1.0), (math.sqrt(0.5), math.sqrt(0.5))),
        ((1.0, 0.0), (-0.5, math.sqrt(0.75)), (0.5, math.sqrt(0.75))),  # 120 degrees
        ((2.0, 0.0), (0.0, 4.0), (math.sqrt(2), math.sqrt(8))),  # the angle ignores the norms
    ],
)
def test_midpoint_of_slerp(
    start: tuple[float, ...], end: tuple[float, ...], midpoint: tuple[float, ...]
) -> None:
    middle = slerp(torch.tensor(start), torch.tensor(end), torch.tensor([0.5]))
    torch.testing.assert_close(middle, torch.tensor([midpoint]), rtol=0, atol=1e-6)


POINT = torch.tensor([0.3, -2.0, 1.0])
ZERO = torch.zeros(3)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (POINT, POINT),
        (POINT, 2 * POINT),
        (POINT, POINT * (1 + 1e-7)),
        (POINT, -POINT),
        (POINT, -3 * POINT),
        (ZERO, POINT),
        (POINT, ZERO),
        (ZERO, ZERO),
    ],
)
def test_slerp_without_a_great_circle_is_finite(start: torch.Tensor, end: torch.Tensor) -> None:
    path = slerp(start, end, FRACTIONS)
    assert path.isfinite().all()
    assert path.norm(dim=1).max() <= max(start.norm(), end.norm()) * (1 + 1e-6)
    torch.testing.assert_close(path[[0, -1]], torch.stack([start, end]), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("start", "end"),
    [(POINT, 2 * POINT), (POINT, -POINT), (ZERO, POINT), (POINT, ZERO), (ZERO, ZERO)],
)
def test_slerp_without_a_great_circle_is_the_line(start: torch.Tensor, end: torch.Tensor) -> None:
    expected = lerp(start, end, FRACTIONS)
    torch.testing.assert_close(slerp(start, end, FRACTIONS), expected, rtol=1e-6, atol=1e-6)


def test_lerp_by_hand() -> None:
    path = lerp(torch.tensor([0.0, 4.0]), torch.tensor([2.0, 0.0]), torch.tensor([0.0, 0.25, 1.0]))
    assert path.tolist() == [[0.0, 4.0], [0.5, 3.0], [2.0, 0.0]]
