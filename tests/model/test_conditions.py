"""Conditions: read by encoder and decoder, and not predicted."""

import torch
from tiny import random_ids, tiny_vae


@torch.no_grad()
def test_encoder_and_decoder_see_chords_and_do_not_predict_them() -> None:
    model = tiny_vae(vocab_sizes=(5, 3), condition_sizes=(7,))
    ids, lengths = random_ids((5, 3, 7), 2, 6), torch.tensor([6, 6])
    changed = ids.clone()
    changed[:, 3, 2] = (ids[:, 3, 2] + 1) % 7
    z = model.encode(ids, lengths).mean
    assert ((model.encode(changed, lengths).mean - z).abs() > 1e-5).any()
    before, after = model.decoder(z, ids), model.decoder(z, changed)
    assert [logits.shape[2] for logits in before] == [5, 3]
    for old, new in zip(before, after, strict=True):
        moved = (new - old).abs().amax(2)
        assert (moved[:, :3] == 0).all()
        assert (moved[:, 3:] > 1e-6).all()  # a step sees its own chord


@torch.no_grad()
def test_decoding_follows_what_is_given() -> None:
    model = tiny_vae(condition_sizes=(7,), std=1.5)
    z, given = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), random_ids((7,), 8, 6)
    decoded = model.decode(z, conditions=given)
    assert decoded.ids.shape == (8, 6, 2)
    assert torch.equal(decoded.ids[..., 1:], given)
    (logits,) = model.decoder(z, decoded.ids)
    assert torch.equal(logits.argmax(-1), decoded.ids[..., 0])
    nothing = model.decode(z)
    assert (nothing.ids[..., 1] == 0).all()
    assert not torch.equal(nothing.ids[..., 0], decoded.ids[..., 0])
