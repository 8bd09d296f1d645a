"""Codes that are brought nearer to what they stand for, by gradient steps.

An encoder answers at once, but for sequences that it was not trained on its answer is not the best
(the amortisation gap; Cremer et al. 2018). From there, mean and stddev of each sequence go on
alone, with the weights as they are, as in Kim et al. 2018, section 3.1. They lower

    nll(z) + max(0, KL - KL of the encoder):

nats that the encoder spent cost nothing, and more cost what they do in the bound. Reconstructions
come closer, and codes of a model that was trained at a target of the KL do not grow.

Axes: B sequences, T steps, Z latent.
"""

import torch
from jaxtyping import Int
from torch import Tensor
from tqdm import tqdm

from seqvae.corpus.batches import Batch
from seqvae.errors import InputError
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.objective import over_sequence
from seqvae.model.vae import SequenceVAE

LEARNING_RATE = 0.1  # in stddevs of the prior, at first; it falls to 0
MAX_STEPS = 1000
TOGETHER = 64  # sequences, whose activations are held


def refined(
    model: SequenceVAE, batch: Batch, posterior: DiagonalGaussian, num_steps: int
) -> DiagonalGaussian:
    """The posterior after steps of Adam; the code of a sequence depends on no other.

    Raises:
        InputError: the encoder reads something else than what the decoder writes, the model has no
            code, or there are too many steps.
    """
    if not 0 <= num_steps <= MAX_STEPS:
        raise InputError(
            f"refine is {num_steps}; it must be 0 to {MAX_STEPS} (40 give most of the gain)"
        )
    if not num_steps:
        return posterior
    if batch.encoder_input is not None:
        raise InputError(
            f"refine is {num_steps}, but this model reads a part of its inputs: take 0"
        )
    if not posterior.mean.shape[1]:
        raise InputError(
            f"refine is {num_steps}, but this model has no code (latent_dim 0): take 0"
        )
    parts = []
    for start in range(0, len(batch.ids), TOGETHER):
        some = slice(start, start + TOGETHER)
        before = DiagonalGaussian(posterior.mean[some], posterior.log_stddev[some])
        parts.append(_refined(model, batch.ids[some], batch.lengths[some], before, num_steps))
    return DiagonalGaussian(
        torch.cat([part.mean for part in parts]), torch.cat([part.log_stddev for part in parts])
    )


def _refined(
    model: SequenceVAE,
    ids: Int[Tensor, "B T _"],
    lengths: Int[Tensor, " B"],
    before: DiagonalGaussian,
    num_steps: int,
) -> DiagonalGaussian:
    """The same of as many sequences as are held together."""
    mean, log_stddev = (x.detach().clone() for x in (before.mean, before.log_stddev))
    now, most = DiagonalGaussian(mean, log_stddev), before.kl()
    optimizer = torch.optim.Adam(
        [mean.requires_grad_(), log_stddev.requires_grad_()], LEARNING_RATE
    )
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, num_steps)
    generator = torch.Generator(mean.device).manual_seed(0)
    noise = torch.empty_like(before.mean[:1])  # of a step, and the same for each sequence
    steps = tqdm(range(num_steps), "refine", leave=False, disable=None, delay=1, unit=" steps")
    # cuDNN differentiates an LSTM in training mode alone, in which tokens are dropped.
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        for _ in steps:
            z = mean + torch.exp(log_stddev) * noise.normal_(generator=generator)
            nll = over_sequence(model.decoder.token_nll(z, ids), lengths)
            loss = (nll + (now.kl() - most).clamp(min=0)).sum()
            mean.grad, log_stddev.grad = torch.autograd.grad(loss, [mean, log_stddev])
            optimizer.step()
            schedule.step()
    return DiagonalGaussian(mean.detach(), log_stddev.detach())
