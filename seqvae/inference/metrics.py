"""Formulas of the figures that are reported, each defined once.

Axes: B sequences, T steps, C channels, K draws, Z latent. Nats are per sequence, summed over its
steps.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqvae.corpus.batches import Batch
from seqvae.errors import InputError
from seqvae.model.config import Steps
from seqvae.model.decoding import Sequences
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.note_sets import are_asked, are_notes, note_slots
from seqvae.model.objective import over_sequence
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers.contract import Ids

ACTIVE_VARIANCE = 0.01  # Burda et al. 2016, section 5.3
MAX_ELEMENTS = 2**22  # numbers that are held at a time: 16 MiB in float32


def active_units(variances: Float[Tensor, " Z"]) -> int:
    """Dimensions with Var_x(E[z|x]) >= 0.01, of these variances (Burda et al. 2016)."""
    return int((variances >= ACTIVE_VARIANCE).sum())


def mutual_information(
    posterior: DiagonalGaussian, group_size: int, generator: torch.Generator
) -> float:
    """I(x; z) = E[log q(z|x) - log q(z)] in nats, with one draw of z for each x.

    q(z) is the mean of the posteriors of a group of sequences, x among them, so no estimate
    exceeds ln group_size: estimates of different group sizes cannot be compared (Hoffman & Johnson
    2016; He et al. 2019 take a test batch as the group). Groups are drawn at random; a smaller last
    group has a lower ceiling. The estimate from a few sequences can be negative. The cost grows
    with the number of sequences times group_size.
    """
    if not len(posterior.mean) or not posterior.mean.shape[1]:
        return 0.0
    order = torch.randperm(len(posterior.mean), generator=generator, device=generator.device)
    z = posterior.sample(generator).double()
    mean, log_stddev = posterior.mean.double(), posterior.log_stddev.double()
    ratios = []
    for group in torch.split(order, group_size):
        # log q(z_i | x_j) without the constant -Z/2 log 2 pi, as products of matrices.
        mu, log_sigma = mean[group], log_stddev[group]
        precision = torch.exp(-2 * log_sigma)
        offset = -0.5 * (mu.square() * precision).sum(-1) - log_sigma.sum(-1)
        for i in torch.split(group, max(1, MAX_ELEMENTS // len(group))):
            z_i = z[i]
            density = z_i @ (mu * precision).T - 0.5 * z_i.square() @ precision.T + offset
            log_q = -0.5 * ((z_i - mean[i]) * torch.exp(-log_stddev[i])).square().sum(-1)
            log_q = log_q - log_stddev[i].sum(-1)
            # The products cancel where posteriors are narrow; log q(z_i | x_i) is known better.
            density[i[:, None] == group] = log_q
            ratios.append(log_q - density.logsumexp(1) + math.log(len(group)))
    return float(torch.cat(ratios).mean())


@dataclass(frozen=True, eq=False)
class ImportanceWeighted:
    """An estimate of -log p(x) for each of B sequences, in nats."""

    nll: Float[Tensor, " B"]
    variance: Float[Tensor, " B"]
    """Monte Carlo variance of nll, by the delta method."""


@torch.no_grad()
def importance_weighted_nll(
    model: SequenceVAE,
    batch: Batch,
    num_samples: int,
    generator: torch.Generator,
    posterior: DiagonalGaussian | None = None,
) -> ImportanceWeighted:
    """-log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x) with z_k from q (Burda et al. 2016, eq. 8).

    q is the `posterior` that is given, or else the encoder's.

    Memory is bounded for any batch and K. A language model needs, and gets, one draw.

    Raises:
        InputError: `num_samples` is not positive.
    """
    if num_samples < 1:
        raise InputError(f"iw_samples is {num_samples}; it must be 1 or more (500 is usual)")
    num_samples = draws_needed(model, num_samples)
    ids, lengths = batch.ids, batch.lengths
    posterior = posterior or model.encode(batch.encoder_ids, lengths)
    num_gates = 4 * model.config.decoder_dim  # the heads bound their memory themselves
    chunk_size = max(1, MAX_ELEMENTS // (ids.shape[1] * num_gates))
    every_draw = torch.arange(len(ids) * num_samples, device=ids.device) // num_samples
    log_weights = torch.cat([
        _log_weights(model, ids, lengths, posterior, sequences, generator)
        for sequences in torch.split(every_draw, chunk_size)
    ]).view(len(ids), num_samples)  # fmt: skip
    log_mean = log_weights.logsumexp(1) - math.log(num_samples)
    relative = torch.exp(log_weights - log_mean[:, None])  # of mean 1
    if num_samples > 1:
        return ImportanceWeighted(-log_mean, relative.var(1) / num_samples)
    # One draw says nothing about its variance, unless there is no z to draw.
    variance = torch.nan if model.config.latent_dim > 0 else 0.0
    return ImportanceWeighted(-log_mean, torch.full_like(log_mean, variance))


def draws_needed(model: SequenceVAE, num_samples: int) -> int:
    """The number of draws, or 1 for a language model, whose likelihood is exact."""
    return num_samples if model.config.latent_dim > 0 else 1


def _log_weights(
    model: SequenceVAE,
    ids: Int[Tensor, "B T C"],
    lengths: Int[Tensor, " B"],
    posterior: DiagonalGaussian,
    sequences: Int[Tensor, " N"],
    generator: torch.Generator,
) -> Float[Tensor, " N"]:
    """Log p(x|z) + log p(z) - log q(z|x) with a fresh z for each of these sequences."""
    mean, log_stddev = posterior.mean[sequences], posterior.log_stddev[sequences]
    noise = torch.empty_like(mean).normal_(generator=generator)
    z = mean + torch.exp(log_stddev) * noise
    # The constants of the two Gaussians cancel.
    log_ratio = (log_stddev + 0.5 * (noise.square() - z.square())).double().sum(-1)
    nll = over_sequence(model.decoder.token_nll(z, ids[sequences]).double(), lengths[sequences])
    return log_ratio - nll


def hits(decoded: Sequences, target: Sequences | Batch) -> Bool[Tensor, "B T C"]:
    """Which tokens of the target were decoded at the same step; padding is never hit."""
    num_steps = target.ids.shape[1]
    steps = torch.arange(num_steps, device=target.ids.device)
    common = min(num_steps, decoded.ids.shape[1])
    both = torch.minimum(decoded.lengths, target.lengths)
    hit = torch.zeros(target.ids.shape, dtype=torch.bool, device=target.ids.device)
    hit[:, :common] = decoded.ids[:, :common] == target.ids[:, :common]
    return hit & (steps < both[:, None])[..., None]


def are_scored(
    tokens: Int[Tensor, "B T C"], lengths: Int[Tensor, " B"], steps: Steps
) -> Bool[Tensor, "B T C"]:
    """Which tokens an accuracy counts: no padding, and nothing after the last note of a set."""
    valid = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
    if not steps.slot_size:
        return valid[..., None].expand(tokens.shape)
    notes = are_notes(note_slots(tokens, steps.slot_size))
    asked = are_asked(notes)[..., None]
    others = notes[..., None].expand(*notes.shape, steps.slot_size - 1)
    return torch.cat([asked, others], dim=-1).flatten(2) & valid[..., None]


def unpadded(sequences: Sequences | Batch) -> list[Ids]:
    """The sequences of a batch without their padding."""
    ids, lengths = sequences.ids.cpu().numpy(), sequences.lengths.tolist()
    return [row[:length] for row, length in zip(ids, lengths, strict=True)]
