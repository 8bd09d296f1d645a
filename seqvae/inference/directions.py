"""Directions of the latent space along which attributes grow.

An attribute has a score: a function of z that is high for the codes of sequences in the highest
quarter of a corpus, and low for those in the lowest. Its direction is the gradient of the score, so
that one may follow it from anywhere. There are three kinds of scores:

- means: linear, along the difference of the two quarters' mean codes (Roberts et al. 2018, section
  5.3), the same direction everywhere;
- probe: the log-odds of a logistic regression, linear as well;
- network: the log-odds of a small network. It finds what no line can: melodies with large
  intervals, say, lie on many sides of any melody.

Probe and network learn from draws of q(z|x), not from its means: along the dimensions that a model
leaves unused the means hardly vary, so that a score could have any value there.

Axes: N sequences or codes, A attributes, Z latent.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialized
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, normalize
from tqdm import tqdm

from seqvae.disk import door, only_writer, read_json, write_file
from seqvae.errors import InputError, shown
from seqvae.model.latent import DiagonalGaussian

ABOUT, WEIGHTS = "attributes.json", "attributes.safetensors"  # in the folder of a run
FIT = "fit the attributes again"
METHODS = ("network", "probe", "means")
HIDDEN_DIM = 256
STEPS, BATCH_SIZE, LEARNING_RATE = 4000, 512, 3e-3  # of fitting
PATH_STEPS = 20  # of a path along a gradient
# An amount of 1 goes at most this part of the prior's radius sqrt(Z), so that an amount of 2, the
# most that is advised, stays within the distance sqrt(2 Z) of two random codes.
FARTHEST = 0.6


@dataclass(frozen=True, eq=False)
class Directions:
    """The scores of attributes, and what they were fitted on."""

    names: tuple[str, ...]
    score: nn.Module
    """(N, Z) -> (N, A)."""
    spread: tuple[float, ...]
    """Distance between the means of the lowest and the highest quarter, in the attribute's unit."""
    gap: tuple[float, ...]
    """Distance between the mean scores of the two quarters."""
    method: str
    model: str
    """Fingerprint of the weights that the codes came from."""

    def shift(
        self, z: Float[Tensor, "N Z"], name: str, amount: float, *, keep_others: bool = False
    ) -> Float[Tensor, "N Z"]:
        """Follow a direction until the score has changed by `amount` times the gap.

        So an amount of 1 is the way from the lowest quarter to the highest; with `means` it adds
        the attribute vector of Roberts et al. No path is longer than `FARTHEST` allows.
        `keep_others` moves at right angles to the gradients of all other attributes.

        Raises:
            InputError: there is no such attribute.
        """
        if name not in self.names:
            raise InputError(
                f"attribute is {name!r}; fitted are {', '.join(self.names)}; "
                "seqvae attributes RUN fits others"
            )
        which = self.names.index(name)
        rise = abs(amount) * self.gap[which] / PATH_STEPS
        longest = abs(amount) * FARTHEST * z.shape[1] ** 0.5 / PATH_STEPS
        for _ in range(PATH_STEPS):
            slopes = self.slopes(z)
            slope = at_right_angles(slopes, which) if keep_others else slopes[:, which]
            steepness = slope.norm(dim=-1, keepdim=True).clamp(min=1e-9)
            length = (rise / steepness).clamp(max=longest)
            z = z + math.copysign(1.0, amount) * length * slope / steepness
        return z

    def slopes(self, z: Float[Tensor, "N Z"]) -> Float[Tensor, "N A Z"]:
        """The gradient of each score."""
        slopes: Tensor = torch.func.vmap(torch.func.jacrev(self.score))(z)
        return slopes

    def save(self, folder: Path) -> None:
        """Write `attributes.json` and `attributes.safetensors`."""
        about = {
            name: getattr(self, name) for name in ("names", "spread", "gap", "method", "model")
        }
        with only_writer(folder / "attributes", wait=True):
            (folder / ABOUT).unlink(missing_ok=True)  # an interruption must not leave half of each
            write_file(folder / WEIGHTS, serialized(self.score.state_dict()))
            write_file(folder / ABOUT, json.dumps(about, indent=2) + "\n")

    @staticmethod
    def are_in(folder: Path) -> bool:
        """Whether directions were saved in a folder."""
        return (folder / ABOUT).is_file()

    @staticmethod
    def names_in(folder: Path) -> tuple[str, ...]:
        """The names of the attributes that were saved in a folder."""
        if not Directions.are_in(folder):
            return ()
        return tuple(read_json(folder / ABOUT, FIT, names=tuple[str, ...])["names"])

    @classmethod
    def load(cls, folder: Path, model: str, latent_dim: int) -> "Directions":
        """Read what `save` wrote.

        Raises:
            InputError: there are none, they are damaged, or were fitted on another model.
        """
        if not (folder / ABOUT).is_file():
            raise InputError(f"{folder}: no attributes yet; fit them with seqvae attributes")
        about = read_json(
            folder / ABOUT, FIT, names=tuple[str, ...], spread=tuple[float, ...],
            gap=tuple[float, ...], method=str, model=str,
        )  # fmt: skip
        names, spread, gap = about["names"], about["spread"], about["gap"]
        with door(folder / ABOUT, FIT):
            if not len({*names}) == len(names) == len(spread) == len(gap) > 0:
                raise ValueError(f"{len(spread)} spreads and {len(gap)} gaps of {len(names)} names")
            if about["method"] not in METHODS:
                raise ValueError(f"no method {shown(about['method'])}")
        if about["model"] != model:
            raise InputError(
                f"{folder / ABOUT}: fitted on another model; fit them again with seqvae attributes"
            )
        with door(folder / WEIGHTS, FIT, SafetensorError):
            weights = load_file(folder / WEIGHTS)
            score = make_score(latent_dim, len(names), about["method"], len(weights["0.bias"]))
            score.load_state_dict(weights)
            if not all(weight.isfinite().all() for weight in weights.values()):
                raise ValueError("a weight is not finite")
        return cls(names, score, spread, gap, about["method"], about["model"])


def at_right_angles(slopes: Float[Tensor, "N A Z"], which: int) -> Float[Tensor, "N Z"]:
    """The part of one slope that is orthogonal to all others."""
    others = torch.cat([slopes[:, :which], slopes[:, which + 1 :]], dim=1)
    if not others.shape[1]:
        return slopes[:, which]
    basis = torch.linalg.qr(normalize(others, dim=-1).mT).Q  # (N, Z, A - 1)
    slope = slopes[:, which, :, None]
    orthogonal: Tensor = (slope - basis @ (basis.mT @ slope))[..., 0]
    return orthogonal


def make_score(
    latent_dim: int, num_attributes: int, method: str, hidden_dim: int = HIDDEN_DIM
) -> nn.Module:
    """An untrained score (N, Z) -> (N, A); a network has two layers of `hidden_dim` units."""
    if method != "network":
        return nn.Sequential(nn.Linear(latent_dim, num_attributes))
    return nn.Sequential(
        nn.Linear(latent_dim, hidden_dim),
        nn.SiLU(),
        nn.Linear(hidden_dim, hidden_dim),
        nn.SiLU(),
        nn.Linear(hidden_dim, num_attributes),
    )


def extremes(values: Float[Tensor, " N"]) -> tuple[Bool[Tensor, " N"], Bool[Tensor, " N"]]:
    """Which values are in the lowest and in the highest quarter.

    If both quartiles are equal, the values below and above the mean take their places.

    Raises:
        InputError: all values are equal.
    """
    low, high = torch.quantile(values.double(), torch.tensor([0.25, 0.75], dtype=torch.float64))
    if low < high:
        return values <= low, values >= high
    if values.min() == values.max():
        raise InputError(f"it is {values[0]:g} in the whole corpus: nothing to learn from")
    return values < values.mean(), values > values.mean()


def fit_directions(
    posterior: DiagonalGaussian,
    values: dict[str, Float[Tensor, " N"]],
    *,
    method: str,
    model: str,
    hidden_dim: int = HIDDEN_DIM,
    seed: int = 0,
) -> Directions:
    """Fit the scores of attributes to the posteriors of N sequences and their values.

    `hidden_dim` is the width of a network.

    Raises:
        InputError: the method is unknown, or an attribute is the same everywhere.
    """
    if method not in METHODS:
        raise InputError(f"method is {method!r}; there are {', '.join(METHODS)}")
    quarters, spread = [], []
    for name, measured in values.items():
        try:
            low, high = extremes(measured)
        except InputError as error:
            raise InputError(f"attribute {name}: {error}") from error
        quarters.append((low, high))
        spread.append(float(measured[high].double().mean() - measured[low].double().mean()))
    latent_dim = posterior.mean.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        score = make_score(latent_dim, len(values), method, hidden_dim)
    if method == "means":
        z = posterior.mean
        weight = torch.stack([z[high].mean(0) - z[low].mean(0) for low, high in quarters])
        score.load_state_dict({"0.weight": weight, "0.bias": torch.zeros(len(values))})
    else:
        _fit(score, posterior, quarters, torch.Generator().manual_seed(seed))
    score.requires_grad_(False)
    scores = score(posterior.mean)
    gap = [
        float(scores[high, a].mean() - scores[low, a].mean())
        for a, (low, high) in enumerate(quarters)
    ]
    return Directions(tuple(values), score, tuple(spread), tuple(gap), method, model)


def _fit(
    score: nn.Module, posterior: DiagonalGaussian, quarters: Any, rng: torch.Generator
) -> None:
    """Logistic regression: highest quarter or lowest; both have the same total weight."""
    low, high = (torch.stack(column, dim=1) for column in zip(*quarters, strict=True))  # (N, A)
    weight = low / low.sum(0) + high / high.sum(0)
    weight = weight / weight.mean(0)
    mean, stddev = posterior.mean, posterior.log_stddev.exp()
    optimizer = torch.optim.AdamW(score.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, STEPS)
    for _ in tqdm(
        range(STEPS), desc="attributes", unit=" steps", leave=False, disable=None, delay=1
    ):
        drawn = torch.randint(len(mean), (BATCH_SIZE,), generator=rng)
        z = mean[drawn] + stddev[drawn] * torch.randn(mean[drawn].shape, generator=rng)
        loss = binary_cross_entropy_with_logits(score(z), high[drawn].float(), weight[drawn])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # of torch
        optimizer.step()
        schedule.step()
