"""Free-running decoding: each step reads the tokens that were drawn before it.

The loop knows no network: it calls `begin`, `step` and `draw` of a decoder. Tokens are the arg max
of logits / temperature + Gumbel noise, which makes them draws from the softmax (Gumbel 1954). Each
row has noise from a seed of its own, so its tokens do not depend on the rows beside it. Rows that
have ended leave the batch. Tokens that are given are taken instead of drawn ones.

Axes: B sequences, R those that go on, T steps, C channels, K conditions, U segments, S width of a
code, V vocabulary.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqvae.model import cuda_graph
from seqvae.model.config import Sampling
from seqvae.model.given import Given, GivenStep
from seqvae.model.noise import GumbelNoise
from seqvae.model.threads import limit_threads, threads_for
from seqvae.model.watching import tell

GREEDY = Sampling(temperature=0.0)
LEAVE_SHARE = 4  # ended rows leave the batch once they are 1 in this many: leaving costs a copy
GPU_PATIENCE = 8  # steps between two looks at who has ended, each of which waits for the GPU


Allowed: TypeAlias = Mapping[int, Bool[Tensor, "B V"]]
"""For some channels, which of their tokens each row may have, one at least."""
EVERYTHING: Allowed = MappingProxyType({})

Draw = Callable[..., Int[Tensor, " B"]]
"""Logits of a channel (B, V), its number, and what to take at temperature 0 where that is not the
most probable token -> a token for each row."""


@runtime_checkable
class Stepwise(Protocol):
    """What the loop needs of a network."""

    @property
    def segment_length(self) -> int | None:
        """Steps from one code to the next; None is one code for all steps."""

    def codes(self, z: Float[Tensor, "B Z"], /) -> Float[Tensor, "B U S"]:
        """The code of each segment."""

    def begin(self, code: Float[Tensor, "B S"], /) -> Any:
        """The state before the first step of a segment.

        Its `keep(rows)` goes on with these, and its `copy_(other)` takes the values of another.
        """

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
    given_nats: Float[Tensor, " B"] | None = None
    """-log p of the tokens that were given, each after those before it; None without any."""


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

    def __init__(
        self,
        sampling: Sampling,
        noise: GumbelNoise | None,
        allowed: Allowed = EVERYTHING,
        given: GivenStep | None = None,
    ) -> None:
        """Noise may be missing where the sampling is greedy. Only `allowed` tokens are drawn."""
        self.sampling, self.noise, self.step = sampling, noise, 0
        self.allowed, self.given = allowed, given
        self.held: dict[int, Float[Tensor, "B V"]] = {}
        """Of each channel, the noise of this step at an address that does not change."""

    def go_to(self, step: int) -> None:
        """Draw the tokens of this step from now on."""
        self.step = step
        if self.given is not None:
            self.given.go_to(step)
        for channel, held in self.held.items():
            held.copy_(self.noise_of(channel, held.shape[-1]))

    def noise_of(self, channel: int, vocab_size: int) -> Float[Tensor, "B V"]:
        """The noise of this step."""
        assert self.noise is not None
        return self.noise.at(self.step, channel, vocab_size)

    def __call__(
        self, logits: Float[Tensor, "B V"], channel: int, mode: Int[Tensor, " B"] | None = None
    ) -> Int[Tensor, " B"]:
        """The tokens of a channel of this step."""
        if self.given is None:
            return self._drawn(logits, channel, mode)
        drawn = self._drawn(self.given.without_end(logits, channel), channel, mode)
        return self.given.instead_of(drawn, logits, channel)

    def _drawn(
        self, logits: Float[Tensor, "B V"], channel: int, mode: Int[Tensor, " B"] | None
    ) -> Int[Tensor, " B"]:
        if mode is not None and self.sampling.temperature == 0:
            return mode
        if (allowed := self.allowed.get(channel)) is not None:
            logits = logits.masked_fill(~allowed, -torch.inf)
        if self.noise is None:
            return draw_tokens(logits, self.sampling, None)
        noise = self.held.get(channel)
        if noise is None:
            noise = self.noise_of(channel, logits.shape[-1])
        return draw_tokens(logits, self.sampling, noise)

    def hold(self) -> None:
        """Keep the noise of the channels drawn so far at addresses that do not change."""
        blocks = {} if self.noise is None else self.noise.blocks
        self.held = {
            c: self.noise_of(c, block.shape[-1]).clone() for c, (_, block) in blocks.items()
        }

    def keep(self, rows: Int[Tensor, " R"]) -> None:
        """Go on with these rows alone."""
        self.held = {}
        self.allowed = {channel: allowed[rows] for channel, allowed in self.allowed.items()}
        if self.noise is not None:
            self.noise.keep(rows)


class RecordedStep:
    """One step that was recorded as a graph."""

    def __init__(
        self,
        decoder: Stepwise,
        tokens: Int[Tensor, "B C"],
        conditions: Int[Tensor, "B K"] | None,
        state: Any,
        draws: Draws,
    ) -> None:
        """Recorded after a step that was made without; `tokens` are those of that step."""
        draws.hold()
        self.tokens = tokens.clone()
        self.conditions = None if conditions is None else conditions.clone()

        def work() -> None:
            features = decoder.step(self.tokens, self.conditions, state)
            self.tokens.copy_(decoder.draw(features, draws))

        self.replay = cuda_graph.record(work)

    def __call__(self, conditions: Int[Tensor, "B K"] | None) -> Int[Tensor, "B C"]:
        """The tokens of the next step; the call after this one overwrites them."""
        if self.conditions is not None:
            assert conditions is not None
            self.conditions.copy_(conditions)
        self.replay()
        return self.tokens


def decode_steps(
    decoder: Stepwise,
    z: Float[Tensor, "B Z"],
    **settings: Any,
) -> Iterator[Int[Tensor, "B C"]]:
    """Yield the tokens of one step after another, with the settings of `decode`.

    The last step is the one at which every row has drawn `eos_id`. Whatever is yielded of a row
    that has ended has no meaning.
    """
    steps = _steps(decoder, z, **settings)
    while True:
        with torch.inference_mode(), threads_for(len(z)):  # callers run between the steps
            tokens = next(steps, None)
        if tokens is None:
            return
        yield tokens


def _steps(
    decoder: Stepwise,
    z: Float[Tensor, "B Z"],
    *,
    num_steps: int,
    eos_id: int | None = None,
    sampling: Sampling = GREEDY,
    seeds: Sequence[int] | None = None,
    conditions: Int[Tensor, "B T K"] | None = None,
    allowed: Allowed = EVERYTHING,
    given: GivenStep | None = None,
) -> Iterator[Int[Tensor, "B C"]]:
    """The steps of `decode_steps`, in the inference mode and on the threads of the caller.

    At a batch of one, whatever Python does in a step is slow: the weights have taken its place in
    the cache. So what is the same at each step is done before the first.
    """
    noise = None if seeds is None else GumbelNoise(seeds, z.device)
    draws = Draws(sampling, noise, allowed, given)
    codes = decoder.codes(z)
    segment_length = decoder.segment_length or num_steps
    rows = torch.arange(len(z), device=z.device)
    ended = torch.zeros_like(rows, dtype=torch.bool)
    patience = 1 if z.device.type == "cpu" else GPU_PATIENCE
    has_graphs = cuda_graph.has_graphs(z.device)
    state: Any = None
    tokens, drawn, recorded = None, rows[:, None], None
    for step in range(num_steps):
        tell(step, num_steps)
        if len(rows) < len(z):
            limit_threads(len(rows))
        draws.go_to(step)
        if step % segment_length == 0:
            begun = decoder.begin(codes[rows, step // segment_length])
            state = begun if state is None else state.copy_(begun)
        condition = None if conditions is None else conditions[rows, step]
        if has_graphs and recorded is None and tokens is not None:
            recorded = RecordedStep(decoder, tokens, condition, state, draws)
        if recorded is None:
            tokens = decoder.draw(decoder.step(tokens, condition, state), draws)
        else:
            tokens = recorded(condition)
        if len(rows) < len(z):
            drawn = drawn.index_copy(0, rows, tokens)
        else:
            drawn = tokens if recorded is None else tokens.clone()
        yield drawn
        if eos_id is None:
            continue
        ended |= tokens[:, 0] == eos_id
        if (step + 1) % patience == 0 and (num_ended := int(ended.sum())):
            if num_ended == len(rows):
                return
            if given is None and num_ended * LEAVE_SHARE >= len(rows):
                going_on = (~ended).nonzero()[:, 0]
                rows, ended, tokens = rows[going_on], ended[going_on], tokens[going_on]
                state, recorded = state.keep(going_on), None
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
    allowed: Allowed = EVERYTHING,
    given: Given | None = None,
) -> Sequences:
    """Whole sequences, with their conditions as the last columns.

    A sequence ends with the first `eos_id` of channel 0, which its length includes, or after
    `num_steps`. `seeds` has one number per row, and may be left out where the sampling is greedy.
    """
    known = None if given is None else GivenStep(given, eos_id)
    steps = _steps(
        decoder, z, num_steps=num_steps, eos_id=eos_id, sampling=sampling, seeds=seeds,
        conditions=conditions, allowed=allowed, given=known,
    )  # fmt: skip
    with torch.inference_mode(), threads_for(len(z)):
        drawn = list(steps)
    ids = torch.stack(drawn, dim=1)
    if conditions is not None:
        ids = torch.cat([ids, conditions[:, : ids.shape[1]]], dim=-1)
    lengths = torch.full((len(z),), ids.shape[1], device=z.device)
    if eos_id is not None:
        is_end = ids[..., 0] == eos_id
        lengths = torch.where(is_end.any(1), is_end.int().argmax(1) + 1, lengths)
        ids = ids[:, : int(lengths.max())]
    return Sequences(ids, lengths, None if known is None else known.nats)
