"""Windows of which some tokens are given: the others are drawn so that they fit.

Codes are drawn given what is known (`conditioning`), and the decoder reads the tokens that are
given as if it had drawn them.

Axes: N windows, T steps, C channels, K conditions, U segments, Z latent, M samples.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from seqvae.inference.codec import Codec
from seqvae.inference.conditioning import Conditioned, Observation
from seqvae.inference.mixture import Mixture
from seqvae.model.config import Sampling
from seqvae.model.decoder import HierarchicalDecoder
from seqvae.model.given import Given
from seqvae.tokenizers.contract import Example

SPREAD = 0.3  # of codes: 1 is a draw of what is possible, 0 the most likely one
MIN_SAMPLES, MAX_SAMPLES, PER_DIM = 128, 1024, 4
SAMPLE_TEMPERATURE = Sampling(temperature=0.5)  # of samples from which observations are learned


class Filler:
    """Fills windows of which the same tokens are given."""

    def __init__(
        self,
        codec: Codec,
        prior: Mixture,
        where: Bool[Tensor, "T C"],
        pitch_classes: Sequence[NDArray[np.bool_]] | None = None,
    ) -> None:
        """`where` marks the tokens that are given.

        Others are of `pitch_classes` (12,), one array for each window that is to be filled.
        """
        self.codec, self.prior, self.where = codec, prior, where.to(codec.device)
        bounded = pitch_classes is not None and not all(each.all() for each in pitch_classes)
        self.pitch_classes = pitch_classes if bounded else None
        decoder = codec.model.decoder
        self.num_slices, steps = 1, len(where)
        if isinstance(decoder, HierarchicalDecoder):
            self.num_slices, steps = decoder.num_segments, int(decoder.segment_length or 0)
        room = torch.ones(self.num_slices * steps, where.shape[1], dtype=torch.bool)
        room[: len(where)] = where.cpu()
        segments = room.view(self.num_slices, -1)
        self.known, self.hidden = segments.all(1), ~segments.any(1)
        self._conditioned: Conditioned | None = None

    @torch.no_grad()
    def fill(
        self, ids: Int[Tensor, "N T _"], sampling: Sampling, generator: torch.Generator
    ) -> Int[Tensor, "N T _"]:
        """Windows with every token that is not given drawn; what stands there is not read."""
        ids = ids.to(self.codec.device)
        if not self.codec.model.config.latent_dim:
            no_code = torch.zeros(len(ids), 0, device=ids.device)
            return self._decoded(ids, no_code, self.where, sampling, generator, self.pitch_classes)
        seen = self._encoded(self._blanked(ids))
        z = self._conditions(ids, generator).sample(seen, SPREAD, generator)
        return self._decoded(ids, z, self.where, sampling, generator, self.pitch_classes)

    def _blanked(self, ids: Int[Tensor, "N T _"]) -> Int[Tensor, "N T _"]:
        """Windows that rest where nothing is given."""
        blanked, num_channels = ids.clone(), self.where.shape[1]
        blanked[..., :num_channels] *= self.where
        return blanked

    def _encoded(self, ids: Int[Tensor, "N T _"]) -> Float[Tensor, "N Z"]:
        windows = [Example(row) for row in ids.cpu().numpy()]
        return self.codec.posterior(windows).mean

    def _decoded(
        self,
        ids: Int[Tensor, "N T _"],
        z: Float[Tensor, "N Z"],
        where: Bool[Tensor, "T C"],
        sampling: Sampling,
        generator: torch.Generator,
        pitch_classes: Sequence[NDArray[np.bool_]] | None = None,
    ) -> Int[Tensor, "N T _"]:
        """Windows with drawn tokens where none is given."""
        known = ids[..., : where.shape[1]]
        given = Given.of_slots(known, where.expand_as(known), self.codec.model.steps.slot_size)
        conditions = [*ids[..., where.shape[1] :].cpu().numpy()]
        drawn = self.codec.around(given, z, sampling, generator, conditions, pitch_classes)
        return torch.cat([sequences.ids for sequences in drawn])

    def _conditions(self, ids: Int[Tensor, "N T _"], generator: torch.Generator) -> Conditioned:
        """The prior given what is known."""
        if self._conditioned is None:
            size = self.codec.model.config.latent_dim // self.num_slices
            observation = Observation.of_slices(self.known, size)
            in_part = ~(self.known | self.hidden)
            if in_part.any():
                observation = observation.fitted(in_part, *self._samples(ids, size, generator))
            self._conditioned = Conditioned(self.prior, observation)
        return self._conditioned

    def _samples(
        self, ids: Int[Tensor, "N T _"], size: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, "M Z"], Float[Tensor, "M Z"]]:
        """Codes of the prior, and what the encoder says of the known part of what they decode to.

        Conditions are those of the windows.
        """
        number = min(MAX_SAMPLES, max(MIN_SAMPLES, PER_DIM * size))
        z = self.prior.sample(number, generator)
        rows = torch.arange(number, device=ids.device) % len(ids)
        nothing = torch.zeros_like(self.where)
        drawn = self._decoded(ids[rows], z, nothing, SAMPLE_TEMPERATURE, generator)
        return z.cpu(), self._encoded(self._blanked(drawn)).cpu()
