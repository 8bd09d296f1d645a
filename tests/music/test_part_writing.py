"""Voices of a track with chords: by hand, and those of real chorales put into one track."""

from pathlib import Path

import numpy as np
import pytest

from seqvae.music.midi import find_midi, read_midi
from seqvae.music.notes import Notes, make_notes, melody_line, sort_notes
from seqvae.music.part_writing import split_chords


def chords(*pitches: tuple[int, ...], length: int = 4) -> Notes:
    """One chord after another."""
    starts = [length * i for i, chord in enumerate(pitches) for _ in chord]
    return make_notes(starts, np.array(starts) + length, [p for chord in pitches for p in chord])


def lines(notes: Notes, max_voices: int = 4) -> list[list[int]] | None:
    """The pitches of each voice."""
    voices = split_chords(notes, max_voices)
    return None if voices is None else [voice["pitch"].tolist() for voice in voices]


def test_voices_are_those_of_the_chords_from_low_to_high() -> None:
    hymn = chords((48, 55, 64), (47, 55, 62), (48, 52, 60))
    assert lines(hymn) == [[48, 47, 48], [55, 55, 52], [64, 62, 60]]


def test_a_note_goes_to_the_nearest_voice_where_others_rest() -> None:
    full = [(48, 55, 64)] * 4
    assert lines(chords(*full, (63,), *full)) == [[48] * 8, [55] * 8, [64] * 4 + [63] + [64] * 4]
    assert lines(chords(*full, (50, 53), *full)) == [
        [48] * 4 + [50] + [48] * 4, [55] * 4 + [53] + [55] * 4, [64] * 8,
    ]  # fmt: skip


def test_a_held_note_keeps_its_voice() -> None:
    held = make_notes([0, 0, 4], [4, 8, 8], [60, 67, 69])  # the lower voice leaps over the upper
    assert lines(held) == [[60, 69], [67]]


def test_chords_without_a_number_of_voices_are_none() -> None:
    assert lines(make_notes([], [], [])) is None
    assert lines(chords((60,), (62,))) is None
    assert lines(chords(*[(48, 55, 64)] * 3), max_voices=2) is None
    assert lines(chords(*[(48, 55, 64)] * 3, (60,), (62,))) is None


def test_notes_beyond_the_voices_are_few_or_none_are_split() -> None:
    full = [(48, 55)] * 30
    assert lines(chords(*full, (48, 55, 57))) == [[48] * 31, [55] * 31]
    assert lines(chords(*full[:9], *[(48, 55, 57, 59, 60)] * 2)) is None


@pytest.mark.parametrize(
    ("tracks", "least"), [((0, 1), 0.95), ((2, 3), 0.95), ((0, 1, 2, 3), 0.92)]
)
def test_real_voices_are_found_again(
    data_folder: Path, tracks: tuple[int, ...], least: float
) -> None:
    right = []
    for file in sorted(find_midi(data_folder / "midi/jsb_chorales"))[40:200:20]:
        notes = read_midi(file, 4).notes
        voices = [melody_line(notes[notes["track"] == track]) for track in reversed(tracks)]
        for number, voice in enumerate(voices):
            voice["velocity"] = number + 1  # a mark
        both = np.concatenate(voices)
        _, first = np.unique(both[["start", "pitch"]], return_index=True)  # unisons are one note
        found = split_chords(sort_notes(both[first]), 4)
        if found is not None:
            right += [voice["velocity"] == number + 1 for number, voice in enumerate(found)]
    assert len(right) > 10
    assert np.concatenate(right).mean() > least
