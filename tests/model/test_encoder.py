import pytest
import tiny
import torch
from tiny import random_ids, randomised
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqvae.model.embedding import StepEmbedding
from seqvae.model.encoder import (
    POOLINGS,
    Encoder,
    NormalisedMeans,
    reverse_within_length,
)
from seqvae.model.latent import DiagonalGaussian

TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}  # float32, sums of a few dozen products
LENGTHS = torch.tensor([4, 7, 1, 7, 2])
LAYERS = pytest.mark.parametrize("num_layers", [1, 2])
CHANNELS = pytest.mark.parametrize("vocab_sizes", [(6,), (6, 3, 4)])
POOLED = pytest.mark.parametrize("pooling", list(POOLINGS))


def tiny_encoder(
    vocab_sizes: tuple[int, ...] = (6,),
    num_layers: int = 1,
    *,
    pooling: str = "last",
    bn_gamma: float = 0.0,
) -> Encoder:
    encoder = tiny.tiny_encoder(
        vocab_sizes=vocab_sizes,
        encoder_layers=num_layers,
        encoder_pooling=pooling,
        bn_gamma=bn_gamma,
    )
    assert isinstance(encoder, Encoder)
    return encoder


def slow_pool(
    pooling: str, states: torch.Tensor, length: int, num_forward: int | None = None
) -> torch.Tensor:
    """Pool the states (T, D) of one sequence, unit by unit; the later half reads backward."""
    num_forward = states.shape[1] // 2 if num_forward is None else num_forward
    pooled = []
    for unit in range(states.shape[1]):
        valid = [states[step, unit] for step in range(length)]
        if pooling == "mean":
            pooled.append(sum(valid) / length)
        elif pooling == "max":
            pooled.append(sorted(valid)[-1])
        else:
            pooled.append(valid[-1] if unit < num_forward else valid[0])
    return torch.stack(pooled)


def assert_same(q: DiagonalGaussian, expected: DiagonalGaussian) -> None:
    torch.testing.assert_close(q.mean, expected.mean, **TOLERANCE)
    torch.testing.assert_close(q.log_stddev, expected.log_stddev, **TOLERANCE)


def rows(q: DiagonalGaussian, index: torch.Tensor) -> DiagonalGaussian:
    return DiagonalGaussian(q.mean[index], q.log_stddev[index])


def packed_reference(
    encoder: Encoder, ids: torch.Tensor, lengths: torch.Tensor, pooling: str = "last"
) -> DiagonalGaussian:
    """The same weights in torch's own bidirectional LSTM, over packed sequences."""
    num_layers = len(encoder.forward_layers)
    lstm = nn.LSTM(4, 5, num_layers, batch_first=True, bidirectional=True)
    weights = {}
    for k, (ahead, back) in enumerate(
        zip(encoder.forward_layers, encoder.backward_layers, strict=True)
    ):
        for name, value in ahead.state_dict().items():
            weights[name.replace("_l0", f"_l{k}")] = value
        for name, value in back.state_dict().items():
            weights[name.replace("_l0", f"_l{k}_reverse")] = value
    lstm.load_state_dict(weights)
    packed = pack_padded_sequence(
        encoder.embedding(ids), lengths, batch_first=True, enforce_sorted=False
    )
    outputs, (hidden, _) = lstm(packed)  # (layers * 2, B, H)
    states, _ = pad_packed_sequence(outputs, batch_first=True)
    pooled = torch.stack(
        [slow_pool(pooling, *row) for row in zip(states, lengths.tolist(), strict=True)]
    )
    if pooling == "last":
        torch.testing.assert_close(pooled, torch.cat([hidden[-2], hidden[-1]], dim=1), **TOLERANCE)
    mean, log_stddev = encoder.posterior(pooled).chunk(2, 1)
    return DiagonalGaussian(mean, log_stddev)


@LAYERS
@CHANNELS
@POOLED
@torch.no_grad()
def test_equals_a_packed_bidirectional_lstm(
    pooling: str, vocab_sizes: tuple[int, ...], num_layers: int
) -> None:
    encoder = tiny_encoder(vocab_sizes, num_layers, pooling=pooling)
    ids = random_ids(vocab_sizes, 5, 7)
    q = encoder(ids, LENGTHS)
    assert q.mean.std(0).min() > 0.01  # the sequences do differ
    assert_same(q, packed_reference(encoder, ids, LENGTHS, pooling))


@LAYERS
@CHANNELS
@POOLED
@torch.no_grad()
def test_padding_content_changes_nothing(
    pooling: str, vocab_sizes: tuple[int, ...], num_layers: int
) -> None:
    encoder = tiny_encoder(vocab_sizes, num_layers, pooling=pooling)
    ids = random_ids(vocab_sizes, 5, 7)
    valid = (torch.arange(7) < LENGTHS[:, None])[..., None]
    other = torch.where(valid, ids, random_ids(vocab_sizes, 5, 7, seed=1))
    assert not torch.equal(ids, other)
    assert_same(encoder(other, LENGTHS), encoder(ids, LENGTHS))


@LAYERS
@POOLED
@torch.no_grad()
def test_padding_amount_changes_nothing(pooling: str, num_layers: int) -> None:
    encoder, ids = tiny_encoder(num_layers=num_layers, pooling=pooling), random_ids((6,), 5, 7)
    longer = torch.cat([ids, random_ids((6,), 5, 9, seed=1)], dim=1)
    assert_same(encoder(longer, LENGTHS), encoder(ids, LENGTHS))


@LAYERS
@POOLED
def test_padding_gets_no_gradient(pooling: str, num_layers: int) -> None:
    encoder, padding = tiny_encoder(num_layers=num_layers, pooling=pooling), 5
    ids = random_ids((5,), 5, 7)
    ids[torch.arange(7) >= LENGTHS[:, None]] = padding
    q = encoder(ids, LENGTHS)
    (q.mean.square().sum() + q.kl().sum()).backward()
    gradient = encoder.embedding.channels[0].weight.grad
    assert torch.equal(gradient[padding], torch.zeros(4))
    assert (gradient[:padding] != 0).all()


@LAYERS
@POOLED
@torch.no_grad()
def test_every_valid_token_matters(pooling: str, num_layers: int) -> None:
    encoder, ids = tiny_encoder(num_layers=num_layers, pooling=pooling), random_ids((6,), 5, 7)
    before = encoder(ids, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        for step in range(length):
            changed = ids.clone()
            changed[row, step] = (ids[row, step] + 1) % 6
            moved = (encoder(changed, LENGTHS).mean - before.mean).abs().amax(1)
            assert moved[row] > 1e-5
            assert moved.count_nonzero() == 1  # the other rows stay


@LAYERS
@POOLED
@torch.no_grad()
def test_rows_come_back_in_input_order(pooling: str, num_layers: int) -> None:
    encoder, ids = tiny_encoder(num_layers=num_layers, pooling=pooling), random_ids((6,), 5, 7)
    q = encoder(ids, LENGTHS)
    for permutation in ([4, 3, 2, 1, 0], [2, 0, 4, 1, 3], [1, 3, 0, 4, 2]):
        index = torch.tensor(permutation)
        assert_same(encoder(ids[index], LENGTHS[index]), rows(q, index))


@LAYERS
@POOLED
@torch.no_grad()
def test_a_batch_of_one_is_a_row_of_the_batch(pooling: str, num_layers: int) -> None:
    encoder, ids = tiny_encoder(num_layers=num_layers, pooling=pooling), random_ids((6,), 5, 7)
    q = encoder(ids, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        one = slice(row, row + 1)
        alone = encoder(ids[one, :length], LENGTHS[one])
        assert alone.mean.shape == alone.log_stddev.shape == (1, 3)
        assert_same(alone, rows(q, torch.tensor([row])))


@LAYERS
@POOLED
@torch.no_grad()
def test_sequences_of_one_step(pooling: str, num_layers: int) -> None:
    encoder, ids = tiny_encoder(num_layers=num_layers, pooling=pooling), random_ids((6,), 4, 1)
    lengths = torch.ones(4, dtype=torch.long)
    assert_same(encoder(ids, lengths), packed_reference(encoder, ids, lengths, pooling))


@torch.no_grad()
def test_the_embedding_of_a_step_is_the_sum_over_channels() -> None:
    vocab_sizes = (6, 3, 4)
    embedding, ids = randomised(StepEmbedding(vocab_sizes, 4)), random_ids(vocab_sizes, 2, 5)
    vectors = embedding(ids)
    for b in range(2):
        for t in range(5):
            parts = [embedding.channels[c].weight[ids[b, t, c]] for c in range(3)]
            torch.testing.assert_close(vectors[b, t], sum(parts), **TOLERANCE)


@pytest.mark.parametrize("lengths", [[1, 1], [3, 5], [5, 1], [4, 2], [5, 5]])
def test_reverse_within_length_equals_a_loop(lengths: list[int]) -> None:
    x = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    expected = x.clone()
    for row, length in enumerate(lengths):
        for step in range(length):
            expected[row, step] = x[row, length - 1 - step]
    index = torch.tensor(lengths)
    assert torch.equal(reverse_within_length(x, index), expected)
    assert torch.equal(reverse_within_length(expected, index), x)


@POOLED
@pytest.mark.parametrize("beyond", [100.0, float("inf"), float("nan")])
def test_a_pooling_equals_a_loop_and_never_reads_padding(pooling: str, beyond: float) -> None:
    states = torch.randn(5, 7, 6, generator=torch.Generator().manual_seed(0))
    states[2] -= 10.0  # all below 0, where a pooled zero would win
    valid = (torch.arange(7) < LENGTHS[:, None])[..., None].expand_as(states)
    upstream = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    padded = torch.where(valid, states, beyond).requires_grad_()
    pooled = POOLINGS[pooling](padded, LENGTHS)
    (gradient,) = torch.autograd.grad((pooled * upstream).sum(), padded)
    states.requires_grad_()
    slow = [slow_pool(pooling, *row, 6) for row in zip(states, LENGTHS.tolist(), strict=True)]
    expected = torch.stack(slow)
    (slow_gradient,) = torch.autograd.grad((expected * upstream).sum(), states)
    torch.testing.assert_close(pooled, expected, **TOLERANCE)
    torch.testing.assert_close(gradient, slow_gradient, **TOLERANCE)
    assert (gradient[~valid] == 0).all()
    assert (gradient[valid] != 0).any()


# Batch-normalised means (BN-VAE)

GAMMAS = pytest.mark.parametrize("gamma", [0.3, 0.6, 1.5])
NEAR = {"rtol": 1e-4, "atol": 1e-5}  # 1e-5 is added to a variance of about 1 or more


def raw_means(num_sequences: int = 64, *, seed: int = 0) -> torch.Tensor:
    """Means (B, 3) with another centre and spread in each dimension."""
    noise = torch.randn(num_sequences, 3, generator=torch.Generator().manual_seed(seed))
    return noise * torch.tensor([1.0, 5.0, 2.0]) + torch.tensor([-4.0, 0.0, 7.0])


@GAMMAS
def test_a_training_batch_has_mean_zero_and_stddev_gamma_in_each_dimension(gamma: float) -> None:
    normalised = NormalisedMeans(3, gamma)(raw_means())
    torch.testing.assert_close(normalised.mean(0), torch.zeros(3), **NEAR)
    torch.testing.assert_close(normalised.std(0, correction=0), torch.full((3,), gamma), **NEAR)
    order = raw_means().argsort(0)
    assert torch.equal(normalised.argsort(0), order)  # shifted and scaled, no more


@GAMMAS
def test_in_evaluation_the_running_statistics_take_the_place_of_the_batch(gamma: float) -> None:
    normalise = NormalisedMeans(3, gamma)
    mean, variance = torch.zeros(3), torch.ones(3)
    for seed in range(4):
        batch = raw_means(seed=seed)
        normalise(batch)
        mean = 0.9 * mean + 0.1 * batch.mean(0)
        variance = 0.9 * variance + 0.1 * batch.var(0)
    torch.testing.assert_close(normalise.running_mean, mean, **NEAR)
    torch.testing.assert_close(normalise.running_var, variance, **NEAR)
    normalise.eval()
    for rows_seen in (raw_means(7, seed=9), raw_means(1, seed=9)):
        expected = gamma * (rows_seen - mean) / variance.sqrt()
        torch.testing.assert_close(normalise(rows_seen), expected, **NEAR)
    torch.testing.assert_close(normalise.running_mean, mean, **NEAR)  # nothing is learned here
    torch.testing.assert_close(normalise.running_var, variance, **NEAR)


@GAMMAS
@pytest.mark.parametrize("log_stddev", [-3.0, -0.2, 0.0, 0.1, 1.0])
def test_the_kl_of_a_batch_cannot_fall_below_the_floor(gamma: float, log_stddev: float) -> None:
    means = NormalisedMeans(3, gamma)(raw_means())
    kl = DiagonalGaussian(means, torch.full_like(means, log_stddev)).kl_per_dim().mean(0)
    floor = gamma**2 / 2
    assert (kl >= floor * (1 - 1e-4)).all()
    if log_stddev == 0:  # where the variance of the prior is met, it is reached
        torch.testing.assert_close(kl, torch.full((3,), floor), **NEAR)
    else:
        assert (kl > floor + 0.005).all()


@GAMMAS
@POOLED
@torch.no_grad()
def test_the_encoder_keeps_the_floor(pooling: str, gamma: float) -> None:
    encoder = tiny_encoder(pooling=pooling, bn_gamma=gamma).train()
    q = encoder(random_ids((6,), 40, 7), LENGTHS.repeat(8))
    torch.testing.assert_close(q.mean.mean(0), torch.zeros(3), rtol=0, atol=1e-5)
    spread = q.mean.std(0, correction=0)
    torch.testing.assert_close(spread, torch.full((3,), gamma), rtol=1e-3, atol=0.0)
    assert q.kl().mean() >= 3 * gamma**2 / 2 * (1 - 2e-3)


@torch.no_grad()
def test_only_means_are_normalised() -> None:
    plain, normalised = tiny_encoder(), tiny_encoder(bn_gamma=0.6)
    normalised.train()
    ids = random_ids((6,), 5, 7)
    expected, q = plain(ids, LENGTHS), normalised(ids, LENGTHS)
    assert torch.equal(q.log_stddev, expected.log_stddev)
    scaled = NormalisedMeans(3, 0.6)(expected.mean)
    torch.testing.assert_close(q.mean, scaled, **TOLERANCE)


@POOLED
def test_a_batch_of_one_trains_with_normalised_means(pooling: str) -> None:
    encoder = tiny_encoder(pooling=pooling, bn_gamma=0.6).train()
    ids, lengths = random_ids((6,), 1, 7), torch.tensor([7])
    encoder.normalise.running_mean.fill_(0.5)
    encoder.normalise.running_var.fill_(4.0)
    q = encoder(ids, lengths)
    plain = tiny_encoder(pooling=pooling)(ids, lengths)
    torch.testing.assert_close(q.mean, 0.6 * (plain.mean - 0.5) / 2, **NEAR)
    (q.mean.square().sum() + q.kl().sum()).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name
    assert torch.equal(encoder.normalise.running_mean, torch.full((3,), 0.5))
    assert torch.equal(encoder.normalise.running_var, torch.full((3,), 4.0))
