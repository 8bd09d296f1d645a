"""The fitted prior against densities that are known."""

from pathlib import Path

import pytest
import torch
from torch.distributions import MultivariateNormal

import seqvae.inference.prior
from seqvae.errors import InputError
from seqvae.inference.prior import Prior, fit_prior


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
    z = Prior.standard(3).sample(20_000, generator())
    torch.testing.assert_close(z.mean(0), torch.zeros(3), atol=0.03, rtol=0)
    torch.testing.assert_close(torch.cov(z.mT), torch.eye(3), atol=0.04, rtol=0)
    assert Prior.standard(0).sample(4, generator()).shape == (4, 0)


def test_densities_equal_torch_distributions() -> None:
    prior = fit_prior(two_heaps(1000))
    z = torch.randn(50, 2, generator=generator())
    expected = torch.stack([
        weight.log() + MultivariateNormal(mean, scale_tril=scale).log_prob(z)
        for weight, mean, scale in zip(prior.weights, prior.means, prior.scales, strict=True)
    ], dim=1)  # fmt: skip
    torch.testing.assert_close(
        seqvae.inference.prior._log_densities(z, prior), expected, rtol=1e-4, atol=1e-4
    )


def test_a_mixture_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seqvae.inference.prior, "MAX_COMPONENTS", 2)
    prior = fit_prior(two_heaps(4000))
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
    prior = fit_prior(z)
    assert len(prior.weights) == max(1, num_codes // seqvae.inference.prior.MIN_CODES)
    assert prior.sample(100, generator()).isfinite().all()
    covariance = (prior.scales @ prior.scales.mT)[0]
    assert 0.1 < covariance.diagonal().min() <= covariance.diagonal().max() < 3


def test_it_comes_back_from_disk(tmp_path: Path) -> None:
    prior = fit_prior(two_heaps(500))
    prior.save(tmp_path)
    again = Prior.load(tmp_path, 2)
    torch.testing.assert_close(again.sample(9, generator()), prior.sample(9, generator()))
    (tmp_path / "prior.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match=r"prior.safetensors: damaged"):
        Prior.load(tmp_path, 2)
