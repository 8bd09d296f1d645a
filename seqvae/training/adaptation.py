"""From a trained model towards a few clips, in more and more steps.

Where nothing is known of a decoder or a prior but a few clips, a small change of a good one is the
best guess. How large it may be is what clips that are held out must tell. So everything here yields
the start, and then what lies further and further from it. The encoder stays as it is: codes keep
their meaning, and estimates of the likelihood from its posteriors can be compared.

Axes: N codes, Z latent.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from seqvae.corpus.batches import training_loader
from seqvae.corpus.store import Split
from seqvae.inference.mixture import Mixture, log_densities
from seqvae.inference.slices import SlicePrior
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers import AnyTokenizer

# Steps and rates are small: a decoder that moves twice as far begins to learn the clips by heart.
DECODER_STEPS, DECODER_RATE = (4, 8, 16, 32), 5e-5
PRIOR_STEPS, PRIOR_RATE = (5, 10, 20, 40), 1e-4
SCRATCH_STEPS, SCRATCH_RATE = (20, 40, 60), 5e-3
PSEUDO_CODES = (256.0, 64.0, 16.0, 4.0)  # that stand for each component of a mixture
NUM_ROWS, NUM_CODES = 32, 64  # of a batch of clips, and of one of codes
MAX_NORM = 1.0  # of gradients


def decoders(
    model: SequenceVAE, tokenizer: AnyTokenizer, clips: Split, *, seed: int = 0
) -> Iterator[SequenceVAE]:
    """A model, and then with its decoder after each of `DECODER_STEPS`; the same object each time.

    The clips are augmented as in training.
    """
    adapted = copy.deepcopy(model)
    yield adapted
    adapted.requires_grad_(requires_grad=False)
    adapted.decoder.requires_grad_()
    parameters = [*adapted.decoder.parameters()]
    yield from _trained(adapted, parameters, tokenizer, clips, DECODER_STEPS, DECODER_RATE, seed)


def from_scratch(
    model: SequenceVAE, tokenizer: AnyTokenizer, clips: Split, *, seed: int = 0
) -> Iterator[SequenceVAE]:
    """A fresh model of the same size after each of `SCRATCH_STEPS`; the same object each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = SequenceVAE(model.config, model.steps)
    parameters = [*fresh.parameters()]
    yield from _trained(fresh, parameters, tokenizer, clips, SCRATCH_STEPS, SCRATCH_RATE, seed)


def _trained(
    model: SequenceVAE,
    parameters: Sequence[torch.nn.Parameter],
    tokenizer: AnyTokenizer,
    clips: Split,
    stops: Sequence[int],
    learning_rate: float,
    seed: int,
) -> Iterator[SequenceVAE]:
    """The model after each of `stops`, trained on the bound itself, without dropout."""
    model.eval()
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    generator = torch.Generator().manual_seed(seed)
    batches = training_loader(
        _repeated(clips), NUM_ROWS, tokenizer, seed=seed, epoch=0, num_passes=stops[-1]
    )
    for step, batch in zip(range(1, stops[-1] + 1), batches, strict=False):
        bound = model(batch.ids, batch.lengths, generator, encoder_input=batch.encoder_input)
        model.zero_grad()
        bound.total().mean().backward()
        torch.nn.utils.clip_grad_norm_(parameters, MAX_NORM)
        optimizer.step()
        if step in stops:
            yield model


def _repeated(clips: Split) -> Split:
    """So many copies of clips that they fill a batch; each copy is augmented anew."""
    number = range(max(1, NUM_ROWS // len(clips)))
    ids = [clips[i] for _ in number for i in range(len(clips))]
    return Split(np.concatenate(ids), np.cumsum([0, *map(len, ids)]))


def priors(
    prior: Mixture | SlicePrior, posterior: DiagonalGaussian, *, seed: int = 0
) -> Iterator[Mixture | SlicePrior]:
    """A prior, and then what more and more trust in these codes makes of it."""
    yield prior
    if isinstance(prior, Mixture):
        for pseudo_codes in PSEUDO_CODES:
            yield towards(prior, posterior.mean, pseudo_codes)
    else:
        yield from _slices(prior, posterior, seed)


def towards(prior: Mixture, z: Float[Tensor, "N Z"], pseudo_codes: float) -> Mixture:
    """The mixture with weights and means moved towards codes, as far as they outnumber others.

    Maximum a posteriori, where so many pseudo-codes of the prior stand for each of its components
    on average (Gauvain & Lee 1994); covariances stay.
    """
    belongs = log_densities(z, prior).softmax(1)  # (N, K)
    before = pseudo_codes * prior.weights * len(prior.weights)
    counts = belongs.sum(0) + before
    sums = belongs.mT @ z + before[:, None] * prior.means
    return replace(prior, weights=counts / counts.sum(), means=sums / counts[:, None])


def _slices(prior: SlicePrior, posterior: DiagonalGaussian, seed: int) -> Iterator[SlicePrior]:
    """The network after each of `PRIOR_STEPS`, each of which draws anew from posteriors."""
    adapted = copy.deepcopy(prior).requires_grad_()
    optimizer = torch.optim.Adam(adapted.parameters(), lr=PRIOR_RATE)
    generator = torch.Generator().manual_seed(seed)
    for step in range(1, PRIOR_STEPS[-1] + 1):
        rows = torch.randint(len(posterior.mean), (NUM_CODES,), generator=generator)
        some = DiagonalGaussian(posterior.mean[rows], posterior.log_stddev[rows])
        slices = adapted.whitened(some.sample(generator))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + step)  # of dropout
            loss = -adapted.train().whitened_log_prob(slices).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # of torch
        torch.nn.utils.clip_grad_norm_(adapted.parameters(), MAX_NORM)
        optimizer.step()
        if step in PRIOR_STEPS:
            yield copy.deepcopy(adapted).eval().requires_grad_(requires_grad=False)
