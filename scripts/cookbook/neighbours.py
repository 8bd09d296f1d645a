"""Find the lines of a text whose codes are nearest to that of a sentence.

seqvae encode runs/my_sentences my_sentences.txt --out codes.npz
python scripts/cookbook/neighbours.py runs/my_sentences codes.npz "A man likes music."
"""

import argparse
from pathlib import Path

from sklearn.neighbors import NearestNeighbors

import seqvae
from seqvae.corpus.encodings import read_text
from seqvae.errors import InputError, in_one_line
from seqvae.inference.bundle import fingerprint
from seqvae.inference.code_table import read_codes
from seqvae.reasons import amount


@in_one_line()
def main() -> None:
    """Print the nearest lines with the cosine of the angle between the codes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="a run or a bundle")
    parser.add_argument("codes", help="what seqvae encode wrote of files of text")
    parser.add_argument("sentence", help="what the others are compared with")
    parser.add_argument("-n", type=int, default=5, help="number of lines")
    chosen = parser.parse_args()
    if chosen.n < 1:
        raise InputError(f"-n {chosen.n}: it must be 1 or more")
    vae = seqvae.load(chosen.run)
    latent_dim, made_by = vae.model.config.latent_dim, fingerprint(vae.model)
    means, of = read_codes(Path(chosen.codes), latent_dim, made_by)
    query = vae.transform([chosen.sentence])
    number = min(chosen.n, len(means))
    index = NearestNeighbors(n_neighbors=number, metric="cosine").fit(means)
    distances, rows = index.kneighbors(query)
    found = [(of.sources[of.source[row]], int(of.ids[row])) for row in rows[0]]
    texts = {file: read_text(Path(file)).split("\n") for file, _ in found}
    print(f"of {amount(len(means), 'line')} the {number} nearest to {chosen.sentence!r}:")
    for distance, (file, line) in zip(distances[0], found, strict=True):
        if line > len(texts[file]):
            raise InputError(f"{file}: has no line {line} any more; encode it again")
        print(f"{1 - distance:6.3f}  {file}:{line}  {texts[file][line - 1]}")


if __name__ == "__main__":
    main()
