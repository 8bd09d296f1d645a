import pytest
import torch
from tiny import random_ids, randomised
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from seqvae.encoder import Encoder, StepEmbedding, reverse_within_length
from seqvae.latent import DiagonalGaussian

TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}  # float32, sums of a few dozen products
LENGTHS = torch.tensor([4, 7, 1, 7, 2])
LAYERS = pytest.mark.parametrize("num_layers", [1, 2])
CHANNELS = pytest.mark.parametrize("vocab_sizes", [(6,), (6, 3, 4)])


def tiny_encoder(vocab_sizes: tuple[int, ...] = (6,), num_layers: int = 1) -> Encoder:
    encoder = Encoder(
        vocab_sizes=vocab_sizes, embedding_dim=4, hidden_dim=5, num_layers=num_layers, latent_dim=3
    )
    return randomised(encoder)


def assert_same(q: DiagonalGaussian, expected: DiagonalGaussian) -> None:
    torch.testing.assert_close(q.mean, expected.mean, **TOLERANCE)
    torch.testing.assert_close(q.log_stddev, expected.log_stddev, **TOLERANCE)


def rows(q: DiagonalGaussian, index: torch.Tensor) -> DiagonalGaussian:
    return DiagonalGaussian(q.mean[index], q.log_stddev[index])


def packed_reference(
    encoder: Encoder, ids: torch.Tensor, lengths: torch.Tensor
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
    _, (hidden, _) = lstm(packed)  # (layers * 2, B, H)
    mean, log_stddev = encoder.posterior(torch.cat([hidden[-2], hidden[-1]], dim=1)).chunk(2, 1)
    return DiagonalGaussian(mean, log_stddev)


@LAYERS
@CHANNELS
@torch.no_grad()
def test_equals_a_packed_bidirectional_lstm(vocab_sizes: tuple[int, ...], num_layers: int) -> None:
    encoder, ids = tiny_encoder(vocab_sizes, num_layers), random_ids(vocab_sizes, 5, 7)
    q = encoder(ids, LENGTHS)
    assert q.mean.std(0).min() > 0.01  # the sequences do differ
    assert_same(q, packed_reference(encoder, ids, LENGTHS))


@LAYERS
@CHANNELS
@torch.no_grad()
def test_padding_content_changes_nothing(vocab_sizes: tuple[int, ...], num_layers: int) -> None:
    encoder, ids = tiny_encoder(vocab_sizes, num_layers), random_ids(vocab_sizes, 5, 7)
    valid = (torch.arange(7) < LENGTHS[:, None])[..., None]
    other = torch.where(valid, ids, random_ids(vocab_sizes, 5, 7, seed=1))
    assert not torch.equal(ids, other)
    assert_same(encoder(other, LENGTHS), encoder(ids, LENGTHS))


@LAYERS
@torch.no_grad()
def test_padding_amount_changes_nothing(num_layers: int) -> None:
    encoder, ids = tiny_encoder(num_layers=num_layers), random_ids((6,), 5, 7)
    longer = torch.cat([ids, random_ids((6,), 5, 9, seed=1)], dim=1)
    assert_same(encoder(longer, LENGTHS), encoder(ids, LENGTHS))


@LAYERS
def test_padding_gets_no_gradient(num_layers: int) -> None:
    encoder, padding = tiny_encoder(num_layers=num_layers), 5
    ids = random_ids((5,), 5, 7)
    ids[torch.arange(7) >= LENGTHS[:, None]] = padding
    q = encoder(ids, LENGTHS)
    (q.mean.square().sum() + q.kl().sum()).backward()
    gradient = encoder.embedding.channels[0].weight.grad
    assert torch.equal(gradient[padding], torch.zeros(4))
    assert (gradient[:padding] != 0).all()


@LAYERS
@torch.no_grad()
def test_every_valid_token_matters(num_layers: int) -> None:
    encoder, ids = tiny_encoder(num_layers=num_layers), random_ids((6,), 5, 7)
    before = encoder(ids, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        for step in range(length):
            changed = ids.clone()
            changed[row, step] = (ids[row, step] + 1) % 6
            moved = (encoder(changed, LENGTHS).mean - before.mean).abs().amax(1)
            assert moved[row] > 1e-5
            assert moved.count_nonzero() == 1  # the other rows stay


@LAYERS
@torch.no_grad()
def test_rows_come_back_in_input_order(num_layers: int) -> None:
    encoder, ids = tiny_encoder(num_layers=num_layers), random_ids((6,), 5, 7)
    q = encoder(ids, LENGTHS)
    for permutation in ([4, 3, 2, 1, 0], [2, 0, 4, 1, 3], [1, 3, 0, 4, 2]):
        index = torch.tensor(permutation)
        assert_same(encoder(ids[index], LENGTHS[index]), rows(q, index))


@LAYERS
@torch.no_grad()
def test_a_batch_of_one_is_a_row_of_the_batch(num_layers: int) -> None:
    encoder, ids = tiny_encoder(num_layers=num_layers), random_ids((6,), 5, 7)
    q = encoder(ids, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        one = slice(row, row + 1)
        alone = encoder(ids[one, :length], LENGTHS[one])
        assert alone.mean.shape == alone.log_stddev.shape == (1, 3)
        assert_same(alone, rows(q, torch.tensor([row])))


@LAYERS
@torch.no_grad()
def test_sequences_of_one_step(num_layers: int) -> None:
    encoder, ids = tiny_encoder(num_layers=num_layers), random_ids((6,), 4, 1)
    lengths = torch.ones(4, dtype=torch.long)
    assert_same(encoder(ids, lengths), packed_reference(encoder, ids, lengths))


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
