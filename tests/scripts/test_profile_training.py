"""The profile of a training step."""

import json
from pathlib import Path

import profile_training
import pytest
from test_benchmark_gpu import TINY


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("aten::mkldnn_rnn_layer_backward", "lstm"),
        ("aten::addmm", "product"),
        ("sm90_xmma_gemm_bf16", "product"),
        ("aten::copy_", "other"),
    ],
)
def test_operations_are_told_apart(operation: str, kind: str) -> None:
    assert profile_training.kind_of(operation) == kind


def test_shares_add_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(profile_training, "workload", lambda preset: TINY)
    results = tmp_path / "profile.json"
    profile_training.main(["melody_2bar", "--results", str(results)])
    (row,) = json.loads(results.read_text(encoding="utf-8"))["rows"]
    assert sum(row["shares"].values()) == pytest.approx(1, abs=0.01)
    assert min(row["shares"].values()) > 0
    assert row["batch_size"] == TINY.batch_size
    assert "| `melody_2bar` | 4 |" in capsys.readouterr().out
