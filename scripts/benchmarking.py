"""What the benchmark scripts share: a row is a `seqvae train` and a `seqvae evaluate`.

What is done is not done again, and what was interrupted goes on; a run that was made with other
flags is no such thing, and refused.
"""

import csv
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

CONFIGS = Path(__file__).parents[1] / "configs"


def split_at_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What stands before and after `--`."""
    place = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:place], arguments[place + 1 :]


def names_of_rows(asked: list[str], rows: Sequence[str], not_in_all: Sequence[str]) -> list[str]:
    """The rows that are asked for; none where one of them is unknown."""
    if asked == ["all"]:
        return [name for name in rows if name not in not_in_all]
    return asked if set(asked) <= set(rows) else []


def figures_of(run: Path, training: Sequence[str], evaluation: Sequence[str]) -> dict[str, Any]:
    """The figures of a run on its test split and its minutes, trained where that is not done."""
    file, about = run / "test.json", run / "row.json"
    flags = {"train": list(training), "evaluate": list(evaluation)}
    if not file.is_file():
        resume = ["--resume"] if (run / "last.ckpt").is_file() else []
        seqvae("train", *training, "--name", run.name, "--runs", str(run.parent), *resume)
        seqvae("evaluate", str(run), "--json", str(file), *evaluation)
        about.write_text(json.dumps(flags | {"device": device()}, indent=2) + "\n")
    made = json.loads(about.read_text())
    for verb, wanted in flags.items():
        if made[verb] != wanted:
            print(f"{run}: made by {verb} {shlex.join(made[verb])}; remove it or give another "
                  "--runs", file=sys.stderr)  # fmt: skip
            sys.exit(2)
    with (run / "metrics.csv").open(newline="") as opened:
        minutes = float(list(csv.DictReader(opened))[-1]["minutes"])
    figures: dict[str, Any] = json.loads(file.read_text())
    return figures | {"minutes": minutes, "device": made["device"]}


def command_of(script: str, place: str, name: str, flags: Sequence[str]) -> str:
    """What made a row, for who wants to repeat it."""
    return " ".join(["python", f"scripts/{script}", "--data", place, name, *flags])


def seqvae(*arguments: str) -> None:
    """Run the command line as a user would; its failure is ours."""
    done = subprocess.run([sys.executable, "-m", "seqvae.cli", *arguments], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def device() -> str:
    """What computed."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


def write_row(file: Path, row: dict[str, Any], order: Sequence[str]) -> None:
    """Replace the row of the same name and seed; rows stand in the order of their names."""
    rows = json.loads(file.read_text()) if file.is_file() else []
    rows = [other for other in rows if (other["name"], other["seed"]) != (row["name"], row["seed"])]
    rows.append(row)
    place = {name: number for number, name in enumerate(order)}
    rows.sort(key=lambda each: (place.get(each["name"], len(place)), each["seed"]))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(rows, indent=2) + "\n")
