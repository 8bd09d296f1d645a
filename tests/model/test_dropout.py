import pytest
import torch
from tiny import random_ids, randomised, tiny_decoder, tiny_encoder
from torch import nn
from torch.nn.functional import dropout

from seqvae.model.dropout import LockedDropout, WeightDropLSTM, drop_types
from seqvae.model.embedding import StepEmbedding

TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}  # float32, a recurrence of a few steps
SHARES = pytest.mark.parametrize("p", [0.2, 0.5, 0.8])


def random_values(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# Locked dropout


@SHARES
def test_a_sequence_has_one_mask_and_sequences_have_their_own(p: float) -> None:
    torch.manual_seed(0)
    x = random_values(6, 9, 40)
    mask = LockedDropout(p)(x) / x  # (B, T, E)
    kept = (mask - 1 / (1 - p)).abs() < 1e-5
    assert (kept | (mask == 0)).all()
    assert (mask[:, :1].expand_as(mask) == 0).equal(mask == 0)
    assert len((mask[:, 0] == 0).unique(dim=0)) == 6
    assert 0 < kept.double().mean() < 1


@SHARES
def test_locked_dropout_keeps_the_expectation(p: float) -> None:
    torch.manual_seed(0)
    x = torch.full((200, 2, 100), 3.0)
    num_masked = 200 * 100  # the two steps share theirs
    five_errors = 5 * (p / (1 - p) / num_masked) ** 0.5
    assert LockedDropout(p)(x).mean().item() / 3 == pytest.approx(1, abs=five_errors)


def test_locked_dropout_draws_anew_at_each_call() -> None:
    torch.manual_seed(0)
    drop, x = LockedDropout(0.5), torch.ones(2, 3, 40)
    assert not torch.equal(drop(x), drop(x))


def test_the_gradient_of_locked_dropout_is_its_mask() -> None:
    torch.manual_seed(0)
    x = random_values(3, 4, 20).requires_grad_()
    y = LockedDropout(0.4)(x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x, y, **TOLERANCE)


@pytest.mark.parametrize(("p", "training"), [(0.5, False), (0.0, True), (0.0, False)])
def test_locked_dropout_is_off_in_evaluation_and_without_a_share(p: float, training: bool) -> None:
    x, before = random_values(2, 3, 4), torch.get_rng_state()
    assert torch.equal(LockedDropout(p).train(training)(x), x)
    assert torch.equal(torch.get_rng_state(), before)


# Type dropout


@SHARES
def test_types_are_dropped_whole_and_keep_the_expectation(p: float) -> None:
    torch.manual_seed(0)
    weight = random_values(5000, 4)
    factor = drop_types(weight, p) / weight  # (V, E)
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor), **TOLERANCE)
    kept = factor[:, 0] != 0
    torch.testing.assert_close(factor[kept], torch.full_like(factor[kept], 1 / (1 - p)))
    five_errors = 5 * (p * (1 - p) / 5000) ** 0.5
    assert kept.double().mean().item() == pytest.approx(1 - p, abs=five_errors)


def test_a_dropped_type_is_zero_wherever_it_stands_in_the_batch() -> None:
    torch.manual_seed(0)
    num_types, p = 12, 0.4
    embedding = randomised(StepEmbedding((num_types,), 5, type_dropout=p)).train()
    ids = random_ids((num_types,), 6, 20)
    vectors, weight = embedding(ids), embedding.channels[0].weight
    num_dropped = 0
    for token in range(num_types):
        occurrences = vectors[ids[..., 0] == token]  # (N, E)
        assert len(occurrences) > 3  # in several sequences, and more than once
        dropped = bool((occurrences[0] == 0).all())
        num_dropped += dropped
        expected = torch.zeros(5) if dropped else weight[token] / (1 - p)
        torch.testing.assert_close(occurrences, expected.expand_as(occurrences), **TOLERANCE)
    assert 0 < num_dropped < num_types


def test_a_dropped_type_gets_no_gradient() -> None:
    torch.manual_seed(0)
    embedding = randomised(StepEmbedding((12,), 5, type_dropout=0.4)).train()
    ids = random_ids((12,), 6, 20)
    vectors = embedding(ids)
    vectors.sum().backward()
    weight = embedding.channels[0].weight
    assert isinstance(weight.grad, torch.Tensor)
    counts = torch.bincount(ids.flatten(), minlength=12)
    dropped = torch.stack([(vectors[ids[..., 0] == token] == 0).all() for token in range(12)])
    expected = torch.where(dropped, 0.0, counts / 0.6)
    torch.testing.assert_close(weight.grad, expected[:, None].expand(-1, 5), **TOLERANCE)


def test_each_channel_drops_types_of_its_own() -> None:
    torch.manual_seed(0)
    num_types = 40
    embedding = StepEmbedding((num_types, num_types), 2, type_dropout=0.5)
    with torch.no_grad():
        for channel, axis in zip(embedding.channels, torch.eye(2), strict=True):
            channel.weight.copy_(axis.expand(num_types, -1))
    ids = torch.arange(num_types)[None, :, None].expand(-1, -1, 2)
    kept = embedding(ids)[0] != 0  # (V, 2): the channels lie on different axes
    assert kept.any(0).all()
    assert not torch.equal(kept[:, 0], kept[:, 1])


@pytest.mark.parametrize(("p", "training"), [(0.5, False), (0.0, True)])
def test_type_dropout_is_off_in_evaluation_and_without_a_share(p: float, training: bool) -> None:
    embedding = randomised(StepEmbedding((6, 3), 4, type_dropout=p)).train(training)
    ids, before = random_ids((6, 3), 2, 5), torch.get_rng_state()
    first, second = (channel.weight for channel in embedding.channels)
    torch.testing.assert_close(embedding(ids), first[ids[..., 0]] + second[ids[..., 1]])
    assert torch.equal(torch.get_rng_state(), before)


# Recurrent weights


def lstm_and_input(weight_dropout: float) -> tuple[WeightDropLSTM, torch.Tensor, torch.Tensor]:
    """A layer, an input (B, T, E) and a state (2, 1, B, H)."""
    lstm = randomised(WeightDropLSTM(4, 6, weight_dropout=weight_dropout))
    return lstm, random_values(3, 5, 4), random_values(2, 1, 3, 6, seed=1)


def slow_lstm(
    lstm: nn.LSTM, weight_hh: torch.Tensor, x: torch.Tensor, state: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """All outputs and the last state, by the formulas and one step at a time."""
    hidden, cell = state[0, 0], state[1, 0]
    outputs = []
    for step in range(x.shape[1]):
        gates = x[:, step] @ lstm.weight_ih_l0.T + hidden @ weight_hh.T
        i, f, g, o = (gates + lstm.bias_ih_l0 + lstm.bias_hh_l0).chunk(4, dim=1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        outputs.append(hidden)
    return torch.stack(outputs, dim=1), hidden[None], cell[None]


@pytest.mark.parametrize(("p", "training"), [(0.5, False), (0.0, False), (0.0, True)])
def test_without_dropout_it_is_torchs_lstm(p: float, training: bool) -> None:
    lstm, x, (h, c) = lstm_and_input(p)
    plain = nn.LSTM(4, 6, batch_first=True)
    plain.load_state_dict(lstm.state_dict())
    expected, (last_h, last_c) = plain(x, (h, c))
    before = torch.get_rng_state()
    outputs, (new_h, new_c) = lstm.train(training)(x, (h, c))
    assert torch.equal(torch.get_rng_state(), before)
    for ours, theirs in ((outputs, expected), (new_h, last_h), (new_c, last_c)):
        assert torch.equal(ours, theirs)


@SHARES
def test_in_training_it_is_a_loop_with_one_dropped_matrix(p: float) -> None:
    lstm, x, state = lstm_and_input(p)
    lstm.train()
    x.requires_grad_()
    state.requires_grad_()
    weights = (lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, lstm.bias_hh_l0)
    results, gradients = [], []
    for slow in (True, False):
        torch.manual_seed(4)  # both draw one mask of this shape
        if slow:
            mask = dropout(torch.ones_like(lstm.weight_hh_l0), p)
            outputs, last_h, last_c = slow_lstm(lstm, lstm.weight_hh_l0 * mask, x, state)
        else:
            outputs, (last_h, last_c) = lstm(x, (state[0], state[1]))
        results.append((outputs, last_h, last_c))
        score = outputs.square().sum() + last_h.sum() + last_c.square().sum()
        gradients.append(torch.autograd.grad(score, (x, state, *weights)))
    assert 0 < (mask == 0).sum() < mask.numel()
    for ours, expected in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(ours, expected, **TOLERANCE)
    for ours, expected in zip(gradients[1], gradients[0], strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(gradients[1][3] == 0, mask == 0)  # it reaches the weights that are kept


def test_recurrent_weights_stay_parameters_and_stay_as_they_are() -> None:
    torch.manual_seed(0)
    lstm, x, (h, c) = lstm_and_input(0.5)
    before = {name: value.clone() for name, value in lstm.state_dict().items()}
    assert list(before) == list(nn.LSTM(4, 6).state_dict())
    outputs = [lstm.train()(x, (h, c))[0] for _ in range(2)]
    assert not torch.equal(*outputs)  # a mask at each call
    outputs[1].sum().backward()
    assert list(lstm.state_dict()) == list(before)
    for name, value in lstm.state_dict().items():
        assert torch.equal(value, before[name])
        assert dict(lstm.named_parameters())[name].grad is not None


# Where the networks drop

LAYERS = {"encoder_layers": 2, "decoder_layers": 2}


@pytest.mark.parametrize("locked", [True, False])
@torch.no_grad()
def test_the_decoder_drops_inputs_and_layers_but_never_z(locked: bool) -> None:
    torch.manual_seed(0)
    decoder = tiny_decoder(vocab_sizes=(7,), dropout=0.5, locked_dropout=locked, **LAYERS).train()
    seen: list[torch.Tensor] = []
    for layer in decoder.layers:
        layer.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    z = random_values(8, 3)
    outputs = decoder.features(z, random_ids((7,), 8, 10))
    inputs, between = seen
    assert torch.equal(inputs[..., 4:], z[:, None].expand(-1, 10, -1))
    for x in (inputs[..., :4], between, outputs):
        dropped = x == 0
        assert dropped.double().mean().item() == pytest.approx(0.5, abs=0.3)
        same = (dropped == dropped[:, :1]).all()
        assert bool(same) == locked
        assert len(dropped.flatten(1).unique(dim=0)) > 1


@torch.no_grad()
def test_the_encoder_drops_the_same_features_of_its_embeddings_at_all_steps() -> None:
    torch.manual_seed(0)
    encoder = tiny_encoder(vocab_sizes=(7,), encoder_dropout=0.5, **LAYERS)
    seen: list[torch.Tensor] = []
    encoder.forward_layers[0].register_forward_pre_hook(
        lambda _, arguments: seen.append(arguments[0])
    )
    ids, lengths = random_ids((7,), 8, 10), torch.full((8,), 10)
    embedded = encoder.embedding(ids)
    for training in (True, False):
        encoder.train(training)(ids, lengths)
    factor = seen[0] / embedded
    assert torch.equal(seen[1], embedded)
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor), **TOLERANCE)
    assert set(factor.round(decimals=4).unique().tolist()) == {0.0, 2.0}
    assert len(factor[:, 0].unique(dim=0)) > 1


@torch.no_grad()
def test_every_layer_of_the_decoder_drops_recurrent_weights() -> None:
    torch.manual_seed(0)
    decoder = tiny_decoder(vocab_sizes=(7,), weight_dropout=0.5, **LAYERS).train()
    state = torch.zeros(1, 2, 6), torch.zeros(1, 2, 6)
    assert len(decoder.layers) == 2
    for layer in decoder.layers:
        x = random_values(2, 5, layer.input_size)
        first, second = layer(x, state)[0], layer(x, state)[0]
        assert torch.equal(first[:, 0], second[:, 0])  # from a state of zero it has no say
        assert (first[:, 1:] != second[:, 1:]).any(2).all()


@torch.no_grad()
def test_the_decoder_drops_types_of_its_inputs_and_none_of_its_tied_softmax() -> None:
    torch.manual_seed(0)
    decoder = tiny_decoder(
        vocab_sizes=(30,), embedding_dropout=0.5, tied_embeddings=True, **LAYERS
    ).train()
    seen: list[torch.Tensor] = []
    decoder.layers[0].register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    ids = random_ids((30,), 6, 31)
    logits = decoder(random_values(6, 3), ids)[0]
    inputs, tokens = seen[0][:, 1:, :4], ids[:, :-1, 0]
    dropped = [bool((inputs[tokens == token] == 0).all()) for token in range(30)]
    for token in range(30):
        assert dropped[token] or (inputs[tokens == token] != 0).all()
    assert 5 < sum(dropped) < 25
    # A dropped row of the softmax would give every state the same logit: the bias.
    assert (logits.flatten(0, 1).std(0) > 1e-3).all()
