"""Learn to tell labels from codes, and say how well it does on lines that it has not seen.

    python scripts/cookbook/classify.py runs/my_sentences my_labels.tsv

A line of the file is a label, a tab, and a sentence or the path of a MIDI file.
"""

import argparse
from collections import Counter
from pathlib import Path

from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import seqvae


def main() -> None:
    """Cross-validate a linear classifier in a pipeline behind the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="a run or a bundle")
    parser.add_argument("labels", help="the file")
    parser.add_argument("--folds", type=int, default=5, help="parts that are held out in turn")
    chosen = parser.parse_args()
    lines = Path(chosen.labels).read_text(encoding="utf-8").split("\n")
    rows = [line.split("\t", 1) for line in lines if line.strip()]
    if wrong := [number for number, row in enumerate(rows, start=1) if len(row) < 2]:
        parser.error(f"{chosen.labels}: line {wrong[0]} has no tab between label and input")
    labels, inputs = zip(*rows, strict=True)
    vae = seqvae.load(chosen.run)
    pipeline = make_pipeline(vae, StandardScaler(), LogisticRegression(max_iter=1000))
    scores = cross_val_score(pipeline, inputs, labels, cv=chosen.folds, error_score="raise")
    constant = Counter(labels).most_common(1)[0][1] / len(labels)
    print(
        f"{scores.mean():.3f} of {len(labels)} labels are told right from codes of "
        f"{vae.model.config.latent_dim} numbers; the most frequent label alone: {constant:.3f}"
    )


if __name__ == "__main__":
    main()
