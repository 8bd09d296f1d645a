"""Of some channels, only some tokens may be drawn."""

from typing import Any

import pytest
import torch
from tiny import tiny_decoder, tiny_vae

from seqvae.model.config import Sampling
from seqvae.model.decoding import EVERYTHING, GREEDY, Allowed, decode
from seqvae.model.stepper import Stepper

CHANNELS = {"vocab_sizes": (7, 5), "max_steps": 6}
NOTES = {"vocab_sizes": (9, 4) * 3, "slot_size": 2, "max_steps": 6}
WAYS = pytest.mark.parametrize(
    "sampling", [GREEDY, Sampling(), Sampling(top_k=2), Sampling(top_p=0.5)]
)


def codes(num_rows: int) -> torch.Tensor:
    return torch.randn(num_rows, 3, generator=torch.Generator().manual_seed(0)) * 2


def drawn(changes: dict[str, Any], allowed: Allowed, sampling: Sampling) -> torch.Tensor:
    """Tokens of 40 sequences."""
    decoder = tiny_decoder(**changes)
    return decode(
        Stepper(decoder), codes(40), num_steps=6, sampling=sampling, seeds=range(40),
        allowed=allowed,
    ).ids  # fmt: skip


@WAYS
def test_tokens_that_are_not_allowed_are_never_drawn(sampling: Sampling) -> None:
    free = drawn(CHANNELS, EVERYTHING, sampling)
    allowed = torch.zeros(40, 7, dtype=torch.bool)
    allowed[:20, [1, 3, 6]] = allowed[20:, [0, 2]] = True  # each row has rules of its own
    bound = drawn(CHANNELS, {0: allowed}, sampling)
    assert {*bound[:20, :, 0].flatten().tolist()} <= {1, 3, 6}
    assert {*bound[20:, :, 0].flatten().tolist()} <= {0, 2}
    assert {*free[..., 0].flatten().tolist()} > {1, 2, 4, 5}
    everything = {c: torch.ones(40, n, dtype=torch.bool) for c, n in enumerate((7, 5))}
    assert torch.equal(drawn(CHANNELS, everything, sampling), free)


def test_what_remains_is_drawn_as_likely_as_before() -> None:
    decoder, z, n = tiny_decoder(vocab_sizes=(4,), max_steps=1), codes(1).expand(4000, -1), 4000
    allowed = torch.tensor([True, False, True, True]).expand(n, -1)

    def shares(allowed: Allowed) -> torch.Tensor:
        ids = decode(
            Stepper(decoder), z, num_steps=1, sampling=Sampling(), seeds=range(n),
            allowed=allowed,
        ).ids  # fmt: skip
        return torch.bincount(ids.flatten(), minlength=4) / n

    free, bound = shares(EVERYTHING), shares({0: allowed})
    expected = free * allowed[0] / (free * allowed[0]).sum()
    torch.testing.assert_close(bound, expected, atol=0.03, rtol=0)


def test_sets_of_notes_keep_to_the_pitches_that_are_allowed() -> None:
    pitches = torch.zeros(40, 9, dtype=torch.bool)
    pitches[:, [0, 2, 5, 7]] = True
    rules = dict.fromkeys((0, 2, 4), pitches)
    ids = drawn(NOTES, rules, Sampling())
    assert {*ids[..., ::2].flatten().tolist()} == {0, 2, 5, 7}
    assert {*drawn(NOTES, EVERYTHING, Sampling())[..., ::2].flatten().tolist()} > {0, 1, 2, 5}


def test_rows_that_go_on_keep_their_rules() -> None:
    decoder, z = tiny_decoder(vocab_sizes=(5,), max_steps=30, std=0.3), codes(12)
    allowed = torch.ones(12, 5, dtype=torch.bool)
    allowed[::2, 3] = False
    allowed[[4, 10], 0] = False  # these do not end
    out = decode(
        Stepper(decoder), z, num_steps=30, eos_id=0, sampling=Sampling(), seeds=range(12),
        allowed={0: allowed},
    )  # fmt: skip
    lengths = out.lengths.tolist()
    assert min(lengths) < 10
    assert lengths[4] == lengths[10] == 30
    assert {*out.ids[[4, 10]].flatten().tolist()} == {1, 2, 4}
    assert any(3 in out.ids[row, : lengths[row]] for row in range(1, 12, 2))


def test_a_stream_is_bound_as_the_whole_is() -> None:
    vae, z = tiny_vae(**CHANNELS), codes(3)
    allowed = torch.zeros(3, 7, dtype=torch.bool)
    allowed[:, 2:5] = True
    whole = vae.decode(z, Sampling(), [1, 2, 3], allowed={0: allowed}).ids
    for step, tokens in enumerate(vae.stream(z, Sampling(), [1, 2, 3], allowed={0: allowed})):
        assert torch.equal(tokens, whole[:, step])
    assert (whole[..., 0] >= 2).all()
    assert (whole[..., 0] < 5).all()
