"""A run on disk: what is read back, and what cannot be resumed."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch
from tiny_runs import corpus_of, tiny_config

from seqvae.errors import InputError
from seqvae.training.checkpoint import (
    begin_run,
    differences,
    read_checkpoint,
    read_metrics,
    write_checkpoint,
    write_metrics,
)
from seqvae.training.config import Config


@pytest.fixture
def begun(tmp_path: Path) -> tuple[Config, Path]:
    """A run that was begun, and its first checkpoint."""
    config, run = tiny_config(tmp_path), tmp_path / "runs" / "tiny"
    begin_run(run, config, corpus_of(config))
    write_checkpoint(run, {"step": 3, "weights": torch.ones(2)})
    return config, run


def test_a_checkpoint_is_read_back(begun: tuple[Config, Path]) -> None:
    config, run = begun
    state = read_checkpoint(run, config)
    assert state["step"] == 3
    assert torch.equal(state["weights"], torch.ones(2))
    assert sorted(path.name for path in run.iterdir()) == [
        "config.yaml", "corpus.json", "last.ckpt",
    ]  # fmt: skip


def test_metrics_are_read_back(tmp_path: Path) -> None:
    rows = [{"epoch": 1, "nll": 0.1}, {"epoch": 2, "nll": 1e-9}]
    write_metrics(tmp_path, rows)
    assert read_metrics(tmp_path) == rows
    with pytest.raises(InputError, match=r"no run \(metrics\.csv is missing\)"):
        read_metrics(tmp_path / "elsewhere")


def test_a_figure_that_comes_later_gets_a_column(tmp_path: Path) -> None:
    write_metrics(tmp_path, [{"epoch": 1.0}, {"epoch": 2.0, "duration_within_step": 0.5}])
    first, second = read_metrics(tmp_path, ("epoch", "duration_within_step"))
    assert math.isnan(first["duration_within_step"])
    assert second == {"epoch": 2.0, "duration_within_step": 0.5}


def test_a_run_without_checkpoint_cannot_be_resumed(begun: tuple[Config, Path]) -> None:
    config, run = begun
    (run / "last.ckpt").unlink()
    with pytest.raises(InputError, match=r"no last\.ckpt to resume from; start it without"):
        read_checkpoint(run, config)


def test_another_config_cannot_be_resumed(begun: tuple[Config, Path]) -> None:
    config, run = begun
    other = dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, latent_dim=5),
        trainer=dataclasses.replace(config.trainer, seed=7),
    )
    with pytest.raises(InputError, match=r"model\.latent_dim is 4, here 5; trainer\.seed is 0, "):
        read_checkpoint(run, other)


def test_data_that_moved_can_be_resumed(begun: tuple[Config, Path], tmp_path: Path) -> None:
    config, run = begun
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "corpus.txt").rename(tmp_path / "elsewhere" / "corpus.txt")
    with pytest.raises(InputError, match=r"no such file .*; if the data have moved, name their pl"):
        read_checkpoint(run, config)
    data = dataclasses.replace(
        config.data, source=str(tmp_path / "elsewhere"), corpus="x", num_workers=1
    )
    assert read_checkpoint(run, dataclasses.replace(config, data=data))["step"] == 3


def test_a_run_on_a_prepared_corpus_alone_can_be_resumed(begun: tuple[Config, Path]) -> None:
    config, run = begun
    folder = config.corpus_folder
    data = dataclasses.replace(config.data, source=None, corpus=str(folder))
    alone = dataclasses.replace(config, data=data)
    assert read_checkpoint(run, alone)["step"] == 3
    about = json.loads((folder / "corpus.json").read_text())
    (folder / "corpus.json").write_text(json.dumps(about | {"fingerprint": "another"}))
    with pytest.raises(InputError, match="the data have changed since this run began"):
        read_checkpoint(run, alone)


def test_other_data_cannot_be_resumed(begun: tuple[Config, Path]) -> None:
    config, run = begun
    about = json.loads((run / "corpus.json").read_text())
    (run / "corpus.json").write_text(json.dumps(about | {"fingerprint": "another"}))
    with pytest.raises(InputError, match="the data have changed since this run began"):
        read_checkpoint(run, config)


@pytest.mark.parametrize(
    ("name", "content"), [("config.yaml", ""), ("config.yaml", "data: text"), ("corpus.json", "{")]
)
def test_a_damaged_run_cannot_be_resumed(
    begun: tuple[Config, Path], name: str, content: str
) -> None:
    config, run = begun
    (run / name).write_text(content)
    with pytest.raises(InputError, match=rf"{name}: damaged \(.+\); give another --name"):
        read_checkpoint(run, config)


def test_a_damaged_checkpoint_cannot_be_resumed(begun: tuple[Config, Path]) -> None:
    config, run = begun
    data = (run / "last.ckpt").read_bytes()
    (run / "last.ckpt").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"last\.ckpt: damaged \(.+\); give another --name"):
        read_checkpoint(run, config)


def test_a_checkpoint_of_another_version_cannot_be_resumed(begun: tuple[Config, Path]) -> None:
    config, run = begun
    torch.save({"step": 3}, run / "last.ckpt")
    with pytest.raises(InputError, match=r"last\.ckpt: written by another version of seqvae"):
        read_checkpoint(run, config)


def test_differences_name_what_either_side_alone_has() -> None:
    saved, wanted = {"a": {"b": 1, "c": 2}, "gone": 3}, {"a": {"b": 1, "c": 4}, "new": [5]}
    assert differences(saved, wanted) == [
        "a.c is 2, here 4", "new is None, here [5]", "gone is 3, here None",
    ]  # fmt: skip
    assert differences(saved, saved) == []
