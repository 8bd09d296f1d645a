"""The tabs of the page: one for each verb, for a model of one's own, and for DAWs.

Requests that use the page's model wait in one queue. A model of one's own is made beside them, one
at a time.
"""

from pathlib import Path
from typing import Any

from seqvae.inference.outputs import output_names
from seqvae.serving import harp
from seqvae.serving.answers import answer, new_folder, written
from seqvae.serving.controls import VERBS, inputs_of
from seqvae.serving.desk import Desk
from seqvae.serving.forms import (
    SUFFIXES,
    answered,
    component,
    input_of,
    let_cancel,
    named,
    outputs_of,
    sources_in,
    steps_told,
    time_told,
    visitor_of,
)
from seqvae.serving.workshop import Workshop

AT_ONCE = 2  # requests that are worked on at the same time
MODEL = "model"  # what all verbs share: they wait in one queue


def verb_tab(gradio: Any, desk: Desk, verb: str, folder: Path) -> None:
    """The form of a verb, and what comes of it."""
    gradio.Markdown((VERBS[verb].__doc__ or "").splitlines()[0])
    with gradio.Row():
        with gradio.Column(scale=1, min_width=320):
            sources = [input_of(gradio, desk, verb, name) for name in inputs_of(verb)]
            controls = desk.controls[verb]
            fields = [component(gradio, control) for control in controls if control.is_main]
            if len(fields) < len(controls):
                with gradio.Accordion("More settings", open=False):
                    fields += [component(gradio, each) for each in controls[len(fields) :]]
            with gradio.Row():
                go = gradio.Button(verb.capitalize(), variant="primary")
                stop = gradio.Button("Cancel")
        with gradio.Column(scale=2, min_width=320):
            outputs = outputs_of(gradio, desk, verb)
    names = [control.name for control in controls]

    def run(request: Any, progress: Any, *given: Any) -> Any:
        inputs = sources_in(desk, given[: len(sources)])
        values = dict(zip(names, given[len(sources) :], strict=True))
        results = answered(
            gradio, lambda watcher: desk.call(
                verb, inputs, values, visitor=visitor_of(request), watcher=watcher,
                tell=gradio.Warning,
            ), steps_told(progress),
        )  # fmt: skip
        return answer(desk, verb, inputs, results, folder)

    named(gradio, run, [*inputs_of(verb), *names])
    event = go.click(
        run, inputs=[*sources, *fields], outputs=outputs, api_name=verb,
        concurrency_id=MODEL, concurrency_limit=AT_ONCE,
    )  # fmt: skip
    let_cancel(gradio, desk, stop, event, verb)


def personal_tab(gradio: Any, desk: Desk, workshop: Workshop) -> None:
    """A model of the visitor's own: clips go in, a bundle comes out."""
    gradio.Markdown(
        f"Make a model of your own: a trained model moves towards your {desk.what}s, as far as "
        f"those that are held out gain by it. Give three to {workshop.most.clips}, better a dozen "
        "or more. What you send is deleted after an hour."
    )
    with gradio.Row():
        with gradio.Column(scale=1, min_width=320):
            source = input_of(gradio, desk, "personal", "inputs")
            names = [*workshop.bases]
            base = gradio.Dropdown(
                choices=names, value=names[0], label="Base", visible=len(names) > 1,
                info="The model to begin from: one of the same kind of music.",
            )  # fmt: skip
            with gradio.Row():
                go = gradio.Button("Make my model", variant="primary")
                stop = gradio.Button("Cancel")
        with gradio.Column(scale=2, min_width=320):
            told = gradio.Markdown()
            archive = gradio.File(label="Your model", interactive=False, height=120)
            outputs = outputs_of(gradio, desk, "personal")

    def run(request: Any, progress: Any, given: Any, base: str | None) -> Any:
        made = answered(
            gradio, lambda watcher: workshop.make(
                base or names[0], sources_in(desk, [given]), visitor=visitor_of(request),
                watcher=watcher,
            ), time_told(progress),
        )  # fmt: skip
        for warning in made.warnings:
            gradio.Warning(warning)
        samples = [made.samples, [str(file) for file in made.files]]
        return made.told, str(made.archive), *samples[: len(outputs)]

    named(gradio, run, ["inputs", "base"])
    event = go.click(
        run, inputs=[source, base], outputs=[told, archive, *outputs], api_name="personal",
        concurrency_id="personal", concurrency_limit=1,
    )  # fmt: skip
    let_cancel(gradio, desk, stop, event, "personal")


def harp_tab(gradio: Any, desk: Desk, title: str, about: str, folder: Path) -> None:
    """Words for musicians, and behind them the endpoints of HARP."""
    gradio.Markdown(
        "In [HARP](https://harp-plugin.netlify.app), which opens beside REAPER, Logic, Ableton "
        "Live and others, give the address of this page as the model. The track goes in, a verb "
        "is chosen, and a MIDI track comes back."
    )
    sources = [
        gradio.File(label=label, file_types=SUFFIXES, type="filepath", visible=False)
        for label in harp.TRACKS
    ]
    settings = harp.controls(desk)
    fields = [component(gradio, control, visible=False) for control in settings]
    result = gradio.File(label="Result", visible=False)
    told = gradio.JSON(visible=False)
    buttons = [gradio.Button(name, visible=False) for name in ("controls", "process", "cancel")]

    def controls() -> Any:
        return harp.description(desk, title, about)

    def process(request: Any, progress: Any, *given: Any) -> str:
        visitor = visitor_of(request, session=False)
        clip = answered(
            gradio,
            lambda watcher: harp.process(desk, given, visitor=visitor, watcher=watcher),
            steps_told(progress),
        )
        inputs = [path for path in given[: len(sources)] if path]
        return str(written([clip], new_folder(folder), output_names("result", inputs, 1))[0])

    def cancel(request: gradio.Request) -> None:
        desk.cancel(visitor_of(request, session=False))

    buttons[0].click(controls, inputs=[], outputs=told, api_name="controls", queue=False)
    tracks = [label.lower().replace(" ", "_") for label in harp.TRACKS]
    named(gradio, process, [*tracks, *(control.name for control in settings)])
    event = buttons[1].click(
        process, inputs=[*sources, *fields], outputs=result, api_name="process",
        concurrency_id=MODEL, concurrency_limit=AT_ONCE,
    )  # fmt: skip
    buttons[2].click(cancel, inputs=[], outputs=[], api_name="cancel", cancels=[event], queue=False)
