"""Every note of an output is in the scale that is asked for."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import randomised

from seqvae.errors import InputError
from seqvae.inference.codec import Codec, Item
from seqvae.inference.mixture import Mixture
from seqvae.inference.trained import TrainedVAE
from seqvae.model.config import ModelConfig
from seqvae.model.vae import SequenceVAE
from seqvae.music.keys import transposed
from seqvae.music.midi import read_midi, to_pretty_midi
from seqvae.music.notes import Key, Piece, join, make_notes, pitched_notes
from seqvae.music.scales import parse_scale
from seqvae.tokenizers import make_tokenizer

TUNE = Piece(make_notes(range(0, 32, 2), range(2, 34, 2), [60, 64, 67, 65, 64, 62, 59, 60] * 2), 4)
PITCHED = ("melody", "trio", "voices", "polyphony")
SAMPLED = {"temperature": 1.0, "seed": 2}


def model(kind: str = "melody", **settings: Any) -> TrainedVAE:
    """A bar of any kind by random weights, which know no scale."""
    tokenizer = make_tokenizer({"kind": kind, "num_bars": 1, **settings})
    sizes = {"latent_dim": 3, "embedding_dim": 4, "encoder_dim": 5, "decoder_dim": 6}
    vae = randomised(SequenceVAE(ModelConfig(**sizes), tokenizer.steps), std=1.0)
    return TrainedVAE(Codec(vae, tokenizer), prior=Mixture.standard(3))


@pytest.fixture
def tune(tmp_path: Path) -> Path:
    file = tmp_path / "tune.mid"
    to_pretty_midi(transposed(TUNE, 2)).write(str(file))  # in D major
    return file


def pitches(items: Sequence[Item]) -> list[int]:
    pieces = [read_midi(item, 4) for item in items if not isinstance(item, str)]
    found: list[int] = np.concatenate([pitched_notes(piece)["pitch"] for piece in pieces]).tolist()
    return found


def inside(items: Sequence[Item], scale: str) -> bool:
    """Whether all of some notes are in a scale, and they are not of a single pitch class."""
    classes = np.array(pitches(items)) % 12
    return len({*classes.tolist()}) > 1 and bool(parse_scale(scale).pitch_classes()[classes].all())


@pytest.mark.parametrize("kind", PITCHED)
@pytest.mark.parametrize("keys", ["as_written", "normalised"])
def test_samples_of_every_kind_are_inside(kind: str, keys: str) -> None:
    settings = {"max_notes": 3} if kind == "polyphony" else {}
    vae = model(kind, keys=keys, **settings)
    for scale in ("Bb dorian", "F# minor pentatonic"):
        for how in (SAMPLED, {**SAMPLED, "temperature": 0.0}):
            assert inside(
                vae.decode(vae.prior.sample(8, vae.codec.generator(1)), scale=scale, **how), scale
            )
        assert inside(vae.sample(4, seed=3, scale=scale), scale)
    assert not inside(vae.sample(8, seed=3), "E minor")


@pytest.mark.parametrize("keys", ["as_written", "normalised"])
def test_every_verb_that_decodes_keeps_to_the_scale(tune: Path, keys: str) -> None:
    vae, scale = model(keys=keys), "G# phrygian"
    outputs = {
        "reconstruct": vae.reconstruct(tune, scale=scale, **SAMPLED),
        "interpolate": vae.interpolate(tune, tune, scale=scale, num_steps=3, **SAMPLED),
        "vary": vae.vary(tune, scale=scale, **SAMPLED),
        "blend": vae.blend([tune, tune], scale=scale, num_steps=3, **SAMPLED),
        "analogy": vae.analogy(tune, tune, tune, scale=scale, **SAMPLED),
    }
    for verb, items in outputs.items():
        assert inside(items, scale), verb


@pytest.mark.parametrize("keys", ["as_written", "normalised"])
def test_what_is_streamed_is_what_is_decoded(keys: str) -> None:
    vae = model(keys=keys)
    z = vae.prior.sample(1, vae.codec.generator(5))
    for how in ({"scale": "E dorian"}, {"key": "E minor"}, {"scale": "blues", "key": "Eb"}):
        (whole,) = vae.decode(z, **SAMPLED, **how)
        bars = join(list(vae.stream(z, **SAMPLED, **how)))
        assert pitches([whole]) == bars.notes["pitch"].tolist()
        assert bars.key == read_midi(whole, 4).key


@pytest.mark.parametrize("keys", ["as_written", "normalised"])
def test_auto_is_the_scale_of_the_input(
    tune: Path, keys: str, caplog: pytest.LogCaptureFixture
) -> None:
    vae = model(keys=keys)
    with caplog.at_level(logging.INFO):
        assert inside(vae.vary(tune, scale="auto", **SAMPLED), "D major")
        assert inside(vae.vary(tune, scale="mixolydian", **SAMPLED), "D mixolydian")
        assert inside(vae.vary(tune, scale="auto", key="F", **SAMPLED), "F")
        assert inside(vae.vary(tune, scale="dorian", key="F", **SAMPLED), "F dorian")
        assert inside(vae.sample(4, scale="auto", key="C minor", **SAMPLED), "C minor")
    told = [record.message for record in caplog.records if record.levelname == "INFO"]
    assert told == ["scale: D major", "scale: D mixolydian"]
    with pytest.raises(InputError, match="scale is auto, and there is no input to find its key"):
        vae.sample(1, scale="auto")


def test_a_scale_alone_does_not_move_what_is_made_of_a_clip(tune: Path) -> None:
    """Notes of the scale stay; with a key, all of them move."""
    vae = model(keys="normalised")
    (free,), (bound,) = vae.reconstruct(tune), vae.reconstruct(tune, scale="chromatic")
    assert pitches([free]) == pitches([bound])
    (moved,), (both,) = (
        vae.reconstruct(tune, key="E"),
        vae.reconstruct(tune, key="E", scale="chromatic"),
    )
    assert pitches([moved]) == pitches([both]) == [pitch + 2 for pitch in pitches([free])]
    (sample,) = vae.sample(1, seed=1, scale="D dorian")
    assert read_midi(sample, 4).key == Key(0, True)


def test_samples_of_keys_as_written_are_moved_to_the_scale_with_their_own_notes() -> None:
    """Most of what a model writes lies in its own key: that is moved, and not masked away."""
    vae = model(keys="as_written")
    z = vae.prior.sample(1, vae.codec.generator(0))
    (free,) = vae.decode(z, key="E minor")
    (bound,) = vae.decode(z, scale="E minor")
    first = pitches([free])[0]
    if parse_scale("E minor").pitch_classes()[first % 12]:
        assert pitches([bound])[0] == first


def test_what_is_drawn_twice_is_drawn_by_one_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of keys as they are written is asked twice."""
    vae, seeds = model(keys="as_written"), []
    generator = vae.codec.generator
    monkeypatch.setattr(
        vae.codec, "generator", lambda seed: (seeds.append(seed), generator(seed))[1]
    )
    vae.decode(vae.prior.sample(1, generator(0)), scale="E minor", temperature=1.0)
    assert len(seeds) == 2
    assert seeds[0] == seeds[1] is not None


def test_drums_have_no_scale() -> None:
    trio, classes = make_tokenizer({"kind": "trio"}), np.zeros(128, np.bool_)
    assert {*trio.tokens_within(classes)} == {0, 1}  # type: ignore[union-attr]  # it has pitches
    for kind, message in (("drums", "has no scales"), ("groove", "has no scales")):
        with pytest.raises(InputError, match=message):
            model(kind).sample(1, scale="C")
    with pytest.raises(InputError, match="writes drums among its pitches; it cannot keep"):
        model("polyphony", programs=True).sample(1, scale="C")
