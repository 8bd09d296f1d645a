"""The sentiment benchmark on a tiny model."""

import json
import shutil
import sys
from pathlib import Path

import benchmark_sentiment
import pytest
import torch
from benchmark_sentiment import Judge, kept
from trained import Trained

from seqvae.inference import directions


def test_the_judge_learns_words_and_pairs() -> None:
    good, bad = ["it was good", "not bad at all"], ["it was bad", "not good at all"]
    judge = Judge((good + bad) * 600, torch.tensor([1.0, 1.0, 0.0, 0.0] * 600))
    assert judge.positive(good + bad).tolist() == [True, True, False, False]
    assert judge.strength("good") >= 0
    assert judge.strength("bad good") == 0  # never seen


def test_words_kept_by_hand() -> None:
    assert kept(["a b c", "d"], ["c b x", "y"], {"a", "b", "c", "d"}) == pytest.approx(2 / 4)
    assert kept(["a b c", "d"], ["c b x", "y"], {"a", "b"}) == pytest.approx(1 / 2)


def test_a_row_is_made(sentences: Trained, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(sentences.run, tmp_path / "tiny")
    lines = sentences.source.read_text().splitlines()
    rows = [f"{int('sea' in line)}\t{line}\n" for line in lines]
    (tmp_path / "train.txt").write_text("".join(rows))
    (tmp_path / "test.txt").write_text("".join(rows[:20]))
    results = tmp_path / "sentiment.json"
    files = [str(tmp_path / name) for name in ("tiny", "train.txt", "test.txt")]
    monkeypatch.setattr(directions, "STEPS", 300)
    monkeypatch.setattr(sys, "argv", ["benchmark_sentiment.py", *files, "--results", str(results)])
    benchmark_sentiment.main()
    (row,) = json.loads(results.read_text())
    (published,) = json.loads(benchmark_sentiment.RESULTS.read_text())
    assert set(published) == set(row)
    assert set(published["shift"][0]) == set(row["shift"][0])
    assert row["num_sentences"] == 20
    assert row["probe_accuracy"] > 0.5
    assert [shift["amount"] for shift in row["shift"]] == [0, 0.5, 1, 1.5, 2]
    for shift in row["shift"]:
        assert 0 <= shift["flipped"] <= 1
        assert 0 <= shift["kept_neutral"] <= 1
