"""The picture of the first page."""

import sys
from pathlib import Path

import pytest
import rolls_picture
from PIL import Image
from trained import band

from seqvae.music.midi import to_pretty_midi


def digest_in(picture: Path) -> str:
    with Image.open(picture) as opened:
        return str(opened.info[rolls_picture.DIGEST])


def test_clips_are_drawn_from_start_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        to_pretty_midi(band(number, num_bars=2)).write(str(tmp_path / f"interpolate_0{number}.mid"))
    picture = tmp_path / "picture.png"
    monkeypatch.setattr(sys, "argv", ["rolls_picture.py", str(tmp_path), str(picture)])
    rolls_picture.main()
    assert digest_in(picture) == rolls_picture.digest(rolls_picture.clips_of(tmp_path))


def test_a_folder_without_an_interpolation_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["rolls_picture.py", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"no interpolate_\*\.mid"):
        rolls_picture.main()


def test_the_picture_shows_the_clips_of_the_examples() -> None:
    clips = rolls_picture.clips_of(rolls_picture.CLIPS)
    assert digest_in(rolls_picture.PICTURE) == rolls_picture.digest(clips), (
        "run python scripts/rolls_picture.py"
    )
    assert rolls_picture.PICTURE.stat().st_size < 100_000
