"""How long seqvae takes to start, beside what nobody can do without.

    python scripts/benchmark_start.py

Each row is two commands that take turns: ours, and Python alone or `import torch` alone. What
counts is the difference of the two in each round. Both find their bytecode made. `sample` draws
eight clips from a model of two bars of melody with random weights, and writes them.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from benchmark_speed import BUSY, machine, others_use
from benchmarking import markdown

from seqvae.inference.bundle import save_bundle
from seqvae.inference.mixture import Mixture
from seqvae.inference.prior import save_prior
from seqvae.inference.provenance import provenance
from seqvae.model.config import ModelConfig
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers.melody import MelodyTokenizer

RESULTS = Path(__file__).parent / "results" / "start.json"
ROUNDS = 9
SHIPPED = ModelConfig(
    latent_dim=64, embedding_dim=128, encoder_dim=256, decoder_dim=512, decoder_layers=2
)
NOTHING, TORCH = ["-c", "pass"], ["-c", "import torch"]
ROWS: dict[str, tuple[list[str], list[str], float]] = {
    "help_over_python": (["-m", "seqvae", "--help"], NOTHING, 0.15),
    "import_over_python": (["-c", "import seqvae"], NOTHING, 0.1),
    "sample_over_torch": (["-m", "seqvae", "sample", "bundle", "--seed", "1"], TORCH, 0.4),
}
"""Name -> what Python is given, by us and by the other, and the target of the difference in s."""


def write_model(folder: Path) -> None:
    """A bundle of the size of the models that are shipped, with random weights."""
    torch.manual_seed(0)
    tokenizer = MelodyTokenizer(num_bars=2)
    save_bundle(folder, SequenceVAE(SHIPPED, tokenizer.steps), tokenizer, {"name": "start"}, "")
    save_prior(Mixture.standard(SHIPPED.latent_dim), folder)


def seconds(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> float:
    """How long Python runs."""
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - begin


def measured(name: str, folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """A row of the results."""
    ours, peer, target = ROWS[name]
    load, rounds = [], []
    for number in range(ROUNDS + 1):
        load.append(others_use())
        pair = [seconds(words, folder, environment) for words in (ours, peer)]
        if number:  # the first makes the bytecode
            rounds.append(pair)
    differences = [mine - theirs for mine, theirs in rounds]
    mine, theirs = (statistics.median(side) for side in zip(*rounds, strict=True))
    return {
        "name": f"start_{name}",
        "ours": round(mine, 3),
        "peer": round(theirs, 3),
        "unit": "s",
        "difference": round(statistics.median(differences), 3),
        "target": target,
        "rounds": [round(difference, 3) for difference in differences],
        "load": max(load),
        "quiet": max(load) <= BUSY,
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as Markdown."""
    return markdown(
        ["row", "seqvae", "alone", "difference", "target"],
        [
            [f"`{row['name']}`", f"{row['ours']:.2f} s", f"{row['peer']:.2f} s",
             f"{row['difference']:.2f} s" + ("" if row["quiet"] else " (busy machine)"),
             f"{row['target']:g} s"]
            for row in rows
        ],
    )  # fmt: skip


def make_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the results")
    return parser


def main() -> None:
    """Measure, print and keep the rows."""
    options = make_parser().parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder) / "bundle")
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(Path(folder) / "bytecode")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        rows = [measured(name, Path(folder), environment) for name in ROWS]
    about = provenance(shlex.join(["python", *sys.argv]), seed=0, seconds=time.monotonic() - begin)
    results = {"machine": machine(), "rows": rows, **about}
    options.results.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
