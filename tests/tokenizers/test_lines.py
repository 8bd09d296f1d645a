"""Lines of notes: what melody and trio share."""

import numpy as np

from seqvae.music.notes import Track, make_notes
from seqvae.music.roles import Part
from seqvae.tokenizers.lines import OTHER_OF_CHORD, line_roll, main_line, notes_of_chords
from seqvae.tokenizers.windows import Span


def test_a_line_is_silent_between_its_notes_and_after_its_metre() -> None:
    line = make_notes([0, 8, 14], [4, 12, 30], [60, 62, 64])
    roll = line_roll(line, Span(np.array([0, 4, 16]), 16, 18), 21, 108)
    silent = [[step for step in range(16) if window[step]] for window in roll.silent]
    assert silent == [
        [4, 5, 6, 7, 12, 13],
        [0, 1, 2, 3, 8, 9, 14, 15],
        list(range(16)),  # a note that is held into a window is not heard in it
    ]
    assert roll.tokens[1, :, 0].tolist() == [0, 0, 0, 0, 43, 0, 0, 0, 1, 0, 45, 0, 0, 0, 1, 0]


def test_a_voice_is_the_highest_melody_or_the_lowest_bass() -> None:
    def part(number: int, pitch: int, role: str) -> Part:
        return Part(number, Track(), make_notes([0], [4], [pitch]), role, claim=role)

    parts = [part(0, 60, "melody"), part(1, 72, "melody"), part(2, 40, "bass"), part(3, 30, "bass")]
    assert main_line(parts, "melody") is parts[1]
    assert main_line(parts, "bass") is parts[3]
    assert main_line(parts[2:], "melody") is None


def test_notes_of_chords_are_counted() -> None:
    chord = Part(0, Track(), make_notes([0, 0, 0, 4], [4, 4, 4, 8], [60, 64, 67, 70]), "melody")
    single = Part(1, Track(), make_notes([0], [4], [40]), "bass")
    assert notes_of_chords([chord, single]) == {OTHER_OF_CHORD: 2}
    assert notes_of_chords([single]) == {}
