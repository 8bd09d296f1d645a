"""The page of `play` in a real browser: nothing is loaded, and everything on it plays."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mido
import pytest
import torch
from conftest import Instrument, as_shipped, page_of, until, watched
from tiny import tiny_vae

from seqvae.music.midi import read_midi, to_pretty_midi
from seqvae.music.notes import Piece, Tempo, make_notes
from seqvae.tokenizers.groove import GrooveTokenizer
from seqvae.tokenizers.melody import MelodyTokenizer

TUNE = Piece(
    make_notes([0, 4, 8, 12, 16, 24], [4, 8, 11, 16, 24, 32], [60, 64, 67, 65, 62, 72]),
    4, num_steps=32, tempos=(Tempo(0, 100.0),),
)  # fmt: skip
NOTES = "JSON.stringify(instrument.notes.map(({ start, length, pitch }) => [start, length, pitch]))"


@pytest.fixture(scope="module")
def tab(browser: Any, melody_instrument: Instrument) -> Iterator[Any]:
    """A page that several tests play on, one after the other."""
    with watched(browser) as opened:
        tab = opened(melody_instrument)
        until(tab, "instrument.notes.length > 0")
        yield tab


def heard(tab: Any) -> list[list[int]]:
    notes: list[list[int]] = tab.evaluate(f"JSON.parse({NOTES})")
    return notes


def decoded(page: Instrument, tab: Any) -> list[list[int]]:
    """What Python makes of the code that the page plays."""
    z, temperature, seed = tab.evaluate(
        "[[...instrument.state.z], instrument.state.temperature, instrument.state.seed]"
    )
    clip = page.vae.decode(torch.tensor([z]), temperature=temperature, seed=seed)[0]
    notes = read_midi(clip, 4).notes
    return [[int(n["start"]), int(n["end"] - n["start"]), int(n["pitch"])] for n in notes]


def drag(tab: Any, canvas: Any, places: list[tuple[float, float]]) -> None:
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    tab.mouse.move(*(box["x"] + 150, box["y"] + 150))
    tab.mouse.down()
    for x, y in places:
        tab.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=3)
    tab.mouse.up()


def test_it_begins_with_music_and_plays_at_once(tab: Any, melody_instrument: Instrument) -> None:
    expected = decoded(melody_instrument, tab)
    until(tab, f"{NOTES} === '{str(expected).replace(' ', '')}'")
    assert "melodies" in tab.locator(".lead").inner_text()
    assert re.search(r"\d of 10 notes come back", tab.locator(".credit").inner_text())
    play = tab.get_by_role("button", name="Play", exact=True)
    play.click()
    until(tab, "window.started.length > 0")
    until(tab, "looper.step > 4")
    stop = tab.get_by_role("button", name="Stop", exact=True)
    assert stop.get_attribute("aria-pressed") == "true"
    stop.click()
    until(tab, "!looper.isPlaying")


def test_the_music_follows_the_puck_and_can_be_undone(
    tab: Any, melody_instrument: Instrument
) -> None:
    before, place = heard(tab), tab.evaluate("instrument.state.map")
    drag(tab, tab.locator(".pad canvas").first, [(0.1, 0.2), (0.3, 0.8)])
    until(tab, "!mapPad.isDragged && instrument.canUndo && instrument.final.map[1] > 0.75")
    expected = decoded(melody_instrument, tab)
    assert expected != before
    until(tab, f"{NOTES} === '{str(expected).replace(' ', '')}'")
    tab.locator("canvas").first.focus()
    tab.keyboard.press("ArrowRight")
    until(tab, "instrument.past.length === 2")
    for _ in range(2):
        tab.get_by_role("button", name="Undo").click()
    until(tab, f"{NOTES} === '{str(before).replace(' ', '')}'")
    assert tab.evaluate("instrument.state.map") == place


def test_chance_is_that_of_python(tab: Any, melody_instrument: Instrument) -> None:
    assert tab.get_by_label("Take").is_disabled()  # there is no chance yet
    tab.get_by_label("from safe to wild").fill("1")
    tab.get_by_label("Take").fill("7")
    tab.get_by_label("Take").press("Enter")
    until(tab, "instrument.final.seed === 7 && instrument.final.temperature === 1")
    expected = decoded(melody_instrument, tab)
    until(tab, f"{NOTES} === '{str(expected).replace(' ', '')}'")
    tab.get_by_label("from safe to wild").fill("0")


def test_a_dropped_file_plays_its_own_notes_from_its_corner(
    tab: Any, tmp_path: Path, melody_instrument: Instrument
) -> None:
    file = tmp_path / "my tune.mid"
    to_pretty_midi(TUNE).write(str(file))
    data = [*file.read_bytes()]
    tab.evaluate(
        """(bytes) => {
          const given = new DataTransfer();
          given.items.add(new File([new Uint8Array(bytes)], "my tune.mid"));
          document.body.dispatchEvent(
            new DragEvent("drop", { dataTransfer: given, bubbles: true }));
        }""",
        data,
    )
    own = [[int(n["start"]), int(n["end"] - n["start"]), int(n["pitch"])] for n in TUNE.notes]
    until(tab, f"{NOTES} === '{str(own).replace(' ', '')}'")
    assert "my tune" in tab.locator(".corner").first.inner_text()
    assert tab.evaluate("[looper.qpm, squarePad.place]") == [pytest.approx(100, rel=1e-4), [0, 0]]
    mean = melody_instrument.vae.encode(str(file)).mean[0].tolist()
    until(tab, f"instrument.state.z.every((value, i) => Math.abs(value - {mean}[i]) < 1e-4)")
    drag(tab, tab.locator(".pad canvas").last, [(0.4, 0.4), (0.5, 0.5)])
    until(tab, "!instrument.isClip && instrument.final.square[0] > 0.3")


def test_a_clip_is_heard_and_what_the_model_makes_of_it(
    tab: Any, melody_instrument: Instrument
) -> None:
    tab.get_by_role("tab", name="Four corners").click()
    tab.get_by_role("button", name="Keep what plays in corner B").click()
    until(tab, "instrument.state.corners[1].clip !== null")
    own = heard(tab)
    tab.get_by_role("button", name="Hear the clip in corner B").click()
    until(tab, "instrument.isClip && looper.isPlaying")
    assert heard(tab) == own
    tab.get_by_role("button", name="Hear the model\u2019s take of the clip in corner B").click()
    until(tab, "!instrument.isClip")
    expected = decoded(melody_instrument, tab)
    assert expected != own
    until(tab, f"{NOTES} === '{str(expected).replace(' ', '')}'")
    assert tab.evaluate("instrument.state.z === instrument.state.corners[1].z")
    tab.get_by_role("button", name="Stop", exact=True).click()


def test_a_changed_note_is_heard_and_encoded(tab: Any) -> None:
    tab.get_by_role("button", name="Hear the clip in corner A").click()
    until(tab, "instrument.isClip")
    code = tab.evaluate("String(instrument.state.z)")
    lanes = tab.locator(".lanes")
    lanes.focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowUp")
    until(tab, "instrument.notes[0].pitch === 61")
    until(tab, f"String(instrument.state.z) !== {code!r}")  # the encoder answers later
    tab.keyboard.press("Delete")
    until(tab, "instrument.notes.length === 5")
    tab.get_by_role("button", name="Undo").click()
    until(tab, "instrument.notes.length === 6")


def test_saved_midi_is_what_is_heard(
    tab: Any, tmp_path: Path, melody_instrument: Instrument
) -> None:
    tab.get_by_role("button", name="Surprise me").click()
    until(tab, "!instrument.isClip")
    expected = decoded(melody_instrument, tab)
    until(tab, f"{NOTES} === '{str(expected).replace(' ', '')}'")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save MIDI").click()
    download.value.save_as(tmp_path / "clip.mid")
    notes = read_midi(tmp_path / "clip.mid", 4).notes
    assert [
        [int(n["start"]), int(n["end"] - n["start"]), int(n["pitch"])] for n in notes
    ] == expected
    (track,) = mido.MidiFile(tmp_path / "clip.mid").tracks
    assert sum(event.time for event in track) == 32 * 120


def test_a_link_holds_what_is_heard(tab: Any, browser: Any, melody_instrument: Instrument) -> None:
    tab.get_by_role("button", name="Copy link").click()
    until(tab, "location.hash.length > 10")
    with watched(browser) as opened:
        other = opened(melody_instrument)
        other.goto(tab.url)
        other.reload()
        until(other, "instrument.notes.length > 0")
        until(other, f"{NOTES} === {tab.evaluate(f'JSON.stringify({NOTES})')}")


def test_midi_goes_to_a_device_and_every_note_ends(tab: Any) -> None:
    sent = tab.evaluate(
        """() => {
          const sent = [];
          const out = new MidiOut({ send: ([status, pitch], time) =>
            sent.push([status, pitch, Math.round(((time ?? 0) - begin) / 100)]) }, 3);
          const begin = performance.now();
          const note = { pitch: 60, velocity: 90, drum: null };
          out.play(note, 0, 0.5);
          out.play(note, 0.2, 0.5); // which ends the one before
          out.sendDue(1);
          out.play({ ...note, pitch: 62 }, 0.1, 9);
          out.silence();
          return [sent.slice(0, 5), sent.filter(([status, pitch]) =>
            status === 0x82 && pitch === 62).length, out.held.length];
        }"""
    )
    assert sent == [
        [[0x92, 60, 0], [0x82, 60, 2], [0x92, 60, 2], [0x82, 60, 7], [0x92, 62, 1]], 1, 0,
    ]  # fmt: skip


def test_a_wav_holds_the_clip(tab: Any) -> None:
    size, loudest = tab.evaluate(
        """async () => {
          const bytes = await wavFile(currentClip());
          const samples = new Int16Array(bytes.buffer, 44);
          return [samples.length / 2 / 44100, samples.reduce((a, b) => Math.max(a, b))];
        }"""
    )
    seconds = 32 * 60 / tab.evaluate("looper.qpm") / 4 + 1.5
    assert size == pytest.approx(seconds, abs=0.01)
    assert loudest > 1000


def test_a_path_plays_and_what_is_too_short_is_said(tab: Any) -> None:
    tab.get_by_role("tab", name="Map").click()
    tab.get_by_role("button", name="Draw a path").click()
    pad = tab.locator(".pad canvas").first
    pad.click()
    until(tab, "said.textContent.includes('too short')")
    box = tab.locator(".said").bounding_box()
    assert 0 < box["y"] < box["y"] + box["height"] <= tab.viewport_size["height"]
    drag(tab, pad, [(0.2, 0.2), (0.5, 0.9), (0.9, 0.1), (0.4, 0.4)])
    until(tab, "looper.isPlaying && path.places.length >= NUM_STATIONS")
    stations = tab.evaluate(
        """Array.from({ length: 14 }, () => { followPath(); return mapPad.place.join(); })"""
    )
    assert stations[:6] == stations[7:13][::-1]  # there and back again
    assert len({*stations}) == 8


def test_chords_and_metres_can_be_chosen(
    waltz_instrument: Instrument, show: Any, tmp_path: Path
) -> None:
    tab = show(waltz_instrument)
    until(tab, "instrument.notes.length > 0")

    def matches_python(chords: str, metre: str) -> None:
        z = tab.evaluate("[[...instrument.state.z]]")
        (clip,) = waltz_instrument.vae.decode(z, chords=chords, metre=metre)
        notes = [
            [int(n["start"]), int(n["end"] - n["start"]), int(n["pitch"])]
            for n in read_midi(clip, 4).notes
        ]
        until(tab, f"{NOTES} === '{str(notes).replace(' ', '')}'")

    field = tab.get_by_label("Chords")
    assert field.input_value() == "C Am F G"
    matches_python("C Am F G", "4/4")
    before = heard(tab)
    field.fill("Bb | F#dim")
    field.press("Enter")
    until(tab, "instrument.state.chords.length === 2")
    matches_python("Bb F#dim", "4/4")
    tab.get_by_label("Metre").select_option("3/4")
    until(tab, "instrument.state.bar === 1 && looper.numSteps === 24")
    matches_python("Bb F#dim", "3/4")
    field.fill("C H")
    field.press("Enter")
    until(tab, "said.textContent.includes('H')")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save MIDI").click()
    download.value.save_as(tmp_path / "clip.mid")
    saved = read_midi(tmp_path / "clip.mid", 4)
    assert (str(saved.metres[0]), saved.end_step) == ("3/4", 24)
    for _ in range(2):
        tab.get_by_role("button", name="Undo").click()
    until(tab, f"{NOTES} === '{str(before).replace(' ', '')}'")
    assert tab.evaluate("looper.numSteps") == 32


def test_a_decoder_alone_plays_and_says_that_it_takes_no_clips(show: Any, tmp_path: Path) -> None:
    tokenizer = MelodyTokenizer(num_bars=1)
    model = as_shipped(tiny_vae(
        std=0.7, latent_dim=4, encoder_layers=0, vocab_sizes=tokenizer.vocab_sizes,
        max_steps=tokenizer.max_steps,
    ))  # fmt: skip
    page = page_of(model, tokenizer, tmp_path)
    tab = show(page)
    until(tab, "instrument.state !== null")
    told = tab.locator(".notes").inner_text()
    assert "no encoder" in told
    assert tab.get_by_role("button", name="Open").count() == 0
    tab.evaluate("vary(1)")
    until(tab, "looper.isPlaying && instrument.canUndo")
    until(tab, f"{NOTES} === '{str(decoded(page, tab)).replace(' ', '')}'")
    tab.evaluate("edit([])")
    until(tab, "instrument.isClip && instrument.notes.length === 0")
    tab.evaluate("toggle()")
    before = tab.evaluate("window.started.length")
    tab.locator(".lanes").click(position={"x": 100, "y": 60})
    until(tab, "instrument.notes.length === 1")
    assert tab.evaluate("window.started.length") > before  # the note, by itself
    tab.evaluate("openFiles([new File([], 'a.mid')], 0)")
    until(tab, "said.textContent.includes('no encoder')")


def test_what_is_tapped_is_drummed(show: Any, tmp_path: Path) -> None:
    tokenizer = GrooveTokenizer(num_bars=1, encoder_sees="tapping")
    model = as_shipped(tiny_vae(
        std=0.7, vocab_sizes=tokenizer.vocab_sizes, num_members=tokenizer.num_members,
        max_steps=tokenizer.max_steps,
    ))  # fmt: skip
    tab = show(page_of(model, tokenizer, tmp_path))
    until(tab, "instrument.state !== null")
    assert "drums along" in tab.locator(".lead").inner_text()
    to_pretty_midi(TUNE).write(str(tmp_path / "tune.mid"))
    with tab.expect_file_chooser() as chooser:
        tab.get_by_role("button", name="Open MIDI files").click()
    chooser.value.set_files(str(tmp_path / "tune.mid"))
    until(tab, "instrument.state.corners[0].clip && instrument.state.clip === null")
    assert tab.evaluate("instrument.state.corners[0].clip.length") == 4  # of its first bar
    until(tab, "said.textContent.includes('take of your clip')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(scheme: str, melody_instrument: Instrument, show: Any) -> None:
    size = {"width": 360, "height": 740}
    tab = show(melody_instrument, viewport=size, color_scheme=scheme, has_touch=True)
    until(tab, "instrument.notes.length > 0")
    assert tab.evaluate("document.scrollingElement.scrollWidth") <= 360
    play = tab.get_by_role("button", name="Play", exact=True).bounding_box()
    assert play["y"] + play["height"] <= 740  # without scrolling
    top = tab.locator(".pad canvas").first.bounding_box()["y"]
    puck = top + tab.evaluate("mapPad.place[1] * mapPad.canvas.clientHeight")
    assert puck < play["y"]  # the dot that the page tells of is seen at once
    unnamed = tab.evaluate(
        """[...document.querySelectorAll("button, input, select, canvas, svg[role]")]
             .filter((node) => !node.hidden && !(node.ariaLabel || node.textContent.trim() ||
               node.closest("label")?.textContent.trim())).map((node) => node.outerHTML)"""
    )
    assert unnamed == []
