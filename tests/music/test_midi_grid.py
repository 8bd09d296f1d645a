"""MIDI files on to the grid of steps: times, metres, tempos, and the songs of type 2 files."""

import itertools
from pathlib import Path

import mido
import pretty_midi
import pytest
from midi_events import (
    DRUMS,
    NOTE_OF_A_QUARTER,
    metre,
    midi_bytes,
    off,
    on,
    onsets_and_ends,
    tempo,
    track,
    write,
)

from seqvae.music.midi import find_midi, read_midi, to_pretty_midi
from seqvae.music.midi.read import IMPOSSIBLE_METRE, IMPOSSIBLE_TEMPO
from seqvae.music.notes import Metre, Tempo
from seqvae.reasons import Reason


def test_times_are_rounded_to_the_nearest_step(tmp_path: Path) -> None:
    ticks = [0, 59, 60, 61, 119, 120, 179, 180, 300]  # 120 ticks a step, halves up
    events = [(after - before, b"\xff\x01\x01x") for before, after in itertools.pairwise(ticks)]
    for tick, (delta, _) in zip(ticks, [(0, b""), *events], strict=True):
        assert delta >= 0
        data = midi_bytes(track((tick, on(60)), (480, off(60))))
        (note,) = onsets_and_ends(read_midi(write(tmp_path, data), 4))
        step = (tick + 60) // 120
        assert note == (step, step + 4, 60), tick


@pytest.mark.parametrize(("ticks", "end"), [(0, 1), (1, 1), (59, 1), (179, 1), (180, 2), (240, 2)])
def test_a_note_lasts_at_least_one_step(tmp_path: Path, ticks: int, end: int) -> None:
    data = midi_bytes(track((0, on(60)), (ticks, off(60))))
    assert onsets_and_ends(read_midi(write(tmp_path, data), 4)) == [(0, end, 60)]


def test_a_change_of_tempo_keeps_its_place(tmp_path: Path) -> None:
    conductor = track((0, tempo(500_000)), (960, tempo(720_288)), (480, tempo(250_000)))
    data = midi_bytes(conductor, track(*NOTE_OF_A_QUARTER, (960, on(62)), (480, off(62))))
    piece = read_midi(write(tmp_path, data), 4)
    assert onsets_and_ends(piece) == [(0, 4, 60), (12, 16, 62)]
    for step, qpm in [(0, 120), (7, 120), (8, 83.3), (11, 83.3), (12, 240), (99, 240)]:
        assert piece.qpm_at(step) == pytest.approx(qpm, rel=1e-6)
    # steps are fractions of a quarter, so the change moves no note of the object either
    song = pretty_midi.PrettyMIDI(str(tmp_path / "made.mid"))
    assert onsets_and_ends(read_midi(song, 4)) == onsets_and_ends(piece)
    assert read_midi(song, 4).qpm_at(8) == pytest.approx(83.3, rel=1e-6)


def test_a_file_without_tempo_and_metre_has_the_defaults(tmp_path: Path) -> None:
    piece = read_midi(write(tmp_path, midi_bytes(track(*NOTE_OF_A_QUARTER))), 4)
    assert piece.tempos == (Tempo(0, 120.0),)
    assert piece.metres == (Metre(0, 4, 4),)


def test_a_late_first_metre_and_tempo_leave_the_default_before_them(tmp_path: Path) -> None:
    data = midi_bytes(track(*NOTE_OF_A_QUARTER, (0, tempo(600_000)), (0, metre(3, 2))))
    piece = read_midi(write(tmp_path, data), 4)
    assert piece.tempos == (Tempo(0, 120.0), Tempo(4, 100.0))
    assert piece.metres == (Metre(0, 4, 4), Metre(4, 3, 4))


def test_the_last_of_several_metres_and_tempos_of_a_tick_holds(tmp_path: Path) -> None:
    events = ((0, metre(4, 2)), (0, metre(3, 2)), (0, tempo(400_000)), (0, tempo(500_000)))
    piece = read_midi(write(tmp_path, midi_bytes(track(*events, *NOTE_OF_A_QUARTER))), 4)
    assert piece.metres == (Metre(0, 3, 4),)
    assert piece.tempos == (Tempo(0, 120.0),)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (tempo(0), IMPOSSIBLE_TEMPO),
        (tempo(1), IMPOSSIBLE_TEMPO),
        (metre(0, 2), IMPOSSIBLE_METRE),
        (metre(4, 255), IMPOSSIBLE_METRE),
    ],
)
def test_an_impossible_tempo_or_metre_costs_itself(
    tmp_path: Path, event: bytes, reason: Reason
) -> None:
    events = ((0, tempo(600_000)), (0, metre(3, 2)), (0, event), (480, event))
    piece = read_midi(write(tmp_path, midi_bytes(track(*events, *NOTE_OF_A_QUARTER))), 4)
    assert onsets_and_ends(piece) == [(4, 8, 60)]
    assert piece.tempos == (Tempo(0, 100.0),)
    assert piece.metres == (Metre(0, 3, 4),)
    assert piece.noted == {reason: 1}


def test_the_slowest_tempo_of_three_bytes_is_possible(tmp_path: Path) -> None:
    data = midi_bytes(track((0, tempo(0xFFFFFF)), *NOTE_OF_A_QUARTER))
    piece = read_midi(write(tmp_path, data), 4)
    assert piece.qpm_at(0) == pytest.approx(3.5762789)
    assert not piece.noted
    to_pretty_midi(piece).write(str(tmp_path / "again.mid"))
    again = read_midi(tmp_path / "again.mid", 4)
    assert again.tempos == piece.tempos
    song = pretty_midi.PrettyMIDI(str(tmp_path / "made.mid"))
    assert read_midi(song, 4).qpm_at(0) == pytest.approx(3.5762789)  # it rounds a little below


def test_zero_length_notes_are_kept(tmp_path: Path) -> None:
    hits = ((0, on(36, 90, DRUMS)), (0, off(36, DRUMS)), (480, on(38, 70, DRUMS)))
    data = midi_bytes(track(*hits, (0, off(38, DRUMS))))
    assert onsets_and_ends(read_midi(write(tmp_path, data), 4)) == [(0, 1, 36), (4, 5, 38)]


def test_no_hit_of_groove_is_lost(data_folder: Path) -> None:
    zero_length = 0
    for file in find_midi(data_folder / "midi" / "groove")[::23]:
        hits = 0
        (part,) = [part for part in mido.MidiFile(file).tracks if len(part) > 9]
        ticks = itertools.accumulate(message.time for message in part)
        sounding: dict[int, list[int]] = {}
        for tick, message in zip(ticks, part, strict=True):
            if message.type == "note_on" and message.velocity:
                sounding.setdefault(message.note, []).append(tick)
            elif message.type in ("note_on", "note_off") and sounding.get(message.note):
                zero_length += sounding[message.note].pop(0) == tick
                hits += 1  # a hit without an end is none
        piece = read_midi(file, 4)
        assert len(piece.notes) == hits, file
        assert piece.notes["is_drum"].all()
    assert zero_length > 5  # or these files would test nothing


def mido_song(
    file_type: int,
    *tracks: list[mido.MetaMessage | mido.Message],
    ticks_per_quarter: int = 480,
) -> mido.MidiFile:
    song = mido.MidiFile(type=file_type, ticks_per_beat=ticks_per_quarter)
    song.tracks += [mido.MidiTrack(track) for track in tracks]
    return song


def metre_message(numerator: int, time: int = 0) -> mido.MetaMessage:
    return mido.MetaMessage("time_signature", numerator=numerator, denominator=4, time=time)


def test_a_metre_repeated_on_a_bar_line_says_nothing(tmp_path: Path) -> None:
    bars = [metre_message(4, 0 if number == 0 else 1920) for number in range(4)]
    notes = [mido.Message("note_on", note=60), mido.Message("note_off", note=60, time=9 * 480)]
    mido_song(1, [*bars, metre_message(4, 960)], notes).save(tmp_path / "a.mid")
    for source in (tmp_path / "a.mid", pretty_midi.PrettyMIDI(str(tmp_path / "a.mid"))):
        # but within a bar it starts the bars anew
        assert read_midi(source, 4).metres == (Metre(0, 4, 4), Metre(56, 4, 4))


def test_the_tracks_of_a_type_2_file_are_pieces_of_their_own(tmp_path: Path) -> None:
    first = [
        metre_message(4), mido.MetaMessage("set_tempo", tempo=500_000),
        mido.Message("note_on", note=60, velocity=70), mido.Message("note_off", note=60, time=480),
    ]  # fmt: skip
    second = [
        metre_message(3), mido.MetaMessage("set_tempo", tempo=600_000),
        mido.Message("note_on", note=64, velocity=70, time=240),
        mido.Message("note_off", note=64, time=240),
    ]  # fmt: skip
    mido_song(2, first, second, [], first).save(tmp_path / "a.mid")
    piece = read_midi(tmp_path / "a.mid", 4)
    assert onsets_and_ends(piece) == [(0, 4, 60), (18, 20, 64), (28, 32, 60)]
    assert piece.metres == (Metre(0, 4, 4), Metre(16, 3, 4), Metre(28, 4, 4))
    assert [(t.start_step, t.qpm) for t in piece.tempos] == [(0, 120), (16, 100), (28, 120)]
    mido_song(2, first, second, ticks_per_quarter=96).save(tmp_path / "c.mid")
    assert onsets_and_ends(read_midi(tmp_path / "c.mid", 4)) == [(0, 20, 60), (42, 52, 64)]
    mido_song(1, first, second).save(tmp_path / "b.mid")
    assert onsets_and_ends(read_midi(tmp_path / "b.mid", 4)) == [(0, 4, 60), (2, 4, 64)]
