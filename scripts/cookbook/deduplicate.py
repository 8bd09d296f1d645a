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

from seqvae.corpus.encodings import read_text
from seqvae.disk import write_file
from seqvae.errors import InputError, in_one_line
from seqvae.inference.code_table import read_codes
from seqvae.reasons import amount

SHOWN = 3  # pairs of lines that are alike, to see whether the distance is right


@in_one_line()
def main() -> None:
    """Write the lines that stay, and say how many there are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("codes", help="what seqvae encode wrote of the text, or of several")
    parser.add_argument("text", help="the text")
    parser.add_argument("kept", help="the file for the lines that stay")
    parser.add_argument("--distance", type=float, default=0.1, help="up to which lines are alike")
    chosen = parser.parse_args()
    means, of = read_codes(Path(chosen.codes))
    text = Path(chosen.text)
    lines = read_text(text).split("\n")
    is_text = [Path(source).resolve() == text.resolve() for source in of.sources]
    if not any(is_text):
        raise InputError(f"{chosen.codes} has codes of {', '.join(of.sources)}, not of {text}")
    of_text = np.array(is_text)[of.source]
    means, ids = means[of_text], of.ids[of_text]
    if int(ids.max()) > len(lines):
        raise InputError(
            f"{chosen.codes} has codes of more than the {len(lines)} lines of the text"
        )
    if not 0 <= chosen.distance < np.inf:
        raise InputError(f"--distance {chosen.distance}: it must be 0 or more")
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
    write_file(Path(chosen.kept), "".join(f"{line}\n" for line in kept))
    told = f"{len(gone)} {'was like another' if len(gone) == 1 else 'were like others'}"
    lines_of_text = amount(len(kept) + len(gone), "line")
    print(f"{chosen.kept}: {len(kept)} of {lines_of_text}; {told}{', such as' if gone else ''}")
    for row in left_out[:SHOWN]:
        for number in ids[[row, like[row]]]:
            print(f"  line {number}: {lines[number - 1]}")


if __name__ == "__main__":
    main()
