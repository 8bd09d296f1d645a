"""Attributes of text by hand; those of music are tested with their definitions."""

import pytest

from seqvae.inference.measures import ATTRIBUTES
from seqvae.music.features import MEASURES

TEXT = ATTRIBUTES["text"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("length", "Two dogs  run.", 3),
        ("word_length", "Two dogs run.", 10 / 3),
        ("question", "Is it so? ", 1),
        ("question", "It is so.", 0),
        ("past_tense", "The service was slow", 1),
        ("past_tense", "They Walked home", 1),
        ("past_tense", "A red wasp", 0),
    ],
)
def test_a_measure_of_text_by_hand(name: str, text: str, expected: float) -> None:
    assert TEXT[name](text) == pytest.approx(expected)


def test_every_measure_of_an_empty_text_is_finite() -> None:
    assert [measure("") for measure in TEXT.values()] == [0, 0, 0, 0]


def test_attributes_are_found_by_modality() -> None:
    assert set(ATTRIBUTES) == {"music", "text", "symbols"}
    assert ATTRIBUTES["music"] is MEASURES
    assert list(TEXT) == ["length", "word_length", "question", "past_tense"]
