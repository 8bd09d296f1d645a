"""Is it music? How far what a model samples is distributed as music is, feature by feature.

A feature gives the values of a piece, which fall into bins; over many pieces they make a histogram.
Two collections are compared by the overlapping area of their histograms, sum_b min(p_b, q_b): 1
where they are alike, 0 where they share nothing (after Yang & Lerch 2020, who compare distances).

Two halves of one collection do not reach 1 either: the figure between training and held-out pieces
is what a model could reach at best.
"""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from seqvae.music.notes import Notes, Piece, steps_per_bar

Values = NDArray[np.int64]  # the number of a bin each

MAX_COUNT = 64  # larger counts share the last bin
MAX_INTERVAL = 24  # semitones; larger ones share the outer bins
TENTHS = 10  # bins of a share


def overlap(first: Sequence[Piece], second: Sequence[Piece]) -> dict[str, float]:
    """Overlapping area of two collections by each feature that both have."""
    areas = {}
    for name, feature in FEATURES.items():
        counts = [_histogram([feature(piece) for piece in pieces]) for pieces in (first, second)]
        if all(own.sum() for own in counts):
            size = max(len(own) for own in counts)
            shares = [np.pad(own, (0, size - len(own))) / own.sum() for own in counts]
            areas[name] = float(np.minimum(*shares).sum())
    return areas


def _histogram(values: list[Values]) -> NDArray[np.int64]:
    return np.bincount(np.concatenate([np.empty(0, np.int64), *values]))


def pitch_classes(piece: Piece) -> Values:
    """The pitch class of every note that is no drum."""
    return _pitched(piece)["pitch"].astype(np.int64) % 12


def drum_pitches(piece: Piece) -> Values:
    """The pitch of every drum note."""
    pitches: Values = piece.notes["pitch"][piece.notes["is_drum"]].astype(np.int64)
    return pitches


def note_density(piece: Piece) -> Values:
    """Notes of every bar."""
    bar = _bar(piece)
    num_bars = max(1, -(-piece.end_step // bar))
    counts = np.bincount(piece.notes["start"] // bar, minlength=num_bars)
    density: Values = np.minimum(counts, MAX_COUNT)
    return density


def intervals(piece: Piece) -> Values:
    """Semitones from each note of a track to the next onset's highest, up or down."""
    found = [np.empty(0, np.int64)]
    pitched = _pitched(piece)
    for track in np.unique(pitched["track"]):
        own = pitched[pitched["track"] == track]
        top = own["pitch"][np.append(own["start"][1:] != own["start"][:-1], True)]
        found.append(np.clip(np.diff(top.astype(np.int64)), -MAX_INTERVAL, MAX_INTERVAL))
    return np.concatenate(found) + MAX_INTERVAL


def durations(piece: Piece) -> Values:
    """Steps of every note that is no drum."""
    pitched = _pitched(piece)
    steps: Values = np.minimum(pitched["end"] - pitched["start"], MAX_COUNT).astype(np.int64)
    return steps


def syncopation(piece: Piece) -> Values:
    """The share of onsets that lie off the quarters, with nothing struck on the next one."""
    onsets = np.unique(piece.notes["start"])
    if not len(onsets):
        return np.empty(0, np.int64)
    quarter = piece.steps_per_quarter
    next_beat = -(-onsets // quarter) * quarter
    syncopated = (onsets % quarter > 0) & ~np.isin(next_beat, onsets)
    return _tenths(syncopated.mean())


def polyphony(piece: Piece) -> Values:
    """Notes that sound at every step."""
    changes = np.zeros(piece.end_step + 1, np.int64)
    np.add.at(changes, piece.notes["start"], 1)
    np.add.at(changes, piece.notes["end"], -1)
    sounding: Values = np.minimum(changes.cumsum()[:-1], MAX_COUNT)
    return sounding


def self_similarity(piece: Piece) -> Values:
    """The share of each bar's onsets, by place and pitch, that the bar before it has as well."""
    bar = _bar(piece)
    number, place = np.divmod(piece.notes["start"].astype(np.int64), bar)
    struck = place * 128 + piece.notes["pitch"]
    bars = [np.unique(struck[number == n]) for n in range(-(-piece.end_step // bar))]
    shares = [
        len(np.intersect1d(before, after)) / len(np.union1d(before, after))
        for before, after in itertools.pairwise(bars)
        if len(before) or len(after)
    ]
    return np.concatenate([np.empty(0, np.int64), *(_tenths(share) for share in shares)])


FEATURES: dict[str, Callable[[Piece], Values]] = {
    feature.__name__: feature
    for feature in (
        pitch_classes,
        drum_pitches,
        note_density,
        intervals,
        durations,
        syncopation,
        polyphony,
        self_similarity,
    )
}


def _pitched(piece: Piece) -> Notes:
    notes: Notes = piece.notes[~piece.notes["is_drum"]]
    return notes


def _bar(piece: Piece) -> int:
    """Steps of a bar by the first metre; where that is no whole number, four quarters."""
    own = steps_per_bar(piece.metres[0], piece.steps_per_quarter)
    return own or 4 * piece.steps_per_quarter


def _tenths(share: float) -> Values:
    return np.array([min(int(share * TENTHS), TENTHS - 1)])
