"""The music benchmark: trains and evaluates rows, and keeps what they gave.

`python scripts/benchmark_music.py --data MIDI_FOLDER drums_2bar` makes a row, `all` makes every
one. The folder holds the collections under their own names: nottingham, groove, pop909,
jsb_chorales, freedoom. What is done is not done again, and what was interrupted goes on. `--table`
prints the README's table. Flags after `--` go to `seqvae train`.
"""

import argparse
import math
import shlex
from pathlib import Path

import benchmarking
from benchmarking import CONFIGS, Benchmark, Row

RESULTS = Path(__file__).parent / "results" / "music.json"

TUNES = "--data.source {data}/nottingham/MIDI/melody"
GROOVE = "--data.table {data}/groove/info.csv"
SONGS = "--data.source {data}/pop909/*/*.mid --data.beats beat_midi.txt"
GAMES = "--data.source {data}/freedoom"

# Config and flags; flat decoders have as many weights as the hierarchical ones above them.
ROWS = {
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
    "trio_4bar": f"trio_4bar.yaml {GAMES}",
    "trio_16bar": f"trio_16bar.yaml {GAMES}",
    "piano_4bar": f"piano_4bar.yaml {SONGS}",
    "chorale_4bar": "chorale_4bar.yaml --data.source {data}/jsb_chorales",
}  # fmt: skip

PUBLISHED = {  # of Magenta's released models, on its own data
    "melody_16bar": "0.90 at 277 bits",
    "drums_2bar": "0.73 at 11 bits",
    "drums_2bar_high": "0.97 at 107 bits",
    "trio_16bar": "0.82, 0.87, 0.90 at 1027 bits",
}


KEPT = (
    "split", "num_sequences", "neg_elbo", "kl", "active_units", "latent_dim",
    "accuracy_teacher_forced", "accuracy_free_running", "accuracy_by_channel", "exact_match",
    "onset_f1", "velocity_error", "timing_error_ms", "overlap", "minutes", "device",
)  # fmt: skip


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
        **{key: figures[key] for key in KEPT if key in figures},
        "kl_bits": figures["kl"] / math.log(2),
        "published": PUBLISHED.get(name),
    }


def table(rows: list[Row]) -> str:
    """Markdown."""
    names = (
        "row", "accuracy, free running", "onset F1", "KL", "bits", "velocity", "timing", "music",
        "minutes", "published",
    )  # fmt: skip
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in rows:
        channels = row.get("accuracy_by_channel") or {}
        accuracy = [row["accuracy_free_running"]]
        if len(channels) == 3:  # voices
            accuracy = list(channels.values())
        elif "hits" in channels:  # of a groove
            accuracy = [channels["hits"]]
        reached, ceiling = zip(*row["overlap"].values(), strict=True)
        cells = [
            f"`{row['name']}`" + (f", seed {row['seed']}" if row["seed"] else ""),
            ", ".join(f"{share:.3f}" for share in accuracy),
            f"{row['onset_f1']:.3f}",
            f"{row['kl']:.1f}",
            f"{row['kl_bits']:.1f}",
            f"{row['velocity_error']:.1f}" if "velocity_error" in row else "-",
            f"{row['timing_error_ms']:.1f} ms" if "timing_error_ms" in row else "-",
            f"{sum(reached) / len(reached):.2f} of {sum(ceiling) / len(ceiling):.2f}",
            f"{row['minutes']:.0f}",
            row["published"] or "-",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


BENCHMARK = Benchmark(
    script="benchmark_music.py",
    about=__doc__,
    rows=list(ROWS),
    place="MIDI_FOLDER",
    results=RESULTS,
    iw_samples=1,
    make_row=make_row,
    table=table,
)

if __name__ == "__main__":
    BENCHMARK.main()
