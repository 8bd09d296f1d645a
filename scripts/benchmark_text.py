"""The Penn Treebank benchmark: trains and evaluates rows, and keeps what they gave.

`python scripts/benchmark_text.py --data PTB_FOLDER lm annealing` makes two rows, `all` makes those
for a CPU. A row is nothing but a `seqvae train` and a `seqvae evaluate`; what is done is not done
again, and what was interrupted goes on. `--table` prints the README's table. Flags after `--` go to
`seqvae train`.
"""

import argparse
import csv
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results" / "ptb.json"
CONFIGS = Path(__file__).parents[1] / "configs"

ANNEALING = "--objective.beta.beta_warmup_steps 6575"  # five epochs of sixteen
FOUR_CYCLES = "--objective.beta.shape cyclical --objective.beta.beta_warmup_steps 2630"
ROWS = {
    "lm": "ptb.yaml --model.latent_dim 0",
    "lm_long": "ptb.yaml --model.latent_dim 0 --trainer.max_epochs 24",
    "annealing": f"ptb.yaml {ANNEALING}",
    "annealing_long": "ptb.yaml --objective.beta.beta_warmup_steps 2630 --trainer.max_epochs 24",
    "cyclical": f"ptb.yaml {FOUR_CYCLES}",
    "free_nats": f"ptb.yaml {ANNEALING} --objective.free_nats_per_dim 0.25",
    "bn": f"ptb.yaml {ANNEALING} --model.bn_gamma 0.6",
    "pretrained_free_nats": (
        f"ptb.yaml {ANNEALING} --objective.free_nats_per_dim 0.25 --trainer.pretrain_epochs 5"
    ),
    "target_4": "ptb.yaml --objective.target_kl 4",
    "target_8": "ptb.yaml --objective.target_kl 8",
    "best_lm": "ptb_best.yaml --model.latent_dim 0 --model.bn_gamma 0",
    "best": "ptb_best.yaml",
    "big_lm": "ptb_big.yaml --model.latent_dim 0 --model.bn_gamma 0",
    "big": "ptb_big.yaml",
}
FOR_A_GPU = ("big_lm", "big")


def main() -> None:
    """Make rows, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("rows", nargs="*", help=f"all, or some of {', '.join(ROWS)}")
    parser.add_argument("--data", type=Path, help="folder with train.txt, valid.txt, test.txt")
    parser.add_argument("--corpus", default="corpora/ptb", help="folder of the prepared corpus")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the results")
    parser.add_argument("--seed", type=int, default=0, help="seed of the training")
    parser.add_argument("--iw_samples", type=int, default=500, help="draws a sentence")
    parser.add_argument("--table", action="store_true", help="print the results as a table")
    own, after = split_at_dashes(sys.argv[1:])
    options = parser.parse_args(own)
    if options.table:
        print(table(json.loads(options.results.read_text())))
        return
    names = [n for n in ROWS if n not in FOR_A_GPU] if options.rows == ["all"] else options.rows
    unknown = [name for name in names if name not in ROWS]
    if unknown or not names or options.data is None:
        print(f"benchmark_text: give --data and rows: all, {', '.join(ROWS)}", file=sys.stderr)
        sys.exit(2)
    for name in names:
        make_row(name, options, after)


def split_at_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What stands before and after `--`."""
    place = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:place], arguments[place + 1 :]


def make_row(name: str, options: argparse.Namespace, more: list[str]) -> None:
    """Train, evaluate on the test split, and put the row into the file of results."""
    run_name = f"ptb_{name}" + (f"_seed{options.seed}" if options.seed else "")
    run = options.runs / run_name
    config, *flags = shlex.split(ROWS[name])
    splits = [f"--data.{split}={options.data / split}.txt" for split in ("train", "valid", "test")]
    training = [
        "train", str(CONFIGS / config), *flags, *more, *splits, "--name", run_name,
        "--data.corpus", options.corpus, "--trainer.seed", str(options.seed),
        "--runs", str(options.runs),
    ]  # fmt: skip
    figures_file = run / "test.json"
    if not figures_file.is_file():
        seqvae(*training, *(["--resume"] if (run / "last.ckpt").is_file() else []))
        seqvae(
            "evaluate", str(run), "--json", str(figures_file), "--precision", "bf16",
            "--iw_samples", str(options.iw_samples),
        )  # fmt: skip
    figures = json.loads(figures_file.read_text())
    with (run / "metrics.csv").open(newline="") as opened:
        minutes = float(list(csv.DictReader(opened))[-1]["minutes"])
    write_row(options.results, {
        "name": name,
        "split": figures["split"],
        "neg_elbo": figures["neg_elbo"],
        "iw_nll": figures["iw_nll"],
        "iw_nll_stderr": figures.get("iw_nll_stderr"),
        "iw_ppl": figures["iw_word_perplexity"],
        "kl": figures["kl"],
        "mi": figures["mi_aggregate"],
        "mi_estimator": f"aggregate posterior of {figures['num_sequences']} sentences, "
                        f"ceiling {figures['mi_aggregate_ceiling']:.2f} nats",
        "active_units": figures["active_units"],
        "seed": options.seed,
        "minutes": minutes,
        "device": device(),
        "command": f"python scripts/benchmark_text.py --data PTB_FOLDER {name}"
                   + (f" --seed {options.seed}" if options.seed else ""),
    })  # fmt: skip


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


def write_row(file: Path, row: dict[str, Any]) -> None:
    """Replace the row of the same name and seed."""
    rows = json.loads(file.read_text()) if file.is_file() else []
    rows = [other for other in rows if (other["name"], other["seed"]) != (row["name"], row["seed"])]
    rows.append(row)
    rows.sort(key=lambda each: (list(ROWS).index(each["name"]), each["seed"]))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(rows, indent=2) + "\n")


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| row | -ELBO | IW-NLL | IW-PPL | KL | MI | active units | minutes | device |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{row['name']}`" + (f", seed {row['seed']}" if row["seed"] else "") + " | "
        f"{row['neg_elbo']:.2f} | {row['iw_nll']:.2f} | {row['iw_ppl']:.1f} | {row['kl']:.2f} | "
        f"{row['mi']:.2f} | {row['active_units']} | {row['minutes']:.0f} | {row['device']} |"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
