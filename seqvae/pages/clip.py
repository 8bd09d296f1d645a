"""Clips as JSON, which `clip.js` unpacks and pages draw, play and save."""

from typing import Any

import numpy as np

from seqvae.music.notes import Piece
from seqvae.pages.page import Data
from seqvae.tokenizers.contract import MusicTokenizer
from seqvae.tokenizers.kits import CLASS_OF, CLASSES, NUM_CLASSES

NUM_PROGRAMS = 128  # of General MIDI


def grid_data(tokenizer: MusicTokenizer) -> Data:
    """What all clips of a tokenizer share: their grid, and what the numbers of sounds stand for."""
    return {
        "steps_per_quarter": tokenizer.steps_per_quarter,
        "num_programs": NUM_PROGRAMS,
        "drums": [*CLASSES, "other percussion"],
    }


def pack_clip(piece: Piece) -> Data:
    """Columns of notes, in steps; a column is a single number if all its values are equal.

    A sound is a General MIDI program, or `NUM_PROGRAMS` plus the index of a drum. Offsets are in
    hundredths of a step.
    """
    notes = piece.notes
    drum_class = CLASS_OF[notes["pitch"]]
    drum = np.where(drum_class < 0, NUM_CLASSES, drum_class)
    columns = {
        "start": notes["start"],
        "length": notes["end"] - notes["start"],
        "pitch": notes["pitch"],
        "velocity": notes["velocity"],
        "sound": np.where(notes["is_drum"], NUM_PROGRAMS + drum, notes["program"]),
        "offset": np.rint(100 * notes["offset"]).astype(int),
    }
    return {
        "count": len(notes),
        "steps": piece.end_step,
        "qpm": piece.qpm_at(0),
        "metre": str(piece.metres[0]),
        **{name: _pack_column(values) for name, values in columns.items()},
    }


def _pack_column(values: Any) -> int | list[int]:
    """One number for a column of equal numbers."""
    numbers: list[int] = values.tolist()
    return numbers[0] if len({*numbers}) == 1 else numbers
