"""The page of `seqvae app`: a tab for each verb, and the endpoints through which DAWs use them."""

import html
import inspect
import logging
import os
import threading
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from seqvae.errors import InputError
from seqvae.inference.bundle import model_name
from seqvae.inference.outputs import output_names
from seqvae.inference.trained import Score, TrainedVAE, least_likely_first
from seqvae.pages.player import player_page
from seqvae.serving import harp
from seqvae.serving.controls import VERBS, Control, inputs_of
from seqvae.serving.desk import Cancelled, Desk
from seqvae.serving.naming import about_model
from seqvae.serving.uploads import MAX_BYTES, private_folder

MISSING = "seqvae app needs Gradio: pip install 'seqvae[app]', in a checkout pip install '.[app]'"
AT_ONCE = 2  # requests that are worked on at the same time
MAX_WAITING = 100
MODEL = "model"  # what all verbs share: they wait in one queue
SUFFIXES = [".mid", ".midi"]
PLACEHOLDERS = {"complete": "A man ___ a boat.", "score": "One sentence a line.",
                "blend": "Two to four sentences, one a line."}  # fmt: skip
FRAMES = """<script>
addEventListener("message", ({ data, source }) => {
  if (!data || !Number.isFinite(data.seqvaeHeight)) return;
  for (const frame of document.querySelectorAll("iframe.clips")) {
    if (frame.contentWindow === source) frame.style.height = `${data.seqvaeHeight}px`;
  }
});
</script>"""
STYLES = """
iframe.clips { display: block; width: 100%; height: 12rem; border: 0; color-scheme: light; }
.dark iframe.clips { color-scheme: dark; }
footer { opacity: 0.7; }
"""

logger = logging.getLogger(__name__)


def serve(model: Path, host: str | None, port: int | None, *, browser: bool) -> None:
    """Show the page of a model until the program is interrupted.

    Raises:
        InputError: Gradio is not installed, there is no such model, or the port is taken.
    """
    imported()  # whose absence is told before the model is loaded
    vae = TrainedVAE.load(model)
    with private_folder() as folder:
        page = build(Desk(vae), model_name(model), folder)
        try:
            launch(page, host=host, port=port, browser=browser)
        except OSError as error:
            raise InputError(f"{host}, port {port}: {error}; name another with --port") from error
        print(page.local_url, flush=True)
        try:
            threading.Event().wait()  # until a signal raises
        finally:
            page.close(verbose=False)


def imported() -> Any:
    """Gradio, which asks no server of its own whether there is a newer one.

    Raises:
        InputError: it is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio
    except ImportError:
        raise InputError(MISSING) from None
    return gradio


def launch(page: Any, *, host: str | None, port: int | None, browser: bool) -> None:
    """Open the page to visitors; the call returns at once."""
    gradio = imported()
    page.queue(max_size=MAX_WAITING, default_concurrency_limit=AT_ONCE)
    page.launch(
        server_name=host, server_port=port, inbrowser=browser, prevent_thread_lock=True,
        share=False, quiet=True, show_error=False, ssr_mode=False, enable_monitoring=False,
        run_history=False, max_file_size=MAX_BYTES, allowed_paths=[], footer_links=["api"],
        head=FRAMES, css=STYLES, theme=gradio.themes.Base(
            font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"],
            primary_hue="blue", neutral_hue="stone",
        ),
    )  # fmt: skip


def build(desk: Desk, title: str, folder: Path) -> Any:
    """The page; what it gives out lies in the folder.

    Args:
        desk: Answers the requests.
        title: The name of the model.
        folder: Where files for visitors are made.
    """
    gradio = imported()
    about = about_model(desk.vae.bundle)
    with gradio.Blocks(title=f"{title} - seqvae", analytics_enabled=False) as page:
        gradio.Markdown(f"# {title}\n{about}")
        with gradio.Tabs():
            for verb in desk.controls:
                with gradio.Tab(verb.capitalize()):
                    _verb_tab(gradio, desk, verb, folder)
            if desk.is_music:
                with gradio.Tab("DAW"):
                    _harp_tab(gradio, desk, title, about, folder)
    return page


def visitor_of(request: Any, *, session: bool = True) -> str:
    """By what a visitor is known: the session of the page, or the address of a DAW."""
    if session and request.session_hash:
        return f"session {request.session_hash}"
    forwarded = request.headers.get("x-forwarded-for", "").split(",")[0].strip()
    return f"address {forwarded or getattr(request.client, 'host', '')}"


# Tabs


def _verb_tab(gradio: Any, desk: Desk, verb: str, folder: Path) -> None:
    """The form of a verb, and what comes of it."""
    gradio.Markdown((VERBS[verb].__doc__ or "").splitlines()[0])
    with gradio.Row():
        with gradio.Column(scale=1, min_width=320):
            sources = [_input(gradio, desk, verb, name) for name in inputs_of(verb)]
            controls = desk.controls[verb]
            fields = [_component(gradio, control) for control in controls if control.is_main]
            if len(fields) < len(controls):
                with gradio.Accordion("More settings", open=False):
                    fields += [_component(gradio, each) for each in controls[len(fields) :]]
            with gradio.Row():
                go = gradio.Button(verb.capitalize(), variant="primary")
                stop = gradio.Button("Cancel")
        with gradio.Column(scale=2, min_width=320):
            outputs = _outputs(gradio, desk, verb)
    names = [control.name for control in controls]

    def run(request: Any, progress: Any, *given: Any) -> Any:
        inputs = _sources(desk, given[: len(sources)])
        values = dict(zip(names, given[len(sources) :], strict=True))
        results = _answered(
            gradio, lambda watcher: desk.call(
                verb, inputs, values, visitor=visitor_of(request), watcher=watcher,
                tell=gradio.Warning,
            ), progress,
        )  # fmt: skip
        return _shown(desk, verb, inputs, results, folder)

    _named(gradio, run, [*inputs_of(verb), *names])
    event = go.click(
        run, inputs=[*sources, *fields], outputs=outputs, api_name=verb,
        concurrency_id=MODEL, concurrency_limit=AT_ONCE,
    )  # fmt: skip

    def cancel(request: gradio.Request) -> None:
        desk.cancel(visitor_of(request))

    stop.click(
        cancel, inputs=[], outputs=[], cancels=[event], queue=False, api_name=f"stop_{verb}",
        api_visibility="private",
    )  # fmt: skip


def _harp_tab(gradio: Any, desk: Desk, title: str, about: str, folder: Path) -> None:
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
    fields = [_component(gradio, control, visible=False) for control in settings]
    result = gradio.File(label="Result", visible=False)
    told = gradio.JSON(visible=False)
    buttons = [gradio.Button(name, visible=False) for name in ("controls", "process", "cancel")]

    def controls() -> Any:
        return harp.description(desk, title, about)

    def process(request: Any, progress: Any, *given: Any) -> str:
        visitor = visitor_of(request, session=False)
        clip = _answered(
            gradio,
            lambda watcher: harp.process(desk, given, visitor=visitor, watcher=watcher),
            progress,
        )
        inputs = [path for path in given[: len(sources)] if path]
        return str(_written([clip], "result", inputs, folder)[0])

    def cancel(request: gradio.Request) -> None:
        desk.cancel(visitor_of(request, session=False))

    buttons[0].click(controls, inputs=[], outputs=told, api_name="controls", queue=False)
    tracks = [label.lower().replace(" ", "_") for label in harp.TRACKS]
    _named(gradio, process, [*tracks, *(control.name for control in settings)])
    event = buttons[1].click(
        process, inputs=[*sources, *fields], outputs=result, api_name="process",
        concurrency_id=MODEL, concurrency_limit=AT_ONCE,
    )  # fmt: skip
    buttons[2].click(cancel, inputs=[], outputs=[], api_name="cancel", cancels=[event], queue=False)


def _named(gradio: Any, function: Any, names: Sequence[str]) -> None:
    """Give an endpoint the names of what it takes, which clients see, and of what Gradio adds."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    added = [
        inspect.Parameter("request", kind, annotation=gradio.Request),
        inspect.Parameter("progress", kind, default=gradio.Progress()),
    ]
    own = [inspect.Parameter(name, kind, default=None) for name in names]
    function.__signature__ = inspect.Signature([*added, *own])
    function.__annotations__ = {"request": gradio.Request}


def _input(gradio: Any, desk: Desk, verb: str, name: str) -> Any:
    """Where a clip or a sentence goes in."""
    many = name == "inputs"
    what = "Clip" if desk.is_music else "Sentence"
    label = f"{what}s" if many else what if name == "source" else name.capitalize()
    if desk.is_music:
        count = "multiple" if many else "single"
        return gradio.File(
            label=label, file_types=SUFFIXES, type="filepath", file_count=count, height=120
        )
    return gradio.Textbox(label=label, lines=4 if many else 2, placeholder=PLACEHOLDERS.get(verb))


def _component(gradio: Any, control: Control, *, visible: bool = True) -> Any:
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


def _outputs(gradio: Any, desk: Desk, verb: str) -> list[Any]:
    if verb == "score":
        event = "note" if desk.is_music else "token"
        return [
            gradio.Dataframe(
                headers=["input", f"nats per {event}", "nats per step"], interactive=False,
                label="The least likely first",
            )
        ]  # fmt: skip
    if not desk.is_music:
        return [gradio.Textbox(label="Sentences", lines=8, interactive=False, buttons=["copy"])]
    clips = gradio.HTML(label="Clips")
    with gradio.Accordion("MIDI files", open=False):
        files = gradio.File(file_count="multiple", interactive=False, show_label=False)
    return [clips, files]


# Requests


def _sources(desk: Desk, given: Sequence[Any]) -> list[Any]:
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


def _answered(gradio: Any, work: Callable[[Callable[[int, int], None]], Any], progress: Any) -> Any:
    """What a request gives; a mistake of the visitor is shown as one line."""

    def watcher(step: int, num_steps: int) -> None:
        progress((step, num_steps), desc="decoding", unit="steps")

    try:
        return work(watcher)
    except InputError as error:
        raise gradio.Error(str(error), print_exception=False, title="Not possible") from None
    except Cancelled:
        raise gradio.Error("cancelled", print_exception=False, title="Cancelled") from None


def _shown(desk: Desk, verb: str, inputs: Sequence[Any], results: list[Any], folder: Path) -> Any:
    """Results as the outputs of a tab take them."""
    if verb == "score":
        return _ranked(results, inputs, desk.is_music)
    if not desk.is_music:
        return "\n".join(" ".join(result.splitlines()) for result in results)
    files = _written(results, verb, inputs, folder)
    assert desk.vae.tokenizer.modality == "music"
    names = [f"{verb} {number}" for number in range(1, len(files) + 1)]
    page = html.escape(player_page(desk.vae.tokenizer, files, names))
    frame = (
        '<iframe class="clips" title="Clips" sandbox="allow-scripts allow-downloads" '
        f'srcdoc="{page}"></iframe>'
    )
    return frame, [str(file) for file in files]


def _ranked(scores: Sequence[Score], inputs: Sequence[Any], is_music: bool) -> list[list[Any]]:
    """A row for each input, the least likely first."""
    names = [Path(each).name if is_music else str(each) for each in inputs]
    return [
        [name, round(nats.per_event, 4), round(nats.per_step, 4)]
        for nats, name in least_likely_first(scores, names)
    ]


def _written(clips: list[Any], verb: str, inputs: Sequence[Any], folder: Path) -> list[Path]:
    """The files of clips, in a folder of their own."""
    from seqvae.music.midi import write_clips

    place = folder / f"out_{uuid.uuid4().hex}"
    place.mkdir()
    return write_clips(clips, place, output_names(verb, inputs, len(clips)))
