"""Segments that end before they are full: nothing after the end is read, or counts."""

import pytest
import torch
from tiny import tiny_vae

from seqvae.model.segments import after_ends, segment_lengths

END = 4
ENDED = {"decoder": "musicvae", "segment_length": 3, "segment_eos_id": END, "max_steps": 9}
TOKENS = torch.tensor([[1, END, 2, 3, END, 3, 1, 2, 3], [1, 1, 1, 1, 1, END, END, END, 0]])
LENGTHS = torch.tensor([9, 9])


def test_a_segment_is_as_long_as_up_to_its_end() -> None:
    assert segment_lengths(TOKENS, END, 3).tolist() == [[2, 2, 3], [3, 3, 1]]
    ended = [[0, 0, 1, 0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 1, 1]]
    assert after_ends(TOKENS, END, 3).int().tolist() == ended


@torch.no_grad()
def test_what_follows_an_end_is_not_read() -> None:
    vae, ids = tiny_vae(**ENDED), TOKENS[..., None]
    mean = vae.encode(ids, LENGTHS).mean
    for row, step, is_read in ((0, 2, False), (0, 8, True), (1, 7, False), (1, 8, False),
                               (0, 0, True), (1, 4, True)):  # fmt: skip
        changed = ids.clone()
        changed[row, step] = 2 if ids[row, step] == 3 else 3
        moved = (vae.encode(changed, LENGTHS).mean - mean).abs().amax(1)
        assert (moved > 1e-5).tolist() == [is_read and row == 0, is_read and row == 1]


@torch.no_grad()
def test_segments_that_are_full_are_read_as_by_a_model_whose_segments_are_so() -> None:
    full = TOKENS[..., None] % END
    ended, plain = (tiny_vae(**ENDED | {"segment_eos_id": end}) for end in (END, None))
    torch.testing.assert_close(ended.encode(full, LENGTHS).mean, plain.encode(full, LENGTHS).mean)
    torch.testing.assert_close(
        ended.decoder.token_nll(torch.ones(2, 3), full),
        plain.decoder.token_nll(torch.ones(2, 3), full),
    )


@pytest.mark.parametrize("grad", [False, True])
def test_what_follows_an_end_costs_nothing(grad: bool) -> None:
    ended, plain = (tiny_vae(**ENDED | {"segment_eos_id": end}) for end in (END, None))
    z, ids = torch.ones(2, 3), TOKENS[..., None]
    with torch.set_grad_enabled(grad):
        nll, of_all = (vae.decoder.token_nll(z, ids) for vae in (ended, plain))
    after = after_ends(TOKENS, END, 3)
    assert (nll[after] == 0).all()
    torch.testing.assert_close(nll[~after], of_all[~after])
    assert (of_all[after] > 0).all()
