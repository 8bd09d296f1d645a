"""Many sequences are read by tables, and their codes are those of the encoder."""

from typing import Any

import pytest
import torch
from tiny import random_ids, tiny_encoder, tiny_vae

from seqvae.model import reader
from seqvae.model.encoder import Encoder
from seqvae.model.reader import MANY_ROWS, Reader, reads

SETTINGS = pytest.mark.parametrize(
    "changes",
    [
        {"encoder_pooling": "last"},
        {"encoder_pooling": "mean"},
        {"encoder_pooling": "max", "bn_gamma": 0.6},
        {"vocab_sizes": (7, 8), "num_members": (0, 3), "condition_sizes": (5,)},
    ],
)


@SETTINGS
@torch.no_grad()
def test_codes_are_those_of_the_encoder(changes: dict[str, Any]) -> None:
    encoder = tiny_encoder(**changes)
    assert isinstance(encoder, Encoder)
    ids = random_ids(changes.get("vocab_sizes", (5,)) + changes.get("condition_sizes", ()), 4, 6)
    lengths = torch.tensor([4, 6, 1, 6])
    found, expected = Reader(encoder)(ids, lengths), encoder(ids, lengths)
    for name in ("mean", "log_stddev"):
        pair = getattr(found, name), getattr(expected, name)
        torch.testing.assert_close(*pair, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_many_rows_are_read_by_tables_of_the_weights_as_they_are() -> None:
    model, lengths = tiny_vae(), torch.full((MANY_ROWS,), 6)
    ids = random_ids((5,), MANY_ROWS, 6)
    assert model.encoder is not None
    model.encoder.register_forward_hook(lambda *_: pytest.fail("the encoder itself has read"))
    model.encode(ids, lengths)
    before = model.reader()
    assert model.reader() is before
    next(model.encoder.parameters()).mul_(2)
    assert model.reader() is not before
    model.train()
    model.eval()
    assert model.reader() is not before


@pytest.mark.parametrize(
    ("changes", "num_rows"),
    [
        ({}, MANY_ROWS - 1),
        ({"encoder_layers": 2}, MANY_ROWS),
        ({"decoder": "hierarchical", "segment_length": 2}, MANY_ROWS),
    ],
)
@torch.no_grad()
def test_others_are_read_by_the_encoder(changes: dict[str, Any], num_rows: int) -> None:
    assert reads(tiny_encoder(), MANY_ROWS)
    assert not reads(tiny_encoder(**changes), num_rows)


def test_neither_learning_nor_other_precisions_nor_large_tables_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = tiny_encoder()
    assert not reads(encoder, MANY_ROWS)  # gradients are asked for
    with torch.no_grad():
        assert not reads(encoder.train(), MANY_ROWS)
        encoder.eval()
        with torch.autocast("cpu", torch.bfloat16):
            assert not reads(encoder, MANY_ROWS)
        monkeypatch.setattr(reader, "MAX_TABLE_NUMBERS", 5 * 4 * 5 - 1)  # 5 tokens, 4 * 5 gates
        assert not reads(encoder, MANY_ROWS)
        monkeypatch.setattr(reader, "MAX_TABLE_NUMBERS", 5 * 4 * 5)
        assert reads(encoder, MANY_ROWS)
