"""Which embedding and which heads the steps of a tokenizer need.

Steps of channels and steps that hold sets of notes offer the same: a vector per step, and the
likelihood of a step given the decoder's features.

Axes: B sequences, T steps, C channels, K conditions, E embedding.
"""

from jaxtyping import Float, Int
from torch import Tensor, nn

from seqvae.model.config import ModelConfig, Steps
from seqvae.model.embedding import StepEmbedding
from seqvae.model.heads import ChannelHeads
from seqvae.model.note_sets import NoteHeads, NoteSetEmbedding


class NotesOverConditions(nn.Module):
    """The sum of what notes and conditions embed as."""

    def __init__(self, steps: Steps, dim: int) -> None:
        """There is at least one condition."""
        super().__init__()
        self.num_channels = steps.num_channels
        self.notes = NoteSetEmbedding(steps, dim)
        self.conditions = StepEmbedding(steps.condition_sizes, dim)

    def forward(self, ids: Int[Tensor, "B T _"]) -> Float[Tensor, "B T E"]:
        """Embed every step; ids are (B, T, C + K)."""
        notes: Tensor = self.notes(ids[..., : self.num_channels])
        conditions: Tensor = self.conditions(ids[..., self.num_channels :])
        return notes + conditions


def encoder_embedding(config: ModelConfig, steps: Steps) -> nn.Module:
    """The embedding of all columns of a step, its conditions included."""
    if steps.slot_size and steps.condition_sizes:
        return NotesOverConditions(steps, config.embedding_dim)
    if steps.slot_size:
        return NoteSetEmbedding(steps, config.embedding_dim)
    return StepEmbedding(
        steps.vocab_sizes + steps.condition_sizes,
        config.embedding_dim,
        steps.num_members + (0,) * len(steps.condition_sizes),
    )


def decoder_embedding(config: ModelConfig, steps: Steps) -> StepEmbedding | NoteSetEmbedding:
    """The embedding of the channels of a step, which the decoder reads a step late."""
    if steps.slot_size:
        return NoteSetEmbedding(steps, config.embedding_dim, config.embedding_dropout)
    return StepEmbedding(
        steps.vocab_sizes, config.embedding_dim, steps.num_members, config.embedding_dropout
    )


def decoder_heads(config: ModelConfig, steps: Steps, width: int) -> ChannelHeads | NoteHeads:
    """The heads that read features of this width."""
    if steps.slot_size:
        return NoteHeads(steps, config.embedding_dim, width, config.num_softmaxes)
    return ChannelHeads(
        steps.vocab_sizes, width, config.num_softmaxes, steps.num_members, config.nade_dim
    )
