"""Lines -> splits by a hash of the line, so that all copies of a line are in the same split.

The lines with the lowest hashes are for validation, those above them for the test, all others for
training. So the split of a line needs no memory of other lines.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqvae.corpus.config import DataConfig
from seqvae.corpus.sources import assign_splits
from seqvae.errors import InputError

MIN_DISTINCT = 3  # lines: one for each split
NUM_RANKED = 100_000  # distinct lines that are divided exactly

Hashes = NDArray[np.uint64]


def hashes_of(lines: list[str], seed: int = 0) -> Hashes:
    """A hash of each line; another seed gives other hashes."""
    salt = seed.to_bytes(16, "little")
    digests = [
        hashlib.blake2b(line.encode(errors="surrogatepass"), digest_size=8, salt=salt).digest()
        for line in lines
    ]
    return np.frombuffer(b"".join(digests), "<u8")


@dataclass(frozen=True)
class LineSplit:
    """Where the held-out splits end among the hashes."""

    seed: int
    valid_end: int
    test_end: int

    def of(self, lines: list[str]) -> NDArray[np.int64]:
        """The split of each line: 0 for training, 1 for validation, 2 for the test."""
        ends = np.array([self.valid_end, self.test_end], np.uint64)
        return (1 + np.searchsorted(ends, hashes_of(lines, self.seed), side="right")) % 3


def split_lines(blocks: Iterable[list[str]], data: DataConfig, places: str) -> LineSplit:
    """The split of the lines of some `places` by the shares of the settings; none stays empty.

    `NUM_RANKED` distinct lines stand for all where there are more: hashes are spread evenly.

    Raises:
        InputError: there are fewer than three distinct lines.
    """
    known, few, num_lines = set[int](), dict[str, None](), 0
    for lines in blocks:
        num_lines += len(lines)
        known.update(hashes_of(lines, data.split_seed).tolist())
        few |= dict.fromkeys(lines if len(few) < MIN_DISTINCT else ())
        if len(known) >= NUM_RANKED:
            break
    if len(known) < MIN_DISTINCT:
        shown = " or ".join(repr(line[:60]) for line in few)
        all_of = "the only line is" if num_lines == 1 else f"all {num_lines} lines are"
        raise InputError(f"{places}: {all_of} {shown}; give at least 3 different lines")
    counts = Counter(assign_splits([1] * len(known), data))
    ranked = sorted(known)
    num_held_out = counts["valid"] + counts["test"]
    return LineSplit(data.split_seed, ranked[counts["valid"]], ranked[num_held_out])
