"""The engine of shipped pages computes what the models compute."""

import shutil
from pathlib import Path

import page_against_torch
import pytest

from seqvae.pages import play
from seqvae.shipped import models


def test_tokens_and_means_are_those_of_a_model_that_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("node") is None:
        pytest.skip("Node is not installed")
    monkeypatch.setattr(play, "NUM_POINTS", 5)
    row = page_against_torch.compared(str(models()["tap_2bar"]), 3, tmp_path)
    assert (row["codes"], row["greedy"], row["drawn"]) == (3, 3, 3)
    assert row["mean_error"] < 1e-4
    error = f"{row['mean_error']:.1e}"
    assert f"| `tap_2bar` | 3 | 3 | 3 | {error} |" in page_against_torch.table(
        [row | {"name": "tap_2bar"}]
    )
