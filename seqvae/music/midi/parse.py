"""MIDI files -> songs: notes, metres and tempos with times in ticks.

symusic parses track chunks; it is a hundred times faster than pretty_midi. What it rejects is
mended first. It raises nothing on impossible values: they are checked here and in `read`.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.files import find_files
from seqvae.music.midi.channels import Channels, written_name
from seqvae.music.midi.container import read_bytes
from seqvae.music.midi.mending import MAX_TICK, MAX_TRACKS, Suspicion, track_chunks
from seqvae.music.midi.song import Song, checked_resolution, places, room_for
from seqvae.music.midi.tracks import ReadTrack, ReadTracks, items, read_tracks
from seqvae.music.notes import Key, Track
from seqvae.reasons import Dropped, Reason

MIDI_SUFFIXES = frozenset({".mid", ".midi", ".kar", ".rmi"})
REPLACEMENT = "\ufffd"  # what symusic gives for bytes that are not UTF-8
MAX_SHARPS = 7

# Frames of SMPTE time code: frames a second as a whole number, and the tempo at which a quarter has
# so many. 29 stands for 30 at the slower speed of video, 30000/1001.
FRAMES = {24: (24, 60.0), 25: (25, 60.0), 29: (30, 60 / 1.001), 30: (30, 60.0)}

HEADER_BYTES = 14

DAMAGED = Reason("file", "damaged MIDI: read as far as it is sound")
LOST_BYTES = Reason("byte", "damaged MIDI that could not be read")
FEWER_TRACKS = Reason("file", "fewer tracks than the file says that it has")


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
    suspicion = Suspicion.of(data)
    songs_of = [[chunk] for chunk in chunks] if kind == 2 and chunks else [chunks]
    read = [read_tracks(resolution, of_song, suspicion) for of_song in songs_of]
    tracks = [track for of_song in read for track in of_song.tracks]
    num_lost += sum(track.num_lost for track in tracks)
    if (num_lost or is_cut) and not any(track.playing for track in tracks):
        raise InputError(f"{path}: damaged MIDI (there is no note before the damage)")
    noted = Dropped()
    if num_lost or is_cut:
        noted[DAMAGED] = 1
    if num_lost:
        noted[LOST_BYTES] = num_lost
    if len(tracks) < num_tracks:
        noted[FEWER_TRACKS] = 1
    songs = [_song(path, resolution, of_song) for of_song in read]
    if timecode_qpm is not None:  # tempos say nothing there
        songs = [replace(song, tempos=[(0, timecode_qpm)], is_timecode=True) for song in songs]
    return [replace(songs[0], noted=noted), *songs[1:]] if noted else songs


def _clock(division: bytes, name: str) -> tuple[int, float | None]:
    """Ticks per quarter; of SMPTE time code ticks per second, and the tempo that makes them so."""
    frames, ticks_per_frame = struct.unpack(">bB", division)
    if frames >= 0:
        return checked_resolution(int.from_bytes(division, "big"), name), None
    if -frames not in FRAMES or not ticks_per_frame:
        raise InputError(f"{name}: damaged MIDI (time code of {-frames} frames a second)")
    per_second, qpm = FRAMES[-frames]
    return per_second * ticks_per_frame, qpm


class Part(NamedTuple):
    """The notes of a track chunk that one sound plays."""

    track: Track
    is_drum: bool
    columns: Mapping[str, NDArray[Any]]
    """time, duration, pitch and velocity of the notes."""


def _parts_by_channel(tracks: Sequence[ReadTrack]) -> Iterator[Part]:
    """The notes of each track chunk by channel, then program.

    The name of a chunk that has all channels of a file is that of the piece.
    """
    without_notes = frozenset(n for n, track in enumerate(tracks) if not track.playing)
    chunks, named = [track.chunk for track in tracks], [track.named for track in tracks]
    channels = Channels.of(chunks, named, without_notes)
    for number, read in enumerate(tracks):
        is_whole = len(tracks) == 1 and len(read.playing) > 1
        for channel, track in read.playing:
            name = "" if is_whole else track.name
            if not is_whole and (not name or REPLACEMENT in name):
                name = written_name(read.chunk)
            all_columns = track.notes.numpy()
            for sound, which in channels.sounds(number, channel, all_columns["time"]):
                about = Track(name, channel + 1, sound.program)
                columns = all_columns
                if which is not None:
                    columns = {key: column[which] for key, column in all_columns.items()}
                yield Part(about, sound.is_drum, columns)


def _song(path: Path, resolution: int, read: ReadTracks) -> Song:
    """The song of track chunks, with the programs that hold for their channels."""
    name, scores = str(path), read.scores
    if any(score.end() >= MAX_TICK or score.start() < 0 for score in scores):
        raise InputError(f"{name}: times outside 0..{MAX_TICK} ticks")
    parts = list(_parts_by_channel(read.tracks))
    if len(parts) > MAX_TRACKS:
        raise InputError(f"{name}: {len(parts)} tracks; at most {MAX_TRACKS} are read")
    sizes = [len(part.columns["time"]) for part in parts]
    notes, ticks = room_for(sizes, name)
    pitch, velocity, program = notes["pitch"], notes["velocity"], notes["program"]
    is_drum, track, (onsets, ends) = notes["is_drum"], notes["track"], ticks
    for index, (place, part) in enumerate(zip(places(sizes), parts, strict=True)):
        columns = part.columns
        pitch[place], velocity[place] = columns["pitch"], columns["velocity"]
        program[place], is_drum[place] = part.track.program, part.is_drum
        track[place] = index
        onsets[place], ends[place] = columns["time"], columns["duration"]
    ends += onsets
    return Song(
        name,
        resolution,
        notes,
        ticks,
        [
            (metre.time, metre.numerator, metre.denominator)
            for score in scores
            for metre in items(score.time_signatures)
        ],
        [(tempo.time, tempo.qpm) for score in scores for tempo in items(score.tempos)],
        [part.track for part in parts],
        path.name,
        end_tick=max((track.end_tick for track in read.tracks), default=0),
        key=_first_key(scores),
    )


def _first_key(scores: Sequence[Any]) -> Key | None:
    """The first key signature that there is on paper, with up to seven sharps or flats."""
    for score in scores:
        for signature in items(score.key_signatures):
            if abs(signature.key) <= MAX_SHARPS:
                return Key(signature.key, signature.tonality == 1)
    return None
