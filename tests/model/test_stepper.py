"""One step at a time equals all steps at once, whatever the tables are made of."""

from typing import Any

import pytest
import torch
from tiny import random_ids, tiny_decoder, tiny_vae

from seqvae.model import stepper
from seqvae.model.decoder import FlatDecoder
from seqvae.model.decoding import decode
from seqvae.model.stepper import Stepper

SETTINGS = pytest.mark.parametrize(
    "changes",
    [
        {},
        {"vocab_sizes": (7, 8), "num_members": (0, 3), "condition_sizes": (5, 4)},
        {"vocab_sizes": (8, 7), "num_members": (3, 0), "num_softmaxes": 2, "decoder_layers": 3},
        {"vocab_sizes": (8,), "num_members": (3,), "tied_embeddings": True},
        {"z_wiring": ("state", "output"), "decoder_dim": 5, "tied_embeddings": True},
        {"decoder": "hierarchical", "segment_length": 2, "condition_sizes": (5,)},
    ],
)


@pytest.fixture(params=[1024, 4], ids=["tables", "no tables"])
def max_table_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepper, "MAX_TABLE_ROWS", request.param)


@SETTINGS
@pytest.mark.usefixtures("max_table_rows")
@torch.no_grad()
def test_steps_have_the_logits_of_teacher_forcing(changes: dict[str, Any]) -> None:
    decoder = tiny_decoder(**changes)
    columns = changes.get("vocab_sizes", (5,)) + changes.get("condition_sizes", ())
    ids = random_ids(columns, 4, 6)
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    tokens, conditions = ids.split([decoder.num_channels, ids.shape[2] - decoder.num_channels], 2)
    steps, codes, logits = (
        Stepper(decoder),
        decoder.codes(z),
        [list[torch.Tensor]() for _ in ids[0, 0]],
    )

    for number in range(6):
        if number % (decoder.segment_length or 6) == 0:
            state = steps.begin(codes[:, number // (decoder.segment_length or 6)])
        before = tokens[:, number - 1] if number else None
        features = steps.step(before, conditions[:, number], state)

        def forced(values: torch.Tensor, channel: int, number: int = number) -> torch.Tensor:
            logits[channel].append(values)
            return tokens[:, number, channel]

        assert torch.equal(steps.draw(features, forced), tokens[:, number])
    for channel, expected in enumerate(decoder(z, ids)):
        torch.testing.assert_close(torch.stack(logits[channel], 1), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_tables_follow_the_weights() -> None:
    model = tiny_vae(vocab_sizes=(7, 5))
    z = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    before, tables = model.decode(z).ids, model.stepper()
    assert model.stepper() is tables  # made once
    for parameter in model.decoder.parameters():
        parameter.neg_()
    after = model.decode(z).ids
    assert not torch.equal(before, after)
    assert torch.equal(after, decode(Stepper(model.decoder), z, num_steps=6).ids)


def test_tables_follow_an_optimizer_that_leaves_no_trace() -> None:
    model = tiny_vae(vocab_sizes=(7, 5))
    z = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    before = model.decode(z).ids
    optimizer = torch.optim.Adam(model.decoder.parameters(), lr=3.0, fused=True)
    model.train()
    model.decoder(z, before)[0].sum().backward()
    optimizer.step()
    after = model.eval().decode(z).ids
    assert not torch.equal(before, after)
    assert torch.equal(after, decode(Stepper(model.decoder), z, num_steps=6).ids)


@torch.no_grad()
def test_a_stepper_draws_nothing_from_the_global_generator() -> None:
    decoder = tiny_decoder(vocab_sizes=(8,), num_members=(3,), num_softmaxes=2)
    before = torch.get_rng_state()
    Stepper(decoder)
    assert torch.equal(torch.get_rng_state(), before)


def rounded_decoder() -> FlatDecoder:
    """A decoder whose weights float16 holds exactly."""
    decoder = tiny_decoder(decoder_layers=2)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.copy_(parameter.half())
    return decoder


def halves(steps: Stepper) -> list[bool]:
    return [layer.product.half is not None for layer in steps.layers]


@pytest.mark.skipif(not stepper.HAS_HALF_WEIGHTS, reason="no products with weights in float16")
@pytest.mark.parametrize("num_rows", [1, stepper.MAX_HALF_ROWS, stepper.MAX_HALF_ROWS + 1])
@torch.no_grad()
def test_weights_in_float16_change_nothing_but_the_last_bits(
    num_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = rounded_decoder()
    plain = Stepper(decoder)
    monkeypatch.setattr(stepper, "CACHE", 0)
    steps = Stepper(decoder)
    assert halves(plain) == [False, False]  # so few bytes stay in the cache
    assert halves(steps) == [True, True]
    if num_rows > stepper.MAX_HALF_ROWS:  # these go by the weights as they are
        for layer in steps.layers:
            layer.product.half = "not to be used"
    code = decoder.codes(torch.randn(num_rows, 3))[:, 0]
    features = [one.step(None, None, one.begin(code)) for one in (plain, steps)]
    torch.testing.assert_close(features[1], features[0], rtol=0, atol=1e-6)


def test_weights_that_float16_would_round_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepper, "CACHE", 0)
    decoder = rounded_decoder()
    with torch.no_grad():
        decoder.layers[1].weight_hh_l0[0, 0] = 1 + 2**-12
    assert not halves(Stepper(decoder))[1]
    assert halves(Stepper(decoder.double())) == [False, False]
    assert halves(Stepper(rounded_decoder(), torch.bfloat16)) == [False, False]


@pytest.mark.parametrize("num_rows", [1, 5])
@torch.no_grad()
def test_half_precision_is_close(num_rows: int) -> None:
    decoder = tiny_decoder(decoder_layers=2)
    code = torch.randn(num_rows, 3, generator=torch.Generator().manual_seed(0))
    exact, rough = (
        steps.step(None, None, steps.begin(code))
        for steps in (Stepper(decoder), Stepper(decoder, torch.bfloat16))
    )
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0.02, atol=0.02)
    assert not torch.equal(rough, exact)


@torch.no_grad()
def test_autocast_chooses_the_precision() -> None:
    model = tiny_vae(vocab_sizes=(7, 5))
    z = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    exact = model.decode(z).ids
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.decode(z).ids
    assert 0.9 < (exact == rough).double().mean().item() < 1
    expected = decode(Stepper(model.decoder, torch.bfloat16), z, num_steps=6).ids
    assert torch.equal(rough, expected)
    assert torch.equal(model.decode(z).ids, exact)
