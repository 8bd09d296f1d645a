"""Bars and parts by name."""

import pytest

from seqvae.errors import InputError
from seqvae.music.selection import parse_selection

PARTS = ("melody", "bass", "drums")


def test_bars_and_parts_are_told_apart() -> None:
    one = parse_selection("1-4", PARTS, "keep")
    assert (one.bars, one.parts) == ({1, 2, 3, 4}, set())
    both = parse_selection(" 3, 7-8 ,Drums,bass", PARTS, "keep")
    assert (both.bars, both.parts) == ({3, 7, 8}, {"drums", "bass"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0-2", "keep is '0-2'; bars rise from 1"),
        ("4-2", "bars rise from 1"),
        ("99999999", "bars rise from 1"),
        ("piano", "keep has 'piano'; name bars.*the parts of this model are melody, bass, drums"),
        ("", "keep has ''"),
        ("1-", "keep has '1-'"),
        ("1,,2", "keep has ''"),
    ],
)
def test_what_is_neither_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_selection(text, PARTS, "keep")


def test_a_model_without_parts_says_so() -> None:
    with pytest.raises(InputError, match="no parts to choose from"):
        parse_selection("drums", (), "keep")
