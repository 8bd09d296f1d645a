import itertools
from typing import Any

import pytest
import torch
from tiny import random_ids, randomised, tiny_decoder
from torch.nn.functional import cross_entropy, linear

from seqvae.model import softmax
from seqvae.model.config import Sampling
from seqvae.model.decoder import FlatDecoder
from seqvae.model.decoding import Draws
from seqvae.model.heads import ChannelHeads
from seqvae.model.noise import GumbelNoise
from seqvae.model.objective import sequence_nll
from seqvae.model.softmax import Softmax, SoftmaxMixture, negative_log_probability
from seqvae.model.stepper import HeadTables

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}  # float32, sums of a few dozen products
TOLERANCES = {torch.float32: TOLERANCE, torch.float64: {"rtol": 1e-12, "atol": 1e-12}}
DTYPES = pytest.mark.parametrize("dtype", list(TOLERANCES))


def values(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def tokens_of(vocab_size: int, num_sequences: int, num_steps: int) -> torch.Tensor:
    return random_ids((vocab_size,), num_sequences, num_steps)[..., 0]


def autograd_nll(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, tokens: torch.Tensor
) -> torch.Tensor:
    logits = linear(hidden, weight, bias).flatten(0, 1)
    return cross_entropy(logits, tokens.flatten(), reduction="none").view(tokens.shape)


def value_and_gradients(
    nll: torch.Tensor, upstream: torch.Tensor, *leaves: torch.Tensor
) -> list[torch.Tensor]:
    return [nll.detach(), *torch.autograd.grad((nll * upstream).sum(), leaves)]


# One softmax


@DTYPES
@pytest.mark.parametrize(("num_sequences", "num_steps"), [(1, 1), (3, 1), (1, 4), (3, 4)])
def test_value_and_gradients_are_those_of_autograd(
    num_sequences: int, num_steps: int, dtype: torch.dtype
) -> None:
    head = randomised(Softmax(6, 11)).to(dtype)
    hidden = values(num_sequences, num_steps, 6, dtype=dtype).requires_grad_()
    tokens = tokens_of(11, num_sequences, num_steps)
    upstream = values(num_sequences, num_steps, seed=1, dtype=dtype)  # of both signs
    upstream[0, 0] = 0.0 if upstream.numel() > 1 else -2.0
    leaves = (hidden, head.weight, head.bias)
    ours = value_and_gradients(head.nll(hidden, tokens), upstream, *leaves)
    expected = value_and_gradients(autograd_nll(*leaves, tokens), upstream, *leaves)
    assert ours[0].shape == tokens.shape
    assert expected[2].abs().max() > 0.01
    for our, their in zip(ours, expected, strict=True):
        torch.testing.assert_close(our, their, **TOLERANCES[dtype])  # of one dtype, too


def test_the_gradient_is_the_slope() -> None:
    head = randomised(Softmax(3, 5)).double()
    hidden, tokens = values(2, 2, 3, dtype=torch.float64).requires_grad_(), tokens_of(5, 2, 2)
    assert torch.autograd.gradcheck(
        lambda hidden, *_: head.nll(hidden, tokens),  # the others are the head's own
        (hidden, head.weight, head.bias),
        eps=1e-6,
        atol=1e-7,
        rtol=1e-6,
    )


@DTYPES
def test_a_path_without_gradient_gives_the_same_value(dtype: torch.dtype) -> None:
    head, hidden = randomised(Softmax(6, 11)).to(dtype), values(3, 4, 6, dtype=dtype)
    tokens = tokens_of(11, 3, 4)
    with torch.no_grad():
        without = head.nll(hidden, tokens)
    with_gradient = head.nll(hidden, tokens)
    assert with_gradient.requires_grad
    assert not without.requires_grad
    torch.testing.assert_close(with_gradient.detach(), without, **TOLERANCES[dtype])


@pytest.mark.parametrize("gpu_like", [False, True])
def test_bf16_is_close_to_float32(monkeypatch: pytest.MonkeyPatch, gpu_like: bool) -> None:
    head = randomised(Softmax(16, 50), std=0.3)
    hidden, tokens = values(8, 5, 16).requires_grad_(), tokens_of(50, 8, 5)
    upstream = values(8, 5, seed=1)
    leaves = (hidden, head.weight, head.bias)
    expected = value_and_gradients(autograd_nll(*leaves, tokens), upstream, *leaves)
    if gpu_like:  # there, autocast takes softmax to float32
        softmax = torch.Tensor.softmax
        monkeypatch.setattr(torch.Tensor, "softmax", lambda x, *dims: softmax(x.float(), *dims))
    with torch.autocast("cpu", torch.bfloat16):
        nll = head.nll(hidden, tokens)
        with torch.no_grad():
            without = head.nll(hidden, tokens)
    ours = value_and_gradients(nll, upstream, *leaves)  # as in training: beyond autocast
    torch.testing.assert_close(without, expected[0], rtol=0.01, atol=0.02)
    for our, their in zip(ours, expected, strict=True):
        assert our.dtype == torch.float32
        # bf16 has 8 bits, of logits up to 5 here.
        torch.testing.assert_close(our, their, rtol=0.01, atol=0.01 * float(their.abs().max()))


@pytest.mark.parametrize("size", [90.0, 1e4, 1e30])
def test_extreme_logits_stay_finite_and_keep_their_gradient(size: float) -> None:
    head = Softmax(1, 3)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[size], [0.0], [-size]]))
        head.bias.zero_()
    hidden, tokens = torch.ones(1, 3, 1, requires_grad=True), torch.tensor([[0, 1, 2]])
    upstream, leaves = torch.tensor([[1.0, 2.0, -0.5]]), (hidden, head.weight, head.bias)
    ours = value_and_gradients(head.nll(hidden, tokens), upstream, *leaves)
    expected = value_and_gradients(autograd_nll(*leaves, tokens), upstream, *leaves)
    for gradient, their in zip(ours[1:], expected[1:], strict=True):
        torch.testing.assert_close(gradient, their, **TOLERANCE)
    # The value is capped at -log of the smallest normal float32, which is 87.3 nats.
    torch.testing.assert_close(ours[0], torch.tensor([[0.0, 87.336545, 87.336545]]), **TOLERANCE)
    with torch.no_grad():
        exact = head.nll(hidden, tokens)
    torch.testing.assert_close(exact, torch.tensor([[0.0, size, 2 * size]]), **TOLERANCE)


@torch.no_grad()
def test_negative_log_probability_of_half_precision_is_taken_in_float32() -> None:
    logits, tokens = values(2, 3, 7).bfloat16(), tokens_of(7, 2, 3)
    nll = negative_log_probability(logits, tokens)
    expected = -logits.float().log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    assert nll.dtype == torch.float32
    torch.testing.assert_close(nll, expected, **TOLERANCE)


# Mixtures of softmaxes


@pytest.mark.parametrize("num_softmaxes", [1, 2])
@pytest.mark.parametrize(("max_logits", "most"), [(84, 3), (2, 1), (10_000, 15)])
def test_without_gradient_only_so_many_logits_are_held(
    monkeypatch: pytest.MonkeyPatch, num_softmaxes: int, max_logits: int, most: int
) -> None:
    monkeypatch.setattr(softmax, "MAX_LOGITS", max_logits * num_softmaxes)
    torch.manual_seed(0)
    head = Softmax(6, 28) if num_softmaxes == 1 else SoftmaxMixture(6, 28, num_softmaxes)
    seen: list[int] = []
    head.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    hidden, tokens = values(5, 3, 6), tokens_of(28, 5, 3)
    whole = negative_log_probability(head(hidden).detach(), tokens)
    seen.clear()
    with torch.no_grad():
        sliced = head.nll(hidden, tokens)
    torch.testing.assert_close(sliced, whole)
    assert max(seen) == most
    assert sum(seen) == 15


def slow_mixture(head: SoftmaxMixture, hidden: torch.Tensor) -> torch.Tensor:
    """Probabilities (V,) of one state (H,), component by component, in float64."""
    state, size = hidden.double(), len(hidden)
    scores = (head.priors.weight.double() @ state + head.priors.bias.double()).exp()
    probabilities = torch.zeros(head.output.out_features, dtype=torch.float64)
    for k in range(head.num_softmaxes):
        own = slice(k * size, (k + 1) * size)
        context = head.contexts.weight[own].double() @ state + head.contexts.bias[own].double()
        logits = head.output.weight.double() @ context.tanh() + head.output.bias.double()
        probabilities += scores[k] / scores.sum() * logits.exp() / logits.exp().sum()
    return probabilities


@pytest.mark.parametrize("num_softmaxes", [1, 2, 5])
@torch.no_grad()
def test_a_mixture_equals_a_slow_formula_and_sums_to_one(num_softmaxes: int) -> None:
    head, hidden = randomised(SoftmaxMixture(4, 9, num_softmaxes), std=1.0), values(3, 5, 4)
    logits, tokens = head(hidden), tokens_of(9, 3, 5)
    nll = head.nll(hidden, tokens)
    torch.testing.assert_close(logits.exp().sum(-1), torch.ones(3, 5), **TOLERANCE)
    for b, t in itertools.product(range(3), range(5)):
        expected = slow_mixture(head, hidden[b, t]).log().float()
        torch.testing.assert_close(logits[b, t], expected, **TOLERANCE)
        torch.testing.assert_close(nll[b, t], -expected[tokens[b, t]], **TOLERANCE)
        torch.testing.assert_close(head(hidden[b])[t], expected, **TOLERANCE)  # one step of all


@torch.no_grad()
def test_one_component_is_a_softmax_of_the_context() -> None:
    head, hidden = randomised(SoftmaxMixture(4, 9, 1), std=1.0), values(3, 5, 4)
    context = torch.tanh(linear(hidden, head.contexts.weight, head.contexts.bias))
    plain = Softmax(4, 9)
    plain.load_state_dict(head.output.state_dict())
    torch.testing.assert_close(head(hidden), plain(context).log_softmax(-1), **TOLERANCE)
    tokens = tokens_of(9, 3, 5)
    torch.testing.assert_close(head.nll(hidden, tokens), plain.nll(context, tokens), **TOLERANCE)


def rank(head: Softmax | SoftmaxMixture, hidden_dim: int) -> int:
    """Rank of the log-probabilities of many states, above the noise of float32."""
    log_probabilities = head(values(60, hidden_dim)).double().log_softmax(-1)
    return int(torch.linalg.matrix_rank(log_probabilities, rtol=1e-5))


@torch.no_grad()
def test_a_mixture_is_of_a_higher_rank_than_a_softmax() -> None:
    hidden_dim, vocab_size = 2, 20
    plain = randomised(Softmax(hidden_dim, vocab_size), std=2.0)
    one = randomised(SoftmaxMixture(hidden_dim, vocab_size, 1), std=2.0)
    three = randomised(SoftmaxMixture(hidden_dim, vocab_size, 3), std=2.0)
    bound = hidden_dim + 2  # the bias and the normaliser have a dimension each
    assert rank(plain, hidden_dim) == rank(one, hidden_dim) == bound
    assert rank(three, hidden_dim) > 2 * bound


def test_every_part_of_a_mixture_gets_a_gradient() -> None:
    head, hidden = randomised(SoftmaxMixture(4, 9, 3)), values(3, 5, 4).requires_grad_()
    head.nll(hidden, tokens_of(9, 3, 5)).sum().backward()
    for leaf in (hidden, *head.parameters()):
        assert leaf.grad is not None
        assert leaf.grad.abs().max() > 0


# Channels

SOFTMAXES = pytest.mark.parametrize("num_softmaxes", [1, 3])


@SOFTMAXES
@torch.no_grad()
def test_the_joint_over_channels_sums_to_one_and_is_what_is_drawn(num_softmaxes: int) -> None:
    vocab_sizes, num_draws = (2, 3, 2), 40_000
    heads = randomised(ChannelHeads(vocab_sizes, 6, num_softmaxes), seed=2, std=0.8)
    hidden = values(1, 6)
    steps = torch.tensor(list(itertools.product(*map(range, vocab_sizes))))  # (12, C)
    logits = heads(hidden.expand(1, len(steps), -1), steps[None])
    chosen = [
        channel[0].double().log_softmax(-1).gather(1, steps[:, c : c + 1])[:, 0]
        for c, channel in enumerate(logits)
    ]
    joint = torch.stack(chosen).sum(0).exp()
    assert joint.sum().item() == pytest.approx(1, abs=1e-6)
    table = joint.view(vocab_sizes)
    independent = torch.einsum(
        "i,j,k->ijk", table.sum((1, 2)), table.sum((0, 2)), table.sum((0, 1))
    )
    assert (table - independent).abs().max() > 0.02  # later channels heed the earlier ones

    draws = Draws(Sampling(), GumbelNoise(range(num_draws), hidden.device))
    drawn = HeadTables(heads).draw(hidden.expand(num_draws, -1), draws)
    counts = torch.bincount((drawn * torch.tensor([6, 2, 1])).sum(1), minlength=12)
    five_errors = 5 * (joint * (1 - joint) / num_draws).sqrt()
    assert ((counts / num_draws - joint).abs() < five_errors).all()


@SOFTMAXES
@pytest.mark.parametrize("vocab_sizes", [(7,), (7, 3, 5)])
def test_the_nll_of_channels_is_that_of_their_logits(
    vocab_sizes: tuple[int, ...], num_softmaxes: int
) -> None:
    heads = randomised(ChannelHeads(vocab_sizes, 6, num_softmaxes))
    hidden, ids = values(3, 4, 6).requires_grad_(), random_ids(vocab_sizes, 3, 4)
    upstream, leaves = values(3, 4, seed=1), (hidden, *heads.parameters())
    ours = value_and_gradients(heads.nll(hidden, ids), upstream, *leaves)
    lengths = torch.ones(12, dtype=torch.long)  # steps as sequences of their own
    steps = hidden.flatten(0, 1)[:, None], ids.flatten(0, 1)[:, None]
    slow = sequence_nll(heads(*steps), steps[1], lengths).view(3, 4)
    expected = value_and_gradients(slow, upstream, *leaves)
    for our, their in zip(ours, expected, strict=True):
        torch.testing.assert_close(our, their, **TOLERANCE)


# Tied embeddings


def tied_decoder(vocab_sizes: tuple[int, ...] = (7,), **changes: Any) -> FlatDecoder:
    settings = {"vocab_sizes": vocab_sizes, "tied_embeddings": True} | changes
    return tiny_decoder(std=0.5, **settings)


@SOFTMAXES
@pytest.mark.parametrize("vocab_sizes", [(7,), (7, 3, 5)])
def test_tied_weights_are_the_very_same(vocab_sizes: tuple[int, ...], num_softmaxes: int) -> None:
    decoder = tied_decoder(vocab_sizes, num_softmaxes=num_softmaxes)
    untied = tied_decoder(vocab_sizes, num_softmaxes=num_softmaxes, tied_embeddings=False)
    for size, table, head, apart in zip(
        vocab_sizes,
        decoder.embedding.channels,
        decoder.heads.logits,
        untied.heads.logits,
        strict=True,
    ):
        output = head.output if num_softmaxes > 1 else head
        assert output.weight is table.weight
        assert output.weight.shape == (size, 4)
        assert (apart.output if num_softmaxes > 1 else apart).weight.shape == (size, 6)
    names = [name for name, _ in decoder.named_parameters(remove_duplicate=False)]
    assert len(names) - len(list(decoder.parameters())) == len(vocab_sizes)


def test_tied_weights_stay_tied_as_they_train() -> None:
    decoder, ids = tied_decoder(), random_ids((7,), 3, 5)
    before = decoder.embedding.channels[0].weight.detach().clone()
    optimizer = torch.optim.Adam(decoder.parameters(), lr=0.1)
    decoder.train().token_nll(values(3, 3), ids).mean().backward()
    optimizer.step()
    after = decoder.embedding.channels[0].weight
    assert (after != before).all()
    assert decoder.heads.logits[0].weight.data_ptr() == after.data_ptr()


def test_the_gradient_of_tied_weights_is_the_sum_of_both_uses() -> None:
    ids, z = random_ids((7, 5), 3, 5), values(3, 3)
    tied = tied_decoder((7, 5), embedding_dim=6)
    untied = tied_decoder((7, 5), embedding_dim=6, tied_embeddings=False)
    untied.load_state_dict(tied.state_dict())
    for decoder in (tied, untied):
        decoder.token_nll(z, ids).sum().backward()
    for channel in range(2):
        both = tied.embedding.channels[channel].weight.grad
        input_grad = untied.embedding.channels[channel].weight.grad
        output_grad = untied.heads.logits[channel].weight.grad
        assert input_grad.abs().max() > 0.01
        assert output_grad.abs().max() > 0.01
        torch.testing.assert_close(both, input_grad + output_grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("embedding_dim", "tied", "projected"),
    [(4, True, True), (8, True, True), (6, True, False), (4, False, False), (6, False, False)],
)
@torch.no_grad()
def test_tied_weights_of_another_width_pass_a_projection(
    embedding_dim: int, tied: bool, projected: bool
) -> None:
    decoder = tied_decoder(embedding_dim=embedding_dim, tied_embeddings=tied)
    shapes = [tuple(parameter.shape) for parameter in decoder.project.parameters()]
    assert shapes == ([(embedding_dim, 6), (embedding_dim,)] if projected else [])
    width = embedding_dim if tied else 6
    assert decoder.features(values(2, 3), random_ids((7,), 2, 4)).shape == (2, 4, width)


@pytest.mark.parametrize("embedding_dim", [4, 6, 8])
def test_a_mixture_may_be_tied_at_any_width(embedding_dim: int) -> None:
    decoder = tied_decoder(embedding_dim=embedding_dim, num_softmaxes=3)
    z, ids = values(2, 3), random_ids((7,), 2, 4)
    read, head = decoder.features(z, ids), decoder.heads.logits[0]
    assert read.shape == (2, 4, embedding_dim)
    nll = decoder.token_nll(z, ids)
    for b, t in itertools.product(range(2), range(4)):
        probabilities = slow_mixture(head, read[b, t])
        expected = -probabilities[ids[b, t, 0]].log().float()
        torch.testing.assert_close(nll[b, t], expected, **TOLERANCE)
    nll.sum().backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
