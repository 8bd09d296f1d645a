"""The share of a batch that one of several processes gets may be empty."""

from typing import Any

import pytest
import torch

from seqvae.model.config import ModelConfig, Steps
from seqvae.model.vae import SequenceVAE

PARTS: list[dict[str, Any]] = [
    {"num_softmaxes": 2, "weight_dropout": 0.1, "token_dropout": 0.1, "embedding_dropout": 0.1},
    {"encoder_pooling": "max", "z_wiring": ("state", "input", "output"), "decoder_layers": 2},
    {"encoder_pooling": "mean", "bn_gamma": 0.5, "encoder_dropout": 0.1, "dropout": 0.1},
]
STEPS = [
    Steps(vocab_sizes=(5,), max_steps=8),
    Steps(vocab_sizes=(5, 512), max_steps=8, num_members=(0, 9), condition_sizes=(3,)),
]


@pytest.mark.parametrize("decoder", ["flat", "hierarchical"])
@pytest.mark.parametrize("parts", PARTS, ids=range(len(PARTS)))
@pytest.mark.parametrize("steps", STEPS, ids=["one channel", "conditions"])
def test_an_empty_batch_has_no_nats_and_no_gradient(
    decoder: str, parts: dict[str, Any], steps: Steps
) -> None:
    config = ModelConfig(
        decoder=decoder, latent_dim=4, embedding_dim=6, encoder_dim=5, decoder_dim=7,
        conductor_dim=6, segment_length=4, **parts,
    )  # fmt: skip
    model = SequenceVAE(config, steps).train()
    num_columns = steps.num_channels + len(steps.condition_sizes)
    bound = model(torch.zeros(0, 8, num_columns, dtype=torch.long), torch.zeros(0).long())
    assert bound.nll.shape == bound.kl.shape == (0,)
    bound.total().sum().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert not weight.grad.any(), name
