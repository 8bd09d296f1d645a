"""Two tiny trained models, made once a test session: enough to run every verb for real."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import seqvae
from seqvae.corpus.store import Corpus
from seqvae.inference.trained import TrainedVAE
from seqvae.model.remedies import BetaSchedule, Objective
from seqvae.music.notes import Piece, Tempo, make_notes, sort_notes
from seqvae.training.config import Config, DataConfig, ModelConfig, TrainerConfig
from seqvae.training.train import train

DATA = Path(__file__).parents[1] / "data"


def load_script(file: Path) -> ModuleType:
    """A script as a module; scripts are not part of the package."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_tunes(folder: Path, num_tunes: int) -> None:
    """Tunes of the embedded generator."""
    load_script(DATA / "tunes.py").write_tunes(folder, num_tunes=num_tunes, seed=0)


def band(seed: int, num_bars: int = 4) -> Piece:
    """Melody, bass and a performed kit."""
    rng = np.random.default_rng(seed)
    eighths, halves = np.arange(0, 16 * num_bars, 2), np.arange(0, 16 * num_bars, 8)
    eighths = eighths[rng.random(len(eighths)) < 0.8]
    beats = np.arange(0, 16 * num_bars, 4)
    tracks = [
        make_notes(eighths, eighths + 2, 60 + rng.integers(0, 12, len(eighths)), track=0),
        make_notes(halves, halves + 8, 36 + rng.integers(0, 7, len(halves)), program=33, track=1),
        make_notes(
            beats, beats + 1, np.where(beats % 8, 38, 36),
            velocity=rng.integers(40, 120, len(beats)), is_drum=True, track=2,
            offset=rng.uniform(0, 0.3, len(beats)),
        ),
    ]  # fmt: skip
    return Piece(sort_notes(np.concatenate(tracks)), 4, tempos=(Tempo(0, 90.0),))


def choir(seed: int, num_bars: int = 4) -> Piece:
    """Four voices in quarters, in a major scale."""
    rng = np.random.default_rng(seed)
    scale = np.array([0, 2, 4, 5, 7, 9, 11]) + seed % 12
    beats = np.arange(0, 16 * num_bars, 4)
    voices = [
        make_notes(beats, beats + 4, height + rng.choice(scale, len(beats)), track=track)
        for track, height in enumerate((67, 60, 53, 41))
    ]
    return Piece(sort_notes(np.concatenate(voices)), 4, tempos=(Tempo(0, 90.0),))


@dataclass(frozen=True)
class Trained:
    """A run, what it was trained on, and the model."""

    run: Path
    corpus: Corpus
    source: Path
    vae: TrainedVAE


def train_tiny(folder: Path, source: Path, tokenizer: dict[str, object], **model: Any) -> Trained:
    """A model that has seen a few steps."""
    config = Config(
        name="tiny",
        data=DataConfig(
            source=str(source), tokenizer=tokenizer, corpus=str(folder / "corpus"), num_workers=1
        ),
        model=ModelConfig(
            latent_dim=4, embedding_dim=8, encoder_dim=16, decoder_dim=16, **model
        ),
        objective=Objective(beta=BetaSchedule(max_beta=0.1)),
        trainer=TrainerConfig(
            max_epochs=2, batch_size=16, learning_rate=1e-2, precision="fp32", accelerator="cpu",
        ),
    )  # fmt: skip
    run = train(config, folder / "runs")
    return Trained(run, Corpus(folder / "corpus"), source, seqvae.load(run))


@pytest.fixture(scope="session")
def melodies(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("melodies")
    write_tunes(folder / "tunes", 12)
    return train_tiny(folder, folder / "tunes", {"kind": "melody"})


@pytest.fixture(scope="session")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("sentences")
    source = folder / "lines.txt"
    people, verbs = ("A man", "Two dogs", "The girl"), ("sees", "likes", "draws", "wants")
    things = ("the sea", "a boat", "red apples", "old trees", "the moon", "music")
    source.write_text("".join(f"{p} {v} {t}.\n" for p in people for v in verbs for t in things))
    return train_tiny(folder, source, {"kind": "text", "vocab_size": 300, "max_steps": 24})
