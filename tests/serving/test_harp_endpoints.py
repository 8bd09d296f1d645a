"""What HARP is told, and what it gets, without a server between them."""

from pathlib import Path
from typing import Any

import pytest
from trained import DATA, Trained

import seqvae
from seqvae.errors import InputError
from seqvae.music.midi import read_midi
from seqvae.serving import harp
from seqvae.serving.desk import Desk

FIELDS = {  # of each type, beside type, label and info
    "midi_track": {"required"},
    "slider": {"minimum", "maximum", "step", "value"},
    "number_box": {"minimum", "maximum", "step", "value"},
    "text_box": {"value"},
    "toggle": {"value"},
    "dropdown": {"choices", "value", "multiselect"},
}


@pytest.fixture(scope="module")
def desk(melodies: Trained) -> Desk:
    return Desk(melodies.vae)


def sent(desk: Desk, *tracks: Any, **values: Any) -> list[Any]:
    """What HARP sends: all tracks, and all controls in order."""
    told = harp.description(desk, "tiny", "about")
    filled = [*tracks, None, None, None][:3]
    names = [control.name for control in harp.controls(desk)]
    return filled + [
        values.get(name, described["value"])
        for name, described in zip(names, told["inputs"][3:], strict=True)
    ]


def test_controls_have_every_field(desk: Desk) -> None:
    told = harp.description(desk, "tiny", "A model of melodies.")
    assert told["card"] == {
        "name": "tiny", "description": "A model of melodies.", "author": "seqvae",
        "tags": ["midi", "vae", "melody"],
    }  # fmt: skip
    for each in told["inputs"] + told["outputs"]:
        assert each.keys() == {"type", "label", "info"} | FIELDS[each["type"]]
        assert all(value is not None for value in each.values())
        if each["type"] == "dropdown":  # as pairs; HARP reads the first of each
            assert all(label == value for label, value in each["choices"])
            assert each["value"] in dict(each["choices"])
    assert [each["type"] for each in told["inputs"][:4]] == ["midi_track"] * 3 + ["dropdown"]
    assert not any(each["required"] for each in told["inputs"][:3])  # sample takes none
    assert [each["type"] for each in told["outputs"]] == ["midi_track"]
    assert told["inputs"][1]["info"] == "For interpolate, blend, analogy."
    assert "score" not in dict(told["inputs"][3]["choices"])


def test_every_verb_returns_the_clip_of_python(desk: Desk, melodies: Trained) -> None:
    one, two, three = sorted(melodies.source.glob("*.mid"))[:3]
    vae, asked = melodies.vae, {"seed": "3", "bar": "1"}
    expected = {
        "sample": vae.sample(1, seed=3, temperature=0.0)[0],
        "vary": vae.vary(one, n=1, seed=3, bar=1)[0],
        "complete": vae.complete(one, n=1, seed=3, temperature=0.0)[0],
        "reconstruct": vae.reconstruct(one, bar=1)[0],
        "interpolate": vae.interpolate(one, two, bar=1)[4],
        "blend": vae.blend([one, two, three], num_steps=9, bar=1)[4],
        "analogy": vae.analogy(one, two, three, bar=1)[0],
    }
    assert {*expected} == {*harp.verbs(desk)}
    for verb, clip in expected.items():
        step = 5.0 if verb in ("interpolate", "blend") else 1
        given = sent(desk, one, two, three, verb=verb, step=step, **asked)
        got = harp.process(desk, given, visitor="daw")
        assert read_midi(got, 4).notes.tolist() == read_midi(clip, 4).notes.tolist(), verb


def test_a_groove_model_moves_and_humanises_as_python_does() -> None:
    vae = seqvae.load("groove_2bar", "cpu")
    desk, clip = Desk(vae), sorted((DATA / "examples/groove_2bar").glob("*.mid"))[0]
    expected = {
        "shift": vae.shift(clip, attribute="note_density", amount=1.0, bar=1)[0],
        "humanise": vae.humanise(clip, velocity=0.5, seed=3, temperature=0.0)[0],
    }
    assert {*harp.verbs(desk)} >= {*expected}
    asked = {"attribute": "note_density", "amount": 1.0, "velocity": 0.5, "seed": "3", "bar": "1"}
    for verb, ours in expected.items():
        got = harp.process(desk, sent(desk, clip, verb=verb, **asked), visitor="daw")
        assert read_midi(got, 4).notes.tolist() == read_midi(ours, 4).notes.tolist(), verb


def test_the_step_is_counted_from_one(
    desk: Desk, melodies: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = sorted(melodies.source.glob("*.mid"))[:2]
    monkeypatch.setattr(desk, "call", lambda *given, **settings: ["first", "second", "third"])
    for step, expected in ((1, "first"), (3, "third")):
        given = sent(desk, one, two, verb="interpolate", step=step)
        assert harp.process(desk, given, visitor="daw") == expected


def test_mistakes_are_told(desk: Desk, melodies: Trained, tmp_path: Path) -> None:
    one = next(melodies.source.glob("*.mid"))
    for given, message in (
        (sent(desk, verb="vary"), "vary takes 1 clip; there are 0"),
        (sent(desk, one, verb="vary", step=2), "step is 2; vary gave 1"),
        (sent(desk, one, verb="score"), "no verb 'score'; there are sample"),
        (sent(desk, one, verb="vary", seed="x"), "seed is 'x'; it must be a whole number"),
    ):
        with pytest.raises(InputError, match=message):
            harp.process(desk, given, visitor="daw")
