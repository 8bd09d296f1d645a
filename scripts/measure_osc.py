"""How well `seqvae serve --osc` keeps time, while codes and junk come in.

    python scripts/measure_osc.py melody_2bar --minutes 10

The lateness of each beat is counted from the first one at the nominal tempo. The drift is the
difference between the medians of the first and the last minute (or tenth, if that is shorter).
"""

import argparse
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

QPM = 120.0


def main() -> None:
    """Start the instrument, play it, print what came back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--codes_a_second", type=float, default=2)
    chosen = parser.parse_args()
    here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    here.bind(("127.0.0.1", 0))
    here.settimeout(0.05)
    free = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    command = [
        sys.executable, "-m", "seqvae", "serve", chosen.model, "--osc", "--receive", str(port),
        "--send", str(here.getsockname()[1]),
    ]  # fmt: skip
    with here, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as instrument:
        try:
            assert instrument.stdout is not None
            instrument.stdout.readline()
            beats, balance, errors = listen(here, port, 60 * chosen.minutes, chosen.codes_a_second)
        finally:
            instrument.terminate()
    late = [1000 * (moment - beats[0][0] - number * 60 / QPM) for moment, number in beats]
    span = max(min(int(QPM), len(late) // 10), 1)
    drift = statistics.median(late[-span:]) - statistics.median(late[:span])
    ordered = sorted(late)
    print(f"{len(beats)} beats of {beats[-1][1] + 1}, {errors} errors")
    print(f"drift {drift:+.2f} ms; lateness: median {statistics.median(late):.2f} ms,", end=" ")
    print(f"99th percentile {ordered[int(0.99 * len(ordered))]:.2f} ms, most {ordered[-1]:.2f} ms")
    print("latest beats:", sorted(zip(late, (number for _, number in beats), strict=True))[-5:])
    print(f"{sum(balance.values())} notes that did not end")


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
