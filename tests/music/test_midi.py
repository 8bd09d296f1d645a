"""MIDI files on to the grid and back, and everything that files do wrong."""

import itertools
import os
import struct
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest
from conftest import DATA

import seqvae
from seqvae.errors import InputError
from seqvae.music.midi import (
    MAX_STEPS,
    find_midi,
    parse,
    read_midi,
    to_pretty_midi,
    write_clips,
)
from seqvae.music.midi.read import IMPOSSIBLE_METRE, IMPOSSIBLE_TEMPO
from seqvae.music.notes import NOTE, Metre, Piece, Tempo, make_notes
from seqvae.reasons import Reason

INDEX = DATA / "midi_nasty" / "INDEX.tsv"
NASTY = (
    [row.split("\t") for row in INDEX.read_text(encoding="utf-8").splitlines()[1:]]
    if INDEX.is_file()
    else []
)
# Files that a reader opens but that hold no possible music: their values are refused.
IMPOSSIBLE_VALUES = {
    "muspy_zero_tpb.mid",
    "syn_9e6_tick.mid",
}

PIANO, DRUMS = 0, 9  # channels


def number(value: int) -> bytes:
    """A variable-length quantity."""
    parts = [value & 127]
    while value := value >> 7:
        parts.append(value & 127 | 128)
    return bytes(reversed(parts))


def track(*events: tuple[int, bytes]) -> bytes:
    """A track of (delta time in ticks, event)."""
    body = b"".join(number(delta) + event for delta, event in events) + b"\x00\xff\x2f\x00"
    return b"MTrk" + struct.pack(">I", len(body)) + body


def midi_bytes(*tracks: bytes, division: int = 480) -> bytes:
    header = struct.pack(">IHHH", 6, 1, len(tracks), division & 0xFFFF)
    return b"MThd" + header + b"".join(tracks)


def on(pitch: int, velocity: int = 80, channel: int = PIANO) -> bytes:
    return bytes([0x90 | channel, pitch, velocity])


def off(pitch: int, channel: int = PIANO) -> bytes:
    return bytes([0x80 | channel, pitch, 0])


def tempo(microseconds: int) -> bytes:
    return b"\xff\x51\x03" + microseconds.to_bytes(3, "big")


def metre(numerator: int, power: int) -> bytes:
    return b"\xff\x58\x04" + bytes([numerator, power, 24, 8])


NOTE_OF_A_QUARTER = ((0, on(60)), (480, off(60)))


def write(folder: Path, data: bytes) -> Path:
    path = folder / "made.mid"
    path.write_bytes(data)
    return path


def all_fields(piece: Piece) -> list[tuple[int, ...]]:
    """All fields of all notes, in an order that does not depend on ties."""
    return sorted(tuple(note) for note in piece.notes.tolist())


def outcome(path: Path) -> Piece | str:
    """What was read, or why nothing was."""
    try:
        return read_midi(path, 4)
    except InputError as error:
        return str(error)


def onsets_and_ends(piece: Piece) -> list[tuple[int, int, int]]:
    return [tuple(note) for note in piece.notes[["start", "end", "pitch"]].tolist()]


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


# There and back


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


# Zero-length notes and re-strikes


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


# Against pretty_midi, which reads the same files by other code


def pretty(file: Path) -> pretty_midi.PrettyMIDI:
    with warnings.catch_warnings():
        # "Tempo, Key or Time signature change events found on non-zero tracks": true of many
        warnings.simplefilter("ignore", RuntimeWarning)
        return pretty_midi.PrettyMIDI(str(file))


def without_track(piece: Piece) -> Counter[tuple[int, ...]]:
    """The notes; the two libraries number tracks differently."""
    fields = [name for name in NOTE.names or () if name != "track"]
    return Counter(piece.notes[fields].tolist())


@pytest.mark.parametrize(
    ("folder", "every"), [("nottingham/MIDI", 40), ("nottingham/MIDI/melody", 80), ("pop909", 60)]
)
def test_agrees_exactly_with_pretty_midi(data_folder: Path, folder: str, every: int) -> None:
    files = find_midi(data_folder / "midi" / folder)[::every]
    assert len(files) >= 5
    for file in files:
        song = pretty(file)
        ours, theirs = read_midi(file, 4), read_midi(song, 4)
        assert without_track(ours) == without_track(theirs), file
        assert len(ours.notes) > 50
        assert [t.qpm for t in ours.tempos] == pytest.approx([t.qpm for t in theirs.tempos])


KEY = ["pitch", "program", "is_drum"]


def overlapping(piece: Piece) -> set[tuple[int, ...]]:
    """The pitches of a program that are somewhere struck while they sound."""
    last_end: dict[tuple[int, ...], int] = {}
    struck_again = set()
    for start, end, *rest in piece.notes[["start", "end", *KEY]].tolist():
        key = tuple(rest)
        if start < last_end.get(key, 0):
            struck_again.add(key)
        last_end[key] = max(end, last_end.get(key, 0))
    return struck_again


def without(piece: Piece, keys: set[tuple[int, ...]]) -> Piece:
    clear = [key not in keys for key in piece.notes[KEY].tolist()]
    return Piece(piece.notes[clear], piece.steps_per_quarter)


@pytest.mark.parametrize(("folder", "every"), [("jsb_chorales", 25), ("freedoom", 16)])
def test_agrees_with_pretty_midi_but_for_overlaps(
    data_folder: Path, folder: str, every: int
) -> None:
    """All notes agree where no pitch of a program is struck while it sounds.

    There a note-off is ambiguous: pretty_midi ends all sounding notes of the pitch by it, symusic
    the oldest (a second onset of a pitch on the same tick can vanish in pretty_midi, too).
    Zero-length notes would be missing from pretty_midi altogether; these files have none.
    """
    compared = 0
    for file in find_midi(data_folder / "midi" / folder)[::every]:
        song = pretty(file)
        ours, theirs = read_midi(file, 4), read_midi(song, 4)
        overlaps = overlapping(ours)
        ours_clear, theirs_clear = without(ours, overlaps), without(theirs, overlaps)
        assert without_track(ours_clear) == without_track(theirs_clear), file
        compared += len(ours_clear.notes)
        # of the others none is missing here
        onsets = ["start", *KEY]
        assert set(theirs.notes[onsets].tolist()) <= set(ours.notes[onsets].tolist()), file
    assert compared > 2000


# Files that are not as they should be


def test_a_riff_container_is_opened(tmp_path: Path) -> None:
    inner = midi_bytes(track(*NOTE_OF_A_QUARTER))
    data = b"RMIDdata" + struct.pack("<I", len(inner)) + inner
    path = tmp_path / "a.rmi"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(data)) + data)
    assert onsets_and_ends(read_midi(path, 4)) == [(0, 4, 60)]
    assert find_midi(tmp_path) == [path]


@pytest.mark.parametrize("row", NASTY or [["absent"]], ids=lambda row: row[0])
def test_a_nasty_file_is_read_or_refused_in_one_line(data_folder: Path, row: list[str]) -> None:
    name = row[0]
    readers = dict(zip(("pretty_midi", "symusic", "sanitized"), row[6:9], strict=True))
    path = data_folder / "midi_nasty" / name
    started = time.monotonic()
    read = outcome(path)
    assert time.monotonic() - started < 5
    if isinstance(read, str):
        assert "\n" not in read
        assert read.startswith(f"{path}: ")
        assert len(read) < len(str(path)) + 100
        # what some reader opens is refused for its values alone
        assert name in IMPOSSIBLE_VALUES or "OK" not in readers.values()
    else:
        assert name not in IMPOSSIBLE_VALUES
        notes = read.notes
        assert (notes["start"] >= 0).all()
        assert (notes["start"] < notes["end"]).all()
        assert (notes["end"] <= MAX_STEPS + 1).all()
        assert ((notes["pitch"] >= 0) & (notes["pitch"] <= 127)).all()
        assert ((notes["velocity"] >= 1) & (notes["velocity"] <= 127)).all()
        assert (np.diff(notes["start"]) >= 0).all()
        assert read.metres[0].start_step == read.tempos[0].start_step == 0


def test_all_nasty_files_are_here(data_folder: Path) -> None:
    names = {path.name for path in (data_folder / "midi_nasty").iterdir()} - {"INDEX.tsv"}
    assert {row[0] for row in NASTY} == names
    assert len(names) == 73


def test_nasty_files_need_little_memory(data_folder: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("peak memory is read from /proc")
    # Not getrusage: its peak goes over from parent to child, here the whole test run's.
    script = """
import sys
from pathlib import Path
from seqvae.errors import InputError
from seqvae.music.midi import read_midi

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

before = peak()
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        read_midi(path, 4)
    except InputError:
        pass
print(peak() - before)
"""
    package = str(Path(seqvae.__file__).parents[1])
    process = subprocess.run(
        [sys.executable, "-c", script, str(data_folder / "midi_nasty")],
        env={**os.environ, "PYTHONPATH": package},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert int(process.stdout.split()[-1]) < 2**20  # kilobytes; pyfluidsynth may print before


LATE = ((2**28 - 1, b"\xff\x01\x01x"),) * 8  # 2**31 - 8 ticks


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"<html>", "not a MIDI file"),
        (b"RIFF" + bytes(1000), "not a MIDI file"),
        (b"RIFF" + bytes(8) + b"RMIDdata" + bytes(4) + b"MThd", "damaged MIDI"),
        (b"MThd", "damaged MIDI"),
        (midi_bytes(track(*NOTE_OF_A_QUARTER))[:-1], "it ends early"),
        (midi_bytes(track(*NOTE_OF_A_QUARTER), division=0), "0 ticks per quarter"),
        (midi_bytes(track(*NOTE_OF_A_QUARTER), division=-6360), "damaged MIDI"),  # SMPTE
        (midi_bytes(track((10**8, on(60)), (1, off(60))), division=1), "at most 1000000 steps"),
        (midi_bytes(track(*LATE, (16, on(60)), (1, off(60)))), "times outside"),
    ],
)
def test_hostile_bytes_are_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    path = write(tmp_path, data)
    with pytest.raises(InputError) as caught:
        read_midi(path, 4)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert reason in message


@pytest.mark.parametrize(
    ("tracks", "num_notes"),
    [
        ([track()], 0),
        ([track((0, on(60)))], 0),  # never ended
        ([track((0, off(60)))], 0),  # never begun
        ([track((0, on(60, velocity=0)), (480, off(60)))], 0),
        ([track((0, bytes([0x90, 200, 80])), *NOTE_OF_A_QUARTER)], 1),  # a pitch above 127
        ([track(*NOTE_OF_A_QUARTER, (2**27, metre(3, 2)))], 1),  # a metre past all music
        ([track(*[(0, metre(3 + i % 2, 2)) for i in range(3000)], *NOTE_OF_A_QUARTER)], 1),
    ],
)
def test_odd_bytes_are_read(tmp_path: Path, tracks: list[bytes], num_notes: int) -> None:
    piece = read_midi(write(tmp_path, midi_bytes(*tracks)), 4)
    assert len(piece.notes) == num_notes


def test_more_tracks_than_16_bits_count_are_no_crash(tmp_path: Path) -> None:
    path = write(tmp_path, midi_bytes(*[track(*NOTE_OF_A_QUARTER)] * 33_000))
    read = outcome(path)
    assert "33000 tracks" in read if isinstance(read, str) else len(read.notes) == 33_000


def test_limits_of_size_are_named(tmp_path: Path) -> None:
    path = tmp_path / "large.mid"
    with path.open("wb") as file:
        file.truncate(16 * 2**20 + 1)  # a hole: takes no room on the disk
    with pytest.raises(InputError, match="a MIDI file has at most 16777216"):
        read_midi(path, 4)


@pytest.mark.parametrize("place", ["absent.mid", ""])
def test_what_cannot_be_opened_is_named(tmp_path: Path, place: str) -> None:
    with pytest.raises(InputError, match="cannot be read") as caught:
        read_midi(tmp_path / place, 4)
    assert str(caught.value).startswith(f"{tmp_path / place}: ")


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


# Writing


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


def test_find_midi_knows_suffixes_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "folder.mid").mkdir()
    names = ["b.mid", "a.MID", "sub/c.midi", "d.kar", "e.rmi", "f.txt", "mid"]
    for name in names:
        (tmp_path / name).touch()
    names_found = [path.relative_to(tmp_path).as_posix() for path in find_midi(tmp_path)]
    assert names_found == ["a.MID", "b.mid", "d.kar", "e.rmi", "sub/c.midi"]


# Metres that are repeated, and pieces one after the other


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


def test_more_notes_than_memory_is_meant_for_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = pretty_midi.PrettyMIDI()
    for program in (0, 1):
        song.instruments.append(pretty_midi.Instrument(program))
        song.instruments[-1].notes = [pretty_midi.Note(80, 60, i, i + 1) for i in range(3)]
    song.write(str(tmp_path / "a.mid"))
    monkeypatch.setattr(parse, "MAX_NOTES", 6)
    assert len(read_midi(tmp_path / "a.mid", 4).notes) == 6
    monkeypatch.setattr(parse, "MAX_NOTES", 5)
    for source in (tmp_path / "a.mid", song):
        with pytest.raises(InputError, match="6 notes; at most 5 are read"):
            read_midi(source, 4)
