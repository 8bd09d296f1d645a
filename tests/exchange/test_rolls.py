"""Pictures of clips."""

import sys
from pathlib import Path

import pytest
from PIL import Image
from trained import band

from seqvae.errors import InputError
from seqvae.exchange.rolls import draw_samples
from seqvae.music.midi import to_pretty_midi
from seqvae.music.notes import Piece, make_notes


def test_samples_are_drawn_four_a_row(tmp_path: Path) -> None:
    clips = [to_pretty_midi(band(number, num_bars=2)) for number in range(5)]
    for count, height in ((4, 120), (5, 240)):
        draw_samples(clips[:count], tmp_path / "samples.png")
        with Image.open(tmp_path / "samples.png") as opened:
            assert opened.size == (960, height)


def test_silence_is_drawn_too(tmp_path: Path) -> None:
    silence = to_pretty_midi(Piece(make_notes([], [], []), 4))
    draw_samples([silence], tmp_path / "samples.png")
    with Image.open(tmp_path / "samples.png") as opened:
        assert opened.size == (960, 120)


def test_pictures_need_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pictures need matplotlib; pip install 'seqvae\[hub\]'"):
        draw_samples([], tmp_path / "samples.png")
