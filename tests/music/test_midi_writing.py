"""Pieces to MIDI files and back."""

import itertools
from pathlib import Path

import mido
import numpy as np
import pytest
from midi_events import all_fields, onsets_and_ends

from seqvae.music.midi import read_midi, to_pretty_midi, write_clips
from seqvae.music.notes import Metre, Piece, Tempo, make_notes


def random_piece(seed: int, steps_per_quarter: int, qpm: float, metre: Metre) -> Piece:
    """Three lines and a drum track; no pitch sounds twice at once in a track."""
    rng = np.random.default_rng(seed)
    parts = []
    for index in range(4):
        starts = rng.integers(0, 3, 60).cumsum() + np.arange(60)  # rising
        longest = np.diff(starts, append=starts[-1] + 20)
        part = make_notes(
            starts,
            starts + rng.integers(1, longest + 1),
            rng.integers(0, 128, 60),
            velocity=rng.integers(1, 128, 60),
            program=int(rng.integers(0, 128)) if index < 3 else 0,
            is_drum=index == 3,
            track=index,
        )
        parts.append(part)
    return Piece(np.concatenate(parts), steps_per_quarter, (metre,), (Tempo(0, qpm),))


@pytest.mark.parametrize("steps_per_quarter", [3, 4, 6, 12, 24])
@pytest.mark.parametrize("qpm", [20, 60, 83.3, 97.123456, 120, 133.337, 181, 240, 399.9])
def test_a_written_piece_is_read_exactly(
    tmp_path: Path, steps_per_quarter: int, qpm: float
) -> None:
    metres = [Metre(0, 4, 4), Metre(0, 3, 4), Metre(0, 6, 8), Metre(0, 7, 16), Metre(0, 2, 2)]
    chosen = metres[round(qpm) % len(metres)]
    piece = random_piece(round(qpm * 100), steps_per_quarter, qpm, chosen)
    song = to_pretty_midi(piece)
    song.write(str(tmp_path / "a.mid"))
    read = read_midi(tmp_path / "a.mid", steps_per_quarter)
    assert all_fields(read) == all_fields(piece)
    assert read.metres == (chosen,)
    (written,) = read.tempos
    assert written.start_step == 0
    # MIDI counts whole microseconds per quarter
    assert abs(60e6 / written.qpm - 60e6 / qpm) <= 1


@pytest.mark.parametrize("steps_per_quarter", [3, 4, 6, 12, 24])
def test_a_written_file_is_on_the_tick_grid(tmp_path: Path, steps_per_quarter: int) -> None:
    piece = random_piece(1, steps_per_quarter, 83.3, Metre(0, 4, 4))
    to_pretty_midi(piece).write(str(tmp_path / "a.mid"))
    file = mido.MidiFile(tmp_path / "a.mid")
    ticks_per_step, rest = divmod(file.ticks_per_beat, steps_per_quarter)
    assert rest == 0
    starts = []
    for part in file.tracks:
        ticks = itertools.accumulate(message.time for message in part)
        for tick, message in zip(ticks, part, strict=True):
            if message.type in ("note_on", "note_off"):
                assert tick % ticks_per_step == 0
            if message.type == "note_on" and message.velocity:
                starts.append(tick // ticks_per_step)
    assert sorted(starts) == sorted(piece.notes["start"].tolist())


def test_changes_of_metre_are_written(tmp_path: Path) -> None:
    metres = (Metre(0, 4, 4), Metre(32, 2, 4), Metre(40, 6, 8), Metre(64, 4, 4))
    piece = Piece(make_notes([0, 80], [4, 84], 60), 4, metres, (Tempo(0, 83.3),))
    to_pretty_midi(piece).write(str(tmp_path / "a.mid"))
    assert read_midi(tmp_path / "a.mid", 4).metres == metres


@pytest.mark.parametrize("qpm", [83.3, 120.0])
def test_a_pretty_midi_object_reads_as_its_file(tmp_path: Path, qpm: float) -> None:
    piece = random_piece(2, 4, qpm, Metre(0, 3, 4))
    song = to_pretty_midi(piece)
    song.write(str(tmp_path / "a.mid"))
    from_object, from_file = read_midi(song, 4), read_midi(str(tmp_path / "a.mid"), 4)
    assert all_fields(from_object) == all_fields(from_file) == all_fields(piece)
    assert from_object.metres == from_file.metres
    assert [(t.start_step, t.qpm) for t in from_object.tempos] == [(0, pytest.approx(qpm))]


def test_programs_velocities_drums_and_tracks_survive(tmp_path: Path) -> None:
    notes = make_notes(
        [0, 0, 4],
        [4, 4, 8],
        [60, 36, 72],
        velocity=[1, 127, 64],
        program=[73, 0, 127],
        is_drum=[False, True, False],
        track=[0, 1, 2],
    )
    to_pretty_midi(Piece(notes, 4)).write(str(tmp_path / "a.mid"))
    read = read_midi(tmp_path / "a.mid", 4).notes
    fields = ["pitch", "velocity", "program", "is_drum", "track"]
    assert sorted(read[fields].tolist()) == [
        (36, 127, 0, True, 1),
        (60, 1, 73, False, 0),
        (72, 64, 127, False, 2),
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pitch": 128}, "pitch 128"),
        ({"pitch": -1}, "pitch -1"),
        ({"velocity": 0}, "velocity 0"),
        ({"velocity": 128}, "velocity 128"),
        ({"end": 0}, "no duration"),
        ({"start": 5}, "no duration"),
    ],
    ids=str,
)
def test_to_pretty_midi_refuses_what_midi_cannot_say(changes: dict[str, int], reason: str) -> None:
    columns = {"start": 0, "end": 4, "pitch": 60} | changes
    with pytest.raises(ValueError, match=reason):
        to_pretty_midi(Piece(make_notes(**columns), 4))


def test_an_empty_piece_is_written(tmp_path: Path) -> None:
    piece = Piece(make_notes([], [], []), 4, (Metre(0, 3, 4),), (Tempo(0, 90.0),))
    to_pretty_midi(piece).write(str(tmp_path / "a.mid"))
    read = read_midi(tmp_path / "a.mid", 4)
    assert len(read.notes) == 0
    assert (read.metres, read.qpm_at(0)) == (piece.metres, pytest.approx(90.0, rel=1e-5))


def test_clips_are_numbered(tmp_path: Path) -> None:
    clips = [to_pretty_midi(Piece(make_notes(0, 4, pitch), 4)) for pitch in (60, 62)]
    paths = write_clips(clips, tmp_path, ["sample_00", "sample_01"])
    assert paths == [tmp_path / "sample_00.mid", tmp_path / "sample_01.mid"]
    assert [onsets_and_ends(read_midi(path, 4)) for path in paths] == [[(0, 4, 60)], [(0, 4, 62)]]


def test_changes_of_tempo_are_written(tmp_path: Path) -> None:
    tempos = (Tempo(0, 100.0), Tempo(8, 50.0))
    song = to_pretty_midi(Piece(make_notes([0, 8], [4, 12], [60, 62]), 4, tempos=tempos))
    assert song.instruments[0].notes[1].start == pytest.approx(2 * 60 / 100)
    assert song.get_end_time() == pytest.approx(2 * 60 / 100 + 2 * 60 / 50)
    song.write(str(tmp_path / "a.mid"))
    for source in (song, tmp_path / "a.mid"):
        again = read_midi(source, 4)
        assert [t.start_step for t in again.tempos] == [0, 8]
        assert [t.qpm for t in again.tempos] == pytest.approx([100, 50])
        assert onsets_and_ends(again) == [(0, 4, 60), (8, 12, 62)]


def test_onsets_are_written_where_they_were_played(tmp_path: Path) -> None:
    offsets = [-0.25, 0.25, -0.4, 0.0]
    notes = make_notes([0, 4, 8, 12], [4, 8, 12, 16], 60, offset=offsets)
    song = to_pretty_midi(Piece(notes, 4))
    seconds = [note.start for note in song.instruments[0].notes]
    assert seconds == pytest.approx([0, 4.25 / 8, 7.6 / 8, 12 / 8])  # none before the beginning
    song.write(str(tmp_path / "a.mid"))
    read = read_midi(tmp_path / "a.mid", 4).notes
    assert read["start"].tolist() == [0, 4, 8, 12]
    assert read["offset"] == pytest.approx([0, 0.25, -0.4, 0], abs=0.01)


def test_tracks_of_one_program_stay_two_instruments(tmp_path: Path) -> None:
    notes = make_notes([0, 0, 4], [4, 4, 8], [60, 64, 67], program=5, track=[0, 1, 1])
    song = to_pretty_midi(Piece(notes, 4))
    assert [len(instrument.notes) for instrument in song.instruments] == [1, 2]
    song.write(str(tmp_path / "a.mid"))
    assert read_midi(tmp_path / "a.mid", 4).notes["track"].tolist() == [0, 1, 1]
