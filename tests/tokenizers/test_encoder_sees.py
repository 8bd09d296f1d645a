"""What a groove model hides from its encoder stays hidden in training and in every verb."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

import seqvae
from seqvae import cli
from seqvae.model.encoder import Encoder
from seqvae.music.midi import to_pretty_midi
from seqvae.music.notes import Piece, make_notes

OPEN_HAT = 8  # the set of the open hi-hat alone, on which everything is tapped


def write_groove(file: Path, pattern: int, performance: int) -> str:
    """Two bars of kicks, snares and hats; performances of a pattern differ in all but its hits."""
    hits = np.random.default_rng(pattern).random((32, 3)) < 0.3
    hits[::8, 0] = True
    steps, classes = np.nonzero(hits)
    rng = np.random.default_rng((pattern, performance))
    notes = make_notes(
        steps, steps + 1, np.array([36, 38, 42])[classes], is_drum=True,
        velocity=rng.integers(20, 127, len(steps)), offset=rng.uniform(0, 0.4, len(steps)),
    )  # fmt: skip
    to_pretty_midi(Piece(notes, 4)).write(str(file))
    return str(file)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["seqvae", *arguments])
    cli.main()


@pytest.fixture
def grooves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The current folder has a corpus and a config; two files with equal hits are returned."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grooves").mkdir()
    for number in range(12):
        write_groove(tmp_path / "grooves" / f"{number}.mid", number, 0)
    config = {
        "name": "groove",
        "data": {"source": "grooves", "tokenizer": {"kind": "groove", "num_bars": 1}},
        "model": {"latent_dim": 3, "embedding_dim": 4, "encoder_dim": 4, "decoder_dim": 4},
        "objective": {"beta": {"max_beta": 0.1}},
        "trainer": {"max_epochs": 1, "batch_size": 8, "precision": "fp32", "accelerator": "cpu"},
    }
    Path("groove.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    one, other = (write_groove(tmp_path / f"{number}.mid", 99, number) for number in (1, 2))
    return one, other


ALL = ("train", "evaluate", "reconstruct", "attributes", "score", "report")


@pytest.mark.parametrize(("view", "verbs"), [("hits", ALL), ("taps", ("train", "reconstruct"))])
def test_no_verb_shows_the_encoder_what_is_hidden(
    grooves: tuple[str, str], view: str, verbs: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Tensor] = []
    forward = Encoder.forward

    def spied(self: Encoder, ids: Tensor, lengths: Tensor) -> object:
        shown.append(ids)
        return forward(self, ids, lengths)

    monkeypatch.setattr(Encoder, "forward", spied)
    few = ("--iw_samples", "2")
    arguments = {
        "train": ["groove.yaml", "--data.tokenizer.encoder_sees", view],
        "evaluate": ["runs/groove", *few],
        "reconstruct": ["runs/groove", *grooves],
        "attributes": ["runs/groove", "note_density", "--method", "means"],
        "score": ["runs/groove", *grooves, *few],
        "report": ["runs/groove"],
    }
    for verb in verbs:
        shown.clear()
        run(monkeypatch, verb, *arguments[verb])
        assert shown, verb
        for ids in shown:
            assert not ids[..., 1:].any(), verb
            tokens = set(ids[..., 0].flatten().tolist())
            assert tokens - {0}, verb
            assert view == "hits" or tokens <= {0, OPEN_HAT}, verb


@pytest.mark.parametrize("view", ["performance", "hits"])
def test_grooves_with_equal_hits_have_equal_posteriors_where_the_rest_is_hidden(
    grooves: tuple[str, str], view: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, "train", "groove.yaml", "--data.tokenizer.encoder_sees", view)
    vae = seqvae.load("runs/groove")
    one, other = (vae.encode([groove]) for groove in grooves)
    assert torch.equal(one.mean, other.mean) == (view == "hits")
    assert torch.equal(one.log_stddev, other.log_stddev) == (view == "hits")
