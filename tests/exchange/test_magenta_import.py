"""`seqvae import magenta`: a bundle with which every verb works."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from command import run
from magenta_js import make_checkpoint
from trained import band

import seqvae
from seqvae.errors import InputError
from seqvae.exchange.magenta.files import write_checkpoint
from seqvae.exchange.magenta.importing import import_magenta
from seqvae.exchange.onnx.exporting import graphs_of
from seqvae.inference import filling
from seqvae.inference.mixture import Mixture
from seqvae.inference.options import Drawing
from seqvae.inference.trained import TrainedVAE
from seqvae.music.midi import read_midi, to_pretty_midi
from seqvae.music.notes import Piece
from seqvae.pages.play import write_play
from seqvae.serving.controls import verbs_of
from seqvae.training.start import settings_from


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a checkpoint of melodies and two clips, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(filling, "MIN_SAMPLES", 20)
    monkeypatch.setattr(filling, "PER_DIM", 1)
    checkpoint = make_checkpoint("MelodyConverter", num_steps=64, num_segments=4)
    write_checkpoint(tmp_path / "mel_4bar", checkpoint)
    for name, seed in (("a", 1), ("b", 2)):
        to_pretty_midi(band(seed)).write(str(tmp_path / f"{name}.mid"))
    return tmp_path


def test_every_verb_takes_what_was_imported(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "import", "magenta", "mel_4bar", "--out", "mel") == 0
    assert capsys.readouterr().out == "mel: done; try seqvae sample mel\n"
    few = ("-n", 2, "--seed", 1)
    for verb, arguments in {
        "sample": few, "complete": ("a.mid", "--keep", "1-2", *few),
        "interpolate": ("a.mid", "b.mid", "--num_steps", 3),
        "encode": ("a.mid", "--out", "codes.npz"), "decode": ("codes.npz",),
        "score": ("a.mid", "--iw_samples", 2), "play": ("--no_open",),
    }.items():  # fmt: skip
        assert run(monkeypatch, verb, "mel", *arguments) == 0, capsys.readouterr().err
    assert read_midi(here / "out/sample_00.mid", 4).notes.size
    assert "N(0, I)" in (here / "mel/README.md").read_text()
    saved = json.loads((here / "mel/config.json").read_text())
    assert saved["training"]["magenta"]["dataConverter"]["type"] == "MelodyConverter"
    assert saved["training"]["data"]["tokenizer"]["kind"] == "melody"  # for `personal`
    assert "not been fitted" not in capsys.readouterr().err
    settings = yaml.safe_load(settings_from("mel"))  # for `train --init_from`
    assert (settings["name"], settings["model"]["decoder"]) == ("my_mel_4bar", "musicvae")


@pytest.fixture
def of_tracks(here: Path) -> TrainedVAE:
    """A model of four tracks of a bar over chords."""
    checkpoint = make_checkpoint(
        "MultitrackConverter", num_steps=96, num_segments=4, chords="TriadChordEncoder"
    )
    write_checkpoint(here / "tracks", checkpoint)
    import_magenta(here / "tracks", here / "mine")
    return seqvae.load("mine")


def test_verbs_take_tracks(of_tracks: TrainedVAE) -> None:
    vae = of_tracks
    assert len(vae.sample(2, seed=1, chords="Am")) == 2
    assert len(vae.reconstruct("a.mid", bar=1)) == 1
    assert len(vae.interpolate("a.mid", "b.mid", num_steps=3, bar=1)) == 3
    assert len(vae.blend(["a.mid", "b.mid", "a.mid"], num_steps=2, bar=1)) == 3
    assert len(vae.vary("a.mid", n=2, seed=1, bar=1)) == 2
    codes = vae.encode(["a.mid"]).mean
    assert len(vae.decode(codes)) == len(codes)
    assert 0 < vae.score(["a.mid"], iw_samples=2, bar=1)[0].per_event < np.inf


def test_what_tracks_are_not_for_is_said_in_a_line(
    of_tracks: TrainedVAE, here: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    vae = of_tracks
    refused: dict[str, Callable[[], object]] = {
        "2 chords, but a window of multitrack has one": lambda: vae.sample(1, chords="C G"),
        "writes events and not the steps of a grid": lambda: vae.complete("a.mid"),
        "a model of multitrack has no beats": lambda: vae.score(["a.mid"], where=True),
        "no corpus is prepared for models of multitrack": vae.evaluate,
        "the page cannot play multitrack; try seqvae app":
            lambda: write_play(here / "mine", here / "a.html"),
        "tracks that end early": lambda: graphs_of(vae.model),
    }  # fmt: skip
    for message, verb in refused.items():
        with pytest.raises(InputError, match=message):
            verb()
    assert "complete" not in verbs_of(vae)  # those of the app
    assert run(monkeypatch, "train", "--init_from", "mine", "--data.source", ".") == 2
    assert "multitrack, which is for imported models alone" in capsys.readouterr().err


def test_a_clip_of_tracks_streams_as_it_is_decoded(of_tracks: TrainedVAE) -> None:
    codec = of_tracks.codec
    clip = codec.blank(torch.zeros(2, 5))
    drawing = Drawing(temperature=1.0, seed=3)
    parts = [part for part in codec.stream(clip, drawing) if isinstance(part, Piece)]
    (whole,) = codec.render([clip], drawing)
    assert len(parts) == 2
    assert sum(len(part.notes) for part in parts) == sum(len(i.notes) for i in whole.instruments)
    assert sum(len(part.notes) for part in parts) > 4


def test_samples_are_drawn_as_magenta_draws_them(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, "import", "magenta", "mel_4bar", "--out", "mel") == 0
    prior = seqvae.load("mel").prior
    assert isinstance(prior, Mixture)
    np.testing.assert_array_equal(prior.covariance, np.eye(5))
    assert (here / "mel/prior.safetensors").is_file()  # or every use would warn of its absence


def test_only_a_bundle_or_an_empty_folder_is_replaced(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "mine").mkdir()
    assert run(monkeypatch, "import", "magenta", "mel_4bar", "--out", "mine") == 0
    assert run(monkeypatch, "import", "magenta", "mel_4bar", "--out", "mine") == 0
    assert run(monkeypatch, "import", "magenta", "mel_4bar", "--out", ".") == 2
    assert ".: holds other files; name a new folder" in capsys.readouterr().err
    assert (here / "a.mid").is_file()
    assert run(monkeypatch, "import", "magenta", "mel_4bar", "--out", "a.mid") == 2
    assert run(monkeypatch, "import", "magenta", "absent", "--out", "new") == 2
    assert "absent: no such folder" in capsys.readouterr().err
    assert not (here / "new").exists()


def test_a_decoder_alone_samples_and_says_that_it_cannot_read(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = make_checkpoint("MelodyConverter")
    for name in [*checkpoint.weights]:
        if "/fw/" in name:
            del checkpoint.weights[name]
    write_checkpoint(here / "half", checkpoint)
    assert run(monkeypatch, "import", "magenta", "half", "--out", "mine") == 0
    assert run(monkeypatch, "sample", "mine", "-n", 1) == 0
    assert run(monkeypatch, "play", "mine", "--no_open") == 0  # what it samples
    assert run(monkeypatch, "reconstruct", "mine", "a.mid") == 2
    assert "encoder" in capsys.readouterr().err.splitlines()[-1]


def test_a_model_that_ships_goes_to_magenta_and_comes_back(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "export", "magenta", "melody_2bar", "page") == 0
    assert capsys.readouterr().out == "page\n"
    assert run(monkeypatch, "export", "magenta", "melody_2bar", "page") == 0  # in its place
    assert run(monkeypatch, "import", "magenta", "page", "--out", "back") == 0
    ours, back = seqvae.load("melody_2bar"), seqvae.load("back")
    clips = [here / "a.mid", here / "b.mid"]
    z = ours.encode(clips).mean
    np.testing.assert_allclose(back.encode(clips).mean, z, atol=1e-5)
    for one, other in zip(ours.decode(z), back.decode(z), strict=True):
        assert str(one.instruments[0].notes) == str(other.instruments[0].notes)
    assert run(monkeypatch, "export", "magenta", "drums_2bar", "drums") == 2
    assert "model.decoder is hierarchical" in capsys.readouterr().err
    assert run(monkeypatch, "export", "magenta", "melody_2bar", ".") == 2
    assert "holds other files" in capsys.readouterr().err
