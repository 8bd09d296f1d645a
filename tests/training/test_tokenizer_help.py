"""The help of a config has every setting of every tokenizer."""

from dataclasses import fields

import pytest

from seqvae.tokenizers import TOKENIZERS, make_tokenizer
from seqvae.training.tokenizer_help import tokenizer_help


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_every_setting_is_explained_with_its_default(kind: str) -> None:
    shown = " ".join(tokenizer_help().split())
    for field in fields(TOKENIZERS[kind]):
        assert (f"--data.tokenizer.{field.name} " in shown) == (
            field.name not in TOKENIZERS[kind].learned
        )
    assert "(melody, drums, groove: 2; trio: 16; voices, polyphony: 4)" in shown
    assert "trio, voices, polyphony: 4/4,2/2,2/4)" in shown
    assert max(map(len, tokenizer_help().splitlines())) < 80


def test_metres_may_be_one_word() -> None:
    tokenizer = make_tokenizer({"kind": "melody", "metres": "3/4, 6/8"})
    assert tokenizer.to_json()["metres"] == ("3/4", "6/8")
