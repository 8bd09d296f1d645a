"""The latent space, measured: how smooth interpolation is, what scores tell, what attributes do.

    python scripts/benchmark_latent.py runs/melody_2bar --other FOLDER_OF_OTHER_MIDI

Three measurements of a run on the test split of its corpus, or of another corpus with the same
tokens (--corpus):

- interpolation between pairs of sequences by slerp, by lerp and by mixing tokens: the normalised
  Hamming distance to both originals, and nats per token by a 5-gram model of the training split;
- score: how well nats per step, and per note or token, tell test sequences from shuffled sequences
  and from other collections (AUROC);
- attributes: the matrix of `seqvae attributes`.

Each run gives a row in results/latent.json and a picture in results/latent/.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarking import markdown, row_of_run
from ngram import NGram
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from seqvae.corpus.store import Corpus, Split
from seqvae.errors import InputError
from seqvae.inference.likelihood import sequence_nats
from seqvae.inference.trained import TrainedVAE
from seqvae.model.latent import INTERPOLATIONS
from seqvae.music.notes import Piece
from seqvae.tokenizers.contract import Example, Ids

RESULTS = Path(__file__).parent / "results" / "latent.json"
NUM_POINTS = 9  # of an interpolation, both ends included
NUM_COUNTED = 20_000  # sequences that the n-gram model counts
NUM_SCORED = 1000  # sequences per class
IW_SAMPLES = 20
MIXING = "mixing tokens"


def measure(
    vae: TrainedVAE, corpus: Corpus, others: Sequence[Path], num_pairs: int, seed: int
) -> dict[str, Any]:
    """All figures of a model."""
    rng = np.random.default_rng(seed)
    return {
        "corpus": corpus.folder.name,
        "interpolation": interpolation(vae, corpus, num_pairs, rng),
        "auroc": scores(vae, corpus.splits["test"], others, rng),
        "attributes": attributes(vae, corpus, seed),
    }


# Interpolation


def interpolation(
    vae: TrainedVAE, corpus: Corpus, num_pairs: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Means over pairs of sequences at each fraction of the way, by method."""
    split, train = corpus.splits["test"], corpus.splits["train"]
    pairs = np.array([rng.choice(len(split), 2, replace=False) for _ in range(num_pairs)])
    starts, ends = ([split[i] for i in column] for column in pairs.T.tolist())
    counted = rng.permutation(len(train))[:NUM_COUNTED].tolist()
    size = int(np.prod([float(n) for n in vae.tokenizer.vocab_sizes]))
    ngram = NGram((symbols(train[i], vae) for i in counted), size)
    fractions = torch.linspace(0, 1, NUM_POINTS)
    paths = {name: latent_paths(vae, name, starts, ends, fractions) for name in INTERPOLATIONS}
    paths[MIXING] = mixed_paths(starts, ends, fractions, rng)
    return {
        "num_pairs": num_pairs,
        "fractions": fractions.tolist(),
        "nats_of_originals": mean(ngram.nats(symbols(ids, vae)) for ids in [*starts, *ends]),
        **{
            name: {
                "distance_to_start": [hamming(points, starts) for points in path],
                "distance_to_end": [hamming(points, ends) for points in path],
                "nats": [mean(ngram.nats(symbols(ids, vae)) for ids in points) for points in path],
            }
            for name, path in paths.items()
        },
    }


def latent_paths(
    vae: TrainedVAE, method: str, starts: list[Ids], ends: list[Ids], fractions: Tensor
) -> list[list[Ids]]:
    """For each fraction, the decoded points between the codes of each pair."""
    means = [vae.codec.posterior([Example(ids) for ids in side]).mean for side in (starts, ends)]
    join = INTERPOLATIONS[method]
    every = torch.stack([
        join(a, b, fractions.to(vae.codec.device)) for a, b in zip(*means, strict=True)
    ])  # (N, P, Z)  # fmt: skip
    num_channels = vae.model.steps.num_channels
    conditions = [ids[:, num_channels:] for ids in starts]
    return [
        vae.codec.tokens(z, conditions=conditions)
        for z in tqdm(every.unbind(1), desc=method, leave=False)
    ]


def mixed_paths(
    starts: list[Ids], ends: list[Ids], fractions: Tensor, rng: np.random.Generator
) -> list[list[Ids]]:
    """The baseline in the space of the data: each token is taken from one end or from the other."""
    return [[mixed(a, b, t, rng) for a, b in zip(starts, ends, strict=True)]
            for t in fractions.tolist()]  # fmt: skip


def mixed(start: Ids, end: Ids, fraction: float, rng: np.random.Generator) -> Ids:
    """Takes each token from the end with this probability; none where the chosen one is shorter."""
    length = max(len(start), len(end))
    of_end = rng.random(length) < fraction
    places = [(end if later else start, place) for place, later in enumerate(of_end)]
    return np.array([ids[place] for ids, place in places if place < len(ids)], start.dtype).reshape(
        -1, start.shape[1]
    )


def hamming(some: Sequence[Ids], others: Sequence[Ids]) -> float:
    """Mean fraction of the steps at which pairs differ; after the end of one sequence they do."""
    return mean(distance(a, b) for a, b in zip(some, others, strict=True))


def distance(a: Ids, b: Ids) -> float:
    """Fraction of the steps at which a pair differs."""
    common, length = min(len(a), len(b)), max(len(a), len(b))
    num_channels = min(a.shape[1], b.shape[1])
    same = (a[:common, :num_channels] == b[:common, :num_channels]).all(1).sum()
    return 1 - float(same) / max(length, 1)


def symbols(ids: Ids, vae: TrainedVAE) -> list[int]:
    """Each step as one number, which tells the tokens of all channels."""
    total = [0] * len(ids)
    for channel, size in enumerate(vae.tokenizer.vocab_sizes):
        tokens = ids[:, channel].tolist()
        total = [before * size + token for before, token in zip(total, tokens, strict=True)]
    return total


# Score


def scores(
    vae: TrainedVAE, split: Split, others: Sequence[Path], rng: np.random.Generator
) -> dict[str, dict[str, float]]:
    """AUROC of telling test sequences from each kind of wrong ones, which should be less likely."""
    chosen = [split[i] for i in rng.permutation(len(split))[:NUM_SCORED].tolist()]
    wrong = {"shuffled in time": [shuffled_steps(ids, vae, rng) for ids in chosen]}
    if vae.tokenizer.modality == "music":
        wrong["shuffled in pitch"] = [
            ids for window in chosen for ids in shuffled_pitches(window, vae, rng)
        ]
    wrong |= {other.stem: windows_of(vae, other, rng) for other in others}
    right = nats(vae, chosen)
    measured = {name: nats(vae, ids) for name, ids in wrong.items() if ids}
    return {
        unit: {name: auroc(values[unit], right[unit]) for name, values in measured.items()}
        for unit in right
    }


def shuffled_steps(ids: Ids, vae: TrainedVAE, rng: np.random.Generator) -> Ids:
    """The steps in random order; the end token keeps its place."""
    num_steps = len(ids) - (vae.tokenizer.eos_id is not None)
    order = np.append(rng.permutation(num_steps), np.arange(num_steps, len(ids)))
    return ids[order]


def shuffled_pitches(ids: Ids, vae: TrainedVAE, rng: np.random.Generator) -> list[Ids]:
    """The notes with their pitches shuffled, as windows; none of silence or if nothing fits."""
    assert vae.tokenizer.modality == "music"
    piece = vae.codec.piece(ids)
    notes = piece.notes.copy()
    for kit in (True, False):
        voice = notes["is_drum"] == kit
        notes["pitch"][voice] = rng.permutation(notes["pitch"][voice])
    try:
        return [window.ids for window in vae.tokenizer.encode(Piece(
            notes, piece.steps_per_quarter, piece.metres, piece.tempos, num_steps=piece.num_steps
        ))]  # fmt: skip
    except InputError:
        return []


def windows_of(vae: TrainedVAE, other: Path, rng: np.random.Generator) -> list[Ids]:
    """A random choice of the windows of a folder of MIDI files, or of the lines of a text."""
    if vae.tokenizer.modality == "text":
        sources = [line for line in other.read_text(encoding="utf-8").splitlines() if line.strip()]
    else:
        sources = [str(file) for file in sorted(other.rglob("*.mid"))]
    windows: list[Ids] = []
    refused = 0
    for source in sources:
        try:
            windows += [window.ids for window in vae.codec.windows(source)]
        except InputError:
            refused += 1
    if refused:
        print(f"{other}: {refused} of {len(sources)} without a usable window", file=sys.stderr)
    chosen: list[int] = rng.permutation(len(windows))[:NUM_SCORED].tolist()
    return [windows[i] for i in chosen]


def nats(vae: TrainedVAE, sequences: list[Ids]) -> dict[str, NDArray[np.float64]]:
    """The importance-weighted nats of each sequence, per step and per note or token."""
    total = np.array(sequence_nats(vae.codec, sequences, IW_SAMPLES))
    events = [max(1, vae.codec.num_events(ids)) for ids in sequences]
    return {"per step": total / [len(ids) for ids in sequences], "per event": total / events}


def auroc(higher: NDArray[np.float64], lower: NDArray[np.float64]) -> float:
    """The probability that one of `higher` is above one of `lower`; ties count half."""
    above = (higher[:, None] > lower).mean()
    return float(above + (higher[:, None] == lower).mean() / 2)


# Attributes


def attributes(vae: TrainedVAE, corpus: Corpus, seed: int) -> dict[str, Any]:
    """The attribute matrix, which is also printed by `seqvae attributes`."""
    moved = vae.attributes(corpus, seed=seed)
    return {
        "amount": moved.amount,
        "names": list(moved.names),
        "change": moved.change.tolist(),
        "rising": moved.success.tolist(),
        "able": moved.success_of_movable.tolist(),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """All tables in Markdown."""
    return "\n\n".join([interpolation_table(rows), score_table(rows), attribute_tables(rows)])


def interpolation_table(rows: list[dict[str, Any]]) -> str:
    """Nats at the ends and halfway by each method, and the distance of a reconstruction."""
    ways = [*INTERPOLATIONS, MIXING]
    header = ["nats per token, 5-gram model", "originals", "both ends"]
    header += [f"{name}, halfway" for name in ways] + ["distance of a reconstruction"]
    lines = []
    for row in rows:
        figures = row["interpolation"]
        slerp = figures["slerp"]
        cells = [figures["nats_of_originals"], (slerp["nats"][0] + slerp["nats"][-1]) / 2]
        cells += [figures[name]["nats"][NUM_POINTS // 2] for name in ways]
        cells.append((slerp["distance_to_start"][0] + slerp["distance_to_end"][-1]) / 2)
        lines.append([f"`{row['name']}`", *(f"{value:.2f}" for value in cells)])
    return markdown(header, lines)


def score_table(rows: list[dict[str, Any]]) -> str:
    """How well scores tell test sequences from each kind of wrong ones."""
    lines = [
        [f"`{row['name']}`", name, f"{value:.3f}", f"{row['auroc']['per event'][name]:.3f}"]
        for row in rows
        for name, value in row["auroc"]["per step"].items()
    ]
    return markdown(["AUROC", "against", "per step", "per note or token"], lines)


def attribute_tables(rows: list[dict[str, Any]]) -> str:
    """The matrix of each run."""
    return "\n\n".join(attribute_table(row["name"], row["attributes"]) for row in rows)


def attribute_table(run: str, moved: dict[str, Any]) -> str:
    """The change of every attribute (columns) by a shift along each (rows)."""
    names = [name.replace("_", " ") for name in moved["names"]]
    lines = [
        [name, *(f"{value:+.2f}" for value in change), f"{rising:.0%}", f"{able:.0%}"]
        for name, change, rising, able in zip(
            names, moved["change"], moved["rising"], moved["able"], strict=True
        )
    ]
    header = [f"`{run}`, amount {moved['amount']:g}", *names]
    return markdown([*header, "moved as asked", "of those that could"], lines)


def mean(values: Iterable[float]) -> float:
    """The mean of one or more values."""
    return float(np.mean(list(values)))


def draw(row: dict[str, Any], file: Path) -> None:
    """A picture of distances and nats along the way."""
    import matplotlib as mpl

    mpl.use("Agg")  # a file, never a window
    import matplotlib.pyplot as plt

    figures = row["interpolation"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for number, name in enumerate([*INTERPOLATIONS, MIXING]):
        colour = f"C{number}"
        left.plot(
            figures["fractions"], figures[name]["distance_to_start"], f"{colour}.-", label=name
        )
        left.plot(figures["fractions"], figures[name]["distance_to_end"], f"{colour}.:")
        right.plot(figures["fractions"], figures[name]["nats"], f"{colour}.-", label=name)
    right.axhline(figures["nats_of_originals"], color="grey", lw=1, ls="--", label="originals")
    left.set(
        title="distance to the start (lines) and to the end (dots)", xlabel="fraction of the way",
        ylabel="fraction of differing tokens", ylim=(0, 1),
    )  # fmt: skip
    right.set(
        title="5-gram model of the data", xlabel="fraction of the way", ylabel="nats per token"
    )
    right.legend()
    figure.suptitle(row["name"])
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=100)
    plt.close(figure)


def make_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("runs", nargs="*", type=Path, help="runs")
    parser.add_argument("--corpus", type=Path, help="prepared corpus; default: that of the run")
    parser.add_argument(
        "--other", nargs="*", type=Path, default=[], help="other folders of MIDI files, or texts"
    )
    parser.add_argument("--pairs", type=int, default=1024, help="pairs of sequences")
    parser.add_argument("--seed", type=int, default=0, help="seed of pairs and draws")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the rows")
    parser.add_argument("--table", action="store_true", help="print the results as tables")
    return parser


def main() -> None:
    """Make a row of each run."""
    options = make_parser().parse_args()
    if options.table:
        print(table(json.loads(options.results.read_text(encoding="utf-8"))))
        return
    for run in options.runs:
        row = row_of_run(
            run, options.results, options.seed,
            lambda vae, corpus: measure(vae, corpus, options.other, options.pairs, options.seed),
            options.corpus,
        )  # fmt: skip
        draw(row, options.results.with_suffix("") / f"{run.name}.png")
        print(table([row]))


if __name__ == "__main__":
    main()
