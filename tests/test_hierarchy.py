"""The hierarchical decoder: what a segment sees, and that its two ways of decoding agree."""

import itertools
from typing import Any

import pytest
import torch
from tiny import random_ids, randomised

from seqvae.config import Config, DataConfig, ModelConfig
from seqvae.decoder import Z_WIRINGS, HierarchicalDecoder, Sampling
from seqvae.errors import InputError

NUM_SEGMENTS, LENGTH = 3, 4
NUM_STEPS = NUM_SEGMENTS * LENGTH

CHANNELS = pytest.mark.parametrize("vocab_sizes", [(7,), (7, 3, 5)])
SETTINGS = pytest.mark.parametrize(
    "settings",
    [
        {},
        {"conductor_layers": 2, "num_layers": 2},
        {"z_wiring": Z_WIRINGS, "tied_embeddings": True},
        {"z_wiring": ("input",)},
    ],
)


def tiny_decoder(
    vocab_sizes: tuple[int, ...] = (7,), std: float = 0.8, **settings: Any
) -> HierarchicalDecoder:
    sizes = {"embedding_dim": 4, "hidden_dim": 6, "num_layers": 1, "latent_dim": 3}
    sizes |= {"conductor_dim": 5, "conductor_layers": 1, "segment_length": LENGTH}
    return randomised(HierarchicalDecoder(vocab_sizes=vocab_sizes, **sizes | settings), std=std)


def codes(num_sequences: int) -> torch.Tensor:
    return torch.randn(num_sequences, 3, generator=torch.Generator().manual_seed(0))


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
    decoder.codes = lambda z, num_steps: torch.ones(len(z), NUM_SEGMENTS, 5)  # type: ignore[method-assign]  # a conductor that never changes
    second, third = decoder(z, ids)[0].view(2, NUM_SEGMENTS, LENGTH, 7)[:, 1:].unbind(1)
    torch.testing.assert_close(second, third)


@torch.no_grad()
def test_the_conductor_is_an_lstm_over_segments() -> None:
    decoder, z = tiny_decoder(conductor_layers=2), codes(4)
    hidden, cell = torch.tanh(decoder.conductor_state(z)).view(4, 2, 2, 5).permute(1, 2, 0, 3)
    state, outputs = (hidden.contiguous(), cell.contiguous()), []
    for _ in range(NUM_SEGMENTS):
        output, state = decoder.conductor(z[:, None], state)
        outputs.append(output)
    torch.testing.assert_close(decoder.codes(z, NUM_STEPS), torch.cat(outputs, dim=1))


@SETTINGS
@CHANNELS
@torch.no_grad()
def test_step_by_step_equals_parallel(
    vocab_sizes: tuple[int, ...], settings: dict[str, Any]
) -> None:
    decoder, z = tiny_decoder(vocab_sizes, **settings), codes(20)
    sampling = Sampling(temperature=0.8, top_p=0.95)
    decoded = decoder.sample(
        z, num_steps=NUM_STEPS, sampling=sampling, generator=torch.Generator().manual_seed(3)
    )
    generator, ids = torch.Generator().manual_seed(3), torch.zeros_like(decoded.ids)
    for step, channel in itertools.product(range(NUM_STEPS), range(len(vocab_sizes))):
        logits = decoder(z, ids)[channel][:, step]
        ids[:, step, channel] = sampling.draw(logits, generator)
    assert torch.equal(decoded.ids, ids)


@pytest.mark.parametrize(
    ("model", "tokenizer", "reason"),
    [
        ({"latent_dim": 0}, {"kind": "melody"}, "latent_dim 0 has no code to conduct by"),
        ({}, {"kind": "words"}, "hierarchical, but words has sequences of any length"),
        ({"segment_length": 64}, {"kind": "melody"}, "64, which does not divide the 32 steps"),
        ({}, {"kind": "melody", "metres": ["3/4"], "num_bars": 4}, "a bar of 12 steps; give 12"),
        ({"segment_length": 0}, {"kind": "melody"}, "segment_length is 0"),
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
