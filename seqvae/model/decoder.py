"""The decoder: a latent code -> a distribution over sequences.

Axes: B sequences, T steps, C channels, V vocabulary of a channel, E embedding, H hidden,
L layers, U segments, S code of a segment, W width of what the heads read, Z latent.

z reaches the decoder by up to three ways: as every layer's initial state, beside the input at each
step, and past the LSTM into what the heads read. Decoding starts from a learned vector, not from a
token. With no latent dimensions the decoder is a language model.

Beside the C channels of tokens a step may have K columns that are given, such as its chord: the
last of ids. Each step sees its own, and they are not predicted.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad

from seqvae.errors import InputError
from seqvae.model.dropout import LockedDropout, WeightDropLSTM
from seqvae.model.embedding import StepEmbedding
from seqvae.model.heads import ChannelHeads

State = tuple[Tensor, Tensor]  # hidden and cell, each (L, B, H)


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are drawn from logits; temperature 0 is greedy."""

    temperature: float = 1.0
    """Logits are divided by it; 0 takes the most probable token."""
    top_k: int = 0
    """Keep only the k most probable tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the fewest most probable tokens whose probabilities reach p (Holtzman et al. 2020)."""

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        if not 0 <= self.temperature < float("inf"):
            raise InputError(
                f"temperature is {self.temperature}; it must be 0 (greedy) or more, and finite"
            )
        if self.top_k < 0:
            raise InputError(f"top_k is {self.top_k}; it must be 0 (all tokens) or more")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p is {self.top_p}; it must lie in (0, 1]")

    def draw(
        self, logits: Float[Tensor, "B V"], generator: torch.Generator | None = None
    ) -> Int[Tensor, " B"]:
        """Draw one token per row."""
        if self.temperature == 0:
            return logits.argmax(-1)
        logits = logits.float()
        logits = (logits - logits.max(-1, keepdim=True).values) / self.temperature
        if 0 < self.top_k < logits.shape[-1]:
            best = logits.topk(self.top_k)
            logits = torch.full_like(logits, -torch.inf).scatter(1, best.indices, best.values)
        if self.top_p < 1:
            ordered, order = logits.sort(descending=True)
            probability = ordered.softmax(-1)
            beyond = probability.cumsum(-1) - probability >= self.top_p
            logits = logits.masked_fill(beyond.gather(1, order.argsort(1)), -torch.inf)
        return torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(1)


GREEDY = Sampling(temperature=0.0)


@dataclass(frozen=True, eq=False)
class Sequences:
    """Token ids with the length of each sequence; what lies beyond a length has no meaning."""

    ids: Int[Tensor, "B T C"]
    lengths: Int[Tensor, " B"]


def state_of(values: Float[Tensor, "B _"], num_layers: int) -> State:
    """The hidden and cell states of all layers: tanh of their values side by side."""
    layers = torch.tanh(values).view(len(values), 2, num_layers, -1)
    hidden, cell = layers.permute(1, 2, 0, 3).contiguous()
    return hidden, cell


Z_WIRINGS = ("state", "input", "output")


class FlatDecoder(nn.Module):
    """One stack of LSTM layers over all steps."""

    segment_length: int | None = None
    """Steps after which the LSTM starts afresh from the next code; None is never."""

    def __init__(
        self,
        *,
        vocab_sizes: tuple[int, ...],
        num_members: tuple[int, ...] = (),
        given_sizes: tuple[int, ...] = (),
        embedding_dim: int,
        hidden_dim: int,
        num_layers: int,
        latent_dim: int,
        z_wiring: tuple[str, ...] = ("state", "input"),
        tied_embeddings: bool = False,
        num_softmaxes: int = 1,
        dropout: float = 0.0,
        locked_dropout: bool = True,
        embedding_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        token_dropout: float = 0.0,
    ) -> None:
        """The fields of the same names in `ModelConfig` say what the settings mean."""
        super().__init__()
        self.hidden_dim, self.num_layers = hidden_dim, num_layers
        self.token_dropout = token_dropout
        wiring = z_wiring if latent_dim > 0 else ()
        beside = latent_dim if "input" in wiring else 0
        self.z_beside_input = beside > 0
        self.embedding = StepEmbedding(vocab_sizes, embedding_dim, num_members, embedding_dropout)
        self.given = StepEmbedding(given_sizes, embedding_dim) if given_sizes else None
        self.num_channels = len(vocab_sizes)
        self.start = nn.Parameter(torch.zeros(embedding_dim))
        self.initial_state = (
            nn.Linear(latent_dim, 2 * num_layers * hidden_dim) if "state" in wiring else None
        )
        self.dropout = LockedDropout(dropout) if locked_dropout else nn.Dropout(dropout)
        input_dims = [embedding_dim + beside] + [hidden_dim] * (num_layers - 1)
        self.layers = nn.ModuleList(
            WeightDropLSTM(dim, hidden_dim, weight_dropout=weight_dropout) for dim in input_dims
        )
        # Tied output weights are as wide as the embeddings; other widths pass a projection.
        width = embedding_dim if tied_embeddings else hidden_dim
        self.project = nn.Linear(hidden_dim, width) if width != hidden_dim else nn.Identity()
        self.skip = nn.Linear(latent_dim, width) if "output" in wiring else None
        self.heads = ChannelHeads(vocab_sizes, width, num_softmaxes, num_members)
        if tied_embeddings:  # Press & Wolf 2017
            for head, channel in zip(self.heads.logits, self.embedding.channels, strict=True):
                head.tie(channel)  # type: ignore[operator]

    def begin(self, z: Float[Tensor, "B Z"]) -> State:
        """Initial hidden and cell state of every layer: tanh(Linear(z)), or zero."""
        if self.initial_state is None:
            zeros = z.new_zeros(self.num_layers, len(z), self.hidden_dim)
            return zeros, zeros
        return state_of(self.initial_state(z), self.num_layers)

    def run(
        self, inputs: Float[Tensor, "B T E"], z: Float[Tensor, "B Z"], state: State
    ) -> tuple[Float[Tensor, "B T W"], State]:
        """What the heads read at each step, and the state after the last."""
        x = self.dropout(inputs)
        if self.z_beside_input:
            x = torch.cat([x, z[:, None].expand(-1, x.shape[1], -1)], dim=-1)
        hidden, cell = [], []
        for number, layer in enumerate(self.layers):
            before = state[0][number : number + 1], state[1][number : number + 1]
            x, (h, c) = layer(x, before)
            x = self.dropout(x)
            hidden.append(h)
            cell.append(c)
        x = self.project(x)
        if self.skip is not None:
            x = x + self.skip(z)[:, None]
        return x, (torch.cat(hidden), torch.cat(cell))

    def codes(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B U S"]:
        """The code of each segment: here there is one, and it is z."""
        return z[:, None]

    def read(self, z: Float[Tensor, "B Z"], ids: Int[Tensor, "B T C"]) -> Float[Tensor, "B T W"]:
        """What the heads read under teacher forcing: step t has seen z and the tokens before t.

        Segments are decoded side by side: all that one knows of those before it is the last token.
        """
        tokens = self.embedding(ids[:, :-1, : self.num_channels])
        if self.training and self.token_dropout > 0:
            # Word dropout (Bowman et al. 2016): some inputs are blanked, so that z is needed.
            blank = torch.rand(tokens.shape[:2], device=tokens.device) < self.token_dropout
            tokens = tokens.masked_fill(blank[..., None], 0.0)
        start = self.start.expand(len(ids), 1, -1)
        inputs = torch.cat([start, tokens], dim=1)
        if self.given is not None:
            inputs = inputs + self.given(ids[..., self.num_channels :])
        num_steps = ids.shape[1]
        length = self.segment_length or num_steps
        num_segments = -(-num_steps // length)
        inputs = pad(inputs, (0, 0, 0, num_segments * length - num_steps))  # the last one
        codes = self.codes(z)[:, :num_segments].flatten(0, 1)  # (B * U, S)
        inputs = inputs.view(len(codes), length, -1)
        read = self.run(inputs, codes, self.begin(codes))[0]
        return read.reshape(len(ids), num_segments * length, -1)[:, :num_steps]

    def forward(
        self, z: Float[Tensor, "B Z"], ids: Int[Tensor, "B T C"]
    ) -> list[Float[Tensor, "B T _"]]:
        """Logits of every channel and step under teacher forcing."""
        logits: list[Tensor] = self.heads(self.read(z, ids), ids[..., : self.num_channels])
        return logits

    def token_nll(self, z: Float[Tensor, "B Z"], ids: Int[Tensor, "B T C"]) -> Float[Tensor, "B T"]:
        """-log p(step | z, steps before) in nats, padding included; quicker than by `forward`."""
        return self.heads.nll(self.read(z, ids), ids[..., : self.num_channels])

    @torch.no_grad()
    def sample(
        self,
        z: Float[Tensor, "B Z"],
        *,
        num_steps: int,
        given: Int[Tensor, "B T K"] | None = None,
        eos_id: int | None = None,
        sampling: Sampling = GREEDY,
        generator: torch.Generator | None = None,
    ) -> Sequences:
        """Decode freely, each step fed with the token drawn before it.

        A sequence ends with the first `eos_id` of channel 0, which its length includes, or after
        `num_steps`. What is given beside the tokens, such as chords, is returned with them. Meant
        for evaluation mode.
        """
        codes = self.codes(z)
        segment_length = self.segment_length or num_steps
        previous = self.start.expand(len(z), 1, -1)
        lengths = torch.full((len(z),), num_steps, device=z.device)
        drawn = []
        for step in range(num_steps):
            if step % segment_length == 0:
                code = codes[:, step // segment_length]
                state = self.begin(code)
            if self.given is not None:
                assert given is not None
                previous = previous + self.given(given[:, step : step + 1])
            read, state = self.run(previous, code, state)
            tokens = self.heads.draw(read[:, 0], lambda x: sampling.draw(x, generator))  # (B, C)
            drawn.append(tokens)
            if eos_id is not None:
                ended = (tokens[:, 0] == eos_id) & (lengths == num_steps)
                lengths = lengths.masked_fill(ended, step + 1)
                if bool((lengths <= step + 1).all()):
                    break
            previous = self.embedding(tokens[:, None])
        ids = torch.stack(drawn, dim=1)
        if given is not None:
            ids = torch.cat([ids, given[:, : ids.shape[1]]], dim=-1)
        return Sequences(ids, lengths)


class HierarchicalDecoder(FlatDecoder):
    """A conductor draws a code for each segment from z, and its steps see that and the last token.

    After Roberts et al. 2018, section 3.2: the LSTM over the steps starts afresh with each segment,
    so what holds a long piece together has to pass through z. The conductor here reads z slice by
    slice, one a segment, in both directions: a segment's code depends on all of z, most on its own.
    A sequence that ends early has no use for its last codes.
    """

    def __init__(
        self,
        *,
        latent_dim: int,
        conductor_dim: int,
        conductor_layers: int,
        num_segments: int,
        segment_length: int,
        **settings: Any,
    ) -> None:
        """`conductor_dim` is the width of a code, half of it for each direction."""
        super().__init__(latent_dim=conductor_dim, **settings)
        self.num_segments, self.segment_length = num_segments, segment_length
        self.conductor = nn.LSTM(
            latent_dim // num_segments,
            conductor_dim // 2,
            conductor_layers,
            batch_first=True,
            bidirectional=True,
        )

    def codes(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B U S"]:
        """The conductor's output for each segment; it reads no token."""
        codes: Tensor = self.conductor(z.reshape(len(z), self.num_segments, -1))[0]
        return codes


DECODERS = {"flat": FlatDecoder, "hierarchical": HierarchicalDecoder}
