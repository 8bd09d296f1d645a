import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from exact import all_sequences
from tiny import random_ids, tiny_vae
from torch.distributions import Normal

from seqvae.errors import InputError
from seqvae.model.objective import (
    NegativeELBO,
    TargetRate,
    over_sequence,
    selection_loss,
    sequence_nll,
    training_loss,
)
from seqvae.model.remedies import SHAPES, BetaSchedule, Objective
from seqvae.model.vae import SequenceVAE

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
    bound = NegativeELBO(torch.tensor([10.0, 50.0]), torch.tensor([[1.0, 0.0], [2.0, 3.0]]))
    objective = Objective(free_nats=free_nats)
    assert training_loss(objective, bound, beta).item() == pytest.approx(expected, rel=1e-6)
    assert bound.total().tolist() == [11.0, 55.0]


def test_loss_of_the_bound_is_the_mean_of_the_totals() -> None:
    generator = torch.Generator().manual_seed(0)
    nll, kl = 100 * torch.rand(2, 9, generator=generator)
    bound = NegativeELBO(nll, kl[:, None])
    loss = training_loss(Objective(), bound, 1.0)
    torch.testing.assert_close(loss, bound.total().mean(), rtol=1e-6, atol=0)


def test_free_nats_give_no_gradient_and_the_rest_gives_beta() -> None:
    kl = torch.tensor([[0.5], [2.9], [3.1], [8.0]], requires_grad=True)
    training_loss(Objective(free_nats=3.0), NegativeELBO(torch.zeros(4), kl), beta=0.2).backward()
    torch.testing.assert_close(kl.grad, torch.tensor([[0.0], [0.0], [0.05], [0.05]]))


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
    assert schedule.rise == (0 if shape == "constant" else 100)


@pytest.mark.parametrize("max_beta", [1.0, 0.2])
def test_a_cyclical_beta_rises_stays_and_begins_again(max_beta: float) -> None:
    schedule = BetaSchedule(shape="cyclical", max_beta=max_beta, beta_warmup_steps=4)
    cycle = [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0]
    assert [schedule(step) for step in range(24)] == [max_beta * share for share in 3 * cycle]


def test_a_new_shape_is_a_line_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"^beta\.shape is 'square'; choose one of con") as no:
        BetaSchedule(shape="square")
    assert all(shape in str(no.value) for shape in SHAPES)
    assert "\n" not in str(no.value)
    monkeypatch.setitem(SHAPES, "square", lambda x: min(x, 1.0) ** 2)
    schedule = BetaSchedule(shape="square", max_beta=0.5, beta_warmup_steps=10)
    assert [schedule(step) for step in (0, 5, 10, 99)] == [0.0, 0.125, 0.5, 0.5]


@pytest.mark.parametrize("shape", sorted(set(SHAPES) - {"cyclical"}))
def test_no_warmup_gives_the_full_weight_at_once(shape: str) -> None:
    assert BetaSchedule(shape=shape, max_beta=0.3, beta_warmup_steps=0)(0) == 0.3


@pytest.mark.parametrize(("setting", "value"), [("max_beta", -0.1), ("beta_warmup_steps", -1)])
def test_impossible_schedules_are_refused(setting: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{setting} is {value}; it must"):
        BetaSchedule(**{setting: value})


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


# What is free, and what holds the KL

# Two sequences of three dimensions: means 0.5, 2 and 3.5; 5 and 7 nats a sequence.
KL = [[0.0, 4.0, 1.0], [1.0, 0.0, 6.0]]


@pytest.mark.parametrize(
    ("objective", "beta", "expected"),
    [
        (Objective(), 1.0, 30 + 6.0),
        (Objective(free_nats_per_dim=1.0), 1.0, 30 + 0 + 1 + 2.5),
        (Objective(free_nats_per_dim=1.0), 0.2, 30 + 0.2 * 3.5),
        (Objective(free_nats_per_dim=0.5), 1.0, 30 + 0 + 1.5 + 3.0),
        (Objective(free_nats_per_dim=3.0), 1.0, 30 + 0.5),
        (Objective(free_nats_per_dim=9.0), 1.0, 30.0),
        # As many nats in all, but to each sequence as a whole.
        (Objective(free_nats=3.0), 1.0, 30 + (2 + 4) / 2),
        (Objective(free_nats=6.0), 1.0, 30 + (0 + 1) / 2),
        (Objective(target_kl=2.0), 0.5, 30 + 3.0),  # the target is met by beta, not by the loss
    ],
    ids=str,
)
def test_free_nats_per_dimension_and_per_sequence(
    objective: Objective, beta: float, expected: float
) -> None:
    bound = NegativeELBO(torch.tensor([10.0, 50.0]), torch.tensor(KL))
    assert training_loss(objective, bound, beta).item() == pytest.approx(expected, rel=1e-6)
    assert training_loss(objective, bound, torch.tensor(beta)).item() == pytest.approx(
        expected, rel=1e-6
    )


def test_free_nats_of_a_dimension_give_no_gradient_and_the_rest_gives_beta() -> None:
    kl = torch.tensor([[0.5, 4.0, 1.2], [0.9, 1.0, 0.9], [0.1, 0.2, 1.3], [0.2, 2.0, 0.8]])
    kl.requires_grad_()  # means 0.425, 1.8 and 1.05
    nll = torch.zeros(4, requires_grad=True)
    training_loss(Objective(free_nats_per_dim=1.0), NegativeELBO(nll, kl), beta=0.2).backward()
    expected = torch.tensor([0.0, 0.2 / 4, 0.2 / 4]).expand(4, -1)  # whatever the sequence has
    torch.testing.assert_close(kl.grad, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(nll.grad, torch.full((4,), 0.25), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        # Means: nll 30, KL 6. Epochs are compared at the final beta, or early ones would win.
        (Objective(), 36.0),
        (Objective(beta=BetaSchedule(max_beta=0.5)), 33.0),
        (Objective(beta=BetaSchedule(shape="cyclical", max_beta=0.5)), 33.0),
        (Objective(free_nats=6.0), 30.5),
        (Objective(free_nats_per_dim=1.0, beta=BetaSchedule(max_beta=2.0)), 37.0),
        # What is above the target counts; what is below it is worth nothing.
        (Objective(target_kl=4.0), 32.0),
        (Objective(target_kl=5.5), 30.5),  # of the mean, though one sequence has 5
        (Objective(target_kl=6.0), 30.0),
        (Objective(target_kl=50.0), 30.0),
    ],
    ids=str,
)
def test_selection_loss_by_hand(objective: Objective, expected: float) -> None:
    bound = NegativeELBO(torch.tensor([10.0, 50.0]), torch.tensor(KL))
    assert selection_loss(objective, bound).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"free_nats": 2.0, "free_nats_per_dim": 0.5}, ("free_nats ", "free_nats_per_dim ")),
        ({"target_kl": 8.0, "free_nats": 2.0}, ("target_kl ", "free_nats ", "8", "2")),
        ({"target_kl": 8.0, "free_nats_per_dim": 0.5}, ("target_kl ", "free_nats_per_dim ", "0.5")),
        *(
            ({name: value}, (f"{name} is {value}; it ",))
            for name in ("free_nats", "free_nats_per_dim", "target_kl")
            for value in (-0.5, math.nan, math.inf, -math.inf)
        ),
        ({"target_kl": 0.0}, ("target_kl is 0.0; it must be above 0",)),
    ],
    ids=str,
)
def test_impossible_and_contradicting_remedies_are_refused(
    settings: dict[str, float | BetaSchedule], named: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as no:
        Objective(**settings)
    for name in named:
        assert name in str(no.value)
    assert "\n" not in str(no.value)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"free_nats": 0.0, "free_nats_per_dim": 0.0, "target_kl": 8.0},
        {"target_kl": 8.0, "beta": BetaSchedule(shape="cyclical")},
        {"free_nats": 3.0, "beta": BetaSchedule(shape="cyclical", max_beta=0.2)},
        {"free_nats_per_dim": 0.1, "beta": BetaSchedule(max_beta=4.0)},
    ],
    ids=str,
)
def test_remedies_that_go_together_are_taken(settings: dict[str, float | BetaSchedule]) -> None:
    assert vars(Objective()) | settings == vars(Objective(**settings))


# A target rate


def test_beta_starts_at_a_tenth() -> None:
    assert TargetRate(8.0).beta().item() == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize(
    ("kl", "distance"),
    [
        ([8.0, 8.0], 0.0),
        ([2.0, 14.0], 0.0),  # of the batch's mean
        ([12.0, 12.0], 0.5),
        ([4.0, 4.0], -0.5),
        ([0.0, 0.0], -1.0),
        ([16.0, 16.0], 1.0),
        ([900.0, 900.0], 1.0),  # no further, however far it is
    ],
)
def test_beta_rises_above_the_target_and_falls_below_it(kl: list[float], distance: float) -> None:
    rate = TargetRate(8.0)
    rate.update(torch.tensor(kl))
    assert rate.beta().item() == pytest.approx(0.1 * math.exp(0.01 * distance), rel=1e-6)
    rate.update(torch.tensor(kl))
    assert rate.beta().item() == pytest.approx(0.1 * math.exp(0.02 * distance), rel=1e-6)


def final_kl(
    rate: TargetRate, response: Callable[[float], float], *, lag: float, num_steps: int = 1500
) -> list[float]:
    """KLs of a system that goes, a share 1 / lag a step, to what it would be at this beta."""
    kl = [response(rate.beta().item())]
    for _ in range(num_steps):
        kl.append(kl[-1] + (response(rate.beta().item()) - kl[-1]) / lag)
        rate.update(torch.full((4,), kl[-1]))
    return kl


@pytest.mark.parametrize("lag", [1.0, 30.0])
@pytest.mark.parametrize(
    ("response", "above"),
    [
        (lambda beta: 40 * math.exp(-beta), True),
        (lambda beta: 100 * math.exp(-3 * beta), True),
        (lambda beta: 20 * math.exp(-30 * beta), False),  # collapsed at the start
        (lambda beta: 12 * math.exp(-8 * beta), False),
        (lambda beta: 10 / (1 + beta), True),
        (lambda beta: 16 * max(math.log(2 / beta), 0.0), True),  # 32 linear Gaussian dimensions
        (lambda beta: 4 * max(math.log(0.2 / beta), 0.0), False),
    ],
)
def test_the_kl_goes_to_its_target_from_both_sides(
    response: Callable[[float], float], above: bool, lag: float
) -> None:
    kl = final_kl(TargetRate(8.0), response, lag=lag)
    assert (kl[0] > 8) == above
    assert abs(kl[0] / 8 - 1) > 0.1
    assert max(abs(value / 8 - 1) for value in kl[-50:]) < 0.05


def test_noise_of_the_batches_does_not_move_the_target() -> None:
    rate, generator, kept = TargetRate(8.0), torch.Generator().manual_seed(0), []
    for step in range(3000):
        mean = 30 * torch.exp(-2 * rate.beta())
        rate.update((mean + 3 * torch.randn(16, generator=generator)).clamp(min=0))
        if step >= 1500:
            kept.append(mean.item())
    assert sum(kept) / len(kept) == pytest.approx(8, rel=0.01)


@pytest.mark.parametrize(("kl", "bound"), [(0.0, 1e-4), (1e6, 1e2)])
def test_beta_stays_within_its_bounds(kl: float, bound: float) -> None:
    rate = TargetRate(8.0)
    for _ in range(1000):
        rate.update(torch.tensor([kl]))
        assert 1e-4 * (1 - 1e-5) <= rate.beta().item() <= 1e2 * (1 + 1e-5)  # float32
    assert rate.beta().item() == pytest.approx(bound, rel=1e-5)
    rate.update(torch.tensor([8.0 - kl]).clamp(min=0))  # and it comes back at once
    rate.update(torch.tensor([16.0 if kl == 0 else 0.0]))
    assert rate.beta().item() != pytest.approx(bound, rel=1e-5)


def test_beta_survives_its_state() -> None:
    rate, again = TargetRate(8.0), TargetRate(8.0)
    for _ in range(30):
        rate.update(torch.tensor([11.0]))
    assert list(rate.state_dict()) == ["log_beta"]
    again.load_state_dict(rate.state_dict())
    assert again.beta().item() == rate.beta().item() > 0.11
    for one in (rate, again):
        one.update(torch.tensor([3.0]))
    assert again.beta().item() == rate.beta().item()


def test_the_update_is_made_where_the_kl_is() -> None:
    """On the meta device nothing can be read: it stands for a GPU that must not be waited for."""
    rate = TargetRate(8.0).to("meta")
    rate.update(torch.ones(4, device="meta"))
    assert rate.log_beta.is_meta
    loss = training_loss(
        Objective(target_kl=8.0),
        NegativeELBO(torch.ones(4, device="meta"), torch.ones(4, 2, device="meta")),
        rate.beta(),
    )
    assert loss.is_meta


def test_beta_is_no_weight_that_is_trained() -> None:
    rate = TargetRate(8.0)
    buffer = rate.log_beta
    assert not list(rate.parameters())
    kl = torch.tensor([[9.0, 7.0], [3.0, 1.0]], requires_grad=True)
    bound = NegativeELBO(torch.zeros(2), kl)
    training_loss(Objective(target_kl=8.0), bound, rate.beta()).backward()
    torch.testing.assert_close(kl.grad, torch.full((2, 2), 0.05), rtol=1e-6, atol=0)
    for context in (torch.enable_grad, torch.no_grad):
        with context():
            rate.update(bound.kl)
        assert rate.log_beta is buffer
        assert not rate.log_beta.requires_grad
        assert rate.log_beta.grad is None


def test_the_kl_of_a_bound_is_the_sum_of_its_dimensions() -> None:
    bound = NegativeELBO(torch.tensor([10.0, 50.0]), torch.tensor(KL))
    assert bound.kl.tolist() == [5.0, 7.0]
    assert bound.total().tolist() == [15.0, 57.0]


def test_a_sum_over_a_sequence_leaves_out_its_padding() -> None:
    token_nll = torch.tensor([[1.0, 2.0, 4.0], [8.0, math.inf, math.nan], [16.0, 32.0, math.nan]])
    assert over_sequence(token_nll, torch.tensor([3, 1, 2])).tolist() == [7.0, 8.0, 48.0]
