"""Learn to tell labels from codes, and say how well it does on lines that it has not seen.

    python scripts/cookbook/classify.py runs/my_sentences my_labels.tsv

A line of the file is a label, a tab, and a sentence or the path of a MIDI file.
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import seqvae
from seqvae.corpus.encodings import read_text
from seqvae.errors import InputError, in_one_line
from seqvae.reasons import amount


@in_one_line()
def main() -> None:
    """Cross-validate a linear classifier in a pipeline behind the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="a run or a bundle")
    parser.add_argument("labels", help="the file")
    parser.add_argument("--folds", type=int, default=5, help="parts that are held out in turn")
    chosen = parser.parse_args()
    vae = seqvae.load(chosen.run)
    labels: list[str] = []
    inputs: list[Any] = []
    left_out: list[str] = []
    for number, line in enumerate(read_text(Path(chosen.labels)).split("\n"), start=1):
        label, tab, source = line.partition("\t")
        if line.strip() and not tab:
            raise InputError(f"{chosen.labels}: line {number} has no tab between label and input")
        try:
            inputs += vae.codec.opened(source) if line.strip() else []
            labels += [label] * (len(inputs) - len(labels))  # of a folder there are several
        except InputError as error:
            left_out.append(f"line {number}: {error}")
    if left_out:
        print(f"{amount(len(left_out), 'line')} left out, such as {left_out[0]}")
    counts = Counter(labels).most_common()
    if chosen.folds < 2 or len(counts) < 2 or counts[-1][1] < chosen.folds:
        told = ", ".join(f"{label!r} ({count})" for label, count in counts) or "none"
        raise InputError(
            "it takes two labels or more, two folds or more, and of each label as many lines as "
            f"folds ({chosen.folds}); {chosen.labels} has {told}"
        )
    pipeline = make_pipeline(vae, StandardScaler(), LogisticRegression(max_iter=1000))
    scores = cross_val_score(pipeline, inputs, labels, cv=chosen.folds, error_score="raise")
    print(
        f"{scores.mean():.3f} of {len(labels)} labels are told right from codes of "
        f"{amount(vae.model.config.latent_dim, 'number')}; the most frequent label alone: "
        f"{counts[0][1] / len(labels):.3f}"
    )


if __name__ == "__main__":
    main()
