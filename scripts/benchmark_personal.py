"""How much `personal` gains on drummers that the base never heard, drummer by drummer.

    python scripts/benchmark_personal.py GROOVE --work WORK

GROOVE is the folder of the Groove MIDI Dataset, with info.csv. A base is trained without each group
of drummers (some minutes each; WORK keeps them). Then each drummer of the group brings twelve clips
of two bars, from half of their files at most, and the other files tell how likely their playing is
under the base, under the personal model, and under one that is trained from nothing.
"""

import argparse
import csv
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from benchmarking import Row, markdown, measured_row, seqvae, write_row

from seqvae.errors import InputError
from seqvae.inference.bundle import bundle_in
from seqvae.inference.codec import Codec
from seqvae.inference.metrics import active_units
from seqvae.inference.prior import load_prior
from seqvae.tokenizers.contract import Example, Ids
from seqvae.training.adaptation import from_scratch
from seqvae.training.few_clips import Clips
from seqvae.training.judge import Judge
from seqvae.training.personal import fit_personal

RESULTS = Path(__file__).parent / "results" / "personal.json"
GROUPS = (  # of drummers that a base never heard
    ("drummer1", "drummer2"),
    ("drummer6", "drummer7"),
    ("drummer3", "drummer9", "drummer10"),
    ("drummer4", "drummer5", "drummer8"),
)
DRUMMERS = [f"drummer{number}" for number in range(1, 11)]
BASE = """drums_2bar --model.encoder_dim 160 --model.conductor_dim 160 --model.decoder_dim 256
--objective.target_kl 50 --trainer.max_epochs 7 --trainer.ema_decay 0.995"""
NUM_CLIPS, NUM_FILES = 12, 12  # of a drummer; at most half of the files
NUM_HELD_OUT, NUM_HELD_OUT_FILES, NUM_DRAWS = 48, 16, 20
NUM_MIDPOINTS = 24


def measure(drummer: str, groove: Path, work: Path, seed: int) -> Row:
    """The figures of a drummer."""
    base = base_without(drummer, groove, work)
    codec = Codec.load(base, "cpu")
    prior = load_prior(bundle_in(base), codec.model.config.latent_dim)
    assert prior is not None
    clips, held_out = clips_of(codec, drummer, groove, seed)
    begin = time.process_time()
    made = fit_personal(codec, prior, clips, seed=seed)
    seconds = time.process_time() - begin
    judge = Judge(codec, held_out, NUM_DRAWS, seed=seed)
    nats = judge.nats([codec.model, made.model], [prior, made.prior])
    fresh = from_scratch(codec.model, codec.tokenizer, clips.split(), seed=seed)
    means = codec.posterior([Example(ids) for ids in held_out]).mean
    between = midpoints(codec, Codec(made.model, codec.tokenizer), clips, seed)
    return {
        "clips": len(clips),
        "held_out": len(held_out),
        "base": float(nats[0, 0].mean()),
        "prior_alone": float(nats[0, 1].mean()),
        "personal": float(nats[1, 1].mean()),
        "scratch": float(judge.nats_of_others(fresh).mean(-1).min()),
        "likelier": int((nats[1, 1] < nats[0, 0]).sum()),
        "moved": list(made.moved),
        "active_units": active_units(means.var(0)),
        "midpoints": float(
            Judge(codec, between, NUM_DRAWS, seed=seed).nats([codec.model], [prior]).mean()
        ),
        "cpu_seconds": round(seconds, 1),
    }


def base_without(drummer: str, groove: Path, work: Path) -> Path:
    """The run of a base that never heard a drummer; it is trained if it is not there."""
    place = next(place for place, group in enumerate(GROUPS) if drummer in group)
    run = work / "runs" / f"without_{place}"
    if (run / "bundle" / "prior.safetensors").is_file():
        return run
    table = work / f"without_{place}.csv"
    kept = [row for row in rows_of(groove) if row["drummer"] not in GROUPS[place]]
    with table.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(["midi_filename", "split"])
        for place_of_row, row in enumerate(kept):  # validation files become valid and test
            held_out = "test" if place_of_row % 2 else "validation"
            split = held_out if row["split"] == "validation" else "train"
            writer.writerow([str(groove.resolve() / row["midi_filename"]), split])
    seqvae(
        "train", *shlex.split(BASE), "--name", run.name, "--runs", str(run.parent),
        "--data.table", str(table), "--data.corpus", str(work / "corpora" / run.name),
    )  # fmt: skip
    return run


def rows_of(groove: Path) -> list[dict[str, str]]:
    """The rows of info.csv whose files are there."""
    with (groove / "info.csv").open(newline="", encoding="utf-8") as opened:
        return [row for row in csv.DictReader(opened) if (groove / row["midi_filename"]).is_file()]


def clips_of(codec: Codec, drummer: str, groove: Path, seed: int) -> tuple[Clips, list[Ids]]:
    """Clips of a drummer, taken in turn from some of the files, and clips of others."""
    rng = np.random.default_rng(seed)
    rows = [
        row for row in rows_of(groove)
        if row["drummer"] == drummer and row["beat_type"] == "beat"
    ]  # fmt: skip
    files = [rows[i]["midi_filename"] for i in rng.permutation(len(rows))]
    num_files = min(NUM_FILES, len(files) // 2)
    seen: set[bytes] = set()

    def different(file: str) -> list[Ids]:
        try:
            windows = codec.windows(groove / file)
        except InputError:  # too short, or in another metre
            return []
        new = {ids.tobytes(): ids for ids in (window.ids for window in windows)}
        found = [ids for name, ids in new.items() if name not in seen]
        seen.update(new)
        return [found[i] for i in rng.permutation(len(found))]

    by_file = {file: different(file) for file in files[:num_files]}
    in_turn = sorted(
        (place, file) for file, clips in by_file.items() for place in range(len(clips))
    )[:NUM_CLIPS]
    taken = sorted(in_turn, key=lambda one: one[1])
    held_out = [
        ids for file in files[num_files : num_files + NUM_HELD_OUT_FILES] for ids in different(file)
    ]
    chosen = rng.permutation(len(held_out))[:NUM_HELD_OUT]
    clips = Clips([by_file[file][place] for place, file in taken], [file for _, file in taken])
    return clips, [held_out[i] for i in chosen]


def midpoints(codec: Codec, personal: Codec, clips: Clips, seed: int) -> list[Ids]:
    """What the personal model makes halfway between pairs of clips."""
    rng = np.random.default_rng(seed)
    means = codec.posterior([Example(ids) for ids in clips.ids]).mean
    pairs = torch.tensor(np.stack([rng.permutation(len(clips))[:2] for _ in range(NUM_MIDPOINTS)]))
    return personal.tokens((means[pairs[:, 0]] + means[pairs[:, 1]]) / 2)


def table(rows: Sequence[Row]) -> str:
    """A line for each drummer."""
    header = (
        "drummer", "clips", "held out", "base", "its prior alone", "personal", "from scratch",
        "likelier than under the base", "moved", "active units", "halfway between clips",
        "CPU seconds",
    )  # fmt: skip
    lines = [
        [
            row["name"].removeprefix("drummer"), str(row["clips"]), str(row["held_out"]),
            *(f"{row[name]:.2f}" for name in ("base", "prior_alone", "personal", "scratch")),
            str(row["likelier"]), " and ".join(row["moved"]) or "nothing",
            str(row["active_units"]), f"{row['midpoints']:.2f}", f"{row['cpu_seconds']:.1f}",
        ]
        for row in rows
    ]  # fmt: skip
    return markdown(header, lines)


def make_parser() -> argparse.ArgumentParser:
    """The script's flags."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("groove", nargs="?", type=Path, help="folder of the Groove MIDI Dataset")
    parser.add_argument("drummers", nargs="*", help="such as drummer3; all by default")
    parser.add_argument("--work", type=Path, help="folder of the bases")
    parser.add_argument("--seed", type=int, default=0, help="seed of all draws")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the rows")
    parser.add_argument("--table", action="store_true", help="print the results as a table")
    return parser


def main() -> None:
    """Make the row of each drummer, or print the table."""
    options = make_parser().parse_args()
    if options.table:
        print(table(json.loads(options.results.read_text(encoding="utf-8"))))
        return
    if options.groove is None or options.work is None or not {*options.drummers} <= {*DRUMMERS}:
        sys.exit(
            "benchmark_personal.py: name the folder of Groove, --work, and drummer1 to drummer10"
        )
    torch.set_num_threads(1)
    for drummer in options.drummers or DRUMMERS:
        row = measured_row(
            drummer,
            options.seed,
            lambda drummer=drummer: measure(drummer, options.groove, options.work, options.seed),
        )
        row["command"] = (
            f"python scripts/{Path(__file__).name} groove {drummer} --work personal "
            f"--seed {options.seed}"
        )
        write_row(options.results, row, DRUMMERS)


if __name__ == "__main__":
    main()
