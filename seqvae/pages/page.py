"""One HTML page of a trained model: how it learned, what its code holds, what it says or plays.

The page is `report.html`, filled with its styles, its scripts and the data of a run as JSON. It
stands alone: it loads nothing.

Axes: N sequences of the validation split, Z latent.
"""

import ast
import inspect
import itertools
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from seqvae.corpus.store import Corpus
from seqvae.errors import InputError
from seqvae.inference.attributes import Movement
from seqvae.inference.measures import ATTRIBUTES
from seqvae.inference.metrics import Evaluation
from seqvae.inference.trained import TrainedVAE
from seqvae.model.decoder import GREEDY, Sampling
from seqvae.model.latent import slerp
from seqvae.music.notes import Piece
from seqvae.pages.plane import Plane, fit_plane
from seqvae.tokenizers.contract import Example
from seqvae.tokenizers.drums import CLASS_OF, CLASSES, NUM_CLASSES
from seqvae.training.checkpoint import read_metrics

TEMPLATE = Path(__file__).with_name("report.html")
SLOT = re.compile(r"\{\{([\w.]+)\}\}")  # of the data, or of a file beside the template

MAX_BYTES = 5_000_000  # of a page
MAX_POINTS = 10_000  # of a map
NUM_SAMPLES = 8  # of the prior
NUM_STEPS = 7  # of the interpolation
IW_SAMPLES = 10  # draws a sequence of iw_nll: a looser bound than of the usual 500, in minutes
NUM_PROGRAMS = 128  # of General MIDI; the sounds beyond are those of a drum kit

Data: TypeAlias = dict[str, Any]  # of plain values, which JSON can say

CURVES = ("epoch", "neg_elbo", "kl", "accuracy_free_running")  # columns of metrics.csv
UNITS = {
    "nats per sequence": ("neg_elbo", "nll", "kl", "iw_nll"),
    "nats": ("mi_aggregate", "mi_batch"),
    "dimensions": ("active_units",),
    "share of tokens": ("accuracy_teacher_forced", "accuracy_free_running", "accuracy_by_channel"),
    "share of sequences": ("exact_match",),
    "from 0 to 1": ("onset_f1",),
    "from 0 to 100": ("bleu",),
    "MIDI velocities": ("velocity_error",),
    "milliseconds": ("timing_error_ms",),
    "per word": ("word_perplexity", "iw_word_perplexity"),
    "bits per byte": ("bits_per_byte",),
    "shared area, 0 to 1: reached of ceiling": ("overlap",),
}
UNIT_OF = {name: unit for unit, names in UNITS.items() for name in names}
MOST = {  # the figure that is the most another can be
    "active_units": "latent_dim",
    "mi_aggregate": "mi_aggregate_ceiling",
    "mi_batch": "mi_batch_ceiling",
}


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The validation split, shortest sequences first, on the CPU."""

    examples: list[Example]
    means: Float[Tensor, "N Z"]
    kl_per_dim: Float[Tensor, " Z"]
    """Mean over the split, in nats."""


def write_report(run: Path, corpus: Corpus, out: Path) -> None:
    """Write the page of a run; its figures and its map are those of the validation split.

    Raises:
        InputError: the run has no metrics.csv or is a language model, or `out` is no .html file.
    """
    if out.suffix.lower() != ".html":
        raise InputError(f"{out}: the report is a page; give a name that ends in .html")
    vae = TrainedVAE.load(run)
    if vae.model.latent_dim == 0:
        raise InputError(f"{run}: a language model (latent_dim 0) has no code to draw")
    history = read_metrics(run)
    figures = vae.evaluate(corpus, split="valid", iw_samples=IW_SAMPLES)
    held_out = _held_out(vae, corpus)
    plane = fit_plane(held_out.means)
    data = {
        "title": run.resolve().name,
        "modality": vae.tokenizer.modality,
        "facts": _facts(vae, corpus),
        "curves": {name: _plain(row[name] for row in history) for name in CURVES},
        "figures": _figures(figures),
        "iw_samples": IW_SAMPLES,
        "kl_per_dim": _plain(held_out.kl_per_dim.sort(descending=True).values),
        "samples": _samples(vae, held_out),
        "interpolation": _interpolation(vae, held_out, plane),
        "map": _map(vae, held_out, plane),
        "movement": _matrix(vae.movement),
    }
    if vae.tokenizer.modality == "music":
        data["grid"] = {
            "steps_per_quarter": vae.tokenizer.steps_per_quarter,
            "steps_per_bar": vae.tokenizer.steps_per_bar,
            "num_programs": NUM_PROGRAMS,
            "drums": [*CLASSES, "other percussion"],
        }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(fitted(data, MAX_BYTES), encoding="utf-8")


def fitted(data: Data, max_bytes: int) -> str:
    """The page, with as many points of the map as fit; they stand in an order drawn at random."""
    own: Data = data["map"]
    page = fill(data)
    while len(page.encode()) > max_bytes and len(own["points"]) > 1:
        count = len(own["points"]) * 4 // 5
        own = own | {name: own[name][:count] for name in ("points", "contents")}
        own["attributes"] = [a | {"values": a["values"][:count]} for a in own["attributes"]]
        page = fill(data | {"map": own})
    return page


def fill(data: Data) -> str:
    """The template with data in it, in which no text can end or begin a tag."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")

    def filling(slot: re.Match[str]) -> str:
        name = slot[1]
        return text if name == "data" else TEMPLATE.with_name(name).read_text(encoding="utf-8")

    return SLOT.sub(filling, TEMPLATE.read_text(encoding="utf-8"))


# What the page shows


def _facts(vae: TrainedVAE, corpus: Corpus) -> dict[str, str | int]:
    """What the model is."""
    return {
        "tokenizer": vae.tokenizer.kind,
        "latent dimensions": vae.model.latent_dim,
        "parameters": sum(weight.numel() for weight in vae.model.parameters()),
        **{f"{split} sequences": number for split, number in corpus.num_sequences.items()},
    }


def _figures(figures: Evaluation) -> list[Data]:
    """The figures with their units and definitions, each beside the most that it can be."""
    found = {name: value for name, value in vars(figures).items() if value is not None}
    definitions = _definitions()
    rows: list[Data] = []
    for name in (name for name in found if name in UNIT_OF):
        value = found[name]
        row: Data = {"name": name, "unit": UNIT_OF[name], "definition": definitions[name]}
        row["stderr"] = found.get(f"{name}_stderr")
        if isinstance(value, dict):
            row["parts"] = [
                {"name": part, "values": _plain(np.atleast_1d(own))} for part, own in value.items()
            ]
        else:
            row["values"] = _plain([value, *([found[MOST[name]]] if name in MOST else [])])
        rows.append(row)
    return rows


def _definitions() -> dict[str, str]:
    """The text under each field of `Evaluation`."""
    (own,) = ast.parse(inspect.getsource(Evaluation)).body
    assert isinstance(own, ast.ClassDef)
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in itertools.pairwise(own.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _samples(vae: TrainedVAE, held_out: HeldOut) -> list[Any]:
    """Samples of the prior at temperature 1, over chords of the split where chords are given."""
    generator = vae.generator(0)
    z = vae.prior.sample(NUM_SAMPLES, generator)
    places = np.linspace(0, len(held_out.examples) - 1, NUM_SAMPLES).astype(int)
    return _decoded(vae, z, [held_out.examples[i] for i in places], Sampling(), generator)


def _interpolation(vae: TrainedVAE, held_out: HeldOut, plane: Plane) -> Data:
    """Two held-out sequences, and the way from the one to the other.

    At the thirds of the lengths: neither the shortest nor the longest.
    """
    ends = [len(held_out.means) // 3, 2 * len(held_out.means) // 3]
    fractions = torch.linspace(0, 1, NUM_STEPS)
    z = slerp(held_out.means[ends[0]], held_out.means[ends[1]], fractions)
    nearer = [held_out.examples[ends[int(t > 0.5)]] for t in fractions.tolist()]
    return {
        "ends": [_plain_content(vae.content(held_out.examples[i].ids)) for i in ends],
        "contents": _decoded(vae, z, nearer),
        "points": _plain(plane.place(z)),
    }


def _map(vae: TrainedVAE, held_out: HeldOut, plane: Plane) -> Data:
    """The posterior means of sequences drawn at random, and what these are like."""
    chosen = np.random.default_rng(0).permutation(len(held_out.examples))[:MAX_POINTS]
    contents = [vae.content(held_out.examples[i].ids) for i in chosen]
    attributes = []
    for name, measure in ATTRIBUTES[vae.tokenizer.modality].items():
        values = [measure(content) for content in contents]
        if min(values) < max(values):
            definition = (inspect.getdoc(measure) or "").partition("\n")[0]
            attributes.append({"name": name, "definition": definition, "values": _plain(values)})
    return {
        "total": len(held_out.examples),
        "plane": plane.caption,
        "points": _plain(plane.place(held_out.means[torch.from_numpy(chosen)])),
        "contents": [_plain_content(content) for content in contents],
        "attributes": attributes,
    }


def _matrix(movement: Movement | None) -> Data | None:
    """The attribute matrix, if there is one."""
    return None if movement is None else {
        "names": movement.names, "measured": movement.measured,
        **{name: _plain(getattr(movement, name)) for name in ("change", "rising", "able")},
    }  # fmt: skip


# What the model says


def _held_out(vae: TrainedVAE, corpus: Corpus) -> HeldOut:
    split = corpus.splits["valid"]
    examples = [Example(split[i]) for i in np.argsort(split.lengths, kind="stable").tolist()]
    posterior = vae.posterior(examples)
    return HeldOut(examples, posterior.mean.cpu(), posterior.kl_per_dim().mean(0).cpu())


def _decoded(
    vae: TrainedVAE,
    z: Float[Tensor, "N Z"],
    over: Sequence[Example],
    sampling: Sampling = GREEDY,
    generator: torch.Generator | None = None,
) -> list[Any]:
    """What codes say over what is given beside the tokens of as many sequences."""
    given = [example.ids[:, len(vae.model.vocab_sizes) :] for example in over]
    found = vae.tokens(z.to(vae.device), sampling, generator, given)
    return [_plain_content(vae.content(ids)) for ids in found]


def _plain_content(content: str | Piece) -> Any:
    """A text, or notes as columns in steps; a column is one number where all in it are equal.

    A sound is a program, or beyond the programs a class of drums; an offset is in hundredths.
    """
    if isinstance(content, str):
        return content
    notes = content.notes
    kit = CLASS_OF[notes["pitch"]]
    drums = NUM_PROGRAMS + np.where(kit < 0, NUM_CLASSES, kit)
    columns = {
        "start": notes["start"],
        "length": notes["end"] - notes["start"],
        "pitch": notes["pitch"],
        "velocity": notes["velocity"],
        "sound": np.where(notes["is_drum"], drums, notes["program"]),
        "offset": np.rint(100 * notes["offset"]).astype(int),
    }
    alike = {name: len(notes) > 0 and (own == own[0]).all() for name, own in columns.items()}
    return {
        "count": len(notes),
        "steps": content.end_step,
        "qpm": content.qpm_at(0),
        **{n: own[0].item() if alike[n] else own.tolist() for n, own in columns.items()},
    }


def _plain(values: Any) -> Any:
    """Numbers in lists, fractions to five digits; None for what is none."""
    if isinstance(values, int):
        return values
    if isinstance(values, float):
        return float(f"{values:.5g}") if math.isfinite(values) else None
    plain = values.tolist() if isinstance(values, Tensor | np.ndarray) else list(values)
    return [_plain(value) for value in plain]
