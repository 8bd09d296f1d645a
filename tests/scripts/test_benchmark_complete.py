"""The measure of completions, by hand and on a tiny model."""

import json
import math
import sys
from pathlib import Path

import benchmark_complete
import numpy as np
import pytest
from benchmark_complete import judged, step_nats
from ngram import NGram
from trained import Trained


def test_nats_are_divided_by_the_notes_of_their_span(melodies: Trained) -> None:
    even = [NGram([], 90)]
    ids = np.zeros((1, 32, 1), np.int64)
    ids[0, [8, 10, 14, 17], 0] = 40
    figures = judged(melodies.vae, even, ids, 8, 16)
    assert figures["fill"] == pytest.approx(8 * math.log(90) / 3)
    assert figures["first_seam"] == pytest.approx(4 * math.log(90) / 2)
    assert figures["second_seam"] == pytest.approx(4 * math.log(90) / 1)
    assert figures["notes_per_window"] == 3


def test_the_context_of_a_step_is_what_stands_before_it() -> None:
    model = NGram([[1, 2, 3, 4, 5, 6]], 10)
    ids = np.array([[1], [2], [3], [4], [5], [6]])
    expected = -2 * math.log(model.probability(6, (2, 3, 4, 5)))
    assert step_nats([model, model], np.hstack([ids, ids]), 5) == pytest.approx(expected)


def test_a_row_is_made(
    melodies: Trained, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    results = tmp_path / "complete.json"
    monkeypatch.setattr(benchmark_complete, "NUM_COUNTED", 20)
    monkeypatch.setattr(sys, "argv", [
        "benchmark_complete.py", str(melodies.run), "--windows", "3", "--results", str(results),
    ])  # fmt: skip
    benchmark_complete.main()
    (row,) = json.loads(results.read_text())
    assert row["kept"] == 1.0
    for published in json.loads(benchmark_complete.RESULTS.read_text()):
        assert set(published) == set(row)
    assert row["real"]["notes_per_window"] > 0
    assert "| `tiny` | completed |" in capsys.readouterr().out
