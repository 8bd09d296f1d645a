"""The hierarchical decoder: what a segment sees, and that its two ways of decoding agree."""

import itertools
from typing import Any

import pytest
import tiny
import torch
from tiny import random_ids
from torch import nn

from seqvae.errors import InputError
from seqvae.model.config import Z_WIRINGS, Sampling
from seqvae.model.decoder import FlatDecoder
from seqvae.model.decoding import decode, draw_tokens
from seqvae.model.encoder import HierarchicalEncoder
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.noise import GumbelNoise
from seqvae.model.stepper import Stepper
from seqvae.training.config import Config, DataConfig, ModelConfig

NUM_SEGMENTS, LENGTH = 3, 4
NUM_STEPS = NUM_SEGMENTS * LENGTH

CHANNELS = pytest.mark.parametrize("vocab_sizes", [(7,), (7, 3, 5)])
SETTINGS = pytest.mark.parametrize(
    "settings",
    [
        {},
        {"conductor_layers": 2, "decoder_layers": 2},
        {"z_wiring": Z_WIRINGS, "tied_embeddings": True},
        {"z_wiring": ("input",)},
    ],
)


SIZES: dict[str, Any] = {
    "decoder": "hierarchical", "latent_dim": 6, "conductor_dim": 4,
    "segment_length": LENGTH, "max_steps": NUM_STEPS,
}  # fmt: skip


def tiny_decoder(
    vocab_sizes: tuple[int, ...] = (7,), std: float = 0.8, **changes: Any
) -> FlatDecoder:
    return tiny.tiny_decoder(std=std, **SIZES | {"vocab_sizes": vocab_sizes} | changes)


def codes(num_sequences: int) -> torch.Tensor:
    return torch.randn(num_sequences, 6, generator=torch.Generator().manual_seed(0))


@SETTINGS
@CHANNELS
@torch.no_grad()
def test_a_segment_sees_its_own_steps_and_the_token_before_it(
    vocab_sizes: tuple[int, ...], settings: dict[str, Any]
) -> None:
    decoder, z = tiny_decoder(vocab_sizes, **settings), codes(2)
    ids = random_ids(vocab_sizes, 2, NUM_STEPS)
    before = decoder(z, ids)
    for step, channel in itertools.product(range(NUM_STEPS), range(len(vocab_sizes))):
        changed = ids.clone()
        changed[:, step, channel] = (ids[:, step, channel] + 1) % vocab_sizes[channel]
        # The rest of its segment sees it; so does the next, if it is the last one before it.
        last = step // LENGTH * LENGTH + LENGTH
        sees = range(step + 1, last) if step + 1 < last else range(last, min(last + LENGTH, 12))
        for c, (old, new) in enumerate(zip(before, decoder(z, changed), strict=True)):
            moved = (new - old).abs().amax(2)  # (B, T)
            for other in range(NUM_STEPS):
                if other == step:
                    assert (moved[:, other] > 0).all() == (c > channel)
                elif other in sees:
                    assert (moved[:, other] > 0).all()
                else:
                    assert (moved[:, other] == 0).all()


@SETTINGS
@torch.no_grad()
def test_every_segment_sees_z(settings: dict[str, Any]) -> None:
    decoder, ids = tiny_decoder(**settings), random_ids((7,), 2, NUM_STEPS)
    (one,), (other,) = decoder(codes(2), ids), decoder(codes(2) + 0.5, ids)
    assert ((one - other).abs().amax(2) > 1e-4).all()


@torch.no_grad()
def test_segments_differ_and_come_from_the_conductor_alone() -> None:
    """The same tokens in each segment, another code."""
    decoder, z = tiny_decoder(), codes(2)
    ids = random_ids((7,), 2, LENGTH).repeat(1, NUM_SEGMENTS, 1)
    second, third = decoder(z, ids)[0].view(2, NUM_SEGMENTS, LENGTH, 7)[:, 1:].unbind(1)
    assert ((second - third).abs().amax(2) > 1e-4).all()
    decoder.codes = lambda z: torch.ones(len(z), NUM_SEGMENTS, 4)  # type: ignore[method-assign]  # a conductor that never changes
    second, third = decoder(z, ids)[0].view(2, NUM_SEGMENTS, LENGTH, 7)[:, 1:].unbind(1)
    torch.testing.assert_close(second, third)


@torch.no_grad()
def test_the_conductor_reads_a_slice_a_segment_in_both_directions() -> None:
    decoder, z = tiny_decoder(), codes(4)
    lstm, slices = decoder.conductor, z.view(4, NUM_SEGMENTS, 2)
    alone = torch.nn.LSTM(2, 2, batch_first=True)
    outputs = []
    for direction in ("", "_reverse"):
        own = {name: getattr(lstm, name + direction) for name in dict(alone.named_parameters())}
        alone.load_state_dict(own)
        read = alone(slices.flip(1) if direction else slices)[0]
        outputs.append(read.flip(1) if direction else read)
    torch.testing.assert_close(decoder.codes(z), torch.cat(outputs, dim=2))


def tiny_encoder(**changes: Any) -> nn.Module:
    return tiny.tiny_encoder(std=0.8, **SIZES | {"vocab_sizes": (7, 3)} | changes)


def read(encoder: nn.Module, ids: torch.Tensor) -> DiagonalGaussian:
    posterior: DiagonalGaussian = encoder(ids, torch.full((len(ids),), NUM_STEPS))
    return posterior


@pytest.mark.parametrize(
    "settings", [{}, {"encoder_layers": 2, "encoder_pooling": "max"}, {"bn_gamma": 0.6}]
)
@torch.no_grad()
def test_every_slice_of_the_code_has_read_every_step(settings: dict[str, Any]) -> None:
    encoder, ids = tiny_encoder(**settings), random_ids((7, 3), 2, NUM_STEPS)
    before = read(encoder, ids)
    assert before.mean.shape == before.log_stddev.shape == (2, 6)
    for step in range(NUM_STEPS):
        changed = ids.clone()
        changed[:, step, 0] = (ids[:, step, 0] + 1) % 7
        after = read(encoder, changed)
        for old, new in ((before.mean, after.mean), (before.log_stddev, after.log_stddev)):
            assert (old != new).all() or settings.get("encoder_pooling") == "max"


@torch.no_grad()
def test_a_slice_tells_its_own_segment_by_weights_that_all_share() -> None:
    """Without an overview, turning the segments about turns the slices about."""
    encoder, ids = tiny_encoder(), random_ids((7, 3), 2, NUM_STEPS)
    for weight in encoder.overview.parameters():
        weight.zero_()
    turned = ids.view(2, NUM_SEGMENTS, LENGTH, 2).roll(1, dims=1).view(2, NUM_STEPS, 2)
    slices = read(encoder, ids).mean.view(2, NUM_SEGMENTS, 2)
    assert not torch.allclose(slices, slices.roll(1, dims=1))
    torch.testing.assert_close(read(encoder, turned).mean, slices.roll(1, dims=1).flatten(1))


@SETTINGS
@torch.no_grad()
def test_sequences_may_end_anywhere(settings: dict[str, Any]) -> None:
    """What lies beyond an end reaches neither code nor likelihood, and company changes nothing."""
    encoder, decoder, z = tiny_encoder(), tiny_decoder((7, 3), **settings), codes(5)
    ids, lengths = random_ids((7, 3), 5, NUM_STEPS), torch.tensor([1, 3, 4, 9, 12])
    together = encoder(ids, lengths)
    nll = decoder.token_nll(z, ids)
    for row, length in enumerate(lengths.tolist()):
        own = ids[row : row + 1, :length]
        alone = encoder(own, lengths[row : row + 1])
        torch.testing.assert_close(alone.mean, together.mean[row : row + 1])
        torch.testing.assert_close(
            decoder.token_nll(z[row : row + 1], own), nll[row : row + 1, :length]
        )


@torch.no_grad()
def test_decoding_ends_with_the_last_token_of_all() -> None:
    decoder, z = tiny_decoder(std=0.3), codes(40)
    decoded = decode(
        Stepper(decoder), z, num_steps=NUM_STEPS, eos_id=2, sampling=Sampling(), seeds=range(40)
    )
    assert decoded.lengths.min() < LENGTH < decoded.lengths.max()
    for ids, length in zip(decoded.ids[..., 0], decoded.lengths.tolist(), strict=True):
        assert 2 not in ids[: length - 1]
        assert length == NUM_STEPS or ids[length - 1] == 2


@SETTINGS
@CHANNELS
@torch.no_grad()
def test_step_by_step_equals_parallel(
    vocab_sizes: tuple[int, ...], settings: dict[str, Any]
) -> None:
    decoder, z = tiny_decoder(vocab_sizes, **settings), codes(20)
    sampling = Sampling(temperature=0.8, top_p=0.95)
    decoded = decode(Stepper(decoder), z, num_steps=NUM_STEPS, sampling=sampling, seeds=range(20))
    noise, ids = GumbelNoise(range(20), z.device), torch.zeros_like(decoded.ids)
    for step, channel in itertools.product(range(NUM_STEPS), range(len(vocab_sizes))):
        logits = decoder(z, ids)[channel][:, step]
        values = noise.at(step, channel, vocab_sizes[channel])
        ids[:, step, channel] = draw_tokens(logits, sampling, values)
    assert torch.equal(decoded.ids, ids)


@pytest.mark.parametrize(
    ("model", "tokenizer", "reason"),
    [
        ({"latent_dim": 0}, {"kind": "melody"}, "needs a code, but latent_dim is 0"),
        ({"latent_dim": 32}, {"kind": "words", "max_steps": 80}, "5 segments.*set it to 35"),
        ({"segment_length": 64}, {"kind": "melody"}, "64, which does not divide the 32 steps"),
        ({}, {"kind": "melody", "metres": ["3/4"], "num_bars": 4}, "a bar of 12 steps; give 12"),
        ({"segment_length": 0}, {"kind": "melody"}, "segment_length is 0"),
        ({"conductor_dim": 5}, {"kind": "melody"}, "conductor_dim is 5; it must be even"),
        ({"latent_dim": 63}, {"kind": "melody"}, "63, which 2 segments cannot share.*set it to 64"),
    ],
)
def test_segments_that_make_up_no_sequence_are_refused(
    model: dict[str, Any], tokenizer: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        Config(
            name="x",
            data=DataConfig(tokenizer=tokenizer),
            model=ModelConfig(decoder="hierarchical", **model),
        )


@torch.no_grad()
def test_the_overview_reads_the_final_states_of_both_directions() -> None:
    encoder = tiny.tiny_encoder(std=0.8, **SIZES | {"vocab_sizes": (7,)})
    assert isinstance(encoder, HierarchicalEncoder)
    ids, seen = random_ids((7,), 2, NUM_STEPS), list[torch.Tensor]()
    encoder.overview.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    encoder.eval()(ids, torch.full((2,), NUM_STEPS))
    segments = encoder.embedding(ids).view(2 * NUM_SEGMENTS, LENGTH, -1)
    _, (final, _) = encoder.reader(segments)
    expected = torch.cat([final[0], final[1]], dim=-1).view(2, NUM_SEGMENTS, -1)
    torch.testing.assert_close(seen[0], expected, rtol=1e-4, atol=1e-5)
