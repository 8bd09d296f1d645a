"""Scales: their names, what they hold, and the one that notes suggest."""

import numpy as np
import pytest

from seqvae.errors import InputError
from seqvae.music.notes import Key, Notes, make_notes
from seqvae.music.scales import SCALES, Scale, parse_scale, suggested_scale


def in_letters(scale: Scale) -> str:
    names = np.array(["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"])
    return " ".join(names[scale.pitch_classes()])


@pytest.mark.parametrize(
    ("text", "name", "letters"),
    [
        ("C", "C major", "C D E F G A B"),
        ("E minor", "E minor", "C D E Gb G A B"),
        ("Em", "E minor", "C D E Gb G A B"),
        ("em", "E minor", "C D E Gb G A B"),
        ("a natural minor", "A minor", "C D E F G A B"),
        ("A harmonic minor", "A harmonic minor", "C D E F Ab A B"),
        ("A melodic minor", "A melodic minor", "C D E F Gb G Ab A B"),
        ("D Dorian", "D dorian", "C D E F G A B"),
        ("F# phrygian mode", "F# phrygian", "D E Gb G A B Db"),
        ("F lydian", "F lydian", "C D E F G A B"),
        ("Bb mixolydian", "Bb mixolydian", "C D Eb F G Ab Bb"),
        ("B locrian", "B locrian", "C D E F G A B"),
        ("C ionian", "C major", "C D E F G A B"),
        ("A-aeolian", "A minor", "C D E F G A B"),
        ("E minor pentatonic", "E minor pentatonic", "D E G A B"),
        ("Em pentatonic scale", "E minor pentatonic", "D E G A B"),
        ("G pentatonic", "G major pentatonic", "D E G A B"),
        ("A blues", "A blues", "C D Eb E G A"),
        ("C major blues", "C major blues", "C D Eb E G A"),
        ("bb minor", "Bb minor", "C Db Eb F Gb Ab Bb"),
        ("E\u266d", "Eb major", "C D Eb F G Ab Bb"),
        ("chromatic", "chromatic", "C Db D Eb E F Gb G Ab A Bb B"),
    ],
)
def test_scales_have_their_usual_names(text: str, name: str, letters: str) -> None:
    scale = parse_scale(text)
    assert str(scale) == name
    assert {*in_letters(scale).split()} == {*letters.split()}
    assert not scale.is_open


@pytest.mark.parametrize("text", ["", "E minorr", "e", "H", "E auto", "dorian D"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"scale is .*; write it as 'D dorian'") as error:
        parse_scale(text)
    assert len(str(error.value)) <= 300


def test_a_key_tells_what_a_scale_leaves_open() -> None:
    for text, key, name in [
        ("auto", Key(1), "G major"), ("auto", Key(1, True), "E minor"),
        ("dorian", Key(0), "C dorian"), ("blues", Key(-1, True), "D blues"),
        ("pentatonic", Key(0, True), "A minor pentatonic"), ("minor", Key(0), "C minor"),
        ("pentatonic", Key(0), "C major pentatonic"), ("D dorian", Key(5), "D dorian"),
    ]:  # fmt: skip
        assert str(parse_scale(text).on(key)) == name
    assert parse_scale("auto").is_open
    assert parse_scale("dorian").is_open


@pytest.mark.parametrize("name", [name for name in SCALES if name != "chromatic"])
@pytest.mark.parametrize("tonic", range(12))
def test_the_key_of_a_scale_has_most_of_its_notes(name: str, tonic: int) -> None:
    scale = Scale(name, tonic)
    key = scale.key
    assert key is not None
    assert abs(key.num_sharps) <= 6
    own = Scale("major", (7 * key.num_sharps) % 12).pitch_classes()
    added = {"harmonic minor": 1, "melodic minor": 2, "blues": 1, "major blues": 1}
    assert (scale.pitch_classes() & ~own).sum() == added.get(name, 0)
    assert scale.has_mode == (Scale("auto").on(key).tonic == tonic)
    assert key.is_minor == scale.pitch_classes()[(tonic + 3) % 12] or name == "major blues"
    assert Scale("chromatic").key is None


def line(*pitches: int) -> Notes:
    return make_notes(range(len(pitches)), range(1, len(pitches) + 1), pitches)


def test_the_suggested_minor_is_the_smallest_that_holds_as_much() -> None:
    base = (57, 64, 60, 57, 64, 62, 60, 57)
    for more, name in [
        ((67, 65), "A minor"), ((68, 65), "A harmonic minor"), ((66, 68, 69), "A melodic minor"),
    ]:  # fmt: skip
        assert str(suggested_scale(line(*base, *more, 57))) == name
    assert str(suggested_scale(line(60, 64, 67, 65, 62, 60, 59, 60))) == "C major"
    assert str(suggested_scale(line(*base, 57), 1)) == "E minor"
    assert suggested_scale(line()) is None
