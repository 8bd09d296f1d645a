"""Free-running decoding: each step reads the tokens that were drawn before it.

The loop knows no network: it calls `begin`, `step` and `draw` of a decoder. Tokens are the arg max
of logits / temperature + Gumbel noise, which makes them draws from the softmax (Gumbel 1954). Each
row has noise from a seed of its own, so its tokens do not depend on the rows beside it.

Axes: B sequences, T steps, C channels, K conditions, U segments, S width of a code, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqvae.model.config import Sampling

GREEDY = Sampling(temperature=0.0)


@runtime_checkable
class Decoder(Protocol):
    """What the loop needs of a network."""

    @property
    def segment_length(self) -> int | None:
        """Steps from one code to the next; None is one code for all steps."""

    def codes(self, z: Float[Tensor, "B Z"], /) -> Float[Tensor, "B U S"]:
        """The code of each segment."""

    def begin(self, code: Float[Tensor, "B S"], /) -> Any:
        """The state before the first step of a segment."""

    def step(
        self,
        tokens: Int[Tensor, "B C"] | None,
        conditions: Int[Tensor, "B K"] | None,
        state: Any,
        /,
    ) -> tuple[Tensor, Any]:
        """Features after the tokens of the step before, and the new state."""

    def draw(
        self, features: Tensor, draw: Callable[[Float[Tensor, "B V"]], Int[Tensor, " B"]], /
    ) -> Int[Tensor, "B C"]:
        """The tokens of a step."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """Token ids with the length of each sequence; ids beyond a length have no meaning."""

    ids: Int[Tensor, "B T _"]
    lengths: Int[Tensor, " B"]


class GumbelNoise:
    """Standard Gumbel noise; each row draws from a generator of its own."""

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        """One seed per row."""
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def draw(self, vocab_size: int) -> Float[Tensor, "B V"]:
        """The next `vocab_size` values of every row."""
        uniform = torch.stack([
            torch.rand(vocab_size, generator=generator, device=generator.device)
            for generator in self.generators
        ])  # fmt: skip
        smallest = torch.finfo(uniform.dtype).tiny
        return -(-uniform.clamp(min=smallest).log()).log()


def row_seeds(num_rows: int, generator: torch.Generator) -> list[int]:
    """A seed for each row; the first rows have the same seeds however many follow."""
    seeds = torch.randint(2**62, (num_rows,), generator=generator, device=generator.device)
    drawn: list[int] = seeds.tolist()
    return drawn


def restrict(logits: Float[Tensor, "B V"], sampling: Sampling) -> Float[Tensor, "B V"]:
    """Logits at a temperature above 0, with -inf where top-k or top-p excludes a token."""
    logits = logits.float()
    logits = (logits - logits.max(-1, keepdim=True).values) / sampling.temperature
    if 0 < sampling.top_k < logits.shape[-1]:
        best = logits.topk(sampling.top_k)
        logits = torch.full_like(logits, -torch.inf).scatter(1, best.indices, best.values)
    if sampling.top_p < 1:
        ordered, order = logits.sort(descending=True)
        probability = ordered.softmax(-1)
        excluded = probability.cumsum(-1) - probability >= sampling.top_p
        logits = logits.masked_fill(excluded.gather(1, order.argsort(1)), -torch.inf)
    return logits


def draw_tokens(
    logits: Float[Tensor, "B V"], sampling: Sampling, noise: GumbelNoise | None
) -> Int[Tensor, " B"]:
    """One token per row; temperature 0 takes the most probable and needs no noise."""
    if sampling.temperature == 0:
        return logits.argmax(-1)
    assert noise is not None
    return (restrict(logits, sampling) + noise.draw(logits.shape[-1])).argmax(-1)


@torch.no_grad()
def decode_steps(
    decoder: Decoder,
    z: Float[Tensor, "B Z"],
    *,
    num_steps: int,
    sampling: Sampling = GREEDY,
    seeds: Sequence[int] | None = None,
    conditions: Int[Tensor, "B T K"] | None = None,
) -> Iterator[Int[Tensor, "B C"]]:
    """Yield the tokens of one step after another. Meant for evaluation mode.

    `seeds` has one number per row, and may be left out where the sampling is greedy.
    """
    noise = None if seeds is None else GumbelNoise(seeds, z.device)
    codes = decoder.codes(z)
    segment_length = decoder.segment_length or num_steps
    tokens = None
    for step in range(num_steps):
        if step % segment_length == 0:
            state = decoder.begin(codes[:, step // segment_length])
        condition = None if conditions is None else conditions[:, step]
        features, state = decoder.step(tokens, condition, state)
        tokens = decoder.draw(features, lambda logits: draw_tokens(logits, sampling, noise))
        yield tokens


def decode(
    decoder: Decoder,
    z: Float[Tensor, "B Z"],
    *,
    num_steps: int,
    eos_id: int | None = None,
    sampling: Sampling = GREEDY,
    seeds: Sequence[int] | None = None,
    conditions: Int[Tensor, "B T K"] | None = None,
) -> Sequences:
    """Whole sequences, with their conditions as the last columns.

    A sequence ends with the first `eos_id` of channel 0, which its length includes, or after
    `num_steps`.
    """
    lengths = torch.full((len(z),), num_steps, device=z.device)
    drawn = []
    steps = decode_steps(
        decoder, z, num_steps=num_steps, sampling=sampling, seeds=seeds, conditions=conditions
    )
    for number, tokens in enumerate(steps, start=1):
        drawn.append(tokens)
        if eos_id is not None:
            ended = (tokens[:, 0] == eos_id) & (lengths == num_steps)
            lengths = lengths.masked_fill(ended, number)
            if bool((lengths <= number).all()):
                break
    ids = torch.stack(drawn, dim=1)
    if conditions is not None:
        ids = torch.cat([ids, conditions[:, : ids.shape[1]]], dim=-1)
    return Sequences(ids, lengths)
