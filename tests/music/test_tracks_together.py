"""Track chunks that are parsed together are what they are when each is parsed alone."""

import io
from collections.abc import Sequence
from typing import Any

import mido
import numpy as np
import pytest

from seqvae.music.midi import tracks
from seqvae.music.midi.mending import Suspicion, track_chunks
from seqvae.music.midi.tracks import ReadTracks, read_tracks

CLEAR = Suspicion(of_numbers=False)
BESIDE = ("tempos", "time_signatures", "key_signatures", "markers")


def chunk(events: Sequence[mido.Message], end: int = 0) -> bytes:
    """A track whose end comes so many ticks after its last event."""
    file = mido.MidiFile(ticks_per_beat=480)
    file.tracks.append(mido.MidiTrack([*events, mido.MetaMessage("end_of_track", time=end)]))
    written = io.BytesIO()
    file.save(file=written)
    return track_chunks(written.getvalue()).tracks[0]


def note(channel: int = 0, pitch: int = 60, time: int = 480) -> list[mido.Message]:
    return [
        mido.Message("note_on", channel=channel, note=pitch, velocity=80),
        mido.Message("note_off", channel=channel, note=pitch, time=time),
    ]


def program(channel: int, number: int, time: int = 0) -> mido.Message:
    return mido.Message("program_change", channel=channel, program=number, time=time)


def meta(kind: str, time: int = 0, **values: Any) -> mido.MetaMessage:
    return mido.MetaMessage(kind, time=time, **values)


def told(read: ReadTracks) -> tuple[Any, ...]:
    """All that is taken of tracks and scores."""
    of_tracks = [
        (
            track.chunk,
            track.named,
            [
                (channel, part.name, {k: v.tolist() for k, v in part.notes.numpy().items()})
                for channel, part in track.playing
            ],
            track.end_tick,
            track.num_lost,
        )
        for track in read.tracks
    ]
    beside = [[str(event) for s in read.scores for event in getattr(s, kind)] for kind in BESIDE]
    return of_tracks, beside


def alone(chunks: Sequence[bytes], monkeypatch: pytest.MonkeyPatch) -> ReadTracks:
    with monkeypatch.context() as patch:
        patch.setattr(tracks, "_are_apart", lambda _: False)
        return read_tracks(480, chunks, CLEAR)


def random_chunk(rng: np.random.Generator) -> bytes:
    """Notes on some channels, programs among them, and an end that may come later."""
    channels = rng.choice(16, rng.integers(1, 4), replace=False).tolist()
    events: list[mido.Message] = [meta("track_name", name=f"track {rng.integers(9)}")]
    for _ in range(rng.integers(0, 6)):
        channel = int(rng.choice(channels))
        if rng.random() < 0.5:
            events.append(program(channel, int(rng.integers(128)), int(rng.integers(0, 20_000))))
        events += note(channel, int(rng.integers(128)))
    return chunk(events, int(rng.integers(0, 2)) * 960)


def test_groups_of_tracks_are_as_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    conductor = chunk([meta("set_tempo", tempo=400_000), meta("marker", 960, text="A")], 480)
    for count in (1, 2, 7, 8, 9, 17):
        chunks = [conductor, *(random_chunk(rng) for _ in range(count))]
        together = read_tracks(480, chunks, CLEAR)
        assert len(together.scores) == -(-len(chunks) // 8)
        assert told(together) == told(alone(chunks, monkeypatch))


TEMPO = [meta("set_tempo", tempo=400_000)]
METRE = [meta("time_signature", numerator=3, denominator=4)]


@pytest.mark.parametrize(
    ("chunks", "num_scores"),
    [
        ([TEMPO + note(), METRE + note(1)], 1),  # of each kind one chunk
        ([TEMPO + note(), TEMPO + note(1)], 2),  # one kind of two chunks: which came first?
        ([note(), [meta("lyrics", text="la"), *note(1)]], 2),  # lyrics say no chunk
        ([note(), [meta("key_signature", 2000, key="Eb")]], 1),  # which ends later than its notes
    ],
)
def test_what_tells_no_chunk_is_read_alone(
    monkeypatch: pytest.MonkeyPatch, chunks: list[list[mido.Message]], num_scores: int
) -> None:
    written = [chunk(events, 480) for events in chunks]
    read = read_tracks(480, written, CLEAR)
    assert len(read.scores) == num_scores
    assert told(read) == told(alone(written, monkeypatch))


def test_a_damaged_track_leaves_the_others_whole() -> None:
    sound, damaged = chunk(note() + note()), chunk(note(1) + note(1))
    damaged = damaged.replace(b"\x91", b"\xf4", 1)
    read = read_tracks(480, [sound, damaged], CLEAR)
    assert [bool(track.playing) for track in read.tracks] == [True, False]
    assert [bool(track.num_lost) for track in read.tracks] == [False, True]
