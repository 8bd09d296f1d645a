"""Trains the same with one, two and four processes, under torchrun, and compares.

    python scripts/check_ranks.py [--numbers 1 2 4] [--device gpu]

Prints the losses of each number of processes in float64, and how far they are from those of one.
Then it sends SIGTERM to one of the last processes, which must all stop with a checkpoint, goes on
with a single one, and kills one of them, after which all must end. Exit code 1 says that one of
this failed. On GPUs there must be as many as processes.
"""

import argparse
import contextlib
import csv
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from seqvae.corpus.config import DataConfig
from seqvae.model.config import ModelConfig
from seqvae.model.ranks import rank
from seqvae.model.remedies import Objective
from seqvae.training.config import Config, TrainerConfig
from seqvae.training.module import VAETraining
from seqvae.training.train import train

MOST_APART = 1e-5  # nats
MAX_SECONDS = 30.0  # from the death of one process to the end of all
HARMED_STEP = 20


def main() -> None:
    """Check, or be one of the processes that train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--numbers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--device", default="cpu", choices=["cpu", "gpu"])
    parser.add_argument("--worker", help=argparse.SUPPRESS)  # FOLDER,NUMBER,HARM,RUNS
    chosen = parser.parse_args()
    if chosen.worker:
        folder, number, harm, runs = chosen.worker.split(",")
        work(Path(folder), int(number), harm, runs, chosen.device)
        return
    with tempfile.TemporaryDirectory() as name:
        sys.exit(0 if check(Path(name), chosen.numbers, chosen.device) else 1)


def check(folder: Path, numbers: list[int], device: str) -> bool:
    """Whether all is as it should be."""
    words = [f"{a} {b} {c} {d}\n" for a in "abcdef" for b in "ghijk" for c in "lmn" for d in "opq"]
    (folder / "lines.txt").write_text("".join(words), encoding="utf-8")
    losses = {}
    for number in numbers:
        start(folder, number, "none", f"runs{number}", device).wait()
        losses[number] = losses_in(folder / f"runs{number}" / "run")
    apart = {
        number: max(abs(a - b) for a, b in zip(these, losses[numbers[0]], strict=True))
        for number, these in losses.items()
    }
    for number in numbers:
        shown = " ".join(f"{loss:.9f}" for loss in losses[number])
        print(f"{number} processes: {shown} (at most {apart[number]:.1e} apart)")
    most = numbers[-1]
    start(folder, most, "SIGTERM", "stopped", device).wait()
    state = torch.load(folder / "stopped" / "run" / "last.ckpt", weights_only=True)
    print(f"SIGTERM to one of {most}: a checkpoint at step {state['step']}")
    start(folder, 1, "none", "stopped", device).wait()
    rest = losses_in(folder / "stopped" / "run")
    resumed = max(abs(a - b) for a, b in zip(rest, losses[numbers[0]], strict=True))
    print(f"resumed by one: at most {resumed:.1e} apart")
    started, processes = time.monotonic(), start(folder, most, "SIGKILL", "killed", device)
    code = processes.wait()
    seconds = time.monotonic() - started
    print(f"SIGKILL to one of {most}: all ended, with code {code}, {seconds:.0f} s after the start")
    equal = max(*apart.values(), resumed) <= MOST_APART
    return equal and HARMED_STEP <= state["step"] <= HARMED_STEP + 2 and code != 0


def losses_in(run: Path) -> list[float]:
    """The losses of training and validation, epoch by epoch."""
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [float(row[name]) for row in rows for name in ("train_nll", "train_kl", "loss")]


def start(
    folder: Path, number: int, harm: str, runs: str, device: str
) -> "subprocess.Popen[bytes]":
    """Let torchrun start some processes."""
    worker = ",".join([str(folder), str(number), harm, runs])
    return subprocess.Popen(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone",
            f"--nproc_per_node={number}", __file__, "--worker", worker, "--device", device,
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def work(folder: Path, number: int, harm: str, runs: str, device: str) -> None:
    """Train as one of several processes; the last one is harmed in one of its steps."""
    torch.set_default_dtype(torch.float64)
    inner = VAETraining.begin_step

    def begin_step(self: VAETraining) -> None:
        inner(self)
        if harm != "none" and self.step + 1 == HARMED_STEP and rank() == number - 1:
            os.kill(os.getpid(), getattr(signal, harm))

    VAETraining.begin_step = begin_step  # type: ignore[method-assign]  # to be harmed
    config = Config(
        name="run",
        data=DataConfig(
            source=str(folder / "lines.txt"),
            corpus=str(folder / "corpus"),
            tokenizer={"kind": "words", "max_steps": 8},
        ),
        model=ModelConfig(
            latent_dim=8, embedding_dim=8, encoder_dim=16, decoder_dim=16, bn_gamma=0.5
        ),
        objective=Objective(target_kl=4.0),
        trainer=TrainerConfig(
            max_epochs=4, batch_size=33, learning_rate=5e-3, warmup_steps=4, precision="fp32",
            accelerator=device, devices=number,  # type: ignore[arg-type]  # as a flag
        ),
    )  # fmt: skip
    resume = (folder / runs / "run" / "last.ckpt").exists()
    with contextlib.suppress(KeyboardInterrupt):
        train(config, folder / runs, resume=resume)


if __name__ == "__main__":
    main()
