"""Attributes of a model: their directions are fitted, and what moving along them does is measured.

Axes: N sequences, A attributes, Z latent.
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
from seqvae.errors import InputError
from seqvae.inference.codec import Codec
from seqvae.inference.directions import Directions, fit_directions
from seqvae.inference.measures import ATTRIBUTES
from seqvae.model.latent import DiagonalGaussian
from seqvae.tokenizers.contract import Example, Ids

FILE = "movement.json"  # in a bundle
MIN_SHARE = 0.01  # of the sequences that have more, or less, of an attribute than most
NUM_MOVED = 256  # samples of the prior that are moved, as in Roberts et al. 2018


@dataclass(frozen=True, eq=False)
class Movement:
    """What moving samples of the prior by each direction does to every attribute."""

    amount: float
    """How far they are moved."""
    names: tuple[str, ...]
    measured: tuple[str, ...]
    """Those of the names that can be measured: labels cannot."""
    change: Float[Tensor, "A M"]
    """Mean change of each measured attribute, in units of its spread: 1 is from the lowest quarter
    of the corpus to the highest."""
    rising: Float[Tensor, " A"]
    """Share of the samples whose own attribute moves as wanted; nan where it is not measured."""
    able: Float[Tensor, " A"]
    """The same of those that were not at the end already."""

    def table(self) -> str:
        """For people: a row a direction, a column an attribute, by the number of its row."""
        width = max(map(len, self.names))
        numbers = [self.names.index(name) + 1 for name in self.measured]
        lines = [
            f"{NUM_MOVED} samples go {self.amount:g} along a row's attribute. How each changes:",
            "1 is from the lowest quarter of the corpus to the highest. The share that goes as",
            "wanted, and that share of those that are able to, not being at the end already.",
            " ".join([" " * (width + 3), *(f"{n:>6}" for n in numbers), "  wanted", "of able"]),
        ]
        table = zip(
            self.names, self.change.tolist(), self.rising.tolist(), self.able.tolist(), strict=True
        )
        for number, (name, change, *shares) in enumerate(table, start=1):
            cells = [f"{value:>+6.2f}" for value in change]
            cells += ["       -" if math.isnan(share) else f"{share:>8.2f}" for share in shares]
            lines.append(" ".join([f"{number:>2} {name:<{width}}", *cells]))
        return "\n".join(lines)

    def save(self, bundle: Path) -> None:
        """Write `movement.json`."""
        plain = {
            name: value.tolist() if isinstance(value, Tensor) else value
            for name, value in vars(self).items()
        }
        (bundle / FILE).write_text(json.dumps(plain, indent=2) + "\n")

    @classmethod
    def load(cls, bundle: Path) -> "Movement | None":
        """Read what `save` wrote; None where nothing is.

        Raises:
            InputError: it is damaged.
        """
        if not (bundle / FILE).is_file():
            return None
        try:
            plain = json.loads((bundle / FILE).read_text())
            tensors = {name: torch.tensor(plain.pop(name)) for name in ("change", "rising", "able")}
            return cls(plain["amount"], tuple(plain["names"]), tuple(plain["measured"]), **tensors)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{bundle / FILE}: damaged; fit the attributes again") from error


def fingerprint(codec: Codec) -> str:
    """A name for the weights of a model."""
    digest = hashlib.sha256()
    for name, weight in sorted(codec.model.state_dict().items()):
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
    """Directions of attributes, all that vary where none are named.

    They are fitted on the training split, or on a file of labels, a line a label, a tab and a
    sentence or a MIDI file, which is one attribute more: it has the name of the file.

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
        examples = codec.varied(corpus.splits["train"], seed=seed)
    else:
        raise InputError("attributes are fitted on a corpus or on labels; give one of the two")
    own = measure(codec, [example.ids for example in examples], list(names or known))
    # Unless asked for, what hardly ever varies, such as the loudness of melodies, is no matter.
    values |= own if names else {name: v for name, v in own.items() if varies(v)}
    posterior = codec.posterior(examples)
    on_cpu = DiagonalGaussian(posterior.mean.cpu(), posterior.log_stddev.cpu())
    return fit_directions(on_cpu, values, method=method, model=fingerprint(codec), seed=seed)


def varies(values: Float[Tensor, " N"]) -> bool:
    """Whether more than a few values are below the mean, and above it."""
    above = float((values > values.mean()).double().mean())
    return MIN_SHARE <= above <= 1 - MIN_SHARE


def measure(
    codec: Codec, sequences: Sequence[Ids], names: Sequence[str]
) -> dict[str, Float[Tensor, " N"]]:
    """Attributes of sequences."""
    known = ATTRIBUTES[codec.tokenizer.modality]
    contents = [codec.content(ids) for ids in sequences]
    return {name: torch.tensor([known[name](content) for content in contents]) for name in names}


def measure_movement(
    codec: Codec, directions: Directions, *, amount: float = 1.0, seed: int = 0
) -> Movement:
    """Move samples of the prior along every direction; below 0 they should fall."""
    known = ATTRIBUTES[codec.tokenizer.modality]
    measured = tuple(name for name in directions.names if name in known)
    generator = torch.Generator().manual_seed(seed)
    z = codec.prior.sample(NUM_MOVED, generator)
    before = measure(codec, codec.tokens(z.to(codec.device)), measured)
    spread = dict(zip(directions.names, directions.spread, strict=True))
    change, rising, able = [], [], []
    names = tqdm(directions.names, desc="moves", unit=" attributes", leave=False, disable=None)
    for name in names:
        moved = directions.shift(z, name, amount).to(codec.device)
        after = measure(codec, codec.tokens(moved), measured)
        change.append([float((after[m] - before[m]).mean()) / spread[m] for m in measured])
        if name not in measured:
            rising.append(float("nan"))
            able.append(float("nan"))
            continue
        was, now = (own[name] * (1 if amount > 0 else -1) for own in (before, after))
        end = max(float(was.max()), float(now.max()))
        rising.append(float((now > was).double().mean()))
        able.append(float((now > was)[was < end].double().mean()))
    return Movement(
        amount, directions.names, measured,
        torch.tensor(change), torch.tensor(rising), torch.tensor(able),
    )  # fmt: skip


def read_labels(codec: Codec, file: Path) -> tuple[list[Example], Float[Tensor, " N"]]:
    """The windows of labelled sentences or MIDI files, and the label of each.

    Labels are numbers, or two words, of which the later in the alphabet counts as much.

    Raises:
        InputError: the file cannot be read, or rows of it cannot be used; it says which.
    """
    try:
        lines = file.read_text().splitlines()
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
            own = codec.windows(source)
        except InputError as error:
            wrong.append(f"{number} ({error})")
            continue
        examples += own
        labels += [label] * len(own)
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
