"""Codes on a plane, to be looked at: two principal axes, or UMAP (McInnes et al. 2018), an extra.

Axes: N codes, Z latent.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

NUM_LEARNED = 3000  # codes that UMAP learns from, in about a minute


@dataclass(frozen=True, eq=False)
class Plane:
    """Where codes lie."""

    caption: str
    """What the axes are, for people."""
    place: Callable[[Float[Tensor, "N Z"]], Float[Tensor, "N 2"]]


def fit_plane(means: Float[Tensor, "N Z"]) -> Plane:
    """UMAP where it is installed; it keeps neighbours together, where axes keep distances."""
    try:
        import umap
    except ImportError:
        return principal_plane(means)
    if len(means) <= umap.UMAP().n_neighbors:
        return principal_plane(means)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its dependencies
        learned = umap.UMAP(random_state=0, n_jobs=1).fit(means[:NUM_LEARNED].numpy())
    return Plane("a plane by UMAP", lambda z: torch.tensor(learned.transform(z.numpy())))


def principal_plane(means: Float[Tensor, "N Z"]) -> Plane:
    """The two directions of the largest variance; the second is zero where there is but one."""
    middle = means.mean(0)
    centred = (means - middle).double()
    directions = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)[:, :2]
    axes = torch.zeros(means.shape[1], 2)
    axes[:, : directions.shape[1]] = directions
    total = centred.square().sum()
    share = float((centred.float() @ axes).square().sum() / total) if total else 1.0
    caption = f"their two principal axes, which hold {share:.0%} of the variance"
    return Plane(caption, lambda z: (z - middle) @ axes)
