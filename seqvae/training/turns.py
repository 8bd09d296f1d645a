"""Clips that are held out by turns, so that few of them can still tell what helps.

Axes: N clips.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

NUM_TURNS = 4


def turns(sources: Sequence[str]) -> list[list[int]]:
    """The numbers of the clips that are held out in each turn; `sources` has the file of each.

    Whole files are held out where there are enough of them, because clips of one file resemble each
    other. Otherwise the clips are cut into stretches of time.
    """
    sizes = Counter(sources)
    num_turns = min(NUM_TURNS, len(sources))
    if len(sizes) < num_turns or max(sizes.values()) > len(sources) / 2:
        return [part.tolist() for part in np.array_split(np.arange(len(sources)), num_turns)]
    parts: list[list[str]] = [[] for _ in range(num_turns)]
    for source, _ in sizes.most_common():
        min(parts, key=lambda part: sum(sizes[each] for each in part)).append(source)
    return [[i for i, source in enumerate(sources) if source in part] for part in parts]
