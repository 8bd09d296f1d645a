"""The page in a real browser, as a person meets it."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pretty_midi
import pytest
from conftest import EVIL, Page, until, watched

from seqvae.music.notes import Piece, Tempo, make_notes
from seqvae.pages.clip import pack_clip
from seqvae.pages.page import FOLDER

# Two programs, a drum that is late, a chord, and a sound without a drum class.
PIECE = Piece(
    make_notes(
        [0, 0, 3, 4, 8], [4, 2, 4, 6, 9], [60, 64, 38, 36, 81], velocity=[100, 90, 80, 70, 60],
        program=[0, 33, 0, 33, 0], is_drum=[False, False, True, False, True],
        offset=[0, 0, 0.25, 0, 0],
    ),
    4, num_steps=32, tempos=(Tempo(0, 90.0),),
)  # fmt: skip


@pytest.fixture(scope="module")
def melody_tab(browser: Any, melody_page: Page) -> Iterator[Any]:
    """A page that is looked at by several tests, none of which changes it."""
    with watched(browser) as opened:
        yield opened(melody_page)


def num_started(tab: Any) -> int:
    return int(tab.evaluate("window.started.length"))


# Playing


def test_play_makes_sound_and_stops_and_one_plays_at_a_time(melody_page: Page, show: Any) -> None:
    tab = show(melody_page)
    first, second = tab.locator("#samples .play").nth(0), tab.locator("#samples .play").nth(1)
    assert first.get_attribute("aria-label") == "Play sample 1"
    assert num_started(tab) == 0
    first.click()
    assert first.get_attribute("aria-pressed") == "true"
    assert first.inner_text() == "Stop"
    until(tab, "player.synth.context.currentTime > 0.3")
    assert num_started(tab) > 0
    assert tab.evaluate("player.synth.context.state") == "running"
    head = tab.locator("#samples .playhead").first
    assert float(head.evaluate("head => parseFloat(head.style.left)")) > 0
    second.click()
    assert first.get_attribute("aria-pressed") == "false"
    assert second.get_attribute("aria-pressed") == "true"
    second.click()
    assert tab.locator('[aria-pressed="true"]').count() == 0
    before = num_started(tab)
    until(tab, "player.sources.size === 0")
    assert num_started(tab) == before


def test_notes_sound_at_their_times_and_pitches(melody_tab: Any) -> None:
    melody_tab.evaluate(
        """(packed) => {
          window.started.length = 0;
          const clip = unpackClip(packed, data.grid);
          player.toggle({ clip, onStart() {}, onMove() {}, onEnd() {} });
          player.stop();
        }""",
        pack_clip(PIECE),
    )
    started = melody_tab.evaluate("window.started")
    step = 60 / 90 / 4  # seconds; those of the last note lie beyond what is scheduled
    onsets = [0, 0, 3.25 * step, 3.25 * step, 4 * step]
    begin = started[0]["time"]
    times = [source["time"] - begin for source in started]
    assert times == pytest.approx(onsets, abs=1e-3)
    kinds = [source["kind"].removesuffix("Node") for source in started]
    assert kinds == ["Oscillator", "Oscillator", "Oscillator", "AudioBufferSource", "Oscillator"]
    frequencies = [started[i]["frequency"] for i in (0, 1, 4)]
    expected = [pretty_midi.note_number_to_hz(pitch) for pitch in (60, 64, 36)]
    assert frequencies == pytest.approx(expected, rel=1e-4)


def test_an_interpolation_plays_in_turn(melody_page: Page, show: Any) -> None:
    tab = show(melody_page)
    tab.locator("text=Play all").click()
    steps = tab.locator("#interpolation .play")
    assert steps.nth(0).get_attribute("aria-pressed") == "true"
    tab.evaluate("player.begin -= 60")  # a minute later
    until(tab, "document.querySelectorAll('#interpolation .play')[1].ariaPressed === 'true'")
    assert tab.locator('[aria-pressed="true"]').count() == 1
    tab.locator("text=Play all").click()
    assert tab.locator('[aria-pressed="true"]').count() == 0


def test_what_a_clip_is_shows_once_the_listener_has_guessed(melody_page: Page, show: Any) -> None:
    tab = show(melody_page)
    heard = melody_page.data["listening"]
    test = tab.locator("#listening-test")
    clips = test.locator(".clip")
    assert clips.count() == len(heard)
    hidden = clips.all_inner_texts()
    assert len({re.sub(r"\d+", "", text) for text in hidden}) == 1  # all say the same
    samples = [i for i, each in enumerate(heard) if each["isSample"]][:2]
    data = [i for i, each in enumerate(heard) if not each["isSample"]][:2]
    for i, right in zip(samples + data, (True, False) * 2, strict=True):
        is_sample = heard[i]["isSample"]
        guess = "From the model" if is_sample == right else "From the data"
        clips.nth(i).locator(f"text={guess}").click()
        verdict = (
            f"from the {'model' if is_sample else 'data'}: you are {'right' if right else 'wrong'}"
        )
        assert clips.nth(i).locator(".guess").inner_text() == verdict
    score = test.locator("[role=status]").inner_text()
    assert score.startswith("2 of 4 guesses are right")
    test.locator("text=Show all").click()
    labels = clips.locator(".guess").all_inner_texts()
    shown = [label.split(":")[0] for label in labels]
    assert shown == [f"from the {'model' if each['isSample'] else 'data'}" for each in heard]
    assert "you are right" in labels[samples[0]]
    assert test.locator("[role=status]").inner_text() == score
    clips.nth(2).locator(".play").click()
    assert clips.nth(2).locator(".play").get_attribute("aria-pressed") == "true"


def test_every_drum_has_a_sound_of_its_own(drums_page: Page, show: Any) -> None:
    tab = show(drums_page)
    assert tab.evaluate("Object.keys(KIT)") == drums_page.data["grid"]["drums"]
    loud = int(np.argmax([clip["count"] for clip in drums_page.data["samples"]]))
    tab.locator("#samples .play").nth(loud).click()
    until(tab, "new Set(window.started.map(({ kind }) => kind)).size === 2")  # sines and noise
    assert tab.locator("text=accuracy_by_channel").count() == 1
    assert "velocity of kick" in tab.locator(".parts").first.inner_text()


# Clips: from Python to the page, and back as MIDI


def test_notes_reach_the_page_as_they_are(melody_tab: Any) -> None:
    clip = melody_tab.evaluate("(packed) => unpackClip(packed, data.grid)", pack_clip(PIECE))
    names = ("start", "length", "pitch", "velocity", "program", "drum")
    assert [[note[name] for name in names] for note in clip["notes"]] == [
        [0, 4, 60, 100, 0, None],
        [0, 2, 64, 90, 33, None],
        [3.25, 1, 38, 80, 0, "snare"],
        [4, 2, 36, 70, 33, None],
        [8, 1, 81, 60, 0, "open hi-hat"],
    ]
    assert [clip[name] for name in ("numSteps", "qpm", "stepsPerQuarter")] == [32, 90.0, 4]
    bars = {"4/4": 16, "3/4": 12, "6/8": 12, "2/2": 16, "5/4": 20}
    for metre, steps in bars.items():
        packed = pack_clip(PIECE) | {"metre": metre}
        script = "(packed) => unpackClip(packed, data.grid).stepsPerBar"
        assert melody_tab.evaluate(script, packed) == steps


def test_a_midi_file_has_the_notes_programs_and_tempo_of_its_clip(
    melody_tab: Any,
) -> None:
    script = "(packed) => Array.from(midiFile(unpackClip(packed, data.grid)))"
    file = bytes(melody_tab.evaluate(script, pack_clip(PIECE)))
    midi = pretty_midi.PrettyMIDI(io.BytesIO(file))
    step = 60 / 90 / 4
    notes = sorted(
        (round(note.start / step, 2), round(note.end / step, 2), note.pitch, note.velocity,
         instrument.program, instrument.is_drum)
        for instrument in midi.instruments for note in instrument.notes
    )  # fmt: skip
    assert notes == [
        (0.0, 2.0, 64, 90, 33, False),
        (0.0, 4.0, 60, 100, 0, False),
        (3.25, 4.25, 38, 80, 0, True),
        (4.0, 6.0, 36, 70, 33, False),
        (8.0, 9.0, 81, 60, 0, True),
    ]
    assert midi.get_tempo_changes()[1] == pytest.approx([90.0], rel=1e-5)
    (metre,) = midi.time_signature_changes
    assert (metre.numerator, metre.denominator) == (4, 4)
    (track,) = mido.MidiFile(file=io.BytesIO(file)).tracks
    assert sum(event.time for event in track) == 32 * 120  # two bars, as the clip


def test_a_clip_can_be_saved_as_midi(melody_page: Page, tmp_path: Path, show: Any) -> None:
    tab = show(melody_page)
    with tab.expect_download() as download:
        tab.locator("#interpolation .save").first.click()
    assert download.value.suggested_filename == "tiny_start.mid"
    download.value.save_as(tmp_path / "clip.mid")
    clip = melody_page.data["interpolation"]["start"]
    (instrument,) = pretty_midi.PrettyMIDI(str(tmp_path / "clip.mid")).instruments
    onsets = np.atleast_1d(clip["start"]) * 60 / clip["qpm"] / 4
    assert [note.start for note in instrument.notes] == pytest.approx(onsets.tolist())
    assert [note.pitch for note in instrument.notes] == clip["pitch"]


def test_a_roll_has_drums_below_and_pitches_above(melody_tab: Any) -> None:
    script = "(packed) => new PianoRoll(unpackClip(packed, data.grid)).element.outerHTML"
    roll = melody_tab.evaluate(script, pack_clip(PIECE))
    assert "Piano roll: 3 notes from C2 to E4 and 2 drum hits in 2 bars" in roll
    boxes = melody_tab.evaluate(
        """(html) => [...new DOMParser().parseFromString(html, "text/html")
             .querySelectorAll("rect")].map((rect) => [rect.textContent.split(",")[0],
               +rect.getAttribute("x"), +rect.getAttribute("y"), rect.style.fill])""",
        roll,
    )
    heights = {name: y for name, _, y, _ in boxes}
    order = sorted(heights, key=lambda name: -heights[name])
    assert order == ["snare", "open hi-hat", "C2", "C4", "E4"]
    assert heights["C2"] - heights["C4"] == pytest.approx(24)  # a row a semitone
    assert {name: x for name, x, _, _ in boxes}["snare"] == 3.25
    colours = {name: fill for name, _, _, fill in boxes}
    assert colours["E4"] == colours["C2"] != colours["C4"]  # a colour a program
    assert colours["snare"] == "var(--drum)"


# Charts, the map and the matrix


def test_the_curve_of_the_bound_fills_its_chart(melody_page: Page, melody_tab: Any) -> None:
    charts = melody_tab.locator("svg.chart")
    bound = melody_page.data["curves"]["neg_elbo"]
    texts = [charts.nth(i).locator("text").all_text_contents() for i in range(3)]
    assert [int(text) for text in texts[0][:2]] == [round(min(bound)), round(max(bound))]
    assert texts[2][:2] == ["0", "1"]
    for text, name in zip(texts, ("neg_elbo", "kl", "accuracy_free_running"), strict=True):
        latest = melody_page.data["curves"][name][-1]
        assert float(text[-1]) == pytest.approx(latest, rel=0.01)


def test_metrics_stand_with_their_ceilings_and_errors(melody_page: Page, melody_tab: Any) -> None:
    rows = {row["name"]: row for row in melody_page.data["metrics"]}
    cells = melody_tab.locator(".metrics tr").all_inner_texts()
    shown = {cell.split()[0]: " ".join(cell.split()) for cell in cells}
    assert shown.keys() == rows.keys()
    assert f" {rows['active_units']['values'][0]} of 4 dimensions" in shown["active_units"]
    assert f" \N{PLUS-MINUS SIGN} {rows['iw_nll']['stderr']:.3f} nats" in shown["iw_nll"]
    assert rows["neg_elbo"]["definition"] in shown["neg_elbo"]
    intervals = next(part for part in rows["overlap"]["parts"] if part["name"] == "intervals")
    samples, training = intervals["values"]
    assert f"intervals {samples:.3f} / {training:.3f}" in shown["overlap"]


def test_points_are_met_and_opened_by_key(melody_page: Page, show: Any) -> None:
    tab = show(melody_page)
    panel, canvas = tab.locator(".panel"), tab.locator(".plane canvas")
    assert panel.locator(".roll").count() == 0
    canvas.scroll_into_view_if_needed()
    canvas.focus()
    tab.keyboard.press("ArrowRight")
    point, value = tab.locator(".tip").inner_text().split("\n")
    index = int(point.removeprefix("point ")) - 1
    data = melody_page.data["map"]
    density = data["attributes"][0]
    assert value == f"note density {density['values'][index]:g}"
    tab.keyboard.press("Enter")
    assert panel.locator(".roll").count() == 1
    assert panel.locator("rect").count() == data["contents"][index]["count"]
    panel.locator(".play").click()
    assert panel.locator(".play").get_attribute("aria-pressed") == "true"
    densities = tab.locator(".legend").inner_text()
    tab.locator("select").select_option("average_pitch")
    assert tab.locator(".legend").inner_text() not in ("", densities)
    tab.keyboard.press("Escape")


def test_points_are_met_and_opened_by_mouse_and_text_stays_text(evil_page: Page, show: Any) -> None:
    tab = show(evil_page)
    canvas = tab.locator(".plane canvas")
    canvas.scroll_into_view_if_needed()
    canvas.focus()
    tab.keyboard.press("ArrowUp")  # the point nearest to the middle
    sentence = tab.locator(".tip").inner_text().split("\n")[0]
    assert sentence.endswith(EVIL)
    x, y = (float(tab.evaluate(f"parseFloat(document.querySelector('.tip').style.{side})"))
            for side in ("left", "top"))  # fmt: skip
    assert x > 0
    assert y > 0
    tab.keyboard.press("Escape")
    assert tab.locator(".tip").inner_text() == ""
    for across in np.arange(4.0, canvas.bounding_box()["width"], 6.0):
        canvas.click(position={"x": across, "y": y - 14})  # the tip is below its point
        if tab.locator(".panel .sentence").count():
            break
    assert tab.locator(".panel .sentence").inner_text() in evil_page.data["map"]["contents"]
    assert tab.title() == "tiny \N{EN DASH} seqvae"
    assert tab.locator("img").count() == 0


def test_the_matrix_is_a_table_or_a_line_that_says_how(
    melody_tab: Any, evil_page: Page, show: Any
) -> None:
    rows = show(evil_page).locator(".matrix tr").all_inner_texts()
    assert [row.split("\t") for row in rows] == [
        ["moved along", "length", "rose", "rose, of those not at the maximum"],
        ["length", "+0.90", "75%", "80%"],
        ["mine", "\N{MINUS SIGN}0.20", "\N{EN DASH}", "\N{EN DASH}"],
    ]
    assert "seqvae attributes RUN" in melody_tab.locator("#attributes").inner_text()


# The page as a whole


def test_a_script_that_is_not_ours_does_not_run(
    melody_page: Page, tmp_path: Path, browser: Any
) -> None:
    text = melody_page.file.read_text()
    script = "<script>document.title = 'evil'</script></body>"
    (tmp_path / "report.html").write_text(text.replace("</body>", script))
    tab = browser.new_page()
    messages: list[str] = []
    tab.on("console", lambda message: messages.append(message.text))
    tab.goto((tmp_path / "report.html").as_uri())
    assert tab.title() == "tiny \N{EN DASH} seqvae"
    assert len(messages) == 1
    assert "Content Security Policy" in messages[0]
    tab.close()


NEEDS = {
    "elements.js": [], "clip.js": [], "midi.js": [], "synth.js": [],
    "charts.js": ["elements.js"], "map.js": ["elements.js"], "roll.js": ["elements.js"],
    "card.js": ["elements.js", "midi.js", "roll.js", "synth.js"], "listening.js": ["elements.js"],
    "tensors.js": [], "noise.js": [], "chords.js": [], "tokens.js": ["chords.js"], "keys.js": [],
    "midi_reader.js": [], "chord_names.js": [], "text_tokens.js": [],
    "controls.js": ["elements.js"], "nade.js": ["tensors.js", "lstm.js"],
    "lstm.js": ["tensors.js"], "step_vectors.js": ["tensors.js"],
    "encoder.js": ["tensors.js", "lstm.js", "step_vectors.js"],
    "heads.js": ["tensors.js", "step_vectors.js", "nade.js"],
    "decoder.js": ["tensors.js", "lstm.js", "step_vectors.js", "heads.js", "noise.js"],
    "codes.js": ["tensors.js", "lstm.js", "noise.js"],
    "hearing.js": ["tokens.js", "midi_reader.js"],
    "engine.js": [], "midi_out.js": [], "link.js": [], "wav.js": ["synth.js"],
    "looper.js": ["synth.js", "midi_out.js"], "pad.js": ["elements.js", "map.js"],
    "editor.js": ["elements.js", "roll.js"], "instrument.js": ["engine.js", "looper.js"],
}  # fmt: skip
OF_PAGES = (
    "report.js", "player.js", "worker.js", "music_worker.js", "text_worker.js", "stage.js",
    "text_stage.js", "frame.js", "shaping.js", "chord_field.js", "transport.js", "places.js",
    "path.js", "corners.js", "text_corners.js", "midi_fields.js", "play.js", "play_text.js",
)  # fmt: skip


def test_each_script_needs_the_files_that_its_header_names_and_no_page(browser: Any) -> None:
    """It loads beside them and defines all that the first list of its header offers."""
    assert {*NEEDS, *OF_PAGES} == {file.name for file in FOLDER.glob("*.js")}
    tab = browser.new_page()
    wrong: list[str] = []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    for name, needs in NEEDS.items():
        tab.goto("about:blank")
        for file in [*needs, name]:
            tab.add_script_tag(path=str(FOLDER / file))
        title, offers = (FOLDER / name).read_text().split("\n *\n")[:2]
        assert {*re.findall(r"\w+\.js", title)} == {*needs} | {*re.findall("clip.js", title)}
        for offer in re.findall(r"^ \* {3}(?:new )?(\w+)\(", offers, flags=re.MULTILINE):
            assert tab.evaluate(f"typeof {offer}") == "function", offer
    assert wrong == []
    tab.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["melody", "text"])
def test_it_fits_a_phone_in_light_and_dark(
    kind: str, scheme: str, melody_page: Page, evil_page: Page, show: Any
) -> None:
    size = {"width": 360, "height": 740}
    page = melody_page if kind == "melody" else evil_page
    tab = show(page, viewport=size, color_scheme=scheme, reduced_motion="reduce")
    assert tab.evaluate("document.scrollingElement.scrollWidth") <= 360
    outside = tab.evaluate(
        """[...document.querySelectorAll("#page *")].filter((node) =>
             !node.closest(".scroll, .roll") && node.getBoundingClientRect().right > 360)
           .map((node) => node.outerHTML.slice(0, 90))"""
    )
    assert outside == []
    red = tab.evaluate("parseInt(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
    assert (red < 128) == (scheme == "dark")
