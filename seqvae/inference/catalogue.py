"""The lists of what ships: models by their cards, presets by their first lines."""

import csv
from collections.abc import Sequence
from pathlib import Path

from seqvae.disk import door
from seqvae.inference.cards import CARD, figures_in, read_card
from seqvae.shipped import models, presets, presets_folder

TRAINED = "trained.tsv"  # beside the presets: what the training of each took
REMEDY = "install seqvae again"
HEADLINES = {
    "accuracy_free_running": "{:.2f} of the tokens right",
    "kl": "{:.0f} nats",
    "velocity_error": "loudness off by {:.0f} of 127",
    "timing_error_ms": "timing by {:.0f} ms",
}


def list_models() -> str:
    """Name, size, licence, content and headline figures of the models that ship, as a table."""
    rows = [_model_row(name, bundle) for name, bundle in models().items()]
    return _aligned([("model", "MB", "licence", "what", "on held-out data"), *rows])


def list_presets() -> str:
    """Name, weights, and the time and data of a training, of each preset, as a table."""
    file = presets_folder() / TRAINED
    with door(file, REMEDY, csv.Error), file.open(encoding="utf-8", newline="") as opened:
        took = {row["preset"]: row for row in csv.DictReader(opened, delimiter="\t")}
    titles = ("preset", "million weights", "minutes", "hardware", "on", "what")
    rows = []
    for name, preset in presets().items():
        row = took.get(name, {})
        numbers = (row.get(key, "-") for key in ("million_weights", "minutes", "hardware", "data"))
        rows.append((name, *numbers, about_preset(preset)))
    return _aligned([titles, *rows])


def about_preset(file: Path) -> str:
    """What a preset is for: the comment before its settings."""
    text = file.read_text(encoding="utf-8")
    return text[: text.index("name:")].replace("\n# ", " ").removeprefix("# ").strip().rstrip(".")


def _model_row(name: str, bundle: Path) -> tuple[str, ...]:
    head, body = read_card(bundle / CARD, REMEDY)
    size = sum(file.stat().st_size for file in bundle.iterdir())
    what = next(line for line in body.splitlines() if line and not line.startswith("#"))
    figures = figures_in(head)
    said = ", ".join(text.format(figures[key]) for key, text in HEADLINES.items() if key in figures)
    return name, f"{size / 1e6:.1f}", str(head["license"]), what.rstrip("."), said


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
