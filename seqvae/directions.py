"""Directions of the latent space along which an attribute grows.

Axes: N sequences, A attributes, Z latent. One unit of a direction is the way from what has little
of an attribute to what has much of it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seqvae.errors import InputError

DIRECTIONS = "attributes.json"  # their file in a bundle
RIDGE = 1e-3  # of the probe, as a share of the mean variance of z


@dataclass(frozen=True, eq=False)
class Directions:
    """What was fitted, by name, and on which model."""

    names: tuple[str, ...]
    vectors: Float[Tensor, "A Z"]
    low: tuple[float, ...]
    """The mean of each attribute where there is little of it."""
    high: tuple[float, ...]
    """The mean where there is much."""
    method: str
    model: str
    """Fingerprint of the weights that the codes came from."""

    def __getitem__(self, name: str) -> Float[Tensor, " Z"]:
        """The direction of an attribute.

        Raises:
            InputError: it has none.
        """
        if name not in self.names:
            raise InputError(f"attribute is {name!r}; there are {', '.join(self.names)}")
        return self.vectors[self.names.index(name)]

    def save(self, bundle: Path) -> None:
        """Write `attributes.json`."""
        about = vars(self) | {"vectors": self.vectors.tolist()}
        beside = bundle / f".{DIRECTIONS}.partial"
        beside.write_text(json.dumps(about) + "\n")
        beside.replace(bundle / DIRECTIONS)

    @classmethod
    def load(cls, bundle: Path, model: str) -> "Directions":
        """Read what `save` wrote.

        Raises:
            InputError: there is none, it is damaged, or it was fitted on another model.
        """
        file = bundle / DIRECTIONS
        if not file.is_file():
            raise InputError(f"{bundle}: no attributes yet; fit them with seqvae attributes")
        try:
            saved = json.loads(file.read_text())
            plain = {name: tuple(saved[name]) for name in ("names", "low", "high")}
            vectors = torch.tensor(saved["vectors"])
            found = cls(vectors=vectors, method=saved["method"], model=saved["model"], **plain)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{file}: damaged; fit the attributes again") from error
        if found.model != model:
            raise InputError(f"{file}: fitted on another model; fit the attributes again")
        return found


def extremes(values: Float[Tensor, " N"]) -> tuple[Bool[Tensor, " N"], Bool[Tensor, " N"]]:
    """The lowest and the highest quarter; of a yes or no those below and above the mean.

    Raises:
        InputError: all values are equal.
    """
    low, high = torch.quantile(values.double(), torch.tensor([0.25, 0.75], dtype=torch.float64))
    if low < high:
        return values <= low, values >= high
    if values.min() == values.max():
        raise InputError(f"it is {values[0]:g} in the whole corpus: nothing to learn from")
    return values < values.mean(), values > values.mean()


def difference_of_means(
    z: Float[Tensor, "N Z"], values: Float[Tensor, " N"]
) -> Float[Tensor, " Z"]:
    """The mean code of the highest quarter minus that of the lowest (Roberts et al. 2018, 5.3)."""
    low, high = extremes(values)
    return z[high].mean(0) - z[low].mean(0)


def linear_probe(z: Float[Tensor, "N Z"], values: Float[Tensor, " N"]) -> Float[Tensor, " Z"]:
    """The direction of the ridge regression of the values on z.

    As long as takes its prediction from the lowest quarter's mean to that of the highest.
    """
    low, high = extremes(values)
    centred, wanted = z.double() - z.double().mean(0), values.double() - values.double().mean()
    covariance = centred.T @ centred / len(z)
    ridge = RIDGE * covariance.diagonal().mean() * torch.eye(z.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(covariance + ridge, centred.T @ wanted / len(z))
    distance = wanted[high].mean() - wanted[low].mean()
    direction: Tensor = (weights * distance / weights.square().sum()).to(z.dtype)
    return direction


METHODS = {"quartiles": difference_of_means, "probe": linear_probe}


def apart(vectors: Float[Tensor, "A Z"]) -> Float[Tensor, "A Z"]:
    """Each direction without what it shares with the others: its part at right angles to them all.

    Raises:
        InputError: nothing is left of one; there are too many for so few dimensions.
    """
    kept = []
    for i, vector in enumerate(vectors):
        others = torch.cat([vectors[:i], vectors[i + 1 :]]).double()
        coefficients = torch.linalg.lstsq(
            others.T, vector.double()[:, None], driver="gelsd"
        ).solution
        rest = vector.double() - (others.T @ coefficients)[:, 0]
        if rest.norm() < 1e-3 * vector.double().norm():
            raise InputError(
                f"{len(vectors)} attributes cannot be told apart in {vectors.shape[1]} dimensions; "
                "name fewer"
            )
        kept.append(rest.to(vectors.dtype))
    return torch.stack(kept)


def fit_directions(
    z: Float[Tensor, "N Z"],
    values: dict[str, Float[Tensor, " N"]],
    *,
    method: str,
    orthogonal: bool,
    model: str,
) -> Directions:
    """A direction for each attribute.

    Raises:
        InputError: the method is unknown, or an attribute is the same everywhere.
    """
    if method not in METHODS:
        raise InputError(f"method is {method!r}; there are {', '.join(METHODS)}")
    vectors, ends = [], []
    for name, own in values.items():
        try:
            vectors.append(METHODS[method](z, own))
            ends.append([float(own[part].double().mean()) for part in extremes(own)])
        except InputError as error:
            raise InputError(f"attribute {name}: {error}") from error
    stacked = torch.stack(vectors)
    low, high = (tuple(side) for side in zip(*ends, strict=True))
    return Directions(
        names=tuple(values),
        vectors=apart(stacked) if orthogonal and len(vectors) > 1 else stacked,
        low=low,
        high=high,
        method=method + (", orthogonal" if orthogonal else ""),
        model=model,
    )


def names_of(directions: Directions, asked: Sequence[str]) -> Sequence[str]:
    """Those that are asked for, or all."""
    return asked or directions.names
