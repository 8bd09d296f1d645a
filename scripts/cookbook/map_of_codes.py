"""Draw the codes of a table as points on a plane (t-SNE), one colour a source.

seqvae encode runs/my_sentences happy.txt sad.txt --out codes.npz
python scripts/cookbook/map_of_codes.py codes.npz map.png
"""

import argparse

import matplotlib as mpl
import numpy as np
from sklearn.manifold import TSNE

mpl.use("Agg")
from matplotlib import pyplot as plt


def main() -> None:
    """Read the table and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("codes", help="what seqvae encode wrote (.npz)")
    parser.add_argument("picture", help="the PNG file")
    parser.add_argument("--max_points", type=int, default=5000, help="drawn at random if more")
    chosen = parser.parse_args()
    with np.load(chosen.codes) as table:
        means, source, names = table["means"], table["source"], table["sources"]
    some = np.random.default_rng(0).permutation(len(means))[: chosen.max_points]
    near = min(30.0, (len(some) - 1) / 3)
    plane = TSNE(perplexity=near, random_state=0).fit_transform(means[some])
    figure, axes = plt.subplots(figsize=(8, 8), layout="constrained")
    for number, name in enumerate(names):
        here = plane[source[some] == number]
        axes.scatter(here[:, 0], here[:, 1], s=8, label=str(name))
    axes.set(xticks=[], yticks=[], title="Codes whose points are close are alike")
    axes.legend()
    figure.savefig(chosen.picture, dpi=120)
    print(f"{chosen.picture}: {len(some)} of {len(means)} codes, from {len(names)} sources")


if __name__ == "__main__":
    main()
