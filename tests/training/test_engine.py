"""What Lightning is told."""

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import Logger
from tiny_runs import tiny_config

from seqvae.training import config as config_file
from seqvae.training import engine
from seqvae.training.checkpoint import read_metrics
from seqvae.training.engine import make_trainer
from seqvae.training.train import train


@pytest.mark.parametrize(("precision", "expected"), [("bf16", "bf16-mixed"), ("fp32", "32-true")])
def test_the_trainer_computes_in_the_precision_that_is_set(
    precision: str, expected: str, tmp_path: Path
) -> None:
    config = tiny_config(tmp_path, precision=precision)
    assert make_trainer(config, tmp_path, on_gpu=False).precision == expected


class Record(Logger):
    """A logger that keeps what it is told."""

    name = "record"
    version = 0

    def __init__(self, *places: Any, **settings: Any) -> None:
        super().__init__()
        self.told: list[tuple[int | None, dict[str, float]]] = []
        MADE.append(self)

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        pass

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.told.append((step, metrics))


MADE: list[Record] = []


@pytest.mark.parametrize(
    ("logger", "kind"), [("tensorboard", "TensorBoardLogger"), ("wandb", "WandbLogger")]
)
def test_loggers_get_the_rows_of_metrics(
    logger: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_file, "find_spec", lambda _: True)
    monkeypatch.setattr(engine, kind, Record)
    MADE.clear()
    run = train(tiny_config(tmp_path, loggers=[logger]), tmp_path)
    (record,) = MADE
    rows = [(step, figures) for step, figures in record.told if "loss" in figures]
    assert rows == [(row["step"], row) for row in read_metrics(run)]
