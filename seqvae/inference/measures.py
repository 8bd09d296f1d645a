"""Named attributes: properties of a text or a piece that can be measured, and so be moved along.

An attribute is a function of one text or piece that returns a number; it needs no model. To add
one, write the function and add it to its table. The measures of music stand in `music.features`.
"""

import re
from collections.abc import Callable
from typing import Any

from seqvae.music.features import MEASURES
from seqvae.tokenizers import AnyTokenizer

PAST = re.compile(r"\b(?:was|were|had|did|went|came|said|got|made|took|saw|found|\w{3,}ed)\b", re.I)


def length(text: str) -> float:
    """Number of words."""
    return float(len(text.split()))


def word_length(text: str) -> float:
    """Mean number of letters in a word."""
    words = re.findall(r"\w+", text)
    return sum(map(len, words)) / len(words) if words else 0.0


def question(text: str) -> float:
    """1 if the text ends with a question mark, else 0."""
    return float(text.rstrip().endswith("?"))


def past_tense(text: str) -> float:
    """1 if a word looks like an English past tense, else 0."""
    return float(PAST.search(text) is not None)


def num_characters(text: str) -> float:
    """Number of characters."""
    return float(len(text))


ATTRIBUTES: dict[str, dict[str, Callable[[Any], float]]] = {
    "music": MEASURES,
    "text": {measure.__name__: measure for measure in (length, word_length, question, past_tense)},
    "symbols": {"length": num_characters},
}


def measures_of(tokenizer: AnyTokenizer) -> dict[str, Callable[[Any], float]]:
    """The attributes of the texts or pieces of a tokenizer."""
    if tokenizer.modality == "text" and not tokenizer.has_words:
        return ATTRIBUTES["symbols"]
    return ATTRIBUTES[tokenizer.modality]
