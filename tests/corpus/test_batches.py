from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from seqvae.corpus.batches import (
    BUCKET_BATCHES,
    Batch,
    held_out_loader,
    ordered_batches,
    shuffled_batches,
    training_loader,
)
from seqvae.corpus.store import Split
from seqvae.tokenizers import AnyTokenizer
from seqvae.tokenizers.lines import FIRST_PITCH
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.words import WordTokenizer

WORDS = WordTokenizer(words=("<eos>", "<unk>", "a", "b", "c"))
MELODY = MelodyTokenizer(num_bars=1)


def random_lengths(num_sequences: int, longest: int = 50) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(1, longest + 1, num_sequences)


def random_split(
    lengths: NDArray[np.int64], num_channels: int = 1, *, before: int = 0, behind: int = 0
) -> Split:
    """Tokens 1..200; `before` and `behind` are steps of other splits."""
    num_steps = int(lengths.sum())
    shape = (before + num_steps + behind, num_channels)
    tokens = np.random.default_rng(1).integers(1, 201, shape).astype(np.uint8)
    return Split(tokens, before + np.cumsum([0, *lengths]))


def melodies(num_sequences: int) -> Split:
    """Windows of one bar; the rhythm of the first 8 steps, all at pitch 60, is their number."""
    rhythm = np.arange(1, num_sequences + 1)[:, None] >> np.arange(8) & 1
    tokens = np.zeros((num_sequences, MELODY.max_steps), np.uint8)
    tokens[:, :8] = rhythm * (FIRST_PITCH + 60 - MELODY.min_pitch)
    return Split(tokens.reshape(-1, 1), np.arange(num_sequences + 1) * MELODY.max_steps)


def transpositions(batches: list[Batch]) -> dict[int, int]:
    """Of each sequence of `melodies`, by its number."""
    shifts = {}
    for ids in torch.cat([batch.ids for batch in batches])[..., 0]:
        onset = ids >= FIRST_PITCH
        pitches = ids[onset].unique()
        assert len(pitches) == 1  # a window moves as a whole
        number = int((onset[:8] * 2 ** torch.arange(8)).sum())
        shifts[number] = int(pitches[0]) - (FIRST_PITCH + 60 - MELODY.min_pitch)
    return shifts


def loader(
    split: Split,
    *,
    batch_size: int = 4,
    tokenizer: AnyTokenizer = MELODY,
    seed: int = 0,
    epoch: int = 0,
    first_batch: int = 0,
) -> list[Batch]:
    return list(
        training_loader(
            split, batch_size, tokenizer, seed=seed, epoch=epoch, first_batch=first_batch
        )
    )


def same(a: list[Batch], b: list[Batch]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x.ids, y.ids) and torch.equal(x.lengths, y.lengths)
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize(
    ("num_sequences", "batch_size"),
    [(1, 1), (1, 4), (3, 4), (4, 4), (5, 4), (7, 1), (200, 4), (201, 4), (1003, 4)],
)
def test_every_sequence_is_seen_once_an_epoch(num_sequences: int, batch_size: int) -> None:
    lengths = random_lengths(num_sequences)
    for batches in (
        ordered_batches(lengths, batch_size),
        shuffled_batches(lengths, batch_size, seed=0, epoch=0),
        shuffled_batches(lengths, batch_size, seed=0, epoch=1),
    ):
        assert sorted(np.concatenate(batches).tolist()) == list(range(num_sequences))
        assert all(1 <= len(batch) <= batch_size for batch in batches)
        assert len(batches) == -(-num_sequences // batch_size)


def spread(lengths: NDArray[np.int64], batches: list[NDArray[np.int64]]) -> int:
    return sum(int(np.ptp(lengths[batch])) for batch in batches)


def test_batches_have_nearly_equal_lengths() -> None:
    batch_size, lengths = 4, random_lengths(1000)
    num_groups = 1000 / (batch_size * BUCKET_BATCHES)  # 5, each sorted within itself
    batches = shuffled_batches(lengths, batch_size, seed=0, epoch=0)
    assert spread(lengths, batches) <= num_groups * np.ptp(lengths)
    assert spread(lengths, ordered_batches(lengths, batch_size)) <= np.ptp(lengths)
    unsorted = [np.arange(i, i + batch_size) for i in range(0, 1000, batch_size)]
    assert spread(lengths, unsorted) > 20 * num_groups * np.ptp(lengths) / 2


def test_held_out_batches_are_in_order_of_length_and_stable() -> None:
    lengths = np.array([3, 1, 2, 1, 3, 2, 9])
    batches = ordered_batches(lengths, 3)
    assert [batch.tolist() for batch in batches] == [[1, 3, 2], [5, 0, 4], [6]]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    lengths = random_lengths(300)

    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(shuffled_batches(lengths, 4, seed=seed, epoch=epoch)).tolist()

    seen = {(seed, epoch): order(seed, epoch) for seed in range(3) for epoch in range(3)}
    np.random.default_rng(5).random(3)
    torch.manual_seed(5)
    assert all(order(*key) == value for key, value in seen.items())
    assert len({tuple(value) for value in seen.values()}) == 9


def test_batches_are_shuffled_and_not_in_order_of_length() -> None:
    lengths = np.arange(1, 101)
    places = []
    for epoch in range(20):
        batches = shuffled_batches(lengths, 4, seed=0, epoch=epoch)
        first = [int(batch.min()) for batch in batches]
        assert first != sorted(first)
        assert first != sorted(first, reverse=True)
        places.append(first.index(0))  # of the shortest
    assert len(set(places)) > 8


def test_sequences_of_equal_length_meet_others_each_epoch() -> None:
    lengths = np.full(40, 7)
    members = [
        {frozenset(batch.tolist()) for batch in shuffled_batches(lengths, 4, seed=0, epoch=epoch)}
        for epoch in range(2)
    ]
    assert not members[0] & members[1]


@pytest.mark.parametrize("num_channels", [1, 3])
@pytest.mark.parametrize(("before", "behind"), [(0, 0), (11, 0), (0, 7), (11, 7)])
def test_padded_equals_a_loop(num_channels: int, before: int, behind: int) -> None:
    lengths = np.array([3, 1, 6, 2, 6])
    split = random_split(lengths, num_channels, before=before, behind=behind)
    for indices in ([0, 1, 2, 3, 4], [4, 0], [3], [1, 1], [2, 4]):
        expected = np.zeros((len(indices), lengths[indices].max(), num_channels), np.int64)
        for row, index in enumerate(indices):
            for step in range(lengths[index]):
                expected[row, step] = split.tokens[split.offsets[index] + step]
        padded = split.padded(indices)
        assert padded.dtype == np.int64
        np.testing.assert_array_equal(padded, expected)


@pytest.mark.parametrize("num_sequences", [1, 3, 42])
def test_the_loader_gives_every_sequence_with_its_length(num_sequences: int) -> None:
    split = random_split(random_lengths(num_sequences, 9), num_channels=2)
    split.tokens[split.offsets[1:] - 1] = WORDS.eos_id
    expected = sorted(split[i].tolist() for i in range(num_sequences))
    for batches in (list(held_out_loader(split, 4, WORDS)), loader(split, tokenizer=WORDS)):
        found = []
        for batch in batches:
            assert isinstance(batch, Batch)
            assert batch.ids.dtype == batch.lengths.dtype == torch.int64
            assert batch.ids.shape[1] == batch.lengths.max()
            for ids, length in zip(batch.ids, batch.lengths.tolist(), strict=True):
                found.append(ids[:length].tolist())
                assert (ids[length:] == 0).all()
        assert sorted(found) == expected


def test_augmentation_differs_by_epoch_and_is_repeatable() -> None:
    split = melodies(60)
    shifts = [transpositions(loader(split, epoch=epoch)) for epoch in range(4)]
    assert all(sorted(one) == list(range(1, 61)) for one in shifts)
    assert {shift for one in shifts for shift in one.values()} == set(range(-5, 6))
    for a, b in [(0, 1), (1, 2), (0, 3)]:
        kept = sum(shifts[a][number] == shifts[b][number] for number in range(1, 61))
        assert kept < 20  # about 60 / 11 by chance
    assert same(loader(split, epoch=2), loader(split, epoch=2))
    assert transpositions(loader(split, seed=1)) != shifts[0]


def test_augmentation_heeds_the_epoch_where_the_order_cannot_change() -> None:
    shifts = [transpositions(loader(melodies(1), epoch=epoch))[1] for epoch in range(30)]
    assert len(set(shifts)) > 5


def test_each_batch_is_augmented_with_its_own_draws() -> None:
    split = melodies(200)
    batches = loader(split, batch_size=8)
    shifts = {tuple(transpositions([batch]).values()) for batch in batches}
    assert len(shifts) == len(batches) == 25


def test_held_out_batches_are_not_augmented() -> None:
    assert set(transpositions(list(held_out_loader(melodies(60), 4, MELODY))).values()) == {0}


@pytest.mark.parametrize("first_batch", [0, 1, 7, 14, 15])
def test_a_resumed_loader_gives_the_rest_of_the_epoch(first_batch: int) -> None:
    split = melodies(60)
    whole = loader(split, epoch=3)
    assert len(whole) == 15
    rest = loader(split, epoch=3, first_batch=first_batch)
    assert same(rest, whole[first_batch:])
    assert len(training_loader(split, 4, MELODY, seed=0, epoch=3, first_batch=first_batch)) == len(
        rest
    )


def test_an_epoch_of_several_passes_shuffles_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs 0 and 1 of two passes are passes 0 to 3, each in an order of its own."""
    monkeypatch.setattr(MelodyTokenizer, "augment", lambda _, ids, rng: ids)
    split = melodies(40)

    def order(epoch: int, num_passes: int) -> list[int]:
        batches = training_loader(split, 4, MELODY, seed=0, epoch=epoch, num_passes=num_passes)
        return [number for batch in batches for number in transpositions([batch])]

    single = [order(epoch, 1) for epoch in range(4)]
    assert order(0, 2) == single[0] + single[1]
    assert order(1, 2) == single[2] + single[3]


def test_training_batches_are_augmented_and_then_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def recorded(name: str) -> Callable[..., NDArray[np.int64]]:
        def vary(_: object, ids: NDArray[np.int64], rng: np.random.Generator) -> Any:
            calls.append(name)
            return ids + 1

        return vary

    for name in ("augment", "mix"):
        monkeypatch.setattr(MelodyTokenizer, name, recorded(name))
    split = melodies(3)
    (batch,), (held_out,) = loader(split), list(held_out_loader(split, 4, MELODY))
    assert calls == ["augment", "mix"]
    assert sorted(batch.ids.tolist()) == sorted((held_out.ids + 2).tolist())
