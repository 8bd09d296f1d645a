"""SequenceVAE: an encoder and a decoder with one latent code per sequence.

Axes: B sequences, T steps, C channels, K conditions, Z latent.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqvae.errors import InputError
from seqvae.model.config import ModelConfig, Sampling, Steps
from seqvae.model.decoder import DECODERS, FlatDecoder
from seqvae.model.decoding import EVERYTHING, GREEDY, Allowed, Sequences, decode, decode_steps
from seqvae.model.encoder import ENCODERS, Encoder
from seqvae.model.given import Given
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.objective import NegativeELBO, over_sequence
from seqvae.model.ranks import Share
from seqvae.model.reader import Reader, reads
from seqvae.model.stepper import Stepper
from seqvae.model.threads import threads_for


def plain_precision(z: Tensor) -> torch.autocast:
    """No autocast, which would convert weights at each step."""
    return torch.autocast(z.device.type, enabled=False)


def versions(module: nn.Module) -> list[tuple[int, int]]:
    """What tells whether weights are the same as before."""
    return [(weight.data_ptr(), weight._version) for weight in module.parameters()]


class SequenceVAE(nn.Module):
    """A variational autoencoder of sequences with `C` tokens per step.

    With `latent_dim` 0 there is no encoder, and the decoder is a language model: its KL is 0 and
    its bound exact.
    """

    def __init__(self, config: ModelConfig, steps: Steps) -> None:
        """`config` is what a user sets; `steps` is what the tokenizer tells."""
        super().__init__()
        self.config, self.steps = config, steps
        has_encoder = config.latent_dim > 0 and config.encoder_layers > 0
        self.encoder = ENCODERS[config.decoder](config, steps) if has_encoder else None
        self.decoder = self.make_decoder()
        self._stepper: Stepper
        self._made_of: tuple[torch.dtype | None, list[tuple[int, int]]] | None = None
        self._reader: Reader
        self._reader_made_of: list[tuple[int, int]] | None = None

    def make_decoder(self) -> FlatDecoder:
        """A decoder with fresh weights."""
        return DECODERS[self.config.decoder](self.config, self.steps)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def encode(self, ids: Int[Tensor, "B T _"], lengths: Int[Tensor, " B"]) -> DiagonalGaussian:
        """q(z|x) of each sequence; ids are (B, T, C + K).

        Raises:
            InputError: the model is a decoder without its encoder.
        """
        if self.encoder is None:
            if self.config.latent_dim:
                raise InputError("this model has no encoder, so it reads no input; try sample")
            empty = torch.zeros(len(ids), 0, device=ids.device)
            return DiagonalGaussian(empty, empty)
        with threads_for(len(ids)):
            quick = reads(self.encoder, len(ids))
            posterior: DiagonalGaussian = (self.reader() if quick else self.encoder)(ids, lengths)
        return posterior

    def decode(
        self,
        z: Float[Tensor, "B Z"],
        sampling: Sampling = GREEDY,
        seeds: Sequence[int] | None = None,
        *,
        conditions: Int[Tensor, "B T K"] | None = None,
        allowed: Allowed = EVERYTHING,
        given: Given | None = None,
    ) -> Sequences:
        """Free-running sequences from codes; `seeds` has one number per row, unless greedy.

        Tokens that are `given` are not drawn; they need as many steps as the longest sequence has.
        Under autocast the LSTM's products are made in its precision, all else in float32.
        A model with conditions reads zeros, such as "no chord", where none are passed. Only
        `allowed` tokens are drawn.
        """
        stepper, settings = self._decoding(z, sampling, seeds, conditions)
        with plain_precision(z):
            return decode(stepper, z, allowed=allowed, given=given, **settings)

    def stream(
        self,
        z: Float[Tensor, "B Z"],
        sampling: Sampling = GREEDY,
        seeds: Sequence[int] | None = None,
        *,
        conditions: Int[Tensor, "B T K"] | None = None,
        allowed: Allowed = EVERYTHING,
    ) -> Iterator[Int[Tensor, "B _"]]:
        """The steps (B, C + K) of `decode`, each when it is asked for.

        What is yielded of a sequence after its end has no meaning.
        """
        stepper, settings = self._decoding(z, sampling, seeds, conditions)
        steps = decode_steps(stepper, z, allowed=allowed, **settings)
        conditions = settings["conditions"]
        for step in itertools.count():
            with plain_precision(z):  # which callers, who run between the steps, do not want
                tokens = next(steps, None)
            if tokens is None:
                return
            yield tokens if conditions is None else torch.cat([tokens, conditions[:, step]], dim=1)

    def _decoding(
        self,
        z: Float[Tensor, "B Z"],
        sampling: Sampling,
        seeds: Sequence[int] | None,
        conditions: Int[Tensor, "B T K"] | None,
    ) -> tuple[Stepper, dict[str, Any]]:
        """The decoder in the precision of autocast, and the settings of the loop."""
        if conditions is None and self.steps.condition_sizes:
            shape = (len(z), self.steps.max_steps, len(self.steps.condition_sizes))
            conditions = torch.zeros(shape, dtype=torch.long, device=z.device)
        kind = z.device.type
        precision = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        with plain_precision(z):  # its tables are as exact as the weights
            stepper = self.stepper(precision)
        return stepper, {
            "num_steps": self.steps.max_steps,
            "eos_id": self.steps.eos_id,
            "sampling": sampling,
            "seeds": seeds,
            "conditions": conditions,
        }

    def train(self, mode: bool = True) -> "SequenceVAE":
        """Switch to training or evaluation; fused optimizers change weights without a trace."""
        self._made_of = self._reader_made_of = None
        return super().train(mode)

    def stepper(self, precision: torch.dtype | None = None) -> Stepper:
        """The decoder one step at a time; its tables are made again when weights have changed."""
        made_of = (precision, versions(self.decoder))
        if made_of != self._made_of:
            self._stepper, self._made_of = Stepper(self.decoder, precision), made_of
        return self._stepper

    def reader(self) -> Reader:
        """The encoder of many rows; its tables, too, are made again when weights have changed."""
        assert isinstance(self.encoder, Encoder)
        made_of = versions(self.encoder)
        if made_of != self._reader_made_of:
            self._reader, self._reader_made_of = Reader(self.encoder), made_of
        return self._reader

    def forward(
        self,
        ids: Int[Tensor, "B T _"],
        lengths: Int[Tensor, " B"],
        generator: torch.Generator | None = None,
        *,
        encoder_input: Int[Tensor, "B T _"] | None = None,
        share: Share | None = None,
    ) -> NegativeELBO:
        """One-sample estimate of the bound, per sequence.

        The encoder reads `encoder_input` in place of `ids` where it is passed. `share` tells which
        rows of a batch these are, if they are not all.
        """
        posterior = self.encode(ids if encoder_input is None else encoder_input, lengths)
        token_nll = self.decoder.token_nll(posterior.sample(generator, share), ids)
        return NegativeELBO(over_sequence(token_nll, lengths), posterior.kl_per_dim())
