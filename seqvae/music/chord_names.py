"""Names of chords -> numbers, in the spellings of lead sheets, jazz, Harte's files and Unicode.

A chord is one of five triads on one of twelve roots, or none. Sevenths, added notes and other bass
notes are ignored. The number of a chord is 1 + 12 * quality + root; 0 is no chord.
"""

import re
import unicodedata

from seqvae.errors import InputError

QUALITIES = {"": (0, 4, 7), "m": (0, 3, 7), "aug": (0, 4, 8), "dim": (0, 3, 6), "sus4": (0, 5, 7)}
NO_CHORD = 0
NUM_CHORDS = 1 + 12 * len(QUALITIES)
ACCEPTED = "C, Am, F#dim, Bbaug, Gsus4, D7, Em7/B, C:maj, N for none"

NO_CHORD_NAMES = frozenset({"n", "n.c.", "nc", "x", "none"})
ROOTS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}

# Signs of music and of jazz in plain letters. They are replaced before compatible characters are
# (NFKC), which makes 7 of a raised seven.
PLAIN = str.maketrans(
    {
        "\u266f": "#", "\u266d": "b", "\u266e": "", "\U0001d12a": "##", "\U0001d12b": "bb",
        "\u00b0": "dim", "\u00ba": "dim", "\u02da": "dim", "\u25cb": "dim",
        "\u00f8": "hdim", "\u00d8": "hdim", "\u2205": "hdim", "\u2300": "hdim",
        "\u0394": "maj7", "\u03b4": "maj7", "\u2206": "maj7", "\u25b3": "maj7", "\u25b2": "maj7",
        "^": "maj7", "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2212": "-",
        "[": "(", "]": ")", "_": "",
    }
)  # fmt: skip

# How the quality of a chord is spelled; a spelling stands before those that it starts with.
SPELLINGS = {
    "major": "", "maj": "", "Major": "", "Maj": "", "MAJ": "", "ma": "", "Ma": "", "MA": "",
    "minor": "m", "minmaj": "m", "min": "m", "Min": "m", "MIN": "m", "mi": "m", "Mi": "m",
    "MI": "m", "m": "m", "-": "m", "M": "", "dom": "",
    "half-dim": "dim", "halfdim": "dim", "hdim": "dim", "diminished": "dim", "dim": "dim",
    "Dim": "dim", "DIM": "dim", "o": "dim", "h": "dim",
    "augmented": "aug", "aug": "aug", "Aug": "aug", "AUG": "aug", "+": "aug",
    "sus4": "sus4", "sus2": "sus2", "sus": "sus4", "": "",
}  # fmt: skip
DEGREE = r"[#b+-]?\d+"
NAME = re.compile(
    rf"([A-G])(#+|b+|x|):?({'|'.join(map(re.escape, SPELLINGS))})"
    rf"((?:maj|Maj|ma|Ma|M|j|add|sus4|sus2|sus|no|omit|alt|dom|{DEGREE}|\+|\([^()]*\))*)"
    rf"((?:/(?:[A-G](?:#*|b*)|(?:maj|M)?{DEGREE}))*)"
)
# In a progression: what stands between bars, lines and arrows.
WORD = re.compile(r"(?:\([^()]*\)|[^\s,;|(])+")
SEPARATOR = re.compile(r"[-:>\u2010-\u2015\u2192]+")


def parse_chord(name: str) -> int:
    """The number of the chord with this name.

    Raises:
        InputError: the name is not that of a chord.
    """
    if name.lower() in NO_CHORD_NAMES:
        return NO_CHORD
    match = NAME.fullmatch(unicodedata.normalize("NFKC", name.translate(PLAIN)))
    if match is None:
        raise InputError(f"{name[:40]!r} is not a chord; write chords as {ACCEPTED}")
    letter, accidentals, spelling, extension, _ = match.groups()
    root = ROOTS[letter] + accidentals.count("#") - accidentals.count("b")
    root += 2 * (accidentals == "x")
    quality = _altered(SPELLINGS[spelling], extension)
    if quality == "sus2":  # C D G is an inversion of G C D
        quality, root = "sus4", root + 7
    return number(root, list(QUALITIES).index(quality))


def _altered(quality: str, extension: str) -> str:
    """The quality of a chord with what follows its spelling."""
    degrees = set(re.findall(rf"\*?{DEGREE}|\+$|sus[24]?", extension))
    if quality == "" and "sus2" in degrees:
        return "sus2"
    if quality == "" and degrees & {"sus", "sus4"}:
        return "sus4"
    if quality == "" and extension.startswith("("):  # Harte's intervals alone, such as (1,b3,5)
        if "b3" in degrees:
            quality = "m"
        elif {"4", "5"} <= degrees and "3" not in degrees:
            quality = "sus4"
    if quality == "m" and degrees & {"b5", "-5"}:
        return "dim"
    if quality == "" and degrees & {"#5", "+5", "+"}:
        return "aug"
    return quality


def parse_chords(text: str) -> list[int]:
    """The numbers of chords between spaces, commas, bar lines or dashes: "C Am | F, G".

    Raises:
        InputError: a name is not that of a chord, or there are none.
    """
    names = [name for name in WORD.findall(text) if not SEPARATOR.fullmatch(name)]
    if not names:
        raise InputError(f"no chords in {text[:40]!r}; write chords as {ACCEPTED}")
    return [parse_chord(name) for name in names]


def number(root: int, quality: int) -> int:
    """The number of the chord on a root with the quality at this place in `QUALITIES`."""
    return 1 + 12 * quality + root % 12
