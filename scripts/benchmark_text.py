"""The Penn Treebank benchmark: trains and evaluates rows, and keeps what they gave.

`python scripts/benchmark_text.py --data PTB_FOLDER lm annealing` makes two rows, `all` makes those
for a CPU. A row is nothing but a `seqvae train` and a `seqvae evaluate`; what is done is not done
again, and what was interrupted goes on. `--table` prints the README's table. Flags after `--` go to
`seqvae train`.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import benchmarking
from benchmarking import CONFIGS

RESULTS = Path(__file__).parent / "results" / "ptb.json"

ANNEALING = "--objective.beta.beta_warmup_steps 6575"  # five epochs of sixteen
FOUR_CYCLES = "--objective.beta.shape cyclical --objective.beta.beta_warmup_steps 2630"
ROWS = {
    "lm": "ptb.yaml --model.latent_dim 0",
    "lm_long": "ptb.yaml --model.latent_dim 0 --trainer.max_epochs 24",
    "annealing": f"ptb.yaml {ANNEALING}",
    "annealing_long": "ptb.yaml --objective.beta.beta_warmup_steps 2630 --trainer.max_epochs 24",
    "annealing_state": "ptb.yaml --objective.beta.beta_warmup_steps 2630 --model.z_wiring [state]",
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
    own, after = benchmarking.split_at_dashes(sys.argv[1:])
    options = parser.parse_args(own)
    if options.table:
        print(table(json.loads(options.results.read_text())))
        return
    if options.iw_samples < 1:
        parser.error(f"iw_samples is {options.iw_samples}; it must be 1 or more")
    names = benchmarking.names_of_rows(options.rows, list(ROWS), FOR_A_GPU)
    if not names or options.data is None:
        print(f"benchmark_text: give --data and rows: all, {', '.join(ROWS)}", file=sys.stderr)
        sys.exit(2)
    for name in names:
        make_row(name, options, after)


def make_row(name: str, options: argparse.Namespace, more: list[str]) -> None:
    """Train, evaluate on the test split, and put the row into the file of results."""
    run = options.runs / (f"ptb_{name}" + (f"_seed{options.seed}" if options.seed else ""))
    config, *flags = shlex.split(ROWS[name])
    splits = [f"--data.{split}={options.data / split}.txt" for split in ("train", "valid", "test")]
    figures = benchmarking.figures_of(
        run,
        [str(CONFIGS / config), *flags, *more, *splits, "--data.corpus", options.corpus,
         "--trainer.seed", str(options.seed)],
        ["--precision", "bf16", "--iw_samples", str(options.iw_samples)],
    )  # fmt: skip
    row = {
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
        "minutes": figures["minutes"],
        "device": figures["device"],
        "command": benchmarking.command_of(
            "benchmark_text.py", "PTB_FOLDER", name, flags_of(options, more)
        ),
    }
    benchmarking.write_row(options.results, row, list(ROWS))


def flags_of(options: argparse.Namespace, more: list[str]) -> list[str]:
    """The flags of this script that are not the default ones."""
    seed = ["--seed", str(options.seed)] if options.seed else []
    draws = ["--iw_samples", str(options.iw_samples)] if options.iw_samples != 500 else []
    return [*seed, *draws, *(["--", *more] if more else [])]


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| row | -ELBO | IW-NLL | IW-PPL | KL | MI | active units | minutes | device |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{row['name']}`" + (f", seed {row['seed']}" if row["seed"] else "") + " | "
        f"{row['neg_elbo']:.2f} | {row['iw_nll']:.2f} | {row['iw_ppl']:.1f} | {row['kl']:.2f} | "
        f"{round(row['mi'], 2) + 0:.2f} | {row['active_units']} | {row['minutes']:.0f} | "
        f"{row['device']} |"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
