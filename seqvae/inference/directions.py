"""Directions of the latent space along which attributes grow.

An attribute has a score: a function of z that is high for the codes of what has much of it, the
highest quarter of a corpus, and low for those of the lowest. Its direction is the slope of that
score, so that one may go along it from anywhere. There are three kinds of scores:

- means: linear, along the difference of the two quarters' mean codes (Roberts et al. 2018, sec.
  5.3), the same direction everywhere;
- probe: the log-odds of a logistic regression, linear too;
- network: the log-odds of a small network. It finds what no line can: large intervals, say, lie on
  many sides of any melody.

Probe and network learn from draws of q(z|x), not from its means: along the dimensions that a model
leaves unused the means hardly vary, so that a score could be anything there.

Axes: N sequences or codes, A attributes, Z latent, H hidden.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, normalize
from tqdm import tqdm

from seqvae.errors import InputError
from seqvae.model.latent import DiagonalGaussian

ABOUT, WEIGHTS = "attributes.json", "attributes.safetensors"  # their files in a bundle
METHODS = ("network", "probe", "means")
HIDDEN_DIM = 256
STEPS, BATCH_SIZE, LEARNING_RATE = 4000, 512, 3e-3  # of fitting
PATH_STEPS = 20  # of a way along a slope
FARTHEST = 0.6  # of the prior's radius sqrt(Z): an amount of 1 goes no further


@dataclass(frozen=True, eq=False)
class Directions:
    """The scores of attributes, and what they were fitted on."""

    names: tuple[str, ...]
    score: nn.Module
    """(N, Z) -> (N, A)."""
    spread: tuple[float, ...]
    """What lies between the means of the lowest and of the highest quarter, in the attribute's own
    unit."""
    gap: tuple[float, ...]
    """What lies between the mean scores of the two quarters."""
    method: str
    model: str
    """Fingerprint of the weights that the codes came from."""

    def shift(
        self, z: Float[Tensor, "N Z"], name: str, amount: float, *, apart: bool = False
    ) -> Float[Tensor, "N Z"]:
        """Go along a direction until the score has changed by `amount` times the gap.

        So an amount of 1 is the way from the lowest quarter to the highest; of `means` it adds the
        attribute vector of Roberts et al. No way becomes longer than `FARTHEST` allows. `apart`
        goes at right angles to the slopes of all other attributes.

        Raises:
            InputError: there is no such attribute.
        """
        if name not in self.names:
            raise InputError(f"attribute is {name!r}; there are {', '.join(self.names)}")
        which = self.names.index(name)
        rise = abs(amount) * self.gap[which] / PATH_STEPS
        longest = abs(amount) * FARTHEST * z.shape[1] ** 0.5 / PATH_STEPS
        for _ in range(PATH_STEPS):
            slopes = self.slopes(z)
            slope = at_right_angles(slopes, which) if apart else slopes[:, which]
            steepness = slope.norm(dim=-1, keepdim=True).clamp(min=1e-9)
            length = (rise / steepness).clamp(max=longest)
            z = z + math.copysign(1.0, amount) * length * slope / steepness
        return z

    def slopes(self, z: Float[Tensor, "N Z"]) -> Float[Tensor, "N A Z"]:
        """The gradient of each score."""
        z = z.detach().requires_grad_()
        with torch.enable_grad():
            score = self.score(z)
            slopes = [
                torch.autograd.grad(score[:, a].sum(), z, retain_graph=True)[0]
                for a in range(len(self.names))
            ]
        return torch.stack(slopes, dim=1)

    def save(self, bundle: Path) -> None:
        """Write `attributes.json` and `attributes.safetensors`."""
        about = {
            name: getattr(self, name) for name in ("names", "spread", "gap", "method", "model")
        }
        (bundle / ABOUT).unlink(missing_ok=True)  # old attributes, new weights: none at all
        save_file(self.score.state_dict(), bundle / WEIGHTS)
        (bundle / WEIGHTS).chmod(0o644)  # it is written as private
        (bundle / ABOUT).write_text(json.dumps(about, indent=2) + "\n")

    @classmethod
    def load(cls, bundle: Path, model: str) -> "Directions":
        """Read what `save` wrote.

        Raises:
            InputError: there is nothing, it is damaged, or it was fitted on another model.
        """
        if not (bundle / ABOUT).is_file():
            raise InputError(f"{bundle}: no attributes yet; fit them with seqvae attributes")
        try:
            about = json.loads((bundle / ABOUT).read_text())
            weights = load_file(bundle / WEIGHTS)
            names, spread, gap = (tuple(about[name]) for name in ("names", "spread", "gap"))
            score = make_score(weights["0.weight"].shape[1], len(names), about["method"])
            score.load_state_dict(weights)
            found = cls(names, score, spread, gap, about["method"], about["model"])
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
            raise InputError(f"{bundle / ABOUT}: damaged; fit the attributes again") from error
        if found.model != model:
            raise InputError(
                f"{bundle / ABOUT}: fitted on another model; fit them again with seqvae attributes"
            )
        return found


def at_right_angles(slopes: Float[Tensor, "N A Z"], which: int) -> Float[Tensor, "N Z"]:
    """One of the slopes without what it shares with the others."""
    others = torch.cat([slopes[:, :which], slopes[:, which + 1 :]], dim=1)
    if not others.shape[1]:
        return slopes[:, which]
    basis = torch.linalg.qr(normalize(others, dim=-1).mT).Q  # (N, Z, A - 1)
    own = slopes[:, which, :, None]
    rest: Tensor = (own - basis @ (basis.mT @ own))[..., 0]
    return rest


def make_score(latent_dim: int, num_attributes: int, method: str) -> nn.Module:
    """Untrained."""
    if method != "network":
        return nn.Sequential(nn.Linear(latent_dim, num_attributes))
    return nn.Sequential(
        nn.Linear(latent_dim, HIDDEN_DIM),
        nn.SiLU(),
        nn.Linear(HIDDEN_DIM, HIDDEN_DIM),
        nn.SiLU(),
        nn.Linear(HIDDEN_DIM, num_attributes),
    )


def extremes(values: Float[Tensor, " N"]) -> tuple[Bool[Tensor, " N"], Bool[Tensor, " N"]]:
    """The lowest and the highest quarter; where those are equal what is below the mean and above.

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
    seed: int = 0,
) -> Directions:
    """Scores of attributes from the posteriors of N sequences and their values.

    Raises:
        InputError: the method is unknown, or an attribute is the same everywhere.
    """
    if method not in METHODS:
        raise InputError(f"method is {method!r}; there are {', '.join(METHODS)}")
    quarters, spread = [], []
    for name, own in values.items():
        try:
            low, high = extremes(own)
        except InputError as error:
            raise InputError(f"attribute {name}: {error}") from error
        quarters.append((low, high))
        spread.append(float(own[high].double().mean() - own[low].double().mean()))
    latent_dim = posterior.mean.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        score = make_score(latent_dim, len(values), method)
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
    """Logistic regression of the highest quarters on the lowest, both of equal weight in all."""
    low, high = (torch.stack(own, dim=1) for own in zip(*quarters, strict=True))  # (N, A)
    weight = low / low.sum(0) + high / high.sum(0)
    weight = weight / weight.mean(0)
    mean, stddev = posterior.mean, posterior.log_stddev.exp()
    optimizer = torch.optim.AdamW(score.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, STEPS)
    for _ in tqdm(range(STEPS), desc="attributes", unit=" steps", leave=False, disable=None):
        rows = torch.randint(len(mean), (BATCH_SIZE,), generator=rng)
        z = mean[rows] + stddev[rows] * torch.randn(mean[rows].shape, generator=rng)
        loss = binary_cross_entropy_with_logits(score(z), high[rows].float(), weight[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # of torch
        optimizer.step()
        schedule.step()
