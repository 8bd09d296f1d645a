"""The measures of the latent space, by hand and on tiny models."""

import json
import shutil
import sys
from pathlib import Path

import benchmark_latent
import numpy as np
import pytest
from benchmark_latent import auroc, distance, mixed, shuffled_pitches, shuffled_steps, symbols
from trained import Trained

from seqvae.inference import directions


def test_distances_by_hand() -> None:
    a, b = np.array([[1], [2], [3]]), np.array([[1], [5]])
    assert distance(a, a) == 0
    assert distance(a, b) == pytest.approx(2 / 3)  # one differs, one is missing
    assert distance(b, a) == distance(a, b)


def test_mixing_takes_from_both_ends() -> None:
    rng = np.random.default_rng(0)
    a, b = np.zeros((1000, 1), np.int64), np.ones((600, 1), np.int64)
    assert (mixed(a, b, 0.0, rng) == a).all()
    assert (mixed(a, b, 1.0, rng) == b).all()
    between = mixed(a, b, 0.25, rng)
    assert 850 < len(between) < 950  # 600, and three quarters of 400
    assert between.mean() == pytest.approx(150 / 900, abs=0.04)


def test_auroc_by_hand() -> None:
    assert auroc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1.0
    assert auroc(np.array([1.0]), np.array([1.0])) == 0.5
    assert auroc(np.array([0.0, 2.0]), np.array([1.0])) == 0.5


def test_shuffles_keep_what_they_should(sentences: Trained, melodies: Trained) -> None:
    rng = np.random.default_rng(0)
    ids = sentences.corpus.splits["train"][0]
    shuffled = shuffled_steps(ids, sentences.vae, rng)
    assert sorted(shuffled[:, 0]) == sorted(ids[:, 0])
    assert shuffled[-1] == ids[-1] == sentences.vae.tokenizer.eos_id
    window = melodies.corpus.splits["train"][0]
    (other,) = shuffled_pitches(window, melodies.vae, rng)
    own, moved = (melodies.vae.codec.piece(ids).notes for ids in (window, other))
    assert own["start"].tolist() == moved["start"].tolist()
    assert sorted(own["pitch"]) == sorted(moved["pitch"])


def test_a_step_of_several_channels_is_one_symbol(sentences: Trained) -> None:
    ids = sentences.corpus.splits["train"][0]
    assert symbols(ids, sentences.vae) == ids[:, 0].tolist()


@pytest.mark.parametrize("kind", ["melodies", "sentences"])
def test_a_row_is_made_and_drawn(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trained = request.getfixturevalue(kind)
    other = trained.source if kind == "sentences" else trained.source.parent
    results = tmp_path / "latent.json"
    shutil.copytree(trained.run, tmp_path / "tiny")  # attributes go into the bundle
    monkeypatch.setattr(directions, "STEPS", 20)
    monkeypatch.setattr(sys, "argv", [
        "benchmark_latent.py", str(tmp_path / "tiny"), "--corpus", str(trained.corpus.folder),
        "--other", str(other), "--pairs", "6", "--results", str(results),
    ])  # fmt: skip
    benchmark_latent.main()
    (row,) = json.loads(results.read_text())
    for published in json.loads(benchmark_latent.RESULTS.read_text()):
        assert set(published) == set(row)
        for part in ("interpolation", "attributes", "auroc"):
            assert set(published[part]) == set(row[part])
        assert set(published["interpolation"]["slerp"]) == set(row["interpolation"]["slerp"])
    mixing = row["interpolation"]["mixing tokens"]
    assert mixing["distance_to_start"][0] == mixing["distance_to_end"][-1] == 0
    assert mixing["nats"][0] > 0
    path = row["interpolation"]["slerp"]
    line = row["interpolation"]["lerp"]
    assert path["distance_to_start"][0] == line["distance_to_start"][0]
    expected = {"shuffled in time", other.stem}
    expected |= {"shuffled in pitch"} if kind == "melodies" else set()
    for found in (row["auroc"]["per step"], row["auroc"]["per event"]):
        assert set(found) == expected
        assert all(0 <= value <= 1 for value in found.values())
    assert (tmp_path / "latent" / "tiny.png").read_bytes().startswith(b"\x89PNG")
