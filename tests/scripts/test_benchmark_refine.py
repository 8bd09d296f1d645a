"""What refined codes bring: a row and its table on a tiny model, against the encoder's figures."""

import json
import sys
from pathlib import Path

import benchmark_refine
import pytest
from trained import Trained


def test_a_row_is_made_and_shown(
    melodies: Trained, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    results = tmp_path / "refine.json"
    words = ["benchmark_refine.py", str(melodies.run), "--results", str(results)]
    monkeypatch.setattr(sys, "argv", words)
    benchmark_refine.main()
    (row,) = json.loads(results.read_text())
    split = melodies.corpus.splits["test"]
    assert row["windows"] == len(split)
    encoder = melodies.vae.evaluate(iw_samples=1)
    assert row["0"]["onset_f1"] == pytest.approx(encoder.onset_f1)
    assert row["0"]["kl_bits"] == pytest.approx(encoder.kl / 0.693147, rel=1e-4)
    after = melodies.vae.evaluate(iw_samples=1, refine=40)
    assert row["40"]["accuracy_free_running"] == pytest.approx(after.accuracy_free_running)
    assert row["40"]["halfway"] > 0 < row["nats_per_note"]
    monkeypatch.setattr(sys, "argv", [*words, "--table"])
    capsys.readouterr()
    benchmark_refine.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 3
    assert [line.split(" | ")[2] for line in lines[2:]] == ["0", "10", "40"]
