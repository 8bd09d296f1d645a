"""Completion, measured: bars 5 to 8 of held-out windows of 16 bars are hidden and written anew.

    python scripts/benchmark_complete.py runs/trio_16bar

The judge is a 5-gram model of the training split, one for each channel (`ngram`). Its nats are
summed over channels and divided by notes: of what is written, of the four steps that begin it (the
first seam), and of the four steps after it (the second), whose contexts reach across. For
comparison stand the real bars, and bars of a sample from the prior in the same place.

Each run gives a row in results/complete.json.
"""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarking import markdown, row_of_run
from ngram import NGram
from numpy.typing import NDArray
from tqdm import tqdm

from seqvae.corpus.store import Corpus
from seqvae.inference.canvas import kept_pitch_classes
from seqvae.inference.filling import Filler
from seqvae.inference.options import Complete
from seqvae.inference.prior import as_mixture
from seqvae.inference.trained import TrainedVAE
from seqvae.model.config import Sampling
from seqvae.tokenizers.contract import Example

RESULTS = Path(__file__).parent / "results" / "complete.json"
HIDDEN = (1 / 4, 1 / 2)  # of a window: bars 5 to 8 of 16
SEAM = 4  # steps, at which 5-grams reach across a seam
NUM_COUNTED = 2500  # windows of the training split
TEMPERATURE = Complete().temperature
SECTIONS = ("fill", "first_seam", "second_seam")

Windows = NDArray[np.int64]  # (N, T, C + K)


def measure(vae: TrainedVAE, corpus: Corpus, num_windows: int, seed: int) -> dict[str, Any]:
    """Nats per note of real bars, of completions, and of samples put in their place."""
    assert vae.tokenizer.modality == "music"
    rng = np.random.default_rng(seed)
    judge = ngrams(vae, corpus, rng)
    split = corpus.splits["test"]
    chosen = rng.permutation(len(split))[:num_windows].tolist()
    real = np.stack([split[i] for i in chosen]).astype(np.int64)
    generator = vae.codec.generator(seed)
    num_steps, num_channels = real.shape[1], vae.model.steps.num_channels
    begin, end = (int(share * num_steps) for share in HIDDEN)
    where = torch.ones(num_steps, num_channels, dtype=torch.bool)
    where[begin:end] = False
    classes = [kept_pitch_classes(vae.tokenizer, Example(ids), where.numpy()) for ids in real]
    filler = Filler(vae.codec, as_mixture(vae.prior), where, classes)
    sampling = Sampling(temperature=TEMPERATURE)
    completed = filler.fill(torch.from_numpy(real), sampling, generator).cpu().numpy()
    conditions = [ids[:, num_channels:] for ids in real]
    z = vae.prior.sample(len(real), generator)
    samples = np.stack(vae.codec.tokens(z, Sampling(), generator, conditions))
    pasted = real.copy()
    pasted[:, begin:end] = samples[:, begin:end]
    is_kept = (completed == real)[:, where.all(1).numpy()]
    return {
        "corpus": corpus.folder.name,
        "num_windows": len(real),
        "temperature": TEMPERATURE,
        "kept": float(is_kept.all((1, 2)).mean()),
        "real": judged(vae, judge, real, begin, end),
        "completed": judged(vae, judge, completed, begin, end),
        "sampled": judged(vae, judge, pasted, begin, end),
    }


def ngrams(vae: TrainedVAE, corpus: Corpus, rng: np.random.Generator) -> list[NGram]:
    """A 5-gram model of each channel of the training split."""
    train = corpus.splits["train"]
    windows = [train[i] for i in rng.permutation(len(train))[:NUM_COUNTED].tolist()]
    return [
        NGram((ids[:, channel].tolist() for ids in windows), size)
        for channel, size in enumerate(vae.tokenizer.vocab_sizes)
    ]


def judged(
    vae: TrainedVAE, judge: list[NGram], windows: Windows, begin: int, end: int
) -> dict[str, float]:
    """Nats per note of the bars from one step to another, and of the seams at both."""
    spans = {
        "fill": (begin, end),
        "first_seam": (begin, begin + SEAM),
        "second_seam": (end, end + SEAM),
    }
    nats, notes = dict.fromkeys(SECTIONS, 0.0), dict.fromkeys(SECTIONS, 0)
    for ids in tqdm(windows, leave=False, disable=None):
        onsets = vae.codec.piece(ids).notes["start"]
        of_steps = np.array([step_nats(judge, ids, step) for step in range(begin, end + SEAM)])
        for name, (first, last) in spans.items():
            nats[name] += float(of_steps[first - begin : last - begin].sum())
            notes[name] += int(((onsets >= first) & (onsets < last)).sum())
    figures = {name: nats[name] / max(notes[name], 1) for name in SECTIONS}
    return figures | {"notes_per_window": notes["fill"] / len(windows)}


def step_nats(judge: list[NGram], ids: Windows, step: int) -> float:
    """-log p of the tokens of a step, each after the four before it in its channel."""
    total = 0.0
    for channel, model in enumerate(judge):
        first = max(0, step - model.order + 1)
        context = tuple(ids[first:step, channel].tolist())
        total -= math.log(model.probability(int(ids[step, channel]), context))
    return total


def table(rows: list[dict[str, Any]]) -> str:
    """Nats per note, in Markdown."""
    header = ["nats per note, 5-gram model", "of", *(name.replace("_", " ") for name in SECTIONS)]
    lines = [
        [f"`{row['name']}`", of, *(f"{row[of][name]:.2f}" for name in SECTIONS),
         f"{row[of]['notes_per_window']:.1f}"]
        for row in rows for of in ("real", "completed", "sampled")
    ]  # fmt: skip
    return markdown([*header, "notes per window"], lines)


def main() -> None:
    """Measure a run, or print the table."""
    parser = make_parser()
    options = parser.parse_args()
    if options.table:
        print(table(json.loads(options.results.read_text(encoding="utf-8"))))
        return
    if options.run is None:
        parser.print_usage(sys.stderr)
        sys.exit(2)
    row = row_of_run(
        options.run, options.results, options.seed,
        lambda vae, corpus: measure(vae, corpus, options.windows, options.seed), options.corpus,
    )  # fmt: skip
    print(table([row]))


def make_parser() -> argparse.ArgumentParser:
    """The script's flags."""
    about = str(__doc__).partition("\n")[0]
    parser = argparse.ArgumentParser(description=about, allow_abbrev=False)
    parser.add_argument("run", type=Path, nargs="?", help="a run, or a bundle with --corpus")
    parser.add_argument("--corpus", type=Path, help="prepared corpus; by default that of the run")
    parser.add_argument("--windows", type=int, default=200, help="held-out windows")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the rows")
    parser.add_argument("--seed", type=int, default=0, help="seed of all draws")
    parser.add_argument("--table", action="store_true", help="print the results as a table")
    return parser


if __name__ == "__main__":
    main()
