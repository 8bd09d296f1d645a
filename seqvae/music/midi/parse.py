"""MIDI files and PrettyMIDI objects -> songs: notes, metres and tempos with times in ticks.

symusic parses files; it is a hundred times faster than pretty_midi, which tries what symusic
rejects. symusic raises nothing on impossible values: they are checked here and in `read`.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pretty_midi
import symusic
from jaxtyping import Float
from mido.midifiles.meta import KeySignatureError
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.music.notes import NOTE, Notes

MidiSource: TypeAlias = str | Path | pretty_midi.PrettyMIDI

MIDI_SUFFIXES = frozenset({".mid", ".midi", ".kar", ".rmi"})
MAX_FILE_BYTES = 16 * 2**20
MAX_NOTES = 500_000
MAX_TRACKS = 10_000
MAX_TICK = 2**31 - 1  # symusic counts ticks in 32 bits and loses what lies beyond

# What pretty_midi and mido raise on damaged files.
PRETTY_MIDI_ERRORS = (
    OSError, EOFError, ValueError, IndexError, KeyError, ZeroDivisionError, KeySignatureError,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Song:
    """A parsed file. Its notes have every field but start, end and offset, which need a grid."""

    name: str
    """Of the file, for error messages."""
    resolution: int
    """Ticks per quarter."""
    notes: Notes
    ticks: Float[np.ndarray, "2 N"]
    """Onsets and ends of the notes."""
    metres: list[tuple[int, int, int]]
    """Tick, numerator and denominator of time signatures, in the order of the file."""
    tempos: list[tuple[int, float]]
    """Tick and quarters per minute of tempo changes, in the order of the file."""


def find_midi(folder: Path) -> list[Path]:
    """All files in a folder and its subfolders with a suffix of MIDI files, sorted."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in MIDI_SUFFIXES and p.is_file())


def parse_file(path: Path) -> list[Song]:
    """Parse a MIDI file into its songs: one, or one per track of a type 2 file.

    Raises:
        InputError: the file cannot be opened, is not MIDI, or is damaged.
    """
    data = _read_bytes(path)
    patterns = _patterns(data) or [data]
    try:  # sanitizing clears high bits of data bytes, and changes nothing in intact files
        scores = [symusic.Score.from_midi(part, sanitize_data=True) for part in patterns]
    except (RuntimeError, ValueError):
        return [parse_object(_open_with_pretty_midi(path), str(path))]
    return [_from_symusic(score, str(path)) for score in scores]


def _read_bytes(path: Path) -> bytes:
    """The bytes of a file from the MIDI header on."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise InputError(f"{path}: {size} bytes; a MIDI file has at most {MAX_FILE_BYTES}")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if not data:
        raise InputError(f"{path}: the file is empty")
    header = data.find(b"MThd", 0, 256 if data.startswith(b"RIFF") else 4)
    if header < 0:
        raise InputError(f"{path}: not a MIDI file (no MThd header)")
    return data[header:]


def _patterns(data: bytes) -> list[bytes]:
    """The tracks of a type 2 file, which are independent songs, as files; none of other types."""
    if data[8:10] != b"\0\2":
        return []
    header = struct.pack(">4sIHH", b"MThd", 6, 0, 1) + data[12:14]
    patterns: list[bytes] = []
    start = 8 + int.from_bytes(data[4:8], "big")
    while start + 8 <= len(data) and len(patterns) < MAX_TRACKS:
        end = start + 8 + int.from_bytes(data[start + 4 : start + 8], "big")
        if data[start : start + 4] == b"MTrk":
            patterns.append(header + data[start:end])
        start = end
    return patterns


def _from_symusic(score: Any, name: str) -> Song:
    """The song of a `symusic.Score` in ticks, which has no type stubs."""
    if score.end() >= MAX_TICK or score.start() < 0:
        raise InputError(f"{name}: times outside 0..{MAX_TICK} ticks")
    if len(score.tracks) > MAX_TRACKS:
        raise InputError(f"{name}: {len(score.tracks)} tracks; at most {MAX_TRACKS} are read")
    tracks = [track.notes.numpy() for track in score.tracks]
    sizes = [len(columns["time"]) for columns in tracks]
    notes, ticks = _room_for(sizes, name)
    for index, (place, columns) in enumerate(zip(_places(sizes), tracks, strict=True)):
        track, track_notes = score.tracks[index], notes[place]
        track_notes["pitch"], track_notes["velocity"] = columns["pitch"], columns["velocity"]
        track_notes["program"], track_notes["is_drum"] = track.program, track.is_drum
        track_notes["track"] = index
        ticks[:, place] = columns["time"]
        ticks[1, place] += columns["duration"]
    metres = [(m.time, m.numerator, m.denominator) for m in score.time_signatures]
    tempos = [(t.time, t.qpm) for t in score.tempos]
    return Song(name, _resolution(score.ticks_per_quarter, name), notes, ticks, metres, tempos)


def _open_with_pretty_midi(path: Path) -> pretty_midi.PrettyMIDI:
    try:
        return pretty_midi.PrettyMIDI(str(path))
    except PRETTY_MIDI_ERRORS as error:
        reason = "it cannot be parsed"
        if isinstance(error, EOFError):
            reason = "it ends early"
        elif isinstance(error, OSError | KeySignatureError):
            reason = str(error)
        raise InputError(f"{path}: damaged MIDI ({reason})") from error


def parse_object(midi: pretty_midi.PrettyMIDI, name: str = "the PrettyMIDI object") -> Song:
    """Turn a `pretty_midi.PrettyMIDI` into a song.

    Raises:
        InputError: it holds times that are not numbers, or too many notes.
    """
    resolution = _resolution(int(midi.resolution), name)
    sizes = [len(instrument.notes) for instrument in midi.instruments]
    notes, ticks = _room_for(sizes, name)
    for index, (place, instrument) in enumerate(zip(_places(sizes), midi.instruments, strict=True)):
        track_notes = notes[place]
        for row, field in enumerate(("start", "end")):
            seconds = [getattr(note, field) for note in instrument.notes]
            if not np.isfinite(seconds).all():
                raise InputError(f"{name}: a note whose {field} is not a number of seconds")
            ticks[row, place] = [midi.time_to_tick(time) for time in seconds]
        # Clipped to the first impossible values, which `read` refuses: they may exceed 16 bits.
        track_notes["pitch"] = np.clip([note.pitch for note in instrument.notes], -1, 128)
        track_notes["velocity"] = np.clip([note.velocity for note in instrument.notes], 0, 128)
        track_notes["program"], track_notes["is_drum"] = instrument.program, instrument.is_drum
        track_notes["track"] = index
    metres = [
        (int(midi.time_to_tick(metre.time)), metre.numerator, metre.denominator)
        for metre in midi.time_signature_changes
    ]
    tempos = [
        (int(midi.time_to_tick(time)), float(qpm))
        for time, qpm in zip(*midi.get_tempo_changes(), strict=True)
    ]
    return Song(name, resolution, notes, ticks, metres, tempos)


def _resolution(ticks_per_quarter: int, name: str) -> int:
    """A checked number of ticks per quarter."""
    if ticks_per_quarter <= 0:
        raise InputError(f"{name}: {ticks_per_quarter} ticks per quarter; it must be 1 or more")
    return ticks_per_quarter


def _room_for(sizes: Sequence[int], name: str) -> tuple[Notes, NDArray[np.float64]]:
    """Uninitialised notes and ticks for tracks with so many notes."""
    num_notes = sum(sizes)
    if num_notes > MAX_NOTES:
        raise InputError(f"{name}: {num_notes} notes; at most {MAX_NOTES} are read")
    return np.empty(num_notes, NOTE), np.empty((2, num_notes))


def _places(sizes: Sequence[int]) -> list[slice]:
    """Where the notes of each track lie in the table of all notes."""
    ends = np.cumsum(sizes, dtype=int).tolist()
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
