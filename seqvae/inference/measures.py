"""Named properties of a text or of a piece that can be measured, and so moved along.

Each is a function of one input and gives a number; none needs a model. `ATTRIBUTES` has them by
modality and name; a new one is a function and a line. Definitions with a source follow Roberts et
al. 2018, section 5.3; units stand in the docstrings, steps are those of the piece's grid.
"""

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from seqvae.music.notes import Notes, Piece, steps_per_bar

DIATONIC = np.array([0, 2, 4, 5, 7, 9, 11])  # pitch classes of C major

# Music


def note_density(piece: Piece) -> float:
    """Onsets a bar."""
    return len(np.unique(piece.notes[["start", "track"]])) * _bar(piece) / max(piece.end_step, 1)


def average_pitch(piece: Piece) -> float:
    """Mean MIDI pitch of notes that are no drums."""
    pitched = _pitched(piece)
    return float(pitched["pitch"].mean()) if len(pitched) else 0.0


def pitch_range(piece: Piece) -> float:
    """Semitones from the lowest to the highest note that is no drum."""
    pitched = _pitched(piece)
    return float(np.ptp(pitched["pitch"])) if len(pitched) else 0.0


def average_interval(piece: Piece) -> float:
    """Mean semitones, up or down, from one note of a track to the next (Roberts et al. 2018)."""
    pitched = _pitched(piece)
    lines = [pitched["pitch"][pitched["track"] == track] for track in np.unique(pitched["track"])]
    every = np.concatenate([np.empty(0), *(np.abs(np.diff(line.astype(float))) for line in lines)])
    return float(every.mean()) if len(every) else 0.0


def average_duration(piece: Piece) -> float:
    """Mean steps of notes that are no drums."""
    pitched = _pitched(piece)
    return float((pitched["end"] - pitched["start"]).mean()) if len(pitched) else 0.0


def scale_membership(piece: Piece) -> float:
    """Share of notes in C major; drums do not count (Roberts et al. 2018)."""
    pitched = _pitched(piece)
    return float(np.isin(pitched["pitch"] % 12, DIATONIC).mean()) if len(pitched) else 0.0


def eighth_syncopation(piece: Piece) -> float:
    """Share of onsets on the second eighth of a quarter whose first is not struck (ibid.)."""
    return _syncopation(piece, piece.steps_per_quarter // 2)


def sixteenth_syncopation(piece: Piece) -> float:
    """Share of onsets on the second sixteenth of an eighth whose first is not struck (ibid.)."""
    return _syncopation(piece, piece.steps_per_quarter // 4)


def repetition(piece: Piece) -> float:
    """Share of the places struck in a bar or the one before, drum by drum, that are so in both."""
    bar = _bar(piece)
    number, place = np.divmod(piece.notes["start"].astype(np.int64), bar)
    struck = place * 128 + np.where(piece.notes["is_drum"], piece.notes["pitch"], 0)
    bars = [set(struck[number == n].tolist()) for n in range(-(-piece.end_step // bar))]
    shares = [
        len(before & after) / len(before | after)
        for before, after in itertools.pairwise(bars)
        if before or after
    ]
    return float(np.mean(shares)) if shares else 0.0


def mean_velocity(piece: Piece) -> float:
    """Mean MIDI velocity."""
    return float(piece.notes["velocity"].mean()) if len(piece.notes) else 0.0


def swing(piece: Piece) -> float:
    """Steps by which onsets on the second and fourth sixteenth of a quarter come late."""
    quarter = piece.steps_per_quarter
    off = piece.notes[(piece.notes["start"] * 4 // quarter) % 2 == 1]
    return float(off["offset"].mean()) if len(off) else 0.0


def _syncopation(piece: Piece, distance: int) -> float:
    """Share of onsets `distance` steps after a point of a grid twice as wide that is silent."""
    onsets = np.unique(piece.notes["start"])
    if not len(onsets) or distance < 1:
        return 0.0
    late = onsets[onsets % (2 * distance) == distance]
    return float((~np.isin(late - distance, onsets)).sum() / len(onsets))


def _pitched(piece: Piece) -> Notes:
    notes: Notes = piece.notes[~piece.notes["is_drum"]]
    return notes


def _bar(piece: Piece) -> int:
    """Steps of a bar by the first metre; where that is no whole number, four quarters."""
    own = steps_per_bar(piece.metres[0], piece.steps_per_quarter)
    return own or 4 * piece.steps_per_quarter


# Text

PAST = re.compile(r"\b(?:was|were|had|did|went|came|said|got|made|took|saw|found|\w{3,}ed)\b", re.I)


def length(text: str) -> float:
    """Words."""
    return float(len(text.split()))


def word_length(text: str) -> float:
    """Mean letters of a word."""
    words = re.findall(r"\w+", text)
    return sum(map(len, words)) / len(words) if words else 0.0


def question(text: str) -> float:
    """1 where the text ends with a question mark, else 0."""
    return float(text.rstrip().endswith("?"))


def past_tense(text: str) -> float:
    """1 where a word looks like an English past tense, else 0."""
    return float(PAST.search(text) is not None)


ATTRIBUTES: dict[str, dict[str, Callable[[Any], float]]] = {
    "music": {
        measure.__name__: measure
        for measure in (
            note_density, average_pitch, pitch_range, average_interval, average_duration,
            scale_membership, eighth_syncopation, sixteenth_syncopation, repetition,
            mean_velocity, swing,
        )
    },
    "text": {
        measure.__name__: measure
        for measure in (length, word_length, question, past_tense)
    },
}  # fmt: skip
