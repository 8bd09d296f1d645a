"""How much of what a model writes stands in its training split, token by token.

A span is `SPAN` steps from a multiple of `SPAN` on, in which at least `MIN_NOTES` notes begin: a
rest or a held note is no copy. It is looked for at every step of every training sequence, not
transposed. Spans are compared by 64-bit hashes: random odd numbers times the tokens, added up.

Axes: M spans, T steps, C channels.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from seqvae.corpus.store import Split
from seqvae.music.notes import Piece
from seqvae.tokenizers.contract import Ids

SPAN, MIN_NOTES = 16, 4
CHUNK = 2**20  # steps of a split that are hashed together

Hashes = NDArray[np.uint64]


def share_copied(
    sequences: Sequence[Ids], pieces: Sequence[Piece], train: Split, num_channels: int
) -> float | None:
    """The share of spans that stand in the training split; None if there are no spans.

    `pieces` are what the sequences stand for. Channels beyond `num_channels` are conditions.
    """
    spans = [span[:, :num_channels] for pair in zip(sequences, pieces, strict=True)
             for span in _spans(*pair)]  # fmt: skip
    if not spans:
        return None
    wanted = np.concatenate([_hashes(span) for span in spans])
    is_found = np.zeros(len(wanted), bool)
    for hashes in _training_hashes(train, num_channels):
        is_found |= np.isin(wanted, hashes)
    return float(is_found.mean())


def _spans(ids: Ids, piece: Piece) -> Iterator[Ids]:
    """The spans of a sequence."""
    number = piece.notes["start"] // SPAN
    for place in range(len(ids) // SPAN):
        if (number == place).sum() >= MIN_NOTES:
            yield ids[place * SPAN : (place + 1) * SPAN]


def _training_hashes(train: Split, num_channels: int) -> Iterator[Hashes]:
    """The hashes of all spans that lie within one training sequence."""
    starts = train.offsets[:-1]
    per_chunk = max(1, CHUNK // max(1, int(train.lengths.max(initial=1))))
    for first in range(0, len(starts), per_chunk):
        ends = train.offsets[first + 1 : first + per_chunk + 1]
        begin = int(starts[first])
        hashes = _hashes(train.tokens[begin : int(ends[-1]), :num_channels])
        is_inside = np.ones(len(hashes) + SPAN - 1, bool)
        for back in range(1, SPAN):
            is_inside[np.maximum(ends - begin - back, 0)] = False
        yield hashes[is_inside[: len(hashes)]]


def _hashes(tokens: NDArray[np.integer]) -> Hashes:
    """The hash of the span at each step, (T - SPAN + 1,)."""
    rng = np.random.default_rng(0)
    factors = rng.integers(1, 2**63, (SPAN, tokens.shape[1]), np.uint64) * 2 + 1
    count = max(0, len(tokens) - SPAN + 1)
    hashes = np.zeros(count, np.uint64)
    numbers = tokens.astype(np.uint64) + 1
    for step, row in enumerate(factors):
        for channel, factor in enumerate(row):
            hashes += numbers[step : step + count, channel] * factor
    return hashes
