"""Tokens that are given: taken, read by what follows, and weighed."""

import pytest
import torch
from tiny import random_ids, tiny_decoder

from seqvae.model import cuda_graph
from seqvae.model.config import Sampling
from seqvae.model.decoding import decode
from seqvae.model.given import Given
from seqvae.model.stepper import Stepper

KINDS = pytest.mark.parametrize(
    "changes",
    [
        {"vocab_sizes": (7, 3), "decoder_layers": 2},
        {"vocab_sizes": (7, 3), "decoder": "hierarchical", "segment_length": 2},
        {"vocab_sizes": (9, 4) * 3, "slot_size": 2, "num_members": (0,) * 6},
    ],
)


def codes(num_rows: int) -> torch.Tensor:
    return torch.randn(num_rows, 3, generator=torch.Generator().manual_seed(0))


def given_to(ids: torch.Tensor, where: torch.Tensor, slot_size: int = 0) -> Given:
    return Given.of_slots(ids, where.expand_as(ids), slot_size)


@KINDS
def test_what_is_given_comes_back_and_is_weighed(changes: dict[str, object]) -> None:
    decoder, z, seeds = tiny_decoder(**changes), codes(40), range(40)
    stepper, sampling = Stepper(decoder), Sampling()
    drawn = decode(stepper, z, num_steps=6, sampling=sampling, seeds=seeds)
    assert drawn.given_nats is None
    every = torch.ones(6, drawn.ids.shape[2], dtype=torch.bool)
    size = int(str(changes.get("slot_size", 0)))
    again = decode(stepper, z, num_steps=6, given=given_to(drawn.ids, every, size))
    assert torch.equal(again.ids, drawn.ids)
    assert again.given_nats is not None
    expected = decoder.token_nll(z, drawn.ids).sum(1)
    torch.testing.assert_close(again.given_nats, expected, rtol=1e-4, atol=1e-4)
    none = decode(stepper, z, num_steps=6, sampling=sampling, seeds=seeds,
                  given=given_to(drawn.ids, ~every, size))  # fmt: skip
    assert torch.equal(none.ids, drawn.ids)
    assert none.given_nats is not None
    assert not none.given_nats.any()


@KINDS
def test_what_is_drawn_reads_what_is_given(changes: dict[str, object]) -> None:
    decoder, z, seeds = tiny_decoder(**changes), codes(40), range(40)
    stepper, sampling = Stepper(decoder), Sampling()
    free = decode(stepper, z, num_steps=6, sampling=sampling, seeds=seeds).ids
    where = torch.zeros(6, free.shape[2], dtype=torch.bool)
    where[2:4] = True
    others = free.flip(0)
    size = int(str(changes.get("slot_size", 0)))
    held = decode(stepper, z, num_steps=6, sampling=sampling, seeds=seeds,
                  given=given_to(others, where, size)).ids  # fmt: skip
    assert torch.equal(held[:, 2:4], others[:, 2:4])
    assert torch.equal(held[:, :2], free[:, :2])
    assert not torch.equal(held[:, 4:], free[:, 4:])


def test_a_channel_may_be_given_alone() -> None:
    decoder, z = tiny_decoder(vocab_sizes=(7, 3)), codes(40)
    ids = random_ids((7, 3), 40, 6)
    for channel in (0, 1):
        where = torch.zeros(6, 2, dtype=torch.bool)
        where[:, channel] = True
        drawn = decode(Stepper(decoder), z, num_steps=6, sampling=Sampling(), seeds=range(40),
                       given=given_to(ids, where))  # fmt: skip
        assert torch.equal(drawn.ids[..., channel], ids[..., channel])
        assert not torch.equal(drawn.ids[..., 1 - channel], ids[..., 1 - channel])
        assert drawn.given_nats is not None
        logits = decoder(z, drawn.ids)[channel].log_softmax(-1)
        nats = -logits.gather(2, ids[..., channel, None])[..., 0].sum(1)
        torch.testing.assert_close(drawn.given_nats, nats, rtol=1e-4, atol=1e-4)


def test_no_sequence_ends_before_what_is_given_of_it() -> None:
    decoder, z = tiny_decoder(vocab_sizes=(4,)), codes(60)
    ids = random_ids((4,), 60, 6)
    ids[:, 4] = 2
    where = torch.zeros(6, 1, dtype=torch.bool)
    where[4] = True
    drawn = decode(Stepper(decoder), z, num_steps=6, eos_id=2, sampling=Sampling(temperature=2.0),
                   seeds=range(60), given=given_to(ids, where))  # fmt: skip
    assert drawn.lengths.tolist() == [5] * 60
    assert {*drawn.ids[:, :4].flatten().tolist()} == {0, 1, 3}
    early = decode(Stepper(decoder), z, num_steps=6, eos_id=2, sampling=Sampling(temperature=2.0),
                   seeds=range(60))  # fmt: skip
    assert early.lengths.min() < 5


def test_a_recorded_step_is_given_the_tokens_of_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder, z = tiny_decoder(vocab_sizes=(7, 3)), codes(10)
    ids = random_ids((7, 3), 10, 6)
    where = torch.rand(6, 2, generator=torch.Generator().manual_seed(0)) < 0.5
    settings = {"num_steps": 6, "sampling": Sampling(), "seeds": range(10)}
    plain = decode(Stepper(decoder), z, given=given_to(ids, where), **settings)  # type: ignore[arg-type]
    monkeypatch.setattr(cuda_graph, "has_graphs", lambda device: True)
    monkeypatch.setattr(cuda_graph, "record", lambda work: work)
    recorded = decode(Stepper(decoder), z, given=given_to(ids, where), **settings)  # type: ignore[arg-type]
    assert torch.equal(recorded.ids, plain.ids)
    assert plain.given_nats is not None
    torch.testing.assert_close(recorded.given_nats, plain.given_nats)
