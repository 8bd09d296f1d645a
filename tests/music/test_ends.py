"""The length and the key that a file says, whatever event is its last."""

from pathlib import Path

import mido
import pretty_midi
import pytest

from seqvae.music.midi import read_midi, to_pretty_midi
from seqvae.music.notes import Key, Metre, Piece, make_notes

QUARTER, BAR = 480, 1920
NOTE = [
    mido.Message("note_on", note=60, velocity=80),
    mido.Message("note_off", note=60, time=QUARTER),
]
WALTZ = mido.MetaMessage("time_signature", numerator=3, denominator=4)


def write(path: Path, *tracks: list[mido.Message], end: int) -> Path:
    """A file whose last track ends so many ticks after its last event; the others end at once."""
    file = mido.MidiFile(ticks_per_beat=QUARTER)
    for events in tracks:
        waits = end if events is tracks[-1] else 1
        last = mido.MetaMessage("end_of_track", time=waits)
        file.tracks.append(mido.MidiTrack([*events, last]))
    file.save(path)
    return path


@pytest.mark.parametrize(
    ("events", "end", "num_steps"),
    [
        (NOTE, BAR - QUARTER, 16),
        (NOTE, 2 * BAR - QUARTER, 32),  # as much silence as music
        (NOTE, 3 * BAR - QUARTER, 0),  # more silence than music
        (NOTE, BAR - QUARTER + 1, 0),  # no bar line
        (NOTE, BAR - QUARTER + 120, 0),
        (NOTE, 0, 0),
        ([WALTZ, *NOTE], 3 * QUARTER - QUARTER, 12),
        ([WALTZ, *NOTE], BAR - QUARTER, 0),
        ([*NOTE, mido.Message("control_change", control=64, time=QUARTER)], BAR - 2 * QUARTER, 16),
        ([*NOTE, mido.MetaMessage("marker", text="chorus", time=QUARTER)], BAR - 2 * QUARTER, 16),
        ([], BAR, 0),  # no notes
    ],
)
def test_a_file_that_ends_on_a_bar_line_says_its_length(
    tmp_path: Path, events: list[mido.Message], end: int, num_steps: int
) -> None:
    assert read_midi(write(tmp_path / "a.mid", events, end=end), 4).num_steps == num_steps


def test_the_last_track_to_end_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mid", NOTE, [mido.MetaMessage("track_name", name="a")], end=BAR)
    assert read_midi(path, 4).num_steps == 16


def test_a_clip_keeps_its_length_and_key_in_a_file_and_without_one(tmp_path: Path) -> None:
    notes = make_notes([0], [4], [60])
    piece = Piece(notes, 4, (Metre(0, 3, 4),), num_steps=24, key=Key(-3, is_minor=True))
    midi = to_pretty_midi(piece)
    midi.write(str(tmp_path / "a.mid"))
    for source in (midi, tmp_path / "a.mid"):
        again = read_midi(source, 4)
        assert (again.num_steps, again.key) == (24, Key(-3, is_minor=True))


def test_keys_are_those_of_pretty_midi(tmp_path: Path) -> None:
    for number in range(24):
        midi = pretty_midi.PrettyMIDI()
        midi.key_signature_changes = [pretty_midi.KeySignature(number, 0.0)]
        midi.write(str(tmp_path / "a.mid"))
        keys = {read_midi(source, 4).key for source in (midi, tmp_path / "a.mid")}
        (key,) = keys
        assert key is not None
        mode = int(key.is_minor)
        assert pretty_midi.mode_accidentals_to_key_number(mode, key.num_sharps) == number
        again = to_pretty_midi(Piece(make_notes([], [], []), 4, key=key))
        assert again.key_signature_changes[0].key_number == number


def test_an_impossible_key_signature_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mid", NOTE, end=0)
    key = bytes([0, 0xFF, 0x59, 2, 9, 0])
    data = path.read_bytes()
    start = data.index(b"MTrk")
    size = int.from_bytes(data[start + 4 : start + 8], "big") + len(key)
    path.write_bytes(data[: start + 4] + size.to_bytes(4, "big") + key + data[start + 8 :])
    piece = read_midi(path, 4)
    assert piece.key is None
    assert len(piece.notes) == 1
