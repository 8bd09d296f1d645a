"""The encoders: token ids -> posterior q(z|x).

Axes: B sequences, T steps, C channels, E embedding, D states of both directions, U segments, L
steps of a segment, Z latent.

Sequences are padded, not packed: packing is two to four times slower on a CPU. The backward
direction runs over sequences that are reversed within their own length, and pooling reads valid
steps only, so padding reaches no state.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import batch_norm, pad

from seqvae.model.dropout import LockedDropout
from seqvae.model.embedding import StepEmbedding
from seqvae.model.latent import DiagonalGaussian


def reverse_within_length(
    x: Float[Tensor, "B T E"], lengths: Int[Tensor, " B"]
) -> Float[Tensor, "B T E"]:
    """Reverse the valid steps of each sequence and leave its padding where it is."""
    steps = torch.arange(x.shape[1], device=x.device)
    mirrored = lengths[:, None] - 1 - steps  # (B, T)
    index = torch.where(mirrored >= 0, mirrored, steps)
    return x.gather(1, index[..., None].expand_as(x))


States = Float[Tensor, "B T D"]


def last_states(states: States, lengths: Int[Tensor, " B"]) -> Float[Tensor, "B D"]:
    """Where each direction ends: forward at the last valid step, backward at step 0."""
    ahead, back = states.chunk(2, dim=-1)
    rows = torch.arange(len(states), device=states.device)
    return torch.cat([ahead[rows, lengths - 1], back[:, 0]], dim=-1)


def mean_state(states: States, lengths: Int[Tensor, " B"]) -> Float[Tensor, "B D"]:
    """The mean over valid steps."""
    valid = _valid(states, lengths)
    return states.masked_fill(~valid, 0.0).sum(1) / lengths[:, None].to(states.dtype)


def max_state(states: States, lengths: Int[Tensor, " B"]) -> Float[Tensor, "B D"]:
    """The greatest value of each unit over valid steps (Long et al. 2019)."""
    return states.masked_fill(~_valid(states, lengths), -torch.inf).amax(1)


def _valid(states: States, lengths: Int[Tensor, " B"]) -> Bool[Tensor, "B T 1"]:
    return (torch.arange(states.shape[1], device=states.device) < lengths[:, None])[..., None]


POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "last": last_states,
    "mean": mean_state,
    "max": max_state,
}


class NormalisedMeans(nn.Module):
    """Posterior means of a fixed spread over the data: BN-VAE (Zhu et al. 2020).

    Batch normalisation gives every dimension mean 0 and standard deviation gamma, so the KL is
    gamma^2 / 2 nats a dimension at least, on average, and no dimension can die. In use the running
    statistics take the place of the batch's.
    """

    def __init__(self, latent_dim: int, gamma: float) -> None:
        """`gamma` is the standard deviation of each dimension."""
        super().__init__()
        self.gamma = gamma
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(latent_dim))
        self.register_buffer("running_var", torch.ones(latent_dim))

    def forward(self, mean: Float[Tensor, "B Z"]) -> Float[Tensor, "B Z"]:
        """Normalise over the batch; a batch of one has no spread and takes the running one."""
        over_batch = self.training and len(mean) > 1
        return self.gamma * batch_norm(
            mean, self.running_mean, self.running_var, training=over_batch, eps=1e-8
        )


class Encoder(nn.Module):
    """A bidirectional LSTM whose pooled states give mean and log-stddev."""

    def __init__(
        self,
        *,
        vocab_sizes: tuple[int, ...],
        embedding_dim: int,
        hidden_dim: int,
        num_layers: int,
        latent_dim: int,
        num_members: tuple[int, ...] = (),
        pooling: str = "last",
        dropout: float = 0.0,
        bn_gamma: float = 0.0,
    ) -> None:
        super().__init__()
        self.pool = POOLINGS[pooling]
        self.embedding = StepEmbedding(vocab_sizes, embedding_dim, num_members)
        self.dropout = LockedDropout(dropout)
        input_dims = [embedding_dim] + [2 * hidden_dim] * (num_layers - 1)
        self.forward_layers = nn.ModuleList(
            nn.LSTM(dim, hidden_dim, batch_first=True) for dim in input_dims
        )
        self.backward_layers = nn.ModuleList(
            nn.LSTM(dim, hidden_dim, batch_first=True) for dim in input_dims
        )
        self.posterior = nn.Linear(2 * hidden_dim, 2 * latent_dim)
        self.normalise = NormalisedMeans(latent_dim, bn_gamma) if bn_gamma > 0 else nn.Identity()

    def forward(self, ids: Int[Tensor, "B T C"], lengths: Int[Tensor, " B"]) -> DiagonalGaussian:
        """Read each sequence up to its length; lengths are at least 1."""
        states = self.dropout(self.embedding(ids))
        for ahead, back in zip(self.forward_layers, self.backward_layers, strict=True):
            forward_states, _ = ahead(states)
            backward_states, _ = back(reverse_within_length(states, lengths))
            states = torch.cat(
                [forward_states, reverse_within_length(backward_states, lengths)], dim=-1
            )
        mean, log_stddev = self.posterior(self.pool(states, lengths)).float().chunk(2, dim=-1)
        return DiagonalGaussian(self.normalise(mean), log_stddev)


class HierarchicalEncoder(nn.Module):
    """Reads the segments side by side, then the row of segments; each gives its slice of z.

    Two levels as in the hierarchical encoders of MusicVAE. What is new are the slices: where one
    state tells all of z, an LSTM has to learn where in it each bar's notes belong, and of 16 bars
    of melody it hardly does. A slice is told what is in its segment and what is around it, by
    weights that all segments share.
    """

    def __init__(
        self,
        *,
        vocab_sizes: tuple[int, ...],
        embedding_dim: int,
        hidden_dim: int,
        num_layers: int,
        latent_dim: int,
        num_segments: int,
        segment_length: int,
        num_members: tuple[int, ...] = (),
        pooling: str = "last",
        dropout: float = 0.0,
        bn_gamma: float = 0.0,
    ) -> None:
        """`latent_dim` is that of all slices together."""
        super().__init__()
        self.num_segments, self.segment_length = num_segments, segment_length
        self.pool = POOLINGS[pooling]
        self.embedding = StepEmbedding(vocab_sizes, embedding_dim, num_members)
        self.dropout = LockedDropout(dropout)
        both = {"batch_first": True, "bidirectional": True}
        self.reader = nn.LSTM(embedding_dim, hidden_dim, num_layers, **both)
        self.overview = nn.LSTM(2 * hidden_dim, hidden_dim, **both)
        self.posterior = nn.Linear(4 * hidden_dim, 2 * latent_dim // num_segments)
        self.normalise = NormalisedMeans(latent_dim, bn_gamma) if bn_gamma > 0 else nn.Identity()

    def forward(self, ids: Int[Tensor, "B T C"], lengths: Int[Tensor, " B"]) -> DiagonalGaussian:
        """Read each sequence up to its length; what no step fills is read as nothing."""
        steps = self.dropout(self.embedding(ids))
        steps = steps.masked_fill(~_valid(steps, lengths), 0.0)
        num_empty = self.num_segments * self.segment_length - ids.shape[1]
        steps = pad(steps, (0, 0, 0, num_empty))
        states = self.reader(steps.reshape(-1, self.segment_length, steps.shape[-1]))[0]
        full = torch.full_like(states[:, 0, 0], self.segment_length, dtype=torch.long)
        own = self.pool(states, full).view(len(ids), self.num_segments, -1)  # (B, U, D)
        around = self.overview(own)[0]
        slices = self.posterior(torch.cat([own, around], dim=-1)).float()  # (B, U, 2 Z / U)
        mean, log_stddev = (part.flatten(1) for part in slices.chunk(2, dim=-1))
        return DiagonalGaussian(self.normalise(mean), log_stddev)


ENCODERS = {"flat": Encoder, "hierarchical": HierarchicalEncoder}  # by the decoders they serve
