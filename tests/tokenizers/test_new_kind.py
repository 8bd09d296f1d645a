"""A new representation is one class and one entry of the table: every verb takes it up."""

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import yaml

from seqvae import cli
from seqvae.music.midi import read_midi, to_pretty_midi
from seqvae.music.notes import Notes, Piece, make_notes
from seqvae.reasons import Dropped
from seqvae.tokenizers import TOKENIZERS
from seqvae.tokenizers.contract import Example, Extraction, Ids, MusicTokenizer, TextTokenizer
from seqvae.tokenizers.grid import GridSettings, Roll, grid_windows
from seqvae.tokenizers.windows import (
    Span,
    Windows,
    encode_windows,
    extract_windows,
    window_piece,
)


@dataclass(frozen=True, kw_only=True)
class PulseTokenizer(GridSettings, MusicTokenizer):
    """Whether any note begins at a step."""

    kind: ClassVar[str] = "pulse"
    channels: ClassVar[tuple[str, ...]] = ("onset",)
    vocab_sizes: ClassVar[tuple[int, ...]] = (2,)

    def extract(self, piece: Piece) -> Extraction:
        return extract_windows(self, piece, [partial(self._cut, piece.notes)], Dropped())

    def encode(self, piece: Piece, bar: int | None = None) -> list[Example]:
        return encode_windows(self, piece, partial(self._cut, piece.notes), bar)

    def _cut(self, notes: Notes, span: Span) -> Windows:
        onset = np.zeros(span.size, np.int64)
        onset[notes["start"][notes["start"] < span.end_step]] = 1
        tokens = onset[span.steps()]
        return grid_windows([Roll(tokens[..., None], silent=tokens == 0)], span, None)

    def decode(self, example: Example) -> Piece:
        starts = np.flatnonzero(example.ids[:, 0])
        return window_piece(self, make_notes(starts, starts + 1, 60), example.qpm)

    def show(self, ids: Ids) -> str:
        return "".join(".x"[token] for token in ids[:, 0])


@dataclass(frozen=True, kw_only=True)
class CharacterTokenizer(TextTokenizer):
    """Single characters; token 0 ends a line, and 1 is any character that training did not have."""

    kind: ClassVar[str] = "characters"
    eos_id: ClassVar[int | None] = 0
    learned: ClassVar[frozenset[str]] = frozenset({"characters"})

    max_steps: int = 40
    characters: str = ""

    @property
    def vocab_sizes(self) -> tuple[int]:
        return (2 + len(self.characters),)

    def train(self, lines: Iterable[str]) -> "CharacterTokenizer":
        return replace(self, characters="".join(sorted({c for line in lines for c in line})))

    def encode_lines(self, lines: list[str]) -> list[list[int]]:
        return [[*(max(0, 2 + self.characters.find(c)) for c in line), 0] for line in lines]

    def decode(self, ids: Ids) -> str:
        tokens = np.append(ids[:, 0], 0)
        return "".join(f"\0?{self.characters}"[token] for token in tokens[: tokens.argmin()])


def write_clips(folder: Path) -> list[str]:
    """Files of four bars, some with many onsets and some with few."""
    files = [folder / f"{number}.mid" for number in range(6)]
    for number, file in enumerate(files):
        rng = np.random.default_rng(number)
        starts = np.flatnonzero(rng.random(64) < 0.2 + 0.1 * number)
        to_pretty_midi(Piece(make_notes(starts, starts + 1, 60), 4)).write(str(file))
    return [str(file) for file in files[:3]]


def write_lines(folder: Path) -> list[str]:
    """A file of lines of three to six words."""
    lines = [f"{a} see" + f" {b}" * n for a in ("I", "you") for b in "abcde" for n in range(1, 5)]
    (folder / "lines.txt").write_text("\n".join(lines) + "\n")
    return lines[:3]


@pytest.mark.parametrize(
    ("tokenizer", "write_source", "settings", "attribute"),
    [
        (PulseTokenizer, write_clips, {"num_bars": 1}, "note_density"),
        (CharacterTokenizer, write_lines, {"max_steps": 20}, "length"),
    ],
    ids=["music", "text"],
)
def test_every_verb_takes_up_a_new_kind(
    tokenizer: type[PulseTokenizer] | type[CharacterTokenizer],
    write_source: Callable[[Path], list[str]], settings: dict[str, int], attribute: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(TOKENIZERS, tokenizer.kind, tokenizer)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "source").mkdir()
    a, b, c = write_source(tmp_path / "source")
    config = {
        "name": "new",
        "data": {"source": "source", "tokenizer": {"kind": tokenizer.kind} | settings},
        "model": {"latent_dim": 2, "embedding_dim": 4, "encoder_dim": 4, "decoder_dim": 4},
        "objective": {"beta": {"max_beta": 0.1}},
        "trainer": {"max_epochs": 1, "batch_size": 8, "precision": "fp32", "accelerator": "cpu"},
    }
    Path("new.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    commands = {
        "look": [str(next(Path("source").iterdir())), "--preset", "new.yaml"],
        "prepare": ["new.yaml"],
        "train": ["new.yaml"],
        "personal": ["runs/new", "source", "--name", "mine"],
        "evaluate": ["runs/new", "--iw_samples", "2", "--json", "figures.json"],
        "sample": ["runs/new", "-n", "2"],
        "reconstruct": ["runs/new", a, b],
        "interpolate": ["runs/new", a, b, "--num_steps", "3"],
        "blend": ["runs/new", a, b, c, "--num_steps", "2"],
        "vary": ["runs/new", a, "-n", "2"],
        "complete": ["runs/new", a if tokenizer.modality == "music" else "I ___", "-n", "2"],
        "analogy": ["runs/new", a, b, c],
        "attributes": ["runs/new", attribute, "--method", "means"],
        "shift": ["runs/new", a, "--attribute", attribute],
        "score": ["runs/new", a, b, "--iw_samples", "2"],
        "encode": ["runs/new", "source", "--out", "codes.npz"],
        "decode": ["runs/new", "codes.npz"],
        "report": ["runs/new", "--out", "page.html"],
        "app": ["runs/new", "--space", "space"],
        "models": [],
        "presets": [],
    }
    elsewhere = {"play", "humanise", "import", "export", "serve", "push"}  # not for all
    assert commands.keys() == cli.VERBS.keys() - elsewhere
    printed: dict[str, list[str]] = {}
    for verb, arguments in commands.items():
        monkeypatch.setattr(sys, "argv", ["seqvae", verb, *arguments])
        cli.main()
        printed[verb] = capsys.readouterr().out.splitlines()
    assert json.loads(Path("figures.json").read_text(encoding="utf-8"))["num_sequences"] > 0
    assert tokenizer.kind in Path("page.html").read_text(encoding="utf-8")
    num_outputs = {
        "sample": 2, "reconstruct": 2, "interpolate": 3, "blend": 3, "vary": 2, "complete": 2,
        "analogy": 1, "shift": 1, "score": 3,
    }  # fmt: skip
    assert {verb: len(printed[verb]) for verb in num_outputs} == num_outputs
    if tokenizer.modality == "music":
        for file in printed["sample"] + printed["interpolate"]:
            assert set(read_midi(Path(file), 4).notes["pitch"]) <= {60}
