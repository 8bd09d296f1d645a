"""Find the lines of a text whose codes are nearest to that of a sentence.

seqvae encode runs/my_sentences my_sentences.txt --out codes.npz
python scripts/cookbook/neighbours.py runs/my_sentences codes.npz "A man likes music."
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.neighbors import NearestNeighbors

import seqvae


def main() -> None:
    """Print the nearest lines with the cosine of the angle between the codes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="a run or a bundle")
    parser.add_argument("codes", help="what seqvae encode wrote of files of text (.npz)")
    parser.add_argument("sentence", help="what the others are compared with")
    parser.add_argument("-n", type=int, default=5, help="number of lines")
    chosen = parser.parse_args()
    with np.load(chosen.codes) as table:
        means, ids, source, names = (table[k] for k in ("means", "ids", "source", "sources"))
    query = seqvae.load(chosen.run).transform([chosen.sentence])
    index = NearestNeighbors(n_neighbors=min(chosen.n, len(means)), metric="cosine").fit(means)
    distances, rows = index.kneighbors(query)
    print(f"of {len(means)} lines the {len(rows[0])} nearest to {chosen.sentence!r}:")
    for distance, row in zip(distances[0], rows[0], strict=True):
        file, number = str(names[source[row]]), int(ids[row])
        line = Path(file).read_text(encoding="utf-8").split("\n")[number - 1]
        print(f"{1 - distance:6.3f}  {file}:{number}  {line}")


if __name__ == "__main__":
    main()
