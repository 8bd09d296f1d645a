"""Whoever watches a decoding is told of each step, and may end it."""

import pytest
import torch
from tiny import tiny_vae

from seqvae.model.watching import watched_by


def test_each_step_is_told_before_it_is_drawn_and_may_be_the_last() -> None:
    model, z = tiny_vae(), torch.zeros(2, 3)
    told: list[tuple[int, int]] = []
    with watched_by(lambda step, num_steps: told.append((step, num_steps))):
        model.decode(z)
    assert told == [(step, 6) for step in range(6)]

    def end(step: int, num_steps: int) -> None:
        if step == 2:
            raise TimeoutError

    with watched_by(end), pytest.raises(TimeoutError):
        model.decode(z)
    model.decode(z)
    assert len(told) == 6
