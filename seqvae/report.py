"""One picture of a trained model: how it learned, what its latent code holds, what it can do."""

import csv
import textwrap
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from seqvae.codec import BATCH_SIZE
from seqvae.data import held_out_loader
from seqvae.errors import InputError
from seqvae.generation import TrainedVAE
from seqvae.latent import DiagonalGaussian, slerp
from seqvae.metrics import rows
from seqvae.midi import read_midi
from seqvae.store import Corpus
from seqvae.tokenizers.contract import Example

NUM_STEPS = 7  # of the interpolation
WIDTH = 90  # characters of a line of text


def draw_report(run: Path, corpus: Corpus, out: Path) -> None:
    """Write a PNG of a run; the figures are those of the validation split.

    Raises:
        InputError: the run has no metrics.csv.
    """
    if out.suffix.lower() != ".png":
        raise InputError(f"{out}: the report is a PNG; give a name that ends in .png")
    matplotlib.use("Agg")  # a file, never a window
    import matplotlib.pyplot as plt

    vae = TrainedVAE.load(run)
    if vae.model.latent_dim == 0:
        raise InputError(f"{run}: a language model (latent_dim 0) has no code to draw")
    posterior = _posteriors(vae, corpus)
    figure = plt.figure(figsize=(13, 9), layout="constrained")
    figure.suptitle(run.name)
    left, right = figure.subfigures(1, 2, width_ratios=(2, 3))
    curves, usage, latent_map = left.subplots(3, 1)
    draw_curves(curves, _read_metrics(run / "metrics.csv"))
    draw_usage(usage, posterior)
    draw_map(latent_map, posterior.mean, _shade(vae, corpus))
    # Sorted by length: those at the thirds are neither the shortest nor the longest.
    start, end = (
        posterior.mean[len(posterior.mean) // 3],
        posterior.mean[2 * len(posterior.mean) // 3],
    )
    z = slerp(start, end, torch.linspace(0, 1, NUM_STEPS))
    if vae.tokenizer.modality == "text":
        draw_sentences(right, vae.decode(z.to(vae.device)))
    else:
        draw_piano_rolls(right, vae, z)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    plt.close(figure)


def draw_curves(axes: Axes, history: list[dict[str, float]]) -> None:
    """-ELBO and KL, and the free-running accuracy, over the epochs."""
    epochs = [row["epoch"] for row in history]
    axes.plot(epochs, [row["neg_elbo"] for row in history], ".-", label="-ELBO")
    axes.plot(epochs, [row["kl"] for row in history], ".-", label="KL")
    axes.set(xlabel="epoch", ylabel="nats per sequence", ylim=(0, None))
    accuracy = axes.twinx()
    accuracy.plot(
        epochs, [row["accuracy_free_running"] for row in history], "C2.--", label="accuracy"
    )
    accuracy.set(ylabel="free-running accuracy", ylim=(0, 1))
    lines = [*axes.get_lines(), *accuracy.get_lines()]
    axes.legend(
        lines,
        [str(line.get_label()) for line in lines],
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=3,
        frameon=False,
        title="validation",
    )


def draw_usage(axes: Axes, posterior: DiagonalGaussian) -> None:
    """The mean KL of each latent dimension, the most used first."""
    variance = torch.exp(2 * posterior.log_stddev)
    kl = 0.5 * (posterior.mean.square() + variance - 1) - posterior.log_stddev  # (N, Z)
    axes.bar(range(kl.shape[1]), kl.mean(0).sort(descending=True).values.numpy())
    axes.set(title="use of the latent dimensions", xlabel="dimension, sorted", ylabel="KL (nats)")


def draw_map(axes: Axes, means: Tensor, shade: tuple[str, list[int]]) -> None:
    """The posterior means on their two principal axes."""
    name, values = shade
    centred = means - means.mean(0)
    _, _, directions = torch.pca_lowrank(centred, q=2, center=False)
    points = (centred @ directions).numpy()
    dots = axes.scatter(points[:, 0], points[:, 1], c=values, s=6)
    axes.set(title="posterior means (PCA)", xlabel="first axis", ylabel="second axis")
    axes.figure.colorbar(dots, ax=axes, label=name)


def draw_sentences(figure: Any, sentences: list[Any]) -> None:
    """An interpolation as text."""
    axes = figure.subplots()
    axes.set(title="from one sentence to another", xlim=(0, 1), ylim=(len(sentences), 0))
    axes.axis("off")
    for row, sentence in enumerate(sentences):
        lines = textwrap.shorten(sentence, 3 * WIDTH, placeholder=" ...")
        axes.text(0.0, row + 0.5, textwrap.fill(lines, WIDTH), va="center").set_in_layout(False)


def draw_piano_rolls(figure: Any, vae: TrainedVAE, z: Tensor) -> None:
    """An interpolation as piano rolls, a row a step."""
    assert vae.tokenizer.modality == "music"
    clips = vae.decode(z.to(vae.device))
    pieces = [read_midi(clip, vae.tokenizer.steps_per_quarter) for clip in clips]
    pitches = np.concatenate([piece.notes["pitch"] for piece in pieces])
    low, high = (int(pitches.min()), int(pitches.max())) if len(pitches) else (60, 72)
    length = max(1, *(piece.end_step for piece in pieces))
    figure.suptitle("from one clip to another")
    for axes, piece in zip(figure.subplots(len(pieces), 1, sharex=True), pieces, strict=True):
        notes = piece.notes
        axes.barh(
            notes["pitch"], notes["end"] - notes["start"] - 0.15, left=notes["start"], height=0.9,
            color=[f"C{track % 10}" for track in notes["track"]],
        )  # fmt: skip
        axes.set(ylim=(low - 2, high + 2), xlim=(0, length))
        axes.set_xticks(range(0, length + 1, piece.steps_per_quarter))
        axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("step")


def _posteriors(vae: TrainedVAE, corpus: Corpus) -> DiagonalGaussian:
    """Posteriors of the validation split, shortest sequences first, on the CPU."""
    means, log_stddevs = [], []
    with torch.no_grad():
        for batch in held_out_loader(corpus.splits["valid"], BATCH_SIZE, vae.tokenizer):
            own = vae.model.encode(batch.encoder_ids.to(vae.device), batch.lengths.to(vae.device))
            means.append(own.mean.cpu())
            log_stddevs.append(own.log_stddev.cpu())
    return DiagonalGaussian(torch.cat(means), torch.cat(log_stddevs))


def _shade(vae: TrainedVAE, corpus: Corpus) -> tuple[str, list[int]]:
    """What colours the map: the notes of a clip, or the tokens of a sentence."""
    loader = held_out_loader(corpus.splits["valid"], BATCH_SIZE, vae.tokenizer)
    sequences = [ids for batch in loader for ids in rows(batch)]
    if vae.tokenizer.modality == "text":
        return "tokens", [len(ids) for ids in sequences]
    return "notes", [len(vae.tokenizer.decode(Example(ids)).notes) for ids in sequences]


def _read_metrics(file: Path) -> list[dict[str, float]]:
    if not file.is_file():
        raise InputError(f"{file.parent}: no run ({file.name} is missing)")
    with file.open(newline="") as opened:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(opened)]
