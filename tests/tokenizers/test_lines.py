"""Lines of notes: what melody, trio and voices share."""

import numpy as np
import pytest

from seqvae.errors import InputError
from seqvae.music.notes import Piece, Track, make_notes, sort_notes
from seqvae.music.roles import Part
from seqvae.tokenizers.lines import OTHER_OF_CHORD, line_roll, main_line, notes_of_chords
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.trio import TrioTokenizer
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


@pytest.mark.parametrize("overlaps", ["last", "highest"])
def test_a_line_that_overlaps_itself(overlaps: str) -> None:
    """A held note with another below it, in the melody; and above it, in the bass."""
    melody = make_notes([0, 4, 8], [8, 6, 16], [72, 60, 74], track=0)
    bass = make_notes([0, 4, 8], [8, 6, 16], [36, 40, 31], program=33, track=1)
    kit = make_notes([0], [1], [36], is_drum=True, track=2)
    band = Piece(sort_notes(np.concatenate([melody, bass, kit])), 4)
    trio = TrioTokenizer(num_bars=1, overlaps=overlaps)
    (example,) = trio.encode(band)
    assert (example.ids[0, :2] + 19).tolist() == [72, 36]
    is_heard = overlaps == "last"
    assert (example.ids[4, :2] > 0).tolist() == [is_heard, is_heard]
    assert (example.ids[8, :2] + 19).tolist() == [74, 31]
    (alone,) = MelodyTokenizer(num_bars=1, overlaps=overlaps).encode(Piece(melody, 4))
    assert alone.ids[:, 0].tolist() == example.ids[:, 0].tolist()
    with pytest.raises(InputError, match="overlaps is 'lowest'; choose one of last, highest"):
        MelodyTokenizer(overlaps="lowest")


def test_notes_of_chords_are_counted() -> None:
    chord = Part(0, Track(), make_notes([0, 0, 0, 4], [4, 4, 4, 8], [60, 64, 67, 70]), "melody")
    single = Part(1, Track(), make_notes([0], [4], [40]), "bass")
    assert notes_of_chords([chord, single]) == {OTHER_OF_CHORD: 2}
    assert notes_of_chords([single]) == {}
