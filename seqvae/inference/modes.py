"""Samples in major or in minor: a prior has both, so that samples are drawn until enough fit."""

import logging
from collections.abc import Callable

from seqvae.inference.codec import Item
from seqvae.music.keys import find_key, key_name
from seqvae.music.notes import Key, pitched_notes

MAX_ROUNDS = 10
STEPS_PER_QUARTER = 4

logger = logging.getLogger(__name__)


def in_mode_of(key: Key, draw: Callable[[], list[Item]], number: int) -> list[Item]:
    """The first samples of several draws whose notes suggest the mode of a key.

    Where too few do, others fill up the `number`, and a warning says so.
    """
    fitting: list[Item] = []
    others: list[Item] = []
    for _ in range(MAX_ROUNDS):
        for item in draw():
            (fitting if is_minor(item) == key.is_minor else others).append(item)
        if len(fitting) >= number:
            return fitting[:number]
    logger.warning(
        "%d of %d samples are in %s, the others in the relative key: the model writes few like it",
        len(fitting), number, key_name(key),
    )  # fmt: skip
    return (fitting + others)[:number]


def is_minor(item: Item) -> bool | None:
    """Whether the notes of an output suggest a minor key; None if they suggest none."""
    from seqvae.music.midi import read_midi  # here, so that text starts without it

    assert not isinstance(item, str)
    found = find_key(pitched_notes(read_midi(item, STEPS_PER_QUARTER)))
    return None if found is None else found.is_minor
