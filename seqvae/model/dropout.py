"""Dropout for recurrent networks.

Axes: B sequences, T steps, E features, V vocabulary.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import dropout


class LockedDropout(nn.Module):
    """Drops the same features at all steps of a sequence (Gal & Ghahramani 2016)."""

    def __init__(self, p: float) -> None:
        """`p` is the share that is dropped."""
        super().__init__()
        self.p = p

    def forward(self, x: Float[Tensor, "B T E"]) -> Float[Tensor, "B T E"]:
        """Drop features in training; scale what is left so that its mean stays."""
        if not self.training or self.p == 0:
            return x
        return x * dropout(torch.ones_like(x[:, :1]), self.p)


def drop_types(weight: Float[Tensor, "V E"], p: float) -> Float[Tensor, "V E"]:
    """Embeddings without a share p of the vocabulary, wherever it stands in the batch (ibid.)."""
    return weight * dropout(torch.ones_like(weight[:, :1]), p)


class WeightDropLSTM(nn.LSTM):
    """One LSTM layer whose recurrent weights are dropped in training (Merity et al. 2018)."""

    def __init__(self, input_dim: int, hidden_dim: int, *, weight_dropout: float) -> None:
        """`weight_dropout` is the share of the hidden-to-hidden weights."""
        super().__init__(input_dim, hidden_dim, batch_first=True)
        self.weight_dropout = weight_dropout

    def forward(  # type: ignore[override]  # always with a state, never packed
        self, x: Float[Tensor, "B T E"], state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Outputs of all steps and the last state; one mask holds for the whole batch."""
        if not self.training or self.weight_dropout == 0:
            outputs: tuple[Tensor, tuple[Tensor, Tensor]] = super().forward(x, state)
            return outputs
        weight_ih, weight_hh, *biases = cast(list[Tensor], self._flat_weights)
        weights = [weight_ih, dropout(weight_hh, self.weight_dropout), *biases]
        states, hidden, cell = torch.lstm(
            x, state, weights, True, 1, 0.0, True, False, True
        )  # biases, layers, dropout, training, bidirectional, batch first
        return states, (hidden, cell)
