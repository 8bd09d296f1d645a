"""Keys: which one the notes of a piece suggest, their names, and moving a piece to another.

A key and its relative have the same signature and the same notes: C major and A minor have none of
sharps and flats, and are called the common key here.
"""

import re
from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.music.chords import transpose_chords
from seqvae.music.notes import Key, Notes, Piece, pitched_notes, sort_notes

# How often each degree of a key occurs, from the tonic up in semitones (Albrecht & Shanahan 2013).
MAJOR = (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081)
MINOR = (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052)
PROFILES = np.array([np.roll(mode, tonic) for mode in (MAJOR, MINOR) for tonic in range(12)])
DEVIATIONS = PROFILES - PROFILES.mean(1, keepdims=True)
DEVIATIONS /= np.linalg.norm(DEVIATIONS, axis=1, keepdims=True)

FIFTHS = "FCGDAEB"  # tonics of major keys from one flat to five sharps
MAX_SHARPS = 7  # of a signature in MIDI
NAME = re.compile(r"([A-G]|[a-g](?=.*m))([#b]?)[ -]*(|m|min|minor|maj|major)")
NUM_PITCHES = 128


def find_key(notes: Notes, num_sharps: int | None = None) -> Key | None:
    """The key whose profile correlates best with the notes; None if there are none.

    Where the signature is known, it is one of the two keys that have it. Each pitch class counts by
    the square root of the time that it sounds, so that a few long notes do not outweigh the rest.
    Notes should have pitches: no drums.
    """
    fits = key_fits(notes)
    if fits is None:
        return None
    if num_sharps is not None:
        known = [12 * is_minor + tonic_of(Key(num_sharps, is_minor)) for is_minor in (False, True)]
        fits[np.setdiff1d(np.arange(len(fits)), known)] = -np.inf
    is_minor, tonic = divmod(int(fits.argmax()), 12)
    return key_on(tonic, is_minor=bool(is_minor))


def key_fits(notes: Notes) -> NDArray[np.float64] | None:
    """Correlation of the notes with each key: majors from C up, then minors; None without notes."""
    time = np.bincount(notes["pitch"] % 12, notes["end"] - notes["start"], minlength=12)
    weights = np.sqrt(time)
    if not len(notes) or np.ptp(weights) == 0:
        return None
    deviations = weights - weights.mean()
    fits: NDArray[np.float64] = DEVIATIONS @ deviations / np.linalg.norm(deviations)
    return fits


def key_on(tonic: int, *, is_minor: bool) -> Key:
    """The key on a pitch class, with five flats to six sharps."""
    relative_major = tonic + 3 * is_minor
    return Key((7 * relative_major + 5) % 12 - 5, is_minor)


def tonic_of(key: Key) -> int:
    """The pitch class on which a key stands."""
    return (7 * key.num_sharps - 3 * key.is_minor) % 12


def in_ascii(name: str) -> str:
    """The name of a key or a scale with # and b for the signs of sharps and flats."""
    return name.replace("\u266f", "#").replace("\u266d", "b")


def key_name(key: Key) -> str:
    """A key in words: D major, Bb minor."""
    accidentals, letter = divmod(key.num_sharps + 1 + 3 * key.is_minor, 7)
    sign = "#" * accidentals if accidentals > 0 else "b" * -accidentals
    return f"{FIFTHS[letter]}{sign} {'minor' if key.is_minor else 'major'}"


def parse_key(text: str) -> Key:
    """The key of a name: E minor, Em, Bb major, F#.

    Raises:
        InputError: it is none.
    """
    match = NAME.fullmatch(in_ascii(text).strip())
    if match is None:
        raise InputError(
            f"key is {text[:40]!r}; write it as 'E minor', 'Em' or 'Bb major'; other scales are "
            "for --scale"
        )
    letter, accidental, mode = match.groups()
    is_minor = mode in ("m", "min", "minor")
    num_sharps = FIFTHS.index(letter.upper()) - 1 - 3 * is_minor
    num_sharps += 7 * (accidental == "#") - 7 * (accidental == "b")
    while abs(num_sharps) > MAX_SHARPS:  # G# major is Ab major
        num_sharps -= 12 if num_sharps > 0 else -12
    return Key(num_sharps, is_minor)


def to_common_key(key: Key) -> int:
    """Semitones, -6 to 5, by which a piece of this key moves to C major or A minor."""
    return nearest_way(5 * key.num_sharps)


def nearest_way(semitones: int) -> int:
    """The same interval without its octaves, -6 to 5 semitones."""
    return (semitones + 6) % 12 - 6


def in_common_key(
    piece: Piece,
    key: Key | None = None,
    *,
    pitches: range = range(NUM_PITCHES),
    kits: Collection[int] = (),
) -> Piece:
    """A piece in C major or A minor, moved the nearest way that keeps its notes among `pitches`.

    Where none does, it stays as it is written, if that does. It is moved from `key`, or else from
    the key that its notes suggest. Drums stay, and so do the tracks of these numbers. What was
    moved once stays.
    """
    if piece.moved is not None:
        return piece
    pitched = pitched_notes(piece)
    pitched = pitched[~np.isin(pitched["track"], [*kits])]
    key = key or find_key(pitched)
    if key is None or not len(pitched):
        return replace(piece, moved=0)
    nearest = to_common_key(key)
    other_way = nearest - 12 if nearest > 0 else nearest + 12
    low, high = (int(extreme(pitched["pitch"])) for extreme in (np.min, np.max))
    ways = (nearest, other_way, 0)
    fits = [way for way in ways if low + way in pitches and high + way in pitches]
    semitones = (fits or ways)[0]
    return replace(transposed(piece, semitones, kits), moved=semitones)


def transposed(piece: Piece, semitones: int, kits: Collection[int] = ()) -> Piece:
    """A piece with its chords and its notes moved up, but for drums and for tracks that are kits.

    Notes that would lie outside what MIDI has stay an octave within.
    """
    if semitones == 0:
        return piece
    notes = piece.notes.copy()
    stays = notes["is_drum"] | np.isin(notes["track"], [*kits])
    pitch = notes["pitch"] + semitones * ~stays
    notes["pitch"] = pitch + 12 * (pitch < 0) - 12 * (pitch >= NUM_PITCHES)
    chords = piece.chords
    if chords:
        steps, numbers = zip(*chords, strict=True)
        above = transpose_chords(np.array(numbers), np.array(semitones))
        chords = tuple(zip(steps, above.tolist(), strict=True))
    return replace(piece, notes=sort_notes(notes), chords=chords)
