"""Track chunks as symusic reads them: together where they are sound, else one by one and mended.

symusic says neither which chunk nor which channel its tracks are from, and forgets a program where
the next chunk begins. So programs are replaced by numbers of the channel and of the chunk before it
parses them; `channels` keeps what was there.
"""

import re
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import symusic

from seqvae.music.midi.channels import NUM_CHANNELS, Change, changes, with_channels_as_programs
from seqvae.music.midi.ends import last_delta
from seqvae.music.midi.mending import Suspicion, is_suspect, mend

NUM_TOGETHER = 8  # chunks whose channels the 128 programs can tell apart
NUMBERS = range(NUM_TOGETHER)
EMPTY_TRACK = b"MTrk\0\0\0\x04\0\xff\x2f\0"
# Events that a score has beside its tracks: what their first two bytes are called there.
BESIDE_TRACKS = {
    b"\xff\x51": "tempos",
    b"\xff\x58": "time_signatures",
    b"\xff\x59": "key_signatures",
    b"\xff\x06": "markers",
}
BESIDE_TRACK = re.compile(b"\xff[\x51\x58\x59\x06]")


class ReadTrack(NamedTuple):
    """A track chunk, and what symusic makes of it."""

    chunk: bytes
    named: list[Change]
    """Its programs and banks."""
    playing: list[tuple[int, Any]]
    """Its channels that have notes, each with a symusic track, which has no type stubs."""
    end_tick: int
    """Where the chunk says that it ends; 0 if that is where its last event is."""
    num_lost: int = 0
    """Bytes of damage."""


class ReadTracks(NamedTuple):
    """All track chunks of a song."""

    tracks: list[ReadTrack]
    scores: list[Any]
    """What symusic has made of them, in their order."""


def read_tracks(resolution: int, chunks: Sequence[bytes], suspicion: Suspicion) -> ReadTracks:
    """Read the track chunks of a song. Damaged ones are mended first."""
    is_damaged = [is_suspect(chunk, suspicion) for chunk in chunks]
    if len(chunks) > 1 and not any(is_damaged) and _are_apart(chunks):
        try:
            return _read_together(resolution, chunks)
        except (RuntimeError, ValueError):  # one is damaged, or something is of an unknown chunk
            pass
    alone = [
        _read_alone(resolution, chunk, is_damaged=damaged)
        for chunk, damaged in zip(chunks, is_damaged, strict=True)
    ]
    return ReadTracks([track for track, _ in alone], [score for _, score in alone])


def _are_apart(chunks: Sequence[bytes]) -> bool:
    """Whether what a score has beside its tracks is of one chunk for each kind.

    Then it is known which chunk, and its order is that of the file.
    """
    found: list[bytes] = []
    for chunk in chunks:
        found += {*BESIDE_TRACK.findall(chunk)}
    return len(found) == len({*found})


def _read_together(resolution: int, chunks: Sequence[bytes]) -> ReadTracks:
    """Read track chunks in groups.

    Raises:
        RuntimeError: symusic finds damage, such as impossible values.
        ValueError: a chunk is not complete, or there are lyrics, which tell no chunk.
    """
    tracks: list[ReadTrack] = []
    scores: list[Any] = []
    for first in range(0, len(chunks), NUM_TOGETHER):
        group = chunks[first : first + NUM_TOGETHER]
        named = [changes(chunk) for chunk in group]
        score = _score(resolution, list(map(with_channels_as_programs, group, named, NUMBERS)))
        playing: list[list[tuple[int, Any]]] = [[] for _ in group]
        for track in items(score.tracks):
            if not track.note_num():
                raise ValueError("lyrics")
            number, channel = divmod(track.program, NUM_CHANNELS)
            playing[number].append((channel, track))
        ends = [_end_tick(*of_chunk, score) for of_chunk in zip(group, playing, strict=True)]
        tracks += map(ReadTrack, group, named, playing, ends)
        scores.append(score)
    return ReadTracks(tracks, scores)


def _end_tick(chunk: bytes, playing: Sequence[tuple[int, Any]], score: Any) -> int:
    """Where one of several chunks says that it ends; 0 if that is where its last event is."""
    delta = last_delta(chunk)
    if not delta:
        return 0
    ends = [track.end() for _, track in playing]
    for kind in {*BESIDE_TRACK.findall(chunk)}:
        ends += [event.time for event in items(getattr(score, BESIDE_TRACKS[kind]))]
    return max(ends, default=0) + delta


def _read_alone(resolution: int, chunk: bytes, *, is_damaged: bool) -> tuple[ReadTrack, Any]:
    """Read a track chunk, and mend it first if it is damaged."""
    if not is_damaged:
        try:
            return _read_sound_track(resolution, chunk)
        except (RuntimeError, ValueError):  # it is
            pass
    mended, num_lost = mend(chunk[8:]), len(chunk) - 8
    try:
        track, score = _read_sound_track(resolution, mended.chunk)
        num_lost = mended.num_lost
    except (RuntimeError, ValueError):
        track, score = _read_sound_track(resolution, EMPTY_TRACK)
    return track._replace(num_lost=num_lost), score


def _read_sound_track(resolution: int, chunk: bytes) -> tuple[ReadTrack, Any]:
    """Read a track chunk.

    Raises:
        RuntimeError: symusic finds damage, such as impossible values.
        ValueError: the chunk is not complete.
    """
    named = changes(chunk)
    score = _score(resolution, [with_channels_as_programs(chunk, named)])
    playing = [(track.program, track) for track in items(score.tracks) if track.note_num()]
    delta = last_delta(chunk)
    return ReadTrack(chunk, named, playing, score.end() + delta if delta else 0), score


def items(of_symusic: Any) -> list[Any]:
    """A list of symusic as one of Python: its iterators take longer to make than to run through."""
    return [of_symusic[number] for number in range(len(of_symusic))]


def _score(resolution: int, chunks: Sequence[bytes]) -> Any:
    header = struct.pack(">4sIHHH", b"MThd", 6, int(len(chunks) > 1), len(chunks), resolution)
    return symusic.Score.from_midi(header + b"".join(chunks))
