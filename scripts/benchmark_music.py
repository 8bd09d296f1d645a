"""The music benchmark: trains models, evaluates them, and keeps the figures.

`python scripts/benchmark_music.py --data MIDI_FOLDER drums_2bar` makes a row; `all` makes those of
the table. The folder holds the collections nottingham, groove, pop909, jsb_chorales, freedoom and
ultimate. A row is one `seqvae train` and one `seqvae evaluate`. A finished row is not made again,
and an interrupted one is resumed. `--table` prints the table of results. Flags after `--` go to
`seqvae train`.
"""

import argparse
import math
import shlex
from pathlib import Path

import benchmarking
from benchmarking import CONFIGS, Benchmark, Row, markdown

RESULTS = Path(__file__).parent / "results" / "music.json"

TUNES = "--data.source {data}/nottingham/MIDI/melody"
GROOVE = "--data.table {data}/groove/info.csv"
SONGS = "--data.source {data}/pop909/*/*.mid --data.beats beat_midi.txt"
GAMES = "--data.source {data}/freedoom"
WILD = "--data.source {data}/ultimate --data.dedupe true"
# Tracks from the fifth on double the choir; movements share chorales, and so some windows.
CHORALES = "--data.source {data}/jsb_chorales --data.tracks 'none: track=5-16' --data.dedupe true"

# A config and flags. Each flat decoder has as many weights as the hierarchical one above it.
ROWS = {
    "melody_2bar_velocity": f"melody_2bar.yaml {SONGS} --data.tokenizer.num_velocity_bins 32 "
                            "--objective.target_kl 70 --trainer.max_minutes 9",
    "melody_16bar": f"melody_16bar.yaml {TUNES}",
    "melody_16bar_flat": f"melody_16bar.yaml {TUNES} --model.decoder flat "
                         "--model.decoder_dim 723",
    "drums_2bar": f"drums_2bar.yaml {GROOVE}",
    "drums_2bar_high": f"drums_2bar.yaml {GROOVE} --objective.target_kl 74",
    "drums_16bar": f"drums_16bar.yaml {GROOVE}",
    "drums_16bar_flat": f"drums_16bar.yaml {GROOVE} --model.decoder flat "
                        "--model.decoder_dim 712",
    "groove_2bar": f"groove_2bar.yaml {GROOVE}",
    "groove_2bar_hits": f"groove_2bar.yaml {GROOVE} --data.tokenizer.encoder_sees hits",
    "trio_4bar": f"trio_4bar.yaml {WILD}",
    "trio_16bar": f"trio_16bar.yaml {WILD}",
    "trio_4bar_games": f"trio_4bar.yaml {GAMES}",
    "trio_16bar_games": f"trio_16bar.yaml {GAMES}",
    "trio_16bar_unmixed": f"trio_16bar.yaml {GAMES} --data.tokenizer.mix_share 0",
    "piano_2bar": f"piano_2bar.yaml {SONGS}",
    "piano_4bar": f"piano_4bar.yaml {SONGS}",
    "chorale_4bar": f"chorale_4bar.yaml {CHORALES}",
    "chorale_4bar_as_written": f"chorale_4bar.yaml {CHORALES} --data.tokenizer.keys as_written",
}  # fmt: skip

PUBLISHED = {  # accuracy and KL of Magenta's released models on Magenta's own data
    "melody_2bar": "0.95 at 58 bits",
    "melody_16bar": "0.90 at 277 bits",
    "drums_2bar": "0.73 at 11 bits",
    "drums_2bar_high": "0.97 at 107 bits",
    "trio_16bar": "0.82, 0.87, 0.90 at 1027 bits",
}


def make_row(name: str, options: argparse.Namespace, more: list[str]) -> Row:
    """Train, and evaluate on the test split."""
    config, *flags = shlex.split(ROWS[name].format(data=options.data))
    corpus = options.corpora / name.removesuffix("_flat").removesuffix("_high")
    figures = benchmarking.figures_of(
        benchmarking.run_of(options.runs, name, options.seed),
        [str(CONFIGS / config), *flags, *more, "--trainer.seed", str(options.seed),
         "--data.corpus", str(corpus)],
        ["--iw_samples", str(options.iw_samples)],
    )  # fmt: skip
    return {
        **figures,
        "kl_bits": bits(figures["kl"]),
        "published": PUBLISHED.get(name),
    }


def bits(nats: float) -> float:
    """Published figures are in bits."""
    return nats / math.log(2)


def table(rows: list[Row]) -> str:
    """The rows in Markdown; a figure that a row lacks is a dash."""
    header = (
        "row", "accuracy, free running", "constant", "onset F1", "KL", "bits", "velocity", "timing",
        "overlap", "in scale", "minutes", "published",
    )  # fmt: skip
    lines = [
        [
            f"`{row['name']}`" + (f", seed {row['seed']}" if row["seed"] else ""),
            accuracies(row, "accuracy_free_running", "accuracy_by_channel"),
            accuracies(row, "accuracy_constant", "accuracy_constant_by_channel"),
            f"{row['onset_f1']:.3f}",
            f"{row['kl']:.1f}",
            f"{row['kl_bits']:.1f}",
            loudness(row),
            f"{row['timing_error_ms']:.1f} ms" if "timing_error_ms" in row else "-",
            overlap(row),
            "{:.3f} of {:.3f}".format(*row["scale_share"]) if "scale_share" in row else "-",
            f"{row['seconds'] / 60:.0f}",
            row["published"] or "-",
        ]
        for row in rows
    ]
    return markdown(header, lines)


def accuracies(row: Row, name: str, name_by_channel: str) -> str:
    """The accuracy of each voice, of what is struck, or else of all tokens."""
    if name not in row:
        return "-"
    channels: dict[str, float] = row.get(name_by_channel) or {}
    if set(channels) == {"melody", "bass", "drums"} or "lowest" in channels:
        return ", ".join(f"{accuracy:.3f}" for accuracy in channels.values())
    struck = channels.get("hits", channels.get("events", row[name]))
    return f"{struck:.3f}"


def loudness(row: Row) -> str:
    """The mean error of loudness, and that of a constant answer, where the row has it."""
    if "velocity_error" not in row:
        return "-"
    constant = row.get("velocity_error_constant")
    return f"{row['velocity_error']:.1f}" + (f" of {constant:.1f}" if constant else "")


def overlap(row: Row) -> str:
    """The mean overlap of the samples, and of the training split."""
    if "overlap" not in row:
        return "-"
    samples, ceiling = zip(*row["overlap"].values(), strict=True)
    return f"{sum(samples) / len(samples):.2f} of {sum(ceiling) / len(ceiling):.2f}"


BENCHMARK = Benchmark(
    script="benchmark_music.py",
    about=__doc__,
    rows=list(ROWS),
    not_in_all=("trio_16bar_unmixed", "chorale_4bar_as_written"),
    place="MIDI_FOLDER",
    results=RESULTS,
    iw_samples=1,
    make_row=make_row,
    table=table,
)

if __name__ == "__main__":
    BENCHMARK.main()
