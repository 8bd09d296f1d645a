"""The page of `play` for text: its tokens in Node, and the page in a real browser."""

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Instrument, as_shipped, until
from node import ENGINE, in_node
from tiny import randomised
from trained import Trained

import seqvae
from seqvae.pages.page import fill
from seqvae.pages.play import TEMPLATES, gather
from seqvae.pages.token_data import text_grid
from seqvae.tokenizers.contract import TextTokenizer
from seqvae.tokenizers.symbols import SymbolTokenizer
from seqvae.tokenizers.text import SubwordTokenizer
from seqvae.tokenizers.words import WordTokenizer

LINES = [
    "the cat sat on the mat", "a dog  sat on a log", " the mat is red", "CCO[NH3+]c1ccccc1",
    "dogs and cats, and dogs again", "the sea is red and the mat is blue", "a cat and a mat",
]  # fmt: skip
ASKED = [*LINES, "", "caf\u00e9 \u266b \U0001f431 ok", "the unknown zebra", "cat\tmat", "  "]
TOKENIZERS: dict[str, TextTokenizer] = {
    "text": SubwordTokenizer(vocab_size=290),
    "words": WordTokenizer(),
    "characters": SymbolTokenizer(unknown="keep"),
    "brackets": SymbolTokenizer(pattern="brackets", unknown="keep"),
    "expression": SymbolTokenizer(pattern=r"\[[^\]]+\]|Cl|c\d", unknown="keep"),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_text_becomes_the_tokens_of_python_and_back(name: str) -> None:
    tokenizer = TOKENIZERS[name].train(LINES * 3)
    asked = [text for text in ASKED if len(tokenizer.encode(text)) <= tokenizer.max_steps]
    generator = torch.Generator().manual_seed(0)
    (size,) = tokenizer.vocab_sizes
    drawn = torch.randint(size, (40, 12, 1), generator=generator).tolist()
    if name != "words":  # those have no symbol for the end
        drawn = [[token for token in row if token != [tokenizer.eos_id]] for row in drawn]
    ids, texts, too_long = in_node(
        ("text_tokens.js",),
        """const tokens = textTokensFor(given.grid);
        const tooLong = () => {
          try { tokens.ids("cat ".repeat(200)); } catch (error) { return error.message; }
        };
        return [given.asked.map((text) => tokens.ids(text)),
          given.drawn.map((ids) => tokens.text(ids)), tooLong()];""",
        {"grid": text_grid(tokenizer), "asked": asked, "drawn": drawn},
    )
    assert ids == [tokenizer.encode(text).tolist() for text in asked]
    assert len(asked) == len(ASKED)
    assert texts == [tokenizer.decode(torch.tensor(row).numpy()) for row in drawn]
    assert "too long" in too_long


def test_the_likeliest_subwords_are_taken_and_not_the_longest() -> None:
    pieces = {"<unk>": 0, "</s>": 0, "\u2581": -1, "a": -5, "bc": -5, "ab": -1, "c": -1}
    grid = {"kind": "text", "pieces": [*pieces], "scores": [*pieces.values()], "unknown": 0}
    found = in_node(
        ("text_tokens.js",),
        """return textTokensFor(given).ids("abc");""",
        grid | {"eos": 1, "max_steps": 9},
    )
    assert found == [[2], [5], [6], [1]]


def test_a_symbol_outside_the_alphabet_is_named() -> None:
    tokenizer = SymbolTokenizer().train(["abc"])
    said = in_node(
        ("text_tokens.js",),
        """try { textTokensFor(given).ids("abd"); } catch (error) { return error.message; }""",
        text_grid(tokenizer),
    )
    assert "\u201cd\u201d is not in the alphabet" in said


@pytest.fixture(scope="module")
def instrument(sentences: Trained, tmp_path_factory: pytest.TempPathFactory) -> Instrument:
    vae = seqvae.load(sentences.run)
    as_shipped(randomised(vae.model, std=0.7))
    file = tmp_path_factory.mktemp("lines") / "play.html"
    file.write_text(fill(TEMPLATES["text"], gather(vae, "tiny")), encoding="utf-8")
    return Instrument(file, vae)


def test_codes_of_lines_and_lines_of_codes_are_those_of_python(instrument: Instrument) -> None:
    lines = ["A man sees a boat.", "The girl wants music.", "Two dogs draw the sea."]
    codes = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    means, written = in_node(
        (*ENGINE, "codes.js", "text_tokens.js", "worker.js", "text_worker.js"),
        """start({ model: given.model });
        return [given.lines.map((text) => [...encode({ text }).z]),
          write({ codes: given.codes.map((z) => Float32Array.from(z)) }).texts];""",
        {"model": instrument.data["model"], "lines": lines, "codes": codes.tolist()},
    )
    expected = instrument.vae.encode(lines).mean
    torch.testing.assert_close(torch.tensor(means), expected, rtol=0, atol=1e-4)
    assert written == instrument.vae.decode(codes)


def test_a_line_is_typed_moved_and_blended(instrument: Instrument, show: Any) -> None:
    tab = show(instrument)
    until(tab, "instrument.text !== undefined && instrument.state !== null")
    line = tab.locator(".line")

    def matches_python(**how: Any) -> None:
        (text,) = instrument.vae.decode(tab.evaluate("[[...instrument.state.z]]"), **how)
        until(tab, f"instrument.text === {text!r} && !document.querySelector('.unfinished')")

    matches_python()
    own = tab.get_by_label("A line of your own")
    own.fill("A man sees a boat.")
    own.press("Enter")
    until(tab, "instrument.isClip")
    assert line.inner_text() == "A man sees a boat."
    tab.get_by_role("button", name="Undo").click()
    tab.get_by_label("from safe to wild").fill("1")
    tab.get_by_label("Take").fill("7")
    tab.get_by_label("Take").press("Enter")
    until(tab, "instrument.final.seed === 7 && instrument.final.temperature === 1")
    matches_python(temperature=1.0, seed=7)
    tab.get_by_role("tab", name="Four corners").click()
    for corner, text in (("A", "The girl likes music."), ("B", "Two dogs want a boat.")):
        tab.get_by_label(f"Line of corner {corner}").fill(text)
        tab.get_by_label(f"Line of corner {corner}").press("Tab")
        until(tab, f"instrument.text === {text!r}")
    tab.get_by_role("button", name="From A to B").click()
    until(tab, "document.querySelectorAll('.lines li').length === 7")
    tab.locator(".lines button").nth(6).click()
    until(tab, "!instrument.isClip")
    matches_python()
    mean = instrument.vae.encode("Two dogs want a boat.").mean[0].tolist()
    assert tab.evaluate("[...instrument.state.z]") == pytest.approx(mean, abs=1e-3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(scheme: str, instrument: Instrument, show: Any) -> None:
    size = {"width": 360, "height": 740}
    tab = show(instrument, viewport=size, color_scheme=scheme, has_touch=True)
    until(tab, "instrument.text !== undefined")
    assert tab.evaluate("document.scrollingElement.scrollWidth") <= 360


def test_a_page_of_text_is_written(sentences: Trained, tmp_path: Path) -> None:
    from seqvae.pages.play import write_play

    write_play(sentences.run, tmp_path / "play.html")
    data = Instrument(tmp_path / "play.html", sentences.vae).data
    assert data["kind"] == "text"
    assert len(data["map"]["names"]) == len(data["map"]["points"])
    assert data["quality"].startswith("Give it a line that it has never read")
