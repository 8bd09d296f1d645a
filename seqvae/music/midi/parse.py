"""MIDI files and PrettyMIDI objects -> songs: notes, metres and tempos with times in ticks.

symusic parses track chunks; it is a hundred times faster than pretty_midi. What it rejects is
mended first. It raises nothing on impossible values: they are checked here and in `read`.
"""

import itertools
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pretty_midi
import symusic
from jaxtyping import Float
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.files import find_files
from seqvae.music.midi.channels import (
    DRUM_CHANNEL,
    Change,
    Channels,
    changes,
    with_channels_as_programs,
    written_name,
)
from seqvae.music.midi.container import read_bytes
from seqvae.music.midi.ends import end_tick
from seqvae.music.midi.mending import (
    MAX_TICK,
    MAX_TRACKS,
    is_plain,
    is_suspect,
    mend,
    track_chunks,
)
from seqvae.music.midi.midi_clip import MidiClip
from seqvae.music.notes import NOTE, Key, Notes, Track
from seqvae.reasons import Dropped, Reason

MidiSource: TypeAlias = str | Path | pretty_midi.PrettyMIDI

MIDI_SUFFIXES = frozenset({".mid", ".midi", ".kar", ".rmi"})
REPLACEMENT = "\ufffd"  # what symusic gives for bytes that are not UTF-8
MAX_NOTES = 500_000
MAX_SHARPS = 7

# Frames of SMPTE time code: frames a second as a whole number, and the tempo at which a quarter has
# so many. 29 stands for 30 at the slower speed of video, 30000/1001.
FRAMES = {24: (24, 60.0), 25: (25, 60.0), 29: (30, 60 / 1.001), 30: (30, 60.0)}

HEADER_BYTES = 14
EMPTY_TRACK = b"MTrk\0\0\0\x04\0\xff\x2f\0"

DAMAGED = Reason("file", "damaged MIDI: read as far as it is sound")
LOST_BYTES = Reason("byte", "damaged MIDI that could not be read")
FEWER_TRACKS = Reason("file", "fewer tracks than the file says that it has")


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
    is_timecode: bool = False
    """Whether its ticks count seconds, not quarters."""
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

    A damaged file is read as far as it is sound. What is `noted` of the first song says so.

    Raises:
        InputError: the file cannot be opened, is not MIDI, or nothing of it is sound.
    """
    data = read_bytes(path)
    if len(data) < HEADER_BYTES:
        raise InputError(f"{path}: damaged MIDI (the header ends early)")
    kind, num_tracks = struct.unpack(">HH", data[8:12])
    resolution, timecode_qpm = _clock(data[12:14], str(path))
    chunks, num_lost, is_cut = track_chunks(data)
    if len(chunks) > MAX_TRACKS:
        raise InputError(f"{path}: more tracks than the {MAX_TRACKS} that are read at most")
    if num_tracks and not chunks:
        raise InputError(f"{path}: damaged MIDI (it has no track)")
    header = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, resolution)
    plain = is_plain(data)
    tracks = [_read_track(header, chunk, is_plain=plain) for chunk in chunks]
    num_lost += sum(track.num_lost for track in tracks)
    if (num_lost or is_cut) and not any(track.score.note_num() for track in tracks):
        raise InputError(f"{path}: damaged MIDI (there is no note before the damage)")
    noted = Dropped()
    if num_lost or is_cut:
        noted[DAMAGED] = 1
    if num_lost:
        noted[LOST_BYTES] = num_lost
    if len(tracks) < num_tracks:
        noted[FEWER_TRACKS] = 1
    songs = [
        _parse_song(path, resolution, song)
        for song in ([[track] for track in tracks] if kind == 2 and tracks else [tracks])
    ]
    if timecode_qpm is not None:  # tempos say nothing there
        songs = [replace(song, tempos=[(0, timecode_qpm)], is_timecode=True) for song in songs]
    return [replace(songs[0], noted=noted), *songs[1:]] if noted else songs


def _clock(division: bytes, name: str) -> tuple[int, float | None]:
    """Ticks per quarter; of SMPTE time code ticks per second, and the tempo that makes them so."""
    frames, ticks_per_frame = struct.unpack(">bB", division)
    if frames >= 0:
        return _resolution(int.from_bytes(division, "big"), name), None
    if -frames not in FRAMES or not ticks_per_frame:
        raise InputError(f"{name}: damaged MIDI (time code of {-frames} frames a second)")
    per_second, qpm = FRAMES[-frames]
    return per_second * ticks_per_frame, qpm


class ReadTrack(NamedTuple):
    """A track chunk, and what symusic makes of it."""

    chunk: bytes
    named: list[Change]
    """Its programs and banks."""
    score: Any
    """A `symusic.Score`, which has no type stubs. Its programs are channels."""
    num_lost: int = 0
    """Bytes of damage."""


def _read_track(header: bytes, chunk: bytes, *, is_plain: bool) -> ReadTrack:
    """Read a track chunk, and mend it first if it is damaged."""
    if not is_suspect(chunk, is_plain=is_plain):
        try:
            return _read_sound_track(header, chunk)
        except (RuntimeError, ValueError):  # it is damaged
            pass
    mended = mend(chunk[8:])
    try:
        return _read_sound_track(header, mended.chunk)._replace(num_lost=mended.num_lost)
    except (RuntimeError, ValueError):
        return _read_sound_track(header, EMPTY_TRACK)._replace(num_lost=len(chunk) - 8)


def _read_sound_track(header: bytes, chunk: bytes) -> ReadTrack:
    """Read a track chunk.

    Raises:
        RuntimeError: symusic finds damage, such as impossible values.
        ValueError: the chunk is not complete.
    """
    named = changes(chunk)
    data = header + with_channels_as_programs(chunk, named)
    return ReadTrack(chunk, named, symusic.Score.from_midi(data))


class Part(NamedTuple):
    """The notes of a track chunk that one sound plays."""

    track: Track
    is_drum: bool
    columns: Mapping[str, NDArray[Any]]
    """time, duration, pitch and velocity of the notes."""


def _parse_song(path: Path, resolution: int, tracks: Sequence[ReadTrack]) -> Song:
    """The song of track chunks, with the programs that hold for their channels."""
    scores = [track.score for track in tracks]
    without_notes = [number for number, score in enumerate(scores) if not score.note_num()]
    chunks = [track.chunk for track in tracks]
    channels = Channels.of(chunks, [track.named for track in tracks], without_notes)
    parts = list(_parts_by_channel(tracks, channels))
    return _song(path, resolution, scores, parts, end_tick(chunks, scores))


def _parts_by_channel(tracks: Sequence[ReadTrack], channels: Channels) -> Iterator[Part]:
    """The notes of each track chunk by channel, then program.

    The name of a chunk that has all channels of a file is that of the piece.
    """
    for number, read in enumerate(tracks):
        playing = [track for track in read.score.tracks if track.note_num()]
        is_whole = len(tracks) == 1 and len(playing) > 1
        for track in playing:
            name = "" if is_whole else track.name
            if not is_whole and (not name or REPLACEMENT in name):
                name = written_name(read.chunk)
            channel, all_columns = track.program, track.notes.numpy()
            for sound, which in channels.sounds(number, channel, all_columns["time"]):
                about = Track(name, channel + 1, sound.program)
                columns = all_columns
                if which is not None:
                    columns = {key: column[which] for key, column in all_columns.items()}
                yield Part(about, sound.is_drum, columns)


def _song(
    path: Path, resolution: int, scores: Sequence[Any], parts: Sequence[Part], last_tick: int
) -> Song:
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
        resolution,
        notes,
        ticks,
        [(m.time, m.numerator, m.denominator) for score in scores for m in score.time_signatures],
        [(t.time, t.qpm) for score in scores for t in score.tempos],
        [part.track for part in parts],
        path.name,
        end_tick=last_tick,
        key=_first_key(scores),
    )


def _first_key(scores: Sequence[Any]) -> Key | None:
    """The first key signature that there is on paper, with up to seven sharps or flats."""
    signatures = (signature for score in scores for signature in score.key_signatures)
    keys = (Key(signature.key, signature.tonality == 1) for signature in signatures)
    return next((key for key in keys if abs(key.num_sharps) <= MAX_SHARPS), None)


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
