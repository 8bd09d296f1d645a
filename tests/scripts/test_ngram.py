"""The n-gram model by hand."""

import math
from itertools import product

import pytest
from ngram import NGram


def test_a_unigram_by_hand() -> None:
    """Of "a a b" over three tokens: (2 + 2/3) / (3 + 2), (1 + 2/3) / 5, (2/3) / 5."""
    model = NGram([[0, 0, 1]], num_tokens=3, order=1)
    expected = [(2 + 2 / 3) / 5, (1 + 2 / 3) / 5, (2 / 3) / 5]
    assert [model.probability(token, ()) for token in range(3)] == pytest.approx(expected)
    assert model.nats([0, 1]) == pytest.approx(-math.log(expected[0] * expected[1]) / 2)


def test_probabilities_sum_to_one_after_any_context() -> None:
    model = NGram([[0, 1, 2, 1, 0], [2, 2, 1]], num_tokens=3, order=3)
    for length in range(4):
        for context in product(range(3), repeat=length):
            assert sum(model.probability(t, context) for t in range(3)) == pytest.approx(1)


def test_a_longer_context_knows_more() -> None:
    pattern = [0, 1, 0, 2] * 50
    short, long = (NGram([pattern], 3, order).nats(pattern[:40]) for order in (2, 3))
    assert long < short < math.log(3)
