"""Where the time of a training step goes: products, LSTM calls, and everything else.

    python scripts/profile_training.py [PRESET ...]

Each step runs on random tokens, in bf16 where the hardware multiplies it. The share of LSTM calls
and products is what a faster step cannot take away on the same network; the largest of the other
operations are listed by name.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from benchmarking import markdown
from torch.profiler import ProfilerActivity, profile
from workloads import PRESETS, training_step, workload

from seqvae.inference.provenance import provenance
from seqvae.training.hardware import keep_freed_memory, use_bf16

RESULTS = Path(__file__).parent / "results" / "profile.json"
LSTM = ("rnn", "lstm")
PRODUCTS = ("mm", "linear", "gemm", "mv")
REPEATS, NUM_NAMED = 3, 5


def kind_of(operation: str) -> str:
    """lstm, product or other, by the name of an operation or a kernel."""
    name = operation.lower()
    if any(part in name for part in LSTM):
        return "lstm"
    return "product" if any(part in name for part in PRODUCTS) else "other"


def profiled(preset: str, device: torch.device) -> dict[str, Any]:
    """The shares of a step's own time, and the largest operations that are neither."""
    work, on_gpu = workload(preset), device.type == "cuda"
    bf16 = use_bf16("auto", on_gpu=on_gpu)
    _, step = training_step(work, work.batch_size, bf16=bf16, device=device)
    step()
    activities = [ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]
    with profile(activities=activities) as profiler:
        for _ in range(REPEATS):
            step()
    seconds: dict[str, float] = {}
    for event in profiler.key_averages():
        own = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        seconds[event.key] = own / 1e6 / REPEATS
    total = sum(seconds.values())
    shares = {"lstm": 0.0, "product": 0.0, "other": 0.0}
    for name, own in seconds.items():
        shares[kind_of(name)] += own / total
    others = [name for name in seconds if kind_of(name) == "other"]
    others.sort(key=lambda name: -seconds[name])
    return {
        "name": preset,
        "batch_size": work.batch_size,
        "bf16": bf16,
        "ms": round(1000 * total, 1),
        "shares": {kind: round(share, 3) for kind, share in shares.items()},
        "largest_others": {
            name[:60]: round(seconds[name] / total, 3) for name in others[:NUM_NAMED]
        },
    }


def table(made: dict[str, Any]) -> str:
    """The rows as Markdown."""
    return markdown(
        ["step", "batch", "ms", "LSTM", "products", "other", "the largest of them"],
        [
            [f"`{row['name']}`", str(row["batch_size"]), str(row["ms"]),
             *(f"{row['shares'][kind]:.2f}" for kind in ("lstm", "product", "other")),
             ", ".join(f"{name} {share:.3f}" for name, share in row["largest_others"].items())]
            for row in made["rows"]
        ],
    )  # fmt: skip


def make_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("presets", nargs="*", default=PRESETS)
    parser.add_argument("--device", default="cpu", choices=["cuda", "cpu"])
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the results")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Profile, print and keep the rows."""
    options = make_parser().parse_args(arguments)
    keep_freed_memory()
    begin, made = time.monotonic(), []
    for preset in options.presets:
        made.append(profiled(preset, torch.device(options.device)))
        print(json.dumps(made[-1]), flush=True)
    about = provenance(shlex.join(["python", *sys.argv]), seed=0, seconds=time.monotonic() - begin)
    results = {"device": options.device, "rows": made, **about}
    options.results.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
