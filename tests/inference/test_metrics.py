"""The formulas of the figures, against quadrature, slow loops and closed forms."""

import math

import numpy as np
import pytest
import torch
from exact import Worth, log_evidence, neg_elbo, worth
from tiny import random_ids, tiny_vae
from torch.distributions import Categorical, Independent, Normal

from seqvae.corpus.batches import Batch
from seqvae.errors import InputError
from seqvae.inference import evaluation, metrics
from seqvae.inference.metrics import (
    active_units,
    hits,
    importance_weighted_nll,
    mutual_information,
    unpadded,
)
from seqvae.model.decoding import Sequences
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.objective import sequence_nll
from seqvae.model.vae import SequenceVAE


def slow_hits(decoded: Sequences, target: Batch) -> list[list[list[bool]]]:
    found = torch.zeros(target.ids.shape, dtype=torch.bool)
    for b, length in enumerate(target.lengths.tolist()):
        for t in range(length):
            for c in range(target.ids.shape[2]):
                if t < decoded.lengths[b]:
                    found[b, t, c] = decoded.ids[b, t, c] == target.ids[b, t, c]
    return found.tolist()


@pytest.mark.parametrize("vocab_sizes", [(2,), (2, 3)])
@pytest.mark.parametrize(
    ("decoded_steps", "decoded_lengths"),
    [(6, [6, 6, 6]), (3, [3, 1, 2]), (9, [9, 7, 1]), (6, [1, 6, 3]), (1, [1, 1, 1])],
)
def test_hits_equal_a_loop(
    vocab_sizes: tuple[int, ...], decoded_steps: int, decoded_lengths: list[int]
) -> None:
    target = Batch(random_ids(vocab_sizes, 3, 6), torch.tensor([6, 4, 1]))
    decoded = Sequences(
        random_ids(vocab_sizes, 3, decoded_steps, seed=1), torch.tensor(decoded_lengths)
    )
    assert hits(decoded, target).tolist() == slow_hits(decoded, target)


def test_padding_is_never_hit() -> None:
    target = Batch(torch.zeros(2, 5, 1, dtype=torch.long), torch.tensor([2, 5]))
    decoded = Sequences(torch.zeros(2, 5, 1, dtype=torch.long), torch.tensor([5, 3]))
    assert hits(decoded, target).sum((1, 2)).tolist() == [2, 3]


def column(tokens: list[list[int]]) -> torch.Tensor:
    return torch.tensor(tokens)[..., None]


def test_active_units_by_construction() -> None:
    signs = torch.tensor([1.0, -1.0] * 50)[:, None]  # variance 100 / 99 of a unit amplitude
    stddevs = torch.tensor([0.0, 0.05, 0.099, 0.101, 3.0]) * math.sqrt(99 / 100)
    offsets = torch.tensor([7.0, 0.0, -3.0, 2.0, 0.5])
    means = signs * stddevs + offsets  # an offset is no activity
    assert active_units(means.double().var(0)) == 2
    assert active_units(means[:, :3].double().var(0)) == 0
    assert active_units(torch.zeros(0)) == 0


def test_rows_leave_out_the_padding() -> None:
    batch = Batch(column([[5, 6, 7], [8, 0, 0]]), torch.tensor([3, 1]))
    assert [ids.tolist() for ids in unpadded(batch)] == [[[5], [6], [7]], [[8]]]


@pytest.fixture(scope="module", params=[1, 2], ids=lambda latent_dim: f"latent_dim_{latent_dim}")
def known(request: pytest.FixtureRequest) -> Worth:
    return worth(request.param)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def watched(model: SequenceVAE, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each call of the decoder from here on."""
    calls: list[int] = []
    token_nll = model.decoder.token_nll

    def watch(z: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        calls.append(len(ids))
        return token_nll(z, ids)

    monkeypatch.setattr(model.decoder, "token_nll", watch)
    return calls


def test_the_quadrature_has_converged(known: Worth) -> None:
    for num_steps in (1, 2, 3):
        evidence = (-known.nll[known.batch.lengths == num_steps]).exp()
        assert evidence.sum().item() == pytest.approx(1, abs=1e-6)
    for exact, function in ((-known.nll, log_evidence), (known.neg_elbo, neg_elbo)):
        coarse = function(known.model, known.batch, spacing=0.2)
        torch.testing.assert_close(coarse, exact, rtol=0, atol=5e-4)  # the finer one errs far less
    assert (known.neg_elbo - known.nll).min() > 0.05


def test_importance_weights_find_the_evidence_of_every_sequence(known: Worth) -> None:
    estimate = importance_weighted_nll(known.model, known.batch, 4000, seeded())
    error = estimate.variance.sqrt()
    assert estimate.nll.shape == estimate.variance.shape == (39,)
    assert error.max() < 0.1 * (known.neg_elbo - known.nll).min() + 0.05  # the check has power
    assert ((estimate.nll - known.nll).abs() < 5 * error).all()
    assert abs((estimate.nll - known.nll).sum()) < 5 * estimate.variance.sum().sqrt()


def test_one_sample_is_the_bound(known: Worth) -> None:
    num_copies = 2000
    estimate = importance_weighted_nll(known.model, known.copies(num_copies), 1, seeded())
    draws = estimate.nll.view(39, num_copies)
    error = draws.std(1) / math.sqrt(num_copies)
    assert ((draws.mean(1) - known.neg_elbo).abs() < 5 * error).all()
    assert (known.neg_elbo - known.nll).median() > 5 * error.max()


def test_more_samples_give_a_tighter_bound(known: Worth) -> None:
    means, errors = [], []
    for num_samples in (1, 4, 16):
        estimate = importance_weighted_nll(known.model, known.copies(100), num_samples, seeded())
        draws = estimate.nll.view(39, 100).mean(0)  # of the mean over the sequences
        means.append(draws.mean().item())
        errors.append(draws.std().item() / 10)
    for before, after, error in zip(means, means[1:], errors, strict=False):
        assert before - after > 3 * error
    assert means[-1] > known.nll.mean() - 5 * errors[-1]
    assert means[-1] < known.nll.mean() + 0.1


def test_the_standard_error_is_the_scatter_of_the_estimates(known: Worth) -> None:
    num_copies = 100
    estimate = importance_weighted_nll(known.model, known.copies(num_copies), 100, seeded())
    scatter = estimate.nll.view(39, num_copies).var(1)
    told = estimate.variance.view(39, num_copies).mean(1)
    assert told.mean().item() == pytest.approx(scatter.mean().item(), rel=0.1)
    # Of one sequence, 100 copies tell the variance to 14 %.
    assert ((told / scatter - 1).abs() < 0.75).all()


@pytest.mark.parametrize(
    ("vocab_sizes", "latent_dim", "num_samples"), [((3,), 1, 7), ((4,), 3, 20), ((2, 3), 2, 11)]
)
@torch.no_grad()
def test_importance_weighting_equals_a_slow_loop(
    vocab_sizes: tuple[int, ...], latent_dim: int, num_samples: int
) -> None:
    model = tiny_vae(vocab_sizes=vocab_sizes, latent_dim=latent_dim)
    ids, lengths = random_ids(vocab_sizes, 5, 6), torch.tensor([6, 1, 4, 3, 6])
    noise = torch.empty(5 * num_samples, latent_dim).normal_(generator=seeded(3))
    noise = noise.view(5, num_samples, latent_dim).double()
    q = model.encode(ids, lengths)
    prior = Independent(Normal(torch.zeros(latent_dim).double(), 1.0), 1)
    expected, variance = [], []
    for b, length in enumerate(lengths.tolist()):
        posterior = Independent(Normal(q.mean[b].double(), q.log_stddev[b].double().exp()), 1)
        weights = []
        for k in range(num_samples):
            z = q.mean[b].double() + q.log_stddev[b].double().exp() * noise[b, k]
            log_weight = prior.log_prob(z) - posterior.log_prob(z)
            logits = model.decoder(z.float()[None], ids[b : b + 1])
            for c, channel in enumerate(logits):
                steps = Categorical(logits=channel[0, :length].double())
                log_weight += steps.log_prob(ids[b, :length, c]).sum()
            weights.append(log_weight.item())
        relative = np.exp(np.array(weights) - max(weights))
        expected.append(-max(weights) - math.log(relative.mean()))
        variance.append(np.var(relative / relative.mean(), ddof=1) / num_samples)
    estimate = importance_weighted_nll(model, Batch(ids, lengths), num_samples, seeded(3))
    double = torch.float64  # but the network, which is float32
    torch.testing.assert_close(
        estimate.nll, torch.tensor(expected, dtype=double), rtol=1e-5, atol=0
    )
    torch.testing.assert_close(
        estimate.variance, torch.tensor(variance, dtype=double), rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize(("max_elements", "num_rows"), [(72 * 13, 13), (72 * 13 + 71, 13), (8, 1)])
def test_memory_is_bounded_whatever_the_batch_and_the_samples(
    known: Worth, monkeypatch: pytest.MonkeyPatch, max_elements: int, num_rows: int
) -> None:
    monkeypatch.setattr(metrics, "MAX_ELEMENTS", max_elements)  # a row: 3 steps of 24 gates
    calls = watched(known.model, monkeypatch)
    num_samples = 100 if num_rows > 1 else 5
    estimate = importance_weighted_nll(known.model, known.batch, num_samples, seeded())
    assert max(calls) == num_rows
    assert sum(calls) == 39 * num_samples
    if num_rows > 1:  # chunks end amid a sequence, and each weight still goes to its own
        error = estimate.variance.sqrt()
        assert ((estimate.nll - known.nll).abs() < 5 * error).all()
        assert abs((estimate.nll - known.nll).sum()) < 5 * estimate.variance.sum().sqrt()


def test_one_pass_does_where_it_fits(known: Worth, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = watched(known.model, monkeypatch)
    importance_weighted_nll(known.model, known.batch, 20, seeded())
    assert calls == [39 * 20]


def test_padding_changes_no_importance_weight(known: Worth) -> None:
    ids, lengths = known.batch[:2]
    plain = importance_weighted_nll(known.model, known.batch, 10, seeded())
    longer = torch.nn.functional.pad(ids, (0, 0, 0, 4), value=1)
    beyond = torch.arange(7) >= lengths[:, None]
    longer = torch.where(beyond[..., None], 1, longer)  # another padding, and more of it
    assert not torch.equal(longer[:, :3], ids)
    padded = importance_weighted_nll(known.model, Batch(longer, lengths), 10, seeded())
    torch.testing.assert_close(padded.nll, plain.nll, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(padded.variance, plain.variance, rtol=1e-4, atol=1e-6)


def test_importance_weights_follow_the_generator_alone(known: Worth) -> None:
    before = torch.get_rng_state()
    draws = [
        importance_weighted_nll(known.model, known.batch, 3, seeded(seed)).nll for seed in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_language_model_is_exact_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_vae(vocab_sizes=(3,), latent_dim=0)
    ids, lengths = random_ids((3,), 6, 4), torch.tensor([4, 1, 2, 4, 3, 4])
    calls = watched(model, monkeypatch)
    estimate = importance_weighted_nll(model, Batch(ids, lengths), 500, seeded())
    assert calls == [6]
    with torch.no_grad():
        nll = sequence_nll(model.decoder(torch.zeros(6, 0), ids), ids, lengths)
    torch.testing.assert_close(estimate.nll, nll.double(), rtol=1e-6, atol=1e-6)
    assert (estimate.variance == 0).all()


def test_codes_are_drawn_from_the_posterior_of_what_the_encoder_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, lengths = tiny_vae(vocab_sizes=(3,)), torch.tensor([4, 2])
    ids, hidden = random_ids((3,), 2, 4), random_ids((3,), 2, 4, seed=1)
    calls, encode = [], model.encode

    def spy(ids: torch.Tensor, lengths: torch.Tensor) -> DiagonalGaussian:
        calls.append(ids)
        return encode(ids, lengths)

    monkeypatch.setattr(model, "encode", spy)
    importance_weighted_nll(model, Batch(ids, lengths, hidden), 2, seeded())
    evaluation.Tally(model).update(Batch(ids, lengths, hidden))
    assert torch.equal(calls[0], hidden)
    assert torch.equal(calls[1], hidden)


@pytest.mark.parametrize("num_samples", [0, -3])
def test_no_samples_are_refused(known: Worth, num_samples: int) -> None:
    with pytest.raises(
        InputError, match=f"iw_samples is {num_samples}; it must be 1 or more"
    ) as no:
        importance_weighted_nll(known.model, known.batch, num_samples, seeded())
    assert "\n" not in str(no.value)


def posteriors(mean: torch.Tensor, stddev: float | torch.Tensor) -> DiagonalGaussian:
    return DiagonalGaussian(mean, torch.as_tensor(stddev).log().expand_as(mean))


def random_posteriors(
    num_sequences: int, latent_dim: int, *, scale: float = 2.0
) -> DiagonalGaussian:
    generator = seeded(5)
    mean = scale * torch.randn(num_sequences, latent_dim, generator=generator)
    return DiagonalGaussian(mean, torch.randn(num_sequences, latent_dim, generator=generator))


def slow_mutual_information(
    posterior: DiagonalGaussian, group_size: int, generator: torch.Generator
) -> float:
    order = torch.randperm(len(posterior.mean), generator=generator)
    z = posterior.sample(generator).double()
    mean, stddev = posterior.mean.double(), posterior.log_stddev.double().exp()
    ratios = []
    for start in range(0, len(order), group_size):
        group = order[start : start + group_size]
        for i in group.tolist():
            log_q = Normal(mean[group], stddev[group]).log_prob(z[i]).sum(-1)
            own = Normal(mean[i], stddev[i]).log_prob(z[i]).sum()
            ratios.append(own - torch.log(log_q.exp().mean()))
    return torch.stack(ratios).mean().item()


@pytest.mark.parametrize(
    ("num_sequences", "latent_dim", "group_size"),
    [
        (40, 1, 40), (40, 3, 40), (40, 3, 32), (40, 3, 7), (40, 3, 1), (5, 2, 32),
        (2100, 2, 2100),  # more than is computed at a time
    ],
)  # fmt: skip
def test_mutual_information_equals_a_slow_loop(
    num_sequences: int, latent_dim: int, group_size: int
) -> None:
    posterior = random_posteriors(num_sequences, latent_dim)
    expected = slow_mutual_information(posterior, group_size, seeded(1))
    found = mutual_information(posterior, group_size, seeded(1))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)  # both in float64
    assert found > 0.2 or group_size == 1


@pytest.mark.parametrize("stddevs", [[1.0], [1.0, 0.5, 2.0], [0.3, 0.2], [1.5, 1.5, 1.5]], ids=str)
@pytest.mark.parametrize("noise", [1.0, 0.1])
def test_mutual_information_of_linear_gaussian_codes(stddevs: list[float], noise: float) -> None:
    """Means of these spreads under posteriors of one width: 0.5 sum log(1 + (spread / width)^2)."""
    spread = torch.tensor(stddevs)
    expected = 0.5 * torch.log1p(spread.square()).sum().item()
    mean = spread * torch.randn(4000, len(stddevs), generator=seeded())
    found = mutual_information(posteriors(noise * mean, noise), 4000, seeded(1))
    # A ratio scatters by less than 1.5 nats, so 0.025 is its error; 3 of them.
    assert found == pytest.approx(expected, abs=0.075)


def test_groups_of_32_saturate_where_the_aggregate_does_not() -> None:
    mean = 3.0 * torch.randn(4000, 4, generator=seeded())
    posterior = posteriors(mean, 1.0)
    expected = 2 * math.log1p(9)  # 4.6 nats; ln 32 is 3.5, ln 4000 is 8.3
    batch = mutual_information(posterior, 32, seeded())
    aggregate = mutual_information(posterior, 4000, seeded())
    assert 0.85 * math.log(32) < batch < math.log(32)
    assert aggregate == pytest.approx(expected, abs=0.15)  # 4000 points are few for four dimensions


@pytest.mark.parametrize("group_size", [1, 5, 32, 60, 1000])
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 1e4])
def test_mutual_information_never_exceeds_the_log_of_the_group(
    group_size: int, scale: float
) -> None:
    found = mutual_information(random_posteriors(60, 3, scale=scale), group_size, seeded())
    assert found <= math.log(min(group_size, 60)) + 1e-6  # rounding, of squares of 1e4


@pytest.mark.parametrize("log_stddev", [-3.0, -8.0, -15.0, -30.0])
def test_narrow_posteriors_tell_every_sequence_apart(log_stddev: float) -> None:
    mean = torch.randn(64, 3, generator=seeded())
    posterior = DiagonalGaussian(mean, torch.full_like(mean, log_stddev))
    found = mutual_information(posterior, 64, seeded())
    assert found == pytest.approx(math.log(64), abs=0.01 if log_stddev > -4 else 1e-5)


@pytest.mark.parametrize("group_size", [3, 32, 50])
def test_equal_posteriors_tell_nothing(group_size: int) -> None:
    posterior = posteriors(torch.tensor([[0.7, -3.0]]).expand(50, -1), 0.4)
    assert mutual_information(posterior, group_size, seeded()) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("num_sequences", "group_size", "expected"),
    [
        (40, 40, math.log(40)),
        (40, 1000, math.log(40)),
        (96, 32, math.log(32)),
        (40, 32, (32 * math.log(32) + 8 * math.log(8)) / 40),  # the rest has its own ceiling
        (33, 32, 32 * math.log(32) / 33),
        (1, 32, 0.0),
    ],
)
def test_separate_posteriors_tell_the_log_of_the_group(
    num_sequences: int, group_size: int, expected: float
) -> None:
    posterior = posteriors(100.0 * torch.arange(num_sequences)[:, None].expand(-1, 2), 0.5)
    found = mutual_information(posterior, group_size, seeded())
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_groups_are_drawn_at_random() -> None:
    halves = torch.arange(1000)[:, None] // 500 * 1000.0  # a split is sorted by length
    found = mutual_information(posteriors(halves, 1.0), 10, seeded())
    # A group of ten with k of the one kind tells the entropy of k / 10; k is almost binomial.
    chance = [math.comb(10, k) / 2**10 for k in range(11)]
    entropy = [-sum(p * math.log(p) for p in (k / 10, 1 - k / 10) if p > 0) for k in range(11)]
    expected = sum(p * h for p, h in zip(chance, entropy, strict=True))
    assert found == pytest.approx(expected, abs=0.03)
    assert mutual_information(posteriors(halves, 1.0), 1000, seeded()) == pytest.approx(math.log(2))


@pytest.mark.parametrize("shape", [(7, 0), (0, 3), (0, 0)])
def test_nothing_tells_nothing(shape: tuple[int, int]) -> None:
    assert mutual_information(posteriors(torch.zeros(shape), 1.0), 32, seeded()) == 0
