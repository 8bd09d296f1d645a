"""An encoder where nothing is learned: its LSTMs by tables, and pooled as they go.

What a token adds to the gates is a row of a table, as in `stepper`, so that half of the products of
`nn.LSTM` fall away, and no states are kept but the pooled one. Numbers are those of the encoder but
for the order of sums.

Axes: B sequences, T steps, C channels, H hidden.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqvae.model.embedding import StepEmbedding
from seqvae.model.encoder import Encoder, last_state, max_state, mean_state, reverse_within_length
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.stepper import Layer, StepState

MANY_ROWS = 64  # for which making the tables is worth while
MAX_TABLE_NUMBERS = 2**22  # of one direction: 16 MiB

Pooled = Float[Tensor, "B H"]
# What the pooled state begins as, and how the state of a step goes into it, in place.
POOLINGS: dict[object, tuple[float, Callable[[Pooled, Pooled], object]]] = {
    last_state: (0.0, lambda pooled, state: pooled.copy_(state)),
    mean_state: (0.0, lambda pooled, state: pooled.add_(state)),
    max_state: (-torch.inf, lambda pooled, state: torch.maximum(pooled, state, out=pooled)),
}


def reads(encoder: nn.Module, num_rows: int) -> bool:
    """Whether a `Reader` is the faster one: many rows on a CPU, and tables of a moderate size."""
    return (
        isinstance(encoder, Encoder)
        and not (encoder.training or torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"))
        and num_rows >= MANY_ROWS
        and encoder.posterior.weight.is_cpu
        and len(encoder.forward_layers) == 1
        and isinstance(encoder.embedding, StepEmbedding)
        and _num_tokens(encoder.embedding) * encoder.posterior.in_features * 2 <= MAX_TABLE_NUMBERS
    )


def _num_tokens(embedding: StepEmbedding) -> int:
    return sum(len(channel.weight) for channel in embedding.channels)  # type: ignore[arg-type]  # of a list


class Reader:
    """The encoder of weights as they are."""

    @torch.no_grad()
    def __init__(self, encoder: Encoder) -> None:
        """Make the tables of both directions."""
        self.encoder = encoder
        layers = (encoder.forward_layers[0], encoder.backward_layers[0])
        self.directions = [
            (layer, tables_of(encoder.embedding, layer))
            for layer in (Layer(lstm, 0, None) for lstm in layers)
        ]

    @torch.no_grad()
    def __call__(self, ids: Int[Tensor, "B T C"], lengths: Int[Tensor, " B"]) -> DiagonalGaussian:
        """Read each sequence up to its length; lengths are at least 1."""
        both = (ids, reverse_within_length(ids, lengths))
        pooled = [
            self._pooled(layer, tables, read.permute(1, 2, 0).contiguous(), lengths)
            for (layer, tables), read in zip(self.directions, both, strict=True)
        ]
        return self.encoder.posterior_of(torch.cat(pooled, dim=1))

    def _pooled(
        self,
        layer: Layer,
        tables: list[Float[Tensor, "_ G"]],
        ids: Int[Tensor, "T C B"],
        lengths: Int[Tensor, " B"],
    ) -> Pooled:
        """The pooled state of one direction."""
        begin, into = POOLINGS[self.encoder.pool]
        pooled = tables[0].new_full((len(lengths), tables[0].shape[1] // 4), begin)
        zeros = torch.zeros_like(pooled)[:, None]
        state = StepState(zeros, zeros.clone(), pooled, None)
        shortest = int(lengths.min())
        for step, tokens in enumerate(ids):
            torch.index_select(tables[0], 0, tokens[0], out=state.gates)
            for table, channel in zip(tables[1:], tokens[1:], strict=True):
                state.gates += table.index_select(0, channel)
            layer.step(state)
            before = pooled.clone() if step >= shortest else pooled
            into(pooled, state.outputs[0])
            if step >= shortest:  # some sequences have ended
                torch.where((step < lengths)[:, None], pooled, before, out=pooled)
        return pooled / lengths[:, None] if self.encoder.pool is mean_state else pooled


def tables_of(embedding: nn.Module, layer: Layer) -> list[Float[Tensor, "_ G"]]:
    """What a token of each channel adds to the gates; the first has the bias, too."""
    vectors = [channel.vectors() for channel in embedding.channels]  # type: ignore[union-attr]  # of a list
    tables = [each @ layer.input_weight.t() for each in vectors]
    tables[0] += layer.bias
    return tables
