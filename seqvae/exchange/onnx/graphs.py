"""What becomes a graph: the encoder, the start of a segment, and one step of the decoder.

Their weights are apart from each other, so that each stands in one file only. The loop over steps
is the caller's. A token is the arg max of logits + temperature * noise, which is a draw from the
softmax if the noise is Gumbel's, and the most probable token at temperature 0.

Axes: B sequences, T steps, C channels, K conditions, V vocabulary of a channel, L layers, H hidden,
S width of a segment's code, Z latent.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from seqvae.exchange.onnx.note_graphs import PlainNoteSets, draw_notes, plain_embedding
from seqvae.model.encoder import NormalisedMeans
from seqvae.model.nade import Nade
from seqvae.model.vae import SequenceVAE


class Scaled(nn.Module):
    """Normalised means in plain arithmetic, since ONNX has no such batch normalisation."""

    def __init__(self, normalise: NormalisedMeans) -> None:
        """Of statistics as they are."""
        super().__init__()
        self.centre: Tensor
        self.scale: Tensor
        self.register_buffer("centre", normalise.running_mean)
        self.register_buffer("scale", normalise.scale)

    def forward(self, mean: Tensor) -> Tensor:
        """The means (B, Z), normalised."""
        return (mean - self.centre) * self.scale


class Encode(nn.Module):
    """Tokens (B, T, C + K) and lengths (B,) -> mean and log-stddev of the posterior, (B, Z)."""

    def __init__(self, model: SequenceVAE) -> None:
        """The model has an encoder."""
        super().__init__()
        self.encoder = copy.deepcopy(model.encoder)
        if self.encoder is not None and isinstance(self.encoder.normalise, NormalisedMeans):
            self.encoder.normalise = Scaled(self.encoder.normalise)
        if self.encoder is not None:
            embedding: Any = self.encoder.embedding
            self.encoder.embedding = plain_embedding(embedding)

    def forward(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior."""
        assert self.encoder is not None
        posterior = self.encoder(ids, lengths)
        return posterior.mean, posterior.log_stddev


class Begin(nn.Module):
    """Codes (B, Z) and the number of a segment -> its code (B, S), and states (L, B, H)."""

    def __init__(self, model: SequenceVAE) -> None:
        """Of the decoder."""
        super().__init__()
        self.decoder = model.decoder

    def forward(self, z: Tensor, segment: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The state before the first step of a segment."""
        code = self.decoder.codes(z).index_select(1, segment.reshape(1))[:, 0]
        state = self.decoder.begin(code)
        return state.code, state.hidden, state.cell


class Step(nn.Module):
    """The tokens of the step before -> those of this step, and the states after it."""

    def __init__(self, model: SequenceVAE) -> None:
        """Of the decoder."""
        super().__init__()
        self.decoder = model.decoder
        self.sizes = model.steps.vocab_sizes

    def forward(
        self,
        tokens: Tensor,
        is_first: Tensor,
        code: Tensor,
        hidden: Tensor,
        cell: Tensor,
        temperature: Tensor,
        noise: Tensor,
        conditions: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (B, C), of which nothing is read where `is_first`; noise (B, V of all channels).

        `is_first` is of the whole sequence, not of a segment.
        """
        decoder: Any = self.decoder
        embedded = decoder.embedding(tokens[:, None])[:, 0]
        return self._on(embedded, is_first, code, hidden, cell, temperature, noise, conditions)

    def _on(
        self,
        embedded: Tensor,
        is_first: Tensor,
        code: Tensor,
        hidden: Tensor,
        cell: Tensor,
        temperature: Tensor,
        noise: Tensor,
        conditions: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same, of embedded tokens (B, E)."""
        decoder: Any = self.decoder
        x = torch.where(is_first, decoder.start, embedded)
        if decoder.conditions is not None:
            assert conditions is not None
            x = x + decoder.conditions(conditions[:, None])[:, 0]
        if decoder.code_beside_input:
            x = torch.cat([x, code], dim=-1)
        states = []
        for number, layer in enumerate(decoder.layers):
            before = hidden[number : number + 1], cell[number : number + 1]
            outputs, after = nn.LSTM.forward(layer, x[:, None], before)
            x = outputs[:, 0]
            states.append(after)
        features = decoder.project(x)
        if decoder.skip is not None:
            features = features + decoder.skip(code)
        drawn = self._drawn(features, temperature, noise)
        next_hidden, next_cell = (torch.cat(parts) for parts in zip(*states, strict=True))
        return drawn, next_hidden, next_cell

    def _drawn(self, features: Tensor, temperature: Tensor, noise: Tensor) -> Tensor:
        """The tokens of all channels, each given those before it."""
        heads: Any = self.decoder.heads
        tokens: list[Tensor] = []
        for channel, (head, own) in enumerate(
            zip(heads.logits, torch.split(noise, [*self.sizes], dim=1), strict=True)
        ):
            token = (head(features) + temperature * own).argmax(-1)
            if isinstance(head, Nade):
                token = torch.where(temperature == 0, head.mode(features), token)
            tokens.append(token)
            features = heads.condition(features, channel, token)
        return torch.stack(tokens, dim=1)


class NoteStep(Step):
    """The same for sets of notes, which sound on: (B, P) counts the steps of each pitch."""

    def __init__(self, model: SequenceVAE) -> None:
        """Of the decoder."""
        super().__init__(model)
        embedding: Any = model.decoder.embedding
        self.embedding = PlainNoteSets(embedding)

    def forward(  # type: ignore[override]  # what sounds is read and given, too
        self,
        tokens: Tensor,
        is_first: Tensor,
        code: Tensor,
        hidden: Tensor,
        cell: Tensor,
        temperature: Tensor,
        noise: Tensor,
        sounding: Tensor,
        conditions: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Tokens (B, C); `sounding` is 0 before the first step of a sequence."""
        embedded, after = self.embedding.step(tokens, sounding)
        found = self._on(embedded, is_first, code, hidden, cell, temperature, noise, conditions)
        return *found, after

    def _drawn(self, features: Tensor, temperature: Tensor, noise: Tensor) -> Tensor:
        """Note after note."""
        heads: Any = self.decoder.heads
        own = torch.split(noise, [*self.sizes], dim=1)

        def draw(logits: Tensor, channel: int) -> Tensor:
            return (logits + temperature * own[channel]).argmax(-1)

        return draw_notes(heads, features, draw)
