"""The decoder: a latent code -> a distribution over sequences.

Axes: B sequences, T steps, C channels, K conditions, V vocabulary of a channel, E embedding,
H hidden, L layers, U segments, S width of a segment's code, W features, Z latent.

z enters the decoder in up to three ways: as every layer's initial state, beside the input of each
step, and past the LSTM into the features. Decoding starts from a learned vector, not from a token.
Without latent dimensions the decoder is a language model.

All steps are made at once, under teacher forcing. `stepper` makes one step at a time from the same
weights, and `decoding` has the loop that decodes freely.

Conditions, such as chords, are the last K columns of ids. A step reads its conditions; they are not
predicted.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn, unflatten
from torch.nn.functional import pad

from seqvae.model.config import ModelConfig, Steps, num_segments
from seqvae.model.dropout import LockedDropout, WeightDropLSTM
from seqvae.model.embedding import StepEmbedding
from seqvae.model.segments import after_ends
from seqvae.model.step_parts import decoder_embedding, decoder_heads


@dataclass(frozen=True, eq=False)
class State:
    """Where a segment begins."""

    code: Float[Tensor, "B S"]
    """The code of the segment."""
    hidden: Float[Tensor, "L B H"]
    cell: Float[Tensor, "L B H"]


def first_states(
    projected: Float[Tensor, "B D"], num_layers: int
) -> tuple[Float[Tensor, "L B H"], Float[Tensor, "L B H"]]:
    """The tanh of what a code is projected to, as hidden and cell states of all layers."""
    layers = unflatten(torch.tanh(projected), 1, (2, num_layers, -1))
    hidden, cell = layers.permute(1, 2, 0, 3).contiguous()
    return hidden, cell


class FlatDecoder(nn.Module):
    """One stack of LSTM layers over all steps."""

    segment_length: int | None = None
    """Steps after which the LSTM starts afresh from the next code; None is never."""

    def __init__(self, config: ModelConfig, steps: Steps, *, code_dim: int | None = None) -> None:
        """`code_dim` is the width of a segment's code: that of z unless a conductor makes it."""
        super().__init__()
        code_dim = config.latent_dim if code_dim is None else code_dim
        wiring = config.z_wiring if code_dim > 0 else ()
        hidden_dim, num_layers = config.decoder_dim, config.decoder_layers
        self.hidden_dim, self.num_layers = hidden_dim, num_layers
        self.token_dropout = config.token_dropout
        self.num_channels = steps.num_channels
        self.embedding = decoder_embedding(config, steps)
        self.conditions = (
            StepEmbedding(steps.condition_sizes, config.embedding_dim)
            if steps.condition_sizes
            else None
        )
        self.start = nn.Parameter(torch.zeros(config.embedding_dim))
        self.initial_state = (
            nn.Linear(code_dim, 2 * num_layers * hidden_dim) if "state" in wiring else None
        )
        dropout = LockedDropout if config.locked_dropout else nn.Dropout
        self.dropout = dropout(config.dropout)
        self.code_beside_input = "input" in wiring
        input_dim = config.embedding_dim + (code_dim if self.code_beside_input else 0)
        self.layers = nn.ModuleList(
            WeightDropLSTM(dim, hidden_dim, weight_dropout=config.weight_dropout)
            for dim in [input_dim] + [hidden_dim] * (num_layers - 1)
        )
        # Tied output weights are as wide as the embeddings; a projection bridges other widths.
        width = config.embedding_dim if config.tied_embeddings else hidden_dim
        self.project = nn.Linear(hidden_dim, width) if width != hidden_dim else nn.Identity()
        self.skip = nn.Linear(code_dim, width) if "output" in wiring else None
        self.heads = decoder_heads(config, steps, width)
        if config.tied_embeddings:  # Press & Wolf 2017
            for head, channel in zip(self.heads.logits, self.embedding.channels, strict=True):
                head.tie(channel)  # type: ignore[operator]  # of a list

    def forward(
        self, z: Float[Tensor, "B Z"], ids: Int[Tensor, "B T _"]
    ) -> list[Float[Tensor, "B T _"]]:
        """Logits of every channel and step; ids are (B, T, C + K)."""
        logits: list[Tensor] = self.heads(self.features(z, ids), ids[..., : self.num_channels])
        return logits

    def token_nll(self, z: Float[Tensor, "B Z"], ids: Int[Tensor, "B T _"]) -> Float[Tensor, "B T"]:
        """-log p(step | z, earlier steps) in nats, padding included; faster than `forward`."""
        return self.heads.nll(self.features(z, ids), ids[..., : self.num_channels])

    def features(
        self, z: Float[Tensor, "B Z"], ids: Int[Tensor, "B T _"]
    ) -> Float[Tensor, "B T W"]:
        """What the heads read: step t depends on z and on the tokens before t.

        Segments are decoded side by side: of the segments before it, one knows the last token only.
        """
        inputs = self._teacher_inputs(ids)
        num_steps = ids.shape[1]
        length = self.segment_length or num_steps
        num_segments = -(-num_steps // length)
        inputs = pad(inputs, (0, 0, 0, num_segments * length - num_steps))
        inputs = unflatten(inputs, 1, (num_segments, length)).flatten(0, 1)  # (B * U, T / U, E)
        codes = self.codes(z)[:, :num_segments].flatten(0, 1)  # (B * U, S)
        features = self._run(inputs, self.begin(codes))
        return unflatten(features, 0, (len(ids), num_segments)).flatten(1, 2)[:, :num_steps]

    def _teacher_inputs(self, ids: Int[Tensor, "B T _"]) -> Float[Tensor, "B T E"]:
        """The start vector, then the embedded tokens, each one step late; plus the conditions."""
        tokens = self.embedding(ids[:, :-1, : self.num_channels])
        if self.training and self.token_dropout > 0:
            # Word dropout (Bowman et al. 2016): some inputs are blanked, so that z is needed.
            blank = torch.rand(tokens.shape[:2], device=tokens.device) < self.token_dropout
            tokens = tokens.masked_fill(blank[..., None], 0.0)
        inputs = torch.cat([self.start.expand(len(ids), 1, -1), tokens], dim=1)
        if self.conditions is not None:
            inputs = inputs + self.conditions(ids[..., self.num_channels :])
        return inputs

    # Codes and states of segments

    def codes(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B U S"]:
        """The code of each segment; a flat decoder has one segment, and z is its code."""
        return z[:, None]

    def begin(self, code: Float[Tensor, "B S"]) -> State:
        """The state before the first step of a segment: tanh(Linear(code)), or zero."""
        if self.initial_state is None:
            zeros = code.new_zeros(self.num_layers, code.shape[0], self.hidden_dim)
            return State(code, zeros, zeros)
        hidden, cell = first_states(self.initial_state(code), self.num_layers)
        return State(code, hidden, cell)

    def _run(self, inputs: Float[Tensor, "B T E"], state: State) -> Float[Tensor, "B T W"]:
        """The features of each step of a segment."""
        x = self.dropout(inputs)
        if self.code_beside_input:
            x = torch.cat([x, state.code[:, None].expand(-1, x.shape[1], -1)], dim=-1)
        for number, layer in enumerate(self.layers):
            before = state.hidden[number : number + 1], state.cell[number : number + 1]
            x = self.dropout(layer(x, before)[0])
        features: Tensor = self.project(x)
        return features if self.skip is None else features + self.skip(state.code)[:, None]


class HierarchicalDecoder(FlatDecoder):
    """A conductor draws a code for each segment; its steps see that code and the last token.

    After Roberts et al. 2018, section 3.2: the LSTM over the steps starts afresh with each segment,
    so whatever holds a long piece together has to pass through z. This conductor reads one slice of
    z per segment, in both directions: a segment's code depends on all of z, and mostly on its own
    slice. A sequence that ends early does not use its last codes.
    """

    def __init__(self, config: ModelConfig, steps: Steps) -> None:
        """`conductor_dim` is the width of a code, half of it for each direction."""
        super().__init__(config, steps, code_dim=config.conductor_dim)
        self.num_segments = num_segments(config, steps)
        self.segment_length = config.segment_length
        self.conductor = nn.LSTM(
            config.latent_dim // self.num_segments,
            config.conductor_dim // 2,
            config.conductor_layers,
            batch_first=True,
            bidirectional=True,
        )

    def codes(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B U S"]:
        """The conductor's output for each segment; it reads no tokens."""
        size = z.shape[1] // self.num_segments
        codes: Tensor = self.conductor(z.reshape(z.shape[0], self.num_segments, size))[0]
        return codes


class MusicVAEDecoder(FlatDecoder):
    """The conductor of MusicVAE: z is its initial state, and it reads nothing (ibid.)."""

    def __init__(self, config: ModelConfig, steps: Steps) -> None:
        """`conductor_dim` is the width of a code, and the conductor's hidden units."""
        super().__init__(config, steps, code_dim=config.conductor_dim)
        self.num_segments = num_segments(config, steps)
        self.segment_length: int = config.segment_length
        self.segment_eos_id = steps.segment_eos_id
        dim, num_layers = config.conductor_dim, config.conductor_layers
        self.conductor = nn.LSTM(1, dim, num_layers, batch_first=True)  # a zero is its input
        self.conductor_state = nn.Linear(config.latent_dim, 2 * num_layers * dim)

    def codes(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B U S"]:
        """The conductor's output for each segment."""
        states = first_states(self.conductor_state(z), self.conductor.num_layers)
        codes: Tensor = self.conductor(z.new_zeros(z.shape[0], self.num_segments, 1), states)[0]
        return codes

    def token_nll(self, z: Float[Tensor, "B Z"], ids: Int[Tensor, "B T _"]) -> Float[Tensor, "B T"]:
        """-log p(step | z, earlier steps) in nats; 0 after the end of a segment."""
        nll = super().token_nll(z, ids)
        if self.segment_eos_id is None:
            return nll
        ended = after_ends(ids[..., 0], self.segment_eos_id, self.segment_length)
        return nll.masked_fill(ended, 0.0)


DECODERS: dict[str, type[FlatDecoder] | type[HierarchicalDecoder] | type[MusicVAEDecoder]] = {
    "flat": FlatDecoder,
    "hierarchical": HierarchicalDecoder,
    "musicvae": MusicVAEDecoder,
}
