"""Gumbel noise: its distribution, and that it is a function of seed, step, channel and token."""

import math

import numpy as np
import pytest
import torch

from seqvae.model.noise import GumbelNoise, mix, row_seeds

CPU = torch.device("cpu")


def test_noise_is_standard_gumbel() -> None:
    noise = GumbelNoise(range(4), CPU).at(3, 1, 50_000).double()
    assert noise.isfinite().all()
    for quantile in (0.001, 0.1, 0.5, 0.9, 0.999):  # exp(-exp(-x)) = q
        x = -math.log(-math.log(quantile))
        five_errors = 5 * math.sqrt(quantile * (1 - quantile) / noise.numel())
        assert (noise < x).double().mean().item() == pytest.approx(quantile, abs=five_errors)


def test_every_coordinate_gives_other_noise() -> None:
    """Seeds that differ in high bits alone, steps, channels: no two have anything in common."""
    seeds = [0, 1, 2, 2**32, 2**33, 2**61 + 1]
    columns = [
        row
        for step in range(4)
        for channel in range(3)
        for row in GumbelNoise(seeds, CPU).at(step, channel, 4000).double().numpy()
    ]
    correlations = np.corrcoef(columns)
    np.fill_diagonal(correlations, 0)
    assert len(columns) == 72
    assert np.abs(correlations).max() < 5 / math.sqrt(4000)
    shifted = np.corrcoef([column[1:] for column in columns], [column[:-1] for column in columns])
    assert np.abs(shifted[:72, 72:]).max() < 5 / math.sqrt(4000)


def test_noise_made_in_blocks_is_that_of_each_step() -> None:
    together = GumbelNoise([5, 7], CPU)
    for step in range(70):  # more than a block
        for channel, size in enumerate((90, 512)):
            alone = GumbelNoise([7], CPU).at(step, channel, size)
            assert torch.equal(together.at(step, channel, size)[1:], alone)


def test_rows_that_stay_keep_their_noise() -> None:
    noise = GumbelNoise(range(5), CPU)
    noise.at(0, 0, 90)  # makes a block
    noise.keep(torch.tensor([1, 4]))
    expected = GumbelNoise([1, 4], CPU)
    for step in (1, 40):
        assert torch.equal(noise.at(step, 0, 90), expected.at(step, 0, 90))


def test_other_languages_can_repeat_it() -> None:
    """The same arithmetic on Python's integers and floats."""

    def hashed(x: int) -> int:
        x = (x ^ x >> 16) * 0x7FEB352D % 2**32
        x = (x ^ x >> 15) * 0x846CA68B % 2**32
        return x ^ x >> 16

    seed, step, channel = 123_456_789_012_345, 6, 2
    low, high = hashed(seed % 2**32), hashed((seed >> 32) % 2**32 ^ 0x9E3779B9)
    row = hashed(hashed(hashed((low + step) % 2**32) ^ high) + channel)
    noise = GumbelNoise([seed], CPU).at(step, channel, 20)[0]
    for token in range(20):
        uniform = hashed((row + token * 0x9E3779B9) % 2**32) / 2**32
        expected = -math.log(-math.log1p(-uniform))
        assert noise[token].item() == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert mix(torch.tensor([1]))[0].item() == hashed(1)


def test_the_first_rows_have_the_same_seeds_however_many_follow() -> None:
    few, many, other = (
        row_seeds(number, torch.Generator().manual_seed(seed))
        for number, seed in ((3, 1), (300, 1), (3, 2))
    )
    assert many[:3] == few
    assert len({*many}) == 300
    assert other != few
