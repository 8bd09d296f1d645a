"""The endpoints of HARP 3, through which REAPER, Logic and Live have a model change their MIDI.

HARP asks `controls` what there is to set, in the order in which `process` takes it. It sends no
name of a session, and leaves a track that is not given empty.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seqvae.errors import InputError
from seqvae.pages.page import Data
from seqvae.serving.controls import Control, inputs_of
from seqvae.serving.desk import Desk

AUTHOR = "seqvae"
VERB, STEP = "verb", "step"
TRACKS = ("Clip", "Second clip", "Third clip")
OFTEN = "vary"  # what a DAW is used for first
ONE_OUTPUT = {"n": 1}  # a track comes back, so no more are made


def description(desk: Desk, title: str, about: str) -> Data:
    """What `controls` returns: the card of the model, its inputs and its outputs."""
    return {
        "card": {
            "name": title,
            "description": about,
            "author": AUTHOR,
            "tags": ["midi", "vae", str(desk.vae.tokenizer.kind)],
        },
        "inputs": [_track(name, needed) for name, needed in zip(TRACKS, _needs(desk), strict=True)]
        + [_described(control) for control in controls(desk)],
        "outputs": [_track("Result", "A MIDI track.", required=True)],
    }


def verbs(desk: Desk) -> list[str]:
    """The verbs that return clips."""
    return [verb for verb in desk.controls if verb != "score"]


def controls(desk: Desk) -> list[Control]:
    """The settings of all verbs together, each once, in the order of `process`."""
    names = verbs(desk)
    first = OFTEN if OFTEN in names else names[0]
    step_info = "Of several outputs, as of interpolate, the one that comes back, counted from 1."
    merged = {
        VERB: Control(VERB, "Verb", "What is done.", str, first, choices=tuple(names)),
        STEP: Control(STEP, "Step", step_info, int, 1, (1, 81, 1)),
    }
    for verb in sorted(names, key=lambda verb: verb != first):  # whose defaults hold for all
        for control in desk.controls[verb]:
            if control.name not in ONE_OUTPUT:
                merged.setdefault(control.name, control)
    return [*merged.values()]


def process(
    desk: Desk,
    given: Sequence[Any],
    *,
    visitor: str,
    watcher: Callable[[int, int], None] | None = None,
) -> Any:
    """One clip, of what HARP sends: a path or None for each track, and a value for each control.

    Raises:
        InputError: something is wrong with the request.
    """
    tracks, values = given[: len(TRACKS)], given[len(TRACKS) :]
    sent = dict(zip((control.name for control in controls(desk)), values, strict=True))
    verb = sent[VERB]
    if verb not in verbs(desk):
        raise InputError(f"no verb {verb!r}; there are {', '.join(verbs(desk))}")
    results = desk.call(
        verb, _tracks_for(verb, tracks), _settings(desk, verb, sent), visitor=visitor,
        watcher=watcher,
    )  # fmt: skip
    step = next(control for control in controls(desk) if control.name == STEP).taken(sent[STEP])
    if step > len(results):
        raise InputError(f"step is {step}; {verb} gave {len(results)}")
    return results[step - 1]


def _settings(desk: Desk, verb: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a verb's own controls."""
    own = {control.name for control in desk.controls[verb]}
    return {name: value for name, value in sent.items() if name in own} | {
        name: value for name, value in ONE_OUTPUT.items() if name in own
    }


def _tracks_for(verb: str, tracks: Sequence[Any]) -> list[Any]:
    """As many of the tracks as the verb takes; what else lies in the project is not asked for."""
    names = inputs_of(verb)
    given = [track for track in tracks if track]
    if not names:
        return []
    if names != ["inputs"]:
        return given[: len(names)]
    return given if verb == "blend" else given[:1]


def _needs(desk: Desk) -> list[str]:
    """For each track, the verbs that take it."""
    takes = [
        [verb for verb in verbs(desk) if number < (3 if verb == "blend" else len(inputs_of(verb)))]
        for number in range(len(TRACKS))
    ]
    return [f"For {', '.join(names)}." if names else "Not used." for names in takes]


def _track(label: str, info: str, *, required: bool = False) -> Data:
    return {"type": "midi_track", "label": label, "info": info, "required": required}


def _described(control: Control) -> Data:
    """A control as HARP shows it; a number that may be missing is a text box."""
    about = {"label": control.label, "info": control.info}
    if control.choices:  # pairs of a label and a value, as Gradio has them
        pairs = [[choice, choice] for choice in control.choices]
        return about | {
            "type": "dropdown", "choices": pairs, "value": control.value, "multiselect": False,
        }  # fmt: skip
    if control.kind is bool:
        return about | {"type": "toggle", "value": control.value}
    if control.is_typed:
        return about | {"type": "text_box", "value": control.as_text}
    assert control.range is not None
    low, high, step = control.range
    kind = "number_box" if control.kind is int else "slider"
    return about | {
        "type": kind, "minimum": low, "maximum": high, "step": step, "value": control.value,
    }  # fmt: skip
