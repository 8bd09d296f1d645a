"""A training step of each preset on random tokens, for what measures or profiles it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from benchmarking import CONFIGS
from torch import Tensor

from seqvae.model.config import ModelConfig, Steps
from seqvae.model.objective import training_loss
from seqvae.model.remedies import Objective
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers import make_tokenizer
from seqvae.training.flags import parse_config

PRESETS = ("melody_2bar", "melody_16bar", "trio_16bar", "text", "ptb_best", "ptb_big")
WORDS_PER_SENTENCE = 24  # of the sentences of a batch, the end included; all are equally long
BETA = 0.2  # the weight of the KL, which costs the same whatever it is


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What one step of training computes."""

    model: ModelConfig
    objective: Objective
    steps: Steps
    batch_size: int
    num_steps: int
    """Of each sequence."""


def workload(preset: str) -> Workload:
    """That of a preset; a vocabulary that is learned is as large as it may be."""
    config, _ = parse_config("train", [str(CONFIGS / f"{preset}.yaml")])
    settings = config.data.tokenizer
    if "vocab_size" in settings:
        steps = Steps(
            vocab_sizes=(settings["vocab_size"],), max_steps=settings["max_steps"], eos_id=2
        )
    else:
        steps = make_tokenizer(settings).steps
    num_steps = WORDS_PER_SENTENCE if steps.eos_id is not None else steps.max_steps
    return Workload(
        model=config.model,
        objective=config.objective,
        steps=steps,
        batch_size=config.trainer.batch_size,
        num_steps=num_steps,
    )


def random_batch(work: Workload, batch_size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Tokens (B, T, C + K), and the lengths of the sequences (B)."""
    torch.manual_seed(0)
    sizes = (*work.steps.vocab_sizes, *work.steps.condition_sizes)
    columns = [torch.randint(size, (batch_size, work.num_steps)) for size in sizes]
    lengths = torch.full((batch_size,), work.num_steps)
    return torch.stack(columns, dim=-1).to(device), lengths.to(device)


def training_step(
    work: Workload, batch_size: int, *, bf16: bool, device: torch.device
) -> tuple[SequenceVAE, Callable[[], None]]:
    """A model, and what a step of its training does but for loading its batch."""
    torch.manual_seed(0)
    model = SequenceVAE(work.model, work.steps).to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    ids, lengths = random_batch(work, batch_size, device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss = training_loss(work.objective, model(ids, lengths), BETA)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # of torch
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return model, step
