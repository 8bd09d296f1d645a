"""Tiny trainings for the tests: thirteen steps of a second at most, on a corpus of one file."""

from pathlib import Path
from typing import Any

import torch

from seqvae.corpus.config import DataConfig
from seqvae.corpus.prepare import prepare
from seqvae.corpus.store import Corpus
from seqvae.model.config import ModelConfig
from seqvae.model.remedies import BetaSchedule, Objective
from seqvae.model.vae import SequenceVAE
from seqvae.training.checkpoint import read_metrics
from seqvae.training.config import Config, TrainerConfig
from seqvae.training.validation import Validation, Validator

LINES = [f"the {a} {b} the {c}" for a in ("cat", "dog", "cow") for b in ("sees", "likes", "meets")
         for c in ("sun", "sea", "hill", "moon", "tree")]  # fmt: skip


def tiny_config(
    folder: Path, *, objective: Objective | None = None, data: Any = None, **changes: Any
) -> Config:
    """A run on 37 training sequences, in five batches; `changes` are fields of model or trainer."""
    source = folder / "corpus.txt"
    if not source.exists():
        source.write_text("\n".join(LINES) + "\n")
    data = {"source": str(source)} if data is None else data
    model: dict[str, Any] = {
        "latent_dim": 4, "embedding_dim": 8, "encoder_dim": 8, "decoder_dim": 8,
    }  # fmt: skip
    trainer: dict[str, Any] = {
        "max_epochs": 2, "batch_size": 8, "warmup_steps": 4, "precision": "fp32",
        "accelerator": "cpu",
    }  # fmt: skip
    for name, value in changes.items():
        (trainer if name in TrainerConfig.__dataclass_fields__ else model)[name] = value
    tokenizer = {"kind": "words", "max_steps": 8}
    return Config(
        name="tiny",
        data=DataConfig(**{"tokenizer": tokenizer, "corpus": str(folder / "prepared")} | data),
        model=ModelConfig(**model),
        objective=objective or Objective(beta=BetaSchedule(beta_warmup_steps=6)),
        trainer=TrainerConfig(**trainer),
    )


def three_files(folder: Path) -> dict[str, str]:
    """Data whose splits differ in the length of their lines: four, two and six words."""
    for name, num_words in (("train", 4), ("valid", 2), ("test", 6)):
        lines = [" ".join(["sun", "sea", "hill"][(i + j) % 3] for j in range(num_words))
                 for i in range(6)]  # fmt: skip
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return {name: str(folder / f"{name}.txt") for name in ("train", "valid", "test")}


def corpus_of(config: Config) -> Corpus:
    """The prepared corpus."""
    return prepare(config.data, config.corpus_folder)


def validated(validator: Validator, model: SequenceVAE) -> Validation:
    """A whole validation, as Lightning's loop makes it."""
    validator.begin(model.eval())
    for batch in validator.loader():
        validator.add(batch)
    return validator.result()


def checkpoint(run: Path) -> dict[str, Any]:
    """What a run would resume from."""
    state: dict[str, Any] = torch.load(run / "last.ckpt", weights_only=True)
    return state


def assert_same_run(one: Path, other: Path) -> None:
    """Two runs have the same weights, figures, bundle and prior; only their minutes may differ."""
    weights = checkpoint(other)["model"]
    for name, value in checkpoint(one)["model"].items():
        assert torch.equal(value, weights[name]), name
    rows = [[row | {"minutes": 0} for row in read_metrics(run)] for run in (one, other)]
    assert rows[0] == rows[1]
    files = sorted(path.name for path in (one / "bundle").iterdir())
    assert files == sorted(path.name for path in (other / "bundle").iterdir())
    assert "prior.safetensors" in files
    for file in files:
        assert (one / "bundle" / file).read_bytes() == (other / "bundle" / file).read_bytes(), file
