"""Sentiment in the codes of a model that was never told of it: can it be read, and be changed?

    python scripts/benchmark_sentiment.py runs/short_yelp labelled/train.txt labelled/test.txt

A line of both files is a label (0 or 1), a tab and a sentence. The direction is fitted on the codes
of the first file. All figures are of the second:

- probe_accuracy: how often the direction's score of the posterior mean agrees with the label;
- flipped: the fraction of sentences that a judge reads as the opposite after a shift towards it.
  The judge is a linear classifier of words and pairs of words, trained on the first file; it never
  sees the model. Only sentences count that it reads as labelled before the shift;
- kept: the fraction of a sentence's words that are in the result. `kept_neutral` counts the half of
  the words that have the smallest weights in the judge.

Amount 0 is the reconstruction. Results go to results/sentiment.json.
"""

import argparse
import json
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from benchmarking import markdown, measured_row, write_row
from torch import Tensor, nn
from tqdm import tqdm

import seqvae
from seqvae.inference.trained import TrainedVAE

RESULTS = Path(__file__).parent / "results" / "sentiment.json"
AMOUNTS = (0.0, 0.5, 1.0, 1.5, 2.0)
NUM_BUCKETS = 2**18  # of words and pairs, hashed
EPOCHS, BATCH_SIZE, LEARNING_RATE = 3, 256, 3e-3


class Judge:
    """Logistic regression on words and pairs of words."""

    def __init__(self, sentences: list[str], labels: Tensor, seed: int = 0) -> None:
        """Train on sentences and their labels, 0 or 1."""
        self.weights = nn.EmbeddingBag(NUM_BUCKETS, 1, mode="sum")
        nn.init.zeros_(self.weights.weight)
        optimizer = torch.optim.Adam(self.weights.parameters(), LEARNING_RATE)
        generator = torch.Generator().manual_seed(seed)
        for _ in range(EPOCHS):
            order = torch.randperm(len(sentences), generator=generator)
            for batch in tqdm(torch.split(order, BATCH_SIZE), desc="judge", leave=False):
                logits = self._logits([sentences[i] for i in batch.tolist()])
                loss = nn.functional.binary_cross_entropy_with_logits(logits, labels[batch])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]  # of torch
                optimizer.step()

    @torch.no_grad()
    def positive(self, sentences: list[str]) -> Tensor:
        """Which sentences sound positive."""
        return self._logits(sentences) > 0

    @torch.no_grad()
    def strength(self, word: str) -> float:
        """How much a word says about the sentiment."""
        return float(self.weights.weight[bucket(word)].abs())

    def _logits(self, sentences: list[str]) -> Tensor:
        bags = [[bucket(feature) for feature in features(text)] for text in sentences]
        offsets = torch.tensor([0, *map(len, bags[:-1])]).cumsum(0)
        logits: Tensor = self.weights(torch.tensor([b for bag in bags for b in bag]), offsets)
        return logits[:, 0]


def features(sentence: str) -> list[str]:
    """Words and pairs of neighbours."""
    words = sentence.split()
    return [*words, *(f"{a} {b}" for a, b in pairwise(words))]


def bucket(feature: str) -> int:
    """The index of a feature's weight, the same on every machine."""
    return zlib.crc32(feature.encode()) % NUM_BUCKETS


def measure(vae: TrainedVAE, train: Path, test: Path, seed: int) -> dict[str, Any]:
    """All figures of a model."""
    sentences, labels = read(test)
    judge = Judge(*read(train), seed=seed)
    vae.attributes(names=["length"], labels=train, seed=seed)
    name = train.stem
    score = vae.directions.score(vae.encode(sentences).mean.cpu())
    probe = (score[:, vae.directions.names.index(name)] > 0) == labels.bool()
    judged_right = judge.positive(sentences) == labels.bool()
    chosen = [text for text, right in zip(sentences, judged_right.tolist(), strict=True) if right]
    wanted = ~labels.bool()[judged_right]
    words = sorted({word for text in chosen for word in text.split()}, key=judge.strength)
    neutral = set(words[: len(words) // 2])
    shifts = []
    for amount in AMOUNTS:
        results = shifted(vae, chosen, wanted, name, amount)
        shifts.append({
            "amount": amount,
            "flipped": float((judge.positive(results) == wanted).double().mean()),
            "kept": kept(chosen, results, set(words)),
            "kept_neutral": kept(chosen, results, neutral),
            "examples": [[chosen[i], results[i]] for i in range(0, len(chosen), len(chosen) // 6)],
        })  # fmt: skip
    return {
        "num_sentences": len(sentences),
        "probe_accuracy": float(probe.double().mean()),
        "judge_accuracy": float(judged_right.double().mean()),
        "shift": shifts,
    }


def shifted(
    vae: TrainedVAE, sentences: list[str], wanted: Tensor, name: str, amount: float
) -> list[str]:
    """Move each sentence towards the wanted sentiment."""
    if not amount:
        return [str(item) for item in vae.reconstruct(sentences)]
    results = [""] * len(sentences)
    for way in (True, False):
        chosen = torch.nonzero(wanted == way)[:, 0].tolist()
        if not chosen:
            continue
        moved = vae.shift(
            [sentences[i] for i in chosen], attribute=name, amount=amount if way else -amount
        )
        for i, item in zip(chosen, moved, strict=True):
            results[i] = str(item)
    return results


def kept(sentences: list[str], results: list[str], counted: set[str]) -> float:
    """The fraction of the counted words of the sentences that are in their results, too."""
    num_kept = total = 0
    for before, after in zip(sentences, results, strict=True):
        words = counted.intersection(before.split())
        num_kept += len(words.intersection(after.split()))
        total += len(words)
    return num_kept / total


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = [
        [f"`{row['name']}`", f"{shift['amount']:g}"]
        + [f"{shift[name]:.3f}" for name in ("flipped", "kept", "kept_neutral")]
        for row in rows
        for shift in row["shift"]
    ]
    return markdown(["row", "amount", "flipped", "words kept", "neutral words kept"], lines)


def read(file: Path) -> tuple[list[str], Tensor]:
    """Sentences and their labels."""
    lines = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
    return [text for _, text in lines], torch.tensor([float(label) for label, _ in lines])


def make_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("run", type=Path, nargs="?", help="a run of text")
    parser.add_argument("train", type=Path, nargs="?", help="labelled sentences to learn from")
    parser.add_argument("test", type=Path, nargs="?", help="labelled sentences to measure on")
    parser.add_argument("--seed", type=int, default=0, help="seed of the fits")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the rows")
    parser.add_argument("--table", action="store_true", help="print the results as a table")
    return parser


def main() -> None:
    """Make the row of a run, or print the table."""
    parser = make_parser()
    options = parser.parse_args()
    if options.table:
        print(table(json.loads(options.results.read_text(encoding="utf-8"))))
        return
    if options.test is None:
        parser.error("give a run and two files of labelled sentences")
    vae = seqvae.load(options.run)
    row = measured_row(
        options.run.name,
        options.seed,
        lambda: measure(vae, options.train, options.test, options.seed),
    )
    write_row(options.results, row, [])
    print(table([row]))
    print(f"probe {row['probe_accuracy']:.3f}, judge {row['judge_accuracy']:.3f}")


if __name__ == "__main__":
    main()
