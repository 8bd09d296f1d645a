"""Turn MusicXML scores into MIDI files, one track a part, without a notation program.

    python scripts/models/scores_to_midi.py SCORES MIDI

Every `.mxl` and `.musicxml` file below SCORES becomes a file of the same name below MIDI. What is
played once is written once: repeats are not unfolded, grace notes are left out.
"""

import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from symusic import Note, Score, Tempo, TimeSignature, Track

TICKS = 480  # a quarter
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
VELOCITY = 80


@dataclass
class Part:
    """A part while its measures are read; times are in quarters."""

    name: str
    measures: list[ElementTree.Element]
    divisions: int = 1
    transposed: int = 0
    notes: list[tuple[Fraction, Fraction, int]] = field(default_factory=list)  # start, end, pitch
    tied: dict[int, int] = field(default_factory=dict)  # pitch -> its note that goes on

    def read(self, number: int, start: Fraction) -> Fraction:
        """Take the notes of a measure, and return how long it is."""
        now = longest = onset = Fraction(0)
        for item in self.measures[number]:
            if item.tag == "attributes":
                self.divisions = int(item.findtext("divisions") or self.divisions)
                self.transposed = int(item.findtext("transpose/chromatic") or self.transposed)
            lasts = Fraction(item.findtext("duration") or 0) / self.divisions
            if item.tag == "backup":
                now -= lasts
            elif item.tag == "forward":
                now += lasts
            elif item.tag == "note" and item.find("grace") is None:
                if item.find("chord") is None:
                    onset, now = now, now + lasts
                self._take(item, start + onset, start + onset + lasts)
            longest = max(longest, now)
        return longest

    def _take(self, note: ElementTree.Element, start: Fraction, end: Fraction) -> None:
        """Add a note, or make the one that it is tied to longer; rests and drums have no pitch."""
        pitch = note.find("pitch")
        if pitch is None:
            return
        key = STEPS[pitch.findtext("step") or "C"] + int(float(pitch.findtext("alter") or 0))
        key += 12 * (int(pitch.findtext("octave") or 4) + 1) + self.transposed
        ties = {tie.get("type") for tie in note.findall("tie")}
        before = self.tied.pop(key, None) if "stop" in ties else None
        if before is not None and self.notes[before][1] == start:
            self.notes[before] = (self.notes[before][0], end, key)
        else:
            before = len(self.notes)
            self.notes.append((start, end, key))
        if "start" in ties:
            self.tied[key] = before


def score_of(file: Path) -> ElementTree.Element:
    """The root of a score, which an `.mxl` file holds compressed."""
    if file.suffix != ".mxl":
        return ElementTree.parse(file).getroot()
    with zipfile.ZipFile(file) as packed:
        inside = ElementTree.fromstring(packed.read("META-INF/container.xml"))
        path = next(item.get("full-path", "") for item in inside.iter() if item.get("full-path"))
        return ElementTree.fromstring(packed.read(path))


def to_midi(root: ElementTree.Element) -> Any:
    """The score as MIDI: parts, tempo and metres."""
    names = {one.get("id"): one.findtext("part-name") or "" for one in root.iter("score-part")}
    parts = [Part(names[one.get("id")], one.findall("measure")) for one in root.findall("part")]
    made: Any = Score(TICKS)
    tempo = next((float(one.get("tempo", 0)) for one in root.iter("sound") if one.get("tempo")), 0)
    made.tempos.append(Tempo(0, qpm=tempo or 100.0))
    for start, metre in _play(parts):
        made.time_signatures.append(TimeSignature(_ticks(start), *metre))
    for part in parts:
        track: Any = Track(part.name)
        for start, end, pitch in part.notes:
            if 0 <= pitch < 128 and end > start:
                track.notes.append(Note(_ticks(start), _ticks(end - start), pitch, VELOCITY))
        made.tracks.append(track)
    return made


def _play(parts: list[Part]) -> Iterator[tuple[Fraction, tuple[int, int]]]:
    """Read all parts measure by measure, and tell where a metre begins.

    A pickup stands at the end of a whole measure, so that bars begin where bar lines are.
    """
    start, metre = Fraction(0), (4, 4)
    for number in range(min(len(part.measures) for part in parts)):
        signs = (part.measures[number].find("attributes/time") for part in parts)
        sign = next(
            (sign for sign in signs if sign is not None and sign.find("beats") is not None), None
        )
        if sign is not None:
            beats = sum(int(beat) for beat in (sign.findtext("beats") or "4").split("+"))
            metre = (beats, int(sign.findtext("beat-type") or 4))
        if sign is not None or number == 0:
            yield start, metre
        full = Fraction(4 * metre[0], metre[1])
        lasts = max(part.read(number, start) for part in parts)
        if number == 0 and lasts < full:
            for part in parts:
                part.notes = [(a + full - lasts, b + full - lasts, p) for a, b, p in part.notes]
            lasts = full
        start += lasts


def _ticks(quarters: Fraction) -> int:
    return round(quarters * TICKS)


def main(scores: Path, midi: Path) -> None:
    """Convert all scores of a folder, and say which ones cannot be."""
    for file in sorted([*scores.rglob("*.mxl"), *scores.rglob("*.musicxml")]):
        out = midi / file.relative_to(scores).with_suffix(".mid")
        try:
            made = to_midi(score_of(file))
        except (ElementTree.ParseError, zipfile.BadZipFile, ValueError, KeyError) as error:
            print(f"{file}: left out ({error})")
            continue
        out.parent.mkdir(parents=True, exist_ok=True)
        made.dump_midi(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
