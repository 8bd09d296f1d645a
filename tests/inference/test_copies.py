"""Spans that stand in the training split, planted one by one."""

import numpy as np
import pytest

from seqvae.corpus.store import Split
from seqvae.inference import copies
from seqvae.inference.copies import share_copied
from seqvae.music.notes import Piece, make_notes
from seqvae.tokenizers.contract import Ids

SILENCE = np.zeros((8, 2), np.uint8)


def window(seed: int, num_steps: int = 32) -> Ids:
    """Two channels of random tokens."""
    return np.random.default_rng(seed).integers(0, 9, (num_steps, 2))


def busy(num_notes: int = 4, num_steps: int = 32) -> Piece:
    """A piece with so many notes in each span."""
    starts = np.concatenate([16 * bar + np.arange(num_notes) for bar in range(num_steps // 16)])
    return Piece(make_notes(starts, starts + 1, 60), 4, num_steps=num_steps)


def split_of(*windows: Ids) -> Split:
    offsets = np.cumsum([0, *map(len, windows)])
    return Split(np.concatenate(windows).astype(np.uint8), offsets)


def test_a_span_is_found_at_any_step_of_training() -> None:
    sample = window(0)
    train = split_of(window(1), np.concatenate([SILENCE[:5], sample[16:], SILENCE[:3]]))
    assert share_copied([sample], [busy()], train, 2) == 0.5
    assert share_copied([sample, window(2)], [busy()] * 2, train, 2) == 0.25
    assert share_copied([sample], [busy()], split_of(window(1), sample), 2) == 1


@pytest.mark.parametrize("chunk", [1, 40, 2**20])
def test_every_span_of_every_training_window_counts(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "CHUNK", chunk)
    windows = [window(seed, 32) for seed in range(5)]
    samples = [row[start : start + 16] for row in windows for start in range(17)]
    assert share_copied(samples, [busy(4, 16)] * len(samples), split_of(*windows), 2) == 1


def test_what_lies_across_two_windows_is_no_copy() -> None:
    first, second = window(1), window(2)
    across = np.concatenate([first[-9:], second[:7]])
    assert share_copied([across], [busy(4, 16)], split_of(first, second), 2) == 0
    assert share_copied([across], [busy(4, 16)], split_of(first[:8], second[:8]), 2) == 0


def test_a_single_other_token_is_no_copy_and_a_condition_is_no_token() -> None:
    sample = window(0, 16)
    changed = sample.copy()
    changed[7, 1] += 1
    assert share_copied([changed], [busy(4, 16)], split_of(sample), 2) == 0
    assert share_copied([changed], [busy(4, 16)], split_of(sample), 1) == 1


def test_rests_and_held_notes_are_no_spans() -> None:
    sample = window(0)
    assert share_copied([sample], [busy(3)], split_of(sample), 2) is None
    half = Piece(make_notes([16, 17, 18, 19], [17, 18, 19, 20], 60), 4, num_steps=32)
    assert share_copied([sample], [half], split_of(sample[:16]), 2) == 0
    assert share_copied([sample], [half], split_of(sample[16:]), 2) == 1
    assert share_copied([sample[:15]], [busy(4, 16)], split_of(sample), 2) is None
