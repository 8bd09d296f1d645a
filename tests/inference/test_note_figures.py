"""Accuracies of sets of notes: only tokens that say something count."""

import pytest
import torch
from tiny import tiny_vae

from seqvae.corpus.batches import Batch
from seqvae.inference.evaluation import Tally
from seqvae.inference.metrics import are_scored
from seqvae.model.config import Steps

STEPS = Steps(vocab_sizes=(5, 4) * 2, max_steps=3, slot_size=2)
IDS = torch.tensor([[[2, 1, 4, 0], [3, 2, 0, 0], [0, 0, 0, 0]]])


def test_what_follows_the_last_note_is_not_scored() -> None:
    expected = [[True, True, True, True], [True, True, True, False], [True, False, False, False]]
    assert are_scored(IDS, torch.tensor([3]), STEPS).tolist() == [expected]
    assert are_scored(IDS, torch.tensor([1]), STEPS).sum() == 4
    plain = Steps(vocab_sizes=(5, 4) * 2, max_steps=3)
    assert are_scored(IDS, torch.tensor([2]), plain).sum() == 8


def test_a_model_that_plays_nothing_hits_the_ends_alone() -> None:
    """Of five pitches and ends one is an end at a silent step; there are three durations."""
    model = tiny_vae(vocab_sizes=STEPS.vocab_sizes, max_steps=3, slot_size=2)
    with torch.no_grad():
        for weight in model.decoder.heads.logits[0].parameters():
            weight.zero_()
        model.decoder.heads.logits[0].bias[0] = 9.0
    tally = Tally(model)
    decoded = tally.update(Batch(IDS, torch.tensor([3])))
    assert not decoded.ids.any()
    # Scored are the pitches 2, 4, 3, an end, an end, and three durations: 1, 0, 2.
    reached, constant = tally.by_channel()
    assert reached == pytest.approx([2 / 5, 1 / 3])
    assert constant == pytest.approx([2 / 5, 2 / 3])
    figures = tally.result()
    assert figures.accuracy_free_running == pytest.approx((2 / 5 + 1 / 3) / 2)
    assert figures.exact_match == 0
