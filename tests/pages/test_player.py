"""Clips in a frame of another page: what it holds, and how it plays and saves them."""

import html
from pathlib import Path
from typing import Any

import pytest
from conftest import DATA as DATA_SLOT
from conftest import Page, until
from trained import band

from seqvae.music.midi import read_midi, to_pretty_midi, write_clips
from seqvae.pages.clip import pack_clip
from seqvae.pages.player import player_page
from seqvae.tokenizers.drums import DrumsTokenizer

NAMES = ["sample 1", "sample 2"]
# Without a charset, the browser guesses one from the bytes that come first.
AROUND = """<!DOCTYPE html><meta charset="utf-8"><title>around</title><script>
window.heights = [];
addEventListener("message", ({ data }) => heights.push(data.seqvaeHeight));
</script><iframe style="width:600px" sandbox="allow-scripts allow-downloads"
 srcdoc="PAGE"></iframe>"""


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    clips = [to_pretty_midi(band(seed, num_bars=1)) for seed in range(2)]
    return write_clips(clips, tmp_path, ["sample_00", "sample_01"])


def test_it_holds_the_clips_and_their_files(files: list[Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(player_page(DrumsTokenizer(), files, NAMES))
    clips = Page(page).data["clips"]
    assert [clip["name"] for clip in clips] == NAMES
    assert [clip["packed"] for clip in clips] == [pack_clip(read_midi(file, 4)) for file in files]
    assert DATA_SLOT.search(page.read_text())


def test_it_plays_saves_the_file_itself_and_tells_its_height(
    files: list[Path], tmp_path: Path, show: Any
) -> None:
    around = tmp_path / "around.html"
    around.write_text(
        AROUND.replace("PAGE", html.escape(player_page(DrumsTokenizer(), files, NAMES))),
        encoding="utf-8",
    )
    tab = show(Page(around))
    frame = tab.frame_locator("iframe")
    frame.locator(".play").nth(1).click()
    assert frame.locator('[aria-pressed="true"]').count() == 1
    frame.locator("text=Play all").click()
    until(tab, "heights.at(-1) > 150")
    with tab.expect_download() as download:
        frame.locator(".save").nth(1).click()
    assert download.value.suggested_filename == "sample_01.mid"
    assert Path(download.value.path()).read_bytes() == files[1].read_bytes()
