"""The fitted mixture against densities that are known."""

import pytest
import torch
from torch.distributions import MultivariateNormal

from seqvae.inference import mixture as mixture_module
from seqvae.inference.mixture import Mixture, fit_mixture


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def two_heaps(num_codes: int) -> torch.Tensor:
    """Three quarters around (2, 0) with a tie between the dimensions, one around (-2, 1)."""
    scale = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    noise = torch.randn(num_codes, 2, generator=generator(1))
    first = noise @ scale.mT + torch.tensor([2.0, 0.0])
    second = 0.3 * noise + torch.tensor([-2.0, 1.0])
    return torch.where((torch.arange(num_codes) % 4 > 0)[:, None], first, second)


def test_the_standard_prior_is_n_0_i() -> None:
    z = Mixture.standard(3).sample(20_000, generator())
    torch.testing.assert_close(z.mean(0), torch.zeros(3), atol=0.03, rtol=0)
    torch.testing.assert_close(torch.cov(z.mT), torch.eye(3), atol=0.04, rtol=0)
    assert Mixture.standard(0).sample(4, generator()).shape == (4, 0)


def test_densities_equal_torch_distributions() -> None:
    prior = fit_mixture(two_heaps(1000))
    z = torch.randn(50, 2, generator=generator())
    expected = torch.stack([
        weight.log() + MultivariateNormal(mean, scale_tril=scale).log_prob(z)
        for weight, mean, scale in zip(prior.weights, prior.means, prior.scales, strict=True)
    ], dim=1)  # fmt: skip
    torch.testing.assert_close(prior.log_prob(z), expected.logsumexp(1), rtol=1e-4, atol=1e-4)


def test_a_mixture_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixture_module, "MAX_COMPONENTS", 2)
    prior = fit_mixture(two_heaps(4000))
    order = prior.means[:, 0].argsort()
    torch.testing.assert_close(prior.weights[order], torch.tensor([0.25, 0.75]), atol=0.02, rtol=0)
    means = torch.tensor([[-2.0, 1.0], [2.0, 0.0]])
    torch.testing.assert_close(prior.means[order], means, atol=0.08, rtol=0)
    covariances = prior.scales @ prior.scales.mT
    tied = torch.tensor([[1.0, 0.8], [0.8, 1.0]])
    torch.testing.assert_close(covariances[order[1]], tied, atol=0.08, rtol=0)
    drawn, z = prior.sample(4000, generator()), two_heaps(4000)
    torch.testing.assert_close(drawn.mean(0), z.mean(0), atol=0.1, rtol=0)
    torch.testing.assert_close(torch.cov(drawn.mT), torch.cov(z.mT), atol=0.2, rtol=0)


@pytest.mark.parametrize(("num_codes", "size"), [(1, 4), (7, 16), (600, 3)])
def test_few_codes_make_a_density_near_the_standard_one(num_codes: int, size: int) -> None:
    z = torch.randn(num_codes, size, generator=generator())
    prior = fit_mixture(z)
    assert len(prior.weights) == max(1, num_codes // mixture_module.MIN_CODES)
    assert prior.sample(100, generator()).isfinite().all()
    covariance = (prior.scales @ prior.scales.mT)[0]
    assert 0.1 < covariance.diagonal().min() <= covariance.diagonal().max() < 3


@torch.no_grad()
def slow_em(
    z: torch.Tensor, clusters: torch.Tensor, num_components: int, num_iterations: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Expectation maximisation component by component, in float64; from hard clusters."""
    z = z.double()
    num_codes, size = z.shape
    common = ((z - z.mean(0)).mT @ (z - z.mean(0)) + size * torch.eye(size)) / (num_codes + size)
    belongs = torch.stack([(clusters == k).double() for k in range(num_components)])
    for iteration in range(num_iterations + 1):
        counts = belongs.sum(1)
        means = torch.stack([(b[:, None] * z).sum(0) / b.sum() for b in belongs])
        covariances = torch.stack([
            (torch.einsum("n,ni,nj->ij", b, z - m, z - m) + size * common) / (b.sum() + size)
            for b, m in zip(belongs, means, strict=True)
        ])  # fmt: skip
        if iteration == num_iterations:
            return counts / num_codes, means, covariances
        joint = torch.stack([
            torch.log(count / num_codes) + MultivariateNormal(m, c).log_prob(z)
            for count, m, c in zip(counts, means, covariances, strict=True)
        ])  # fmt: skip
        belongs = joint.softmax(0)
    raise AssertionError


def test_the_fit_equals_slow_expectation_maximisation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixture_module, "MAX_COMPONENTS", 2)
    overlapping = torch.randn(2000, 2, generator=generator())
    overlapping[::3] = 0.2 * overlapping[::3] + 0.5  # k-means alone halves the wide component
    clusters = mixture_module._clusters(overlapping, 2, 0)
    prior = fit_mixture(overlapping)
    weights, means, covariances = slow_em(overlapping, clusters, 2, mixture_module.EM_ITERATIONS)
    torch.testing.assert_close(prior.weights.double(), weights, atol=1e-4, rtol=0)
    torch.testing.assert_close(prior.means.double(), means, atol=1e-4, rtol=0)
    torch.testing.assert_close(
        (prior.scales @ prior.scales.mT).double(), covariances, atol=1e-4, rtol=0
    )
    by_k_means = slow_em(overlapping, clusters, 2, 0)
    assert (by_k_means[0] - weights).abs().max() > 0.05  # so the comparison tells something
    assert float(prior.weights.min()) == pytest.approx(1 / 3, abs=0.05)


def test_one_component_has_a_closed_form() -> None:
    z = torch.randn(100, 3, generator=generator()) @ torch.tensor(
        [[2.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.1]]
    )
    prior = fit_mixture(z)
    scatter = torch.cov(z.mT, correction=0)
    common = (100 * scatter + 3 * torch.eye(3)) / 103
    torch.testing.assert_close(prior.weights, torch.ones(1))
    torch.testing.assert_close(prior.means[0], z.mean(0))
    torch.testing.assert_close(
        prior.scales[0] @ prior.scales[0].mT, (100 * scatter + 3 * common) / 103
    )
