"""Codes on a plane."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from seqvae.pages.plane import fit_plane, principal_plane


@pytest.mark.parametrize(("num", "latent_dim"), [(1, 3), (5, 1), (40, 6)])
def test_principal_axes_keep_the_most_variance(num: int, latent_dim: int) -> None:
    means = torch.randn(num, latent_dim, generator=torch.Generator().manual_seed(0))
    centred = means - means.mean(0)
    kept = principal_plane(means).place(means).square().sum()
    spectrum = torch.linalg.svdvals(centred)[:2].square().sum()
    torch.testing.assert_close(kept, spectrum, rtol=1e-4, atol=1e-6)


def test_the_caption_tells_the_share_of_the_variance() -> None:
    means = torch.tensor([[3.0, 0.0, 0.0], [-3.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
    assert "hold 100% of the variance" in principal_plane(means).caption
    torch.testing.assert_close(principal_plane(means).place(means).norm(dim=1), means.norm(dim=1))


def test_umap_is_taken_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of UMAP stands what keeps the first two dimensions."""

    class Learned:
        n_neighbors = 15

        def __init__(self, **settings: object) -> None:
            pass

        def fit(self, codes: np.ndarray) -> "Learned":
            return self

        def transform(self, codes: np.ndarray) -> np.ndarray:
            return codes[:, :2]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Learned))
    means = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    plane = fit_plane(means)
    assert "UMAP" in plane.caption
    torch.testing.assert_close(plane.place(means), means[:, :2])
    assert "principal" in fit_plane(means[:10]).caption  # too few to learn from
    monkeypatch.setitem(sys.modules, "umap", None)
    assert "principal" in fit_plane(means).caption
