"""The Penn Treebank benchmark: trains models, evaluates them, and keeps the figures.

`python scripts/benchmark_text.py --data PTB_FOLDER lm annealing` makes two rows; `all` makes those
of the table. A row is one `seqvae train` and one `seqvae evaluate`. A finished row is not made
again, and an interrupted one is resumed. `--table` prints the table of results. Flags after `--` go
to `seqvae train`.
"""

import argparse
import shlex
from pathlib import Path

import benchmarking
from benchmarking import CONFIGS, Benchmark, Row, markdown, over_seeds

RESULTS = Path(__file__).parent / "results" / "ptb.json"

ANNEALING = "--objective.beta.beta_warmup_steps 6575"  # five epochs of sixteen
FOUR_CYCLES = "--objective.beta.shape cyclical --objective.beta.beta_warmup_steps 2630"
ROWS = {
    "lm": "ptb.yaml --model.latent_dim 0",
    "lm_long": "ptb.yaml --model.latent_dim 0 --trainer.max_epochs 24",
    "lm_adam": "ptb.yaml --model.latent_dim 0 --trainer.max_epochs 24 --trainer.optimizer adam "
               "--trainer.learning_rate 2e-3",
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
    "target_8_state": "ptb.yaml --objective.target_kl 8 --model.z_wiring [state]",
    "best_state": "ptb_best.yaml --model.z_wiring [state] --model.bn_gamma 0.57",
    "best_lm": "ptb_best.yaml --model.latent_dim 0 --model.bn_gamma 0",
    "best": "ptb_best.yaml",
    "big_lm": "ptb_big.yaml --model.latent_dim 0 --model.bn_gamma 0",
    "big": "ptb_big.yaml",
}  # fmt: skip
FORMS = {  # of the figures of the table
    "neg_elbo": ".2f", "iw_nll": ".2f", "iw_ppl": ".1f", "kl": ".2f", "mi": ".2f",
    "active_units": ".3g", "minutes": ".0f",
}  # fmt: skip
ONLY_BY_NAME = ("lm_adam", "big_lm", "big")  # the last two are for a GPU


def make_row(name: str, options: argparse.Namespace, more: list[str]) -> Row:
    """Train, and evaluate on the test split."""
    config, *flags = shlex.split(ROWS[name])
    splits = [f"--data.{split}={options.data / split}.txt" for split in ("train", "valid", "test")]
    figures = benchmarking.figures_of(
        benchmarking.run_of(options.runs, f"ptb_{name}", options.seed),
        [str(CONFIGS / config), *flags, *more, *splits, "--trainer.seed", str(options.seed),
         "--data.corpus", str(options.corpora / "ptb")],
        ["--precision", "bf16", "--iw_samples", str(options.iw_samples)],
    )  # fmt: skip
    return {
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
        **{name: figures[name] for name in ("device", "commit", "seconds", "versions")},
    }


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    header = (
        "row", "-ELBO", "IW-NLL", "IW-PPL", "KL", "MI", "active units", "minutes", "device",
    )  # fmt: skip
    return markdown(header, [line(name, same) for name, same in benchmarking.by_name(rows).items()])


def line(name: str, rows: list[Row]) -> list[str]:
    """The cells of the rows of one name, a seed each."""
    columns = {each: [row[each] for row in rows] for each in rows[0]}
    columns["mi"] = [round(mi, 2) + 0 for mi in columns["mi"]]  # never -0.00
    columns["minutes"] = [seconds / 60 for seconds in columns["seconds"]]
    return [
        f"`{name}`" + (f", {len(rows)} seeds" if len(rows) > 1 else ""),
        *(over_seeds(columns[each], form) for each, form in FORMS.items()),
        ", ".join(dict.fromkeys(columns["device"])),
    ]


BENCHMARK = Benchmark(
    script="benchmark_text.py",
    about=__doc__,
    rows=list(ROWS),
    not_in_all=ONLY_BY_NAME,
    place="PTB_FOLDER",
    results=RESULTS,
    iw_samples=500,
    make_row=make_row,
    table=table,
)

if __name__ == "__main__":
    BENCHMARK.main()
