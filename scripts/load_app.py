"""Fifty visitors of `seqvae app` at once, for some minutes: their requests, and what failed.

python scripts/load_app.py drums_2bar data/clips/drums --minutes 10
"""

import argparse
import random
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path


class Visitor(threading.Thread):
    """Asks for one thing after another."""

    def __init__(self, address: str, clips: list[Path], end: float, seed: int) -> None:
        """Until `end`, of time.monotonic."""
        super().__init__()
        self.address, self.clips, self.end = address, clips, end
        self.chance = random.Random(seed)
        self.seconds: list[float] = []
        self.errors: list[str] = []

    def run(self) -> None:
        """Sample or vary, with a short rest."""
        from gradio_client import Client, handle_file

        time.sleep(self.chance.uniform(0, 10))  # they do not come all at once
        patience = {"timeout": 120}
        client = Client(self.address, verbose=False, download_files=False, httpx_kwargs=patience)
        while time.monotonic() < self.end:
            begin = time.monotonic()
            try:
                if self.chance.random() < 0.5:
                    client.predict(n=2, api_name="/sample")
                else:
                    clip = handle_file(self.chance.choice(self.clips))
                    client.predict(clip=clip, verb="vary", bar="1", api_name="/process")
            except Exception as error:  # whatever it is, it is counted
                self.errors.append(f"{type(error).__name__}: {error}")
            self.seconds.append(time.monotonic() - begin)
            time.sleep(self.chance.uniform(0.5, 1.5))


def main() -> None:
    """Start the page, send the visitors, print what they met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("clips", type=Path, help="folder of MIDI files")
    parser.add_argument("--visitors", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=10)
    chosen = parser.parse_args()
    command = [sys.executable, "-m", "seqvae", "app", chosen.model, "--no_open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as page:
        try:
            assert page.stdout is not None
            address = page.stdout.readline().strip()
            clips, end = sorted(chosen.clips.glob("*.mid")), time.monotonic() + 60 * chosen.minutes
            visitors = [Visitor(address, clips, end, seed) for seed in range(chosen.visitors)]
            for visitor in visitors:
                visitor.start()
            for visitor in visitors:
                visitor.join()
        finally:
            page.terminate()
    seconds = sorted(each for visitor in visitors for each in visitor.seconds)
    errors = [error for visitor in visitors for error in visitor.errors]
    worst = seconds[int(0.95 * len(seconds))]
    print(f"{len(seconds)} requests of {len(visitors)} visitors, {len(errors)} errors")
    print(f"median {statistics.median(seconds):.1f} s, 95th percentile {worst:.1f} s")
    for error in sorted({*errors}):
        print(error)


if __name__ == "__main__":
    main()
