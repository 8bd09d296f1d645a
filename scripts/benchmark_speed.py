"""How fast seqvae is beside its peers, on this machine.

    python scripts/benchmark_speed.py --magenta CHECKOUT --magenta_python PYTHON \
        --sentence_vae CHECKOUT --lagging CHECKOUT --ptb train.txt \
        --melodies nottingham/MIDI/melody --songs pop909

Ours and theirs alternate, twice. Each takes its better number of threads, and a round the median of
its repeats. With OMP_WAIT_POLICY=ACTIVE small batches use all threads, too. Before each measurement
the script looks at what the machine does: rows made while others used it are marked. A peer that is
not given leaves its rows out, and the output says so.
`PYTHON` is an interpreter with tensorflow-cpu 2.15.1, tensorflow-probability 0.23 and tf-slim.

Sizes and data are equal on both sides, weights are random. `plain` is our decoder by `nn.LSTM`, one
call per step. Decoding is greedy; our tokens are asserted to be those of the plain loop.
"""

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from benchmarking import markdown
from speed_ours import (
    MAX_STEPS,
    SECONDS,
    SENTENCES,
    SIZES,
    VOCAB_SIZE,
    WORDS,
    Timed,
    decoding,
    encoding,
    plain,
    repeated,
    training,
    training_on,
)

from seqvae.inference.provenance import provenance
from seqvae.model.config import ModelConfig

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "speed.json"
ROUNDS = 2  # of a measurement
BUSY = 0.1  # share of the machine that others may use


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A row: two programs that do the same."""

    name: str
    unit: str
    per_repeat: float
    """How much of the unit one repeat does."""
    ours: Timed
    peer: Timed


# Theirs


class Peer:
    """Another program that waits for jobs."""

    def __init__(self, command: Sequence[str]) -> None:
        """`command` starts it."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=environment,
        )  # fmt: skip

    def answer(self, job: dict[str, Any]) -> list[float]:
        """The seconds that it tells."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{shlex.join(map(str, self.process.args))} ended at {job}")  # type: ignore[arg-type]  # a list of words
        seconds: list[float] = json.loads(line)
        return seconds

    def close(self) -> None:
        """End it."""
        with self.process:
            self.process.kill()

    def timed(self, job: dict[str, Any]) -> Timed:
        """Repeats until they take as long as ours."""

        def timed(threads: int) -> list[float]:
            once = self.answer({**job, "threads": threads, "repeats": 1})[0]
            repeats = max(3, int(SECONDS / once))
            return self.answer({**job, "threads": threads, "repeats": repeats})

        return timed

    def timed_batches(self, batches: Sequence[Sequence[int]]) -> Timed:
        """Repeats of all batches."""
        job = {"vocab_size": WORDS, "lengths": batches}

        def timed(threads: int) -> list[float]:
            self.answer({**job, "threads": threads, "lengths": batches[:1]})
            return [sum(self.answer({**job, "threads": threads})) for _ in range(3)]

        return timed


# Rows


def of_decoding() -> Iterator[Comparison]:
    """Our engine beside the plain loop."""
    for batch in (1, 16, 512):
        yield Comparison(
            name=f"decode_small_b{batch}_vs_plain", unit="sequences/s", per_repeat=batch,
            ours=decoding("small", batch, "fp32"), peer=plain("small", batch),
        )  # fmt: skip


def of_magenta(peer: Peer) -> Iterator[Comparison]:
    """Ours beside Magenta's graph: decoding, encoding, training."""

    def job(do: str, size: str, batch: int) -> Timed:
        return peer.timed({"do": do, "size": size, "batch": batch})

    for size, batch, precision in (
        ("small", 1, "fp32"), ("small", 16, "fp32"), ("small", 16, "bf16"), ("small", 512, "fp32"),
        ("small", 512, "bf16"), ("hier", 1, "fp32"),
    ):  # fmt: skip
        suffix = "_bf16" if precision == "bf16" else ""
        yield Comparison(
            name=f"decode_{size}_b{batch}{suffix}_vs_magenta", unit="sequences/s",
            per_repeat=batch, ours=decoding(size, batch, precision),
            peer=job("decode", size, batch),
        )  # fmt: skip
    for precision, suffix in (("bf16", ""), ("fp32", "_fp32")):
        yield Comparison(
            name=f"encode_small_b512{suffix}_vs_magenta", unit="sequences/s", per_repeat=512,
            ours=encoding("small", 512, precision), peer=job("encode", "small", 512),
        )  # fmt: skip
        for batch in (128, 512):
            yield Comparison(
                name=f"train_small_b{batch}{suffix}_vs_magenta", unit="tokens/s",
                per_repeat=batch * MAX_STEPS, ours=training("small", batch, precision),
                peer=job("train", "small", batch),
            )  # fmt: skip


def of_text(name: str, peer: Peer, batches: Sequence[Sequence[int]]) -> Comparison:
    """Ours beside a text VAE, on sentences as long as those of the Penn Treebank."""
    return Comparison(
        name=f"train_ptb_vs_{name}", unit="tokens/s", per_repeat=sum(map(sum, batches)),
        ours=training_on(name, batches, "bf16"), peer=peer.timed_batches(batches),
    )  # fmt: skip


def ptb_batches(file: Path) -> list[list[int]]:
    """The lengths of sentences of eight batches, evenly from short to long, with their end."""
    lines = file.read_text(encoding="utf-8").splitlines()
    lengths = sorted(min(len(line.split()) + 1, 60) for line in lines)
    starts = range(0, len(lengths) - SENTENCES, (len(lengths) - SENTENCES) // 7)
    return [[lengths[start + SENTENCES // 2]] * SENTENCES for start in list(starts)[:8]]


def others_use() -> float:
    """The share of the machine's time that other processes use, over half a second."""

    def ticks() -> tuple[float, float]:
        numbers = list(map(int, Path("/proc/stat").read_text(encoding="ascii").split()[1:9]))
        return sum(numbers), numbers[3] + numbers[4]

    before = ticks()
    time.sleep(0.5)  # while we do nothing, what is used is used by others
    after = ticks()
    total = max(after[0] - before[0], 1)
    return round(1 - (after[1] - before[1]) / total, 3)


@dataclass
class Measured:
    """What a side of a comparison reached."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    """For each number of threads, the median of each round."""

    def add(self, threads: int, seconds: list[float]) -> None:
        """One more round."""
        self.seconds.setdefault(threads, []).append(statistics.median(seconds))

    def best(self) -> tuple[int, list[float]]:
        """The better number of threads, and its rounds."""
        return min(self.seconds.items(), key=lambda item: statistics.mean(item[1]))


def compare(comparison: Comparison) -> dict[str, Any]:
    """A row of the results."""
    ours, peer, load = Measured(), Measured(), []
    cores = os.cpu_count() or 1
    for _ in range(ROUNDS):
        for threads in sorted({1, cores}):
            for side, timed in ((ours, comparison.ours), (peer, comparison.peer)):
                load.append(others_use())
                side.add(threads, timed(threads))
    our_threads, our_seconds = ours.best()
    peer_threads, peer_seconds = peer.best()
    ratios = [theirs / mine for mine, theirs in zip(our_seconds, peer_seconds, strict=True)]
    return {
        "name": comparison.name,
        "ours": speed(comparison, our_seconds),
        "peer": speed(comparison, peer_seconds),
        "unit": comparison.unit,
        "ratio": round(statistics.mean(ratios), 2),
        "rounds": [round(ratio, 2) for ratio in ratios],
        "threads": [our_threads, peer_threads],
        "waiting": os.environ.get("OMP_WAIT_POLICY", "default"),
        "load": max(load),
        "quiet": max(load) <= BUSY,
    }


def speed(comparison: Comparison, seconds: list[float]) -> float:
    """Units per second."""
    return float(f"{comparison.per_repeat / statistics.mean(seconds):.4g}")


def share_of_roof() -> dict[str, Any]:
    """How much of the machine's own bf16 products (2048^3) a training step reaches."""
    batch = 512
    config, steps = SIZES["small"]
    x = torch.randn(2048, 2048, dtype=torch.bfloat16)
    product, step = repeated(lambda: x @ x), training("small", batch, "bf16")
    load = [others_use()]
    rounds = []
    cores = os.cpu_count() or 1
    for _ in range(ROUNDS):
        roof = 2 * 2048**3 / statistics.median(product(cores))
        load.append(others_use())
        tokens = batch * steps.max_steps / statistics.median(step(cores))
        rounds.append((6 * weights_per_token(config) * tokens, roof))
    ours, peer = (statistics.mean(side) for side in zip(*rounds, strict=True))
    return {
        "name": "train_share_of_roof",
        "ours": round(ours / 1e9, 1),
        "peer": round(peer / 1e9, 1),
        "unit": "Gflop/s",
        "ratio": round(ours / peer, 2),
        "rounds": [round(mine / theirs, 2) for mine, theirs in rounds],
        "threads": [cores, cores],
        "load": max(load),
        "quiet": max(load) <= BUSY,
    }


def weights_per_token(config: ModelConfig) -> int:
    """Weights that a token is multiplied with in a flat model; a step is 6 flops for each."""
    encoder = 2 * 4 * config.encoder_dim * (config.embedding_dim + config.encoder_dim)
    below = [config.embedding_dim + config.latent_dim, config.decoder_dim]
    decoder = sum(4 * config.decoder_dim * (size + config.decoder_dim) for size in below)
    return encoder + decoder + config.decoder_dim * VOCAB_SIZE


def of_ingest(melodies: Path, songs: Path) -> Iterator[dict[str, Any]]:
    """Files a second beside the same work through pretty_midi."""
    from benchmark_ingest import speed as ingest

    for name, folder, preset, beats in (
        ("melody", melodies, "melody_2bar.yaml", None),
        ("songs", songs, "piano_4bar.yaml", "beat_midi.txt"),
    ):
        load = others_use()
        figures = ingest(folder, preset, beats)
        ratio = figures["times_pretty_midi"]
        yield {
            "name": f"ingest_{name}_vs_pretty_midi",
            "ours": figures["files_per_second"],
            "peer": round(figures["files_per_second"] / ratio, 2),
            "unit": "files/s",
            "ratio": ratio,
            "rounds": [ratio],
            "threads": [1, 1],
            "load": load,
            "quiet": load <= BUSY,
        }


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    facts = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    about = dict(line.split(":", 1) for line in facts if ":" in line)
    about = {name.strip(): value.strip() for name, value in about.items()}
    flags = about.get("flags", "").split()
    return {
        "processor": about.get("model name", platform.processor()),
        "cores": os.cpu_count(),
        "bf16": sorted(flag for flag in flags if "bf16" in flag),
        "system": platform.system(),
    }


def comparisons(options: argparse.Namespace) -> Iterator[Comparison]:
    """All whose peers were given."""
    yield from of_decoding()
    if options.magenta and options.magenta_python:
        command = [options.magenta_python, HERE / "speed_magenta.py", options.magenta]
        yield from of_magenta(Peer(list(map(str, command))))
    for name in ("sentence_vae", "lagging"):
        checkout = getattr(options, name)
        if checkout and options.ptb:
            command = [sys.executable, "-W", "ignore", HERE / "speed_text.py", name, checkout]
            yield of_text(name, Peer(list(map(str, command))), ptb_batches(options.ptb))


def rows(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The rows that were asked for, as they are made."""
    for comparison in comparisons(options):
        if options.only in comparison.name:
            yield compare(comparison)
    if options.only in "train_share_of_roof":
        yield share_of_roof()
    if options.melodies and options.songs and options.only in "ingest":
        yield from of_ingest(options.melodies, options.songs)


def table(made: dict[str, Any]) -> str:
    """The rows as Markdown."""
    return markdown(
        ["row", "seqvae", "peer", "unit", "ratio"],
        [
            [f"`{row['name']}`", f"{row['ours']:,}", f"{row['peer']:,}", row["unit"],
             f"{row['ratio']:.2f}" + ("" if row["quiet"] else " (busy machine)")]
            for row in made["rows"]
        ],
    )  # fmt: skip


def make_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name in ("magenta", "sentence_vae", "lagging"):
        parser.add_argument(f"--{name}", type=Path, help="checkout of the peer")
    parser.add_argument("--magenta_python", type=Path, help="interpreter with TensorFlow")
    parser.add_argument("--ptb", type=Path, help="training sentences of the Penn Treebank")
    parser.add_argument("--melodies", type=Path, help="folder of single-line MIDI")
    parser.add_argument("--songs", type=Path, help="folder of songs with beat_midi.txt")
    parser.add_argument("--only", default="", help="rows whose names contain this")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the results")
    return parser


def main() -> None:
    """Measure, print and keep the rows."""
    options = make_parser().parse_args()
    begin, made = time.monotonic(), []
    for row in rows(options):
        made.append(row)
        print(json.dumps(row), flush=True)
    for name in ("magenta", "sentence_vae", "lagging", "melodies"):
        if getattr(options, name) is None:
            print(f"left out: the rows of {name}, which was not given", file=sys.stderr)
    about = provenance(shlex.join(["python", *sys.argv]), seed=0, seconds=time.monotonic() - begin)
    results = {"machine": machine(), "rows": made, **about}
    options.results.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
