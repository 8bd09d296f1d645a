"""Fifty visitors of `seqvae app` at once, for some minutes: how long they wait, and what fails.

    python scripts/load_app.py drums_2bar data/clips/drums --minutes 10

Each asks for one thing after another, with about a second between: two samples, or a variation of a
clip that is sent. The page may have two cores, on which the visitors run, too. It has to end at
SIGTERM with the code of that signal, and to leave no file.
"""

import argparse
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_speed import BUSY, machine, others_use
from benchmarking import markdown

from seqvae.disk import write_file
from seqvae.inference.provenance import provenance

RESULTS = Path(__file__).parent / "results" / "app.json"
ARRIVAL_SECONDS = 10.0  # within which all come
PATIENCE = 120.0  # seconds that a visitor waits for the page to answer at all


class Visitor(threading.Thread):
    """Asks for one thing after another."""

    def __init__(self, address: str, clips: Sequence[Path], end: float, seed: int) -> None:
        """Until `end`, of time.monotonic."""
        super().__init__()
        self.address, self.clips, self.end = address, clips, end
        self.chance = random.Random(seed)
        self.seconds: list[float] = []
        self.errors: list[str] = []

    def run(self) -> None:
        """Come, ask until the end, and note what fails, whatever it is."""
        from gradio_client import Client

        time.sleep(self.chance.uniform(0, ARRIVAL_SECONDS))  # visitors do not come at once
        patience = {"timeout": PATIENCE}
        try:
            client = Client(
                self.address, verbose=False, download_files=False, httpx_kwargs=patience
            )
            while time.monotonic() < self.end:
                begin = time.monotonic()
                self.ask(client)
                self.seconds.append(time.monotonic() - begin)
                time.sleep(self.chance.uniform(0.5, 1.5))  # a visitor listens
        except Exception as error:  # a thread would end unheard, whatever it is
            self.errors.append(f"{type(error).__name__}: {error}")

    def ask(self, client: Any) -> None:
        """One request; a mistake of the page is noted, and the visitor stays."""
        from gradio_client import handle_file
        from gradio_client.exceptions import AppError

        try:
            if self.chance.random() < 0.5:
                client.predict(n=2, api_name="/sample")
            else:
                clip = handle_file(self.chance.choice(self.clips))
                client.predict(clip=clip, verb="vary", bar="1", api_name="/process")
        except AppError as error:
            self.errors.append(f"{type(error).__name__}: {error}")


def visited(model: str, clips: Sequence[Path], num_visitors: int, minutes: float) -> dict[str, Any]:
    """A row of the results."""
    load = others_use()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "seqvae", "app", model, "--no_open"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": folder}
        ) as page:
            try:
                address = line_of(page, "http")
                end = time.monotonic() + 60 * minutes
                visitors = [Visitor(address, clips, end, seed) for seed in range(num_visitors)]
                for visitor in visitors:
                    visitor.start()
                for visitor in visitors:
                    visitor.join()
            finally:
                page.terminate()
        left = [place for place in Path(folder).rglob("*") if place.is_file()]
    seconds = np.array([each for visitor in visitors for each in visitor.seconds])
    return {
        "name": model,
        "visitors": num_visitors,
        "minutes": minutes,
        "requests": len(seconds),
        "errors": [error for visitor in visitors for error in visitor.errors],
        "wait_p50": round(float(np.quantile(seconds, 0.5)), 2),
        "wait_p95": round(float(np.quantile(seconds, 0.95)), 2),
        "ended_cleanly": page.returncode == 128 + signal.SIGTERM and not left,
        "load": load,
        "quiet": load <= BUSY,
    }


def line_of(process: subprocess.Popen[str], begin: str) -> str:
    """The first line of its output that begins so; libraries may print others before."""
    assert process.stdout is not None
    return next(line.strip() for line in process.stdout if line.startswith(begin))


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    return markdown(
        ["page", "visitors", "requests, errors", "wait: median, p95", "ends and leaves nothing"],
        [
            [f"`{row['name']}`", f"{row['visitors']} for {row['minutes']:g} minutes",
             f"{row['requests']:,}, {len(row['errors'])}",
             f"{row['wait_p50']:.1f} s, {row['wait_p95']:.1f} s"
             + ("" if row["quiet"] else " (busy machine)"),
             "yes" if row["ended_cleanly"] else "no"]
            for row in rows
        ],
    )  # fmt: skip


def make_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", help="a run, a bundle, or the name of a model that ships")
    parser.add_argument("clips", type=Path, help="folder of MIDI files")
    parser.add_argument("--visitors", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the results")
    return parser


def main() -> None:
    """Start the page, send the visitors, print and keep what they met."""
    options, begin = make_parser().parse_args(), time.monotonic()
    clips = sorted(options.clips.glob("*.mid"))
    row = visited(options.model, clips, options.visitors, options.minutes)
    about = provenance(shlex.join(["python", *sys.argv]), seed=0, seconds=time.monotonic() - begin)
    results = {"machine": machine(), "rows": [row], **about}
    write_file(options.results, json.dumps(results, indent=2) + "\n")
    print(table([row]), *sorted({*row["errors"]}), sep="\n")


if __name__ == "__main__":
    main()
