"""The profile of a step of decoding."""

import json
import sys
from pathlib import Path

import profile_decoding
import pytest
import speed_ours
from tiny import tiny_vae

from seqvae.model import stepper


def test_shares_add_up_and_the_parts_are_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny_vae(vocab_sizes=(7,))
    monkeypatch.setattr(profile_decoding, "model_of", lambda size: model)
    monkeypatch.setattr(profile_decoding, "SIZES", {"small": (model.config, model.steps)})
    monkeypatch.setattr(profile_decoding, "ROWS", (("small", 2),))
    monkeypatch.setattr(profile_decoding, "REPEATS", 1)
    monkeypatch.setattr(profile_decoding.torch, "set_num_threads", lambda number: None)
    results = tmp_path / "profile.json"
    monkeypatch.setattr(sys, "argv", ["profile_decoding.py", "--results", str(results)])
    product = stepper.Product.__call__
    profile_decoding.main()
    assert stepper.Product.__call__ is product
    (row,) = json.loads(results.read_text(encoding="utf-8"))["rows"]
    assert sum(row["shares"].values()) == pytest.approx(1, abs=0.01)
    assert min(row["shares"][part] for part in profile_decoding.PARTS) > 0
    assert "| `decode_small_b2` |" in capsys.readouterr().out


def test_a_part_has_its_own_time() -> None:
    timed = profile_decoding.Timed(sum)
    assert timed.as_method()([1, 2]) == 3
    assert timed.so_far() == timed.seconds > 0


def test_weights_of_the_models_that_are_timed_are_exact_in_float16() -> None:
    for weight in speed_ours.model_of("small").parameters():
        assert (weight.half().float() == weight).all()
