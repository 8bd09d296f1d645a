"""Why the KL term is there, in one picture: one corpus encoded in two dimensions, three times.

    python scripts/teaching_picture.py configs/demo_melody.yaml --source demo/tunes

Without the KL, an autoencoder spreads its codes at will: the points between them and far from them
mean nothing. The KL alone puts all codes in one place: any point may be any input. Together they
fill the prior without gaps, and similar inputs lie side by side. Points are draws of q(z|x) for the
validation split. The circles are one, two and three standard deviations of the prior. The picture
goes to results/teaching.png. Flags after `--` go to `seqvae train`.
"""

import argparse
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from benchmarking import seqvae as command
from benchmarking import split_at_dashes
from matplotlib.axes import Axes
from numpy.typing import NDArray

import seqvae
from seqvae.inference.bundle import open_corpus
from seqvae.inference.measures import measures_of
from seqvae.tokenizers.contract import Example
from seqvae.training.checkpoint import read_metrics

PICTURE = Path(__file__).parent / "results" / "teaching.png"
TARGET_KL = 5.0  # nats, which two dimensions hold well
MODELS = {
    "no KL: an autoencoder": ["--objective.target_kl", "null", "--objective.beta.max_beta", "0"],
    "KL alone": ["--objective.target_kl", "null", "--objective.beta.max_beta", "10000"],
    "both: a VAE": ["--objective.target_kl", str(TARGET_KL)],
}
RINGS = (1, 2, 3)  # standard deviations of the prior


def points(run: Path) -> tuple[NDArray[np.float32], list[float]]:
    """A draw of q(z|x) for each validation sequence, (N, 2), and the value that colours it."""
    vae = seqvae.load(run)
    split = open_corpus(run).splits["valid"]
    examples = [Example(split[i]) for i in range(len(split))]
    z = vae.codec.posterior(examples).sample(vae.codec.generator(0)).cpu().numpy()
    measure = next(iter(measures_of(vae.tokenizer).values()))
    return z, [measure(vae.codec.content(example.ids)) for example in examples]


def draw(axes: Axes, title: str, run: Path) -> None:
    """The codes of one model."""
    z, shade = points(run)
    kl = read_metrics(run)[-1]["kl"]
    axes.scatter(z[:, 0], z[:, 1], c=shade, s=8)
    for radius in RINGS:
        ring = np.exp(1j * np.linspace(0, 2 * np.pi, 200)) * radius
        axes.plot(ring.real, ring.imag, color="grey", lw=0.6)
    axes.set_aspect("equal", "datalim")
    axes.set_title(f"{title}\nKL {kl:.2f} nats")


def make_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("config", help="a YAML file of seqvae train")
    parser.add_argument("--source", required=True, help="the data, as of --data.source")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--out", type=Path, default=PICTURE, help="the PNG file")
    return parser


def main() -> None:
    """Train three models and draw them side by side."""
    flags, for_train = split_at_dashes(sys.argv[1:])
    options = make_parser().parse_args(flags)
    mpl.use("Agg")  # a file, never a window
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(MODELS), figsize=(12, 4.4), layout="constrained")
    for number, (axes, (title, remedy)) in enumerate(zip(panels, MODELS.items(), strict=True)):
        run = options.runs / f"teaching_{number}"
        if not (run / "bundle").is_dir():
            command(
                "train", options.config, "--data.source", options.source,
                "--model.latent_dim", "2", *remedy, *for_train,
                "--runs", str(options.runs), "--name", run.name,
            )  # fmt: skip
        draw(axes, title, run)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out, dpi=100)
    print(options.out)


if __name__ == "__main__":
    main()
