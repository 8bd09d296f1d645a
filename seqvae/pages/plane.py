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
    mean = means.mean(0)
    centred = (means - mean).double()
    directions = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)[:, :2]
    axes = torch.zeros(means.shape[1], 2)
    axes[:, : directions.shape[1]] = directions
    total = centred.square().sum()
    kept = float((centred.float() @ axes).square().sum() / total) if total else 1.0
    caption = f"their two principal axes, which hold {kept:.0%} of the variance"
    return Plane(caption, lambda z: (z - mean) @ axes)
