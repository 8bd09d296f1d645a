"""Writes the tables of all READMEs: figures from scripts/results, settings from the code.

    python scripts/tables.py

A table stands between the lines `<!-- table: NAME -->` and `<!-- end -->` of a README; its name is
a key of `TABLES`. Run this after a new row of results or a changed setting.
"""

import json
import re
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any, get_type_hints

import benchmark_complete
import benchmark_corpus
import benchmark_gpu
import benchmark_humanise
import benchmark_ingest
import benchmark_latent
import benchmark_music
import benchmark_page
import benchmark_personal
import benchmark_prior
import benchmark_refine
import benchmark_scale
import benchmark_sentiment
import benchmark_speed
import benchmark_start
import benchmark_symbols
import benchmark_text
import benchmark_where
import docstring_parser
import fuzz_pool
import load_app
import measure_osc
import page_against_torch
import profile_decoding
import profile_training
import yaml
from benchmarking import CONFIGS, ROOT, Row, markdown, over_seeds

from seqvae.inference.evaluation import Evaluation
from seqvae.tokenizers import TOKENIZERS
from seqvae.training.config import Config

RESULTS = ROOT / "scripts" / "results"
EVALUATIONS = {  # files of `seqvae evaluate --json`, one for each seed
    "`melody_2bar`": ["melody_2bar.json", "melody_2bar_seed1.json", "melody_2bar_seed2.json"],
    "unseen only": [
        "melody_2bar_unseen.json", "melody_2bar_unseen_seed1.json", "melody_2bar_unseen_seed2.json",
    ],
    "`captions`": ["captions.json"],
    "`captions_50`": ["captions_50.json"],
    "refined": ["captions_50_refined.json"],
    "`short_yelp`": ["short_yelp.json"],
}  # fmt: skip
BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def read(name: str) -> Any:
    """A file of results."""
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def rows_of(name: str) -> dict[str, Row]:
    """The rows of seed 0 of a file of results, by name."""
    return {row["name"]: row for row in read(name) if row["seed"] == 0}


# Figures


def headline() -> str:
    """The five results of the first page."""
    melodies = [read(file) for file in EVALUATIONS["`melody_2bar`"]]
    melody = {name: mean(row[name] for row in melodies) for name in
              ("accuracy_free_running", "accuracy_constant", "kl")}  # fmt: skip
    melody["kl_bits"] = benchmark_music.bits(melody["kl"])
    music, ptb = rows_of("music.json"), rows_of("ptb.json")
    path = rows_of("latent.json")["melody_2bar"]["interpolation"]
    halfway = benchmark_latent.NUM_POINTS // 2
    big, lm = ptb["big"], ptb["big_lm"]
    lines = [
        ["2 bars of melody, reconstructed", tokens_right(melody),
         f"Magenta: {benchmark_music.PUBLISHED['melody_2bar']}"],
        ["16 bars of melody, reconstructed", tokens_right(music["melody_16bar"]),
         f"Magenta: {benchmark_music.PUBLISHED['melody_16bar']}; without the hierarchy: "
         f"{music['melody_16bar_flat']['accuracy_free_running']:.3f}"],
        ["2 bars of drums, reconstructed", tokens_right(music["drums_2bar_high"]),
         f"Magenta: {benchmark_music.PUBLISHED['drums_2bar_high']}"],
        ["halfway between two melodies", f"{path['slerp']['nats'][halfway]:.2f} nats per token "
         "(5-gram model)", f"real melodies: {path['nats_of_originals']:.2f}; two melodies mixed "
         f"token by token: {path[benchmark_latent.MIXING]['nats'][halfway]:.2f}"],
        ["Penn Treebank", f"perplexity {big['iw_ppl']:.1f}, with {big['kl']:.1f} nats in the "
         "code", f"a language model of its size: {lm['iw_ppl']:.1f}"],
    ]  # fmt: skip
    return markdown(["held-out data", "seqvae", "for comparison"], lines)


def tokens_right(row: Row) -> str:
    """An accuracy, what a constant answer reaches, and the size of the code."""
    constant = f" (constant: {row['accuracy_constant']:.3f})" if "accuracy_constant" in row else ""
    return (
        f"{row['accuracy_free_running']:.3f} of the tokens right{constant} "
        f"at {row['kl_bits']:.1f} bits"
    )


def evaluations() -> str:
    """Every figure of each model that `seqvae evaluate` wrote into a file."""
    columns = {linked(title, files): list(map(read, files)) for title, files in EVALUATIONS.items()}
    lines = []
    for field in fields(Evaluation):
        name = field.name
        values = [[row.get(name) for row in rows] for rows in columns.values()]
        first = [of_seeds[0] for of_seeds in values]
        parts = dict.fromkeys(part for value in first if isinstance(value, dict) for part in value)
        if not parts:
            lines.append([f"`{name}`", *(figure(name, of_seeds) for of_seeds in values)])
        for part in parts:
            cells = [[(value or {}).get(part) for value in of_seeds] for of_seeds in values]
            lines.append([f"`{name}`, {part}", *(figure(name, of_seeds) for of_seeds in cells)])
    return markdown(["figure", *columns], [line for line in lines if set(line[1:]) != {"-"}])


def linked(title: str, files: list[str]) -> str:
    """The head of a column, with the files of its seeds."""
    if len(files) == 1:
        return f"[{title}]({files[0]})"
    return f"{title}, seeds " + ", ".join(f"[{seed}]({file})" for seed, file in enumerate(files))


def figure(name: str, values: list[Any]) -> str:
    """A cell, from the value of each seed."""
    if None in values:
        return "-"
    if isinstance(values[0], list):
        return " of ".join(figure(name, list(each)) for each in zip(*values, strict=True))
    if isinstance(values[0], int):
        return over_seeds(values, ".1f" if len(set(values)) > 1 else "d")
    if "perplexity" in name or name == "bleu":
        return over_seeds(values, ".1f")
    return over_seeds(values, ".3f" if abs(values[0]) < 2 else ".2f")


# Settings


def presets() -> str:
    """Every file of `configs/`, by its first line."""
    lines = []
    for file in sorted(CONFIGS.glob("*.yaml")):
        text = file.read_text(encoding="utf-8")
        about = text[: text.index("name:")].replace("\n# ", " ").removeprefix("# ").strip()
        settings = yaml.safe_load(text)
        model, objective = settings["model"], settings.get("objective", {})
        lines.append([
            f"[`{file.stem}`]({file.name})", about.rstrip("."),
            f"`{settings['data']['tokenizer']['kind']}`",
            str(model["latent_dim"]), remedy(model, objective),
            str(settings["trainer"]["max_epochs"]),
        ])  # fmt: skip
    return markdown(["preset", "for", "tokenizer", "latent_dim", "KL", "epochs"], lines)


def remedy(model: dict[str, Any], objective: dict[str, Any]) -> str:
    """How a preset keeps the code in use."""
    if "target_kl" in objective:
        return f"held at {objective['target_kl']:g} nats"
    if "bn_gamma" in model:
        return f"`bn_gamma` {model['bn_gamma']:g}"
    beta = objective.get("beta", {}).get("max_beta", 1.0)
    return f"`beta` {beta:g}"


def settings(section: str) -> str:
    """The fields of a section of the config, such as `model` or `objective.beta`."""
    kind: Any = Config
    for name in filter(None, section.split(".")):
        kind = get_type_hints(kind)[name]
    about = docstrings(kind)
    lines = [
        [f"`{field.name}`", default_of(field), about[field.name]]
        for field in fields(kind)
        if not is_dataclass(get_type_hints(kind)[field.name])
    ]
    return markdown(["field", "default", "meaning"], lines)


def tokenizer_settings() -> str:
    """The fields of all tokenizers; a default that differs by kind is told for each."""
    defaults: dict[str, dict[str, str]] = {}
    about: dict[str, dict[str, str]] = {}
    for kind, tokenizer in TOKENIZERS.items():
        for field in fields(tokenizer):
            if field.name not in tokenizer.learned:
                defaults.setdefault(field.name, {})[kind] = default_of(field)
                about.setdefault(field.name, {})[kind] = docstrings(tokenizer)[field.name]
    lines = []
    for name, by_kind in defaults.items():
        for meaning in dict.fromkeys(about[name].values()):
            kinds = [kind for kind in by_kind if about[name][kind] == meaning]
            values = {by_kind[kind] for kind in kinds}
            told = values.pop() if len(values) == 1 else None
            each = told or ", ".join(f"{kind} {by_kind[kind]}" for kind in kinds)
            lines.append([f"`{name}`", ", ".join(kinds), each, meaning])
    return markdown(["field", "kinds", "default", "meaning"], lines)


@cache
def docstrings(kind: Any) -> dict[str, str]:
    """The docstring of each field; those of base classes come first and may be replaced."""
    about: dict[str, str] = {}
    for base in reversed(kind.__bases__):
        about |= docstrings(base)
    if is_dataclass(kind):
        for each in docstring_parser.parse_from_object(kind).params:
            about[each.arg_name] = " ".join((each.description or "").split())
    return about


def default_of(field: "Field[Any]") -> str:
    """A default as YAML has it."""
    if field.default is not MISSING:
        value = field.default
    elif field.default_factory is not MISSING:
        value = field.default_factory()
    else:
        return "required"
    if isinstance(value, (list, tuple)):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{json.dumps(value).strip(chr(34))}`"


TABLES: dict[str, Callable[[], str]] = {
    "headline": headline,
    "evaluations": evaluations,
    "music": lambda: benchmark_music.table(read("music.json")),
    "page": lambda: benchmark_page.table(read("page.json")["rows"]),
    "page_engine": lambda: page_against_torch.table(read("page_engine.json")["rows"]),
    "app": lambda: load_app.table(read("app.json")["rows"]),
    "osc": lambda: measure_osc.table(read("osc.json")["rows"]),
    "personal": lambda: benchmark_personal.table(read("personal.json")),
    "scale": lambda: benchmark_scale.table(read("scale.json")),
    "humanise": lambda: benchmark_humanise.table(read("humanise.json")),
    "refine": lambda: benchmark_refine.table(read("refine.json")),
    "priors": lambda: benchmark_prior.table(read("prior.json")),
    "ptb": lambda: benchmark_text.table(read("ptb.json")),
    "interpolation": lambda: benchmark_latent.interpolation_table(read("latent.json")),
    "scores": lambda: benchmark_latent.score_table(read("latent.json")),
    "attributes": lambda: benchmark_latent.attribute_tables(read("latent.json")),
    "complete": lambda: benchmark_complete.table(read("complete.json")),
    "swapped": lambda: benchmark_where.swap_table(read("where.json")),
    "anomalies": lambda: benchmark_where.anomaly_table(read("where.json")),
    "molecules": lambda: benchmark_symbols.table(read("symbols.json"), "molecules"),
    "peptides": lambda: benchmark_symbols.table(read("symbols.json"), "peptides"),
    "sentiment": lambda: benchmark_sentiment.table(read("sentiment.json")),
    "speed": lambda: benchmark_speed.table(read("speed.json")),
    "profile": lambda: profile_training.table(read("profile.json")),
    "profile_decoding": lambda: profile_decoding.table(read("profile_decoding.json")),
    "ingest": lambda: benchmark_ingest.table(read("ingest.json")),
    "corpus": lambda: benchmark_corpus.table(read("corpus.json")),
    "start": lambda: benchmark_start.table(read("start.json")["rows"]),
    "gpu": lambda: benchmark_gpu.table(read("gpu.json")),
    "fuzz": lambda: fuzz_pool.table(read("fuzz.json")),
    "presets": presets,
    "settings": lambda: settings(""),
    "settings_data": lambda: settings("data"),
    "settings_model": lambda: settings("model"),
    "settings_objective": lambda: settings("objective"),
    "settings_beta": lambda: settings("objective.beta"),
    "settings_trainer": lambda: settings("trainer"),
    "settings_tokenizer": tokenizer_settings,
}


def fill(text: str) -> str:
    """The text of a README with every table made anew."""
    return BLOCK.sub(lambda block: block[1] + TABLES[block[2]]() + "\n" + block[3], text)


def readmes() -> list[Path]:
    """All READMEs of the project."""
    folders = ("seqvae", "configs", "data", "scripts", "tests")
    inner = [file for folder in folders for file in (ROOT / folder).rglob("README.md")]
    return [ROOT / "README.md", *sorted(inner)]


def main() -> None:
    """Bring all READMEs up to date."""
    for file in readmes():
        before = file.read_text(encoding="utf-8")
        after = fill(before)
        if after != before:
            file.write_text(after, encoding="utf-8")
            print(f"{file.relative_to(ROOT)}: tables made anew")


if __name__ == "__main__":
    main()
