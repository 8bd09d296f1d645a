"""The table of tokenizers, and what all of them have in common."""

from pathlib import Path
from typing import Any

import pytest

from seqvae.errors import InputError
from seqvae.tokenizers import load_tokenizer, make_tokenizer


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"kind": "text", "vocab_size": 258}, "vocab_size is 258; it must be above 258"),
        ({"kind": "text", "vocab_size": "4000"}, "vocab_size is '4000'"),
        ({"kind": "text", "max_steps": 1}, "max_steps is 1; it must be 2 or more"),
        ({"kind": "text", "proto": "abc"}, "text tokenizer has no 'proto'"),
        ({"kind": "text", "num_bars": 2}, "text tokenizer has no 'num_bars'"),
        ({"kind": "words", "vocab_size": 2}, "vocab_size is 2; it must be 3 or more"),
        ({"kind": "words", "max_steps": 0}, "max_steps is 0"),
        ({"kind": "words", "max_steps": 9.5}, "max_steps is 9.5"),
        ({"kind": "words", "words": ["a"]}, "words tokenizer has no 'words'"),
        ({}, "tokenizer kind is None"),
    ],
    ids=str,
)
def test_impossible_settings_are_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError) as caught:
        make_tokenizer(settings)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"kind": "text"}',
        '{"kind": "nothing"}',
        '{"vocab_size": 4000}',
        '{"kind": "text", "proto": "AAAA", "size": 3}',
        '{"kind": "text", "proto": "not base 64!"}',
        '{"kind": "text", "proto": "AAAA"}',
        '{"kind": "words", "vocab_size": 1}',
        '{"kind": "melody", "metres": ["5/0"]}',
    ],
)
def test_a_damaged_tokenizer_file_is_an_input_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(InputError, match=r"tokenizer\.json: damaged") as caught:
        load_tokenizer(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_missing_tokenizer_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tokenizer\.json is missing"):
        load_tokenizer(tmp_path)
