"""Scales: which notes belong to one, and what it is called.

A scale is a set of pitch classes above a tonic. Its tonic may be left open, for the key of a piece
to tell. Minor is natural minor; melodic minor has both of its forms, rising and falling.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.music.keys import FIFTHS, find_key, in_ascii, key_on, tonic_of
from seqvae.music.notes import NOTE_NAMES, Key, Notes

AUTO = "auto"
SCALES: dict[str, tuple[int, ...]] = {  # semitones above the tonic
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "melodic minor": (0, 2, 3, 5, 7, 8, 9, 10, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
    "major pentatonic": (0, 2, 4, 7, 9),
    "minor pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
    "major blues": (0, 2, 3, 4, 7, 9),
    "chromatic": tuple(range(12)),
}
MINORS = ("minor", "harmonic minor", "melodic minor")
PENTATONIC = "pentatonic"  # major or minor, as the key is
DEGREES = {"dorian": 2, "phrygian": 4, "lydian": 5, "mixolydian": 7, "locrian": 11}
"""Semitones from the major scale with the same notes up to a church mode."""
SPELLED = {
    "": "major", "maj": "major", "ionian": "major", "m": "minor", "min": "minor",
    "natural minor": "minor", "aeolian": "minor", "minor harmonic": "harmonic minor",
    "minor melodic": "melodic minor", "pentatonic major": "major pentatonic",
    "pentatonic minor": "minor pentatonic", "m pentatonic": "minor pentatonic",
    "blues major": "major blues", "minor blues": "blues", "blues minor": "blues",
}  # fmt: skip
NAME = re.compile(r"([A-G]|[a-g](?=.))([#b]?)[ -]*(.*)")


@dataclass(frozen=True)
class Scale:
    """A scale by its name: one of `SCALES`, or what a key decides (`PENTATONIC`, `AUTO`)."""

    name: str
    tonic: int | None = None
    """Its pitch class, 0 for C; None is that of a key."""

    @property
    def is_open(self) -> bool:
        """Whether a key has to tell what it is."""
        return self.name not in SCALES or (self.tonic is None and self.name != "chromatic")

    def on(self, key: Key) -> "Scale":
        """The scale with all that it leaves open taken from a key."""
        mode = "minor" if key.is_minor else "major"
        name = {AUTO: mode, PENTATONIC: f"{mode} {PENTATONIC}"}.get(self.name, self.name)
        return Scale(name, tonic_of(key) if self.tonic is None else self.tonic)

    @property
    def key(self) -> Key | None:
        """The major or minor key with its notes: A minor for D dorian; None where there is none."""
        if self.is_open or self.name == "chromatic":
            return None
        assert self.tonic is not None
        is_minor = 4 not in SCALES[self.name]
        if self.name in DEGREES:
            return Key(key_on(self.tonic - DEGREES[self.name], is_minor=False).num_sharps, is_minor)
        return key_on(self.tonic, is_minor=is_minor)

    @property
    def has_mode(self) -> bool:
        """Whether it stands on the tonic of its key, as church modes do not."""
        return self.key is not None and self.name not in DEGREES

    def pitch_classes(self) -> NDArray[np.bool_]:
        """Which of the twelve it holds, from C up."""
        holds = np.zeros(12, np.bool_)
        holds[[((self.tonic or 0) + degree) % 12 for degree in SCALES[self.name]]] = True
        return holds

    def __str__(self) -> str:
        """Its name: E minor, D dorian, chromatic."""
        return self.name if self.tonic is None else f"{NOTE_NAMES[self.tonic]} {self.name}"


def parse_scale(text: str) -> Scale:
    """The scale of a name: D dorian, Em, F# harmonic minor, blues, auto.

    Raises:
        InputError: it is none.
    """
    written = in_ascii(text).strip()
    name = _named(written)
    if name is not None and written:
        return Scale(name)
    match = NAME.fullmatch(written)
    name = _named(match[3]) if match else None
    if match is None or name in (None, AUTO):
        raise InputError(
            f"scale is {text[:40]!r}; write it as 'D dorian', 'E minor', 'blues' or 'auto'; there "
            f"are {', '.join(SCALES)}"
        )
    letter = (7 * (FIFTHS.index(match[1].upper()) - 1)) % 12
    name = f"major {name}" if name == PENTATONIC else name
    return Scale(name or "", (letter + (match[2] == "#") - (match[2] == "b")) % 12)


def _named(text: str) -> str | None:
    """The name of a scale in our spelling; None if there is no such scale."""
    words = re.sub(r"[ -]+", " ", text).strip()
    plain = words if words == "M" else words.lower().removesuffix(" scale").removesuffix(" mode")
    name = SPELLED.get(plain, plain)
    return name if name in (*SCALES, PENTATONIC, AUTO) else None


def suggested_scale(notes: Notes, num_sharps: int | None = None) -> Scale | None:
    """The scale of the key that notes suggest; None if they suggest none.

    Of the minor scales it is the smallest that holds as many of the notes as any. `num_sharps` is
    the signature of the key, where that is known.
    """
    key = find_key(notes, num_sharps)
    if key is None:
        return None
    names = MINORS if key.is_minor else ("major",)
    scales = [Scale(name, tonic_of(key)) for name in names]
    return max(scales, key=lambda scale: scale.pitch_classes()[notes["pitch"] % 12].sum())
