"""What gradient steps on the codes of held-out windows bring, and what they cost.

    python scripts/benchmark_refine.py runs/piano_4bar --windows 1000

Windows of the test split are reconstructed from the posterior mean of the encoder, and after some
steps of `--refine`: the size of the codes in bits, accuracy of the tokens (of each voice, where a
model has few), onset F1, durations, and the processor's seconds for a window. Halfway are nats per
note of the points midway between pairs of these codes, by the 5-gram model of `benchmark_prior`.

Each run gives a row in results/refine.json. `--table` prints the table of results.
"""

import argparse
import math
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from benchmark_prior import Judge
from benchmarking import Row, markdown, measure_runs, parser_of_runs

from seqvae.corpus.store import Corpus
from seqvae.inference.evaluation import Tally
from seqvae.inference.figures import pairs_of
from seqvae.inference.metrics import unpadded
from seqvae.inference.trained import TrainedVAE
from seqvae.model.latent import DiagonalGaussian, slerp
from seqvae.music.notes import Piece
from seqvae.tokenizers.contract import Example

RESULTS = Path(__file__).parent / "results" / "refine.json"
STEPS = (0, 10, 40)
NUM_HALFWAY = 200
MOST_VOICES = 4  # whose accuracies are told
FIGURES = ("accuracy_free_running", "onset_f1", "duration_within_step")


def measure(vae: TrainedVAE, corpus: Corpus, num_windows: int, seed: int) -> Row:
    """The figures of a model after each number of steps."""
    judge = Judge(vae, corpus, num_windows, seed)
    row: Row = {
        "corpus": corpus.folder.name,
        "windows": len(judge.held_out),
        "nats_per_note": judge.nats_per_note(judge.pieces[:NUM_HALFWAY]),
    }
    examples = [Example(ids) for ids in judge.held_out]
    for num_steps in STEPS:
        begin = time.process_time()
        posterior = vae.codec.posterior(examples, num_steps)
        seconds = (time.process_time() - begin) / len(examples)
        found = reconstructed(vae, judge, posterior, seed)
        found["halfway"] = judge.nats_per_note(halfway(vae, judge, posterior))
        row[str(num_steps)] = found | {"cpu_seconds_per_window": round(seconds, 3)}
    return row


def reconstructed(vae: TrainedVAE, judge: Judge, posterior: DiagonalGaussian, seed: int) -> Row:
    """How far the windows come back from their codes, which hold so many bits."""
    tally, pairs, start = Tally(vae.model, seed=seed), pairs_of(vae.tokenizer), 0
    for batch in vae.codec.batches(judge.held_out):
        rows = slice(start, start + len(batch.ids))
        start = rows.stop
        of_batch = DiagonalGaussian(posterior.mean[rows], posterior.log_stddev[rows])
        pairs.add(unpadded(batch), unpadded(tally.update(batch, of_batch)))
    figures = vars(tally.result()) | pairs.figures({})
    found = {name: figures[name] for name in FIGURES if figures.get(name) is not None}
    if 1 < len(vae.tokenizer.channels) <= MOST_VOICES:
        found["by_channel"] = dict(zip(vae.tokenizer.channels, tally.by_channel()[0], strict=True))
    return found | {"kl_bits": figures["kl"] / math.log(2)}


def halfway(vae: TrainedVAE, judge: Judge, posterior: DiagonalGaussian) -> list[Piece]:
    """The pieces midway between each window and the next, over the chords of the first."""
    means = posterior.mean[: NUM_HALFWAY + 1]
    middle = torch.tensor([0.5], device=means.device)
    z = torch.cat([slerp(a, b, middle) for a, b in pairwise(means)])
    conditions = [ids[:, vae.model.steps.num_channels :] for ids in judge.held_out[: len(z)]]
    return judge.decoded(vae.codec.tokens(z, conditions=conditions))


def table(rows: Sequence[Row]) -> str:
    """A line for each model and number of steps."""
    header = (
        "model", "windows", "steps", "bits", "accuracy", "onset F1", "duration within a step",
        "halfway, nats per note", "of data", "CPU seconds a window",
    )  # fmt: skip
    lines = []
    for row in rows:
        for steps in map(str, STEPS):
            found = row[steps]
            shares = found.get("by_channel", {"": found["accuracy_free_running"]}).values()
            lasting = found.get("duration_within_step", math.nan)
            lines.append([
                f"`{row['name']}`", f"{row['windows']:,}", steps, f"{found['kl_bits']:.0f}",
                ", ".join(f"{share:.3f}" for share in shares), f"{found['onset_f1']:.3f}",
                "-" if math.isnan(lasting) else f"{lasting:.3f}", f"{found['halfway']:.2f}",
                f"{row['nats_per_note']:.2f}", f"{found['cpu_seconds_per_window']:.2f}",
            ])  # fmt: skip
    return markdown(header, lines)


def make_parser() -> argparse.ArgumentParser:
    """The script's flags."""
    parser = parser_of_runs(__doc__, RESULTS)
    parser.add_argument("--windows", type=int, default=1000, help="windows of the test split")
    return parser


def main() -> None:
    """Make a row of each run, or print the table."""
    measure_runs(
        make_parser(),
        lambda vae, corpus, options: measure(vae, corpus, options.windows, options.seed),
        table,
    )


if __name__ == "__main__":
    main()
