"""Track chunks with one damage each: the events before it come back, what is lost is counted."""

import itertools
import struct
from pathlib import Path

import numpy as np
import pytest
from midi_events import (
    NOTE_OF_A_QUARTER,
    midi_bytes,
    number,
    off,
    on,
    onsets_and_ends,
    outcome,
    tempo,
    track,
    write,
)

from seqvae.corpus.scores import extract_file
from seqvae.music.beats import BeatTrack
from seqvae.music.midi import read_midi
from seqvae.music.midi.mending import Suspicion, is_suspect, mend, track_chunks
from seqvae.music.midi.parse import DAMAGED, FEWER_TRACKS, LOST_BYTES
from seqvae.music.midi.read import FAR_NOTE
from seqvae.music.notes import Piece
from seqvae.reasons import Dropped
from seqvae.tokenizers.melody import MelodyTokenizer

EXCLUSIVE = b"\xf0\x03\x01\x02\xf7"
SCALE = [60, 62, 64, 65, 67]
EXPECTED = [(4 * i, 4 * i + 4, pitch) for i, pitch in enumerate(SCALE)]


def notes(*pitches: int) -> list[tuple[int, bytes]]:
    """Quarters one after the other."""
    return [event for pitch in pitches for event in ((0, on(pitch)), (480, off(pitch)))]


def chunk(body: bytes, length: int | None = None) -> bytes:
    return b"MTrk" + struct.pack(">I", len(body) if length is None else length) + body


def body(*events: tuple[int, bytes]) -> bytes:
    return b"".join(number(delta) + event for delta, event in events)


END = b"\0\xff\x2f\0"


def read(folder: Path, *tracks: bytes, division: int = 480) -> Piece:
    return read_midi(write(folder, midi_bytes(*tracks, division=division)), 4)


@pytest.mark.parametrize(
    "between",
    [
        EXCLUSIVE,
        b"\xf7\x02\xf3\x01",  # an escape
        b"\xf0\x02\x01\x02",  # goes on in the next packet
        b"\xf8",
        b"\xf2\x01\x02",
        b"\xff\x01\x03abc",
        EXCLUSIVE + b"\0" + EXCLUSIVE,
        b"\xff\x01\x01x\0" + EXCLUSIVE + b"\0\xff\x01\x01x",
    ],
)
def test_running_status_goes_on_after_whatever_stands_between(
    tmp_path: Path, between: bytes
) -> None:
    """Each note has a status but the one after what stands between, and the last is running too."""
    events = [(0, on(60)), (480, bytes([60, 0])), (0, between), (0, bytes([62, 80]))]
    events += [(480, bytes([62, 0])), (0, bytes([64, 80])), (480, bytes([64, 0]))]
    piece = read(tmp_path, track(*events))
    assert onsets_and_ends(piece) == EXPECTED[:3]
    assert DAMAGED not in piece.noted or between[0] in (0xF8, 0xF2)


def test_a_file_that_is_cut_anywhere_has_the_notes_before_the_cut(tmp_path: Path) -> None:
    data = midi_bytes(track(*notes(*SCALE)))
    num_lost = set()
    for length in range(22, len(data) + 1):
        found = outcome(write(tmp_path, data[:length]))
        whole = (length - 22) // 9 if length < len(data) - 4 else 5  # nine bytes a note
        if whole == 0:
            assert isinstance(found, str)
            assert "damaged MIDI (there is no note before the damage)" in found
        else:
            assert isinstance(found, Piece)
            assert onsets_and_ends(found) == EXPECTED[:whole]
            assert (DAMAGED in found.noted) == (length < len(data) - 4)
            num_lost.add(found.noted[LOST_BYTES])
    assert num_lost == {0, 2, 3, 4}  # a lonely delta time is no loss


@pytest.mark.parametrize("length", [0, 1, 9, 20, 44, 48, 49, 50, 53, 99, 2**31, 2**32 - 1])
def test_the_length_of_a_track_may_be_wrong(tmp_path: Path, length: int) -> None:
    whole = body(*notes(*SCALE)) + END
    for after in ((), (track(*notes(72)),)):
        piece = read(tmp_path, chunk(whole, length), *after)
        assert onsets_and_ends(piece)[-4:] == EXPECTED[1:]
        assert len(piece.notes) == 5 + len(after)
        assert not piece.noted


def test_a_track_may_have_no_end(tmp_path: Path) -> None:
    events, other = body(*notes(*SCALE)), track(*notes(72))
    for bare in (chunk(events), chunk(events, len(events) + 4)):  # its length may count one
        for tracks in ((bare,), (bare, other), (other, bare)):
            piece = read(tmp_path, *tracks)
            assert len(piece.notes) == 5 + (len(tracks) - 1)
            assert not piece.noted


def test_what_is_no_track_lies_between_tracks(tmp_path: Path) -> None:
    for between in (b"XFIH\0\0\0\3abc", b"\0\0\0", b"XFIH\xff\xff\xff\xffabc"):
        piece = read(tmp_path, track(*notes(60)), between + track(*notes(62)), between)
        assert sorted(piece.notes["pitch"].tolist()) == [60, 62]
        assert piece.noted == {FEWER_TRACKS: 1}  # three were named


@pytest.mark.parametrize(
    "bad",
    [
        bytes([0x90, 200, 80]),
        bytes([0x90, 60, 200]),
        bytes([0xB0, 7, 168]),
        bytes([0xC0, 200]),
        b"\xff\x51\x02\x07\xa1",  # a tempo of two bytes
        b"\xff\x51\x00",
        b"\xff\x58\x01\x03",
    ],
)
def test_an_event_with_impossible_bytes_costs_itself(tmp_path: Path, bad: bytes) -> None:
    piece = read(tmp_path, track(*notes(60, 62), (0, bad), *notes(64)))
    assert onsets_and_ends(piece) == EXPECTED[:3]
    assert piece.qpm_at(20) == 120
    assert [str(metre) for metre in piece.metres] == ["4/4"]
    assert piece.noted == {DAMAGED: 1, LOST_BYTES: 1 + len(bad)}
    late = read(tmp_path, track(*notes(60, 62), (480, bad), *notes(64)))
    assert onsets_and_ends(late) == [*EXPECTED[:2], (12, 16, 64)]  # its time is not lost


def test_after_nonsense_the_track_ends_where_the_first_bad_byte_stood(tmp_path: Path) -> None:
    bad, nonsense = bytes([0x90, 200, 80]), b"\xff" * 5
    events = [*notes(60, 62), (0, bad), *notes(64), (0, nonsense)]
    piece = read(tmp_path, track(*events), track(*notes(72)))
    assert onsets_and_ends(piece) == [(0, 4, 60), (0, 4, 72), (4, 8, 62)]
    assert piece.noted == {DAMAGED: 1, LOST_BYTES: 4 + 9 + 6 + 4}


def test_a_track_that_begins_without_a_status_is_not_guessed_at(tmp_path: Path) -> None:
    headless = track((0, b"\xff\x03\x01a"), (0, bytes([60, 80])), *notes(60))
    piece = read(tmp_path, track(*notes(72)), headless)
    assert piece.notes["pitch"].tolist() == [72]
    assert piece.noted[DAMAGED] == 1


def test_times_past_what_can_be_counted_are_damage(tmp_path: Path) -> None:
    late = [(2**28 - 1, b"\xff\x01\x01x")] * 8
    piece = read(tmp_path, track(*notes(60), *late, *notes(62), *late, *notes(64)))
    assert piece.notes["pitch"].tolist() == [60]
    assert piece.noted[DAMAGED] == 1


def test_a_note_after_days_costs_itself(tmp_path: Path) -> None:
    piece = read(tmp_path, track(*notes(60, 62), (2**28 - 1, on(64)), (480, off(64))))
    assert onsets_and_ends(piece) == EXPECTED[:2]
    assert piece.noted == {FAR_NOTE: 1}


def test_fewer_tracks_than_the_header_says_are_noted(tmp_path: Path) -> None:
    data = midi_bytes(track(*notes(60)), track(*notes(62)))
    found = read_midi(write(tmp_path, data[: data.rindex(b"MTrk")]), 4)
    assert found.noted == {FEWER_TRACKS: 1}


def test_the_manifest_says_how_far_a_file_was_read(tmp_path: Path) -> None:
    data = midi_bytes(track(*notes(*SCALE)))
    result = extract_file(write(tmp_path, data[:-5]), MelodyTokenizer(num_bars=1))
    assert len(result.extraction.sequences) == 1
    assert {DAMAGED: 1, LOST_BYTES: 4}.items() <= result.extraction.noted.items()


def test_time_code_counts_seconds_where_beats_are_given(tmp_path: Path) -> None:
    beats = BeatTrack(np.arange(9) * 0.5, np.arange(9) % 4 == 0)
    events = [(0, tempo(250_000)), (500, on(60)), (250, off(60))]  # the tempo says nothing
    for frames, ticks in ((25, 40), (24, 40), (30, 40), (29, 40)):
        data = midi_bytes(track(*events), division=-(frames << 8) + ticks)
        piece = read_midi(write(tmp_path, data), 4, beats)
        per_second = {29: 30 / 1.001}.get(frames, frames) * ticks
        assert piece.notes["start"][0] + piece.notes["offset"][0] == pytest.approx(
            8 * 500 / per_second, abs=1e-4
        )


# The walk itself


def sound_bodies() -> list[bytes]:
    """Tracks without damage, with and without running status, of all kinds of events."""
    rng = np.random.default_rng(0)
    bodies = []
    for _ in range(50):
        events: list[tuple[int, bytes]] = []
        status = 0
        for _ in range(40):
            kind = int(rng.choice([0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0, 0xFF, 0xF7]))
            data = bytes(rng.integers(0, 128, 1 if kind in (0xC0, 0xD0) else 2).tolist())
            if kind < 0xF0:
                is_running = kind == status and rng.random() < 0.8
                status = kind
                event = data if is_running else bytes([kind]) + data
            elif kind == 0xFF:
                event = b"\xff\x01" + number(len(data) * 70) + data * 70
            else:
                event, status = bytes([kind, 2]) + data, 0  # as the specification has it
            events.append((int(rng.choice([0, 5, 200, 20_000, 300_000])), event))
        bodies.append(body(*events) + END)
    return bodies


def test_sound_tracks_are_not_suspected_and_mending_loses_nothing() -> None:
    for sound in sound_bodies():
        mended = mend(sound)
        assert (mended.end, mended.num_lost, mended.is_ended) == (len(sound), 0, True)
        again = mend(mended.chunk[8:])
        assert again.chunk == mended.chunk
        assert not is_suspect(mended.chunk, Suspicion.of(mended.chunk))
        assert track_chunks(midi_bytes(chunk(sound))).tracks == [chunk(sound)]


def test_random_damage_is_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    """Whatever becomes of a file: the notes are those of a walk over each event, or it is said."""
    rng = np.random.default_rng(1)
    sound = midi_bytes(
        track((0, tempo(500_000)), (0, b"\xff\x58\x04\x04\x02\x18\x08")),
        track(*notes(*SCALE), (0, EXCLUSIVE), *notes(*SCALE)),
        track(*itertools.chain.from_iterable([NOTE_OF_A_QUARTER] * 5)),
    )
    outcomes: Dropped = Dropped()
    for _ in range(400):
        data = bytearray(sound)
        place = int(rng.integers(4, len(data)))
        match rng.integers(4):
            case 0:
                data[place] = int(rng.integers(256))
            case 1:
                del data[place : place + int(rng.integers(1, 5))]
            case 2:
                data[place:place] = rng.bytes(int(rng.integers(1, 5)))
            case _:
                del data[place:]
        found = outcome(write(tmp_path, bytes(data)))
        if isinstance(found, str):
            assert "\n" not in found
            assert len(found) < 300
        else:
            assert len(found.notes) <= 16
            outcomes.update(found.noted)
    assert outcomes[DAMAGED] > 50
