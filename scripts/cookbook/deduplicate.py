"""Keep one of the lines whose codes are nearly the same.

    seqvae encode runs/my_sentences my_sentences.txt --out codes.npz
    python scripts/cookbook/deduplicate.py codes.npz my_sentences.txt kept.txt --distance 0.1

Of each group the first line stays. The distance is in units of the spread of the codes: 0 takes out
copies alone, and two random lines are about 1.4 apart.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.neighbors import NearestNeighbors


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
    lines = Path(chosen.text).read_text(encoding="utf-8").splitlines()
    if int(ids.max()) > len(lines):
        parser.error(f"{chosen.codes} has codes of more than the {len(lines)} lines of the text")
    spread = np.sqrt(means.var(0).sum())
    index = NearestNeighbors(radius=chosen.distance * spread).fit(means)
    stays = np.ones(len(means), bool)
    for row in range(len(means)):
        if stays[row]:
            (near,) = index.radius_neighbors(means[row : row + 1], return_distance=False)
            stays[near[near > row]] = False
    Path(chosen.kept).write_text(
        "".join(f"{lines[number - 1]}\n" for number in ids[stays]), encoding="utf-8"
    )
    print(f"{chosen.kept}: {stays.sum()} of {len(means)} lines; {(~stays).sum()} were like others")


if __name__ == "__main__":
    main()
