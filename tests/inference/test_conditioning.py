"""Mixtures of Gaussians after a linear observation, against closed forms."""

import pytest
import torch

from seqvae.inference.conditioning import KNOWN_VARIANCE, Conditioned, Observation
from seqvae.inference.mixture import Mixture


def gaussian(covariance: torch.Tensor) -> Mixture:
    return Mixture(
        torch.ones(1), torch.zeros(1, len(covariance)), torch.linalg.cholesky(covariance)[None]
    )


def test_a_hidden_slice_follows_the_known_one() -> None:
    prior = gaussian(torch.tensor([[1.0, 0.8], [0.8, 1.0]]))
    known = torch.tensor([True, False])
    conditioned = Conditioned(prior, Observation.of_slices(known, 1))
    generator = torch.Generator().manual_seed(0)
    y = torch.tensor([[1.5, 99.0]]).expand(20_000, -1)
    gain = 1 / (1 + KNOWN_VARIANCE)
    likely = conditioned.sample(y[:1], 0.0, generator)[0]
    assert likely.tolist() == pytest.approx([1.5 * gain, 0.8 * 1.5 * gain], abs=1e-4)
    drawn = conditioned.sample(y, 1.0, generator)
    torch.testing.assert_close(drawn.mean(0), likely, atol=0.02, rtol=0)
    assert float(drawn[:, 1].var()) == pytest.approx(1 - 0.64 * gain, abs=0.02)
    half = conditioned.sample(y, 0.5, generator)
    assert float(half.std(0)[1] / drawn.std(0)[1]) == pytest.approx(0.5, abs=0.02)


def test_the_component_is_chosen_by_what_is_known() -> None:
    prior = Mixture(
        torch.tensor([0.5, 0.5]),
        torch.tensor([[-3.0, 5.0], [3.0, -5.0]]),
        torch.eye(2).repeat(2, 1, 1),
    )
    conditioned = Conditioned(prior, Observation.of_slices(torch.tensor([True, False]), 1))
    z = conditioned.sample(
        torch.tensor([[-3.0, 0.0], [3.0, 0.0]]), 0.0, torch.Generator().manual_seed(0)
    )
    assert z[:, 1].tolist() == pytest.approx([5.0, -5.0], abs=1e-4)


def test_what_a_part_tells_is_learned_from_samples() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(4000, 4, generator=generator)
    y = torch.empty_like(z)
    y[:, :2] = z[:, :2] @ torch.tensor([[0.5, 0.0], [0.25, 0.0]]) + torch.tensor([1.0, -2.0])
    y[:, :2] += 0.1 * torch.randn(4000, 2, generator=generator)
    y[:, 2:] = 7.0
    which = torch.tensor([True, False])
    observation = Observation.of_slices(~which, 2).fitted(which, z, y)
    assert observation.slope[0].flatten().tolist() == pytest.approx([0.5, 0.25, 0, 0], abs=0.01)
    assert observation.offset[0].tolist() == pytest.approx([1.0, -2.0], abs=0.01)
    assert observation.noise[0].diagonal().tolist() == pytest.approx([0.011, 0.011], abs=1e-3)
    assert torch.equal(observation.slope[1], torch.eye(2).double())
    conditioned = Conditioned(gaussian(torch.eye(4)), observation)
    error = conditioned.sample(y, 0.0, generator)[:, 0] - z[:, 0]
    assert float(error.std()) < 0.6  # of 1 without the observation
