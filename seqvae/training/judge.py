"""How likely clips are under several decoders and priors, judged by the same codes.

The codes are draws of the posteriors of one encoder. So decoders and priors can be compared clip by
clip, without the noise of other draws (importance weights: Burda et al. 2016, eq. 8).

Axes: I priors, J decoders, N clips, K draws, Z latent.
"""

import math
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from seqvae.inference.codec import Codec
from seqvae.inference.metrics import importance_weighted_nll
from seqvae.inference.prior import Prior
from seqvae.model.objective import over_sequence
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers.contract import Ids

CHUNK = 128  # codes that are decoded together


class Judge:
    """Clips with draws of their codes."""

    @torch.no_grad()
    def __init__(self, codec: Codec, clips: Sequence[Ids], num_draws: int, *, seed: int) -> None:
        """Draw `num_draws` codes of each clip."""
        self.num_draws, self.seed = num_draws, seed
        (self.batch,) = codec.batches(clips)
        self.rows = torch.arange(len(clips) * num_draws) // num_draws
        posterior = codec.model.encode(self.batch.encoder_ids, self.batch.lengths)
        mean, log_stddev = posterior.mean[self.rows], posterior.log_stddev[self.rows]
        noise = torch.empty_like(mean).normal_(generator=codec.generator(seed))
        self.z = mean + torch.exp(log_stddev) * noise
        log_density = -0.5 * noise.square() - log_stddev - 0.5 * math.log(2 * math.pi)
        self.log_posterior = log_density.sum(-1)

    def nats(
        self, models: Iterable[SequenceVAE], priors: Sequence[Prior]
    ) -> Float[Tensor, "J I N"]:
        """-log p(x) of each clip, under the decoder of each model with each prior."""
        with torch.no_grad():
            log_priors = torch.stack([prior.log_prob(self.z) for prior in priors])
        nats = []
        for model in models:  # which may be trained from one to the next
            log_weights = log_priors + self._log_likelihoods(model) - self.log_posterior
            log_weights = log_weights.double().view(len(priors), -1, self.num_draws)
            nats.append(math.log(self.num_draws) - log_weights.logsumexp(-1))
        return torch.stack(nats)

    @torch.no_grad()
    def _log_likelihoods(self, model: SequenceVAE) -> Float[Tensor, " _"]:
        """Log p(x|z) of every draw."""
        parts = []
        for z, rows in zip(torch.split(self.z, CHUNK), torch.split(self.rows, CHUNK), strict=True):
            token_nll = model.decoder.token_nll(z, self.batch.ids[rows])
            parts.append(-over_sequence(token_nll, self.batch.lengths[rows]))
        return torch.cat(parts)

    def nats_of_others(self, models: Iterable[SequenceVAE]) -> Float[Tensor, "J N"]:
        """The same of models with encoders of their own, under N(0, I)."""
        return torch.stack([
            importance_weighted_nll(
                model, self.batch, self.num_draws, torch.Generator().manual_seed(self.seed)
            ).nll
            for model in models
        ])  # fmt: skip
