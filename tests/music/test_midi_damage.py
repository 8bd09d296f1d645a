"""MIDI files that are damaged: read as far as they are sound, or refused in one line."""

import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import DATA
from midi_events import (
    NOTE_OF_A_QUARTER,
    metre,
    midi_bytes,
    off,
    on,
    outcome,
    track,
    write,
)

import seqvae
from seqvae.errors import InputError
from seqvae.music.midi import MAX_STEPS, read_midi

INDEX = DATA / "midi_nasty" / "INDEX.tsv"
NASTY = (
    [row.split("\t") for row in INDEX.read_text(encoding="utf-8").splitlines()[1:]]
    if INDEX.is_file()
    else []
)
# Files that a reader opens but that hold no possible music: no time, no track, a note after days.
IMPOSSIBLE = {
    "muspy_zero_tpb.mid",
    "syn_9e6_tick.mid",
    "dwm_Unknown_Chunk_Id_0.mid",
    "\xe8mpty.mid",
}


@pytest.mark.parametrize("row", NASTY or [["absent"]], ids=lambda row: row[0])
def test_a_nasty_file_is_read_or_refused_in_one_line(data_folder: Path, row: list[str]) -> None:
    name = row[0]
    readers = dict(zip(("pretty_midi", "symusic", "sanitized"), row[6:9], strict=True))
    path = data_folder / "midi_nasty" / name
    started = time.process_time()
    read = outcome(path)
    assert time.process_time() - started < 5
    if isinstance(read, str):
        assert "\n" not in read
        assert read.startswith(f"{path}: ")
        assert len(read) < len(str(path)) + 100
        # what some reader opens is refused only where it holds no music
        assert name in IMPOSSIBLE or "OK" not in readers.values()
    else:
        assert name not in IMPOSSIBLE
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
        (b"MThd", "damaged MIDI (the header ends early)"),
        (midi_bytes()[:10] + b"\0\1\1\xe0", "damaged MIDI (it has no track)"),
        (midi_bytes(b"MTrk" + struct.pack(">I", 99)), "no note before the damage"),
        (midi_bytes(b"MTrk" + struct.pack(">I", 2) + b"\0\x3c"), "no note before the damage"),
        (midi_bytes(track(*NOTE_OF_A_QUARTER), division=0), "0 ticks per quarter"),
        (midi_bytes(track(*NOTE_OF_A_QUARTER), division=-6360), "SMPTE time code"),
        (midi_bytes(track(*NOTE_OF_A_QUARTER), division=-6400), "damaged MIDI (time code of 25"),
        (midi_bytes(track(*NOTE_OF_A_QUARTER), division=-256), "damaged MIDI (time code of 1 "),
        (midi_bytes(track((10**8, on(60)), (1, off(60))), division=1), "at most 1000000 are read"),
        (midi_bytes(track(*LATE, (16, on(60)), (1, off(60)))), "no note before the damage"),
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
    assert isinstance(read, str)
    assert "more tracks than the 10000" in read
