"""Draw the codes of a table as points on a plane (t-SNE), one colour a source.

seqvae encode runs/my_sentences happy.txt sad.txt --out codes.npz
python scripts/cookbook/map_of_codes.py codes.npz map.png
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.manifold import TSNE

from seqvae.disk import require_folder
from seqvae.errors import InputError, in_one_line
from seqvae.inference.code_table import read_codes
from seqvae.reasons import amount

mpl.use("Agg")
from matplotlib import pyplot as plt

FEWEST = 4  # points that t-SNE can spread out


@in_one_line()
def main() -> None:
    """Read the table and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("codes", help="what seqvae encode wrote")
    parser.add_argument("picture", help="the PNG file")
    parser.add_argument("--max_points", type=int, default=5000, help="drawn at random if more")
    chosen = parser.parse_args()
    means, of = read_codes(Path(chosen.codes))
    picture = Path(chosen.picture)
    if picture.suffix.lower() != ".png":
        raise InputError(f"{picture}: it must end in .png")
    require_folder(picture.parent)
    if min(len(means), chosen.max_points) < FEWEST:
        raise InputError(
            f"{chosen.codes} has {amount(len(means), 'code')}, and --max_points is "
            f"{chosen.max_points}; a map takes {FEWEST} or more"
        )
    some = np.random.default_rng(0).permutation(len(means))[: chosen.max_points]
    near = min(30.0, (len(some) - 1) / 3)
    plane = TSNE(perplexity=near, init="random", random_state=0).fit_transform(means[some])
    figure, axes = plt.subplots(figsize=(8, 8), layout="constrained")
    for number, name in enumerate(of.sources):
        here = plane[of.source[some] == number]
        axes.scatter(here[:, 0], here[:, 1], s=8, label=name)
    axes.set(xticks=[], yticks=[], title="Codes whose points are close are alike")
    axes.legend()
    figure.savefig(picture, dpi=120)
    told = f"{amount(len(means), 'code')}, from {amount(len(of.sources), 'source')}"
    print(f"{picture}: {len(some)} of {told}")


if __name__ == "__main__":
    main()
