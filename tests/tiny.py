"""Tiny models for the tests, with weights large enough that every input matters."""

from typing import Any, TypeVar

import torch
from torch import nn

from seqvae.model.config import ModelConfig, Steps
from seqvae.model.decoder import DECODERS, FlatDecoder
from seqvae.model.encoder import ENCODERS, Encoder, HierarchicalEncoder
from seqvae.model.vae import SequenceVAE

M = TypeVar("M", bound=nn.Module)


def randomised(module: M, *, seed: int = 0, std: float = 0.5) -> M:
    """The module in evaluation mode with all its parameters drawn afresh from N(0, std^2)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=std, generator=generator)
    return module.eval()


def settings(**changes: Any) -> tuple[ModelConfig, Steps]:
    """The parameter objects of a tiny model; `changes` are fields of either."""
    config: dict[str, Any] = {"latent_dim": 3, "embedding_dim": 4, "encoder_dim": 5}
    config |= {"decoder_dim": 6, "conductor_dim": 6}
    steps: dict[str, Any] = {"vocab_sizes": (5,), "max_steps": 6}
    for name, value in changes.items():
        (steps if name in Steps.__dataclass_fields__ else config)[name] = value
    return ModelConfig(**config), Steps(**steps)


def tiny_vae(*, seed: int = 0, std: float = 0.5, **changes: Any) -> SequenceVAE:
    return randomised(SequenceVAE(*settings(**changes)), seed=seed, std=std)


def tiny_encoder(*, std: float = 0.5, **changes: Any) -> Encoder | HierarchicalEncoder:
    config, steps = settings(**changes)
    return randomised(ENCODERS[config.decoder](config, steps), std=std)


def tiny_decoder(*, std: float = 0.8, **changes: Any) -> FlatDecoder:
    config, steps = settings(**changes)
    return randomised(DECODERS[config.decoder](config, steps), std=std)


def random_ids(
    vocab_sizes: tuple[int, ...], num_sequences: int, num_steps: int, *, seed: int = 0
) -> torch.Tensor:
    """Random tokens (B, T, C)."""
    generator = torch.Generator().manual_seed(seed)
    shape = (num_sequences, num_steps)
    columns = [torch.randint(size, shape, generator=generator) for size in vocab_sizes]
    return torch.stack(columns, dim=-1)
