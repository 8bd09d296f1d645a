"""How fast lines of text become a corpus, and how much memory that takes.

    python scripts/benchmark_corpus.py --lines 30000000

Lines are made of random words: a fifth of a million of them, of which the most frequent come as
often as in English (Zipf's law). They are prepared as `seqvae prepare` does, in a process of its
own; memory is the peak of all that this process and its workers have resident. SentencePiece alone
is one process that encodes lines which are in memory. The JSON comes last.
"""

import argparse
import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking import markdown

from seqvae.inference.provenance import provenance
from seqvae.tokenizers import load_tokenizer
from seqvae.tokenizers.text import SubwordTokenizer

NUM_WORDS = 200_000
WORDS_PER_LINE = 11
LINES_AT_A_TIME = 20_000
NUM_ALONE = 200_000  # lines that SentencePiece encodes alone
SECONDS_BETWEEN_LOOKS = 0.1
PREPARE = """
import sys
from pathlib import Path
from seqvae.corpus.config import DataConfig
from seqvae.corpus.prepare import prepare
if __name__ == "__main__":
    settings = {"kind": "text", "vocab_size": 4000}
    corpus = prepare(DataConfig(source=sys.argv[1], tokenizer=settings), Path(sys.argv[2]))
"""


def random_lines(num_lines: int, seed: int = 0) -> Iterator[str]:
    """Lines of random words, a line feed at the end of each."""
    rng = np.random.default_rng(seed)
    letters = rng.choice(list("etaoinshrdlucmfwypvbgkqjxz"), (NUM_WORDS, 10))
    lengths = 1 + rng.poisson(4.5, NUM_WORDS).clip(0, 9)
    words = np.array(["".join(row[:n]) for row, n in zip(letters, lengths, strict=True)])
    shares = 1 / np.arange(1, NUM_WORDS + 1)
    bounds = np.cumsum(shares / shares.sum())
    for begin in range(0, num_lines, LINES_AT_A_TIME):
        size = (min(LINES_AT_A_TIME, num_lines - begin), WORDS_PER_LINE)
        drawn = np.searchsorted(bounds, rng.random(size)).clip(max=NUM_WORDS - 1)
        yield from (" ".join(row) + "\n" for row in words[drawn].tolist())


def resident_mib(process: int) -> float:
    """Memory of a process and of the processes that it has started, as far as they live."""
    total = 0.0
    for pid in [process, *children_of(process)]:
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        except OSError:
            continue
        total += sum(
            int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS:")
        )
    return total


def children_of(process: int) -> list[int]:
    """The processes that a process has started."""
    try:
        threads = [*Path(f"/proc/{process}/task").iterdir()]
        return [
            int(pid)
            for t in threads
            for pid in (t / "children").read_text(encoding="ascii").split()
        ]
    except OSError:
        return []


def prepare(source: Path, corpus: Path) -> dict[str, float]:
    """Prepare a corpus in a process of its own: seconds, CPU seconds, peak of memory in MiB."""
    begin, before, peak = time.perf_counter(), os.times(), 0.0
    command = [sys.executable, "-c", PREPARE, str(source), str(corpus)]
    with subprocess.Popen(command, env=os.environ | {"TQDM_DISABLE": "1"}) as process:
        while process.poll() is None:
            peak = max(peak, resident_mib(process.pid))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS_BETWEEN_LOOKS)
    if process.returncode:
        sys.exit(f"{' '.join(command)} has failed")
    after = os.times()
    return {
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": sum(after[2:4]) - sum(before[2:4]),
        "peak_mib": peak,
    }


def lines_per_second_alone(source: Path, corpus: Path) -> float:
    """What SentencePiece reaches in one process, at best of three rounds."""
    tokenizer = load_tokenizer(corpus)
    assert isinstance(tokenizer, SubwordTokenizer)
    with source.open(encoding="utf-8") as opened:
        lines = [line.rstrip("\n") for line in islice(opened, NUM_ALONE)]
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        tokenizer.encode_lines(lines)
        seconds.append(time.perf_counter() - begin)
    return len(lines) / min(seconds)


def measure(num_lines: int, place: Path) -> dict[str, Any]:
    """The figures of a corpus of so many lines, which is written to a folder."""
    source, corpus = place / "lines.txt", place / "corpus"
    with source.open("w", encoding="utf-8", newline="") as writer:
        writer.writelines(random_lines(num_lines))
    first, again = prepare(source, corpus), prepare(source, corpus)
    return {
        "lines": num_lines,
        "mib": round(source.stat().st_size / 2**20, 1),
        **{name: round(figure, 1) for name, figure in first.items()},
        "seconds_unchanged": round(again["seconds"], 1),
        "lines_per_second": round(num_lines / first["seconds"]),
        "sentencepiece_lines_per_second": round(lines_per_second_alone(source, corpus)),
    }


def table(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    return markdown(
        ["lines", "MiB", "lines/s", "SentencePiece alone, one process", "peak MiB", "second start"],
        [
            [f"{row['lines']:,}", f"{row['mib']:,}", f"{row['lines_per_second']:,}",
             f"{row['sentencepiece_lines_per_second']:,}", f"{row['peak_mib']:,}",
             f"{row['seconds_unchanged']} s"]
            for row in figures["rows"]
        ],
    )  # fmt: skip


def make_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lines", type=int, default=30_000_000, help="of the larger corpus")
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    return parser


def main() -> None:
    """Measure a corpus and one of a tenth of its size, and print the figures."""
    flags, begin, rows = make_parser().parse_args(), time.monotonic(), []
    for name, num_lines in (("tenth", flags.lines // 10), ("whole", flags.lines)):
        with tempfile.TemporaryDirectory() as place:
            rows.append({"name": f"text_{name}", **measure(num_lines, Path(place))})
    command = shlex.join(["python", *sys.argv])
    about = provenance(command, seed=0, seconds=time.monotonic() - begin)
    figures = json.dumps({"cores": os.cpu_count(), "rows": rows, **about}, indent=2)
    if flags.out is not None:
        flags.out.write_text(figures + "\n", encoding="utf-8")
    print(figures)


if __name__ == "__main__":
    main()
