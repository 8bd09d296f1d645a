"""The few clips of a user, each once, as the encoder and the training take them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqvae.corpus.store import Split
from seqvae.errors import InputError
from seqvae.inference.codec import Codec
from seqvae.inference.encoding import rows_in
from seqvae.inference.options import Reading
from seqvae.reasons import amount
from seqvae.tokenizers.contract import Ids

MIN_CLIPS, ENOUGH_CLIPS, MAX_CLIPS = 3, 12, 200

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Clips:
    """Different clips, in the order of files and time."""

    ids: list[Ids]
    sources: list[str]
    """The file of each."""

    def __len__(self) -> int:
        """Their number."""
        return len(self.ids)

    def some(self, numbers: Sequence[int]) -> "Clips":
        """Those with these numbers."""
        return Clips([self.ids[i] for i in numbers], [self.sources[i] for i in numbers])

    def split(self) -> Split:
        """As a training takes them."""
        return Split(np.concatenate(self.ids), np.cumsum([0, *map(len, self.ids)]))


def read_clips(
    codec: Codec, places: Sequence[str], reading: Reading, column: str | None = None
) -> Clips:
    """The windows of music or lines of text in files, folders, globs or corpora.

    Raises:
        InputError: a place cannot be read, or they are too few.
    """
    found: dict[bytes, tuple[Ids, str]] = {}
    number = 0
    for place in places:
        for rows in rows_in(codec, place, reading, column):
            number += len(rows.sequences)
            for ids in rows.sequences:
                found.setdefault(ids.tobytes(), (ids, rows.source))
    different = amount(len(found), "different " + noun(codec))
    told = different if len(found) == number else f"{different} of {number}"
    if len(found) < MIN_CLIPS:
        raise InputError(
            f"{', '.join(places)}: {told}; give {MIN_CLIPS} or more, and better {ENOUGH_CLIPS}"
        )
    if len(found) < ENOUGH_CLIPS:
        logger.warning("%s: few; %d or more show better what helps", told, ENOUGH_CLIPS)
    elif len(found) <= MAX_CLIPS:
        logger.info("%s", told)
    else:
        logger.warning(
            "%s: %d of them are taken, evenly; so many are enough for train --init_from",
            told, MAX_CLIPS,
        )  # fmt: skip
    taken = np.linspace(0, len(found) - 1, min(len(found), MAX_CLIPS)).round().astype(int)
    return Clips(*map(list, zip(*found.values(), strict=True))).some(taken.tolist())


def noun(codec: Codec) -> str:
    """What one of the clips of a model is called."""
    if codec.tokenizer.modality == "text":
        return "sentence"
    return "clip"
