"""The page of `seqvae app`: a tab for each verb, and the endpoints through which DAWs use them."""

import os
import threading
from pathlib import Path
from typing import Any

from seqvae.errors import InputError
from seqvae.inference.bundle import model_name
from seqvae.inference.trained import TrainedVAE
from seqvae.serving.desk import Desk
from seqvae.serving.forms import let_leave
from seqvae.serving.naming import about_model
from seqvae.serving.ports import check_port
from seqvae.serving.tabs import AT_ONCE, harp_tab, personal_tab, verb_tab
from seqvae.serving.uploads import MAX_BYTES, private_folder
from seqvae.serving.workshop import Workshop

MISSING = "seqvae app needs Gradio: pip install 'seqvae[app]', in a checkout pip install '.[app]'"
MAX_WAITING = 100
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
.surprise { margin-top: 1rem; }
.surprise h3 { font-weight: 600; overflow-wrap: anywhere; }
.surprise p { line-height: 2.4; }
.surprise ruby { background: color-mix(in srgb, transparent, #e8590c calc(var(--odd) * 0.6)); }
.surprise rt { font-size: 0.6em; opacity: 0.8; }
.surprise mark { background: none; color: inherit; border-bottom: 0.2em solid #c92a2a; }
footer { opacity: 0.7; }
"""


def serve(model: Path, host: str | None, port: int | None, *, browser: bool) -> None:
    """Show the page of a model until the program is interrupted.

    Raises:
        InputError: Gradio is not installed, there is no such model, or the port is taken.
    """
    imported()  # whose absence is told before the model is loaded
    check_port(host or "127.0.0.1", port or 0, "--port")
    vae = TrainedVAE.load(model)
    with private_folder() as folder:
        page = build(Desk(vae), model_name(model), folder)
        try:
            launch(page, host=host, port=port, browser=browser)
        except OSError as error:
            taken = f"port {port} is in use" if port else "no port from 7860 on is free"
            raise InputError(f"{taken}; name another with --port") from error
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
        let_leave(gradio, desk, page)
        gradio.Markdown(f"# {title}\n{about}")
        with gradio.Tabs():
            for verb in desk.controls:
                with gradio.Tab(verb.capitalize()):
                    verb_tab(gradio, desk, verb, folder)
            workshop = Workshop(desk, title, folder)
            if workshop.bases:
                with gradio.Tab("Personal"):
                    personal_tab(gradio, desk, workshop)
            if desk.is_music:
                with gradio.Tab("DAW"):
                    harp_tab(gradio, desk, title, about, folder)
    return page
