"""Trainings whose length is given in steps or in minutes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import assert_same_run, checkpoint, tiny_config

from seqvae.training.checkpoint import read_metrics
from seqvae.training.config import Config
from seqvae.training.module import VAETraining
from seqvae.training.train import train

LENGTHS: dict[str, dict[str, Any]] = {"steps": {"max_steps": 12}, "minutes": {"max_minutes": 0.2}}


@pytest.fixture(scope="module", autouse=True)
def clock() -> Iterator[None]:
    """Every step takes a second, so that 0.2 minutes are 12 steps, of epochs of five."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(VAETraining, "seconds", lambda module: float(module.step))
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, clock: None) -> dict[str, tuple[Config, Path]]:
    """Uninterrupted trainings, by what their length is given in."""
    folder = tmp_path_factory.mktemp("whole")
    configs = {
        name: tiny_config(folder, max_epochs=1, ema_decay=0.5, **length)
        for name, length in LENGTHS.items()
    }
    return {name: (config, train(config, folder / name)) for name, config in configs.items()}


@pytest.mark.parametrize("length", LENGTHS)
def test_a_training_ends_within_an_epoch_and_is_validated_there(
    whole: dict[str, tuple[Config, Path]], length: str
) -> None:
    run = whole[length][1]
    assert [(row["epoch"], row["step"]) for row in read_metrics(run)] == [(1, 5), (2, 10), (3, 12)]
    rates = [row["learning_rate"] for row in read_metrics(run)]
    assert rates[-1] < 0.1 * rates[0]
    assert checkpoint(run)["num_steps"] == 12
    assert (run / "bundle" / "prior.safetensors").is_file()


@pytest.mark.parametrize(("length", "step"), [("steps", 11), ("minutes", 3), ("minutes", 9)])
def test_an_interrupted_training_goes_on_to_the_same_end(
    whole: dict[str, tuple[Config, Path]],
    length: str,
    step: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, expected = whole[length]
    begin_step = VAETraining.begin_step

    def interrupted(module: VAETraining) -> None:
        if module.step == step:
            module.requests.interrupt(2)
        begin_step(module)

    with monkeypatch.context() as patched:
        patched.setattr(VAETraining, "begin_step", interrupted)
        known = " of 12" if length == "steps" or step > 7 else ""
        with pytest.raises(KeyboardInterrupt, match=f"step {step + 1}{known}; the same command"):
            train(config, tmp_path)
    assert_same_run(expected, train(config, tmp_path, resume=True))
