"""What a scale costs: which samples lie inside, and a row and its table on a tiny model."""

import json
import sys
from pathlib import Path

import benchmark_scale
import pytest
from benchmark_scale import is_inside
from trained import Trained

from seqvae.music.notes import Piece, make_notes


def test_all_pitched_notes_have_to_lie_in_the_scale() -> None:
    tune = make_notes([0, 4, 8], [4, 8, 12], [64, 66, 67])
    assert is_inside(Piece(tune, 4))
    outside = make_notes([0, 4, 8], [4, 8, 12], [64, 66, 65])
    assert not is_inside(Piece(outside, 4))
    assert is_inside(Piece(make_notes([0], [1], [65], is_drum=True), 4))


def test_a_row_is_made_and_shown(
    melodies: Trained, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    results = tmp_path / "scale.json"
    words = ["benchmark_scale.py", str(melodies.run), "--samples", "8", "--results", str(results)]
    monkeypatch.setattr(sys, "argv", words)
    benchmark_scale.main()
    (row,) = json.loads(results.read_text())
    assert row["scale"]["inside"] == 1
    assert row["key"]["inside"] < 1  # an untrained model writes any note
    assert row["key"]["nats_per_note"] != row["scale"]["nats_per_note"]
    assert row["data"]["nats_per_note"] > 0
    monkeypatch.setattr(sys, "argv", [words[0], "--table", "--results", str(results)])
    benchmark_scale.main()
    assert "| `tiny` | 8 |" in capsys.readouterr().out
