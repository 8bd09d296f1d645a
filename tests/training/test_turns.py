"""Clips that are held out by turns."""

import pytest

from seqvae.training.turns import turns


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ("aabbccdd", [[0, 1], [2, 3], [4, 5], [6, 7]]),
        ("aaabcde", [[0, 1, 2], [3, 6], [4], [5]]),  # whole files, as even as they come
        ("aaaaaaaa", [[0, 1], [2, 3], [4, 5], [6, 7]]),  # one session: stretches of time
        ("aaaaaaabcd", [[0, 1, 2], [3, 4, 5], [6, 7], [8, 9]]),  # most of it is one file
        ("abc", [[0], [1], [2]]),
    ],
)
def test_whole_files_are_held_out_or_else_stretches_of_time(
    sources: str, expected: list[list[int]]
) -> None:
    assert turns([*sources]) == expected
