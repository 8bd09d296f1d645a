"""Graphs of ONNX: run by onnxruntime, they encode and decode as the model does."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import random_ids, tiny_vae

from seqvae import cli
from seqvae.errors import InputError
from seqvae.exchange.onnx import exporting
from seqvae.exchange.onnx.exporting import graphs_of
from seqvae.inference.bundle import load_weights, save_weights
from seqvae.shipped import models
from seqvae.tokenizers.melody import MelodyTokenizer

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")
decode = importlib.import_module("seqvae.exchange.onnx.decode").decode

NUM_CODES = 200
KINDS: dict[str, dict[str, Any]] = {
    "flat": {"decoder_layers": 2},
    "hierarchical": {
        "decoder": "hierarchical", "segment_length": 3, "vocab_sizes": (5, 8, 4),
        "num_members": (0, 3, 0), "latent_dim": 4,
    },
    "musicvae": {"decoder": "musicvae", "segment_length": 3, "conductor_layers": 2},
    "wired, with an end": {
        "z_wiring": ("output",), "tied_embeddings": True, "num_softmaxes": 3, "eos_id": 1,
        "bn_gamma": 0.6, "encoder_layers": 2, "encoder_pooling": "mean",
    },
    "NADE over chords": {
        "vocab_sizes": (512,), "num_members": (9,), "nade_dim": 4, "condition_sizes": (4,),
    },
    "notes": {"vocab_sizes": (9, 4) * 3, "slot_size": 2},
    "notes of several instruments over chords": {
        "vocab_sizes": (9, 4, 3) * 3, "slot_size": 3, "unison": True, "condition_sizes": (3,),
        "decoder": "hierarchical", "segment_length": 3, "latent_dim": 4,
    },
}  # fmt: skip


def exported(settings: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A tiny model, written as a bundle and exported to a folder."""
    model = tiny_vae(std=0.8, **settings)
    bundle = folder / "bundle"
    bundle.mkdir()
    save_weights(bundle, model, {})
    monkeypatch.setattr(
        exporting, "load_bundle", lambda place: (load_weights(place), MelodyTokenizer())
    )
    exporting.export_onnx(bundle, folder / "graphs")
    return model


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_graphs_give_what_the_model_gives(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = exported(KINDS[kind], tmp_path, monkeypatch)
    steps = model.steps
    z = torch.randn(NUM_CODES, model.config.latent_dim, generator=torch.Generator().manual_seed(0))
    expected = model.decode(z)
    drawn = decode(tmp_path / "graphs", z.numpy())
    for row in range(NUM_CODES):  # up to the end token
        length = int(expected.lengths[row])
        theirs = expected.ids[row, :length, : steps.num_channels]
        np.testing.assert_array_equal(drawn[row, :length], theirs)
    assert len(np.unique(drawn)) > 2
    ids = random_ids(steps.vocab_sizes + steps.condition_sizes, 7, steps.max_steps)
    lengths = torch.tensor([steps.max_steps, 1, 2, 3, 4, 5, 6])
    session = onnxruntime.InferenceSession(tmp_path / "graphs/encode.onnx")
    mean, log_stddev = session.run(None, {"ids": ids.numpy(), "lengths": lengths.numpy()})
    posterior = model.encode(ids, lengths)
    np.testing.assert_allclose(mean, posterior.mean, atol=1e-5)
    np.testing.assert_allclose(log_stddev, posterior.log_stddev, atol=1e-5)


@torch.no_grad()
def test_noise_makes_draws_of_the_softmax(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = exported({"max_steps": 1}, tmp_path, monkeypatch)
    z = torch.zeros(4000, model.config.latent_dim)
    drawn = decode(tmp_path / "graphs", z.numpy(), temperature=2.0)
    logits = model.decoder(z[:1], torch.zeros(1, 1, 1, dtype=torch.long))[0][0, 0]
    shares = np.bincount(drawn.ravel(), minlength=5) / 4000
    np.testing.assert_allclose(shares, (logits / 2).softmax(-1), atol=0.03)


@pytest.mark.parametrize("name", models())
@torch.no_grad()
def test_models_that_ship_have_graphs(name: str, tmp_path: Path) -> None:
    bundle = models()[name]
    model = load_weights(bundle)
    exporting.export_onnx(bundle, tmp_path / "graphs")
    z = torch.randn(20, model.config.latent_dim, generator=torch.Generator().manual_seed(0))
    expected, drawn = model.decode(z), decode(tmp_path / "graphs", z.numpy())
    for row, length in enumerate(expected.lengths.tolist()):  # up to the end token
        theirs = expected.ids[row, :length, : model.steps.num_channels]
        np.testing.assert_array_equal(drawn[row, :length], theirs)


def test_the_command_writes_a_folder_that_plays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exporting, "graphs_of", lambda _: {"step": b"", "begin": b""})
    command = ["seqvae", "export", "onnx", "melody_2bar"]
    for folder, code in (("new", None), ("new", None), (".", 2)):  # twice in its own place
        monkeypatch.setattr(sys, "argv", [*command, folder])
        if code is None:
            cli.main()
            continue
        with pytest.raises(SystemExit):
            cli.main()
    answer = capsys.readouterr()
    assert answer.out == "new\nnew\n"
    assert ".: holds other files" in answer.err
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == [
        "begin.onnx", "decode.py", "model.json", "step.onnx", "tokenizer.json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--help"], 0, "takes the likeliest token"),
        (["hot"], 2, "argument temperature: invalid float value: 'hot'"),
        (["-1"], 2, "temperature is -1.0; it must be 0 or more"),
        (["nan"], 2, "temperature is nan; it must be 0 or more"),
        (["1", "2"], 2, "unrecognized arguments: 2"),
    ],
)
def test_the_script_that_decodes_says_how_it_is_called(
    words: list[str], code: int, said: str
) -> None:
    script = Path(exporting.__file__).with_name("decode.py")
    done = subprocess.run([sys.executable, script, *words], capture_output=True, text=True)
    assert done.returncode == code
    assert done.stderr.startswith("usage: ") == bool(code)
    assert said in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr


def test_what_has_no_graphs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="a language model"):
        graphs_of(tiny_vae(latent_dim=0))
    monkeypatch.setattr(exporting, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install .seqvae\[onnx\]"):
        exporting.export_onnx(tmp_path, tmp_path / "x")
