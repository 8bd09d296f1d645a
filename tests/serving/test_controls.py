"""What visitors may set: the fields of the options, and nothing that reaches the server's disk."""

from dataclasses import fields

import pytest
from trained import Trained

from seqvae.errors import InputError
from seqvae.inference import options
from seqvae.serving.controls import VERBS, Control, controls_of, inputs_of, verbs_of

ANY_INPUT = {"source": "x", "start": "x", "end": "x", "a": "x", "b": "x", "c": "x"}


def made(verb: str, **values: object) -> object:
    """The options of a verb, with inputs where it wants them."""
    inputs = {name: ANY_INPUT.get(name, ["x", "y"]) for name in inputs_of(verb)}
    needed = {"attribute": "length"} if verb == "shift" else {}
    one = {"n": 1} if verb == "complete" else {}  # no more than there are candidates
    return VERBS[verb](**inputs | needed | one | values)


@pytest.mark.parametrize("verb", VERBS)
def test_defaults_ranges_and_help_are_those_of_the_options(verb: str, melodies: Trained) -> None:
    docs = options.field_docs(VERBS[verb])
    defaults = {field.name: field.default for field in fields(VERBS[verb])}
    for control in controls_of(verb, melodies.vae) if verb != "shift" else ():
        assert control.value == defaults[control.name]
        assert control.info == docs[control.name].replace("--", "")
        for end in (control.range or ())[:2]:
            made(verb, **{control.name: control.taken(end)})
        for choice in control.choices:
            made(verb, **{control.name: choice})
        if control.kind in (int, float):
            assert control.range is not None


def test_nothing_that_lies_beside_a_file_can_be_named(melodies: Trained) -> None:
    for verb in verbs_of(melodies.vae):
        names = {control.name for control in controls_of(verb, melodies.vae)}
        assert not names & {"chord_file", "beats", "beats_metre"}
        assert not names & {*inputs_of(verb)}


def test_a_model_shows_what_it_can_do(melodies: Trained, sentences: Trained) -> None:
    assert verbs_of(melodies.vae) == [
        "sample", "complete", "vary", "interpolate", "blend", "analogy", "reconstruct", "score",
    ]  # fmt: skip
    of_music = {control.name for control in controls_of("complete", melodies.vae)}
    of_text = {control.name for control in controls_of("complete", sentences.vae)}
    assert of_music - of_text >= {"keep", "fill", "bars", "key", "scale"}
    assert of_text < of_music
    assert "chords" not in of_music  # which this model does not read


def test_a_verbs_own_settings_come_first(melodies: Trained) -> None:
    names = [control.name for control in controls_of("vary", melodies.vae)]
    assert names[:4] == ["n", "distance", "temperature", "seed"]
    shown = [control.is_main for control in controls_of("sample", melodies.vae)]
    assert shown == sorted(shown, reverse=True)


@pytest.mark.parametrize(
    ("value", "expected"), [(3.0, 3), ("3", 3), ("", None), (" ", None), (None, None)]
)
def test_numbers_come_as_forms_send_them(value: object, expected: object) -> None:
    seed = Control("seed", "Seed", "", int, None, (0, 10, 1))
    assert seed.taken(value) == expected
    assert type(seed.taken(value)) is type(expected)


@pytest.mark.parametrize("value", ["x", 2.5, float("nan"), float("inf"), 11, -1, [3], 10**400])
def test_other_numbers_are_refused(value: object) -> None:
    seed = Control("seed", "Seed", "", int, None, (0, 10, 1))
    with pytest.raises(InputError, match="seed is"):
        seed.taken(value)
