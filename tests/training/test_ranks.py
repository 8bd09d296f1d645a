"""Two processes train as one does, stop as one, and say what one says."""

import csv
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tiny_runs import checkpoint, tiny_config
from together import Together

import seqvae
from seqvae.cli import main
from seqvae.model.remedies import Objective
from seqvae.training import train as train_file
from seqvae.training.config import Config
from seqvae.training.module import VAETraining

Act = Callable[[], None]


def config_of(folder: Path, num: int, **changes: Any) -> Config:
    """Seven batches an epoch, the last of which has one sequence alone."""
    settings = {"batch_size": 6, "max_epochs": 3, "devices": num, **changes}
    return tiny_config(folder, **settings)


def trained(rank: int, config: Config, runs: Path, resume: bool = False) -> None:
    """What each process does: train in float64."""
    torch.set_default_dtype(torch.float64)
    train_file.train(config, runs, resume=resume)


def commanded(rank: int, words: list[str], victim: int, harm: str, call: int) -> None:
    """What each process does: call the command line; a victim is harmed in one of its steps."""
    inner, num_calls = VAETraining.training_step, 0

    def training_step(self: VAETraining, *arguments: Any) -> Any:
        nonlocal num_calls
        num_calls += 1
        if num_calls == call and rank == victim:
            os.kill(os.getpid(), getattr(signal, harm))
        return inner(self, *arguments)

    VAETraining.training_step = training_step  # type: ignore[method-assign]  # to be harmed
    sys.argv = ["seqvae", "train", *words]
    main()


def command(folder: Path, num: int, **changes: Any) -> list[str]:
    """The words after `seqvae train`."""
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(asdict(config_of(folder, num, **changes))))
    return [str(file), "--runs", str(folder)]


def rows(run: Path) -> list[dict[str, float]]:
    """metrics.csv without the minutes."""
    with (run / "metrics.csv").open(newline="") as file:
        return [{k: float(v) for k, v in row.items() if k != "minutes"}
                for row in csv.DictReader(file)]  # fmt: skip


def assert_same_training(one: Path, other: Path) -> None:
    """Two runs have the same figures and weights, up to rounding."""
    for row, expected in zip(rows(other), rows(one), strict=True):
        assert row == pytest.approx(expected, rel=1e-7, abs=1e-7)
    weights = checkpoint(other)["model"]
    for name, value in checkpoint(one)["model"].items():
        torch.testing.assert_close(weights[name], value, rtol=1e-6, atol=1e-6, msg=name)


WAYS: dict[str, dict[str, Any]] = {
    "plain": {"optimizer": "sgd", "learning_rate": 0.1, "grad_clip": 99.0},  # each scale counts
    "free nats of the batch": {"objective": Objective(free_nats_per_dim=0.05)},
    "normalised means, a target": {"bn_gamma": 0.5, "objective": Objective(target_kl=3.0)},
    "pre-training, an average": {"pretrain_epochs": 1, "ema_decay": 0.9},
    "in parts": {"accumulate": 2, "objective": Objective(free_nats=0.1)},
}


@pytest.mark.parametrize("way", WAYS)
def test_two_processes_train_as_one(way: str, tmp_path: Path) -> None:
    alone = WAYS[way] | {"accumulate": 1}
    runs = {}
    for num, changes in ((1, alone), (2, WAYS[way])):
        runs[num] = tmp_path / str(num)
        config = config_of(tmp_path, num, **changes)
        outcomes = Together(num, tmp_path / f"said{num}", trained, config, runs[num]).outcomes()
        assert [outcome.code for outcome in outcomes] == [0] * num, outcomes[-1].said
    assert outcomes[1].said == ""  # the main one speaks for both
    assert_same_training(runs[1] / "tiny", runs[2] / "tiny")


def test_the_main_one_alone_speaks(tmp_path: Path) -> None:
    words = command(tmp_path, 2, max_epochs=1)
    outcomes = Together(2, tmp_path, commanded, words, 0, "SIGTERM", 0).outcomes()
    assert [outcome.code for outcome in outcomes] == [0, 0]
    assert outcomes[0].said.count("done; try seqvae evaluate") == 1
    assert outcomes[1].said == ""


def test_a_signal_to_one_stops_all_and_a_single_one_goes_on(tmp_path: Path) -> None:
    words = command(tmp_path, 2)
    outcomes = Together(2, tmp_path, commanded, words, 1, "SIGTERM", 9).outcomes()
    assert [outcome.code for outcome in outcomes] == [128 + signal.SIGTERM] * 2
    assert outcomes[1].said == ""
    run = tmp_path / "tiny"
    step = checkpoint(run)["step"]
    assert 9 <= step < 14
    line = outcomes[0].said.splitlines()[-1]
    assert line == (
        f"{run}: interrupted at step {step} of 21; the same command with --resume goes on"
    )
    train_file.train(config_of(tmp_path, 1), tmp_path, resume=True)
    assert len(seqvae.load(run).sample(2, seed=0)) == 2
    whole = train_file.train(config_of(tmp_path, 1), tmp_path / "whole")
    for row, expected in zip(rows(run), rows(whole), strict=True):
        assert row == pytest.approx(expected, rel=1e-3, abs=1e-3)  # float32


@pytest.mark.parametrize("victim", [0, 1])
def test_where_one_dies_all_end_with_one_line(victim: int, tmp_path: Path) -> None:
    words = command(tmp_path, 2)
    outcomes = Together(2, tmp_path, commanded, words, victim, "SIGKILL", 9).outcomes()
    assert outcomes[victim].code == -signal.SIGKILL
    survivor = outcomes[1 - victim]
    assert survivor.code == 2
    lines = [line for line in survivor.said.splitlines() if "seqvae: error" in line]
    assert len(lines) == 1
    assert "another process of this training has ended" in lines[0]
    assert "Traceback" not in survivor.said


def test_what_one_refuses_ends_all_with_one_line(tmp_path: Path) -> None:
    words = [*command(tmp_path, 2), "--data.source", str(tmp_path / "nowhere")]
    outcomes = Together(2, tmp_path, commanded, words, 0, "SIGTERM", 0).outcomes()
    assert [outcome.code for outcome in outcomes] == [2, 2]
    assert outcomes[0].said.startswith("seqvae: error: ")
    assert outcomes[0].said.count("\n") == 1
    assert outcomes[1].said == ""


def test_as_many_processes_as_the_settings_say(tmp_path: Path) -> None:
    (outcome,) = Together(1, tmp_path, commanded, command(tmp_path, 2), 0, "SIGTERM", 0).outcomes()
    assert outcome.code == 2
    assert outcome.said.startswith("seqvae: error: trainer.devices, trainer.num_nodes: ")
    assert outcome.said.count("\n") == 1
