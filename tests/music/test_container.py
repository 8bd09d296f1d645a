"""Files around MIDI data, files that are something else, and folders of files."""

import gzip
import struct
from pathlib import Path

import pytest
from midi_events import NOTE_OF_A_QUARTER, midi_bytes, onsets_and_ends, track

from seqvae.errors import InputError
from seqvae.music.midi import find_midi, read_midi

SONG = midi_bytes(track(*NOTE_OF_A_QUARTER))


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def riff(*chunks: bytes, form: bytes = b"RMID") -> bytes:
    return chunk(b"RIFF", form + b"".join(chunks))


INFO = chunk(b"LIST", b"INFO" + chunk(b"INAM", b"a song called MThd") + chunk(b"ICMT", b"x" * 999))


@pytest.mark.parametrize(
    "data",
    [
        riff(chunk(b"data", SONG)),
        riff(INFO, chunk(b"data", SONG)),
        riff(INFO, chunk(b"DISP", b"odd"), chunk(b"data", SONG), INFO),
        riff(chunk(b"data", SONG))[:-4] + b"",  # the end of track is cut
        b"RIFF" + bytes(4) + b"RMIDdata" + bytes(4) + SONG,  # sizes that were never filled in
        b"\0\x08a song.x" + bytes(118) + SONG + bytes(100),  # MacBinary
    ],
)
def test_what_wraps_a_file_is_opened(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.rmi"
    path.write_bytes(data)
    assert onsets_and_ends(read_midi(path, 4)) == [(0, 4, 60)]
    assert find_midi(tmp_path) == [path]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (gzip.compress(SONG, mtime=0), "a gzip archive; unpack it first"),
        (b"PK\x03\x04" + SONG, "a zip archive"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\xef\xbb\xbf \n<HTML>", "a web page"),
        (b"<?xml version='1.0'?><score-partwise>", "MusicXML must be exported"),
        (b"ID3\x03", "an MP3 file"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (riff(form=b"WAVE"), "a WAV file"),
        (riff(INFO[:20]), "a RIFF file without MIDI data"),
        (b"\0\0\0\x20ftypM4A ", "a QuickTime or MP4 file"),
        (b"\0" + SONG, "no MThd header"),
        (b"\0", "no MThd header"),
        (b"M", "no MThd header"),
        (b"to be or not to be", "no MThd header"),
    ],
)
def test_what_is_no_midi_file_is_named(tmp_path: Path, data: bytes, kind: str) -> None:
    path = tmp_path / "a.mid"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_midi(path, 4)
    message = str(caught.value)
    assert message.startswith(f"{path}: not a MIDI file (")
    assert kind in message
    assert "\n" not in message


def test_limits_of_size_are_named(tmp_path: Path) -> None:
    path = tmp_path / "large.mid"
    with path.open("wb") as file:
        file.truncate(16 * 2**20 + 1)  # a hole: takes no room on the disk
    with pytest.raises(InputError, match="a MIDI file has at most 16777216"):
        read_midi(path, 4)


@pytest.mark.parametrize("place", ["absent.mid", ""])
def test_what_cannot_be_opened_is_named(tmp_path: Path, place: str) -> None:
    with pytest.raises(InputError, match="cannot be read") as caught:
        read_midi(tmp_path / place, 4)
    assert str(caught.value).startswith(f"{tmp_path / place}: ")


def test_find_midi_knows_suffixes_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "folder.mid").mkdir()
    names = ["b.mid", "a.MID", "sub/c.midi", "d.kar", "e.rmi", "f.txt", "mid"]
    for name in names:
        (tmp_path / name).touch()
    names_found = [path.relative_to(tmp_path).as_posix() for path in find_midi(tmp_path)]
    assert names_found == ["a.MID", "b.mid", "d.kar", "e.rmi", "sub/c.midi"]
