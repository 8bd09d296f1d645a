"""Checkpoints of Magenta's as models here: the same means and the same tokens."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from magenta_js import END_OF_TRACK, Reading, make_checkpoint
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.exchange.magenta.converters import OFFSET_BINS
from seqvae.exchange.magenta.files import Checkpoint, read_checkpoint
from seqvae.exchange.magenta.reading import read_model
from seqvae.model.config import Sampling
from seqvae.model.vae import SequenceVAE
from seqvae.music.chord_names import parse_chords
from seqvae.music.notes import NUM_VELOCITIES

DATA = Path(__file__).parents[3] / "shared/data"
HERE = Path("a_checkpoint")
KINDS: dict[str, dict[str, Any]] = {
    "melody": {"converter": "MelodyConverter"},
    "melody of three layers": {"converter": "MelodyConverter", "num_layers": 3},
    "melody over chords": {"converter": "MelodyConverter", "chords": "TriadChordEncoder"},
    "over other chords": {"converter": "MelodyConverter", "chords": "PitchChordEncoder"},
    "16 steps": {"converter": "MelodyConverter", "num_steps": 16},
    "melody with a conductor": {"converter": "MelodyConverter", "num_segments": 4},
    "drums": {"converter": "DrumsConverter"},
    "drums as read": {"converter": "DrumsOneHotConverter"},
    "drum roll": {"converter": "DrumRollConverter"},
    "NADE": {"converter": "DrumRollConverter", "nade": True},
    "trio": {"converter": "TrioConverter", "num_segments": 2},
    "flat trio": {"converter": "TrioConverter"},
    "groove": {"converter": "GrooveConverter", "scale": 0.5},
    "multitrack": {"converter": "MultitrackConverter", "num_segments": 4},
    "multitrack over chords": {
        "converter": "MultitrackConverter", "num_segments": 4, "chords": "TriadChordEncoder",
    },
}  # fmt: skip
BITS = 1 << np.arange(9)


def tokens(converter: str, written: NDArray[Any]) -> NDArray[Any]:
    """What Magenta writes, (B, T, P), as tokens (B, T, C)."""
    if converter == "DrumRollConverter":
        return (written.astype(int) @ BITS)[..., None]
    if converter != "GrooveConverter":
        return written
    hits, velocities, offsets = np.split(written, 3, axis=-1)
    late = np.floor((0.5 - offsets / 2) * OFFSET_BINS)
    columns = (hits.astype(int) @ BITS)[..., None], np.rint(velocities * NUM_VELOCITIES), late + 1
    return np.concatenate(columns, axis=-1)


def read(converter: str, ids: NDArray[Any]) -> NDArray[Any]:
    """What Magenta reads of tokens (B, T, C): (B, T, D)."""
    bits = (ids[..., :1] & BITS) > 0
    if converter in ("DrumsConverter", "DrumRollConverter"):
        return np.concatenate([bits, ~bits.any(-1, keepdims=True)], axis=-1) * 1.0
    if converter == "MultitrackConverter":  # what fills up a track reads as zeros
        return np.eye(END_OF_TRACK + 2)[ids[..., 0]][..., :-1]
    if converter == "GrooveConverter":
        late = (ids[..., 10:] - 0.5) / OFFSET_BINS - 0.5
        offsets = np.where(ids[..., 10:], -2 * late, 0)
        return np.concatenate([bits, ids[..., 1:10] / NUM_VELOCITIES, offsets], axis=-1)
    sizes = {"TrioConverter": (90, 90, 512), "MelodyConverter": (90,)}.get(converter, (512,))
    return np.concatenate([np.eye(n)[ids[..., i]] for i, n in enumerate(sizes)], axis=-1)


def imported(checkpoint: Checkpoint) -> SequenceVAE:
    return read_model(HERE, checkpoint)[0]


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_model_of_any_kind_is_the_same_function(kind: str) -> None:
    checkpoint = make_checkpoint(**KINDS[kind])
    model, reading = imported(checkpoint), Reading(checkpoint)
    steps, num_channels = model.steps, model.steps.num_channels
    sizes = steps.vocab_sizes + (49,) * len(steps.condition_sizes)  # triads alone
    ids = np.random.default_rng(1).integers(0, sizes, (3, steps.max_steps, len(sizes)))
    if kind.startswith("multitrack"):  # tracks of a row that end, some, or none
        ids[0, 3::8, 0] = ids[1, 6::16, 0] = END_OF_TRACK
    controls = []
    if checkpoint.spec.get("chordEncoder"):
        chord = np.stack([pitches(n) for n in range(49)]) if "other" in kind else np.eye(49)
        controls = [chord[ids[..., -1]]]
    z = torch.randn(3, model.config.latent_dim, generator=torch.Generator().manual_seed(2))
    lengths, conditions = (
        torch.full((3,), steps.max_steps),
        torch.from_numpy(ids[..., num_channels:]),
    )
    means = model.encode(torch.from_numpy(ids), lengths).mean
    written = model.decode(z, conditions=conditions if controls else None).ids[..., :num_channels]
    x = read(reading.converter, ids[..., :num_channels])
    np.testing.assert_allclose(means, reading.mean(np.concatenate([x, *controls], -1)), atol=5e-6)
    theirs = tokens(reading.converter, reading.decode(z.double().numpy(), *controls))
    if kind == "groove":  # numbers that are fed back have been rounded
        np.testing.assert_array_equal(written[..., 0], theirs[..., 0])
        assert np.abs(written.numpy() - theirs).max() <= 2
    else:
        np.testing.assert_array_equal(written, theirs)
    assert len(np.unique(written[..., 0])) > 2


def pitches(number: int) -> NDArray[Any]:
    """A chord as PitchChordEncoder has it: none, root, pitch classes, bass."""
    vector = np.zeros(37)
    if not number:
        vector[0] = 1
        return vector
    quality, root = divmod(number - 1, 12)
    triad = [(0, 4, 7), (0, 3, 7), (0, 4, 8), (0, 3, 6)][quality]
    vector[[1 + root, 25 + root, *(13 + (root + step) % 12 for step in triad)]] = 1
    return vector


@torch.no_grad()
def test_the_spread_of_the_posterior_is_magentas() -> None:
    checkpoint = make_checkpoint("MelodyConverter")
    ids = torch.zeros(1, 32, 1, dtype=torch.long)
    spread = imported(checkpoint).encode(ids, torch.tensor([32])).log_stddev.exp()
    reading = Reading(checkpoint)
    state = reading.both_ways("encoder", np.eye(90)[np.zeros((1, 32), int)])
    expected = np.log1p(np.exp(reading.dense("encoder/sigma", state)))
    np.testing.assert_allclose(spread, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("args", "sees"),
    [({}, "performance"), ({"humanize": True}, "hits"), ({"tapify": True}, "tapping")]
)  # fmt: skip
def test_a_groove_model_sees_what_it_did(args: dict[str, bool], sees: str) -> None:
    checkpoint = make_checkpoint("GrooveConverter", **args)
    model, tokenizer = read_model(HERE, checkpoint)
    assert tokenizer.encoder_sees == sees  # type: ignore[attr-defined]  # of a groove
    louder = [channel.weight.abs().sum() for channel in model.encoder.embedding.channels]  # type: ignore[union-attr, operator]
    assert bool(louder[1]) == (sees != "tapping")  # of taps, no velocity is read
    assert louder[10]


def multitrack(**changes: int) -> dict[str, Any]:
    args = {"numSteps": 64, "numSegments": 4, "stepsPerQuarter": 24, "totalSteps": 96,
            "numVelocityBins": 8}  # fmt: skip
    return {"dataConverter": {"type": "MultitrackConverter", "args": args | changes}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conditionOnKey": True}, "conditionOnKey"),
        ({"extraControls": [{"name": "a", "depth": 1}]}, "extraControls"),
        ({"chordEncoder": "JazzChordEncoder"}, "JazzChordEncoder.*TriadChordEncoder"),
        ({"dataConverter": {"type": "MelodyShapeConverter"}}, "MelodyShapeConverter.*Melody"),
        (
            {"dataConverter": {"type": "MelodyConverter", "args": {"numSteps": 30}}},
            "30 steps, no whole number of bars",
        ),
        (
            {"dataConverter": {"type": "MelodyConverter", "args": {"numSteps": 32}}},
            "a_checkpoint: damaged .no 'minPitch'.; download the checkpoint again",
        ),
        (
            {"dataConverter": {"type": "GrooveConverter",
                               "args": {"numSteps": 32, "splitInstruments": True}}},
            "splitInstruments",
        ),
        (
            {"dataConverter": {"type": "DrumsConverter",
                               "args": {"numSteps": 32, "pitchClasses": [[36], [38]]}}},
            "2 classes of drums",
        ),
        (multitrack(totalSteps=100), "100 steps, no whole bars of 4/4"),
        (multitrack(minPitch=21), r"the pitches \(21, 127\); seqvae has all"),
        (multitrack(numVelocityBins=0), "num_velocity_bins is 0"),
        (multitrack(numSegments=1), "max_tracks is 1"),
    ],
)  # fmt: skip
def test_what_seqvae_has_not_is_refused(changes: dict[str, Any], message: str) -> None:
    checkpoint = make_checkpoint("MelodyConverter")
    with pytest.raises(InputError, match=message):
        imported(Checkpoint(checkpoint.spec | changes, checkpoint.weights))


def test_a_checkpoint_lacks_no_weight_and_has_its_own_sizes() -> None:
    checkpoint = make_checkpoint("MelodyConverter")
    weights = dict(checkpoint.weights)
    del weights["decoder/output_projection/kernel"]
    with pytest.raises(InputError, match=r"damaged \(no 'decoder/output_projection/kernel'\)"):
        imported(Checkpoint(checkpoint.spec, weights))
    weights = checkpoint.weights | {"encoder/mu/kernel": np.zeros((7, 5), np.float32)}
    with pytest.raises(InputError, match="a_checkpoint: damaged"):
        imported(Checkpoint(checkpoint.spec, weights))
    weights = checkpoint.weights | {"encoder/mu/bias": np.full(5, np.nan, np.float32)}
    with pytest.raises(InputError, match="a weight is not finite"):
        imported(Checkpoint(checkpoint.spec, weights))
    weights = checkpoint.weights | {"control_preprocessing/x": np.zeros(1, np.float32)}
    with pytest.raises(InputError, match="preprocesses its controls"):
        imported(Checkpoint(checkpoint.spec, weights))


def test_a_decoder_may_come_alone(caplog: pytest.LogCaptureFixture) -> None:
    checkpoint = make_checkpoint("MelodyConverter")
    weights = {name: w for name, w in checkpoint.weights.items() if "rnn/fw" not in name}
    model = imported(Checkpoint(checkpoint.spec, weights))
    assert "there is no encoder" in caplog.text
    z = torch.ones(1, 5)
    expected = Reading(checkpoint).decode(z.numpy())
    np.testing.assert_array_equal(model.decode(z).ids, expected)
    with pytest.raises(InputError, match="this model has no encoder"):
        model.encode(torch.zeros(1, 32, 1, dtype=torch.long), torch.tensor([32]))


def test_without_a_sigma_the_import_says_so(caplog: pytest.LogCaptureFixture) -> None:
    checkpoint = make_checkpoint("MelodyConverter")
    weights = {name: w for name, w in checkpoint.weights.items() if "sigma" not in name}
    imported(Checkpoint(checkpoint.spec, weights))
    assert "no encoder/sigma" in caplog.text


# Checkpoints that others made


EXAMPLES = ("mel_float32", "mel_uint16", "mel_uint8", "mel_chords", "drums", "nade", "groove",
            "mel_hier", "trio", "multi")  # fmt: skip


@pytest.mark.skipif(not (DATA / "musicvae_js").is_dir(), reason="no checkpoints in ../shared/data")
@pytest.mark.parametrize("name", EXAMPLES)
@torch.no_grad()
def test_checkpoints_give_what_magenta_gives(name: str) -> None:
    folder = DATA / "musicvae_js" / name
    expected = json.loads((folder.parent / "expected.json").read_text(encoding="utf-8"))[name]
    model, tokenizer = read_model(folder, read_checkpoint(folder))
    steps = model.steps
    x, y = np.array(expected["x"]), np.array(expected["y"])
    conditions = None
    if "chords" in expected:
        chords = np.array(parse_chords(" ".join(expected["chords"])))
        conditions = torch.from_numpy(tokenizer.chord_steps(chords))[None]
    if name == "groove":  # what the encoder reads is not rounded here
        encoder: Any = model.encoder
        encoder.embedding.forward = lambda _: torch.from_numpy(x).float()
        ids = torch.zeros(len(x), steps.max_steps, steps.num_channels, dtype=torch.long)
        means = model.encode(ids, torch.full((len(x),), steps.max_steps)).mean
    else:
        ids = (x[..., :9] @ BITS)[..., None] if x.shape[-1] == 10 else x
        if name == "multi":  # rows of one 1, and of zeros after the end of a track
            ids = np.where(x.any(-1), x.argmax(-1), END_OF_TRACK + 1)
        ids = torch.from_numpy(ids.reshape(*ids.shape[:2], -1).astype(np.int64))
        if conditions is not None:
            ids = torch.cat([ids, conditions.expand(len(ids), -1, -1)], dim=-1)
        means = model.encode(ids, torch.full((len(ids),), ids.shape[1])).mean
    np.testing.assert_allclose(means, expected["mu"], atol=1e-5)
    z = torch.tensor(expected["z"])
    given = None if conditions is None else conditions.expand(len(z), -1, -1)
    written = model.decode(z, conditions=given).ids[..., : steps.num_channels].numpy()
    theirs = tokens(_converter(folder), y.reshape(len(y), steps.max_steps, -1))
    if name == "groove":
        np.testing.assert_array_equal(written[..., 0], theirs[..., 0])
        assert np.abs(written - theirs).max() <= 1
    else:
        np.testing.assert_array_equal(written, theirs)


def _converter(folder: Path) -> str:
    spec = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    name: str = spec["dataConverter"]["type"]
    return name


REAL = DATA / "musicvae_mel_2bar_small_decoder"


@pytest.mark.skipif(not REAL.is_dir(), reason="no trained decoder in ../shared/data")
@torch.no_grad()
def test_the_trained_decoder_of_magenta_plays() -> None:
    checkpoint = read_checkpoint(REAL)
    model, tokenizer = read_model(REAL, checkpoint)
    z = torch.randn(200, 256, generator=torch.Generator().manual_seed(0))
    z[0], z[1] = 0, torch.sin(torch.arange(256.0))
    written = model.decode(z).ids
    np.testing.assert_array_equal(written, Reading(checkpoint).decode(z.numpy()))
    assert written[0, :9, 0].tolist() == [41, 0, 0, 0, 40, 0, 0, 0, 56]
    drawn = model.decode(
        torch.randn(200, 256, generator=torch.Generator().manual_seed(1)),
        Sampling(temperature=0.5),
        range(200),
    ).ids
    notes = [(row >= 2).sum() for row in drawn]
    assert 7 < np.mean(notes) < 13
    assert tokenizer.kind == "melody"
