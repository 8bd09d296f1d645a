import itertools
import math
from dataclasses import dataclass

import pytest
import torch
from tiny import random_ids, tiny_vae
from torch.distributions import Normal

from seqvae.errors import InputError
from seqvae.model import SequenceVAE
from seqvae.objective import BetaSchedule, NegativeELBO, sequence_nll

LENGTHS = torch.tensor([5, 1, 3])
CHANNELS = pytest.mark.parametrize("vocab_sizes", [(4,), (4, 2, 6)])


def random_logits(vocab_sizes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [3 * torch.randn(3, 5, size, generator=generator) for size in vocab_sizes]


@CHANNELS
def test_nll_equals_a_slow_loop(vocab_sizes: tuple[int, ...]) -> None:
    logits, ids = random_logits(vocab_sizes), random_ids(vocab_sizes, 3, 5)
    expected = [0.0, 0.0, 0.0]
    for b, length in enumerate(LENGTHS.tolist()):
        for t, c in itertools.product(range(length), range(len(vocab_sizes))):
            expected[b] -= torch.log_softmax(logits[c][b, t].double(), 0)[ids[b, t, c]].item()
    nll = sequence_nll(logits, ids, LENGTHS)
    torch.testing.assert_close(nll, torch.tensor(expected), rtol=1e-5, atol=1e-5)  # float32


@CHANNELS
def test_nll_of_uniform_logits_is_a_sum_over_the_sequence(vocab_sizes: tuple[int, ...]) -> None:
    logits = [torch.zeros(3, 5, size) for size in vocab_sizes]
    nll = sequence_nll(logits, random_ids(vocab_sizes, 3, 5), LENGTHS)
    per_step = sum(math.log(size) for size in vocab_sizes)  # positive, not divided by length
    torch.testing.assert_close(nll, per_step * LENGTHS.float(), rtol=1e-6, atol=0)


@CHANNELS
def test_padding_contributes_nothing_to_nll_and_gradient(vocab_sizes: tuple[int, ...]) -> None:
    ids, padding = random_ids(vocab_sizes, 3, 5), torch.arange(5) >= LENGTHS[:, None]
    plain = sequence_nll(random_logits(vocab_sizes), ids, LENGTHS)
    logits = [
        x.masked_fill(padding[..., None], 1e4).requires_grad_() for x in random_logits(vocab_sizes)
    ]
    other = torch.where(padding[..., None], 0, ids)
    nll = sequence_nll(logits, other, LENGTHS)
    assert torch.equal(nll, plain)
    nll.sum().backward()
    for x in logits:
        assert (x.grad[padding] == 0).all()
        assert (x.grad[~padding] != 0).all()


def test_half_precision_logits_are_summed_in_float32() -> None:
    logits = [torch.zeros(1, 1000, 7, dtype=torch.bfloat16)]
    nll = sequence_nll(logits, random_ids((7,), 1, 1000), torch.tensor([1000]))
    assert nll.dtype == torch.float32
    assert nll.item() == pytest.approx(1000 * math.log(7), rel=1e-5)


@pytest.mark.parametrize(
    ("beta", "free_nats", "expected"),
    [
        (1.0, 0.0, 33.0),  # the bound: mean nll 30, mean KL 3
        (0.0, 0.0, 30.0),
        (0.5, 0.0, 31.5),
        # 3 nats are free to each sequence, not to the batch, whose mean is 3, nor to a dimension.
        (1.0, 3.0, 31.0),
        (0.5, 3.0, 30.5),
        (1.0, 1.0, 32.0),
        (1.0, 9.0, 30.0),
    ],
)
def test_loss_by_hand(beta: float, free_nats: float, expected: float) -> None:
    bound = NegativeELBO(torch.tensor([10.0, 50.0]), torch.tensor([1.0, 5.0]))
    assert bound.loss(beta, free_nats).item() == pytest.approx(expected, rel=1e-6)
    assert bound.total().tolist() == [11.0, 55.0]


def test_loss_of_the_bound_is_the_mean_of_the_totals() -> None:
    generator = torch.Generator().manual_seed(0)
    bound = NegativeELBO(*(100 * torch.rand(2, 9, generator=generator)))
    torch.testing.assert_close(bound.loss(1.0, 0.0), bound.total().mean(), rtol=1e-6, atol=0)


def test_free_nats_give_no_gradient_and_the_rest_gives_beta() -> None:
    kl = torch.tensor([0.5, 2.9, 3.1, 8.0], requires_grad=True)
    NegativeELBO(torch.zeros(4), kl).loss(beta=0.2, free_nats=3.0).backward()
    torch.testing.assert_close(kl.grad, torch.tensor([0.0, 0.0, 0.05, 0.05]))


@pytest.mark.parametrize(
    ("shape", "fractions"),
    [
        # The sigmoid runs over 12 logits, from -6 to 6.
        ("constant", {0: 1.0, 1: 1.0, 50: 1.0, 99: 1.0, 100: 1.0, 10**6: 1.0}),
        ("linear", {0: 0.0, 1: 0.01, 50: 0.5, 99: 0.99, 100: 1.0, 10**6: 1.0}),
        (
            "sigmoid",
            {
                0: 1 / (1 + math.exp(6)),
                25: 1 / (1 + math.exp(3)),
                50: 0.5,
                75: 1 / (1 + math.exp(-3)),
                100: 1.0,
                10**6: 1.0,
            },
        ),
    ],
)
@pytest.mark.parametrize("max_beta", [1.0, 0.2])
def test_beta_schedule(shape: str, fractions: dict[int, float], max_beta: float) -> None:
    schedule = BetaSchedule(shape=shape, max_beta=max_beta, beta_warmup_steps=100)
    for step, fraction in fractions.items():
        assert schedule(step) == pytest.approx(max_beta * fraction, rel=1e-12)
    betas = [schedule(step) for step in range(120)]
    assert betas == sorted(betas)
    assert max(betas) == max_beta


@pytest.mark.parametrize("shape", ["constant", "linear", "sigmoid"])
def test_no_warmup_gives_the_full_weight_at_once(shape: str) -> None:
    assert BetaSchedule(shape=shape, max_beta=0.3, beta_warmup_steps=0)(0) == 0.3


@pytest.mark.parametrize(("setting", "value"), [("max_beta", -0.1), ("beta_warmup_steps", -1)])
def test_impossible_schedules_are_refused(setting: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{setting} is {value}; it must"):
        BetaSchedule(**{setting: value})


def all_sequences(vocab_sizes: tuple[int, ...], num_steps: int) -> torch.Tensor:
    """Every sequence (N, T, C) of that length."""
    tokens = list(itertools.product(*map(range, vocab_sizes)))
    return torch.tensor(list(itertools.product(tokens, repeat=num_steps)))


@pytest.mark.parametrize(
    ("vocab_sizes", "num_steps"), [((3,), 1), ((3,), 3), ((2, 3), 2), ((2, 3, 2), 2)]
)
@torch.no_grad()
def test_probabilities_of_all_sequences_sum_to_one(
    vocab_sizes: tuple[int, ...], num_steps: int
) -> None:
    model, ids = tiny_vae(vocab_sizes=vocab_sizes), all_sequences(vocab_sizes, num_steps)
    for seed in range(3):
        z = torch.randn(1, 3, generator=torch.Generator().manual_seed(seed)).expand(len(ids), -1)
        nll = sequence_nll(model.decoder(z, ids), ids, torch.full((len(ids),), num_steps))
        assert nll.std() > 0.1
        assert (-nll.double()).exp().sum().item() == pytest.approx(1, abs=1e-5)


@torch.no_grad()
def test_probabilities_of_all_ended_and_unfinished_sequences_sum_to_one() -> None:
    eos_id, num_steps = 1, 4
    rows = {}
    for ids in all_sequences((3,), num_steps):
        tokens = ids[:, 0].tolist()
        length = tokens.index(eos_id) + 1 if eos_id in tokens else num_steps
        rows[tuple(tokens[:length])] = (ids, length)  # what follows EOS is padding
    assert len(rows) == 31  # 1 + 2 + 4 + 8 that end, 16 that do not
    ids = torch.stack([ids for ids, _ in rows.values()])
    lengths = torch.tensor([length for _, length in rows.values()])
    z = torch.randn(1, 3, generator=torch.Generator().manual_seed(0)).expand(len(ids), -1)
    nll = sequence_nll(tiny_vae(vocab_sizes=(3,)).decoder(z, ids), ids, lengths)
    assert (-nll.double()).exp().sum().item() == pytest.approx(1, abs=1e-5)


@dataclass(frozen=True, eq=False)
class Exact:
    """By quadrature over z, for every sequence of three tokens out of three."""

    model: SequenceVAE
    ids: torch.Tensor  # (27, 3, 1)
    log_evidence: torch.Tensor  # log p(x)
    gap: torch.Tensor  # KL(q(z|x) || p(z|x))
    neg_elbo: torch.Tensor  # E_q[-log p(x|z)] + KL(q || p), the KL by quadrature too


@pytest.fixture(scope="module")
def exact() -> Exact:
    model = tiny_vae(vocab_sizes=(3,), max_steps=3, latent_dim=1, seed=2, std=0.8)
    ids, lengths = all_sequences((3,), 3), torch.tensor([3])
    z = torch.linspace(-20, 20, 4001, dtype=torch.float64)  # beyond it all densities vanish
    with torch.no_grad():
        log_likelihood = torch.stack(
            [
                -sequence_nll(
                    model.decoder(z.float()[:, None], x.expand(len(z), 3, 1)),
                    x.expand(len(z), 3, 1),
                    lengths.expand(len(z)),
                ).double()
                for x in ids
            ]
        )  # (27, Z)
        q = model.encode(ids, lengths.expand(27))
    log_width = math.log(40 / 4000)
    log_prior = Normal(0.0, 1.0).log_prob(z)
    log_joint = log_likelihood + log_prior
    log_evidence = torch.logsumexp(log_joint + log_width, 1)
    log_q = Normal(q.mean.double(), q.log_stddev.double().exp()).log_prob(z)
    weights = (log_q + log_width).exp()
    torch.testing.assert_close(weights.sum(1), torch.ones(27, dtype=torch.float64))
    return Exact(
        model,
        ids,
        log_evidence,
        gap=(weights * (log_q - log_joint + log_evidence[:, None])).sum(1),
        neg_elbo=(weights * (log_q - log_prior - log_likelihood)).sum(1),
    )


def test_evidence_sums_to_one(exact: Exact) -> None:
    assert exact.log_evidence.exp().sum().item() == pytest.approx(1, abs=1e-6)


def test_the_bound_exceeds_the_evidence_by_the_kl_to_the_true_posterior(exact: Exact) -> None:
    num_draws = 4000
    ids = exact.ids.repeat_interleave(num_draws, 0)
    lengths = torch.full((len(ids),), 3)
    with torch.no_grad():
        bound = exact.model(ids, lengths, torch.Generator().manual_seed(0))
    draws = bound.total().double().view(27, num_draws)
    estimate, error = draws.mean(1), draws.std(1) / math.sqrt(num_draws)
    assert exact.gap.min() > 0
    assert exact.gap.median() > 20 * error.max()  # the check has power
    assert (estimate + 5 * error >= -exact.log_evidence).all()
    assert (estimate >= -exact.log_evidence).double().mean() > 0.9
    assert ((estimate + exact.log_evidence - exact.gap).abs() < 5 * error + 1e-5).all()
    # Without the noise of the draws: float32 log-likelihoods, quadrature in float64.
    torch.testing.assert_close(exact.neg_elbo + exact.log_evidence, exact.gap, rtol=1e-6, atol=1e-6)


def test_the_closed_form_of_the_kl_equals_its_quadrature(exact: Exact) -> None:
    with torch.no_grad():
        q = exact.model.encode(exact.ids, torch.full((27,), 3))
        nll = torch.zeros(27, dtype=torch.float64)
        z = torch.linspace(-20, 20, 4001)
        weights = Normal(q.mean, q.log_stddev.exp()).log_prob(z).double().exp() * 40 / 4000
        for row, x in enumerate(exact.ids):
            repeated = x.expand(len(z), 3, 1)
            logits = exact.model.decoder(z[:, None], repeated)
            likelihood = sequence_nll(logits, repeated, torch.full((len(z),), 3)).double()
            nll[row] = (weights[row] * likelihood).sum()
    torch.testing.assert_close(nll + q.kl().double(), exact.neg_elbo, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("max_beta", [-0.1, float("nan"), float("inf")])
def test_an_impossible_beta_is_refused(max_beta: float) -> None:
    with pytest.raises(InputError, match="max_beta is"):
        BetaSchedule(max_beta=max_beta)
