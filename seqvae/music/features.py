"""Measures of a piece of music, each defined once, and how far two collections agree in them.

Some measures are a number per piece (`note_density`), others a value per note, step or bar
(`intervals`); the first kind summarises the second where both exist. `MEASURES` lists those that
serve as attributes of a model. `overlap` compares collections by histograms of `FEATURES`.

Pitches are MIDI numbers, times are steps of the piece's grid. Drums have no pitch, so measures of
pitch, interval and duration leave them out.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqvae.music.keys import find_key, key_fits, to_common_key
from seqvae.music.notes import Piece, bar_length, melody_line, pitched_notes

Values = NDArray[Any]  # numbers, one per note, step, bar or piece

SCALES = np.array(
    [[(pitch - tonic) % 12 in {0, 2, 4, 5, 7, 9, 11} for pitch in range(12)] for tonic in range(12)]
)  # whether the major scale on a tonic holds a pitch class; row 0 is C major
CONSONANCES = (0, 3, 4, 7, 8, 9)  # above a bass, in semitones, octaves removed; no fourth

# Values per note, step or bar


def pitch_classes(piece: Piece) -> Values:
    """Pitch class of every pitched note, 0 for C."""
    return pitched_notes(piece)["pitch"].astype(np.int64) % 12


def drum_pitches(piece: Piece) -> Values:
    """MIDI pitch of every drum note."""
    pitches: Values = piece.notes["pitch"][piece.notes["is_drum"]]
    return pitches


def durations(piece: Piece) -> Values:
    """Length of every pitched note in steps."""
    pitched = pitched_notes(piece)
    steps: Values = pitched["end"] - pitched["start"]
    return steps


def intervals(piece: Piece) -> Values:
    """Semitones from each onset of a track to its next one, below 0 if falling.

    The highest note of an onset counts.
    """
    pitched = pitched_notes(piece)
    lines = [
        melody_line(pitched[pitched["track"] == track]) for track in np.unique(pitched["track"])
    ]
    return np.concatenate([np.empty(0, np.int64), *(np.diff(line["pitch"]) for line in lines)])


def sounding_notes(piece: Piece) -> Values:
    """Number of notes, drums included, that sound at every step."""
    changes = np.zeros(piece.end_step + 1, np.int64)
    np.add.at(changes, piece.notes["start"], 1)
    np.add.at(changes, piece.notes["end"], -1)
    return changes.cumsum()[:-1]


def onsets_per_bar(piece: Piece) -> Values:
    """Number of onsets in every bar; notes that a track strikes together count once."""
    onsets = np.unique(piece.notes[["start", "track"]])["start"]
    bar = bar_length(piece)
    return np.bincount(onsets // bar, minlength=max(1, -(-piece.end_step // bar)))


def bar_similarities(piece: Piece) -> Values:
    """Similarity of every bar to the bar before it, 0 to 1.

    It is the number of positions that both bars strike over the number that either strikes. Hits of
    different drums are different positions; pitches make no difference. Two silent bars are left
    out.
    """
    bar = bar_length(piece)
    number, position = np.divmod(piece.notes["start"].astype(np.int64), bar)
    struck = position * 128 + np.where(piece.notes["is_drum"], piece.notes["pitch"], 0)
    bars = [set(struck[number == n].tolist()) for n in range(-(-piece.end_step // bar))]
    return np.array(
        [
            len(before & after) / len(before | after)
            for before, after in itertools.pairwise(bars)
            if before or after
        ]
    )


# A number per piece


def note_density(piece: Piece) -> float:
    """Onsets per bar (Roberts et al. 2018, section 5.3, count them per step)."""
    return float(onsets_per_bar(piece).sum()) * bar_length(piece) / max(piece.end_step, 1)


def average_pitch(piece: Piece) -> float:
    """Mean pitch."""
    return _mean(pitched_notes(piece)["pitch"])


def pitch_range(piece: Piece) -> float:
    """Semitones from the lowest to the highest note."""
    pitches = pitched_notes(piece)["pitch"]
    return float(np.ptp(pitches)) if len(pitches) else 0.0


def average_interval(piece: Piece) -> float:
    """Mean of the absolute `intervals` in semitones (Roberts et al. 2018, section 5.3)."""
    return _mean(np.abs(intervals(piece)))


def average_duration(piece: Piece) -> float:
    """Mean length of a note in steps."""
    return _mean(durations(piece))


def scale_membership(piece: Piece) -> float:
    """Share of notes in C major (Roberts et al. 2018, section 5.3: C diatonic membership)."""
    return _mean(SCALES[0][pitch_classes(piece)])


def minorness(piece: Piece) -> float:
    """How much better the best minor key fits the notes than the best major key, in correlation.

    Above 0 is minor. Transposition makes no difference.
    """
    fits = key_fits(pitched_notes(piece))
    return 0.0 if fits is None else float(fits[12:].max() - fits[:12].max())


def register(piece: Piece) -> float:
    """Mean pitch after the piece is moved to C major or A minor the nearest way.

    Of two pieces that differ by a key and no octave it is the same.
    """
    pitched = pitched_notes(piece)
    key = find_key(pitched)
    return _mean(pitched["pitch"]) + (0 if key is None else to_common_key(key))


def scale_share(piece: Piece) -> float:
    """Share of notes in the diatonic scale that holds most of them; nan if no note has a pitch.

    The twelve diatonic scales are the major scales, which are the natural minor scales as well.
    Harmonic minor is not counted: twelve more scales would bring random notes closer to music.
    Few notes fit some scale by chance, so compare pieces with similar numbers of notes.
    """
    counts = np.bincount(pitch_classes(piece), minlength=12)
    return float((SCALES @ counts).max() / counts.sum()) if counts.any() else math.nan


def melody_bass_consonance(piece: Piece) -> float:
    """Share of steps at which the highest and the lowest sounding note are consonant.

    Only steps at which two or more pitched notes sound are counted; nan if there are none. Unison,
    thirds, perfect fifth, sixths and their compounds are consonant; a fourth above the bass is not.
    """
    num_sounding = np.zeros(piece.end_step, np.int64)
    lowest, highest = np.full(piece.end_step, 127), np.zeros(piece.end_step, np.int64)
    for start, end, pitch in pitched_notes(piece)[["start", "end", "pitch"]].tolist():
        num_sounding[start:end] += 1
        lowest[start:end] = np.minimum(lowest[start:end], pitch)
        highest[start:end] = np.maximum(highest[start:end], pitch)
    is_consonant = np.isin((highest - lowest) % 12, CONSONANCES)[num_sounding > 1]
    return float(is_consonant.mean()) if len(is_consonant) else math.nan


def voice_crossing(piece: Piece) -> float:
    """Share of steps at which a track sounds above one whose mean pitch is higher.

    Only steps at which two or more pitched tracks sound are counted; nan if there are none. Of the
    notes that a track sounds together, the highest counts.
    """
    pitched = pitched_notes(piece)
    tracks = [pitched[pitched["track"] == track] for track in np.unique(pitched["track"])]
    tracks.sort(key=lambda notes: float(notes["pitch"].mean()))
    sounding = np.full((len(tracks), piece.end_step), -1)
    for row, notes in zip(sounding, tracks, strict=True):
        for start, end, pitch in notes[["start", "end", "pitch"]].tolist():
            row[start:end] = np.maximum(row[start:end], pitch)
    together = sounding[:, (sounding >= 0).sum(0) > 1]
    if not together.size:
        return math.nan
    highest_below = np.maximum.accumulate(together, axis=0)[:-1]
    above = together[1:]
    return float(((above >= 0) & (above < highest_below)).any(0).mean())


def eighth_syncopation(piece: Piece) -> float:
    """Share of onsets on an off-beat eighth, with none in the eighth before it.

    The off-beat eighth is the second one of a quarter (Roberts et al. 2018, appendix C).
    """
    return _syncopation(piece, piece.steps_per_quarter // 2)


def sixteenth_syncopation(piece: Piece) -> float:
    """Share of onsets on an off-beat sixteenth, with none in the sixteenth before it.

    The off-beat sixteenth is the second one of an eighth (Roberts et al. 2018, appendix C).
    """
    return _syncopation(piece, piece.steps_per_quarter // 4)


def _syncopation(piece: Piece, unit: int) -> float:
    """Share of onsets on the second of two units of so many steps, with none in the unit before."""
    onsets = np.unique(piece.notes["start"])
    if not len(onsets) or unit < 1:
        return 0.0
    is_off_beat = onsets % (2 * unit) == unit
    follows_silence = np.diff(onsets, prepend=-2 * unit) > unit
    return float((is_off_beat & follows_silence).mean())


def repetition(piece: Piece) -> float:
    """Mean of `bar_similarities`, 0 to 1."""
    return _mean(bar_similarities(piece))


def mean_velocity(piece: Piece) -> float:
    """Mean MIDI velocity, drums included."""
    return _mean(piece.notes["velocity"])


def swing(piece: Piece) -> float:
    """Mean delay, in steps, of notes on the second and fourth sixteenth of a quarter."""
    sixteenths = piece.notes["start"] * 4 // piece.steps_per_quarter
    return _mean(piece.notes["offset"][sixteenths % 2 == 1])


def _mean(values: Values) -> float:
    """The mean, 0 if there are no values."""
    return float(values.mean()) if len(values) else 0.0


MEASURES: dict[str, Callable[[Piece], float]] = {
    measure.__name__: measure
    for measure in (
        note_density, average_pitch, pitch_range, average_interval, average_duration,
        scale_membership, minorness, register, eighth_syncopation, sixteenth_syncopation,
        repetition, mean_velocity, swing,
    )
}  # fmt: skip


# Two collections


@dataclass(frozen=True, eq=False)
class Feature:
    """Values that pieces are compared by, and the histogram in which they are counted."""

    values: Callable[[Piece], Values]
    edges: NDArray[np.float64]
    """Edges of the bins, rising. Values beyond the outer edges fall into the outer bins."""

    def histogram(self, pieces: Sequence[Piece]) -> NDArray[np.int64]:
        """Number of values of all pieces in each bin."""
        values = np.concatenate([np.empty(0), *map(self.values, pieces)])
        inside = np.clip(values, self.edges[0], self.edges[-1])
        counts: NDArray[np.int64] = np.histogram(inside, self.edges)[0]
        return counts


def _integers(low: int, high: int) -> NDArray[np.float64]:
    """Edges of one bin per integer from `low` to `high`."""
    return np.arange(low, high + 2, dtype=np.float64) - 0.5


def _one_per_piece(measure: Callable[[Piece], float]) -> Callable[[Piece], Values]:
    """The measure of a piece as its one value; silence has none."""
    return lambda piece: np.array([measure(piece)] if len(piece.notes) else [])


COUNTS, TENTHS = _integers(0, 64), np.arange(11) / 10

FEATURES = {
    "pitch_classes": Feature(pitch_classes, _integers(0, 11)),
    "drum_pitches": Feature(drum_pitches, _integers(0, 127)),
    "note_density": Feature(onsets_per_bar, COUNTS),
    "intervals": Feature(intervals, _integers(-24, 24)),
    "durations": Feature(durations, COUNTS),
    "eighth_syncopation": Feature(_one_per_piece(eighth_syncopation), TENTHS),
    "sixteenth_syncopation": Feature(_one_per_piece(sixteenth_syncopation), TENTHS),
    "polyphony": Feature(sounding_notes, COUNTS),
    "repetition": Feature(bar_similarities, TENTHS),
}


def overlap(first: Sequence[Piece], second: Sequence[Piece]) -> dict[str, float]:
    """Overlapping area, 0 to 1, of the histograms of two collections, by feature.

    The area is sum_b min(p_b, q_b) over the bins b (after Yang & Lerch 2020, who compare
    distributions of distances). A feature of which one collection has no values is left out. Two
    halves of one collection do not reach 1 either, so compare with training against held-out data.
    """
    areas = {}
    for name, feature in FEATURES.items():
        counts = [feature.histogram(pieces) for pieces in (first, second)]
        if all(count.any() for count in counts):
            areas[name] = float(np.minimum(*(count / count.sum() for count in counts)).sum())
    return areas
