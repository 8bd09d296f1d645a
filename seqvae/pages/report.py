"""The report on a run: how it learned, what its codes hold, and what it writes or plays.

`report.html` draws what is gathered here. All but the curves is measured on the validation split.
Axes: N sequences, Z latent.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from seqvae.corpus.store import Corpus
from seqvae.disk import require_folder, write_file
from seqvae.errors import InputError
from seqvae.inference.attributes import Movement
from seqvae.inference.bundle import CONFIG, bundle_in
from seqvae.inference.measures import measures_of
from seqvae.inference.trained import TrainedVAE
from seqvae.model.config import Sampling
from seqvae.model.decoding import GREEDY
from seqvae.model.latent import slerp
from seqvae.music.notes import Piece
from seqvae.pages.clip import grid_data, pack_clip
from seqvae.pages.findings import findings, hears_taps, warnings
from seqvae.pages.metric_table import metric_table
from seqvae.pages.page import INSTRUMENT, Data, fill, plain
from seqvae.pages.plane import Plane, fit_plane
from seqvae.tokenizers.contract import Example
from seqvae.training.checkpoint import METRICS, read_metrics

TEMPLATE = "report.html"
MAX_BYTES = 5_000_000  # of a page
MAX_POINTS = 10_000  # on the map
NUM_SAMPLES = 8
NUM_LISTENED = 16  # samples of the listening test, and as many sequences of the test split
LISTENING_SEED = 1  # the samples that the page names have seed 0
SAMPLING = Sampling(temperature=1.0)
NUM_STEPS = 7  # of the interpolation, both ends included
MAX_EVALUATED = 10_000  # sequences of a larger split, which stand for it
IW_SAMPLES = 10  # a looser bound than the usual 500, in minutes instead of hours
CURVES = ("epoch", "neg_elbo", "kl", "accuracy_free_running")  # columns of metrics.csv


@dataclass(frozen=True, eq=False)
class Encoded:
    """Sequences in random order, with their posteriors, on the CPU."""

    examples: list[Example]
    means: Float[Tensor, "N Z"]
    kl_per_dim: Float[Tensor, " Z"]
    """Mean over the sequences, in nats."""


def write_report(run: Path, corpus: Corpus, out: Path) -> None:
    """Write the page of a run.

    Raises:
        InputError: the run has no metrics.csv or is a language model, or `out` is no .html file.
    """
    if out.suffix.lower() != ".html":
        raise InputError(f"{out}: the report is a web page; give a name that ends in .html")
    require_folder(out.parent)
    vae = TrainedVAE.load(run)
    if vae.model.config.latent_dim == 0:
        raise InputError(f"{run}: a language model (latent_dim 0) has no latent space to report on")
    data = gather(vae, corpus, history=read_metrics(run, CURVES), title=run.resolve().name)
    data["instrument"] = INSTRUMENT if (out.parent / INSTRUMENT).is_file() else None
    write_file(out, page_within(MAX_BYTES, data))


def check_is_run(place: Path) -> None:
    """Refuse a model that has no run, before a corpus is asked for.

    Raises:
        InputError: it has none, or there is no such model.
    """
    if (place / METRICS).is_file():
        return
    if not (bundle_in(place) / CONFIG).is_file():
        raise InputError(f"{place}: no run ({METRICS} is missing)")
    raise InputError(
        f"{place}: a model without its run ({METRICS}), which a report is about; seqvae evaluate "
        "--corpus prints its figures, and seqvae play plays it"
    )


def gather(vae: TrainedVAE, corpus: Corpus, *, history: list[dict[str, float]], title: str) -> Data:
    """All that the page shows; `history` has the rows of metrics.csv."""
    evaluation = vae.evaluate(
        corpus, split="valid", max_sequences=MAX_EVALUATED, iw_samples=IW_SAMPLES
    )
    encoded = _encode(vae, corpus)
    plane = fit_plane(encoded.means)
    return {
        "title": title,
        "modality": vae.tokenizer.modality,
        "grid": grid_data(vae.tokenizer) if vae.tokenizer.modality == "music" else None,
        "facts": _facts(vae, corpus),
        "findings": findings(
            evaluation.known(), vae.tokenizer.modality, of_taps=hears_taps(vae.tokenizer)
        ),
        "warnings": warnings(evaluation.known(), of_taps=hears_taps(vae.tokenizer)),
        "curves": {name: plain(row[name] for row in history) for name in CURVES},
        "metrics": metric_table(evaluation),
        "iw_samples": IW_SAMPLES,
        "kl_per_dim": plain(encoded.kl_per_dim.sort(descending=True).values),
        "over_chords": vae.tokenizer.modality == "music" and vae.tokenizer.reads_chords,
        "samples": _samples(vae, encoded),
        "listening": _listening(vae, corpus),
        "interpolation": _interpolation(vae, encoded, plane),
        "map": _map(vae, encoded, plane) | {"total": len(corpus.splits["valid"])},
        "movement": _movement(None if vae.run is None else Movement.load(vae.run)),
    }


def page_within(max_bytes: int, data: Data) -> str:
    """The page, with as many points on the map as fit. Their order is random: any part will do."""
    page = fill(TEMPLATE, data)
    while len(page.encode(errors="surrogateescape")) > max_bytes and len(data["map"]["points"]) > 1:
        data = data | {"map": _first_points(data["map"], len(data["map"]["points"]) * 4 // 5)}
        page = fill(TEMPLATE, data)
    return page


def _first_points(full: Data, count: int) -> Data:
    attributes = [a | {"values": a["values"][:count]} for a in full["attributes"]]
    cut = {name: full[name][:count] for name in ("points", "contents")}
    return full | cut | {"attributes": attributes}


# Parts of the page


def _facts(vae: TrainedVAE, corpus: Corpus) -> dict[str, str | int]:
    """What the model is, by names that people read."""
    return {
        "tokenizer": vae.tokenizer.kind,
        "latent dimensions": vae.model.config.latent_dim,
        "parameters": sum(weight.numel() for weight in vae.model.parameters()),
        **{f"{split} sequences": number for split, number in corpus.num_sequences.items()},
    }


def _samples(vae: TrainedVAE, encoded: Encoded) -> list[str | Data]:
    """Samples of the prior at temperature 1; where chords are given, over those of the split."""
    z = vae.prior.sample(NUM_SAMPLES, vae.codec.generator(0))
    over = [encoded.examples[i % len(encoded.examples)] for i in range(NUM_SAMPLES)]
    return _decode(vae, z, over, SAMPLING, vae.codec.generator(0))


def _listening(vae: TrainedVAE, corpus: Corpus) -> list[Data]:
    """Samples among sequences of the test split, in random order; none of text.

    They are other samples than those that the page shows by name. Where chords are given, a sample
    is over those of one of the sequences.
    """
    if vae.tokenizer.modality == "text":
        return []
    rng, generator = np.random.default_rng(0), vae.codec.generator(LISTENING_SEED)
    split = corpus.splits["test"]
    real = [Example(split[i]) for i in rng.permutation(len(split))[:NUM_LISTENED].tolist()]
    z = vae.prior.sample(len(real), generator)
    clips = [
        {"clip": clip, "isSample": True} for clip in _decode(vae, z, real, SAMPLING, generator)
    ]
    clips += [{"clip": _pack(vae.codec.content(each.ids)), "isSample": False} for each in real]
    return [clips[i] for i in rng.permutation(len(clips)).tolist()]


def _interpolation(vae: TrainedVAE, encoded: Encoded, plane: Plane) -> Data:
    """From one sequence to another that is longer, or as long; each step over the nearer's chords.

    By length they stand at a third and two thirds of the split: neither is the shortest or longest.
    """
    by_length = np.argsort([len(example.ids) for example in encoded.examples], kind="stable")
    start, end = by_length[len(by_length) // 3], by_length[2 * len(by_length) // 3]
    fractions = torch.linspace(0, 1, NUM_STEPS)
    z = slerp(encoded.means[start], encoded.means[end], fractions)
    nearer = [encoded.examples[end if t > 0.5 else start] for t in fractions.tolist()]
    return {
        "start": _pack(vae.codec.content(encoded.examples[start].ids)),
        "end": _pack(vae.codec.content(encoded.examples[end].ids)),
        "steps": _decode(vae, z, nearer),
        "points": plain(plane.place(z)),
    }


def _map(vae: TrainedVAE, encoded: Encoded, plane: Plane) -> Data:
    """Posterior means on a plane, what they stand for, and the attributes that vary."""
    contents = [vae.codec.content(example.ids) for example in encoded.examples]
    attributes = []
    for name, measure in measures_of(vae.tokenizer).items():
        values = [measure(content) for content in contents]
        if min(values) < max(values):
            definition = (inspect.getdoc(measure) or "").partition("\n")[0]
            attributes.append({"name": name, "definition": definition, "values": plain(values)})
    return {
        "plane": plane.caption,
        "points": plain(plane.place(encoded.means)),
        "contents": [_pack(content) for content in contents],
        "attributes": attributes,
    }


def _movement(movement: Movement | None) -> Data | None:
    """The attribute matrix, if attributes have been fitted."""
    return None if movement is None else {
        "amount": movement.amount, "names": movement.names, "measured": movement.measured,
        **{n: plain(getattr(movement, n)) for n in ("change", "success", "success_of_movable")},
    }  # fmt: skip


# Sequences and codes


def _encode(vae: TrainedVAE, corpus: Corpus) -> Encoded:
    """As many sequences of the validation split as the map can show."""
    split = corpus.splits["valid"]
    chosen = np.random.default_rng(0).permutation(len(split))[:MAX_POINTS]
    examples = [Example(split[i]) for i in chosen.tolist()]
    posterior = vae.codec.posterior(examples)
    return Encoded(examples, posterior.mean.cpu(), posterior.kl_per_dim().mean(0).cpu())


def _decode(
    vae: TrainedVAE,
    z: Float[Tensor, "N Z"],
    over: Sequence[Example],
    sampling: Sampling = GREEDY,
    generator: torch.Generator | None = None,
) -> list[str | Data]:
    """The contents that codes decode to, each over the chords of an example, where it has any."""
    conditions = [example.ids[:, vae.model.steps.num_channels :] for example in over]
    sequences = vae.codec.tokens(z.to(vae.codec.device), sampling, generator, conditions)
    return [_pack(vae.codec.content(ids)) for ids in sequences]


def _pack(content: str | Piece) -> str | Data:
    """A text as it is, a piece as a clip."""
    return content if isinstance(content, str) else pack_clip(content)
