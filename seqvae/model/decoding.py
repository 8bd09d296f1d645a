"""Free-running decoding: each step reads the tokens that were drawn before it.

The loop knows no network: it calls `begin`, `step` and `draw` of a decoder. Tokens are the arg max
of logits / temperature + Gumbel noise, which makes them draws from the softmax (Gumbel 1954). Each
row has noise from a seed of its own, so its tokens do not depend on the rows beside it. Rows that
have ended leave the batch.

Axes: B sequences, R those that go on, T steps, C channels, K conditions, U segments, S width of a
code, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqvae.model.config import Sampling
from seqvae.model.noise import GumbelNoise
from seqvae.model.threads import threads_for

GREEDY = Sampling(temperature=0.0)
LEAVE_SHARE = 4  # ended rows leave the batch once they are 1 in this many: leaving costs a copy
GPU_PATIENCE = 8  # steps between two looks at who has ended, each of which waits for the GPU


Draw = Callable[[Float[Tensor, "B V"], int], Int[Tensor, " B"]]
"""Logits of a channel, and its number -> a token for each row."""


@runtime_checkable
class Stepwise(Protocol):
    """What the loop needs of a network."""

    @property
    def segment_length(self) -> int | None:
        """Steps from one code to the next; None is one code for all steps."""

    def codes(self, z: Float[Tensor, "B Z"], /) -> Float[Tensor, "B U S"]:
        """The code of each segment."""

    def begin(self, code: Float[Tensor, "B S"], /) -> Any:
        """The state before the first step of a segment; its `keep(rows)` goes on with these."""

    def step(
        self,
        tokens: Int[Tensor, "B C"] | None,
        conditions: Int[Tensor, "B K"] | None,
        state: Any,
        /,
    ) -> Tensor:
        """Features after the tokens of the step before; the state goes one step on."""

    def draw(self, features: Tensor, draw: Draw, /) -> Int[Tensor, "B C"]:
        """The tokens of a step."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """Token ids with the length of each sequence; ids beyond a length have no meaning."""

    ids: Int[Tensor, "B T _"]
    lengths: Int[Tensor, " B"]


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
    logits: Float[Tensor, "B V"], sampling: Sampling, noise: Float[Tensor, "B V"] | None
) -> Int[Tensor, " B"]:
    """One token per row; temperature 0 takes the most probable and needs no noise."""
    if sampling.temperature == 0:
        return logits.argmax(-1)
    assert noise is not None
    return (restrict(logits, sampling) + noise).argmax(-1)


class Draws:
    """Draws of the tokens of one step after another."""

    def __init__(self, sampling: Sampling, noise: GumbelNoise | None) -> None:
        """Noise may be missing where the sampling is greedy."""
        self.sampling, self.noise, self.step = sampling, noise, 0

    def __call__(self, logits: Float[Tensor, "B V"], channel: int) -> Int[Tensor, " B"]:
        """The tokens of a channel of this step."""
        if self.noise is None:
            return draw_tokens(logits, self.sampling, None)
        noise = self.noise.at(self.step, channel, logits.shape[-1])
        return draw_tokens(logits, self.sampling, noise)

    def keep(self, rows: Int[Tensor, " R"]) -> None:
        """Go on with these rows alone."""
        if self.noise is not None:
            self.noise.keep(rows)


def decode_steps(
    decoder: Stepwise,
    z: Float[Tensor, "B Z"],
    *,
    num_steps: int,
    eos_id: int | None = None,
    sampling: Sampling = GREEDY,
    seeds: Sequence[int] | None = None,
    conditions: Int[Tensor, "B T K"] | None = None,
) -> Iterator[Int[Tensor, "B C"]]:
    """Yield the tokens of one step after another, until every row has drawn `eos_id`.

    Whatever is yielded of a row that has ended has no meaning. `seeds` has one number per row, and
    may be left out where the sampling is greedy.
    """
    draws = Draws(sampling, None if seeds is None else GumbelNoise(seeds, z.device))
    with torch.inference_mode():  # not as a decorator: callers run between the steps
        codes = decoder.codes(z)
    segment_length = decoder.segment_length or num_steps
    rows = torch.arange(len(z), device=z.device)
    ended = torch.zeros_like(rows, dtype=torch.bool)
    patience = 1 if z.device.type == "cpu" else GPU_PATIENCE
    tokens, drawn = None, rows[:, None]
    for step in range(num_steps):
        draws.step = step
        with torch.inference_mode(), threads_for(len(rows)):
            if step % segment_length == 0:
                state = decoder.begin(codes[rows, step // segment_length])
            condition = None if conditions is None else conditions[rows, step]
            features = decoder.step(tokens, condition, state)
            tokens = decoder.draw(features, draws)
        drawn = tokens if len(rows) == len(z) else drawn.index_copy(0, rows, tokens)
        yield drawn
        if eos_id is None:
            continue
        ended |= tokens[:, 0] == eos_id
        if (step + 1) % patience == 0 and (num_ended := int(ended.sum())):
            if num_ended == len(rows):
                return
            if num_ended * LEAVE_SHARE >= len(rows):
                going_on = (~ended).nonzero()[:, 0]
                rows, ended, tokens = rows[going_on], ended[going_on], tokens[going_on]
                state = state.keep(going_on)
                draws.keep(going_on)


def decode(
    decoder: Stepwise,
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
    steps = decode_steps(
        decoder, z, num_steps=num_steps, eos_id=eos_id, sampling=sampling, seeds=seeds,
        conditions=conditions,
    )  # fmt: skip
    ids = torch.stack(list(steps), dim=1)
    if conditions is not None:
        ids = torch.cat([ids, conditions[:, : ids.shape[1]]], dim=-1)
    lengths = torch.full((len(z),), ids.shape[1], device=z.device)
    if eos_id is not None:
        is_end = ids[..., 0] == eos_id
        lengths = torch.where(is_end.any(1), is_end.int().argmax(1) + 1, lengths)
        ids = ids[:, : int(lengths.max())]
    return Sequences(ids, lengths)
