"""Attributes of a model: fit their directions, and measure what moving along them does.

Axes: N sequences, A attributes, M attributes that can be measured, Z latent.
"""

import hashlib
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
from seqvae.disk import write_file
from seqvae.errors import InputError
from seqvae.inference.codec import Codec
from seqvae.inference.directions import Directions, fit_directions
from seqvae.inference.measures import ATTRIBUTES
from seqvae.inference.prior import Prior, augmented
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers.contract import Example, Ids

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
        try:
            plain = json.loads((folder / FILE).read_text(encoding="utf-8"))
            tensors = {
                name: torch.tensor(plain.pop(name))
                for name in ("change", "success", "success_of_movable")
            }
            return cls(plain["amount"], tuple(plain["names"]), tuple(plain["measured"]), **tensors)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{folder / FILE}: damaged; fit the attributes again") from error


def fingerprint(model: SequenceVAE) -> str:
    """A name for the weights of a model."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def fit_attributes(
    codec: Codec,
    corpus: Corpus | None,
    names: Sequence[str] = (),
    *,
    method: str = "network",
    labels: Path | None = None,
    seed: int = 0,
) -> Directions:
    """Fit the directions of attributes; if none are named, of all that vary.

    They are fitted on the training split of the corpus, or else on a file of labels (see
    `read_labels`), which is one more attribute and has the name of the file.

    Raises:
        InputError: an attribute is unknown or the same everywhere, or labels cannot be used.
    """
    known = ATTRIBUTES[codec.tokenizer.modality]
    for name in names:
        if name not in known:
            raise InputError(f"attribute is {name!r}; there are {', '.join(known)}")
    values = {}
    if labels is not None:
        examples, values[labels.stem] = read_labels(codec, labels)
    elif corpus is not None:
        examples = augmented(corpus.splits["train"], codec.tokenizer, seed=seed)
    else:
        raise InputError("attributes are fitted on a corpus or on labels; give one of the two")
    measured = measure(codec, [example.ids for example in examples], list(names or known))
    # An attribute that hardly ever varies, such as the loudness of melodies, must be asked for.
    values |= {name: v for name, v in measured.items() if names or varies(v)}
    posterior = codec.posterior(examples)
    on_cpu = DiagonalGaussian(posterior.mean.cpu(), posterior.log_stddev.cpu())
    return fit_directions(on_cpu, values, method=method, model=fingerprint(codec.model), seed=seed)


def varies(values: Float[Tensor, " N"]) -> bool:
    """Whether more than a few values are below the mean, and above it."""
    above = float((values > values.mean()).double().mean())
    return MIN_SHARE <= above <= 1 - MIN_SHARE


def measure(
    codec: Codec, sequences: Sequence[Ids], names: Sequence[str]
) -> dict[str, Float[Tensor, " N"]]:
    """Attributes of sequences, by name."""
    known = ATTRIBUTES[codec.tokenizer.modality]
    contents = [codec.content(ids) for ids in sequences]
    return {name: torch.tensor([known[name](content) for content in contents]) for name in names}


def measure_movement(
    codec: Codec, prior: Prior, directions: Directions, *, amount: float = 1.0, seed: int = 0
) -> Movement:
    """Move samples of the prior along every direction; an amount below 0 should lessen it."""
    known = ATTRIBUTES[codec.tokenizer.modality]
    measured = tuple(name for name in directions.names if name in known)
    z = prior.sample(NUM_MOVED, torch.Generator().manual_seed(seed))
    before = measure(codec, codec.tokens(z.to(codec.device)), measured)
    spread = dict(zip(directions.names, directions.spread, strict=True))
    change, success, success_of_movable = [], [], []
    names = tqdm(directions.names, desc="moves", unit=" attributes", leave=False, disable=None)
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


def read_labels(codec: Codec, file: Path) -> tuple[list[Example], Float[Tensor, " N"]]:
    """The windows of labelled sentences or MIDI files, and the label of each.

    A line holds a label, a tab, and a sentence or the name of a MIDI file beside the file. Labels
    are numbers, or exactly two words; the alphabetically later word is the positive class.

    Raises:
        InputError: the file cannot be read, or lines of it cannot be used; it says which.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InputError(f"{file}: cannot be read ({reason})") from error
    examples: list[Example] = []
    labels: list[str] = []
    wrong: list[str] = []
    for number, line in enumerate(lines, start=1):
        label, tab, content = line.partition("\t")
        if not tab:
            wrong.append(f"{number} (no tab)")
            continue
        source = content if codec.tokenizer.modality == "text" else str(file.parent / content)
        try:
            windows = codec.windows(source)
        except InputError as error:
            wrong.append(f"{number} ({error})")
            continue
        examples += windows
        labels += [label] * len(windows)
    if wrong:
        shown = ", ".join(wrong[:3]) + (", ..." if len(wrong) > 3 else "")
        raise InputError(f"{file}: {len(wrong)} of {len(lines)} lines cannot be used: {shown}")
    return examples, torch.tensor(_as_numbers(labels, file))


def _as_numbers(labels: list[str], file: Path) -> list[float]:
    try:
        return [float(label) for label in labels]
    except ValueError:
        kinds = sorted(set(labels))
        if len(kinds) == 2:
            return [float(label == kinds[1]) for label in labels]
        shown = ", ".join(kinds[:4])
        raise InputError(
            f"{file}: labels are numbers or two words; these are {len(kinds)}: {shown}"
        ) from None
