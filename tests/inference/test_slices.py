"""The prior of slices: its density by hand, its samples by its density, its fit to known codes."""

import math

import pytest
import torch
from tiny import randomised
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from seqvae.inference import slices as module
from seqvae.inference.slices import SlicePrior, fit_slices
from seqvae.model.latent import DiagonalGaussian


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of two dimensions, and a network that takes no time."""
    for name, value in {"GROUP": 2, "COMPONENTS": 3, "HIDDEN_DIM": 16}.items():
        monkeypatch.setattr(module, name, value)


def random_prior(num_slices: int, slice_dim: int, std: float = 0.4) -> SlicePrior:
    prior = randomised(SlicePrior(num_slices, slice_dim), std=std)
    prior.axes = torch.eye(slice_dim) + 0.3 * torch.randn(
        slice_dim, slice_dim, generator=generator(1)
    )
    prior.centre = torch.full((slice_dim,), 0.5)
    return prior.requires_grad_(requires_grad=False)


def slow_log_prob(prior: SlicePrior, code: torch.Tensor) -> torch.Tensor:
    """Of one code, group by group, with the mixtures of torch."""
    slices = code.view(prior.num_slices, prior.slice_dim)
    white = torch.linalg.inv(prior.axes) @ (slices - prior.centre).T  # (S, U)
    total, state = torch.tensor(0.0), None
    before = torch.zeros(prior.slice_dim)
    for place, current in enumerate(white.T):
        one_hot = torch.eye(prior.num_slices)[place]
        hidden, state = prior.reader(torch.cat([before, one_hot])[None], state)
        for number in range(prior.num_groups):
            first, last = 2 * number, min(2 * number + 2, prior.slice_dim)
            known = torch.zeros(prior.slice_dim)
            known[:first] = current[:first]
            which = torch.eye(prior.num_groups)[number]
            features = prior.hidden(torch.cat([hidden[0], known, which])).relu()
            numbers = prior.output(features).view(3, -1)
            width = (numbers.shape[1] - 1) // 2
            means, log_stddevs = numbers[:, 1 : 1 + width], numbers[:, 1 + width :]
            components = Normal(
                means[:, : last - first], log_stddevs[:, : last - first].clamp(-5, 3).exp()
            )
            mixture = MixtureSameFamily(
                Categorical(logits=numbers[:, 0]), Independent(components, 1)
            )
            total = total + mixture.log_prob(current[first:last])
        before = current
    return total - prior.num_slices * torch.linalg.slogdet(prior.axes).logabsdet


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("num_slices", "slice_dim"), [(1, 1), (3, 4), (2, 5)])
def test_the_density_is_the_product_of_its_groups(num_slices: int, slice_dim: int) -> None:
    prior = random_prior(num_slices, slice_dim)
    z = torch.randn(6, num_slices * slice_dim, generator=generator())
    expected = torch.stack([slow_log_prob(prior, code) for code in z])
    torch.testing.assert_close(prior.log_prob(z), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("small")
def test_samples_have_the_density(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moments of samples, and those by the density on a grid, which holds all of it."""
    monkeypatch.setattr(module, "SPREAD", 1.0)
    prior = random_prior(2, 1, std=0.25)
    line = torch.linspace(-15, 15, 501)
    grid = torch.cartesian_prod(line, line)
    weights = prior.log_prob(grid).exp() * (line[1] - line[0]) ** 2
    assert float(weights.sum()) == pytest.approx(1, abs=1e-3)
    z = prior.sample(40_000, generator())
    mean = weights @ grid
    torch.testing.assert_close(z.mean(0), mean, atol=0.03, rtol=0)
    covariance = (grid - mean).T @ (weights[:, None] * (grid - mean))
    torch.testing.assert_close(torch.cov(z.T), covariance, atol=0.06, rtol=0)


@pytest.mark.usefixtures("small")
def test_a_sample_without_spread_is_its_own_means(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each group is the mean that follows from the groups and slices before it."""
    monkeypatch.setattr(module, "SPREAD", 0.0)
    monkeypatch.setattr(module, "COMPONENTS", 1)
    prior = random_prior(2, 3)
    slices = prior.whitened(prior.sample(1, generator()))
    before = torch.cat([torch.zeros(1, 1, 3), slices[:, :1]], dim=1)
    states, _ = prior.reader(torch.cat([before, torch.eye(2)[None]], dim=-1))
    means = torch.cat([prior._mixture(states, slices, number)[1][:, :, 0] for number in (0, 1)], -1)
    torch.testing.assert_close(means, slices, rtol=1e-4, atol=1e-4)


def tied(num_codes: int, seed: int) -> DiagonalGaussian:
    """Three slices of two dimensions; each slice is the one before, turned and a little changed."""
    rng = generator(seed)
    slices = [torch.randn(num_codes, 2, generator=rng)]
    for _ in range(2):
        noise = torch.randn(num_codes, 2, generator=rng)
        slices.append(0.9 * slices[-1].flip(1) + 0.4 * noise)
    mean = torch.cat(slices, dim=1)
    return DiagonalGaussian(mean, torch.full_like(mean, 0.5).log())


@pytest.mark.usefixtures("small")
def test_slices_that_follow_from_each_other_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPREAD", 1.0)
    monkeypatch.setattr(module, "MAX_STEPS", 400)
    monkeypatch.setattr(module, "DROPOUT", 0.0)
    state = torch.get_rng_state()
    train, held_out = tied(2000, 1), tied(500, 2)
    prior = fit_slices(train, held_out, 3)
    assert torch.equal(torch.get_rng_state(), state)
    z = held_out.sample(generator())
    covariance = torch.cov(train.sample(generator()).T)
    gaussian = torch.distributions.MultivariateNormal(z.mean(0), covariance)  # which it is
    assert float(prior.log_prob(z).mean()) > float(gaussian.log_prob(z).mean()) - 0.3
    drawn = torch.cov(prior.sample(4000, generator()).T)
    torch.testing.assert_close(drawn, covariance, atol=0.2, rtol=0)
    assert not prior.training


@pytest.mark.usefixtures("small")
def test_samples_stay_nearer_to_the_means_than_the_density_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prior = random_prior(1, 2)
    spreads = []
    for spread in (1.0, module.SPREAD, 0.0):
        monkeypatch.setattr(module, "SPREAD", spread)
        spreads.append(float(torch.cov(prior.sample(2000, generator()).T).trace()))
    assert spreads == sorted(spreads, reverse=True)
    assert module.SPREAD < 1 < math.inf


@pytest.mark.usefixtures("small")
def test_the_best_on_held_out_codes_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, seen = iter([1.0, 3.0, 2.0, 2.5, 2.9, 9.0]), []

    def score(prior: SlicePrior, slices: torch.Tensor) -> float:
        assert slices.shape == (4, 3, 2)
        seen.append(prior.output.bias.clone())
        return next(scores)

    monkeypatch.setattr(module, "_score", score)
    monkeypatch.setattr(module, "STEPS_PER_CHECK", 2)
    prior = fit_slices(tied(600, 1), tied(4, 2), 3)
    assert len(seen) == 5  # three checks without a better one
    assert torch.equal(prior.output.bias, seen[1])
    assert not torch.equal(seen[1], seen[4])


@pytest.mark.usefixtures("small")
def test_a_fit_ends_as_its_base_if_no_step_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_score", lambda *_: 1.0)
    narrow = fit_slices(tied(7, 1), tied(3, 2), 3, hidden_dim=5)
    assert narrow.reader.hidden_size == len(narrow.hidden.bias) == 5
    base = randomised(narrow).requires_grad_(requires_grad=False)
    kept = fit_slices(tied(7, 1), tied(3, 2), 3, base=base)
    for name, value in base.state_dict().items():
        assert torch.equal(value, kept.state_dict()[name]), name
    monkeypatch.setattr(module, "MAX_EPOCHS", 1)
    scores = iter([1.0, 2.0])
    monkeypatch.setattr(module, "_score", lambda *_: next(scores))
    moved = fit_slices(tied(7, 1), tied(3, 2), 3, base=base)
    assert torch.equal(moved.axes, base.axes)
    assert 0 < float((moved.output.weight - base.output.weight).abs().max()) < 0.1


@pytest.mark.usefixtures("small")
def test_a_fit_repeats_itself_by_seed_and_few_codes_are_few_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = []
    whitened_log_prob = SlicePrior.whitened_log_prob

    def counted(prior: SlicePrior, slices: torch.Tensor) -> torch.Tensor:
        steps.append(len(slices))
        return whitened_log_prob(prior, slices)

    monkeypatch.setattr(SlicePrior, "whitened_log_prob", counted)
    one, same, other = (fit_slices(tied(7, 1), tied(3, 2), 3, seed=seed) for seed in (0, 0, 1))
    assert steps == ([128] * 40 + [3]) * 3
    for name, value in one.state_dict().items():
        assert torch.equal(value, same.state_dict()[name]), name
    assert not torch.equal(one.output.weight, other.output.weight)
    assert one.sample(3, generator()).isfinite().all()
