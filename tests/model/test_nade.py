"""NADE: its subsets are a distribution, and its mode is what one member after another says."""

import itertools

import pytest
import torch
from tiny import randomised, tiny_vae

from seqvae.errors import InputError
from seqvae.model.config import ModelConfig, Sampling
from seqvae.model.decoding import Draws
from seqvae.model.given import Given, GivenStep
from seqvae.model.nade import Nade

MEMBERS = 3


def nade() -> tuple[Nade, torch.Tensor]:
    head = randomised(Nade(4, MEMBERS, 5), seed=1, std=0.8).double()
    hidden = torch.randn(400, 4, generator=torch.Generator().manual_seed(0))
    return head, hidden.double()


@torch.no_grad()
def test_logits_are_the_log_probabilities_of_its_subsets() -> None:
    head, hidden = nade()
    logits = head.logits(hidden)
    torch.testing.assert_close(logits.logsumexp(-1), torch.zeros(400).double())
    units, bias = head.biases(hidden)[:, :5], head.biases(hidden)[:, 5:]
    for token, bits in enumerate(itertools.product((0, 1), repeat=MEMBERS)):
        log_p, a = torch.zeros(400).double(), units
        for member, bit in enumerate(bits[::-1]):  # bit i of the token is member i
            p = torch.sigmoid(bias[:, member] + torch.sigmoid(a) @ head.weights[member])
            log_p = log_p + torch.log(p if bit else 1 - p)
            a = a + bit * head.vectors[member]
        torch.testing.assert_close(logits[:, token], log_p)


@torch.no_grad()
def test_the_likelihood_of_a_token_is_its_logit() -> None:
    head, hidden = nade()
    tokens = torch.arange(400).view(80, 5) % 2**MEMBERS
    expected = -head.logits(hidden).view(80, 5, -1).gather(-1, tokens[..., None])[..., 0]
    torch.testing.assert_close(head.nll(hidden.view(80, 5, 4), tokens), expected)


@torch.no_grad()
def test_the_mode_decides_on_one_member_after_another() -> None:
    head, hidden = nade()
    p = head.logits(hidden).exp().view(400, 2, 2, 2)  # the last member is the first axis
    expected = torch.zeros(400, dtype=torch.long)
    for row in range(400):
        first = p[row].sum((0, 1)).argmax()
        second = p[row, :, :, first].sum(0).argmax()
        expected[row] = first + 2 * second + 4 * p[row, :, second, first].argmax()
    mode = head.mode(hidden)
    assert torch.equal(mode, expected)
    assert (mode != head.logits(hidden).argmax(-1)).any()  # it is not the most probable subset


@torch.no_grad()
def test_greedy_decoding_takes_the_mode_and_sampling_the_distribution() -> None:
    model = tiny_vae(vocab_sizes=(2**MEMBERS,), num_members=(MEMBERS,), nade_dim=5, max_steps=6)
    randomised(model, seed=3, std=1.0)
    z = torch.randn(20, model.config.latent_dim, generator=torch.Generator().manual_seed(4))
    greedy = model.decode(z).ids
    head = model.decoder.heads.logits[0]
    assert torch.equal(head.mode(model.decoder.features(z, greedy).flatten(0, 1)), greedy.flatten())  # type: ignore[operator]
    drawn = model.decode(z, Sampling(), range(20)).ids
    assert not torch.equal(drawn, greedy)
    nll = model.decoder.token_nll(z, drawn)
    logits = model.decoder(z, drawn)[0]
    torch.testing.assert_close(nll, -logits.gather(-1, drawn)[..., 0])


def test_what_is_given_comes_before_the_mode() -> None:
    ids = torch.tensor([[[2]], [[1]]])
    given = GivenStep(Given(ids, torch.tensor([[[True]], [[False]]])), None)
    draws = Draws(Sampling(temperature=0), None, given=given)
    draws.go_to(0)
    mode = torch.tensor([3, 3])
    assert draws(torch.zeros(2, 4), 0, mode).tolist() == [2, 3]


def test_a_nade_replaces_the_softmax() -> None:
    with pytest.raises(InputError, match="nade_dim is 4, which replaces the softmax"):
        ModelConfig(nade_dim=4, num_softmaxes=2)
    with pytest.raises(InputError, match="nade_dim is 4"):
        ModelConfig(nade_dim=4, tied_embeddings=True)
