"""From a trained model towards a few clips, in more and more steps."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from trained import Trained

from seqvae.corpus.store import Split
from seqvae.inference.mixture import Mixture
from seqvae.inference.slices import SlicePrior
from seqvae.model.latent import DiagonalGaussian
from seqvae.training import adaptation


def split_of(trained: Trained, number: int) -> Split:
    whole = trained.corpus.splits["train"]
    ids = [whole[i] for i in range(number)]
    return Split(np.concatenate(ids), np.cumsum([0, *map(len, ids)]))


def test_the_decoder_alone_moves_and_clips_become_likelier(sentences: Trained) -> None:
    model, clips = sentences.vae.model, split_of(sentences, 6)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    lengths = torch.from_numpy(clips.lengths)
    ids = torch.from_numpy(clips.padded(range(6)))
    z = model.encode(ids, lengths).mean.detach()

    @torch.no_grad()
    def nats(decoder: Any) -> float:
        return float(decoder.token_nll(z, ids)[torch.arange(ids.shape[1]) < lengths[:, None]].sum())

    found = []
    for adapted in adaptation.decoders(model, sentences.vae.tokenizer, clips):
        found.append(nats(adapted.decoder))
        changed = {n for n, w in adapted.state_dict().items() if not torch.equal(w, before[n])}
        assert all(name.startswith("decoder.") for name in changed)
        assert bool(changed) == (len(found) > 1)
    assert len(found) == 1 + len(adaptation.DECODER_STEPS)
    assert found == sorted(found, reverse=True)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_a_fresh_model_learns_from_nothing(sentences: Trained) -> None:
    clips = split_of(sentences, 6)
    ids, lengths = torch.from_numpy(clips.padded(range(6))), torch.from_numpy(clips.lengths)
    path = adaptation.from_scratch(sentences.vae.model, sentences.vae.tokenizer, clips)
    nats = [model(ids, lengths).total().mean().item() for model in path]
    assert len(nats) == len(adaptation.SCRATCH_STEPS)
    assert nats[-1] < 0.8 * nats[0]


def test_a_mixture_moves_by_what_outnumbers_its_pseudo_codes() -> None:
    prior = Mixture(torch.tensor([0.25, 0.75]), torch.tensor([[-9.0], [9.0]]), torch.ones(2, 1, 1))
    z = torch.tensor([[10.0], [11.0], [12.0]])
    moved = adaptation.towards(prior, z, 2.0)
    assert moved.weights.tolist() == pytest.approx([1 / 7, 6 / 7])
    assert moved.means[:, 0].tolist() == pytest.approx([-9.0, (33 + 3 * 9) / 6])
    assert torch.equal(moved.scales, prior.scales)
    posterior = DiagonalGaussian(z, torch.zeros(3, 1))
    path = [float(each.log_prob(z).mean()) for each in adaptation.priors(prior, posterior)]
    assert len(path) == 1 + len(adaptation.PSEUDO_CODES)
    assert path == sorted(path)


def test_a_network_of_slices_moves_towards_codes() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        prior = SlicePrior(2, 4).eval().requires_grad_(requires_grad=False)
    posterior = DiagonalGaussian(torch.full((3, 8), 0.7), torch.full((3, 8), -1.0))
    path = [*adaptation.priors(prior, posterior)]
    assert path[0] is prior
    assert len(path) == 1 + len(adaptation.PRIOR_STEPS)
    densities = [float(each.log_prob(posterior.mean).mean()) for each in path]
    assert densities == sorted(densities)
    for before, after in itertools.pairwise(path):
        assert not torch.equal(before.output.bias, after.output.bias)
        assert torch.equal(before.axes, after.axes)
        assert not any(value.requires_grad for value in after.parameters())
        assert not after.training
