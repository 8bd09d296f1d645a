"""The decoder: a latent code -> a distribution over sequences.

Axes: B sequences, T steps, C channels, V vocabulary of a channel, E embedding, H hidden,
L layers, Z latent.

z gives every layer's initial state and stands beside the input at each step. Decoding starts from
a learned vector, not from a token. The channels of a step are predicted in order, each given the
ones before it, so the likelihood of a step is exact (chain rule).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqvae.encoder import StepEmbedding
from seqvae.errors import InputError

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


class ChannelHeads(nn.Module):
    """Logits of a step's channels, each conditioned on the channels before it."""

    def __init__(self, vocab_sizes: tuple[int, ...], hidden_dim: int) -> None:
        super().__init__()
        self.logits = nn.ModuleList(nn.Linear(hidden_dim, size) for size in vocab_sizes)
        self.embeddings = nn.ModuleList(nn.Embedding(size, hidden_dim) for size in vocab_sizes[:-1])
        self.mixers = nn.ModuleList(nn.Linear(2 * hidden_dim, hidden_dim) for _ in vocab_sizes[:-1])

    def condition(
        self, hidden: Float[Tensor, "*B H"], channel: int, tokens: Int[Tensor, "*B"]
    ) -> Float[Tensor, "*B H"]:
        """Tell the state which token the channel took."""
        told = torch.cat([hidden, self.embeddings[channel](tokens).to(hidden.dtype)], dim=-1)
        return hidden + torch.tanh(self.mixers[channel](told))

    def forward(
        self, hidden: Float[Tensor, "B T H"], ids: Int[Tensor, "B T C"]
    ) -> list[Float[Tensor, "B T _"]]:
        """Logits of all channels where the tokens are known."""
        logits = []
        for channel, head in enumerate(self.logits):
            logits.append(head(hidden))
            if channel + 1 < len(self.logits):
                hidden = self.condition(hidden, channel, ids[..., channel])
        return logits

    def draw(
        self,
        hidden: Float[Tensor, "B H"],
        sampling: Sampling,
        generator: torch.Generator | None,
    ) -> Int[Tensor, "B C"]:
        """Draw all channels of one step."""
        tokens: list[Tensor] = []
        for channel, head in enumerate(self.logits):
            tokens.append(sampling.draw(head(hidden), generator))
            if channel + 1 < len(self.logits):
                hidden = self.condition(hidden, channel, tokens[-1])
        return torch.stack(tokens, dim=-1)


class FlatDecoder(nn.Module):
    """One LSTM over all steps."""

    def __init__(
        self,
        *,
        vocab_sizes: tuple[int, ...],
        embedding_dim: int,
        hidden_dim: int,
        num_layers: int,
        latent_dim: int,
        dropout: float,
        token_dropout: float,
    ) -> None:
        super().__init__()
        self.token_dropout = token_dropout
        self.embedding = StepEmbedding(vocab_sizes, embedding_dim)
        self.start = nn.Parameter(torch.zeros(embedding_dim))
        self.initial_state = nn.Linear(latent_dim, 2 * num_layers * hidden_dim)
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(
            embedding_dim + latent_dim,
            hidden_dim,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        self.heads = ChannelHeads(vocab_sizes, hidden_dim)

    def begin(self, z: Float[Tensor, "B Z"]) -> State:
        """Initial hidden and cell state of every layer: tanh(Linear(z))."""
        flat = torch.tanh(self.initial_state(z))
        layers = flat.view(len(z), 2, self.lstm.num_layers, self.lstm.hidden_size)
        hidden, cell = layers.permute(1, 2, 0, 3).contiguous()
        return hidden, cell

    def forward(
        self, z: Float[Tensor, "B Z"], ids: Int[Tensor, "B T C"]
    ) -> list[Float[Tensor, "B T _"]]:
        """Logits of every step under teacher forcing: step t sees z and the tokens before t."""
        tokens = self.embedding(ids[:, :-1])
        if self.training and self.token_dropout > 0:
            # Word dropout (Bowman et al. 2016): some inputs are blanked, so that z is needed.
            blank = torch.rand(tokens.shape[:2], device=tokens.device) < self.token_dropout
            tokens = tokens.masked_fill(blank[..., None], 0.0)
        start = self.start.expand(len(ids), 1, -1)
        inputs = self.dropout(torch.cat([start, tokens], dim=1))  # (B, T, E)
        beside = z[:, None].expand(-1, ids.shape[1], -1)
        hidden, _ = self.lstm(torch.cat([inputs, beside], dim=-1), self.begin(z))
        logits: list[Tensor] = self.heads(self.dropout(hidden), ids)
        return logits

    @torch.no_grad()
    def sample(
        self,
        z: Float[Tensor, "B Z"],
        *,
        num_steps: int,
        eos_id: int | None = None,
        sampling: Sampling = GREEDY,
        generator: torch.Generator | None = None,
    ) -> Sequences:
        """Decode freely, each step fed with the token drawn before it.

        A sequence ends with the first `eos_id` of channel 0, which its length includes, or after
        `num_steps`. Meant for evaluation mode.
        """
        state = self.begin(z)
        previous = self.start.expand(len(z), -1)
        lengths = torch.full((len(z),), num_steps, device=z.device)
        drawn = []
        for step in range(num_steps):
            hidden, state = self.lstm(torch.cat([previous, z], dim=-1)[:, None], state)
            tokens = self.heads.draw(hidden[:, 0], sampling, generator)  # (B, C)
            drawn.append(tokens)
            if eos_id is not None:
                ended = (tokens[:, 0] == eos_id) & (lengths == num_steps)
                lengths = lengths.masked_fill(ended, step + 1)
                if bool((lengths <= step + 1).all()):
                    break
            previous = self.embedding(tokens[:, None])[:, 0]
        return Sequences(torch.stack(drawn, dim=1), lengths)


DECODERS = {"flat": FlatDecoder}
