"""The encoder: token ids -> posterior q(z|x).

Axes: B sequences, T steps, C channels, E embedding, H hidden, Z latent.

Sequences are padded, not packed: packing is two to four times slower on a CPU. The last valid
state is gathered by length, and the backward direction runs over sequences that are reversed
within their own length, so padding reaches no state.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqvae.latent import DiagonalGaussian


class StepEmbedding(nn.Module):
    """One vector per step: the sum of the embeddings of its channels' tokens."""

    def __init__(self, vocab_sizes: tuple[int, ...], embedding_dim: int) -> None:
        super().__init__()
        channels = [nn.Embedding(size, embedding_dim) for size in vocab_sizes]
        for channel in channels:
            nn.init.normal_(channel.weight, std=0.1)
        self.channels = nn.ModuleList(channels)

    def forward(self, ids: Int[Tensor, "B T C"]) -> Float[Tensor, "B T E"]:
        """Embed every step."""
        vectors = [embed(ids[..., c]) for c, embed in enumerate(self.channels)]
        return torch.stack(vectors).sum(0) if len(vectors) > 1 else vectors[0]


def reverse_within_length(
    x: Float[Tensor, "B T E"], lengths: Int[Tensor, " B"]
) -> Float[Tensor, "B T E"]:
    """Reverse the valid steps of each sequence and leave its padding where it is."""
    steps = torch.arange(x.shape[1], device=x.device)
    mirrored = lengths[:, None] - 1 - steps  # (B, T)
    index = torch.where(mirrored >= 0, mirrored, steps)
    return x.gather(1, index[..., None].expand_as(x))


class Encoder(nn.Module):
    """A bidirectional LSTM whose two last valid states give mean and log-stddev."""

    def __init__(
        self,
        *,
        vocab_sizes: tuple[int, ...],
        embedding_dim: int,
        hidden_dim: int,
        num_layers: int,
        latent_dim: int,
    ) -> None:
        super().__init__()
        self.embedding = StepEmbedding(vocab_sizes, embedding_dim)
        input_dims = [embedding_dim] + [2 * hidden_dim] * (num_layers - 1)
        self.forward_layers = nn.ModuleList(
            nn.LSTM(dim, hidden_dim, batch_first=True) for dim in input_dims
        )
        self.backward_layers = nn.ModuleList(
            nn.LSTM(dim, hidden_dim, batch_first=True) for dim in input_dims
        )
        self.posterior = nn.Linear(2 * hidden_dim, 2 * latent_dim)

    def forward(self, ids: Int[Tensor, "B T C"], lengths: Int[Tensor, " B"]) -> DiagonalGaussian:
        """Read each sequence up to its length; lengths are at least 1."""
        states = self.embedding(ids)
        for ahead, back in zip(self.forward_layers, self.backward_layers, strict=True):
            forward_states, _ = ahead(states)
            backward_states, _ = back(reverse_within_length(states, lengths))
            states = torch.cat(
                [forward_states, reverse_within_length(backward_states, lengths)], dim=-1
            )
        rows = torch.arange(len(ids), device=ids.device)
        # In time order the backward direction ends at step 0.
        pooled = torch.cat(
            [forward_states[rows, lengths - 1], backward_states[rows, lengths - 1]], dim=-1
        )
        mean, log_stddev = self.posterior(pooled).float().chunk(2, dim=-1)
        return DiagonalGaussian(mean, log_stddev)
