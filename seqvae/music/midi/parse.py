"""MIDI files and PrettyMIDI objects -> songs: notes, metres and tempos with times in ticks.

symusic parses files; it is a hundred times faster than pretty_midi, which tries what symusic
rejects. symusic raises nothing on impossible values: they are checked here and in `read`.
"""

import itertools
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pretty_midi
import symusic
from jaxtyping import Float
from mido.midifiles.meta import KeySignatureError
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.files import find_files
from seqvae.music.midi.channels import (
    DRUM_CHANNEL,
    Channels,
    changes,
    with_channels_as_programs,
)
from seqvae.music.midi.ends import end_tick
from seqvae.music.midi.midi_clip import MidiClip
from seqvae.music.notes import NOTE, Key, Notes, Track
from seqvae.reasons import Dropped

MidiSource: TypeAlias = str | Path | pretty_midi.PrettyMIDI

MIDI_SUFFIXES = frozenset({".mid", ".midi", ".kar", ".rmi"})
MAX_FILE_BYTES = 16 * 2**20
MAX_NOTES = 500_000
MAX_TRACKS = 10_000
MAX_SHARPS = 7
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
    tracks: list[Track]
    """What the file says of each track of the notes."""
    file_name: str = ""
    """Of the file, without its folder."""
    noted: Dropped = field(default_factory=Dropped)
    """What of the file could not be taken as it is written."""
    end_tick: int = 0
    """Where the file says that it ends; 0 if that is where its last event is."""
    key: Key | None = None
    """Its first key signature."""


def find_midi(folder: Path) -> list[Path]:
    """All files in a folder and its subfolders with a suffix of MIDI files, sorted.

    Raises:
        InputError: there is no such folder.
    """
    return find_files(str(folder), MIDI_SUFFIXES).files


def parse_file(path: Path) -> list[Song]:
    """Parse a MIDI file into its songs: one, or one per track of a type 2 file.

    Raises:
        InputError: the file cannot be opened, is not MIDI, or is damaged.
    """
    data = _read_bytes(path)
    for parse in (_parse_tracks, _parse_whole):
        try:
            return parse(data, path)
        except InputError:
            raise
        except (RuntimeError, ValueError):  # a damaged file
            continue
    return [parse_object(_open_with_pretty_midi(path), str(path))]


def _read_bytes(path: Path) -> bytes:
    """The bytes of a file from the MIDI header on."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise InputError(f"{path}: {size} bytes; a MIDI file has at most {MAX_FILE_BYTES}")
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # there are characters that no name has
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({reason})") from error
    if not data:
        raise InputError(f"{path}: the file is empty")
    header = data.find(b"MThd", 0, 256 if data.startswith(b"RIFF") else 4)
    if header < 0:
        raise InputError(f"{path}: not a MIDI file (no MThd header)")
    return data[header:]


def _track_chunks(data: bytes) -> list[bytes]:
    """The track chunks of a file."""
    tracks: list[bytes] = []
    start = 8 + int.from_bytes(data[4:8], "big")
    while start + 8 <= len(data):
        end = start + 8 + int.from_bytes(data[start + 4 : start + 8], "big")
        if data[start : start + 4] == b"MTrk":
            tracks.append(data[start:end])
        start = end
    return tracks


@dataclass(frozen=True, eq=False)
class Part:
    """The notes of a track chunk that one sound plays."""

    track: Track
    is_drum: bool
    columns: Mapping[str, NDArray[Any]]
    """time, duration, pitch and velocity of the notes."""


def _parse_tracks(data: bytes, path: Path) -> list[Song]:
    """The songs of a file whose track chunks are sound."""
    header = struct.pack(">4sIHH", b"MThd", 6, 0, 1) + data[12:14]
    chunks = _track_chunks(data)
    if not chunks:
        raise ValueError("no track chunk")
    if len(chunks) > MAX_TRACKS:
        raise InputError(f"{path}: {len(chunks)} tracks; at most {MAX_TRACKS} are read")
    songs = [[chunk] for chunk in chunks] if data[8:10] == b"\0\2" else [chunks]
    return [_parse_song(header, song, path) for song in songs]


def _parse_song(header: bytes, chunks: Sequence[bytes], path: Path) -> Song:
    """The song of track chunks, with the programs that hold for their channels."""
    named = [changes(chunk) for chunk in chunks]
    scores = [
        _score(header + with_channels_as_programs(chunk, changes))
        for chunk, changes in zip(chunks, named, strict=True)
    ]
    without_notes = [number for number, score in enumerate(scores) if not score.note_num()]
    channels = Channels.of(b"".join(chunks), named, without_notes)
    song = _song(path, scores, list(_parts_by_channel(scores, channels)))
    return replace(song, end_tick=end_tick(chunks, scores))


def _parts_by_channel(scores: Sequence[Any], channels: Channels) -> Iterator[Part]:
    """The notes of each track chunk by channel, then program.

    The name of a chunk that has all channels of a file is that of the piece.
    """
    for number, score in enumerate(scores):
        tracks = [track for track in score.tracks if len(track.notes)]
        is_whole = len(scores) == 1 and len(tracks) > 1
        for track in tracks:
            all_columns = track.notes.numpy()
            for sound, which in channels.sounds(number, track.program, all_columns["time"]):
                about = Track("" if is_whole else track.name, track.program + 1, sound.program)
                columns = all_columns
                if which is not None:
                    columns = {name: column[which] for name, column in all_columns.items()}
                yield Part(about, sound.is_drum, columns)


def _parse_whole(data: bytes, path: Path) -> list[Song]:
    """The song of a file as far as symusic understands it; of the channels only drums are known."""
    score = _score(data)
    parts = [
        Part(
            Track(track.name, DRUM_CHANNEL + 1 if track.is_drum else None, track.program),
            track.is_drum,
            track.notes.numpy(),
        )
        for track in score.tracks
    ]
    return [_song(path, [score], parts)]


def _score(data: bytes) -> Any:
    """A `symusic.Score`, which has no type stubs."""
    # Sanitizing clears high bits of data bytes, and changes nothing in intact files.
    return symusic.Score.from_midi(data, sanitize_data=True)


def _song(path: Path, scores: Sequence[Any], parts: Sequence[Part]) -> Song:
    """The song of scores, whose notes are those of the parts."""
    name = str(path)
    if any(score.end() >= MAX_TICK or score.start() < 0 for score in scores):
        raise InputError(f"{name}: times outside 0..{MAX_TICK} ticks")
    if len(parts) > MAX_TRACKS:
        raise InputError(f"{name}: {len(parts)} tracks; at most {MAX_TRACKS} are read")
    sizes = [len(part.columns["time"]) for part in parts]
    notes, ticks = _room_for(sizes, name)
    for index, (place, part) in enumerate(zip(_places(sizes), parts, strict=True)):
        columns, track_notes = part.columns, notes[place]
        track_notes["pitch"], track_notes["velocity"] = columns["pitch"], columns["velocity"]
        track_notes["program"], track_notes["is_drum"] = part.track.program, part.is_drum
        track_notes["track"] = index
        ticks[:, place] = columns["time"]
        ticks[1, place] += columns["duration"]
    return Song(
        name,
        _resolution(scores[0].ticks_per_quarter, name),
        notes,
        ticks,
        [(m.time, m.numerator, m.denominator) for score in scores for m in score.time_signatures],
        [(t.time, t.qpm) for score in scores for t in score.tempos],
        [part.track for part in parts],
        path.name,
        key=_first_key(scores),
    )


def _first_key(scores: Sequence[Any]) -> Key | None:
    """The first key signature that there is on paper, with up to seven sharps or flats."""
    signatures = (signature for score in scores for signature in score.key_signatures)
    keys = (Key(signature.key, signature.tonality == 1) for signature in signatures)
    return next((key for key in keys if abs(key.num_sharps) <= MAX_SHARPS), None)


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
        for row, end in enumerate(("start", "end")):
            seconds = [getattr(note, end) for note in instrument.notes]
            if not np.isfinite(seconds).all():
                raise InputError(f"{name}: a note whose {end} is not a number of seconds")
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
    tracks = [
        Track(
            instrument.name,
            DRUM_CHANNEL + 1 if instrument.is_drum else None,
            int(instrument.program),
        )
        for instrument in midi.instruments
    ]
    keys = [_key(signature.key_number) for signature in midi.key_signature_changes]
    last_tick = int(midi.time_to_tick(midi.end_time)) if isinstance(midi, MidiClip) else 0
    key = keys[0] if keys else None
    return Song(name, resolution, notes, ticks, metres, tempos, tracks, end_tick=last_tick, key=key)


def _key(number: int) -> Key:
    """A key as pretty_midi counts: the majors from C up, then the minors."""
    is_minor, tonic = divmod(number, 12)
    num_sharps = (tonic + 3 * is_minor) * 7 % 12  # up a fifth is one sharp more
    return Key(num_sharps - 12 * (num_sharps > 6), bool(is_minor))


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
    ends = itertools.accumulate(sizes)
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
