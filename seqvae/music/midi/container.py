"""The bytes of a MIDI file, out of what they are wrapped in; what else a file is, by name."""

import os
from pathlib import Path

from seqvae.errors import InputError

MAX_FILE_BYTES = 16 * 2**20
MAC_BINARY_HEADER = 128

# How files begin that are called .mid and are none.
OTHER_FILES = {
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"BZh": "a bzip2 archive; unpack it first",
    b"\xfd7zXZ": "an xz archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"Rar!": "a rar archive; unpack it first",
    b"\x28\xb5\x2f\xfd": "a zstd archive; unpack it first",
    b"version https://git-lfs": "a pointer of Git LFS; fetch the file with git lfs pull",
    b"%PDF": "a PDF",
    b"ID3": "an MP3 file",
    b"\xff\xfb": "an MP3 file",
    b"OggS": "an Ogg file",
    b"fLaC": "a FLAC file",
    b"FORM": "an AIFF or IFF file",
    b"\x30\x26\xb2\x75": "a Windows Media file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"\x18FICHIER GUITAR PRO": "a Guitar Pro file; export it as MIDI",
    b"XMF_": "an XMF file",
}
RIFF_FORMS = {b"WAVE": "a WAV file", b"AVI ": "a video", b"sfbk": "a SoundFont"}
WEB_PAGE = (b"<!doctype", b"<html", b"<head", b"<body", b"<script", b"<!--")


def read_bytes(path: Path) -> bytes:
    """The bytes of a file from the MIDI header on. RIFF and MacBinary are opened.

    Raises:
        InputError: the file cannot be opened, is too large, or is no MIDI file.
    """
    try:
        data = _all_bytes(path)
    except (OSError, ValueError) as error:  # there are characters that no name has
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({reason})") from error
    if not data:
        raise InputError(f"{path}: the file is empty")
    inner = data
    if data.startswith(b"RIFF"):
        inner = _riff_data(data)
    elif data[0] == 0 and 1 <= data[1 % len(data)] <= 63:
        inner = data[MAC_BINARY_HEADER:]
    if not inner.startswith(b"MThd"):
        raise InputError(f"{path}: not a MIDI file ({_kind(data)})")
    return inner


def _all_bytes(path: Path) -> bytes:
    """The bytes of a file, with as few calls of the system as there can be."""
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        size = os.fstat(file).st_size
        if size > MAX_FILE_BYTES:
            raise InputError(f"{path}: {size} bytes; a MIDI file has at most {MAX_FILE_BYTES}")
        data = os.read(file, size + 1)
        while len(data) != size and len(data) <= MAX_FILE_BYTES:  # no plain file, or it grows
            if not (more := os.read(file, MAX_FILE_BYTES)):
                break
            data += more
        return data
    finally:
        os.close(file)


def _riff_data(data: bytes) -> bytes:
    """What begins with the chunk named data of a RIFF file, wherever that stands."""
    place = 12
    while place + 8 <= len(data):
        begin = place + 8
        if data.startswith(b"data", place):
            return data[begin:]  # a MIDI file says itself where it ends
        end = begin + int.from_bytes(data[place + 4 : begin], "little")
        place = end + end % 2  # chunks have an even number of bytes
    return b""


def _kind(data: bytes) -> str:
    """What a file is that is no MIDI file."""
    if data.startswith(b"RIFF"):
        return RIFF_FORMS.get(data[8:12], "a RIFF file without MIDI data")
    for beginning, kind in OTHER_FILES.items():
        if data.startswith(beginning):
            return kind
    if data[4:8] in (b"ftyp", b"moov", b"mdat"):
        return "a QuickTime or MP4 file"
    if data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(WEB_PAGE):
        return "a web page"
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<?xml"):
        return "XML; a score in MusicXML must be exported as MIDI"
    return "no MThd header"
