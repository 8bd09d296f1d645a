"""The encoders: token ids -> posterior q(z|x).

Axes: B sequences, T steps, C channels, E embedding, D states, U segments, L
steps of a segment, Z latent.

Sequences are padded, not packed: packing is two to four times slower on a CPU. The backward
direction runs over sequences that are reversed within their own length, and pooling reads valid
steps only, so padding reaches no state.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn.functional import batch_norm, pad, softplus
from torch.nn.utils.rnn import pack_padded_sequence

from seqvae.model.config import ModelConfig, Steps, num_segments
from seqvae.model.dropout import LockedDropout
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.ranks import size, total
from seqvae.model.segments import segment_lengths
from seqvae.model.softmax import in_float32
from seqvae.model.step_parts import encoder_embedding


def reverse_within_length(
    x: Shaped[Tensor, "B T E"], lengths: Int[Tensor, " B"]
) -> Shaped[Tensor, "B T E"]:
    """Reverse the valid steps of each sequence and leave the padding in place."""
    steps = torch.arange(x.shape[1], device=x.device)
    mirrored = lengths[:, None] - 1 - steps  # (B, T)
    index = torch.where(mirrored >= 0, mirrored, steps)
    return x.gather(1, index[..., None].expand_as(x))


States = Float[Tensor, "B T D"]


def last_state(states: States, lengths: Int[Tensor, " B"]) -> Float[Tensor, "B D"]:
    """The state at the last valid step."""
    last = (lengths - 1)[:, None, None].expand(-1, 1, states.shape[2])
    return states.gather(1, last)[:, 0]


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
    "last": last_state,
    "mean": mean_state,
    "max": max_state,
}


class NormalisedMeans(nn.Module):
    """Posterior means of a fixed spread over the data: BN-VAE (Zhu et al. 2020).

    Batch normalisation gives every dimension mean 0 and standard deviation gamma, so its KL is at
    least gamma^2 / 2 nats on average and no dimension can die. In evaluation mode the running
    statistics replace those of the batch.
    """

    def __init__(self, latent_dim: int, gamma: float) -> None:
        """`gamma` is the standard deviation of each dimension."""
        super().__init__()
        self.gamma = gamma
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(latent_dim))
        self.register_buffer("running_var", torch.ones(latent_dim))

    @property
    def scale(self) -> Float[Tensor, " Z"]:
        """By what evaluation multiplies a mean less its running mean."""
        return self.gamma * (self.running_var + 1e-8).rsqrt()

    def forward(self, mean: Float[Tensor, "B Z"]) -> Float[Tensor, "B Z"]:
        """Normalise over the batch; a batch of one has no spread and uses running statistics."""
        if self.training and size() > 1:
            return self._over_ranks(mean)
        over_batch = self.training and len(mean) > 1
        return self.gamma * batch_norm(
            mean, self.running_mean, self.running_var, training=over_batch, eps=1e-8
        )

    def _over_ranks(self, mean: Float[Tensor, "B Z"]) -> Float[Tensor, "B Z"]:
        """The same over the rows of all ranks, whose number stays on the device."""
        sums = total(torch.cat([mean.sum(0), mean.new_full((1,), len(mean))]))
        num_rows = sums[-1].detach()
        centre = sums[:-1] / num_rows
        variance = total((mean - centre).square().sum(0)) / num_rows
        several = num_rows > 1
        with torch.no_grad():
            weight = 0.1 * several  # torch's momentum
            self.running_mean.lerp_(centre, weight)
            self.running_var.lerp_(variance * num_rows / (num_rows - 1).clamp(min=1), weight)
        centre = torch.where(several, centre, self.running_mean)
        variance = torch.where(several, variance, self.running_var)
        return self.gamma * (mean - centre) * (variance + 1e-8).rsqrt()


def normalisation(config: ModelConfig) -> nn.Module:
    """What is done to the posterior means: batch normalisation, or nothing."""
    if config.bn_gamma == 0:
        return nn.Identity()
    return NormalisedMeans(config.latent_dim, config.bn_gamma)


def unchanged(x: Float[Tensor, "B Z"]) -> Float[Tensor, "B Z"]:
    """The log-stddev itself; a function with a name, as below, so that models can be pickled."""
    return x


def log_softplus(x: Float[Tensor, "B Z"]) -> Float[Tensor, "B Z"]:
    """The log-stddev of a stddev that is softplus(x)."""
    return softplus(x).log()


LOG_STDDEVS: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": unchanged,
    "softplus": log_softplus,
}
"""What the last layer says of the log-stddev."""


def read_both_ways(
    inputs: Float[Tensor, "B T E"], lengths: Int[Tensor, " B"], ahead: nn.Module, back: nn.Module
) -> tuple[States, States]:
    """The states of two LSTMs, each in the order in which it reads."""
    return ahead(inputs)[0], back(reverse_within_length(inputs, lengths))[0]


class Encoder(nn.Module):
    """A bidirectional LSTM whose pooled states give mean and log-stddev."""

    def __init__(self, config: ModelConfig, steps: Steps) -> None:
        """`config` sets the sizes, `steps` the columns that are read."""
        super().__init__()
        hidden_dim, num_layers = config.encoder_dim, config.encoder_layers
        self.pool = POOLINGS[config.encoder_pooling]
        self.embedding = encoder_embedding(config, steps)
        self.dropout = LockedDropout(config.encoder_dropout)
        input_dims = [config.embedding_dim] + [2 * hidden_dim] * (num_layers - 1)
        self.forward_layers = nn.ModuleList(
            nn.LSTM(dim, hidden_dim, batch_first=True) for dim in input_dims
        )
        self.backward_layers = nn.ModuleList(
            nn.LSTM(dim, hidden_dim, batch_first=True) for dim in input_dims
        )
        self.posterior = nn.Linear(2 * hidden_dim, 2 * config.latent_dim)
        self.normalise, self.log_stddev = normalisation(config), LOG_STDDEVS[config.stddev]

    def forward(self, ids: Int[Tensor, "B T C"], lengths: Int[Tensor, " B"]) -> DiagonalGaussian:
        """Read each sequence up to its length; lengths are at least 1."""
        states = self.dropout(self.embedding(ids))
        first, *above = zip(self.forward_layers, self.backward_layers, strict=True)
        forward, backward = read_both_ways(states, lengths, *first)
        for layers in above:
            states = torch.cat([forward, reverse_within_length(backward, lengths)], dim=-1)
            forward, backward = read_both_ways(states, lengths, *layers)
        pooled = [self.pool(forward, lengths), self.pool(backward, lengths)]
        return self.posterior_of(torch.cat(pooled, dim=-1))

    def posterior_of(self, pooled: Float[Tensor, "B D"]) -> DiagonalGaussian:
        """The posterior of sequences with these pooled states of both directions."""
        mean, stddev = in_float32(self.posterior(pooled)).chunk(2, dim=-1)
        return DiagonalGaussian(self.normalise(mean), self.log_stddev(stddev))


class HierarchicalEncoder(nn.Module):
    """Reads the segments side by side, then their sequence; each segment gives its slice of z.

    The two levels are those of MusicVAE's hierarchical encoders; the slices are new. If one state
    must yield all of z, the LSTM has to learn where in z the notes of each bar belong, and over 16
    bars of melody it hardly does. Here a slice depends on its segment and on the context of that
    segment, through weights that all segments share.
    """

    def __init__(self, config: ModelConfig, steps: Steps) -> None:
        """`config` sets sizes and the length of a segment, `steps` the columns that are read."""
        super().__init__()
        self.num_segments = num_segments(config, steps)
        self.segment_length = config.segment_length
        self.pool = POOLINGS[config.encoder_pooling]
        self.embedding = encoder_embedding(config, steps)
        self.dropout = LockedDropout(config.encoder_dropout)
        hidden_dim, both = config.encoder_dim, {"batch_first": True, "bidirectional": True}
        self.reader = nn.LSTM(config.embedding_dim, hidden_dim, config.encoder_layers, **both)
        self.overview = nn.LSTM(2 * hidden_dim, hidden_dim, **both)
        self.posterior = self.last_layer(config)
        self.normalise, self.log_stddev = normalisation(config), LOG_STDDEVS[config.stddev]

    def last_layer(self, config: ModelConfig) -> nn.Linear:
        """From the states of a segment and of its context to the slice of that segment."""
        return nn.Linear(4 * config.encoder_dim, 2 * config.latent_dim // self.num_segments)

    def forward(self, ids: Int[Tensor, "B T C"], lengths: Int[Tensor, " B"]) -> DiagonalGaussian:
        """Read each sequence up to its length; steps beyond it are read as zeros."""
        segments = self.segments(ids, lengths)
        context = self.overview(segments)[0]
        slices = in_float32(self.posterior(torch.cat([segments, context], dim=-1)))
        mean, stddev = (part.flatten(1) for part in slices.chunk(2, dim=-1))
        return DiagonalGaussian(self.normalise(mean), self.log_stddev(stddev))

    def segments(self, ids: Int[Tensor, "B T C"], lengths: Int[Tensor, " B"]) -> Tensor:
        """The pooled states of each segment, (B, U, D)."""
        steps = self.dropout(self.embedding(ids))
        steps = steps.masked_fill(~_valid(steps, lengths), 0.0)
        num_empty = self.num_segments * self.segment_length - ids.shape[1]
        steps = pad(steps, (0, 0, 0, num_empty))
        states = self.reader(steps.reshape(-1, self.segment_length, steps.shape[-1]))[0]
        full = torch.full_like(states[:, 0, 0], self.segment_length, dtype=torch.long)
        forward, backward = states.chunk(2, dim=-1)
        pooled = torch.cat([self.pool(forward, full), self.pool(backward.flip(1), full)], dim=-1)
        return pooled.reshape(ids.shape[0], self.num_segments, pooled.shape[1])


class MusicVAEEncoder(HierarchicalEncoder):
    """Reads the segments side by side, then their sequence, whose last states give all of z."""

    def __init__(self, config: ModelConfig, steps: Steps) -> None:
        """`steps` says whether segments may end before they are full."""
        super().__init__(config, steps)
        self.segment_eos_id = steps.segment_eos_id

    def segments(self, ids: Int[Tensor, "B T C"], lengths: Int[Tensor, " B"]) -> Tensor:
        """The states of each segment, (B, U, D): of one that ends early, the last up to there."""
        if self.segment_eos_id is None:
            return super().segments(ids, lengths)
        steps = self.dropout(self.embedding(ids)).unflatten(1, (-1, self.segment_length))
        ends = segment_lengths(ids[..., 0], self.segment_eos_id, self.segment_length)
        packed = pack_padded_sequence(
            steps.flatten(0, 1), ends.flatten().cpu(), batch_first=True, enforce_sorted=False
        )
        last: Tensor = self.reader(packed)[1][0][-2:]  # (2, B * U, D / 2): of both directions
        return last.transpose(0, 1).reshape(*ends.shape, -1)

    def last_layer(self, config: ModelConfig) -> nn.Linear:
        """From the last states of both directions to all of z."""
        return nn.Linear(2 * config.encoder_dim, 2 * config.latent_dim)

    def forward(self, ids: Int[Tensor, "B T C"], lengths: Int[Tensor, " B"]) -> DiagonalGaussian:
        """Read each sequence up to its length; steps beyond it are read as zeros."""
        forward, backward = self.overview(self.segments(ids, lengths))[0].chunk(2, dim=-1)
        last = torch.cat([forward[:, -1], backward[:, 0]], dim=-1)
        mean, stddev = in_float32(self.posterior(last)).chunk(2, dim=-1)
        return DiagonalGaussian(self.normalise(mean), self.log_stddev(stddev))


ENCODERS = {  # by the decoder they belong to
    "flat": Encoder,
    "hierarchical": HierarchicalEncoder,
    "musicvae": MusicVAEEncoder,
}
