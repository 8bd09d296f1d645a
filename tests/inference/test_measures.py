"""Attributes by hand."""

import numpy as np
import pytest

from seqvae.inference.measures import ATTRIBUTES
from seqvae.music.notes import Metre, Piece, make_notes

MUSIC, TEXT = ATTRIBUTES["music"], ATTRIBUTES["text"]

# Two bars. C E on quarters, G A on the second eighth of quarters, the first of which is silent;
# then F# on a quarter and G on the second sixteenth of its first eighth.
TUNE = Piece(
    make_notes(
        [0, 4, 10, 14, 16, 17], [4, 8, 12, 16, 17, 20], [60, 64, 67, 69, 66, 67],
        velocity=[80, 80, 80, 80, 100, 120],
    ),
    4, num_steps=32,
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("note_density", 3.0),
        ("average_pitch", (60 + 64 + 67 + 69 + 66 + 67) / 6),
        ("pitch_range", 9.0),
        ("average_interval", (4 + 3 + 2 + 3 + 1) / 5),
        ("average_duration", (4 + 4 + 2 + 2 + 1 + 3) / 6),
        ("scale_membership", 5 / 6),
        ("eighth_syncopation", 2 / 6),
        ("sixteenth_syncopation", 0.0),
        ("repetition", 1 / 5),  # of the places 0 4 10 14 and 0 1
        ("mean_velocity", 90.0),
        ("swing", 0.0),
    ],
)
def test_a_measure_of_music_by_hand(name: str, expected: float) -> None:
    assert MUSIC[name](TUNE) == pytest.approx(expected)


def test_a_late_sixteenth_is_syncopated_where_its_eighth_is_silent() -> None:
    after_silence = Piece(make_notes([0, 3], [3, 4], [60, 62]), 4)
    assert MUSIC["sixteenth_syncopation"](after_silence) == 0.5
    assert MUSIC["eighth_syncopation"](after_silence) == 0.0
    after_a_note = Piece(make_notes([0, 2, 3], [2, 3, 4], [60, 62, 64]), 4)
    assert MUSIC["sixteenth_syncopation"](after_a_note) == 0.0


def test_swing_is_how_late_the_weak_sixteenths_are() -> None:
    steps = np.arange(8)
    late = np.where(steps % 2, 0.3, 0.1)
    hats = make_notes(steps, steps + 1, np.full(8, 42), is_drum=True, offset=late)
    assert MUSIC["swing"](Piece(hats, 4)) == pytest.approx(0.3)


def test_drums_count_as_onsets_and_repeat_drum_by_drum() -> None:
    drums = Piece(make_notes([0, 8, 16, 24], [1, 9, 17, 25], [36, 38, 36, 36], is_drum=True), 4)
    assert MUSIC["note_density"](Piece(drums.notes, 4, num_steps=32)) == 2
    assert MUSIC["repetition"](drums) == pytest.approx(1 / 3)
    for name in ("average_pitch", "pitch_range", "average_interval", "scale_membership"):
        assert MUSIC[name](drums) == 0


def test_every_measure_of_silence_and_of_odd_metres_is_finite() -> None:
    silence = Piece(make_notes([], [], []), 4, num_steps=32)
    odd = Piece(TUNE.notes, 4, (Metre(0, 1, 32),))
    for measure in MUSIC.values():
        assert np.isfinite([measure(silence), measure(odd)]).all()
    assert [measure("") for measure in TEXT.values()] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("length", "Two dogs  run.", 3),
        ("word_length", "Two dogs run.", 10 / 3),
        ("question", "Is it so? ", 1),
        ("question", "It is so.", 0),
        ("past_tense", "The service was slow", 1),
        ("past_tense", "They Walked home", 1),
        ("past_tense", "A red wasp", 0),
    ],
)
def test_a_measure_of_text_by_hand(name: str, text: str, expected: float) -> None:
    assert TEXT[name](text) == pytest.approx(expected)
