"""Keep one of the lines whose codes are nearly the same.

    seqvae encode runs/my_sentences my_sentences.txt --out codes.npz
    python scripts/cookbook/deduplicate.py codes.npz my_sentences.txt kept.txt --distance 0.1

Of each group the first line stays. So does a line without a code, such as one that is too long. The
distance is in units of the spread of the codes: 0 takes out copies alone, and two random lines are
about 1.4 apart.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.neighbors import NearestNeighbors

SHOWN = 3  # pairs of lines that are alike, to see whether the distance is right


def main() -> None:
    """Write the lines that stay, and say how many there are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("codes", help="what seqvae encode wrote of the text (.npz)")
    parser.add_argument("text", help="the text")
    parser.add_argument("kept", help="the file for the lines that stay")
    parser.add_argument("--distance", type=float, default=0.1, help="up to which lines are alike")
    chosen = parser.parse_args()
    with np.load(chosen.codes) as table:
        means, ids = table["means"], table["ids"]
    lines = Path(chosen.text).read_text(encoding="utf-8").split("\n")
    if int(ids.max()) > len(lines):
        parser.error(f"{chosen.codes} has codes of more than the {len(lines)} lines of the text")
    spread = np.sqrt(means.var(0).sum())
    index = NearestNeighbors(radius=chosen.distance * spread).fit(means)
    like = np.arange(len(means))  # the row that stands for each row
    for row in range(len(means)):
        if like[row] == row:
            (near,) = index.radius_neighbors(means[row : row + 1], return_distance=False)
            like[near[(near > row) & (like[near] == near)]] = row
    left_out = np.flatnonzero(like != np.arange(len(means)))
    gone = {*ids[left_out].tolist()}
    kept = [line for number, line in enumerate(lines, 1) if line and number not in gone]
    Path(chosen.kept).write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    told = f"{len(gone)} were like others" + (", such as" if gone else "")
    print(f"{chosen.kept}: {len(kept)} of {len(kept) + len(gone)} lines; {told}")
    for row in left_out[:SHOWN]:
        for number in ids[[row, like[row]]]:
            print(f"  line {number}: {lines[number - 1]}")


if __name__ == "__main__":
    main()
