"""Where an input is odd."""

import json
import logging
import math
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_vae
from trained import Trained

from seqvae import cli
from seqvae.errors import InputError
from seqvae.inference import options, surprise
from seqvae.inference.codec import Codec
from seqvae.inference.surprise import (
    END,
    Part,
    beats_of,
    oddest_span,
    parts_of,
    repair_nats,
    shown,
    step_nats,
)
from seqvae.inference.trained import TrainedVAE, sequence_nats
from seqvae.music.notes import Piece, bars, bars_end, make_notes, parse_metre
from seqvae.tokenizers import make_tokenizer
from seqvae.tokenizers.contract import Example, Ids
from seqvae.tokenizers.symbols import SymbolTokenizer
from seqvae.tokenizers.words import WordTokenizer

TEXT = "A man sees a boat."
WAYS = ("mean", "importance")


def symbol_codec(**changes: int) -> Codec:
    tokenizer = SymbolTokenizer(max_steps=8).train(["abcd"])
    return Codec(tiny_vae(vocab_sizes=(5,), max_steps=8, eos_id=0, **changes), tokenizer)


def test_nats_from_the_mean_are_those_of_the_decoder() -> None:
    codec = symbol_codec()
    ids = codec.tokenizer.encode("abca")
    nats = step_nats(codec, ids, "mean", 5, codec.generator(0))
    batch = torch.from_numpy(ids)[None]
    with torch.no_grad():
        mean = codec.model.encode(batch, torch.tensor([5])).mean
        logits = codec.model.decoder(mean, batch)[0].log_softmax(-1)[0]
    expected = -logits[torch.arange(5), batch[0, :, 0]]
    np.testing.assert_allclose(nats, expected, rtol=1e-4)


def test_importance_weighted_nats_add_up_to_the_likelihood() -> None:
    """But for what the weights alone say, which tends to 0."""
    codec = symbol_codec()
    ids = codec.tokenizer.encode("abcadd")
    nats = step_nats(codec, ids, "importance", 200_000, codec.generator(0))
    (whole,) = sequence_nats(codec, [ids], 200_000, seed=1)
    assert nats.shape == (7,)
    assert nats.sum() == pytest.approx(whole, abs=0.03)
    # The first token is drawn from the prior: -log E p(x_1 | z) over N(0, I).
    z = torch.randn(100_000, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first = torch.from_numpy(ids)[None, :1].expand(len(z), -1, -1)
        nll = codec.model.decoder.token_nll(z, first)[:, 0]
    assert nats[0] == pytest.approx(-float((-nll).exp().mean().log()), abs=0.03)


def test_a_language_model_has_one_answer() -> None:
    codec = symbol_codec(latent_dim=0)
    ids = codec.tokenizer.encode("ab")
    mean, weighted = (step_nats(codec, ids, by, 3, codec.generator(0)) for by in WAYS)
    assert (mean == weighted).all()


def lines_with_another(ids: Ids, place: int, vocab_size: int) -> Ids:
    """The line with every token at a place in turn."""
    lines = np.repeat(ids[None], vocab_size, axis=0)
    lines[:, place, 0] = range(vocab_size)
    return lines


def test_a_repair_gains_what_the_best_other_token_makes_the_line_likelier() -> None:
    codec = symbol_codec()
    decoder, ids = codec.model.decoder, codec.tokenizer.encode("abcadd")
    with torch.no_grad():
        decoder.heads.logits[0].bias.copy_(
            torch.tensor([4.0, 0.0, 2.0, -1.0, 1.0])
        )  # the end, a b c d
        mean = codec.model.encode(torch.from_numpy(ids)[None], torch.tensor([7])).mean
        expected = []
        for place in range(7):
            lines = torch.from_numpy(lines_with_another(ids, place, 5))
            log_p = -decoder.token_nll(mean.expand(5, -1), lines).sum(1)
            others = log_p if place == 6 else log_p[1:]  # an end before the end is none
            expected.append(float(others.max() - log_p[ids[place, 0]]))
            assert log_p.argmax() == 0  # the end would be likelier everywhere
    gains = repair_nats(codec, ids)
    np.testing.assert_allclose(gains, expected, atol=1e-5)
    assert 0.0 < min(expected[2:6]) < max(expected)


def test_more_tokens_that_are_tried_gain_no_less(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = symbol_codec()
    ids, every = codec.tokenizer.encode("abcadd"), []
    for number in (1, 2, 5):
        monkeypatch.setattr(surprise, "NUM_OTHERS", number)
        every.append(repair_nats(codec, ids))
    for fewer, more in pairwise(every):
        assert (fewer <= more + 1e-5).all()  # batches of another size round otherwise
    assert every[0].min() >= 0


@pytest.mark.parametrize(
    ("nats", "expected"),
    [
        ([1, 1, 9, 1], range(2, 3)),
        ([9, 1, 1, 8, 7, 1], range(3, 5)),
        ([1, 5, 4, 5, 1, 1], range(1, 4)),
        ([0, 5, 5, 9, 5, 5], range(3, 4)),  # most exceed the mean
        ([5, 5, 1], range(2)),
        ([3], range(0)),
        ([2, 2, 2], range(0)),
        ([0, 0, 2e-5], range(0)),  # printed, all are 0.0000
    ],
    ids=str,
)
def test_the_oddest_span_stands_out_by_the_most_in_sum(nats: list[float], expected: range) -> None:
    assert oddest_span(nats) == expected


def test_tokens_are_told_as_they_are_written() -> None:
    words = WordTokenizer().train(["a man sees a boat"])
    assert words.spellings(" a boat  zigzags") == ["a", " boat", " zigzags"]
    assert words.spellings("") == []
    tokenizer = SymbolTokenizer(pattern="Cl", unknown="keep", max_steps=8).train(["CCl"])
    assert tokenizer.spellings("ClCF") == ["Cl", "C", "F"]
    codec = Codec(tiny_vae(vocab_sizes=(4,), max_steps=8, eos_id=0), tokenizer)
    (score,) = TrainedVAE(codec).score("ClCF", where=True)
    assert [part.text for part in score.parts] == ["Cl", "C", "F", END]


def test_steps_of_a_clip_are_told_by_bar_and_beat() -> None:
    tokenizer = make_tokenizer({"kind": "melody", "num_bars": 1})
    window = Example(np.zeros((16, 1), np.int64), start_step=16, bar=2)
    names, sums = beats_of(tokenizer, np.arange(16.0), window)
    assert names == [f"bar 2, beat {beat}" for beat in (1, 2, 3, 4)]
    assert sums == [6.0, 22.0, 38.0, 54.0]


def named(bar: int, num_beats: int) -> list[str]:
    return [f"bar {bar}, beat {beat}" for beat in range(1, num_beats + 1)]


@pytest.mark.parametrize(
    ("metres", "quarters", "expected"),
    [
        ("4/4", 7, [*named(1, 4), *named(2, 4)]),
        ("2/4", 5, [*named(1, 2), *named(2, 2), *named(3, 2)]),  # the model's bar holds two
        ("3/4", 4, [*named(1, 3), *named(2, 3)]),  # filled up to the model's bar
        ("6/8", 4, [*named(1, 2), *named(2, 2)]),
        ("2/2", 6, [*named(1, 2), *named(2, 2)]),
        ("3/4 4/4", 12, [*named(1, 3), *named(2, 3), *named(3, 4), *named(4, 4)]),
        ("4/4 2/4", 9, [*named(1, 4), *named(2, 2), *named(3, 2), *named(4, 2)]),
    ],
)  # fmt: skip
def test_bars_are_those_of_the_clip(metres: str, quarters: int, expected: list[str]) -> None:
    tokenizer = make_tokenizer(
        {"kind": "melody", "num_bars": 2, "metres": ["4/4", "2/2", "2/4", "3/4", "6/8"]}
    )
    first, *others = map(parse_metre, metres.split())
    change = {"3/4 4/4": 24, "4/4 2/4": 16}.get(metres, 0)
    changes = (first, *(replace(metre, start_step=change) for metre in others))
    starts = np.arange(0, 4 * quarters, 4)
    piece = Piece(make_notes(starts, starts + 4, 60 + starts % 7), 4, metres=changes)
    windows = tokenizer.encode(piece)
    names, total = [], 0.0
    for window in windows:
        own, sums = beats_of(tokenizer, np.ones(len(window.ids)), window)
        names, total = names + own, total + sum(sums)
    assert names == expected
    lines = [bar.number for bar in bars(piece)]
    assert sorted({int(name.split()[1][:-1]) for name in names}) == lines
    assert total == bars_end(piece)  # steps that fill up a bar count for no beat
    last = tokenizer.encode(piece, bar=len(lines))
    own, _ = beats_of(tokenizer, np.ones(len(last[0].ids)), last[0])
    assert own == [name for name in expected if name.startswith(f"bar {len(lines)},")]


def test_parts_of_a_clip_run_through_its_windows(melodies: Trained) -> None:
    file = min(melodies.source.glob("*.mid"))
    (score,) = melodies.vae.score(file, where=True)
    windows = melodies.vae.codec.windows(file)
    assert len(score.parts) == 8 * len(windows) > 8
    assert score.parts[8].text == "bar 3, beat 1"
    assert sum(part.is_odd for part in score.parts) >= 1
    direct = parts_of(melodies.vae.codec, windows, options.Score(file))
    assert [part.nats for part in direct] == [part.nats for part in score.parts]
    (third,) = melodies.vae.score(file, where=True, bar=3)
    assert third.parts[0].text == "bar 3, beat 1"


def test_a_planted_oddity_is_marked(sentences: Trained) -> None:
    (plain,) = sentences.vae.score(TEXT)
    assert plain.parts == ()
    for by in (*WAYS, "repair"):
        (score,) = sentences.vae.score(TEXT, where=True, by=by)
        assert score.per_event == plain.per_event
        assert "".join(part.text for part in score.parts) == TEXT + END
        if by != "repair":
            assert max(score.parts, key=lambda part: part.nats).is_odd


def test_tokens_are_told_by_repair(sentences: Trained) -> None:
    (score,) = sentences.vae.score(TEXT, where=True, by="repair")
    ids = sentences.vae.tokenizer.encode(TEXT)
    expected = repair_nats(sentences.vae.codec, ids)
    assert [part.nats for part in score.parts] == expected.tolist()


def test_what_is_printed() -> None:
    parts = [Part("A", 1.0, False), Part(" moon", 12.5, True), Part("\t", 0.25, False)]
    assert shown(parts, coloured=False).splitlines() == [
        "      1.0000  A", "     12.5000  moon  <", "      0.2500  '\\t'",
    ]  # fmt: skip
    assert shown(parts, coloured=True).splitlines()[1] == "\x1b[31m     12.5000  moon\x1b[0m"


@pytest.mark.parametrize(
    ("terminal", "no_color", "coloured"),
    [(False, "", False), (True, "", True), (True, "1", False)],
)
def test_colours_are_for_terminals(
    sentences: Trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    tmp_path: Path, terminal: bool, no_color: str, coloured: bool,
) -> None:  # fmt: skip
    monkeypatch.setenv("NO_COLOR", no_color)
    file = tmp_path / "scores.json"
    words = ["score", str(sentences.run), TEXT, "--where", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", ["seqvae", *words])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    cli.main()
    out = capsys.readouterr().out
    assert ("\x1b[31m" in out) == coloured
    assert ("  <\n" in out) != coloured
    (row,) = json.loads(file.read_text())
    assert row["input"] == TEXT
    assert {"per_step", "per_event"} < row.keys()
    assert [part["text"] for part in row["parts"]][-1] == END
    assert math.isfinite(row["parts"][0]["nats"])


def test_an_input_that_cannot_be_read_has_no_parts(
    melodies: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.mid").write_bytes(b"nothing")
    with caplog.at_level(logging.WARNING):
        (score,) = melodies.vae.score(tmp_path / "a.mid", where=True)
    assert score.parts == ()
    assert score.per_event == math.inf
    with pytest.raises(InputError, match="by is 'repair', which is for text"):
        melodies.vae.score(tmp_path / "a.mid", where=True, by="repair")
    with pytest.raises(InputError, match="by is 'max'"):
        melodies.vae.score(tmp_path / "a.mid", by="max")
