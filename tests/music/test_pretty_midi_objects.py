"""PrettyMIDI objects that hold what no file can, nothing, or too much."""

from pathlib import Path

import pretty_midi
import pytest

from seqvae.errors import InputError
from seqvae.music.midi import read_midi, song
from seqvae.music.notes import Metre


def song_of(**changes: float) -> pretty_midi.PrettyMIDI:
    song = pretty_midi.PrettyMIDI()
    song.instruments.append(pretty_midi.Instrument(0))
    note = pretty_midi.Note(velocity=80, pitch=60, start=0.0, end=0.5)
    for name, value in changes.items():
        setattr(note, name, value)
    song.instruments[0].notes.append(note)
    return song


@pytest.mark.parametrize(
    "changes",
    [
        {"pitch": 128},
        {"pitch": -1},
        {"pitch": 70_000},
        {"velocity": 0},
        {"velocity": 128},
        {"start": 1e6, "end": 1e6 + 1},
        {"start": float("nan")},
        {"end": float("inf")},
    ],
    ids=str,
)
def test_impossible_pretty_midi_notes_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(InputError, match="the PrettyMIDI object: "):
        read_midi(song_of(**changes), 4)


def test_an_empty_pretty_midi_is_an_empty_piece() -> None:
    piece = read_midi(pretty_midi.PrettyMIDI(), 4)
    assert len(piece.notes) == 0
    assert piece.metres == (Metre(0, 4, 4),)
    assert piece.qpm_at(0) == 120


def test_more_notes_than_memory_is_meant_for_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    midi = pretty_midi.PrettyMIDI()
    for program in (0, 1):
        midi.instruments.append(pretty_midi.Instrument(program))
        midi.instruments[-1].notes = [pretty_midi.Note(80, 60, i, i + 1) for i in range(3)]
    midi.write(str(tmp_path / "a.mid"))
    monkeypatch.setattr(song, "MAX_NOTES", 6)
    assert len(read_midi(tmp_path / "a.mid", 4).notes) == 6
    monkeypatch.setattr(song, "MAX_NOTES", 5)
    for source in (tmp_path / "a.mid", midi):
        with pytest.raises(InputError, match="6 notes; at most 5 are read"):
            read_midi(source, 4)
