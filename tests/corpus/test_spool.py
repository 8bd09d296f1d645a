"""Sequences in the making: on disk as they come, in any order, a part at a time."""

from pathlib import Path

import numpy as np
import pytest

from seqvae.corpus import spool as spools
from seqvae.corpus.spool import COLUMNS, Chosen, Numbers, Spool, drop_leaks, pack
from seqvae.corpus.store import SPLITS
from seqvae.tokenizers.contract import Ids
from seqvae.tokenizers.words import WordTokenizer

WORDS = WordTokenizer(vocab_size=10, words=tuple(map(str, range(10))))


def ids(*tokens: int) -> Ids:
    return np.array(tokens, np.int64)[:, None]


A, B, C, D = ids(1, 2), ids(1, 2, 3), ids(2, 1), ids(4)


def filled(folder: Path) -> Spool:
    spool = Spool(folder, WORDS)
    assert spool.add([A, B]) == range(2)
    assert spool.add([]) == range(2, 2)
    tokens, lengths = np.concatenate([C, D, A]).astype(np.uint8), np.array([2, 1, 2])
    assert spool.add_packed(pack(tokens, lengths, [0.5, 1.5, 2.5])) == range(2, 5)
    return spool


@pytest.mark.parametrize(
    ("numbers", "tokens"),
    [
        (range(5), [*A, *B, *C, *D, *A]),
        (range(1, 3), [*B, *C]),
        (range(3, 3), []),
        (np.array([4, 1, 1]), [*A, *B, *B]),
        (np.array([], np.int64), []),
    ],
)
def test_a_spool_gives_back_what_it_took(
    tmp_path: Path, numbers: Numbers, tokens: list[np.ndarray]
) -> None:
    spool = filled(tmp_path)
    found = spool.tokens(numbers)
    assert found.dtype == np.uint8
    assert found.tolist() == [token.tolist() for token in tokens]
    lengths = np.array([2, 3, 2, 1, 2])[np.asarray(numbers, np.int64)]
    assert spool.column("lengths", numbers).tolist() == lengths.tolist()


@pytest.mark.parametrize("waiting", [0, 3, 100])
def test_additions_are_written_when_enough_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    monkeypatch.setattr(spools, "STEPS_WAITING", waiting)
    spool = Spool(tmp_path, WORDS)
    sizes = []
    for sequence in (A, B, C, D):
        spool.add([sequence])
        file = tmp_path / "spool.tokens"
        sizes.append(file.stat().st_size if file.exists() else 0)
    assert sizes == {0: [2, 5, 7, 8], 3: [0, 5, 5, 5], 100: [0, 0, 0, 0]}[waiting]
    assert spool.tokens(np.array([3, 1])).tolist() == [[4], [1], [2], [3]]
    assert spool.column("starts", range(4)).tolist() == [0, 2, 5, 7]
    spool.remove()
    assert [*tmp_path.iterdir()] == []


def test_what_is_known_of_sequences_stays_with_them(tmp_path: Path) -> None:
    spool = filled(tmp_path)
    digests = spool.column("digests", range(5)).tolist()
    assert digests[4] == digests[0]
    assert len({*digests}) == 4
    assert spool.column("labels", range(3)).tolist() == [0.5, 1.5, 2.5]
    spool.remove()
    assert [*tmp_path.iterdir()] == []


def test_chosen_sequences_come_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "CHUNK", 2)
    chosen = Chosen(filled(tmp_path), np.array([4, 0, 3, 2, 1]))
    assert [part.tolist() for part in chosen.column("lengths")] == [[2, 2], [1, 2], [3]]
    assert np.concatenate([*chosen.tokens()]).tolist() == [*map(list, [*A, *A, *D, *C, *B])]


# Leaks


def leaks(
    folder: Path, train: list[Ids], valid: list[Ids], test: list[Ids], *, drop: bool
) -> tuple[dict[str, list[int]], dict[str, int]]:
    """What is kept of each split, as places in it; how many had leaked into it."""
    spool = Spool(folder, WORDS)
    splits = {
        name: Chosen(spool, spool.add(own))
        for name, own in zip(SPLITS, (train, valid, test), strict=True)
    }
    kept, leaked = drop_leaks(splits, drop=drop)
    starts = {name: own.numbers[0] for name, own in splits.items()}
    return {n: (np.asarray(own.numbers) - starts[n]).tolist() for n, own in kept.items()}, leaked


@pytest.fixture(params=[1, 2, 2**21])
def max_compared(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaks are found in one group or in many."""
    monkeypatch.setattr(spools, "MAX_COMPARED", request.param)


@pytest.mark.usefixtures("max_compared")
def test_leaks_are_counted_towards_the_earlier_splits(tmp_path: Path) -> None:
    kept, leaked = leaks(tmp_path, [A, B, A], [A, C, C], [B, C, D, D], drop=False)
    assert leaked == {"train": 0, "valid": 1, "test": 2}
    assert kept == {"train": [0, 1, 2], "valid": [0, 1, 2], "test": [0, 1, 2, 3]}


@pytest.mark.usefixtures("max_compared")
def test_held_out_sequences_are_dropped_and_training_stays_whole(tmp_path: Path) -> None:
    kept, leaked = leaks(tmp_path, [A, B, A], [A, C, C], [B, C, D, D, A], drop=True)
    assert leaked == {"train": 0, "valid": 1, "test": 3}
    # copies within a split stay
    assert kept == {"train": [0, 1, 2], "valid": [1, 2], "test": [2, 3]}


@pytest.mark.usefixtures("max_compared")
def test_what_was_dropped_from_valid_is_no_excuse_for_test(tmp_path: Path) -> None:
    kept, leaked = leaks(tmp_path, [A], [A], [A], drop=True)
    assert leaked == {"train": 0, "valid": 1, "test": 1}
    assert kept == {"train": [0], "valid": [], "test": []}


@pytest.mark.usefixtures("max_compared")
def test_leaks_are_found_in_later_chunks_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "CHUNK", 2)
    kept, _ = leaks(tmp_path, [A, B, A], [C, C, D, A], [D, B, A, C, ids(7)], drop=True)
    assert kept == {"train": [0, 1, 2], "valid": [0, 1, 2], "test": [4]}


def test_a_spool_ends_with_all_its_files(tmp_path: Path) -> None:
    filled(tmp_path).tokens(range(1))
    assert {path.name for path in tmp_path.iterdir()} == {
        f"spool.{name}" for name in ("tokens", *COLUMNS)
    }
