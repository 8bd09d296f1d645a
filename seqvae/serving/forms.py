"""Parts of forms: inputs, settings and outputs as components, and what a request goes through.

Gradio comes as an argument: it is imported in one place.
"""

import inspect
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from seqvae.errors import InputError
from seqvae.model.watching import Watcher
from seqvae.serving.controls import Control
from seqvae.serving.desk import Desk
from seqvae.serving.waiting import Cancelled

SUFFIXES = [".mid", ".midi"]
PLACEHOLDERS = {"complete": "A man ___ a boat.", "score": "One sentence a line.",
                "blend": "Two to four sentences, one a line.",
                "personal": "One sentence a line."}  # fmt: skip


def visitor_of(request: Any, *, session: bool = True) -> str:
    """By what a visitor is known: the session of the page, or the address of a DAW."""
    if session and request.session_hash:
        return f"session {request.session_hash}"
    forwarded = request.headers.get("x-forwarded-for", "").split(",")[0].strip()
    return f"address {forwarded or getattr(request.client, 'host', '')}"


def named(gradio: Any, function: Any, names: Sequence[str]) -> None:
    """Give an endpoint the names of what it takes, which clients see, and of what Gradio adds."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    added = [
        inspect.Parameter("request", kind, annotation=gradio.Request),
        inspect.Parameter("progress", kind, default=gradio.Progress()),
    ]
    own = [inspect.Parameter(name, kind, default=None) for name in names]
    function.__signature__ = inspect.Signature([*added, *own])
    function.__annotations__ = {"request": gradio.Request}


def input_of(gradio: Any, desk: Desk, verb: str, name: str) -> Any:
    """Where a clip or a sentence goes in."""
    many = name == "inputs"
    what = desk.what.capitalize()
    label = f"{what}s" if many else what if name == "source" else name.capitalize()
    if desk.is_music:
        count = "multiple" if many else "single"
        return gradio.File(
            label=label, file_types=SUFFIXES, type="filepath", file_count=count, height=120
        )
    return gradio.Textbox(label=label, lines=4 if many else 2, placeholder=PLACEHOLDERS.get(verb))


def component(gradio: Any, control: Control, *, visible: bool = True) -> Any:
    """How a setting is set."""
    about = control.info if control.info.rstrip(".") != control.label else None
    common = {"label": control.label, "info": about, "visible": visible}
    if control.choices:
        return gradio.Dropdown(choices=[*control.choices], value=control.value, **common)
    if control.kind is bool:
        return gradio.Checkbox(value=control.value, **common)
    if control.is_typed:
        return gradio.Textbox(value=control.as_text, max_lines=1, **common)
    assert control.range is not None
    low, high, step = control.range
    return gradio.Slider(minimum=low, maximum=high, step=step, value=control.value, **common)


def outputs_of(gradio: Any, desk: Desk, verb: str) -> list[Any]:
    """Where the results of a verb are shown."""
    if verb == "score":
        event = "note" if desk.is_music else "token"
        return [
            gradio.Dataframe(
                headers=["input", f"nats per {event}", "nats per step"], interactive=False,
                label="The least likely first",
            ),
            gradio.HTML(label="Where"),
        ]  # fmt: skip
    if not desk.is_music:
        return [gradio.Textbox(label="Sentences", lines=8, interactive=False, buttons=["copy"])]
    clips = gradio.HTML(label="Clips")
    with gradio.Accordion("MIDI files", open=False):
        files = gradio.File(file_count="multiple", interactive=False, show_label=False)
    return [clips, files]


def sources_in(desk: Desk, given: Sequence[Any]) -> list[Any]:
    """Uploads or sentences, one after another; a box of several has one a line."""
    inputs: list[Any] = []
    for each in given:
        if isinstance(each, str) and not desk.is_music:
            inputs += each.splitlines()
        elif isinstance(each, list):
            inputs += each
        elif each is not None:
            inputs.append(each)
    return [each for each in inputs if str(each).strip()]


def answered(gradio: Any, work: Callable[[Watcher], Any], watcher: Watcher) -> Any:
    """What a request gives; a mistake of the visitor is shown as one line."""
    try:
        return work(watcher)
    except InputError as error:
        raise gradio.Error(str(error), print_exception=False, title="Not possible") from None
    except Cancelled:
        raise gradio.Error("cancelled", print_exception=False, title="Cancelled") from None


def steps_told(progress: Any) -> Watcher:
    """Shows the steps of a decoding."""
    return lambda step, num_steps: progress((step, num_steps), desc="decoding", unit="steps")


def time_told(progress: Any) -> Watcher:
    """Shows how long it will take, as far as that is known from what is done."""
    begin = time.monotonic()

    def tell(done: int, total: int) -> None:
        left = (time.monotonic() - begin) / max(done, 1) * (total - done)
        told = f"about {5 * math.ceil(left / 5)} s left" if done else "begins"
        progress((done, total), desc=told, unit="models")

    return tell


def let_cancel(gradio: Any, desk: Desk, button: Any, event: Any, name: str) -> None:
    """Let a button end what its visitor waits for."""

    def cancel(request: gradio.Request) -> None:
        desk.cancel(visitor_of(request))

    button.click(
        cancel, inputs=[], outputs=[], cancels=[event], queue=False, api_name=f"stop_{name}",
        api_visibility="private",
    )  # fmt: skip


def let_leave(gradio: Any, desk: Desk, page: Any) -> None:
    """End what a visitor waits for who closes the page."""

    def leave(request: gradio.Request) -> None:
        desk.cancel(visitor_of(request))

    page.unload(leave)
