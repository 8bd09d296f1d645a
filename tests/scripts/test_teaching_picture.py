"""The picture for teachers, with tiny models."""

import sys
from pathlib import Path

import pytest
import teaching_picture
from trained import write_tunes

TINY = """\
name: tiny
data: {tokenizer: {kind: melody}, num_workers: 1}
model: {embedding_dim: 8, encoder_dim: 8, decoder_dim: 8}
trainer: {max_epochs: 1, batch_size: 16, precision: fp32, accelerator: cpu}
"""


def test_three_models_are_trained_and_drawn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_tunes(tmp_path / "tunes", 8)
    (tmp_path / "tiny.yaml").write_text(TINY)
    arguments = [
        "teaching_picture.py", f"{tmp_path}/tiny.yaml", "--source", f"{tmp_path}/tunes",
        "--runs", f"{tmp_path}/runs", "--out", f"{tmp_path}/t.png",
        "--", "--data.corpus", f"{tmp_path}/corpus",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", arguments)
    for _ in range(2):  # what is trained is not trained again
        teaching_picture.main()
        assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
        output = capfd.readouterr()
        assert str(tmp_path / "t.png") in output.out
    assert "train" not in output.err
    assert sorted(run.name for run in (tmp_path / "runs").iterdir()) == [
        "teaching_0", "teaching_1", "teaching_2",
    ]  # fmt: skip
    z, shade = teaching_picture.points(tmp_path / "runs" / "teaching_0")
    assert z.shape == (len(shade), 2)
