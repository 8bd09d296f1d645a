"""The parts that the benchmark scripts share: rows of results, how they are made and kept.

Most rows are one `seqvae train` and one `seqvae evaluate`. A finished row is not made again, and an
interrupted one is resumed. A run that was made with other flags is refused.
"""

import argparse
import csv
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from seqvae.corpus.store import Corpus
from seqvae.errors import InputError
from seqvae.inference.bundle import open_corpus
from seqvae.inference.provenance import provenance
from seqvae.inference.trained import TrainedVAE

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"
PROVENANCE = ("command", "commit", "seed", "seconds", "versions")  # every row carries these

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """The rows of a script: how each is made and shown, and where they are kept."""

    script: str
    about: str
    rows: Sequence[str]
    not_in_all: Sequence[str] = ()
    place: str
    """Stands for the folder of the data in the command that a row records."""
    results: Path
    iw_samples: int
    """Draws per sequence for the importance-weighted likelihood."""
    make_row: Callable[[str, argparse.Namespace, list[str]], Row]
    """Makes the row of a name from the script's flags and those of `seqvae train`."""
    table: Callable[[list[Row]], str]

    def main(self) -> None:
        """Make rows, or print the table."""
        flags, for_train = split_at_dashes(sys.argv[1:])
        options = self.parser().parse_args(flags)
        if options.table:
            print(self.table(json.loads(options.results.read_text(encoding="utf-8"))))
            return
        names = names_of_rows(options.rows, self.rows, self.not_in_all)
        if options.data is None or not names or options.iw_samples < 1:
            print(
                f"{self.script}: give --data, --iw_samples above 0, and rows: all, or some of "
                f"{', '.join(self.rows)}",
                file=sys.stderr,
            )
            sys.exit(2)
        for name in names:
            row = self.make_row(name, options, for_train)
            row |= {"seed": options.seed, "command": self.command_of(name, options, for_train)}
            write_row(options.results, {"name": name, **row}, self.rows)

    def command_of(self, name: str, options: argparse.Namespace, for_train: list[str]) -> str:
        """The command that makes a row again."""
        words = ["python", f"scripts/{self.script}", "--data", self.place, name]
        for flag in ("seed", "iw_samples"):
            if getattr(options, flag) != self.parser().get_default(flag):
                words += [f"--{flag}", str(getattr(options, flag))]
        return " ".join([*words, *(["--", *for_train] if for_train else [])])

    def parser(self) -> argparse.ArgumentParser:
        """The script's flags."""
        parser = argparse.ArgumentParser(description=self.about, allow_abbrev=False)
        parser.add_argument("rows", nargs="*", help=f"all, or some of {', '.join(self.rows)}")
        parser.add_argument("--data", type=Path, help="folder of the data")
        parser.add_argument("--corpora", type=Path, default=Path("corpora"), help="their folder")
        parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
        parser.add_argument("--results", type=Path, default=self.results, help="file of the rows")
        parser.add_argument("--seed", type=int, default=0, help="seed of the training")
        parser.add_argument(
            "--iw_samples", type=int, default=self.iw_samples, help="draws per sequence"
        )
        parser.add_argument("--table", action="store_true", help="print the results as a table")
        return parser


def split_at_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The arguments before and after `--`."""
    place = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:place], arguments[place + 1 :]


def names_of_rows(names: list[str], rows: Sequence[str], not_in_all: Sequence[str]) -> list[str]:
    """The rows to make; an empty list if one of the names is unknown."""
    if names == ["all"]:
        return [name for name in rows if name not in not_in_all]
    return names if set(names) <= set(rows) else []


def run_of(folder: Path, name: str, seed: int) -> Path:
    """The run of a row."""
    return folder / (name + (f"_seed{seed}" if seed else ""))


def figures_of(run: Path, training: Sequence[str], evaluation: Sequence[str]) -> Row:
    """The figures of a run on its test split; the run is trained first if it is not complete.

    `seconds` are those of the training; commit and versions are those of the evaluation.
    """
    file, about = run / "test.json", run / "row.json"
    flags = {"train": list(training), "evaluate": list(evaluation)}
    if not file.is_file():
        resume = ["--resume"] if (run / "last.ckpt").is_file() else []
        seqvae("train", *training, "--name", run.name, "--runs", str(run.parent), *resume)
        seqvae("evaluate", str(run), "--json", str(file), *evaluation)
        about.write_text(
            json.dumps(flags | {"device": device()}, indent=2) + "\n", encoding="utf-8"
        )
    made = json.loads(about.read_text(encoding="utf-8"))
    for verb, wanted in flags.items():
        if made[verb] != wanted:
            print(f"{run}: made by {verb} {shlex.join(made[verb])}; remove it or give another "
                  "--runs", file=sys.stderr)  # fmt: skip
            sys.exit(2)
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as opened:
        minutes = float(list(csv.DictReader(opened))[-1]["minutes"])
    figures: Row = json.loads(file.read_text(encoding="utf-8"))
    return figures | {"seconds": round(minutes * 60), "device": made["device"]}


def measured_row(name: str, seed: int, measure: Callable[[], Row]) -> Row:
    """A row of figures that this process measures; `seconds` are those of the measuring."""
    begin = time.monotonic()
    figures = measure()
    seconds = time.monotonic() - begin
    made = provenance(shlex.join(["python", *sys.argv]), seed=seed, seconds=seconds)
    return {"name": name} | figures | made


def row_of_run(
    run: Path,
    results: Path,
    seed: int,
    measure: Callable[[Any, Corpus], Row],
    corpus: Path | None = None,
) -> Row:
    """Measure a model and its corpus, or another one, and keep the row; it is named for the run."""
    vae, prepared = TrainedVAE.load(run), open_corpus(run, corpus)
    row = measured_row(run.resolve().name, seed, lambda: measure(vae, prepared))
    write_row(results, row, [])
    return row


def seqvae(*arguments: str) -> None:
    """Run a command as a user would; exit if it fails."""
    done = subprocess.run([sys.executable, "-m", "seqvae.cli", *arguments], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def device() -> str:
    """The GPU, or the threads of the CPU."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


def write_row(file: Path, row: Row, order: Sequence[str]) -> None:
    """Replace the row of the same name and seed; rows are kept in the given order of names."""
    rows = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    rows = [other for other in rows if (other["name"], other["seed"]) != (row["name"], row["seed"])]
    rows.append(row)
    place = {name: number for number, name in enumerate(order)}
    rows.sort(key=lambda each: (place.get(each["name"], len(place)), each["seed"]))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def parser_of_runs(about: str | None, results: Path) -> argparse.ArgumentParser:
    """The flags of a script that measures runs."""
    parser = argparse.ArgumentParser(description=about, allow_abbrev=False)
    parser.add_argument("runs", nargs="*", type=Path, help="runs")
    parser.add_argument("--corpus", type=Path, help="corpus with the same tokens; of one run")
    parser.add_argument("--seed", type=int, default=0, help="seed of all draws")
    parser.add_argument("--results", type=Path, default=results, help="file of the rows")
    parser.add_argument("--table", action="store_true", help="print the results as a table")
    return parser


def measure_runs(
    parser: argparse.ArgumentParser,
    measure: Callable[[TrainedVAE, Corpus, argparse.Namespace], Row],
    table: Callable[[list[Row]], str],
) -> None:
    """Make a row of each run that the flags name, or print the table."""
    options = parser.parse_args()
    if options.table:
        print(table(json.loads(options.results.read_text(encoding="utf-8"))))
        return
    try:
        if not options.runs or (options.corpus and len(options.runs) > 1):
            raise InputError("name runs; --corpus is of one run")
        for run in options.runs:
            row_of_run(
                run, options.results, options.seed,
                lambda vae, corpus: measure(vae, corpus, options),
                options.corpus,
            )  # fmt: skip
    except InputError as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")


def by_name(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of the same name, which differ in their seeds, together."""
    names = dict.fromkeys(row["name"] for row in rows)
    return {name: [row for row in rows if row["name"] == name] for name in names}


def over_seeds(values: Sequence[float], form: str) -> str:
    """A figure; of seeds that differ their mean, and in brackets the lowest and the highest."""
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{mean(values):{form}} ({low} to {high})"


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table; columns that hold nothing but dashes are left out."""
    used = [any(line[column] != "-" for line in lines) for column in range(len(header))]
    table = [header, ["---"] * len(header), *lines]
    texts = ("| " + " | ".join(compress(cells, used)) + " |" for cells in table)
    return "\n".join(texts).replace("| --- ", "|---")
