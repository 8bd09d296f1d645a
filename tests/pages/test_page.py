"""The page of a run: its data, and what a person meets who opens it in a browser."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny_vae
from trained import Trained, band, train_tiny

from seqvae.errors import InputError
from seqvae.inference import trained as generation
from seqvae.inference.attributes import Movement
from seqvae.inference.metrics import Evaluation
from seqvae.inference.trained import TrainedVAE
from seqvae.music.midi import to_pretty_midi
from seqvae.music.notes import Piece, make_notes
from seqvae.pages import page as report

EVIL = "</script><script>document.title = 'evil'</script><img src=x onerror=\"alert(1)\"><!--"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
COUNT_SOURCES = """
    window.started = [];
    for (const name of ["createOscillator", "createBufferSource"]) {
      const make = BaseAudioContext.prototype[name];
      BaseAudioContext.prototype[name] = function () {
        const source = make.call(this);
        window.started.push(name);
        window.context = this;
        return source;
      };
    }
"""


def read(page: Path) -> dict[str, Any]:
    """The data of a page."""
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), flags=re.S
    )
    data: dict[str, Any] = json.loads(text)
    return data


def write(trained: Trained, folder: Path) -> Path:
    page = folder / "report.html"
    report.write_report(trained.run, trained.corpus, page)
    return page


@pytest.fixture(scope="module", autouse=True)
def _few_samples() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "MUSIC_SAMPLES", 40)
        yield


@pytest.fixture(scope="module")
def drums(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("drums")
    (folder / "midi").mkdir()
    for seed in range(6):
        to_pretty_midi(band(seed)).write(str(folder / f"midi/{seed}.mid"))
    return train_tiny(folder, folder / "midi", {"kind": "groove", "num_bars": 1})


@pytest.fixture(scope="module")
def melody_page(melodies: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(melodies, tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def text_page(sentences: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a matrix of attributes, and a sentence that means harm."""
    movement = Movement(
        1.0, ("length", "mine"), ("length",), torch.tensor([[0.9], [-0.2]]),
        torch.tensor([0.75, float("nan")]), torch.tensor([0.8, float("nan")]),
    )  # fmt: skip
    content = TrainedVAE.content
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainedVAE, "movement", movement)
        patch.setattr(TrainedVAE, "content", lambda *own: content(*own) + EVIL)
        return write(sentences, tmp_path_factory.mktemp("page"))


# The data


def test_a_page_of_melodies_has_all_figures_and_what_the_notes_are(
    melodies: Trained, melody_page: Path
) -> None:
    data = read(melody_page)
    assert data["title"] == "tiny"
    assert data["facts"]["tokenizer"] == "melody"
    assert data["facts"]["valid sequences"] == len(melodies.corpus.splits["valid"])
    assert data["curves"]["epoch"] == [1, 2]
    figures = melodies.vae.evaluate(melodies.corpus, split="valid", iw_samples=report.IW_SAMPLES)
    shown = {figure["name"]: figure for figure in data["figures"]}
    assert shown["neg_elbo"]["values"] == [pytest.approx(figures.neg_elbo, rel=1e-3)]
    assert shown["active_units"]["values"] == [figures.active_units, 4]
    assert shown["kl"]["definition"] == "KL(q(z|x) || p(z)), in nats."
    assert sum(data["kl_per_dim"]) == pytest.approx(figures.kl, rel=1e-2)
    assert sorted(data["kl_per_dim"], reverse=True) == data["kl_per_dim"]
    assert len(data["samples"]) == 8
    assert len(data["interpolation"]["contents"]) == len(data["interpolation"]["points"]) == 7
    assert data["movement"] is None
    points = data["map"]
    assert len(points["points"]) == len(points["contents"]) == points["total"]
    assert {"note_density", "average_pitch"} <= {a["name"] for a in points["attributes"]}
    assert "mean_velocity" not in {a["name"] for a in points["attributes"]}  # all are alike
    assert all(len(a["values"]) == points["total"] for a in points["attributes"])
    assert "principal axes" in data["map"]["plane"]


def test_every_figure_has_a_unit_and_a_definition() -> None:
    sizes = {"num_sequences", "latent_dim", "iw_samples", "iw_nll_stderr", *report.MOST.values()}
    assert report.UNIT_OF.keys() == {field.name for field in fields(Evaluation)} - sizes
    assert report._definitions().keys() == {field.name for field in fields(Evaluation)}


def test_the_text_of_a_corpus_stays_text(text_page: Path) -> None:
    page = text_page.read_text()
    assert EVIL not in page
    assert "<img" not in page
    assert page.count("</script>") == report.TEMPLATE.read_text().count("</script>")
    data = read(text_page)
    assert all(content.endswith(EVIL) for content in data["map"]["contents"])
    assert data["movement"]["rising"] == [0.75, None]
    assert {"length", "word_length"} <= {a["name"] for a in data["map"]["attributes"]}


def test_notes_become_columns() -> None:
    notes = make_notes(
        [0, 4, 4], [4, 8, 5], [60, 64, 38], program=[33, 33, 0], is_drum=[False, False, True],
        offset=[0, 0.25, -0.5],
    )  # fmt: skip
    assert report._plain_content(Piece(notes, 4, num_steps=16)) == {
        "count": 3, "steps": 16, "qpm": 120.0, "start": [0, 4, 4], "length": [4, 1, 4],
        "pitch": [60, 38, 64], "velocity": 80, "sound": [33, 129, 33], "offset": [0, -50, 25],
    }  # fmt: skip
    assert report._plain_content(Piece(notes[:0], 4))["start"] == []


def test_a_page_that_would_be_too_large_shows_fewer_points(melody_page: Path) -> None:
    data = read(melody_page)
    whole = len(report.fill(data).encode())
    assert report.fitted(data, whole) == report.fill(data)
    page = report.fitted(data, whole - 2000)
    assert len(page.encode()) <= whole - 2000
    start = page.index('id="data">') + len('id="data">')
    shown = json.loads(page[start : page.index("</script>", start)])["map"]
    assert 1 < len(shown["points"]) < shown["total"] == data["map"]["total"]
    assert shown["points"] == data["map"]["points"][: len(shown["points"])]
    lengths = {len(shown["contents"]), *(len(a["values"]) for a in shown["attributes"])}
    assert lengths == {len(shown["points"])}


def test_a_report_is_the_same_each_time(sentences: Trained, tmp_path: Path) -> None:
    first = write(sentences, tmp_path).read_text()
    assert write(sentences, tmp_path).read_text() == first


def test_what_cannot_be_drawn_is_refused(
    melodies: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"ends in \.html"):
        report.write_report(melodies.run, melodies.corpus, tmp_path / "report.png")
    run = tmp_path / "run"
    shutil.copytree(melodies.run, run)
    (run / "metrics.csv").unlink()
    with pytest.raises(InputError, match=r"no run \(metrics.csv is missing\)"):
        report.write_report(run, melodies.corpus, tmp_path / "report.html")
    language_model = TrainedVAE(tiny_vae(latent_dim=0), melodies.vae.tokenizer)
    monkeypatch.setattr(TrainedVAE, "load", lambda run: language_model)
    with pytest.raises(InputError, match="a language model"):
        report.write_report(melodies.run, melodies.corpus, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


# In a browser


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


@pytest.fixture
def show(browser: Any) -> Iterator[Any]:
    """Opens a page; at the end nothing must have gone wrong in it, or come from elsewhere."""
    contexts, wrong = [], []

    def opened(file: Path, **settings: Any) -> Any:
        context = browser.new_context(**settings)
        contexts.append(context)
        context.add_init_script(COUNT_SOURCES)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda own: own.url.startswith(("file:", "blob:")) or wrong.append(own))
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def until(page: Any, expression: str) -> None:
    """Wait until it is true; Playwright's own way needs eval, which the page forbids."""
    for _ in range(100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"never came true: {expression}")


def num_started(page: Any) -> int:
    return int(page.evaluate("window.started.length"))


def test_play_makes_sound_and_stops_and_one_plays_at_a_time(melody_page: Path, show: Any) -> None:
    page = show(melody_page)
    first, second = page.locator(".samples .play").nth(0), page.locator(".samples .play").nth(1)
    assert first.get_attribute("aria-label") == "Play sample 1"
    assert num_started(page) == 0
    first.click()
    assert first.get_attribute("aria-pressed") == "true"
    until(page, "window.context.currentTime > 0.3")
    assert num_started(page) > 0
    assert page.evaluate("window.context.state") == "running"
    head = page.locator(".samples .playhead").first
    assert float(head.evaluate("head => parseFloat(head.style.left)")) > 0
    second.click()
    assert first.get_attribute("aria-pressed") == "false"
    assert second.get_attribute("aria-pressed") == "true"
    second.click()
    assert page.locator('[aria-pressed="true"]').count() == 0
    before = num_started(page)
    page.wait_for_timeout(300)
    assert num_started(page) == before


def test_the_curve_of_the_bound_fills_its_chart(melody_page: Path, show: Any) -> None:
    page = show(melody_page)
    bound = read(melody_page)["curves"]["neg_elbo"]
    charts = page.locator("svg.chart")
    least, most = (int(charts.nth(0).locator("text").nth(i).text_content()) for i in range(2))
    assert (least, most) == (round(min(bound)), round(max(bound)))
    assert [charts.nth(2).locator("text").nth(i).text_content() for i in range(2)] == ["0", "1"]


def test_an_interpolation_plays_in_turn(melody_page: Path, show: Any) -> None:
    page = show(melody_page)
    page.locator("text=Play in turn").click()
    steps = page.locator(".way .play")
    assert steps.nth(0).get_attribute("aria-pressed") == "true"
    until(page, "document.querySelectorAll('.way .play')[1].ariaPressed == 'true'")
    assert page.locator('[aria-pressed="true"]').count() == 1
    page.locator("text=Play in turn").click()
    assert page.locator('[aria-pressed="true"]').count() == 0


def test_drums_are_noise_and_falling_sines(drums: Trained, tmp_path: Path, show: Any) -> None:
    page = show(write(drums, tmp_path))
    data = read(tmp_path / "report.html")
    loud = int(np.argmax([clip["count"] for clip in data["samples"]]))
    page.locator(".samples .play").nth(loud).click()
    until(page, "new Set(window.started).size == 2")
    assert page.locator("text=accuracy_by_channel").count() == 1
    assert "velocity of kick" in page.locator(".parts").first.inner_text()


def test_a_clip_can_be_saved_as_midi(melody_page: Path, tmp_path: Path, show: Any) -> None:
    import pretty_midi

    page = show(melody_page)
    with page.expect_download() as download:
        page.locator(".way .save").first.click()
    download.value.save_as(tmp_path / "clip.mid")
    clip = read(melody_page)["interpolation"]["ends"][0]
    (instrument,) = pretty_midi.PrettyMIDI(str(tmp_path / "clip.mid")).instruments
    onsets = np.atleast_1d(clip["start"]) * 60 / clip["qpm"] / 4
    assert [note.start for note in instrument.notes] == pytest.approx(onsets.tolist())
    assert [note.pitch for note in instrument.notes] == clip["pitch"]


def test_the_map_opens_points_by_mouse_and_by_key(
    melody_page: Path, text_page: Path, show: Any
) -> None:
    page = show(melody_page)
    panel, plane = page.locator(".panel"), page.locator(".plane canvas")
    assert panel.locator(".roll").count() == 0
    plane.scroll_into_view_if_needed()
    plane.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".tip").inner_text().startswith("note density")
    page.keyboard.press("Enter")
    assert panel.locator(".roll").count() == 1
    panel.locator(".play").click()
    assert panel.locator(".play").get_attribute("aria-pressed") == "true"
    densities = page.locator(".legend").inner_text()
    page.locator("select").select_option("average_pitch")
    assert page.locator(".legend").inner_text() not in ("", densities)

    page = show(text_page)
    plane = page.locator(".plane canvas")
    plane.scroll_into_view_if_needed()
    plane.focus()
    page.keyboard.press("ArrowUp")  # the point nearest to the middle
    sentence = page.locator(".tip").inner_text().partition(": ")[2]
    place = page.evaluate(
        "() => { const tip = document.querySelector('.tip').style; return tip.left; }"
    )
    assert place.endswith("px")
    box = plane.bounding_box()
    page.keyboard.press("Escape")
    assert page.locator(".tip").inner_text() == ""
    for share in np.linspace(0.05, 0.95, 60):  # some point lies on the diagonal
        plane.click(position={"x": box["width"] * share, "y": box["height"] * share})
        if page.locator(".panel .sentence").count():
            break
    assert page.locator(".panel .sentence").inner_text().endswith(EVIL)
    assert sentence.endswith(EVIL)
    assert page.title() == "tiny \N{EN DASH} seqvae"
    assert page.locator("img").count() == 0


def test_the_matrix_is_a_table_or_a_line_that_says_how(
    melody_page: Path, text_page: Path, show: Any
) -> None:
    rows = show(text_page).locator(".matrix tbody tr").all_inner_texts()
    assert [row.split("\t") for row in rows] == [
        ["length", "+0.90", "75 %", "80 %"],
        ["mine", "\N{MINUS SIGN}0.20", "\N{EN DASH}", "\N{EN DASH}"],
    ]
    assert "seqvae attributes RUN" in show(melody_page).locator("#page").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["melody", "text"])
def test_it_fits_a_phone_in_light_and_dark(
    kind: str, scheme: str, melody_page: Path, text_page: Path, show: Any
) -> None:
    file = melody_page if kind == "melody" else text_page
    size = {"width": 360, "height": 740}
    page = show(file, viewport=size, color_scheme=scheme, reduced_motion="reduce")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 360
    outside = page.evaluate(
        """[...document.querySelectorAll("#page *")].filter((node) =>
             !node.closest(".scroll, .roll") && node.getBoundingClientRect().right > 360)
           .map((node) => node.outerHTML.slice(0, 90))"""
    )
    assert outside == []
    red = page.evaluate(
        "parseInt(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])"
    )
    assert (red < 128) == (scheme == "dark")
