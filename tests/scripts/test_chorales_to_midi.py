"""Chorales of MuseScore become four tracks in halved note values."""

import zipfile
from pathlib import Path
from typing import Any

import chorales_to_midi
import pytest
from symusic import Score

TIE, TIED = '<Spanner type="Tie"><next/></Spanner>', '<Spanner type="Tie"><prev/></Spanner>'


def note(length: str, pitch: int, inside: str = "", dots: int = 0) -> str:
    return (
        f"<Chord><dots>{dots}</dots><durationType>{length}</durationType>"
        f"<Note>{inside}<pitch>{pitch}</pitch></Note></Chord>"
    )


def staff(*measures: tuple[str, str, str]) -> str:
    """A staff of measures: their attributes, and two voices."""
    return "<Staff>" + "".join(
        f"<Measure{attributes}><voice>{first}</voice><voice>{second}</voice></Measure>"
        for attributes, first, second in measures
    ) + "</Staff>"  # fmt: skip


def write(file: Path, *staves: str) -> None:
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr(
            "META-INF/container.xml", '<c><rootfiles><rootfile full-path="a.mscx"/></rootfiles></c>'
        )
        packed.writestr("a.mscx", f"<museScore><Score>{''.join(staves)}</Score></museScore>")


def test_pickups_ties_dots_and_tuplets_are_kept_in_halved_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sign = "<TimeSig><sigN>4</sigN><sigD>4</sigD></TimeSig>"
    triplet = "<Tuplet><normalNotes>2</normalNotes><actualNotes>3</actualNotes></Tuplet>"
    thirds = triplet + note("quarter", 64) * 3 + "<endTuplet/>" + note("half", 60)
    upper = staff(
        (' len="1/2"', sign + note("half", 72), note("half", 67, TIE)),
        ("", note("half", 74, dots=1) + note("quarter", 76), note("whole", 67, TIED)),
    )
    lower = staff(
        (' len="1/2"', note("half", 64), note("half", 48)),
        ("", thirds, "<Rest><durationType>half</durationType></Rest>" + note("half", 43)),
    )
    write(tmp_path / "psalm.mscz", upper, lower)
    write(tmp_path / "solo.mscz", upper)
    chorales_to_midi.main(tmp_path, tmp_path / "midi")
    assert "solo.mscz: left out (not two staves of two voices)" in capsys.readouterr().out
    (file,) = (tmp_path / "midi").glob("*.mid")
    made: Any = Score(file)
    found = {
        track.name: [(n.start / 480, n.duration / 480, n.pitch) for n in track.notes]
        for track in made.tracks
    }
    third = 320 / 480 / 2
    assert found == {
        "soprano": [(1, 1, 72), (2, 1.5, 74), (3.5, 0.5, 76)],
        "alto": [(1, 3, 67)],
        "tenor": [(1, 1, 64), *[(2 + i * third, third, 64) for i in range(3)], (3, 1, 60)],
        "bass": [(1, 1, 48), (3, 1, 43)],
    }
    (metre,) = made.time_signatures
    assert (metre.numerator, metre.denominator) == (2, 4)
