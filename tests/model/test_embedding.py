"""Embeddings, and tokens that are subsets. Type dropout is tested with the other dropouts."""

import pytest
import torch
from tiny import random_ids, randomised, tiny_vae

from seqvae.model.embedding import StepEmbedding, TokenEmbedding
from seqvae.model.softmax import Softmax
from seqvae.tokenizers.drums import DrumsTokenizer
from seqvae.tokenizers.groove import GrooveTokenizer
from seqvae.tokenizers.trio import TrioTokenizer

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}  # float32, sums of a few dozen products
SUBSETS = {0: (), 1: (0,), 2: (1,), 3: (0, 1), 5: (0, 2), 7: (0, 1, 2)}


def test_channels_are_summed() -> None:
    table = randomised(StepEmbedding((5, 3), 4))
    ids = random_ids((5, 3), 2, 6)
    first, second = (channel.weight for channel in table.channels)
    torch.testing.assert_close(table(ids), first[ids[..., 0]] + second[ids[..., 1]])


def test_a_subset_has_its_own_vector_and_those_of_its_members() -> None:
    table = randomised(TokenEmbedding(8, 4, 3))
    for token, members in SUBSETS.items():
        expected = table.weight[token] + sum(table.members.vectors[i] for i in members)
        torch.testing.assert_close(table(torch.tensor(token)), expected, **TOLERANCE)


def test_what_is_learned_of_a_member_holds_for_subsets_never_seen() -> None:
    table = randomised(TokenEmbedding(8, 4, 3))
    before = table(torch.arange(8)).detach()
    table(torch.tensor([0b011])).sum().backward()
    with torch.no_grad():
        table.members.vectors -= table.members.vectors.grad
    moved = (table(torch.arange(8)) - before)[:, 0]
    # By one for each of the two members that a subset shares with the one that was seen.
    assert moved.tolist() == pytest.approx([0, -1, -1, -2, 0, -1, -1, -2])


def test_a_head_of_subsets_is_a_softmax_of_summed_weights() -> None:
    head = randomised(Softmax(4, 8, 3)).double()
    hidden = torch.randn(2, 5, 4, dtype=torch.float64, requires_grad=True)
    tokens = random_ids((8,), 2, 5)[..., 0]
    bits = torch.tensor([[t >> i & 1 for i in range(3)] for t in range(8)], dtype=torch.float64)
    logits = hidden @ (head.weight + bits @ head.members.vectors).T + head.bias
    expected = -logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    leaves = [hidden, head.weight, head.members.vectors, head.bias]
    torch.testing.assert_close(head(hidden), logits)
    torch.testing.assert_close(head.nll(hidden, tokens), expected)
    with torch.no_grad():
        torch.testing.assert_close(head.nll(hidden, tokens), expected)
    ours = torch.autograd.grad(head.nll(hidden, tokens).sum(), leaves)
    for gradient, their in zip(ours, torch.autograd.grad(expected.sum(), leaves), strict=True):
        torch.testing.assert_close(gradient, their)


@pytest.mark.parametrize("num_softmaxes", [1, 2])
def test_tied_weights_share_their_members(num_softmaxes: int) -> None:
    model = tiny_vae(
        vocab_sizes=(8,), num_members=(3,), tied_embeddings=True, num_softmaxes=num_softmaxes
    )
    (embedding,), (head,) = model.decoder.embedding.channels, model.decoder.heads.logits
    output = head if num_softmaxes == 1 else head.output
    assert output.members.vectors is embedding.members.vectors
    assert output.weight is embedding.weight


@pytest.mark.parametrize("tokenizer", [DrumsTokenizer(), GrooveTokenizer(), TrioTokenizer()])
def test_the_subsets_of_a_tokenizer_fill_their_vocabulary(
    tokenizer: DrumsTokenizer | GrooveTokenizer | TrioTokenizer,
) -> None:
    sizes = tokenizer.vocab_sizes
    members = tokenizer.num_members
    assert [size for size, number in zip(sizes, members, strict=True) if number] == [512]
    assert sum(members) == 9
