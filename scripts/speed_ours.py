"""The work of seqvae that the speed benchmarks time.

Weights and tokens are random. `plain` is our decoder by `nn.LSTM`, one call per step.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from seqvae.model.config import ModelConfig, Steps
from seqvae.model.decoder import FlatDecoder
from seqvae.model.vae import SequenceVAE

SECONDS = 4.0  # of a measurement; at least three repeats
VOCAB_SIZE, MAX_STEPS = 90, 32  # of two bars of melody
WORDS, SENTENCES = 10_000, 32  # vocabulary and batch of the Penn Treebank rows
SIZES = {
    "small": (
        ModelConfig(latent_dim=256, encoder_dim=512, decoder_dim=256, decoder_layers=2),
        Steps(vocab_sizes=(VOCAB_SIZE,), max_steps=MAX_STEPS),
    ),
    "hier": (
        ModelConfig(
            latent_dim=512, encoder_dim=1024, decoder="hierarchical", decoder_dim=512,
            decoder_layers=2, conductor_dim=512, segment_length=16,
        ),
        Steps(vocab_sizes=(VOCAB_SIZE,), max_steps=256),
    ),
    "sentence_vae": (
        ModelConfig(latent_dim=16, embedding_dim=300, encoder_dim=128, decoder_dim=256),
        Steps(vocab_sizes=(WORDS,), max_steps=100, eos_id=3),
    ),
    "lagging": (
        ModelConfig(latent_dim=32, embedding_dim=512, encoder_dim=512, decoder_dim=1024),
        Steps(vocab_sizes=(WORDS,), max_steps=100, eos_id=3),
    ),
}  # fmt: skip
# Our encoders read in both directions, theirs in one: each of ours has half as many units.

Timed = Callable[[int], list[float]]
"""Threads -> the seconds of some repeats."""


def model_of(size: str) -> SequenceVAE:
    """A model with random weights that lead to varied tokens.

    float16 holds them exactly, as it does those of bundles that ship.
    """
    torch.manual_seed(0)
    model = SequenceVAE(*SIZES[size]).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_((2 * weight).half())
    return model


def repeated(work: Callable[[], Any]) -> Timed:
    """The seconds of repeats, after one that does not count."""

    def timed(threads: int) -> list[float]:
        torch.set_num_threads(threads)
        work()
        seconds: list[float] = []
        while len(seconds) < 3 or sum(seconds) < SECONDS:
            begin = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - begin)
        return seconds

    return timed


def autocast(precision: str) -> Any:
    """bf16 or fp32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")


def decoding(size: str, batch: int, precision: str) -> Timed:
    """Greedy sequences from random codes."""
    model = model_of(size)
    z = torch.randn(batch, model.config.latent_dim)

    def work() -> None:
        with autocast(precision):
            model.decode(z)

    return repeated(work)


@torch.no_grad()
def plain_tokens(decoder: FlatDecoder, z: Tensor, num_steps: int) -> Tensor:
    """Greedy tokens of one channel by a call of `nn.LSTM` for each step and layer."""
    state = decoder.begin(decoder.codes(z)[:, 0])
    hidden, cell = list(state.hidden[:, None]), list(state.cell[:, None])
    inputs, drawn = decoder.start.expand(len(z), 1, -1), []
    for _ in range(num_steps):
        x = torch.cat([inputs, z[:, None]], dim=-1)
        for number, layer in enumerate(decoder.layers):
            x, (hidden[number], cell[number]) = layer(x, (hidden[number], cell[number]))
        drawn.append(decoder.heads.logits[0](decoder.project(x)).argmax(-1))
        inputs = decoder.embedding(drawn[-1][..., None])
    return torch.cat(drawn, dim=1)


def plain(size: str, batch: int) -> Timed:
    """The plain loop; its tokens must be ours."""
    model = model_of(size)
    z = torch.randn(batch, model.config.latent_dim)
    expected = plain_tokens(model.decoder, z, model.steps.max_steps)
    assert torch.equal(model.decode(z).ids[..., 0], expected)
    return repeated(lambda: plain_tokens(model.decoder, z, model.steps.max_steps))


def encoding(size: str, batch: int, precision: str) -> Timed:
    """The posterior means of random sequences."""
    model = model_of(size)
    ids = torch.randint(VOCAB_SIZE, (batch, model.steps.max_steps, 1))
    lengths = torch.full((batch,), model.steps.max_steps)

    @torch.no_grad()
    def work() -> None:
        with autocast(precision):
            model.encode(ids, lengths)

    return repeated(work)


def stepping(size: str, precision: str) -> Callable[[Tensor, Tensor], None]:
    """One optimizer step, as a training makes it."""
    model = model_of(size).train()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def step(ids: Tensor, lengths: Tensor) -> None:
        with autocast(precision):
            loss = model(ids, lengths).total().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def training(size: str, batch: int, precision: str) -> Timed:
    """Steps on random sequences of full length."""
    step, num_steps = stepping(size, precision), SIZES[size][1].max_steps
    ids = torch.randint(VOCAB_SIZE, (batch, num_steps, 1))
    lengths = torch.full((batch,), num_steps)
    return repeated(lambda: step(ids, lengths))


def training_on(size: str, batches: Sequence[Sequence[int]], precision: str) -> Timed:
    """Steps on random sentences of these lengths; a repeat is all batches."""
    step = stepping(size, precision)
    padded = [
        (torch.randint(4, WORDS, (len(lengths), max(lengths), 1)), torch.tensor(lengths))
        for lengths in batches
    ]

    def work() -> None:
        for ids, lengths in padded:
            step(ids, lengths)

    return repeated(work)
