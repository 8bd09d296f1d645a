"""Where the time of a step of decoding goes: products of the LSTM, heads, tables, and the rest.

    python scripts/profile_decoding.py

On one thread of a CPU, greedy, with the sizes of `benchmark_speed.py`. Each part is timed alone
within whole decodings, so that caches are as they are in use. The rest is the arithmetic of the
gates, the start of each segment, and Python between the calls.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from benchmarking import markdown
from speed_ours import SIZES, model_of

from seqvae.inference.provenance import provenance
from seqvae.model import stepper

RESULTS = Path(__file__).parent / "results" / "profile_decoding.json"
ROWS = (("small", 1), ("small", 16), ("small", 512), ("hier", 1))
PARTS = {
    "products": (stepper.Product, "__call__"),
    "heads": (stepper.HeadTables, "draw"),
    "tables": (stepper.InputTables, "__call__"),
}
REPEATS = 30


class Timed:
    """A function, and the seconds that it has taken."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Of a class: what is made of it is called as a method."""
        self.function, self.seconds = function, 0.0

    def as_method(self) -> Callable[..., Any]:
        """The function, timed."""

        def timed(*arguments: Any) -> Any:
            begin = time.perf_counter()
            result = self.function(*arguments)
            self.seconds += time.perf_counter() - begin
            return result

        return timed

    def so_far(self) -> float:
        """The seconds."""
        return self.seconds


def profiled(size: str, batch: int) -> dict[str, Any]:
    """Microseconds of a step, and the share of each part; the best of some decodings."""
    model, num_steps = model_of(size), SIZES[size][1].max_steps
    z = torch.randn(batch, model.config.latent_dim)
    repeats = max(3, REPEATS // batch)
    model.decode(z)
    total = best(lambda: model.decode(z), repeats, time.perf_counter)
    seconds = {}
    for part, (owner, name) in PARTS.items():
        function = getattr(owner, name)
        timed = Timed(function)
        setattr(owner, name, timed.as_method())
        try:
            seconds[part] = best(lambda: model.decode(z), repeats, timed.so_far)
        finally:
            setattr(owner, name, function)
    seconds["rest"] = total - sum(seconds.values())
    layers = model.stepper().layers
    read = sum(layer.product.weight.numel() for layer in layers)
    is_half = batch <= stepper.MAX_HALF_ROWS and layers[0].product.half is not None
    return {
        "name": f"decode_{size}_b{batch}",
        "us": round(1e6 * total / num_steps, 1),
        "mib_of_weights": round(read * (2 if is_half else 4) / 2**20, 1),
        "shares": {part: round(taken / total, 3) for part, taken in seconds.items()},
    }


def best(work: Callable[[], Any], repeats: int, clock: Callable[[], float]) -> float:
    """The least that the clock goes on while the work is done."""
    taken = []
    for _ in range(repeats):
        begin = clock()
        work()
        taken.append(clock() - begin)
    return min(taken)


def table(made: dict[str, Any]) -> str:
    """The rows as Markdown."""
    return markdown(
        ["step", "us", "MiB of weights", *PARTS, "rest"],
        [
            [f"`{row['name']}`", str(row["us"]), str(row["mib_of_weights"]),
             *(f"{share:.2f}" for share in row["shares"].values())]
            for row in made["rows"]
        ],
    )  # fmt: skip


def make_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the results")
    return parser


def main() -> None:
    """Profile, print and keep the rows."""
    options, begin = make_parser().parse_args(), time.monotonic()
    torch.set_num_threads(1)
    rows = [profiled(size, batch) for size, batch in ROWS]
    about = provenance(shlex.join(["python", *sys.argv]), seed=0, seconds=time.monotonic() - begin)
    results = {"rows": rows, **about}
    options.results.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
