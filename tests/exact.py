"""What a tiny model is worth exactly: quadrature over z, summed in float64."""

import itertools
import math
from dataclasses import dataclass

import torch
from tiny import tiny_vae
from torch.distributions import Normal

from seqvae.corpus.batches import Batch
from seqvae.model.objective import sequence_nll
from seqvae.model.vae import SequenceVAE


def all_sequences(vocab_sizes: tuple[int, ...], num_steps: int) -> torch.Tensor:
    """Every sequence (N, T, C) of that length."""
    tokens = list(itertools.product(*map(range, vocab_sizes)))
    return torch.tensor(list(itertools.product(tokens, repeat=num_steps)))


@torch.no_grad()
def log_likelihood(model: SequenceVAE, batch: Batch, z: torch.Tensor) -> torch.Tensor:
    """log p(x|z) of every sequence at its own points z (B, N, Z), or at common ones (N, Z)."""
    z = z.float().expand(len(batch.ids), -1, -1)
    rows = []
    for ids, length, points in zip(*batch[:2], z, strict=True):
        repeated = ids.expand(len(points), *ids.shape)
        logits = model.decoder(points, repeated)
        rows.append(-sequence_nll(logits, repeated, length.expand(len(points))).double())
    return torch.stack(rows)


def normal_grid(latent_dim: int, spacing: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (N, Z) and log weights of a sum that stands for an integral over N(0, I)."""
    axis = torch.arange(-7, 7 + spacing / 2, spacing, dtype=torch.float64)  # all but 1e-11 of it
    points = torch.cartesian_prod(*[axis] * latent_dim).view(-1, latent_dim)
    return points, Normal(0.0, 1.0).log_prob(points).sum(-1) + latent_dim * math.log(spacing)


def log_evidence(model: SequenceVAE, batch: Batch, *, spacing: float = 0.1) -> torch.Tensor:
    """log p(x)."""
    z, log_weights = normal_grid(model.config.latent_dim, spacing)
    return torch.logsumexp(log_likelihood(model, batch, z) + log_weights, 1)


@torch.no_grad()
def neg_elbo(model: SequenceVAE, batch: Batch, *, spacing: float = 0.1) -> torch.Tensor:
    """E_q[-log p(x|z) + log q(z|x) - log p(z)]."""
    q = model.encode(*batch[:2])
    noise, log_weights = normal_grid(model.config.latent_dim, spacing)
    stddev = q.log_stddev[:, None].double().exp()
    z = q.mean[:, None].double() + stddev * noise
    log_q = (Normal(0.0, 1.0).log_prob(noise) - stddev.log()).sum(-1)
    log_prior = Normal(0.0, 1.0).log_prob(z).sum(-1)
    inside = log_q - log_prior - log_likelihood(model, batch, z)
    return (inside * log_weights.exp()).sum(1)


@dataclass(frozen=True, eq=False)
class Worth:
    """A model, every sequence of one, two and three tokens out of three, and what they cost."""

    model: SequenceVAE
    batch: Batch  # (39, 3, 1), padded with token 2
    nll: torch.Tensor  # -log p(x)
    neg_elbo: torch.Tensor

    def copies(self, num_copies: int) -> Batch:
        """Each sequence so many times in a row."""
        return Batch(*(part.repeat_interleave(num_copies, 0) for part in self.batch[:2]))


def worth(latent_dim: int, **changes: object) -> Worth:
    """Posteriors are a little wider than the prior, so that importance weights are bounded."""
    model = tiny_vae(
        vocab_sizes=(3,), max_steps=3, latent_dim=latent_dim, seed=2, std=0.8, **changes
    )
    assert model.encoder is not None
    with torch.no_grad():
        model.encoder.posterior.weight *= 0.15
        model.encoder.posterior.bias[latent_dim:] = 0.2
    ids = [all_sequences((3,), num_steps) for num_steps in (1, 2, 3)]
    padded = [torch.nn.functional.pad(x, (0, 0, 0, 3 - x.shape[1]), value=2) for x in ids]
    lengths = torch.cat([torch.full((len(x),), x.shape[1]) for x in ids])
    batch = Batch(torch.cat(padded), lengths)
    return Worth(model, batch, -log_evidence(model, batch), neg_elbo(model, batch))
