"""How well `seqvae serve --osc` keeps time, while codes and junk come in.

    python scripts/measure_osc.py melody_2bar --minutes 10

The lateness of each beat is counted from the first one at the nominal tempo. The drift is the
difference between the medians of the first and the last minute (or tenth, if that is shorter).
"""

import argparse
import json
import random
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_speed import BUSY, machine, others_use
from benchmarking import markdown
from load_app import line_of

from seqvae.disk import write_file
from seqvae.inference.provenance import provenance

RESULTS = Path(__file__).parent / "results" / "osc.json"
QPM = 120.0


def measured(model: str, minutes: float, codes_a_second: float) -> dict[str, Any]:
    """A row of the results."""
    load = others_use()
    here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    here.bind(("127.0.0.1", 0))
    here.settimeout(0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "seqvae", "serve", model, "--osc", "--receive", str(port),
        "--send", str(here.getsockname()[1]),
    ]  # fmt: skip
    with here, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as instrument:
        try:
            line_of(instrument, "OSC")
            heard = listen(here, port, 60 * minutes, codes_a_second)
        finally:
            instrument.terminate()
    row = {"name": model, "minutes": minutes, "codes_a_second": codes_a_second}
    return row | timing(*heard) | {"load": load, "quiet": load <= BUSY}


def timing(
    beats: Sequence[tuple[float, int]], balance: dict[tuple[int, int], int], errors: int
) -> dict[str, Any]:
    """The figures of what was heard, in milliseconds."""
    late = np.array([1000 * (at - beats[0][0] - number * 60 / QPM) for at, number in beats])
    span = max(min(int(QPM), len(late) // 10), 1)
    return {
        "beats": len(beats),
        "missing": beats[-1][1] + 1 - len(beats),
        "drift_ms": round(float(np.median(late[-span:]) - np.median(late[:span])), 2),
        "late_p50_ms": round(float(np.quantile(late, 0.5)), 2),
        "late_p99_ms": round(float(np.quantile(late, 0.99)), 2),
        "late_most_ms": round(float(late.max()), 2),
        "stuck": sum(map(abs, balance.values())),
        "errors": errors,
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    return markdown(
        ["instrument", "beats, missing", "drift", "lateness: median, p99, most", "stuck notes",
         "errors"],
        [
            [f"`{row['name']}`, {row['minutes']:g} minutes", f"{row['beats']:,}, {row['missing']}",
             f"{row['drift_ms']:+.2f} ms",
             f"{row['late_p50_ms']} ms, {row['late_p99_ms']} ms, {row['late_most_ms']} ms"
             + ("" if row["quiet"] else " (busy machine)"),
             str(row["stuck"]), str(row["errors"])]
            for row in rows
        ],
    )  # fmt: skip


def make_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", help="a run, a bundle, or the name of a model that ships")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--codes_a_second", type=float, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the results")
    return parser


def main() -> None:
    """Start the instrument, play it, print and keep what came back."""
    options, begin = make_parser().parse_args(), time.monotonic()
    row = measured(options.model, options.minutes, options.codes_a_second)
    about = provenance(shlex.join(["python", *sys.argv]), seed=0, seconds=time.monotonic() - begin)
    results = {"machine": machine(), "rows": [row], **about}
    write_file(options.results, json.dumps(results, indent=2) + "\n")
    print(table([row]))


def listen(
    here: socket.socket, port: int, seconds: float, codes_a_second: float
) -> tuple[list[tuple[float, int]], dict[tuple[int, int], int], int]:
    """Moments and numbers of the beats; of each pitch and channel how often it sounds still."""
    from pythonosc.osc_message_builder import OscMessageBuilder

    from seqvae.serving.osc import messages_in

    def send(name: str, *values: float) -> None:
        builder = OscMessageBuilder(address=name)
        for value in values:
            builder.add_arg(value)
        here.sendto(builder.build().dgram, ("127.0.0.1", port))

    chance = random.Random(0)
    beats: list[tuple[float, int]] = []
    balance: dict[tuple[int, int], int] = {}
    errors, is_over, after = 0, False, 0.0
    send("/seqvae/sample", 1)
    end = time.monotonic() + seconds
    following = time.monotonic() + 1
    while not is_over or time.monotonic() < after:
        now = time.monotonic()
        if now > end and not is_over:
            send("/seqvae/stop")
            is_over, after = True, now + 2
        elif now > following and not is_over:
            following = now + chance.expovariate(codes_a_second)
            send("/seqvae/code", chance.random(), chance.random())
            here.sendto(chance.randbytes(chance.randrange(200)), ("127.0.0.1", port))
        try:
            datagram = here.recv(65536)
        except TimeoutError:
            continue
        moment = time.monotonic()
        for name, values in messages_in(datagram):
            errors += name == "/seqvae/error"
            if name == "/seqvae/beat":
                beats.append((moment, values[0]))
            elif name == "/seqvae/note":
                count(balance, values)
    return beats, balance, errors


def count(balance: dict[tuple[int, int], int], values: Sequence[int]) -> None:
    """A note begins or ends."""
    pitch, velocity, channel = values
    balance[channel, pitch] = balance.get((channel, pitch), 0) + (1 if velocity else -1)


if __name__ == "__main__":
    main()
