"""Samples of several priors beside held-out music, by the figures of `seqvae evaluate`.

    python scripts/benchmark_prior.py runs/trio_4bar runs/chorale_4bar

Each run gives a row in results/prior.json: the data of the test split; its reconstructions from
draws of their posteriors, which are what a perfect prior could reach; and samples of

- n01: N(0, I);
- mixture: a mixture of Gaussians over whole codes;
- slices: the autoregressive prior over slices of codes, with all of its spread and with as much as
  it has in use.

All are decoded at two temperatures. Beside the figures stands the mean log density of codes of the
validation split, in nats, and nats per note by a 5-gram model of the training split. It reads each
track as a list of notes: steps since the last onset, interval from the last pitch or which drum,
and length. `--table` prints the table of results.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from benchmarking import Row, markdown, measure_runs, parser_of_runs
from jaxtyping import Float
from ngram import NGram
from torch import Tensor

from seqvae.corpus.store import Corpus, Split
from seqvae.inference import slices
from seqvae.inference.copies import share_copied
from seqvae.inference.figures import sample_figures
from seqvae.inference.mixture import Mixture, fit_mixture
from seqvae.inference.prior import NUM_FITTED, NUM_HELD_OUT, Prior, augmented
from seqvae.inference.slices import fit_slices
from seqvae.inference.trained import TrainedVAE
from seqvae.model.config import Sampling, num_segments
from seqvae.model.latent import DiagonalGaussian
from seqvae.music.notes import Piece
from seqvae.tokenizers.contract import Example, Ids

RESULTS = Path(__file__).parent / "results" / "prior.json"
TEMPERATURES = (1.0, 0.5)
NUM_COUNTED = 3000  # sequences that the n-gram model counts
MAX_STEPS, MAX_INTERVAL = 63, 40  # in tokens of notes
FIGURES = ("scale_share", "self_similarity", "consonance", "nats_per_note", "copied")


def measure(vae: TrainedVAE, corpus: Corpus, num_windows: int, num_fitted: int, seed: int) -> Row:
    """All figures of a model."""
    judge = Judge(vae, corpus, num_windows, seed)
    posterior = vae.codec.posterior([Example(ids) for ids in judge.held_out])
    row: Row = {
        "corpus": corpus.folder.name,
        "windows": len(judge.held_out),
        "data": judge.figures(judge.held_out),
        "reconstructions": judge.at_temperatures(posterior.sample(vae.codec.generator(seed))),
    }
    train = posterior_of(vae, corpus.splits["train"], num_fitted, seed)
    held_out = posterior_of(vae, corpus.splits["valid"], NUM_HELD_OUT, seed)
    codes = held_out.sample(torch.Generator().manual_seed(seed))
    priors = {
        name: (fitted, spread)
        for name, fit, spreads in fits(vae, train, held_out, seed)
        for fitted in [timed(fit)]
        for name, spread in zip((name, f"{name}, full spread"), spreads, strict=False)
    }
    for name, ((prior, seconds), spread) in priors.items():
        in_use, slices.SPREAD = slices.SPREAD, spread
        z = prior.sample(len(judge.held_out), vae.codec.generator(seed))
        slices.SPREAD = in_use
        row[name] = {
            "log_density": float(prior.log_prob(codes).mean()),
            "cpu_seconds": round(seconds, 1),
            **judge.at_temperatures(z),
        }
    return row


def fits(
    vae: TrainedVAE, train: DiagonalGaussian, held_out: DiagonalGaussian, seed: int
) -> Iterator[tuple[str, Callable[[], Prior], tuple[float, ...]]]:
    """The priors of a model, and the spreads that they are sampled with."""
    config, in_use = vae.model.config, slices.SPREAD
    draws = train.sample(torch.Generator().manual_seed(seed))
    yield "n01", lambda: Mixture.standard(config.latent_dim), (in_use,)
    yield "mixture", lambda: fit_mixture(draws, seed=seed), (in_use,)
    if config.decoder == "hierarchical":
        number = num_segments(config, vae.model.steps)
        yield "slices", lambda: fit_slices(train, held_out, number, seed=seed), (in_use, 1.0)


def timed(fit: Callable[[], Prior]) -> tuple[Prior, float]:
    """What is fitted, and the processor's seconds that it took."""
    begin = time.process_time()
    return fit(), time.process_time() - begin


def posterior_of(vae: TrainedVAE, split: Split, most: int, seed: int) -> DiagonalGaussian:
    """The posteriors of at most so many sequences, augmented as in training, on the CPU."""
    posterior = vae.codec.posterior(augmented(split, vae.tokenizer, most, seed=seed))
    return DiagonalGaussian(posterior.mean.cpu(), posterior.log_stddev.cpu())


class Judge:
    """Windows of the test split, and what else samples are compared with."""

    def __init__(self, vae: TrainedVAE, corpus: Corpus, num_windows: int, seed: int) -> None:
        """Count the n-grams of the training split."""
        self.vae, self.train, self.seed = vae, corpus.splits["train"], seed
        rng = np.random.default_rng(seed)
        self.held_out = some(corpus.splits["test"], num_windows, rng)
        self.pieces = self.decoded(self.held_out)
        counted = self.decoded(some(self.train, NUM_COUNTED, rng))
        self.ngram = NGram((line for piece in counted for line in lines_of(piece)), NUM_TOKENS)

    def decoded(self, sequences: Sequence[Ids]) -> list[Piece]:
        """What sequences stand for."""
        return [self.vae.codec.piece(ids) for ids in sequences]

    def at_temperatures(self, z: Float[Tensor, "N Z"]) -> dict[str, dict[str, float]]:
        """The figures of what codes are decoded to, by temperature."""
        conditions = [ids[:, self.vae.model.steps.num_channels :] for ids in self.held_out]
        return {
            str(temperature): self.figures(
                self.vae.codec.tokens(
                    z, Sampling(temperature=temperature), self.vae.codec.generator(self.seed),
                    conditions,
                )
            )
            for temperature in TEMPERATURES
        }  # fmt: skip

    def figures(self, sequences: Sequence[Ids]) -> dict[str, float]:
        """Figures of sequences, which are as many as the windows."""
        pieces = self.decoded(sequences)
        measured = sample_figures(pieces, self.pieces, self.pieces)
        copied = share_copied(sequences, pieces, self.train, self.vae.model.steps.num_channels)
        found = {name: measured[name][0] for name in FIGURES if name in measured}
        found["nats_per_note"] = self.nats_per_note(pieces)
        return found | ({} if copied is None else {"copied": copied})

    def nats_per_note(self, pieces: Sequence[Piece]) -> float:
        """-log p of the notes of pieces, by the n-gram model."""
        num_notes = sum(len(piece.notes) for piece in pieces)
        nats = (self.ngram.nats(line) * len(line) for piece in pieces for line in lines_of(piece))
        return sum(nats) / max(num_notes, 1)


def some(split: Split, most: int, rng: np.random.Generator) -> list[Ids]:
    """At most so many sequences of a split, drawn at random."""
    return [split[i] for i in rng.permutation(len(split))[:most].tolist()]


SINCE, DRUM = 0, MAX_STEPS + 1  # first tokens of their kinds
INTERVAL = DRUM + 128
LENGTH = INTERVAL + 2 * MAX_INTERVAL + 1
NUM_TOKENS = LENGTH + MAX_STEPS + 1


def lines_of(piece: Piece) -> Iterator[list[int]]:
    """The notes of each track as tokens; the first pitch of a track has interval 0."""
    for track in np.unique(piece.notes["track"]):
        line, last, last_pitch = [], 0, None
        notes = piece.notes[piece.notes["track"] == track]
        columns = np.sort(notes, order=["start", "pitch"])[["start", "end", "pitch", "is_drum"]]
        for start, end, pitch, is_drum in columns.tolist():
            line.append(SINCE + min(start - last, MAX_STEPS))
            last = start
            if is_drum:
                line.append(DRUM + pitch)
                continue
            interval = 0 if last_pitch is None else pitch - last_pitch
            line.append(INTERVAL + MAX_INTERVAL + max(-MAX_INTERVAL, min(interval, MAX_INTERVAL)))
            line.append(LENGTH + min(end - start, MAX_STEPS))
            last_pitch = pitch
        yield line


# Results


def table(rows: Sequence[Row]) -> str:
    """A line for the data, and one for each source of codes and temperature."""
    header = (
        "model", "codes", "temperature", "in scale", "self-similarity", "consonance",
        "nats per note", "copied", "log density", "CPU seconds",
    )  # fmt: skip
    lines = []
    for row in rows:
        lines.append([f"`{row['name']}`", "data", "-", *cells(row["data"]), "-", "-"])
        for name, found in row.items():
            if not isinstance(found, dict) or str(TEMPERATURES[0]) not in found:
                continue
            of_fit = [f"{found[key]:,.1f}" if key in found else "-"
                      for key in ("log_density", "cpu_seconds")]  # fmt: skip
            for temperature in map(str, TEMPERATURES):
                cells_of = cells(found[temperature])
                lines.append([f"`{row['name']}`", name, temperature, *cells_of, *of_fit])
    return markdown(header, lines)


def cells(figures: dict[str, float]) -> list[str]:
    """Figures of a line; one that it lacks is a dash."""
    values = [figures.get(name, math.nan) for name in FIGURES]
    return ["-" if math.isnan(value) else f"{value:.3f}" for value in values]


def make_parser() -> argparse.ArgumentParser:
    """The script's flags."""
    parser = parser_of_runs(__doc__, RESULTS)
    parser.add_argument("--windows", type=int, default=300, help="windows, and samples")
    parser.add_argument("--fitted", type=int, default=NUM_FITTED, help="sequences that are fitted")
    return parser


def main() -> None:
    """Make a row of each run, or print the table."""
    measure_runs(
        make_parser(),
        lambda vae, corpus, options: measure(
            vae, corpus, options.windows, options.fitted, options.seed
        ),
        table,
    )


if __name__ == "__main__":
    main()
