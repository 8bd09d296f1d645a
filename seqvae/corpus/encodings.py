"""Files of text in whatever encoding, compressed or not -> text.

Text is UTF-8 unless its first bytes show that it is UTF-16 or UTF-32, or the user names another
encoding. What is compressed is unpacked as it is read; what is no text is refused by its name.
"""

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import Any, BinaryIO

from seqvae.errors import InputError

HEAD_BYTES = 2**16  # that show what a file is
BLOCK_CHARACTERS = 2**18  # of lines that are read together
MAX_CONTROL_SHARE = 0.02  # of characters, in text
SAMPLE_BYTES = 2**14  # of invalid lines, from which their encoding is guessed

BOMS = {  # those of UTF-32 begin like those of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
NO_TEXT = {
    b"%PDF-": "a PDF", b"PK\3\4": "a zip archive, as docx, xlsx, odt and epub are",
    b"{\\rtf": "an RTF document", b"\xd0\xcf\x11\xe0": "an old Office document",
    b"\x89PNG": "a PNG picture", b"\xff\xd8\xff": "a JPEG picture", b"GIF8": "a GIF picture",
    b"MThd": "a MIDI file", b"RIFF": "a RIFF file, such as WAV", b"ID3": "an MP3 file",
    b"OggS": "an Ogg file", b"fLaC": "a FLAC file", b"PAR1": "a Parquet table",
    b"7z\xbc\xaf": "a 7z archive", b"Rar!": "a RAR archive", b"SQLite format 3": "a database",
    b"\x89HDF": "an HDF5 file", b"\x93NUMPY": "a NumPy array", b"\x7fELF": "a program",
    b"bplist": "a property list",
}  # fmt: skip
PACKED = {
    b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd",
}  # fmt: skip
COMPRESSED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError)  # of compressed files
INVALID = re.compile("[\udc80-\udcff\0]")  # bytes that are not of the encoding


# UTF-16 and UTF-32 have no handler of their own that keeps a mark of what is invalid.
codecs.register_error("escape_unit", lambda error: ("\udcff", error.end))  # type: ignore[attr-defined]


@contextlib.contextmanager
def open_text(path: Path, encoding: str | None = None) -> Iterator[Iterator[str]]:
    """The lines that `open_blocks` reads, one by one."""
    with open_blocks(path, encoding) as blocks:
        yield chain.from_iterable(blocks)


@contextlib.contextmanager
def open_blocks(path: Path, encoding: str | None = None) -> Iterator[Iterator[list[str]]]:
    """The lines of a file of text, with their ends; lone surrogates stand for invalid bytes.

    They come some `BLOCK_CHARACTERS` at a time, which is faster than one by one. `encoding` is what
    the user says; a mark at the beginning of the file outweighs it.

    Raises:
        InputError: the file cannot be read, or is no text.
    """
    with contextlib.ExitStack() as opened:
        try:
            raw = io.BufferedReader(_unpacked(path, opened), HEAD_BYTES)
            head = raw.peek(HEAD_BYTES)[:HEAD_BYTES]
        except DAMAGE as error:
            raise InputError(f"{path}: cannot be read ({_first_line(error)})") from error
        found = next((name for bom, name in BOMS.items() if head.startswith(bom)), None)
        if found is None:
            _refuse_no_text(path, head)
            found = codecs.lookup(encoding or _wide_encoding(head) or "utf-8").name
        is_wide = found.startswith(("utf-16", "utf-32"))
        if not is_wide:
            _refuse_control_characters(path, head)
        errors = "escape_unit" if is_wide else "surrogateescape"
        stream = io.TextIOWrapper(raw, encoding=found, errors=errors, newline="")
        yield _blocks(path, opened.enter_context(stream))


def _blocks(path: Path, stream: io.TextIOWrapper) -> Iterator[list[str]]:
    try:
        while block := stream.readlines(BLOCK_CHARACTERS):
            yield block
    except DAMAGE as error:
        raise InputError(f"{path}: damaged ({_first_line(error)})") from error


def read_text(path: Path) -> str:
    """All of a small file of text, with line feeds as line ends.

    Raises:
        InputError: it cannot be read, is no text, or has bytes that are not of its encoding.
    """
    with open_text(path) as lines:
        text = "".join(lines)
    if wrong := INVALID.search(text):
        number = text.count("\n", 0, wrong.start()) + 1
        raise InputError(f"{path}: line {number} is not UTF-8; convert the file to UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check_encoding(name: str) -> None:
    """Refuse what is no encoding of text.

    Raises:
        InputError: Python knows none of this name.
    """
    try:
        "a".encode(name).decode(name)
    except (LookupError, ValueError, AssertionError, TypeError) as error:
        raise InputError(
            f"encoding is {name!r}; it must be the name of an encoding, such as cp1252 or gb18030"
        ) from error


def _unpacked(path: Path, opened: contextlib.ExitStack) -> Any:
    """The bytes of a file, unpacked by what its first bytes say."""
    raw = opened.enter_context(path.open("rb"))
    kind = next((kind for magic, kind in PACKED.items() if raw.peek(8).startswith(magic)), "")
    if kind == "gzip":
        return opened.enter_context(gzip.GzipFile(fileobj=raw))
    if kind == "bzip2":
        return opened.enter_context(bz2.BZ2File(raw))
    if kind == "xz":
        return opened.enter_context(lzma.LZMAFile(raw))
    return opened.enter_context(_open_zstd(path, raw)) if kind == "zstd" else raw


def _open_zstd(path: Path, raw: BinaryIO) -> Any:
    """Unpack with Python 3.14 or later, or with a package that is installed."""
    try:
        from compression.zstd import ZstdFile  # type: ignore[import-not-found]
    except ImportError:
        try:
            from zstandard import ZstdDecompressor
        except ImportError as error:
            raise InputError(
                f"{path}: a zstd file; unpack it, or install zstandard (pip install zstandard)"
            ) from error
        return ZstdDecompressor().stream_reader(raw, read_across_frames=True)
    return ZstdFile(raw)


def _refuse_no_text(path: Path, head: bytes) -> None:
    """Refuse a file that begins as no text does."""
    kind = next((kind for magic, kind in NO_TEXT.items() if head.startswith(magic)), None)
    if head[257:262] == b"ustar":
        kind = "a tar archive"
    if kind is None:
        return
    raise InputError(f"{path}: {kind}, no text; export or unpack it as text in UTF-8")


def _refuse_control_characters(path: Path, head: bytes) -> None:
    """Refuse what holds more control characters than a slip or two."""
    text = head.translate(None, bytes(range(9, 14)) + bytes(range(28, 32)) + b"\x1b")
    num_control = len(text) - len(text.translate(None, bytes(range(32)) + b"\x7f"))
    if num_control > 2 and num_control > MAX_CONTROL_SHARE * len(head):
        raise InputError(
            f"{path}: no text ({num_control} control characters in its first {len(head)} bytes)"
        )


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32 if the zero bytes stand where those have them; None for others."""
    if head.count(0) < 2:
        return None
    for encoding, width, zeros in (
        ("utf-32-le", 4, (2, 3)), ("utf-32-be", 4, (0, 1)),
        ("utf-16-le", 2, (1,)), ("utf-16-be", 2, (0,)),
    ):  # fmt: skip
        whole = head[: len(head) // width * width]
        inside = sum(whole[place::width].count(0) for place in zeros)
        if width == 4 and inside < len(whole) // 2 * 0.95:
            continue
        if width == 2 and inside < 0.9 * head.count(0):
            continue
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(whole)
        except UnicodeDecodeError:
            continue
        if ("\n" in text or " " in text) and sum(map(_is_sane, text)) >= 0.99 * len(text):
            return encoding
    return None


def _is_sane(character: str) -> bool:
    """Whether a character stands in text: no control character, none that is not assigned."""
    return character in "\t\n\r\ufeff" or unicodedata.category(character) not in ("Cc", "Cn", "Co")


def is_invalid(line: str) -> bool:
    """Whether a line of `open_text` has bytes that are not of its encoding, or NUL."""
    return "\0" in line if line.isascii() else INVALID.search(line) is not None


def replaced(line: str) -> str:
    """A line with U+FFFD in place of what is invalid."""
    raw = line.encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "replace").replace("\0", "\ufffd")


def likely_encoding(lines: Iterable[str]) -> str | None:
    """A guess at the encoding of lines that are not UTF-8: the commonest one that they fit."""
    sample = "".join(lines).encode("utf-8", "surrogateescape")[:SAMPLE_BYTES]
    runs = [len(list(run)) for high, run in groupby(sample, lambda byte: byte >= 0x80) if high]
    if not runs:
        return None
    if sum(runs) < 2 * len(runs):  # lone bytes among plain letters: the accents of the West
        return "cp1252"
    for encoding, usual, share in USUAL:
        other = [c for c in sample.decode(encoding, "replace") if c > "\x7f"]
        if sum(map(usual, other)) >= share * len(other):
            return encoding
    return None


def _is_common_han(character: str) -> bool:
    """Whether a character is among the 3,755 commonest of Chinese, or its punctuation."""
    raw = character.encode("gb2312", "ignore")
    return len(raw) == 2 and (0xB0 <= raw[0] <= 0xD7 or raw[0] in (0xA1, 0xA3))


def _is_common_traditional(character: str) -> bool:
    raw = character.encode("big5", "ignore")
    return len(raw) == 2 and 0xA1 <= raw[0] <= 0xC6


# Encodings with the characters that their texts are made of, and the least share of these.
USUAL = (
    ("shift_jis", lambda c: "\u3040" <= c <= "\u30ff", 0.3),
    ("euc_jp", lambda c: "\u3040" <= c <= "\u30ff", 0.3),
    ("euc_kr", lambda c: "\uac00" <= c <= "\ud7a3", 0.8),
    ("cp1251", lambda c: "\u0430" <= c <= "\u045f", 0.7),
    ("koi8_r", lambda c: "\u0430" <= c <= "\u045f", 0.7),
    ("gb18030", _is_common_han, 0.8),
    ("big5", _is_common_traditional, 0.8),
)


def _first_line(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return reason.partition("\n")[0] or type(error).__name__
