"""The page of `play`: a model as an instrument, in one file that needs neither network nor Python.

`play.html` has the engine, which encodes and decodes, and the instrument around it, and
`play_text.html` has those of text. Here stands what they are given. Axes: N codes, Z latent.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqvae.corpus.store import Corpus
from seqvae.disk import require_folder, write_file
from seqvae.errors import InputError
from seqvae.inference.bundle import model_name, open_corpus
from seqvae.inference.cards import CARD, figures_in, read_card
from seqvae.inference.directions import Directions
from seqvae.inference.measures import measures_of
from seqvae.inference.trained import TrainedVAE
from seqvae.pages.clip import grid_data
from seqvae.pages.findings import hears_taps, quality, warnings
from seqvae.pages.model_data import Weights, model_data
from seqvae.pages.page import Data, fill, plain
from seqvae.pages.plane import principal_plane
from seqvae.pages.token_data import music_grid, text_grid
from seqvae.tokenizers import IMPORTED
from seqvae.tokenizers.contract import Example

TEMPLATES = {"music": "play.html", "text": "play_text.html"}
LONGEST_NAME = 100  # characters of a line, as the name of a point
NUM_POINTS = 400  # on the map


def write_play(model: Path, out: Path) -> None:
    """Write the page of a run or a bundle.

    Raises:
        InputError: there is no such model, it has no code or is of a kind that the page does not
            know, or `out` is no .html file.
    """
    if out.suffix.lower() != ".html":
        raise InputError(f"{out}: the instrument is a web page; give a name that ends in .html")
    require_folder(out.parent)
    vae = TrainedVAE.load(model, device="cpu")
    if vae.model.config.latent_dim == 0:
        raise InputError(f"{model}: a language model (latent_dim 0) has no latent space to play")
    if vae.tokenizer.kind in IMPORTED:
        raise InputError(f"{model}: the page cannot play {vae.tokenizer.kind}; try seqvae app")
    template = TEMPLATES[vae.tokenizer.modality]
    write_file(out, fill(template, gather(vae, model_name(model))))


def gather(vae: TrainedVAE, title: str) -> Data:
    """All that the page holds."""
    card = _card(vae)
    figures = figures_in(card)
    points, names = map_points(vae)
    contents = [vae.codec.content(ids) for ids in vae.codec.tokens(points)]
    directions = _directions(vae)
    # The page draws from a mixture, whatever the prior is.
    prior = {f"prior.{name}": value for name, value in vae.mixture.parts().items()}
    weights = {**prior, "points": points}
    if directions is not None:
        weights |= _scores(directions.score)
    model = model_data(vae.model, weights)
    model["directions"] = directions and {"names": directions.names, "gap": plain(directions.gap)}
    tokenizer: Any = vae.tokenizer
    if tokenizer.modality == "text":
        model["grid"], grid = text_grid(tokenizer), {}
        names = [str(text)[:LONGEST_NAME] for text in contents]  # a line is its own name
    else:
        model["grid"], grid = music_grid(tokenizer), grid_data(tokenizer)
    return {
        "title": title,
        "kind": tokenizer.kind,
        "grid": grid,
        "quality": quality(figures, tokenizer.modality, of_taps=hears_taps(tokenizer)),
        "warnings": warnings(figures, of_taps=hears_taps(tokenizer)),
        "licence": _licence(card),
        "map": {
            "points": plain(principal_plane(points).place(points)),
            "names": names,
            "attributes": _attributes(vae, contents),
        },
        "model": model,
    }


def map_points(vae: TrainedVAE) -> tuple[Float[Tensor, "N Z"], list[str]]:
    """Codes for the map: of held-out sequences with their names, or else of samples."""
    corpus = _corpus(vae)
    if vae.model.encoder is None or corpus is None or not len(corpus.splits["valid"]):
        return vae.prior.sample(NUM_POINTS, torch.Generator().manual_seed(0)), []
    split, sources = corpus.splits["valid"], _sources(corpus)
    chosen = np.random.default_rng(0).permutation(len(split))[:NUM_POINTS].tolist()
    means = vae.codec.posterior([Example(split[i]) for i in chosen]).mean
    return means, [sources[i] for i in chosen] if sources else []


def _corpus(vae: TrainedVAE) -> Corpus | None:
    """The corpus of a run, where it is still there."""
    if vae.run is None:
        return None
    try:
        corpus = open_corpus(vae.run)
    except InputError:
        return None
    return corpus if corpus.tokenizer.of_tokens() == vae.tokenizer.of_tokens() else None


def _sources(corpus: Corpus) -> list[str]:
    """The file that each validation sequence comes from, and which of its windows it is.

    Empty where that is not known.
    """
    try:
        manifest = corpus.manifest()
    except InputError:  # codes are enough to play
        return []
    rows = [(Path(row.source).stem, row.taken.get("valid", 0)) for row in manifest]
    names = [
        name if count == 1 else f"{name}, window {number} of {count}"
        for name, count in rows
        for number in range(1, count + 1)
    ]
    return names if len(names) == len(corpus.splits["valid"]) else []


def _attributes(vae: TrainedVAE, contents: Sequence[Any]) -> list[Data]:
    """What points decode to, measured: the attributes that vary."""
    measured = {
        name: [measure(content) for content in contents]
        for name, measure in measures_of(vae.tokenizer).items()
    }
    return [
        {"name": name, "values": plain(values)}
        for name, values in measured.items()
        if min(values) < max(values)
    ]


def _directions(vae: TrainedVAE) -> Directions | None:
    """Those of the run or the bundle, if some were fitted to this model."""
    try:
        return vae.directions
    except InputError:
        return None


def _scores(score: nn.Module) -> Weights:
    layers = [layer for layer in score.modules() if isinstance(layer, nn.Linear)]
    return {
        f"directions.{number}.{kind}": weight
        for number, layer in enumerate(layers)
        for kind, weight in layer.named_parameters()
    }


def _card(vae: TrainedVAE) -> dict[str, Any]:
    """The head of the model's card; empty where there is none that can be read."""
    file = None if vae.bundle is None else vae.bundle / CARD
    if file is None or not file.is_file():
        return {}
    try:
        return read_card(file)[0]
    except InputError:  # a model can be played whatever is said of it
        return {}


def _licence(card: Mapping[str, Any]) -> str | None:
    """The licence that a model card states."""
    licence = card.get("license")
    return licence if isinstance(licence, str) else None
