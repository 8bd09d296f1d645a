"""Lines are split by their hashes: copies stay together, whatever else there is."""

from collections import Counter

import numpy as np
import pytest

from seqvae.corpus import line_split
from seqvae.corpus.config import DataConfig
from seqvae.corpus.line_split import LineSplit, hashes_of, split_lines
from seqvae.errors import InputError

LINES = [f"line {number}" for number in range(1000)]


def counts_of(split: LineSplit, lines: list[str] = LINES) -> list[int]:
    return np.bincount(split.of(lines), minlength=3).tolist()


def test_hashes_are_those_of_any_process() -> None:
    assert hashes_of(["a", "\u00e9"]).tolist() == [3405396810240292928, 3394012004367669963]
    assert not {*hashes_of(LINES, 1).tolist()} & {*hashes_of(LINES, 2).tolist()}
    assert len({*hashes_of(LINES).tolist()}) == 1000
    assert hashes_of([]).tolist() == []
    assert len(hashes_of(["\ud800"])) == 1  # as JSON may have it


def test_few_lines_are_divided_exactly() -> None:
    split = split_lines([LINES[:600], LINES[400:]], DataConfig(valid_share=0.2), "a.txt")
    assert counts_of(split) == [700, 200, 100]


def test_many_lines_are_divided_by_the_first_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_split, "NUM_RANKED", 300)
    blocks = iter([LINES[:200], LINES[200:400], LINES[400:]])
    split = split_lines(blocks, DataConfig(valid_share=0.2), "a.txt")
    assert [*blocks] == [LINES[400:]]  # what is not needed is not read
    assert counts_of(split, LINES[:400]) == [280, 80, 40]
    # a fifth and a tenth, whose deviations are 2.8 % and 2.1 %, of which 4 are allowed
    num_train, num_valid, num_test = counts_of(split)
    assert abs(num_valid - 200) < 112
    assert abs(num_test - 100) < 84
    assert num_train + num_valid + num_test == 1000


def test_a_line_keeps_its_split_among_others() -> None:
    split = split_lines([LINES], DataConfig(), "a.txt")
    again = split.of([*LINES[::-1], *LINES])
    assert again.tolist() == [*split.of(LINES)[::-1], *split.of(LINES)]


@pytest.mark.parametrize("share", [0.0, 1e-9])
def test_no_split_stays_empty(share: float) -> None:
    data = DataConfig(valid_share=share, test_share=share)
    assert counts_of(split_lines([LINES], data, "a.txt")) == [998, 1, 1]
    assert counts_of(split_lines([LINES[:3]], data, "a.txt"), LINES[:3]) == [1, 1, 1]


def test_too_few_lines_are_shown() -> None:
    with pytest.raises(InputError, match=r"a\.txt: all 3 lines are 'a' or 'b'; give at least 3"):
        split_lines([["a", "b"], ["a"]], DataConfig(), "a.txt")


def test_the_seed_divides_otherwise() -> None:
    splits = [split_lines([LINES], DataConfig(split_seed=seed), "a.txt") for seed in (0, 0, 1)]
    assert splits[0] == splits[1]
    together = Counter(zip(splits[0].of(LINES).tolist(), splits[2].of(LINES).tolist(), strict=True))
    assert together[1, 1] < 50  # of 100 lines for validation; by chance some 10
