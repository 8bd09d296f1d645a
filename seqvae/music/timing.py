"""Whether the onsets of a piece follow its grid: what was played freely has bars that mean nothing.

Onsets are looked at by their place within a quarter. Music on a grid crowds them at a few places;
a performance that nobody aligned with its file spreads them evenly.
"""

import numpy as np
from numpy.typing import NDArray

from seqvae.music.notes import DEFAULT_QPM, Piece
from seqvae.reasons import Reason

PARTS = (1, 2, 3, 4, 6, 8, 12)  # of a quarter, on which music may lie
PLACES = 48  # in a quarter, that are told apart
WAVES = np.exp(2j * np.pi * np.outer(PARTS, np.arange(PLACES)) / PLACES)  # (parts, places)

MIN_NOTES = 64  # fewer may spread evenly by chance
# Of 858 free piano performances all but one concentrate their onsets less than this, and of 2,000
# songs, tunes and drum takes on a grid, three more than look free.
FREE_CONCENTRATION = 0.15
FREE_CONCENTRATION_AT_DEFAULTS = 0.25  # where the file says 4/4 at 120 or nothing

FREE_CONCENTRATION_BY_BEATS = 0.1  # a user who names beats knows that there are some

OFF_SIXTEENTHS = 0.15  # sixteenths, from the nearest one
MAX_SHARE_OFF = 0.3
CLOSE, MIN_SHARE_CLOSE = 0.1, 0.8  # the same, of onsets that need no closer look

NO_GRID = Reason(
    "file",
    "no grid: the onsets follow no beat of the file",
    "--data.beats names its beat file, --data.grid none insists",
)
OTHER_BEATS = Reason(
    "file",
    "the onsets follow none of the beats of the beat file; is it of another performance?",
    "--data.grid none insists",
)
TRIPLETS = Reason(
    "file",
    "mostly triplets or swing, which the steps cannot hold",
    "--data.tokenizer.steps_per_quarter 12",
)
SHORT_NOTES = Reason(
    "file",
    "mostly shorter notes than sixteenths, which the steps cannot hold",
    "--data.tokenizer.steps_per_quarter 8",
)
OFF_GRID = Reason("file", "mostly off the sixteenths, and rounded to steps", "--data.beats")

# Grids that hold what lies between sixteenths: steps per quarter; the places there, so many
# sixteenths before and after the middle of each span of so many; and the share of the onsets in
# question that must lie close to those places.
FINER_GRIDS = {TRIPLETS: (12, 2 / 3, 4, 0.5), SHORT_NOTES: (8, 0, 1, 0.75)}


def on_sixteenths(piece: Piece) -> bool:
    """Whether the steps are sixteenths and so many onsets lie close to them that no more is to ask.

    The mean resultant length is then above all bounds. It is quick to tell, and true of most files.
    """
    if piece.steps_per_quarter != 4:
        return False
    num_close = np.count_nonzero(np.abs(piece.notes["offset"]) < CLOSE)
    return int(num_close) >= MIN_SHARE_CLOSE * len(piece.notes)


def quarters(piece: Piece) -> NDArray[np.float64]:
    """The onsets as played, in quarters from the start of the piece."""
    onsets: NDArray[np.float64] = piece.notes["start"] + piece.notes["offset"].astype(np.float64)
    return onsets / piece.steps_per_quarter


def concentration(onsets: NDArray[np.float64]) -> float:
    """How much onsets, in quarters, crowd at equal parts of a quarter: from 0, evenly, to 1.

    The largest mean resultant length of their phases within those parts (Fisher 1993, 2.3).
    """
    places = np.floor(onsets * PLACES + 0.5).astype(np.int64) % PLACES
    crowds = np.abs(WAVES @ np.bincount(places, minlength=PLACES))
    return float(crowds.max()) / max(1, len(onsets))


def has_grid(piece: Piece, *, by_beats: bool = False) -> bool:
    """Whether the onsets follow the quarters of the piece; of few notes nobody can tell.

    `by_beats` says that a beat file gave its quarters.
    """
    if len(piece.notes) < MIN_NOTES:
        return True
    says_nothing = all(str(metre) == "4/4" for metre in piece.metres) and all(
        abs(tempo.qpm - DEFAULT_QPM) < 0.1 for tempo in piece.tempos
    )
    bound = FREE_CONCENTRATION_AT_DEFAULTS if says_nothing else FREE_CONCENTRATION
    if by_beats:
        bound = FREE_CONCENTRATION_BY_BEATS
    return concentration(quarters(piece)) >= bound


def _sixteenths_away(piece: Piece) -> NDArray[np.float64]:
    """How far each onset lies from the nearest sixteenth, in sixteenths."""
    if piece.steps_per_quarter == 4:
        return np.abs(piece.notes["offset"].astype(np.float64))
    onsets = 4 * quarters(piece)
    return np.abs(onsets - np.floor(onsets + 0.5))


def off_grid(piece: Piece) -> Reason | None:
    """How most of the onsets leave the sixteenths, if they do: one of the three reasons above."""
    is_off = _sixteenths_away(piece) > OFF_SIXTEENTHS
    num_off = np.count_nonzero(is_off)
    if num_off <= MAX_SHARE_OFF * len(is_off):
        return None
    off = 4 * quarters(piece).compress(is_off)
    for reason, (steps_per_quarter, place, span, min_share) in FINER_GRIDS.items():
        from_middle = np.abs(off - span * np.floor(off / span) - span / 2)
        num_near = np.count_nonzero(np.abs(from_middle - place) < OFF_SIXTEENTHS)
        if num_near > min_share * num_off:
            return reason if piece.steps_per_quarter % steps_per_quarter else None
    return OFF_GRID
