"""Attributes of a model: fit their directions, and measure what moving along them does.

Axes: N sequences, A attributes, M attributes that can be measured, Z latent.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from seqvae.corpus.store import Corpus
from seqvae.disk import door, read_json, write_file
from seqvae.errors import InputError
from seqvae.inference.bundle import fingerprint
from seqvae.inference.codec import Codec
from seqvae.inference.directions import FIT, HIDDEN_DIM, Directions, fit_directions
from seqvae.inference.labels import Labelled, draw_labelled
from seqvae.inference.measures import measures_of
from seqvae.inference.prior import Prior
from seqvae.model.latent import DiagonalGaussian
from seqvae.reasons import amount
from seqvae.tokenizers.contract import Ids

FILE = "movement.json"  # beside the directions
MIN_SHARE = 0.01  # of the sequences must lie above the mean of an attribute, and below it
NUM_MOVED = 256  # samples of the prior that are moved, as in Roberts et al. 2018


@dataclass(frozen=True, eq=False)
class Movement:
    """What moving samples of the prior along each direction does to every attribute."""

    amount: float
    """How far the samples are moved."""
    names: tuple[str, ...]
    measured: tuple[str, ...]
    """The names that can be measured: labels cannot."""
    change: Float[Tensor, "A M"]
    """Mean change of each measured attribute, in units of its spread: 1 is the distance from the
    lowest quarter of the corpus to the highest."""
    success: Float[Tensor, " A"]
    """Fraction of the samples whose attribute moves in the wanted direction; nan for labels."""
    success_of_movable: Float[Tensor, " A"]
    """The same among the samples that are not at the extreme value before they are moved."""

    def table(self) -> str:
        """Text: a row per direction, and a column per attribute, headed by its row's number."""
        width = max(map(len, self.names))
        numbers = [self.names.index(name) + 1 for name in self.measured]
        lines = [
            f"{NUM_MOVED} samples, each moved by {self.amount:g} along the attribute of a row. The",
            "cells are the mean changes of all attributes; 1 is the distance from the lowest",
            "quarter of the corpus to the highest. success: fraction of the samples that move in",
            "the wanted direction; movable: the same among those not yet at the extreme value.",
            " ".join([" " * (width + 3), *(f"{n:>6}" for n in numbers), " success", " movable"]),
        ]
        table = zip(
            self.names,
            self.change.tolist(),
            self.success.tolist(),
            self.success_of_movable.tolist(),
            strict=True,
        )
        for number, (name, change, *fractions) in enumerate(table, start=1):
            cells = [f"{value:>+6.2f}" for value in change]
            cells += ["       -" if math.isnan(x) else f"{x:>8.2f}" for x in fractions]
            lines.append(" ".join([f"{number:>2} {name:<{width}}", *cells]))
        return "\n".join(lines)

    def save(self, folder: Path) -> None:
        """Write `movement.json`."""
        plain = {
            name: value.tolist() if isinstance(value, Tensor) else value
            for name, value in vars(self).items()
        }
        write_file(folder / FILE, json.dumps(plain, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Movement | None":
        """Read what `save` wrote; None if there is nothing.

        Raises:
            InputError: the file is damaged.
        """
        if not (folder / FILE).is_file():
            return None
        plain = read_json(
            folder / FILE, FIT, amount=float, names=tuple[str, ...], measured=tuple[str, ...]
        )
        names, measured = plain["names"], plain["measured"]
        shapes = {"change": (len(names), len(measured)), "success": (len(names),)}
        shapes["success_of_movable"] = shapes["success"]
        with door(folder / FILE, FIT):
            tensors = {name: torch.tensor(plain[name]).float() for name in shapes}
            for name, shape in shapes.items():
                if tensors[name].shape != shape:
                    raise ValueError(f"{name} of shape {tuple(tensors[name].shape)}, not {shape}")
            return cls(plain["amount"], names, measured, **tensors)


def fit_attributes(
    codec: Codec,
    corpus: Corpus | None,
    names: Sequence[str] = (),
    *,
    method: str = "network",
    labelled: Labelled | None = None,
    hidden_dim: int = HIDDEN_DIM,
    seed: int = 0,
) -> Directions:
    """Fit the directions of attributes; if none are named, of all that vary.

    They are fitted on the training split of the corpus, or else on examples that the user labelled.
    The labels of either are one more attribute. `hidden_dim` is the width of a network.

    Raises:
        InputError: an attribute is unknown or the same everywhere, or none varies.
    """
    if labelled is not None:
        names = [labelled.name, *names] if names else ()
    elif corpus is not None:
        labelled = draw_labelled(corpus, codec.tokenizer, seed)
    else:
        raise InputError("attributes are fitted on a corpus or on labels; give one of the two")
    values = _values(codec, labelled, names)
    if not values:
        num = len(labelled.examples)
        raise InputError(f"no attribute varies in {amount(num, 'sequence')}; give others")
    posterior = codec.posterior(labelled.examples)
    on_cpu = DiagonalGaussian(posterior.mean.cpu(), posterior.log_stddev.cpu())
    return fit_directions(
        on_cpu, values, method=method, model=fingerprint(codec.model), hidden_dim=hidden_dim,
        seed=seed,
    )  # fmt: skip


def _values(
    codec: Codec, labelled: Labelled, names: Sequence[str]
) -> dict[str, Float[Tensor, " N"]]:
    """The labels and attributes of the examples; if none are named, all that vary.

    Raises:
        InputError: an attribute is unknown, or the labels have the name of one.
    """
    known = list(measures_of(codec.tokenizer))
    there_are = known if labelled.values is None else [labelled.name, *known]
    if there_are.count(labelled.name) > 1:
        raise InputError(f"the labels are named {labelled.name}, as an attribute is; rename them")
    for name in names:
        if name not in there_are:
            raise InputError(f"attribute is {name!r}; there are {', '.join(there_are)}")
    chosen = [name for name in there_are if name in names or not names]
    ids = [example.ids for example in labelled.examples]
    values = measure(codec, ids, [name for name in chosen if name in known])
    if labelled.values is not None and labelled.name in chosen:
        values = {labelled.name: labelled.values} | values
    # An attribute that hardly ever varies, such as the loudness of melodies, must be asked for.
    return {name: v for name, v in values.items() if names or varies(v)}


def varies(values: Float[Tensor, " N"]) -> bool:
    """Whether more than a few values are below the mean, and above it."""
    above = float((values > values.mean()).double().mean())
    return MIN_SHARE <= above <= 1 - MIN_SHARE


def measure(
    codec: Codec, sequences: Sequence[Ids], names: Sequence[str]
) -> dict[str, Float[Tensor, " N"]]:
    """Attributes of sequences, by name."""
    known = measures_of(codec.tokenizer)
    contents = [codec.content(ids) for ids in sequences]
    return {name: torch.tensor([known[name](content) for content in contents]) for name in names}


def measure_movement(
    codec: Codec, prior: Prior, directions: Directions, *, amount: float = 1.0, seed: int = 0
) -> Movement:
    """Move samples of the prior along every direction; an amount below 0 should lessen it."""
    known = measures_of(codec.tokenizer)
    measured = tuple(name for name in directions.names if name in known)
    z = prior.sample(NUM_MOVED, torch.Generator().manual_seed(seed))
    before = measure(codec, codec.tokens(z.to(codec.device)), measured)
    spread = dict(zip(directions.names, directions.spread, strict=True))
    change, success, success_of_movable = [], [], []
    names = tqdm(
        directions.names, desc="moves", unit=" attributes", leave=False, disable=None, delay=1
    )
    for name in names:
        moved = directions.shift(z, name, amount).to(codec.device)
        after = measure(codec, codec.tokens(moved), measured)
        change.append([float((after[m] - before[m]).mean()) / spread[m] for m in measured])
        if name not in measured:
            success.append(math.nan)
            success_of_movable.append(math.nan)
            continue
        old, new = (values[name] * (1 if amount > 0 else -1) for values in (before, after))
        extreme = max(float(old.max()), float(new.max()))
        success.append(float((new > old).double().mean()))
        success_of_movable.append(float((new > old)[old < extreme].double().mean()))
    return Movement(
        amount, directions.names, measured,
        torch.tensor(change), torch.tensor(success), torch.tensor(success_of_movable),
    )  # fmt: skip
