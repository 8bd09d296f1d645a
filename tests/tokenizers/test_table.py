"""The table of tokenizers, and what all of them have in common."""

from pathlib import Path
from typing import Any

import pytest

from seqvae.errors import InputError
from seqvae.model.config import Steps
from seqvae.tokenizers import (
    TOKENIZERS,
    complete_settings,
    load_tokenizer,
    make_tokenizer,
    save_tokenizer,
)

STEPS = {
    "text": Steps(vocab_sizes=(300,), max_steps=64, eos_id=1),
    "words": Steps(vocab_sizes=(5,), max_steps=100, eos_id=0),
    "symbols": Steps(vocab_sizes=(9,), max_steps=128, eos_id=0),
    "melody": Steps(vocab_sizes=(90,), max_steps=16, condition_sizes=(61,)),
    "drums": Steps(vocab_sizes=(512,), max_steps=16, num_members=(9,), condition_sizes=(61,)),
    "groove": Steps(
        vocab_sizes=(512, *(33,) * 18), max_steps=16, num_members=(9, *(0,) * 18),
        condition_sizes=(61,),
    ),
    "trio": Steps(
        vocab_sizes=(90, 90, 512), max_steps=16, num_members=(0, 0, 9), condition_sizes=(61,)
    ),
    "voices": Steps(vocab_sizes=(90,) * 4, max_steps=16, condition_sizes=(61,)),
    "polyphony": Steps(
        vocab_sizes=(129, 16) * 8, max_steps=16, slot_size=2, condition_sizes=(61,)
    ),
}  # fmt: skip
SETTINGS = {
    kind: {"chords": True, "num_bars": 1} if steps.condition_sizes else {}
    for kind, steps in STEPS.items()
} | {"text": {"vocab_size": 300}}


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_model_is_told_the_steps_of_every_kind(kind: str) -> None:
    tokenizer = make_tokenizer({"kind": kind} | SETTINGS[kind])
    if tokenizer.kind in ("words", "symbols"):
        tokenizer = tokenizer.train(["one two three"])
    assert tokenizer.steps == STEPS[kind]
    num_channels = tokenizer.steps.slot_size or len(tokenizer.vocab_sizes)
    assert len(tokenizer.channels) == num_channels


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_settings_of_every_kind_come_back(kind: str, tmp_path: Path) -> None:
    settings = {"kind": kind, **SETTINGS[kind]}
    complete = complete_settings(settings)
    assert complete.items() >= settings.items()
    tokenizer = make_tokenizer(complete)
    assert tokenizer == make_tokenizer(settings)
    assert type(tokenizer) is TOKENIZERS[kind]
    assert (TOKENIZERS[kind].kind, complete_settings(complete)) == (kind, complete)
    if tokenizer.modality == "text":
        tokenizer = tokenizer.train(["one two three", "four five"] * 9)
    save_tokenizer(tokenizer, tmp_path)
    assert load_tokenizer(tmp_path) == tokenizer


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
