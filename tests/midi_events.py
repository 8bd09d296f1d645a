"""MIDI files byte by byte, and what is read of them."""

import struct
from pathlib import Path

from seqvae.errors import InputError
from seqvae.music.midi import read_midi
from seqvae.music.notes import Piece

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
