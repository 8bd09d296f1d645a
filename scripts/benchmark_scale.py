"""What `--scale` costs: samples that keep to a scale beside samples that are only moved to its key.

    python scripts/benchmark_scale.py runs/melody_2bar runs/chorale_4bar

Each run gives a row in results/scale.json. The same codes and seeds are decoded twice, with
`--key "E minor"` alone and with `--scale "E minor"` beside it. For both it has the share of samples
all of whose notes lie in the scale, and nats per note by the 5-gram model of `benchmark_prior.py`,
which has learned the training split; `data` has the same of the test split, in whatever key.
`--table` prints the table of results.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark_prior import Judge
from benchmarking import Row, markdown, measure_runs, parser_of_runs

from seqvae.corpus.store import Corpus
from seqvae.inference.trained import TrainedVAE
from seqvae.music.midi import read_midi
from seqvae.music.notes import Piece
from seqvae.music.scales import parse_scale

RESULTS = Path(__file__).parent / "results" / "scale.json"
KEY = "E minor"
NUM_SAMPLES, TEMPERATURE = 1000, 1.0
WAYS: dict[str, dict[str, Any]] = {"key": {"key": KEY}, "scale": {"key": KEY, "scale": KEY}}


def measure(vae: TrainedVAE, corpus: Corpus, num_samples: int, seed: int) -> Row:
    """The figures of both ways."""
    judge = Judge(vae, corpus, num_samples, seed)
    row: Row = {
        "corpus": corpus.folder.name,
        "samples": num_samples,
        "temperature": TEMPERATURE,
        "of_key": KEY,
        "data": {"nats_per_note": judge.nats_per_note(judge.pieces)},
    }
    for name, way in WAYS.items():
        clips = vae.sample(num_samples, temperature=TEMPERATURE, seed=seed, **way)
        pieces = [read_midi(clip, judge.pieces[0].steps_per_quarter) for clip in clips]
        row[name] = {
            "inside": sum(map(is_inside, pieces)) / num_samples,
            "nats_per_note": judge.nats_per_note(pieces),
        }
    return row


def is_inside(piece: Piece) -> bool:
    """Whether all pitched notes of a piece lie in the scale."""
    pitches = piece.notes["pitch"][~piece.notes["is_drum"]]
    return bool(parse_scale(KEY).pitch_classes()[pitches % 12].all())


def table(rows: Sequence[Row]) -> str:
    """A line for each row."""
    header = (
        "model", "samples", "inside: key alone", "with the scale", "nats per note: data",
        "key alone", "with the scale",
    )  # fmt: skip
    lines = [
        [f"`{row['name']}`", f"{row['samples']:,}", f"{row['key']['inside']:.3f}",
         f"{row['scale']['inside']:.3f}", f"{row['data']['nats_per_note']:.2f}",
         f"{row['key']['nats_per_note']:.2f}", f"{row['scale']['nats_per_note']:.2f}"]
        for row in rows
    ]  # fmt: skip
    return markdown(header, lines)


def make_parser() -> argparse.ArgumentParser:
    """The script's flags."""
    parser = parser_of_runs(__doc__, RESULTS)
    parser.add_argument("--samples", type=int, default=NUM_SAMPLES, help="samples of each way")
    return parser


def main() -> None:
    """Make a row of each run, or print the table."""
    measure_runs(
        make_parser(),
        lambda vae, corpus, options: measure(vae, corpus, options.samples, options.seed),
        table,
    )


if __name__ == "__main__":
    main()
