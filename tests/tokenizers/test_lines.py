"""Lines of notes: what melody and trio share."""

import numpy as np

from seqvae.music.notes import make_notes, sort_notes
from seqvae.reasons import Dropped
from seqvae.tokenizers.lines import CHORD_TRACK, DRUM_TRACK, line_roll, mean_pitch, pitched_lines
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


def test_every_track_is_a_line_of_its_own() -> None:
    tracks = [
        make_notes([0, 0, 4], [4, 4, 8], [60, 64, 62], track=2),  # half of its onsets are chords
        make_notes([0, 4], [4, 8], [40, 41], track=0),
        make_notes([0, 4], [4, 8], [36, 38], is_drum=True, track=1),
    ]
    notes = sort_notes(np.concatenate(tracks))
    dropped = Dropped()
    lines = pitched_lines(notes, 0.5, dropped)
    assert [line["pitch"].tolist() for line in lines] == [[40, 41], [64, 62]]
    assert [mean_pitch(line) for line in lines] == [40.5, 63.0]
    assert dropped == {DRUM_TRACK: 1}
    assert len(pitched_lines(notes, 0.49, dropped)) == 1
    assert dropped == {DRUM_TRACK: 2, CHORD_TRACK: 1}
