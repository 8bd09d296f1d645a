"""Which files play the same tune: in another key, at another tempo, or in another arrangement.

A tune is known by its melody alone, as the set of its runs of six intervals. Repeated notes count
once, and rhythm does not count. A signature of 64 numbers stands for the set: runs are hashed to
points of a circle, and each number is the first one that follows one of 64 even places. Two sets
agree at a place where the first point of both together is common to them; the share of such places
estimates how much of the sets is common (MinHash, Broder 1997, with one hash for all numbers as in
Shrivastava and Li 2014). Files that agree in a pair of numbers are compared, so that the time grows
with the number of files, not with that of their pairs.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from seqvae.music.notes import Piece, melody_line, pitched_notes
from seqvae.music.roles import Part, parts_of

RUN = 6  # intervals
WIDEST = 15  # semitones that are told apart
MIN_RUNS = 16  # different ones; fewer are a figure that many pieces share
SIZE = 64  # numbers of a signature
MIN_ALIKE = 0.3  # of two signatures
COMPARED = 2**16  # pairs that are compared at a time

Signature = NDArray[np.uint32]  # (SIZE,), or (0,) where there is no tune

NUM_INTERVALS = 2 * WIDEST + 1
WEIGHTS = NUM_INTERVALS ** np.arange(RUN)  # a run as one number
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio (Knuth 1998, 6.4)
PLACES = np.arange(SIZE, dtype=np.uint64) << np.uint64(58)
NO_TUNE: Signature = np.empty(0, np.uint32)


def signature(piece: Piece, parts: Sequence[Part] | None = None) -> Signature:
    """The signature of the melody of a piece; empty where it is too short or simple to tell.

    `parts` are its tracks with their roles, where they are known.
    """
    pitches = _melody(piece, parts_of(piece) if parts is None else parts).astype(np.int64)
    intervals = pitches[1:] - pitches[:-1]
    intervals = intervals[intervals != 0]
    if len(intervals) < RUN:
        return NO_TUNE
    np.minimum(np.maximum(intervals, -WIDEST, out=intervals), WIDEST, out=intervals)
    points = np.correlate(intervals + WIDEST, WEIGHTS).astype(np.uint64) * FACTOR
    points.sort()
    if np.count_nonzero(points[1:] != points[:-1]) + 1 < MIN_RUNS:
        return NO_TUNE
    following = points.take(points.searchsorted(PLACES), mode="wrap")
    return (following >> np.uint64(32)).astype(np.uint32)


def _melody(piece: Piece, parts: Iterable[Part]) -> NDArray[np.int16]:
    """The pitches of the melody; of all pitched notes the highest, where no track is one."""
    line = next((part.line for part in parts if part.role == "melody"), None)
    if line is None:
        line = melody_line(pitched_notes(piece))
    pitches: NDArray[np.int16] = line["pitch"]
    return pitches


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
    """Pairs of signatures (N, SIZE) that are alike, enough of them to join all that are."""
    found: set[tuple[int, int]] = set()
    for place in range(SIZE // 2):
        opposite = place + SIZE // 2  # neighbours often are one point
        keys = known[:, place].astype(np.uint64) << np.uint64(32) | known[:, opposite]
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
