"""A page of clips to play and to save, for the frame of another page."""

import base64
from collections.abc import Sequence
from pathlib import Path

from seqvae.music.midi import read_midi
from seqvae.pages.clip import grid_data, pack_clip
from seqvae.pages.page import fill
from seqvae.tokenizers.contract import MusicTokenizer

TEMPLATE = "player.html"


def player_page(tokenizer: MusicTokenizer, files: Sequence[Path], names: Sequence[str]) -> str:
    """The page of some MIDI files by the names that are shown; they are saved as they are.

    It tells the page around it the height that it needs: the message {seqvaeHeight: pixels}.
    """
    clips = [
        {
            "name": name,
            "file_name": file.name,
            "packed": pack_clip(read_midi(file, tokenizer.steps_per_quarter)),
            "file": base64.b64encode(file.read_bytes()).decode(),
        }
        for file, name in zip(files, names, strict=True)
    ]
    return fill(TEMPLATE, {"grid": grid_data(tokenizer), "clips": clips})
