"""Tiny models for the tests, with weights large enough that every input matters."""

from dataclasses import asdict
from typing import Any, TypeVar

import torch
from torch import nn

from seqvae.model.vae import SequenceVAE
from seqvae.training.config import ModelConfig

M = TypeVar("M", bound=nn.Module)


def randomised(module: M, *, seed: int = 0, std: float = 0.5) -> M:
    """The module in evaluation mode with all its parameters drawn afresh from N(0, std^2)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=std, generator=generator)
    return module.eval()


def tiny_vae(*, seed: int = 0, std: float = 0.5, **changes: Any) -> SequenceVAE:
    sizes = ModelConfig(latent_dim=3, embedding_dim=4, encoder_dim=5, decoder_dim=6)
    settings = {"vocab_sizes": (5,), "max_steps": 6, "eos_id": None, **asdict(sizes)}
    return randomised(SequenceVAE(**settings | changes), seed=seed, std=std)


def random_ids(
    vocab_sizes: tuple[int, ...], num_sequences: int, num_steps: int, *, seed: int = 0
) -> torch.Tensor:
    """Random tokens (B, T, C)."""
    generator = torch.Generator().manual_seed(seed)
    shape = (num_sequences, num_steps)
    columns = [torch.randint(size, shape, generator=generator) for size in vocab_sizes]
    return torch.stack(columns, dim=-1)
