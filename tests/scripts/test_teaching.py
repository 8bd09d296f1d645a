"""The notebook for teachers runs, with trainings of some steps."""

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "scripts" / "teaching.ipynb"
FEW_STEPS = [
    "--trainer.max_epochs", "1", "--trainer.min_epoch_steps", "1", "--trainer.validate_every", "1",
    "--trainer.accelerator", "cpu", "--trainer.precision", "fp32",
]  # fmt: skip


def test_every_cell_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in code)  # no pictures in the repository
    names: dict[str, Any] = {}
    for number, cell in enumerate(code):
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
        names["FLAGS"] = FEW_STEPS
    assert {run.name for run in Path("runs").iterdir()} == {
        "autoencoder", "kl_alone", "vae", "vae_16", "collapsed",
    }  # fmt: skip
    assert Path("teaching.png").read_bytes().startswith(b"\x89PNG")
    *_, header, collapsed, cured = capsys.readouterr().out.splitlines()
    assert header.split() == ["KL", "reconstruction", "active", "units"]
    assert (collapsed.split()[0], cured.split()[0]) == ("collapsed", "vae_16")
