"""Programs, banks and rhythm parts of channels, and names of tracks, in files made by bytes."""

import struct
from pathlib import Path

import pretty_midi
import pytest

from seqvae.music.midi import read_midi
from seqvae.music.midi.channels import Change, changes
from seqvae.music.notes import Piece, Track, join

QUARTER = b"\x83\x60"  # 480 ticks
GS = bytes([0xF0, 10, 0x41, 0x10, 0x42, 0x12, 0x40])  # the next bytes: part, 0x15, mode, sum, end
GS_RESET = bytes([0, 0xF0, 10, 0x41, 0x10, 0x42, 0x12, 0x40, 0, 0x7F, 0, 0x41, 0xF7])


def chunk(*events: bytes) -> bytes:
    body = b"".join(events) + b"\x00\xff\x2f\x00"
    return b"MTrk" + struct.pack(">I", len(body)) + body


def text(kind: int, content: bytes) -> bytes:
    return b"\x00\xff" + bytes([kind, len(content)]) + content


def name(of_track: str) -> bytes:
    return text(3, of_track.encode())


def program(channel: int, number: int, delta: bytes = b"\x00") -> bytes:
    return delta + bytes([0xC0 | channel, number])


def bank(channel: int, number: int) -> bytes:
    return bytes([0, 0xB0 | channel, 0, number])


def notes(channel: int, count: int = 2, pitch: int = 60) -> bytes:
    """Notes of a quarter one after the other, with the status byte once."""
    first = bytes([0, 0x90 | channel, pitch, 80]) + QUARTER + bytes([pitch, 0])
    return first + (bytes([0, pitch, 80]) + QUARTER + bytes([pitch, 0])) * (count - 1)


def read(folder: Path, *chunks: bytes, file_type: int = 1) -> Piece:
    header = b"MThd" + struct.pack(">IHHH", 6, file_type, len(chunks), 480)
    path = folder / "Made.mid"
    path.write_bytes(header + b"".join(chunks))
    return read_midi(path, 4)


def sounds(piece: Piece) -> list[tuple[int, int, bool]]:
    """Step, program and kit of every note, in time."""
    return [tuple(note) for note in piece.notes[["start", "program", "is_drum"]].tolist()]


def drums(piece: Piece) -> list[bool]:
    return [is_drum for _, _, is_drum in sounds(piece)]


def test_a_program_holds_for_its_channel_whatever_track_names_it(tmp_path: Path) -> None:
    setup = chunk(program(0, 5), program(1, 33))
    piece = read(tmp_path, setup, chunk(notes(1, 1, 40)), chunk(notes(0, 1, 72)))
    assert sounds(piece) == [(0, 33, False), (0, 5, False)]
    assert piece.tracks == (Track("", 2, 33), Track("", 1, 5))
    # A track that plays itself may name the programs of others.
    first = chunk(program(0, 5), program(1, 33), notes(0, 1, 72))
    assert sounds(read(tmp_path, first, chunk(notes(1, 1, 40)))) == [(0, 33, False), (0, 5, False)]


def test_the_program_of_a_conductor_changes_in_the_middle(tmp_path: Path) -> None:
    """After a rest whose bytes look like the status of a program."""
    conductor = chunk(program(0, 5), program(0, 6, b"\xc0\x00"))  # after 8192 ticks
    piece = read(tmp_path, conductor, chunk(notes(0, 20)))
    assert [number for _, number, _ in sounds(piece)] == [5] * 18 + [6] * 2
    assert len(piece.tracks) == 2  # one for each program
    own = read(tmp_path, conductor, chunk(program(0, 9), notes(0, 20)))
    assert [number for _, number, _ in sounds(own)] == [9] * 18 + [6] * 2


def test_a_program_holds_from_where_it_is_named(tmp_path: Path) -> None:
    named = program(0, 5) + notes(0, 4) + program(0, 6) + notes(0, 2) + program(0, 6) + notes(0, 1)
    piece = read(tmp_path, chunk(named))
    assert [number for _, number, _ in sounds(piece)] == [5] * 4 + [6] * 3
    assert len(piece.tracks) == 2


def test_tracks_that_share_a_channel_keep_their_own_programs(tmp_path: Path) -> None:
    one, other = program(0, 5) + notes(0), notes(0, 1) + program(0, 33) + notes(0, 1)
    piece = read(tmp_path, chunk(one), chunk(other))
    assert sorted(sounds(piece)) == [(0, 0, False), (0, 5, False), (4, 5, False), (4, 33, False)]


def test_programs_are_found_behind_notes_and_without_a_status_byte() -> None:
    run = notes(3, 500)
    others = b"\x00\xff\x01\x02\xc3\x05" + b"\x00\xf0\x03\xc3\x05\xf7"  # no programs
    track = chunk(notes(2, 1), run, others, bank(3, 8), program(3, 5), b"\x83\x60\x07", notes(3, 1))
    found = [change[:4] for change in changes(track)]
    begin = 501 * 480
    assert found == [(begin, 3, True, 8), (begin, 3, False, 5), (begin + 480, 3, False, 7)]
    assert [track[change.place] for change in changes(track)] == [8, 5, 7]


def test_a_bank_is_found_behind_a_controller_amid_notes() -> None:
    volume, bank_without_status = bytes([0, 0xB0, 7, 100]), bytes([0, 0, 127])
    track = chunk(notes(0), volume, notes(0), volume, bank_without_status, program(0, 5), notes(0))
    assert [change[:4] for change in changes(track)] == [
        (1920, 0, True, 127),
        (1920, 0, False, 5),
    ]


def test_a_track_without_programs_is_not_walked_over() -> None:
    assert changes(chunk(b"\x00\x05\x05", notes(0))) == []
    with pytest.raises(ValueError, match="no event begins with the byte 0"):
        changes(chunk(b"\x00\x05\x05", notes(0), program(0, 1)))


def test_a_damaged_track_keeps_its_channels(tmp_path: Path) -> None:
    damaged = chunk(notes(0), b"\x00\xf1\x05", program(0, 7), notes(0))
    piece = read(tmp_path, chunk(program(4, 2), notes(4, 1)), chunk(notes(9, 1)), damaged)
    assert sounds(piece)[:2] == [(0, 2, False), (0, 0, True)]
    assert sounds(piece)[2:] == [(0, 0, False), (4, 0, False), (8, 7, False), (12, 7, False)]
    assert [track.channel for track in piece.tracks] == [5, 10, 1, 1]


@pytest.mark.parametrize(
    ("number", "before", "is_kit"),
    [
        (127, b"", True),  # XG
        (126, b"", True),
        (120, b"", True),  # GM2
        (121, b"", False),
        (8, b"", False),
        (127, GS_RESET, False),  # an MT-32 of GS
        (120, GS_RESET, True),
    ],
)
def test_a_bank_makes_a_second_kit(
    tmp_path: Path, number: int, before: bytes, is_kit: bool
) -> None:
    piece = read(tmp_path, chunk(before, bank(2, number), program(2, 0), notes(2)), chunk(notes(9)))
    assert drums(piece) == [is_kit, True] * 2 or drums(piece) == [True, is_kit] * 2
    # The bank counts from the next program on.
    later = read(tmp_path, chunk(program(2, 0), bank(2, 127), notes(2, 1)))
    assert drums(later) == [False]


@pytest.mark.parametrize(("part", "channel"), [(0x1A, 10), (0x10, 9), (0x11, 0), (0x19, 8)])
@pytest.mark.parametrize("mode", [0, 1, 2])
def test_a_gs_message_makes_a_rhythm_part(
    tmp_path: Path, part: int, channel: int, mode: int
) -> None:
    message = b"\x00" + GS + bytes([part, 0x15, mode, 0, 0xF7])
    piece = read(tmp_path, chunk(message), chunk(notes(channel)))
    assert drums(piece) == [mode > 0] * 2


def test_an_xg_message_makes_a_drum_part(tmp_path: Path) -> None:
    message = bytes([0, 0xF0, 8, 0x43, 0x10, 0x4C, 8, 3, 7, 2, 0xF7])
    assert drums(read(tmp_path, chunk(message), chunk(notes(3)))) == [True] * 2
    assert drums(read(tmp_path, chunk(message), chunk(notes(4)))) == [False] * 2


def test_a_piece_knows_its_tracks(tmp_path: Path) -> None:
    setup, lead = chunk(name("My song")), chunk(name("Lead"), program(3, 80), notes(3))
    piece = read(tmp_path, setup, lead, chunk(name("Kit"), notes(9)))
    assert piece.tracks == (Track("Lead", 4, 80), Track("Kit", 10, 0))
    assert sorted(set(piece.notes["track"].tolist())) == [0, 1]
    assert piece.name == "Made.mid"
    again = read_midi(pretty_midi.PrettyMIDI(str(tmp_path / "Made.mid")), 4)
    assert again.tracks == (Track("Lead", None, 80), Track("Kit", 10, 0))
    assert again.name == ""
    assert join([piece, piece]).tracks == piece.tracks


def test_the_name_of_a_single_track_is_that_of_the_piece(tmp_path: Path) -> None:
    whole = read(tmp_path, chunk(name("Bass solo"), notes(0), notes(1)), file_type=0)
    assert whole.tracks == (Track("", 1, 0), Track("", 2, 0))
    alone = read(tmp_path, chunk(name("Bass"), notes(0)), file_type=0)
    assert alone.tracks == (Track("Bass", 1, 0),)


@pytest.mark.parametrize(
    ("events", "known"),
    [
        (text(3, b"Lead"), "Lead"),
        (text(4, b"Bass"), "Bass"),  # of the instrument
        (text(4, b"Bass") + text(3, b"Lead"), "Lead"),
        (text(3, b"Bater\xeda"), "Bater\u00eda"),  # Latin-1
        (text(3, "Bater\u00eda".encode()), "Bater\u00eda"),
        (text(3, b"\x83h\x83\x89\x83\x80"), "\u30c9\u30e9\u30e0"),  # Shift JIS
        (text(3, b"Lead\0 "), "Lead"),
        (text(3, b"") + text(4, b"Pad"), "Pad"),
        (b"", ""),
    ],
)
def test_the_name_of_a_track_is_read_as_it_was_written(
    tmp_path: Path, events: bytes, known: str
) -> None:
    piece = read(tmp_path, chunk(events, notes(0)), chunk(notes(1)))
    assert [track.name.rstrip("\0 ") for track in piece.tracks] == [known, ""]


def test_a_change_is_where_it_says() -> None:
    assert changes(chunk(program(5, 77))) == [Change(0, 5, False, 77, 10)]
