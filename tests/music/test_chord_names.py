"""Names of chords: of lead sheets, jazz, Harte, Unicode."""

import re
from collections.abc import Sequence

import pytest
from chords import NAMES, named

from seqvae.errors import InputError
from seqvae.music.chord_names import NUM_CHORDS, parse_chord, parse_chords


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("C", "C:maj", "CM", "Cmaj7", "C7", "C6", "C9", "Cadd9", "C/E", "C:maj/3", "B#"), "C"),
        (("Am", "Amin", "A-", "Am7", "A:min7", "A:min/b3", "Am/C", "A:minmaj7"), "Am"),
        (("F#dim", "F#o", "F#m7b5", "Gb:hdim7", "F#dim7"), "F#dim"),
        (("Bbaug", "Bb+", "A#aug7"), "Bbaug"),
        (("Gsus4", "Gsus", "G7sus4", "G:sus4(b7)", "Csus2", "C:sus2"), "Gsus4"),
        (("N", "N.C."), "N"),
    ],
)
def test_names(names: Sequence[str], expected: str) -> None:
    assert {NAMES[parse_chord(name)] for name in names} == {expected}


def test_every_chord_has_its_number() -> None:
    assert len(NAMES) == NUM_CHORDS == 61
    assert [parse_chord(name) for name in NAMES] == list(range(NUM_CHORDS))


@pytest.mark.parametrize(
    "name", ["Xm7", "H", "c", "Cfoo", "Am7x", "", "C/", "7", "C/foo", "Cb#", "Cmm", "C)"]
)
def test_a_name_that_is_no_chord_is_refused(name: str) -> None:
    with pytest.raises(
        InputError, match=re.escape(f"'{name}' is not a chord; write chords as C, Am")
    ):
        parse_chord(name)


def test_a_progression() -> None:
    assert named(parse_chords("C Am | F G7")) == ["C", "Am", "F", "G"]
    assert named(parse_chords("C, Am,F |G")) == ["C", "Am", "F", "G"]
    assert named(parse_chords("Cmin7b5 C:min7(b5) C-7b5 C7#5")) == ["Cdim", "Cdim", "Cdim", "Caug"]
    with pytest.raises(InputError, match="no chords in"):
        parse_chords(" | ")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("C^ CM7 CMaj7 Cma7 CMA7 Cmajor Cj7 C7M C6/9 C69 C6/9/E C7b9 C7(b9,#11) C7[b9]", "C"),
        (
            "Calt C7alt C13#11 Cadd11 C(add9) C7no3 Cno5 C7omit5 C5 Cdom7 C/Bb C/Bb/E C:7(#9)/b7",
            "C",
        ),
        ("C:(1,3,5) C:maj(9) C7-9 C7+9 C_maj7 B#", "C"),
        ("C-7 Cmi Cmi7 Cmin Cminor C_min Cm(maj7) CmMaj7 CminMaj7 C-^7 C:minmaj7 C:(1,b3,5)", "Cm"),
        ("Cm7b5 Cm7(b5) C-7b5 Cm7-5 Ch Ch7 Chalfdim Co7 Cdiminished C:hdim7 C:(1,b3,b5)", "Cdim"),
        ("C+ C+7 C7+ C7+5 C7(#5) Caugmented C:aug(b7)", "Caug"),
        ("Csus Csus4 C7sus C9sus4 C7sus4/G C:sus4(b7,9) C:(1,4,5) Fsus2 F9sus2", "Csus4"),
        ("Bb A# Cbb Bb7", "Bb"),
        ("N n.c. NC X none", "N"),
    ],
)
def test_spellings_of_many_books(names: str, expected: str) -> None:
    assert {name: NAMES[parse_chord(name)] for name in names.split()} == dict.fromkeys(
        names.split(), expected
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("F\u266fm", "F#m"),  # sharp
        ("B\u266d", "Bb"),  # flat
        ("B\u266d\u266d", "A"),
        ("F\U0001d12a", "G"),  # double sharp
        ("D\U0001d12b", "C"),
        ("C\u266e", "C"),  # natural
        ("C\u00b0", "Cdim"),  # degree sign
        ("C\u00ba7", "Cdim"),  # ordinal, as on many keyboards
        ("C\u00f8", "Cdim"),  # o with stroke
        ("C\u00d87", "Cdim"),
        ("C\u2205", "Cdim"),
        ("C\u0394", "C"),  # Greek delta
        ("C\u22067", "C"),  # increment
        ("C\u25b3", "C"),
        ("C-\u03947", "Cm"),
        ("C\u22127", "Cm"),  # minus
        ("C\u20137", "Cm"),  # dash
        ("C\u2077", "C"),  # raised seven
        ("Cm\u2077", "Cm"),
        ("C7\u266f5", "Caug"),
        ("Cm7\u266d5", "Cdim"),
        ("\uff23m", "Cm"),  # full width
        ("E\u266d/B\u266d", "Eb"),
    ],
)
def test_signs_of_music_are_plain_letters(name: str, expected: str) -> None:
    assert NAMES[parse_chord(name)] == expected


def test_a_progression_has_separators_of_all_kinds() -> None:
    for text in (
        "C - Am - F - G", "C | Am | F | G", "||: C Am F G :||", "C;Am;F;G",
        "C \u2192 Am > F \u2013 G",
    ):  # fmt: skip
        assert named(parse_chords(text)) == ["C", "Am", "F", "G"], text
    assert named(parse_chords("C:sus4(b7,9), F")) == ["Csus4", "F"]
    with pytest.raises(InputError) as caught:
        parse_chords("C " + "x" * 500)
    assert len(str(caught.value)) < 200
