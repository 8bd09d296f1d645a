"""Which files play the same tune: in another key, at another tempo, or in another arrangement.

A tune is known by its melody alone, as the set of its runs of six intervals. Repeated notes count
once, and rhythm does not count. A signature of 64 numbers stands for the set: the share in which
two signatures agree estimates how much of the two sets is common (MinHash, Broder 1997). Files that
agree in a pair of numbers are compared, so that the time grows with the number of files, not with
that of their pairs.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqvae.music.notes import Notes, Piece, melody_line, pitched_notes
from seqvae.music.roles import parts_of

NUM_INTERVALS = 6  # of a run
WIDEST = 15  # semitones that are told apart
MIN_RUNS = 16  # different ones; fewer are a figure that many pieces share
NUM_HASHES = 64
MIN_ALIKE = 0.3  # of two signatures
COMPARED = 2**16  # pairs that are compared at a time

Signature = NDArray[np.uint32]  # (NUM_HASHES,), or (0,) where there is no tune

_rng = np.random.default_rng(0)
FACTORS = _rng.integers(2**63, size=NUM_HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
OFFSETS = _rng.integers(2**63, size=NUM_HASHES, dtype=np.uint64)
NO_TUNE: Signature = np.empty(0, np.uint32)


def signature(piece: Piece) -> Signature:
    """The signature of the melody of a piece; empty where it is too short or simple to tell."""
    pitches = _melody(piece)["pitch"].astype(np.int64)
    intervals = np.diff(pitches)
    intervals = intervals[intervals != 0].clip(-WIDEST, WIDEST) + WIDEST
    if len(intervals) < NUM_INTERVALS:
        return NO_TUNE
    num_runs = len(intervals) - NUM_INTERVALS + 1
    numbers = intervals[:num_runs].copy()
    for later in range(1, NUM_INTERVALS):
        numbers *= 2 * WIDEST + 1
        numbers += intervals[later : later + num_runs]
    numbers.sort()
    runs = numbers[np.append(True, numbers[1:] != numbers[:-1])].astype(np.uint64)
    if len(runs) < MIN_RUNS:
        return NO_TUNE
    hashes = runs[:, None] * FACTORS
    hashes += OFFSETS
    lowest: Signature = (hashes.min(0) >> np.uint64(32)).astype(np.uint32)
    return lowest


def _melody(piece: Piece) -> Notes:
    """The melody of a piece; of all pitched notes the highest, where no track is one."""
    tracks = piece.notes["track"]
    if len(tracks) and (tracks != tracks[0]).any():
        for part in parts_of(piece):
            if part.role == "melody":
                return part.line
    return melody_line(pitched_notes(piece))


def same_tunes(signatures: Sequence[Signature]) -> NDArray[np.int64]:
    """For each file the number of the first one that plays its tune; its own if none does."""
    first = np.arange(len(signatures))
    having = np.array([i for i, found in enumerate(signatures) if len(found)], np.int64)
    if len(having) < 2:
        return first
    known = np.stack([signatures[i] for i in having.tolist()])
    for one, other in _alike(known):
        roots = sorted((_root(first, int(having[one])), _root(first, int(having[other]))))
        first[roots[1]] = roots[0]
    return np.array([_root(first, number) for number in range(len(first))], np.int64)


def _alike(known: NDArray[np.uint32]) -> list[tuple[int, int]]:
    """Pairs of signatures (N, NUM_HASHES) that are alike, enough of them to join all that are."""
    found: set[tuple[int, int]] = set()
    for band in range(0, NUM_HASHES, 2):
        keys = known[:, band].astype(np.uint64) << np.uint64(32) | known[:, band + 1]
        order = np.argsort(keys, kind="stable")
        places = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
        for start in range(0, len(places), COMPARED):
            some = places[start : start + COMPARED]
            one, other = order[some], order[some + 1]
            is_alike = (known[one] == known[other]).mean(1) >= MIN_ALIKE
            found.update(zip(one[is_alike].tolist(), other[is_alike].tolist(), strict=True))
    return sorted(found)


def _root(first: NDArray[np.int64], number: int) -> int:
    """The first of the files that are known to play the tune of a file; the way is shortened."""
    while first[number] != number:
        first[number] = first[first[number]]
        number = int(first[number])
    return number
