"""A plane through the latent space: the two principal axes, or UMAP (McInnes et al. 2018).

UMAP is an extra dependency. It keeps neighbours together, where the axes keep distances.

Axes: N codes, Z latent.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

MAX_FITTED = 3000  # codes to which UMAP is fitted, in about a minute


@dataclass(frozen=True, eq=False)
class Plane:
    """A projection of codes."""

    caption: str
    """What the plane is, to follow "projected onto"."""
    place: Callable[[Float[Tensor, "N Z"]], Float[Tensor, "N 2"]]


def fit_plane(means: Float[Tensor, "N Z"]) -> Plane:
    """UMAP where it is installed and there are codes enough, else the principal axes."""
    try:
        import umap
    except ImportError:
        return principal_plane(means)
    if len(means) <= umap.UMAP().n_neighbors:
        return principal_plane(means)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies warn
        fitted = umap.UMAP(random_state=0, n_jobs=1).fit(means[:MAX_FITTED].numpy())
    return Plane("a plane learned by UMAP", lambda z: torch.tensor(fitted.transform(z.numpy())))


def principal_plane(means: Float[Tensor, "N Z"]) -> Plane:
    """The two directions of largest variance; with one latent dimension the second axis is zero."""
    mean, axes, variances = principal_axes(means)
    total = float((means - mean).square().sum()) / max(len(means) - 1, 1)
    kept = float(variances.sum()) / total if total else 1.0
    caption = f"their two principal axes, which hold {kept:.0%} of the variance"
    return Plane(caption, lambda z: (z - mean) @ axes)


def principal_axes(
    codes: Float[Tensor, "N Z"],
) -> tuple[Float[Tensor, " Z"], Float[Tensor, "Z 2"], Float[Tensor, " 2"]]:
    """The mean of codes, the two directions of largest variance, and these variances."""
    mean = codes.mean(0)
    centred = (codes - mean).double()
    found = torch.linalg.eigh(centred.T @ centred / max(len(codes) - 1, 1))
    axes, variances = torch.zeros(codes.shape[1], 2), torch.zeros(2)
    directions = found.eigenvectors.flip(1)[:, :2]
    axes[:, : directions.shape[1]] = directions
    variances[: directions.shape[1]] = found.eigenvalues.flip(0)[:2].clamp(min=0)
    return mean, axes, variances
