"""Pages that several test files look at, each written once a session."""

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import randomised, tiny_vae
from trained import Trained, band, train_tiny

import seqvae
from seqvae.inference import trained as generation
from seqvae.inference.attributes import Movement
from seqvae.inference.codec import Codec
from seqvae.inference.mixture import Mixture
from seqvae.inference.trained import TrainedVAE
from seqvae.model.config import Steps
from seqvae.model.vae import SequenceVAE
from seqvae.music.midi import to_pretty_midi
from seqvae.pages import play
from seqvae.pages.page import fill
from seqvae.pages.play import TEMPLATES, gather
from seqvae.pages.report import write_report
from seqvae.tokenizers.melody import MelodyTokenizer

EVIL = "</script><script>document.title = 'evil'</script><img src=x onerror=\"alert(1)\"><!--"
DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
RECORD_SOURCES = """
    window.started = [];
    const { start } = AudioScheduledSourceNode.prototype;
    for (const kind of [OscillatorNode, AudioBufferSourceNode]) {
      kind.prototype.start = function (time) {
        window.started.push({ kind: kind.name, time, frequency: this.frequency?.value });
        return start.call(this, time);
      };
    }
"""


@dataclass(frozen=True)
class Page:
    """A written page and the data in it."""

    file: Path

    @property
    def data(self) -> dict[str, Any]:
        (text,) = DATA.findall(self.file.read_text())
        data: dict[str, Any] = json.loads(text)
        return data


def write(trained: Trained, folder: Path) -> Page:
    file = folder / "report.html"
    write_report(trained.run, trained.corpus, file)
    return Page(file)


@pytest.fixture(scope="session", autouse=True)
def _few_samples() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "MAX_MUSIC_WINDOWS", 40)
        yield


@pytest.fixture(scope="session")
def melody_page(melodies: Trained, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return write(melodies, tmp_path_factory.mktemp("melodies"))


@pytest.fixture(scope="session")
def drums_page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("drums")
    (folder / "midi").mkdir()
    for seed in range(6):
        to_pretty_midi(band(seed)).write(str(folder / f"midi/{seed}.mid"))
    trained = train_tiny(folder, folder / "midi", {"kind": "groove", "num_bars": 1})
    return write(trained, folder)


@pytest.fixture(scope="session")
def evil_page(sentences: Trained, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Sentences that would end their script, and a matrix of attributes."""
    movement = Movement(
        1.0, ("length", "mine"), ("length",), torch.tensor([[0.9], [-0.2]]),
        torch.tensor([0.75, float("nan")]), torch.tensor([0.8, float("nan")]),
    )  # fmt: skip
    content = Codec.content
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Movement, "load", lambda folder: movement)
        patch.setattr(Codec, "content", lambda *given: content(*given) + EVIL)
        return write(sentences, tmp_path_factory.mktemp("sentences"))


@torch.no_grad()
def as_shipped(model: SequenceVAE) -> SequenceVAE:
    """The model with weights that float16 holds, which a page does not change."""
    for weight in model.state_dict().values():
        weight.copy_(weight.half())
    return model


@dataclass(frozen=True)
class Instrument(Page):
    """A page of `play`, and its model."""

    vae: TrainedVAE


@pytest.fixture(scope="session")
def melody_instrument(melodies: Trained, tmp_path_factory: pytest.TempPathFactory) -> Instrument:
    """A model whose every code plays something else."""
    vae = seqvae.load(melodies.run)
    as_shipped(randomised(vae.model, std=0.7))
    file = tmp_path_factory.mktemp("instrument") / "play.html"
    file.write_text(fill(TEMPLATES["music"], gather(vae, "tiny")))
    return Instrument(file, vae)


@pytest.fixture(scope="session")
def waltz_instrument(tmp_path_factory: pytest.TempPathFactory) -> Instrument:
    """A model that plays over chords, in two metres."""
    tokenizer = MelodyTokenizer(num_bars=2, metres=("4/4", "3/4"), chords=True)
    steps = {field.name: getattr(tokenizer.steps, field.name) for field in fields(Steps)}
    model = as_shipped(tiny_vae(std=0.7, latent_dim=4, **steps))
    return page_of(model, tokenizer, tmp_path_factory.mktemp("waltz"))


def page_of(model: SequenceVAE, tokenizer: Any, folder: Path) -> Instrument:
    """The page of a model that was never trained, with few points."""
    vae = TrainedVAE(Codec(model, tokenizer), prior=Mixture.standard(model.config.latent_dim))
    file = folder / "play.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(play, "NUM_POINTS", 9)
        file.write_text(fill(TEMPLATES["music"], gather(vae, "untrained")))
    return Instrument(file, vae)


# A browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield opened
        opened.close()


@contextlib.contextmanager
def watched(browser: Any) -> Iterator[Any]:
    """Opens pages; at the end nothing must have gone wrong in them, or come from elsewhere."""
    contexts, wrong = [], []

    def log(request: Any) -> None:
        if not request.url.startswith(("file:", "blob:")):
            wrong.append(request.url)

    def show(page: Page, **settings: Any) -> Any:
        context = browser.new_context(**settings)
        contexts.append(context)
        context.add_init_script(RECORD_SOURCES)
        tab = context.new_page()
        tab.on("console", lambda message: wrong.append(message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("request", log)
        tab.goto(page.file.as_uri())
        return tab

    yield show
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def show(browser: Any) -> Iterator[Any]:
    """Opens pages for one test."""
    with watched(browser) as opened:
        yield opened


def until(tab: Any, expression: str) -> None:
    """Wait until it is true; Playwright's own way needs eval, which the page forbids."""
    for _ in range(400):
        if tab.evaluate(expression):
            return
        tab.wait_for_timeout(20)
    pytest.fail(f"never came true: {expression}")
