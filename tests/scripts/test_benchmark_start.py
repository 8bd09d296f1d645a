"""The benchmark of starting times: what its rows are made of, without measuring anything."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import benchmark_start
import pytest

import seqvae
from seqvae.inference.bundle import load_weights


def test_a_row_is_the_median_difference_of_its_rounds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drift = iter(range(100))

    def seconds(words: Sequence[str], *_: object) -> float:
        return next(drift) + (0.25 if "seqvae" in words else 0.0)

    monkeypatch.setattr(benchmark_start, "seconds", seconds)
    monkeypatch.setattr(benchmark_start, "others_use", lambda: 0.02)
    row = benchmark_start.measured("help_over_python", tmp_path, {})
    assert (row["name"], row["difference"], row["quiet"]) == ("start_help_over_python", -0.75, True)
    assert row["rounds"] == [-0.75] * benchmark_start.ROUNDS  # each beside its neighbour
    assert row["ours"] == 10.25  # of rounds 1 to 9, without the one that makes the bytecode


def test_a_row_made_beside_others_is_marked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = []
    monkeypatch.setattr(benchmark_start, "seconds", lambda *_: 1.0)
    for load in (0.02, 0.4):
        monkeypatch.setattr(benchmark_start, "others_use", lambda load=load: load)
        rows.append(benchmark_start.measured("sample_over_torch", tmp_path, {}))
    fine, busy = benchmark_start.table(rows).splitlines()[2:]
    assert "busy machine" in busy
    assert "busy machine" not in fine


def test_the_model_has_the_size_of_those_that_are_shipped(tmp_path: Path) -> None:
    benchmark_start.write_model(tmp_path / "bundle")
    model = load_weights(tmp_path / "bundle")
    assert 4e6 < sum(weight.numel() for weight in model.parameters()) < 5e6
    assert len(seqvae.load(tmp_path / "bundle").sample(1, seed=1)) == 1


def test_what_a_command_prints_is_not_seen_and_its_failure_is(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    environment = {**os.environ, "WORD": "yes"}
    code = "import os; print(os.environ['WORD'], os.getcwd()); assert os.listdir() == []"
    assert benchmark_start.seconds(["-c", code], tmp_path, environment) > 0
    assert capfd.readouterr().out == ""
    (tmp_path / "file").touch()
    with pytest.raises(benchmark_start.subprocess.CalledProcessError):
        benchmark_start.seconds(["-c", code], tmp_path, environment)
