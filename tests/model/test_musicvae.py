"""MusicVAE's own two levels: a conductor that begins from z, and an encoder with one last state."""

import pytest
import torch
from tiny import random_ids, tiny_vae

from seqvae.errors import InputError
from seqvae.model.config import ModelConfig
from seqvae.model.decoder import MusicVAEDecoder
from seqvae.model.encoder import MusicVAEEncoder
from seqvae.model.vae import SequenceVAE
from seqvae.training.config import Config, DataConfig


def model(**changes: object) -> SequenceVAE:
    settings = {"decoder": "musicvae", "segment_length": 4, "max_steps": 12, "latent_dim": 5}
    return tiny_vae(**settings | {"conductor_layers": 2} | changes)


@torch.no_grad()
def test_the_conductor_begins_from_z_and_hears_nothing() -> None:
    decoder = model().decoder
    assert isinstance(decoder, MusicVAEDecoder)
    z = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    codes = decoder.codes(z)
    size = decoder.conductor.hidden_size
    states = torch.tanh(decoder.conductor_state(z)).view(3, 2, 2, size)  # hidden or cell, layer
    hidden, cell = (states[:, kind].transpose(0, 1).contiguous() for kind in range(2))
    expected, _ = decoder.conductor(torch.zeros(3, 3, 1), (hidden, cell))
    torch.testing.assert_close(codes, expected)
    assert codes.shape == (3, 3, size)
    other = decoder.codes(z + 1)
    assert not torch.isclose(codes, other).any()


@torch.no_grad()
def test_free_running_and_teacher_forcing_agree() -> None:
    vae = model(vocab_sizes=(5, 7))
    z = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    ids = vae.decode(z).ids
    logits = vae.decoder(z, ids)
    for channel in range(2):
        assert torch.equal(logits[channel].argmax(-1), ids[..., channel])


@torch.no_grad()
def test_the_ends_of_the_segments_give_all_of_z() -> None:
    encoder = model().encoder
    assert isinstance(encoder, MusicVAEEncoder)
    ids = random_ids((5,), 2, 12)
    lengths = torch.tensor([12, 12])
    both, _ = encoder.overview(encoder.segments(ids, lengths))
    size = both.shape[-1] // 2
    state = torch.cat([both[:, -1, :size], both[:, 0, size:]], dim=-1)
    mean = encoder.posterior(state)[:, :5]
    torch.testing.assert_close(encoder(ids, lengths).mean, mean)


@torch.no_grad()
@pytest.mark.parametrize("decoder", ["flat", "hierarchical", "musicvae"])
def test_the_spread_may_be_a_softplus(decoder: str) -> None:
    settings = {"decoder": decoder, "latent_dim": 6}
    plain, soft = model(**settings), model(**settings, stddev="softplus")
    soft.load_state_dict(plain.state_dict())
    ids, lengths = random_ids((5,), 2, 12), torch.tensor([12, 7])
    expected = torch.nn.functional.softplus(plain.encode(ids, lengths).log_stddev)
    torch.testing.assert_close(soft.encode(ids, lengths).log_stddev.exp(), expected)
    torch.testing.assert_close(soft.encode(ids, lengths).mean, plain.encode(ids, lengths).mean)


def test_it_learns() -> None:
    vae = model()
    loss = vae(random_ids((5,), 4, 12), torch.full((4,), 12)).nll.sum()
    loss.backward()
    still = {name for name, weight in vae.named_parameters() if not weight.grad.any()}  # type: ignore[union-attr]
    assert still == {"decoder.conductor.weight_ih_l0"}  # which reads zeros


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="decoder is musicvae, which needs a code"):
        ModelConfig(decoder="musicvae", latent_dim=0)
    with pytest.raises(InputError, match="stddev is 'relu'"):
        ModelConfig(stddev="relu")
    with pytest.raises(InputError, match="encoder_layers is 0; to train"):
        Config(name="x", data=DataConfig(source="x"), model=ModelConfig(encoder_layers=0))
