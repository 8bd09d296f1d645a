"""Turn four-part chorales on two staves, written by MuseScore 3, into MIDI files of four tracks.

    python scripts/models/chorales_to_midi.py SCORES MIDI

Every `.mscz` file in SCORES whose two staves have two voices each becomes a file of the same name
in MIDI. Note values are halved: these books write a chord as a half note, where most hymnals and
Bach's chorales have a quarter. A bar of 4/4 becomes one of 2/4.
"""

import sys
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from symusic import Note, Score, Tempo, TimeSignature, Track

VOICES = ("soprano", "alto", "tenor", "bass")  # two of each staff
TICKS = 480  # a quarter
WHOLE = TICKS * 2  # a whole note as it is written, which lasts two quarters
QPM = 72.0
VELOCITY = 80
LENGTHS = {
    "breve": Fraction(2), "whole": Fraction(1), "half": Fraction(1, 2), "quarter": Fraction(1, 4),
    "eighth": Fraction(1, 8), "16th": Fraction(1, 16), "32nd": Fraction(1, 32),
}  # fmt: skip
GRACE = ("acciaccatura", "appoggiatura", "grace4", "grace8", "grace16", "grace32")

Sung = tuple[Fraction, Fraction, int, bool]  # start and end in whole notes, pitch, tied to the last


def score_of(file: Path) -> ElementTree.Element:
    """The score in a compressed file."""
    with zipfile.ZipFile(file) as packed:
        inside = ElementTree.fromstring(packed.read("META-INF/container.xml"))
        path = next(item.get("full-path", "") for item in inside.iter("rootfile"))
        return ElementTree.fromstring(packed.read(path))


def to_midi(root: ElementTree.Element) -> Any:
    """The score as MIDI: a track for each voice, and the metres."""
    staves = [staff.findall("Measure") for staff in root.findall("Score/Staff")]
    if len(staves) != 2 or {_num_voices(staff) for staff in staves} != {2}:
        raise ValueError("not two staves of two voices")
    made: Any = Score(TICKS)
    made.tempos.append(Tempo(0, qpm=QPM))
    voices: dict[str, list[Sung]] = {voice: [] for voice in VOICES}
    for start, upper, lower in _bars(staves[0], staves[1], made):
        for place, measure in enumerate((upper, lower)):
            for voice, notes in zip(
                VOICES[2 * place :], map(_sung, measure.findall("voice")), strict=False
            ):
                voices[voice] += [
                    (start + a, start + b, pitch, tied) for a, b, pitch, tied in notes
                ]
    for voice, sung in voices.items():
        track: Any = Track(voice)
        for a, b, pitch in _joined(sung):
            track.notes.append(Note(_ticks(a), _ticks(b - a), pitch, VELOCITY))
        made.tracks.append(track)
    return made


def _num_voices(staff: list[ElementTree.Element]) -> int:
    return max(len(measure.findall("voice")) for measure in staff)


def _bars(
    upper: list[ElementTree.Element], lower: list[ElementTree.Element], made: Any
) -> Iterator[tuple[Fraction, ElementTree.Element, ElementTree.Element]]:
    """The measures of both staves and where they begin; `made` gets the metres.

    A pickup stands at the end of a whole measure, so that bars begin where bar lines are.
    """
    start, full = Fraction(0), Fraction(1)
    for above, below in zip(upper, lower, strict=True):
        for sign in above.iter("TimeSig"):
            full = Fraction(int(sign.findtext("sigN", "4")), int(sign.findtext("sigD", "4")))
            made.time_signatures.append(TimeSignature(_ticks(start), int(2 * full), 4))
        lasts = Fraction(above.get("len", str(full)))
        if start == 0 and lasts < full:
            start = full - lasts
        yield start, above, below
        start += lasts


def _sung(voice: ElementTree.Element) -> list[Sung]:
    """The notes of a voice in a measure, counted from its beginning."""
    now, scale, notes = Fraction(0), Fraction(1), []
    for item in voice:
        if item.tag == "Tuplet":
            normal, actual = item.findtext("normalNotes", "2"), item.findtext("actualNotes", "3")
            scale = Fraction(int(normal), int(actual))
        elif item.tag == "endTuplet":
            scale = Fraction(1)
        elif item.tag == "location":
            now += Fraction(item.findtext("fractions", "0"))
        elif item.tag in ("Chord", "Rest") and not any(item.find(tag) is not None for tag in GRACE):
            lasts = scale * _length(item)
            for note in item.findall("Note"):
                tied = note.find("Spanner[@type='Tie']/prev") is not None
                notes.append((now, now + lasts, int(note.findtext("pitch", "60")), tied))
            now += lasts
    return notes


def _length(item: ElementTree.Element) -> Fraction:
    """How long a note or rest lasts, with its dots."""
    if item.findtext("durationType") == "measure":
        return Fraction(item.findtext("duration", "1"))
    dots = int(item.findtext("dots", "0"))
    return LENGTHS[item.findtext("durationType", "")] * (2 - Fraction(1, 2**dots))


def _joined(sung: list[Sung]) -> Iterator[tuple[Fraction, Fraction, int]]:
    """Notes of which those that are tied are one."""
    held: list[tuple[Fraction, Fraction, int]] = []
    for start, end, pitch, tied in sung:
        if tied and held and held[-1][1:] == (start, pitch):
            held[-1] = (held[-1][0], end, pitch)
        else:
            held.append((start, end, pitch))
    yield from held


def _ticks(wholes: Fraction) -> int:
    return round(wholes * WHOLE)


def main(scores: Path, midi: Path) -> None:
    """Convert all chorales of a folder, and say which ones cannot be."""
    midi.mkdir(parents=True, exist_ok=True)
    for file in sorted(scores.glob("*.mscz")):
        try:
            made = to_midi(score_of(file))
        except (ElementTree.ParseError, zipfile.BadZipFile, ValueError, KeyError) as error:
            print(f"{file}: left out ({error})")
            continue
        made.dump_midi(midi / file.with_suffix(".mid").name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
