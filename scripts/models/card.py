"""The cards of the models that ship: YAML as hubs read it, prose, sources and figures."""

import json
import textwrap
from pathlib import Path
from typing import Any

from seqvae.corpus.config import DataConfig
from seqvae.corpus.prepare import prepare
from seqvae.disk import write_file
from seqvae.inference.attributes import Movement
from seqvae.inference.cards import as_card, model_index, usage
from seqvae.inference.evaluation import Evaluation
from seqvae.inference.options import field_docs
from seqvae.tokenizers import load_tokenizer, settings_of

SHOWN = (  # figures of `seqvae evaluate` that a card states
    "num_sequences", "neg_elbo", "kl", "iw_nll", "active_units", "latent_dim",
    "accuracy_teacher_forced", "accuracy_free_running", "accuracy_constant", "exact_match",
    "onset_f1", "velocity_error", "timing_error_ms", "word_perplexity", "bleu",
)  # fmt: skip
IW_SAMPLES = 5  # draws of z per sequence
MAX_SEQUENCES = 40  # of the clips, where a recipe does not say fewer
CLIPS_SHARES: dict[str, Any] = {
    "valid_share": 0.05,
    "test_share": 0.9,
}  # of the files of data/clips


def write(
    bundle: Path,
    name: str,
    recipes: dict[str, Any],
    figures: dict[str, Evaluation],
    rows: list[dict[str, str]],
) -> None:
    """Write the card of a bundle; `figures` are by the data that they were measured on."""
    recipe = recipes["models"][name]
    head = {
        "library_name": "seqvae",
        "license": recipe["licence"],
        "tags": ["seqvae", "vae", *recipe["tags"]],
        "model-index": model_index(
            name, recipe["preset"], {named(on): shown(of) for on, of in figures.items()}
        ),
    }
    config = json.loads((bundle / "config.json").read_text(encoding="utf-8"))
    epochs = config["training"]["trainer"]["max_epochs"]
    credits_ = "\n".join(
        f"| {recipes['sources'][row['source']]['what']} | {row['address']} | {row['licence']} | "
        f"{row['files']} | {row['windows']} |" for row in rows
    )  # fmt: skip
    body = f"""# {name}

{recipe["what"]}.

{usage(name, is_text=recipe["preset"] == "text", use=recipe.get("use", "").strip())}

{recipe.get("listening", "").strip()}

{attributes(bundle, name, recipe["preset"] == "text")}

Trained for {epochs} epochs on one CPU core, with the preset `{recipe["preset"]}` in a smaller size.
The weights are stored in float16; the figures were measured after that.

## Licence and sources

The weights are under {recipe["licence"]}. They were trained on these data, whose authors do not
endorse them:

| source | address | licence | files | sequences |
|---|---|---|---|---|
{credits_}

## Figures

{table(figures)}

`data/models/SOURCES.tsv` has the commit of each source and the hash of the list of its files.
`scripts/models/build.py` makes this model again.
"""
    write_file(bundle / "README.md", as_card(head, body.replace("\n\n\n\n", "\n\n")))


def attributes(bundle: Path, name: str, is_text: bool) -> str:
    """The attributes whose directions are in a bundle, and how well samples follow them."""
    movement = Movement.load(bundle)
    if movement is None:
        return ""
    example = "SENTENCE" if is_text else "CLIP"
    of_each = zip(movement.names, movement.success_of_movable.tolist(), strict=True)
    text = f"""`seqvae shift {name} {example} --attribute {movement.names[0]}` moves along an
        attribute. In brackets, the share of 256 samples that an amount of 1 moves as wanted, of
        those that can be: {", ".join(f"`{each}` ({share:.2f})" for each, share in of_each)}."""
    return textwrap.fill(" ".join(text.split()), 100, break_on_hyphens=False)


def table(figures: dict[str, Evaluation]) -> str:
    """A row a figure, a column for the data it was measured on."""
    meanings = field_docs(Evaluation)
    columns = {named(on): shown(of) for on, of in figures.items()}
    head = f"| figure | {' | '.join(columns)} | meaning |\n|---|{'---|' * len(columns)}---|\n"
    keys = next(iter(columns.values()))
    return head + "\n".join(
        f"| `{key}` | {' | '.join(f'{of[key]:.4g}' for of in columns.values())} | "
        f"{meanings[key].replace('|', '&#124;')} |" for key in keys
    )  # fmt: skip


def shown(figures: Evaluation) -> dict[str, float]:
    """The figures that a card states."""
    return {key: getattr(figures, key) for key in SHOWN if getattr(figures, key) is not None}


def named(on: str) -> str:
    """How a card calls the data."""
    return "test split" if on == "test" else f"data/clips/{on}"


def measured_on_clips(recipe: dict[str, Any]) -> dict[str, Any]:
    """How `evaluate` measures a model on the clips that ship."""
    max_sequences = recipe.get("max_sequences", MAX_SEQUENCES)
    return {"iw_samples": IW_SAMPLES, "max_sequences": max_sequences}


def prepare_clips(bundle: Path, clips: Path, corpus: Path) -> None:
    """A corpus of clips that ship, nearly all of it in the test split, as a model reads them."""
    tokenizer = load_tokenizer(bundle)
    data = DataConfig(
        source=str(clips), tokenizer=settings_of(tokenizer), num_workers=1, **CLIPS_SHARES,
        vocabulary=str(bundle) if tokenizer.learned else None,
    )  # fmt: skip
    prepare(data, corpus)
