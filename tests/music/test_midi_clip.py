"""Files end with the clip, on a bar line, and have a channel for each program as long as they can.

Files are read back with mido, event by event.
"""

import io
import logging
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest

from seqvae.errors import InputError
from seqvae.music.midi import read_midi, to_pretty_midi, write_clips
from seqvae.music.notes import Metre, Piece, Tempo, make_notes


def lengths(path: Path) -> list[int]:
    """Ticks of each track, up to its end-of-track."""
    return [sum(event.time for event in track) for track in mido.MidiFile(path).tracks]


@pytest.mark.parametrize(
    ("metre", "num_steps", "last_note", "quarters"),
    [
        ("4/4", 32, 15, 8),  # a window of two bars
        ("4/4", 0, 15, 4),  # the bar of the last note
        ("4/4", 0, 16, 4),
        ("4/4", 0, 17, 8),
        ("3/4", 0, 15, 6),
        ("6/8", 48, 15, 12),
    ],
)
@pytest.mark.parametrize("qpm", [120.0, 97.3])
def test_every_track_of_a_file_ends_on_a_bar_line(
    tmp_path: Path, metre: str, num_steps: int, last_note: int, quarters: int, qpm: float
) -> None:
    numerator, denominator = map(int, metre.split("/"))
    drums = make_notes([0, last_note - 1], [1, last_note], 36, is_drum=[True, True])
    notes = np.concatenate([drums, make_notes([0], [2], 60, track=1)])
    piece = Piece(
        notes, 4, (Metre(0, numerator, denominator),), (Tempo(0, qpm),), num_steps=num_steps
    )
    midi = to_pretty_midi(piece)
    midi.write(str(tmp_path / "a.mid"))
    assert lengths(tmp_path / "a.mid") == [480 * quarters] * 3
    assert midi.get_end_time() == pytest.approx(quarters * 60 / qpm)


def test_the_end_is_on_a_bar_line_of_the_last_metre(tmp_path: Path) -> None:
    piece = Piece(make_notes([0, 17], [16, 18], 60), 4, (Metre(0, 4, 4), Metre(16, 3, 4)))
    to_pretty_midi(piece).write(str(tmp_path / "a.mid"))
    assert {*lengths(tmp_path / "a.mid")} == {(16 + 12) * 120}


def test_silence_has_a_length_too(tmp_path: Path) -> None:
    to_pretty_midi(Piece(make_notes([], [], []), 4, num_steps=32)).write(str(tmp_path / "a.mid"))
    assert lengths(tmp_path / "a.mid") == [8 * 480]


def test_notes_that_a_user_adds_are_not_cut(tmp_path: Path) -> None:
    midi = to_pretty_midi(Piece(make_notes([0], [4], [60]), 4))
    midi.instruments[0].notes.append(pretty_midi.Note(80, 62, 3.0, 3.5))
    midi.write(str(tmp_path / "a.mid"))
    assert {*lengths(tmp_path / "a.mid")} == {7 * 480}
    assert len(read_midi(tmp_path / "a.mid", 4).notes) == 2


def test_a_clip_is_written_to_an_open_file_too(tmp_path: Path) -> None:
    midi = to_pretty_midi(Piece(make_notes([0], [4], [60]), 4))
    written = io.BytesIO()
    midi.write(written)
    midi.write(tmp_path / "a.mid")
    assert written.getvalue() == (tmp_path / "a.mid").read_bytes()


def test_names_are_written_in_utf_8(tmp_path: Path) -> None:
    midi = to_pretty_midi(Piece(make_notes([0], [4], [60]), 4))
    midi.instruments[0].name = "Flöte 笛"
    midi.write(str(tmp_path / "a.mid"))
    assert "Flöte 笛".encode() in (tmp_path / "a.mid").read_bytes()
    assert midi.instruments[0].name == "Flöte 笛"


def band(programs: list[int]) -> Piece:
    """A note of each program, one after the other, each in a track of its own, and a drum first."""
    place = np.arange(len(programs))
    notes = make_notes(place, place + 1, 60, program=programs, track=place + 1)
    return Piece(np.concatenate([make_notes([0], [1], [36], is_drum=[True]), notes]), 4)


def channels(path: Path) -> dict[int, set[int]]:
    """The channels on which each program is played."""
    played: dict[int, set[int]] = {}
    for track in mido.MidiFile(path).tracks:
        programs = [event for event in track if event.type == "program_change"]
        notes = {event.channel for event in track if event.type == "note_on"}
        for event in programs:
            played.setdefault(event.program, set()).update(notes - {9})
    return played


def test_up_to_fifteen_programs_do_not_meet(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    to_pretty_midi(band([*range(1, 16)])).write(str(tmp_path / "a.mid"))
    played = channels(tmp_path / "a.mid")
    assert [len(played[program]) for program in range(1, 16)] == [1] * 15
    assert len(set.union(*played.values())) == 15
    # more tracks of as many programs: those of one program share a channel
    to_pretty_midi(band([*range(1, 16), 1, 1])).write(str(tmp_path / "b.mid"))
    assert channels(tmp_path / "b.mid") == played
    assert not caplog.text


def test_more_programs_than_channels_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        to_pretty_midi(band([*range(20)])).write(str(tmp_path / "a.mid"))
    assert "20 programs share the 15 channels" in caplog.text
    assert len(read_midi(tmp_path / "a.mid", 4).notes) == 21


def write_wav(path: Path) -> None:
    path.write_bytes(b"RIFF")


def test_files_of_an_earlier_call_are_removed_and_those_of_others_stay(tmp_path: Path) -> None:
    clips = [to_pretty_midi(Piece(make_notes([0], [4], [pitch]), 4)) for pitch in (60, 62, 64)]
    write_clips(clips, tmp_path, ["sample_00", "sample_01", "sample_02"])
    write_clips(clips[:1], tmp_path, ["reconstruct_a"])
    for name in ("sample_00.wav", "sample_02.wav", "sample_mine.wav", "reconstruct_a.wav"):
        write_wav(tmp_path / name)
    mine = pretty_midi.PrettyMIDI()
    mine.write(str(tmp_path / "sample_mine.mid"))
    mine.write(str(tmp_path / "sample_99.mid"))
    write_clips(clips[1:], tmp_path, ["sample_00", "sample_03"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "reconstruct_a.mid", "reconstruct_a.wav", "sample_00.mid", "sample_03.mid",
        "sample_99.mid", "sample_mine.mid", "sample_mine.wav",
    ]  # fmt: skip
    assert read_midi(tmp_path / "sample_00.mid", 4).notes["pitch"].tolist() == [62]
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(InputError, match=r"sample_99\.mid: no output of seqvae; move it, or give"):
        write_clips(clips[1:], tmp_path, ["sample_00", "sample_99"])
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
