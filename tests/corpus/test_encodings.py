"""Texts in whatever encoding, compressed or not, and what is no text."""

import bz2
import gzip
import lzma
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import pytest

from seqvae.corpus.encodings import (
    check_encoding,
    is_invalid,
    likely_encoding,
    open_text,
    read_text,
)
from seqvae.errors import InputError

FRENCH = "Le gar\u00e7on a mang\u00e9 une p\u00eache l\u00e0-bas.\nNo\u00ebl est pass\u00e9.\n"
RUSSIAN = "\u041c\u044b \u043f\u043e\u0448\u043b\u0438 \u0434\u043e\u043c\u043e\u0439.\n"
CHINESE = "\u6211\u4eec\u4eca\u5929\u53bb\u516c\u56ed\u6563\u6b65\u3002\n\u5929\u6c14\u5f88\u597d\n"
TRADITIONAL = "\u6211\u5011\u4eca\u5929\u53bb\u516c\u5712\u6563\u6b65\u3002\n"
JAPANESE = "\u79c1\u306f\u6771\u4eac\u3078\u884c\u304d\u307e\u3057\u305f\u3002\n"
KOREAN = "\ub098\ub294 \uc5b4\uc81c \uc11c\uc6b8\uc5d0 \uac14\ub2e4\n"
PLAIN = "plain text\r\nmore of it\r\n"
TEXTS = [PLAIN, FRENCH, RUSSIAN, CHINESE, JAPANESE * 2, KOREAN]
UNICODE = [
    "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be",
]  # fmt: skip


def write(path: Path, raw: bytes) -> Path:
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("encoding", UNICODE)
def test_unicode_is_read_with_a_mark_or_without(tmp_path: Path, text: str, encoding: str) -> None:
    file = write(tmp_path / "a.txt", text.encode(encoding))
    with open_text(file) as lines:
        assert list(lines) == text.splitlines(keepends=True)
    assert read_text(file) == text.replace("\r\n", "\n")


@pytest.mark.parametrize("packed", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_compressed_text_is_unpacked(
    tmp_path: Path, packed: Callable[[bytes], bytes], encoding: str
) -> None:
    raw = packed((CHINESE * 9000).encode(encoding))  # more than what is looked at
    assert read_text(write(tmp_path / "a.txt", raw)) == CHINESE * 9000


def test_zstd_is_unpacked_by_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    magic = b"\x28\xb5\x2f\xfd"
    file = write(tmp_path / "a.txt.zst", magic + gzip.compress(FRENCH.encode()))

    class Reader:
        def stream_reader(self, opened: BinaryIO, **_: object) -> gzip.GzipFile:
            opened.seek(len(magic))
            return gzip.GzipFile(fileobj=opened)

    monkeypatch.setitem(sys.modules, "compression", None)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(InputError, match=r"a\.txt\.zst: a zstd file; unpack it, or install zst"):
        read_text(file)
    zstandard = SimpleNamespace(ZstdDecompressor=Reader)
    monkeypatch.setitem(sys.modules, "zstandard", zstandard)  # type: ignore[arg-type]
    assert read_text(file) == FRENCH


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"%PDF-1.7\n1 0 obj\n", "a PDF, no text"),
        (b"PK\3\4\x14\0", "a zip archive, as docx, xlsx"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG picture"),
        (b"MThd\0\0\0\6", "a MIDI file"),
        (b"{\\rtf1\\ansi text}", "an RTF document"),
        (gzip.compress(b"MThd\0\0\0\6", mtime=0), "a MIDI file"),
        (b"a" * 257 + b"ustar", "a tar archive"),
        (bytes(range(256)) * 20, r"no text \(\d+ control characters in its first 5120 bytes\)"),
        (bytes(500), "no text"),
        (gzip.compress(bytes(range(256)) * 99, mtime=0)[:300], "cannot be read"),
    ],
)
def test_what_is_no_text_is_refused_by_name(tmp_path: Path, raw: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=rf"a\.txt: {reason}"):
        read_text(write(tmp_path / "a.txt", raw))


def test_damage_after_the_beginning_is_an_input_error(tmp_path: Path) -> None:
    raw = gzip.compress("".join(f"line {i}\n" for i in range(50_000)).encode())
    file = write(tmp_path / "a.txt.gz", raw[: len(raw) * 3 // 4])
    with pytest.raises(InputError, match=r"a\.txt\.gz: damaged \(Compressed file ended"):
        read_text(file)


def test_a_few_zero_bytes_do_not_make_utf_16(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", b"hello\0 world\n\0and others\n" + b"and more of it\n" * 40)
    with pytest.raises(InputError, match="line 1 is not UTF-8"):
        read_text(file)


def test_invalid_bytes_stand_as_surrogates(tmp_path: Path) -> None:
    with open_text(write(tmp_path / "a.txt", b"good\nb\xe9d\n")) as lines:
        assert [is_invalid(line) for line in lines] == [False, True]
    wide = "\ufeffab\n".encode("utf-16-le") + b"\x00\xd8" + "c\n".encode("utf-16-le")
    with open_text(write(tmp_path / "b.txt", wide)) as lines:
        assert [is_invalid(line) for line in lines] == [False, True]


def test_the_encoding_of_the_user_yields_to_a_mark(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", FRENCH.encode("cp1252"))
    with open_text(file, "cp1252") as lines:
        assert "".join(lines) == FRENCH
    write(file, FRENCH.encode("utf-16"))
    with open_text(file, "cp1252") as lines:
        assert "".join(lines) == FRENCH


@pytest.mark.parametrize(
    ("text", "encoding", "likely"),
    [
        (FRENCH, "latin-1", "cp1252"),
        (FRENCH, "cp1252", "cp1252"),
        (RUSSIAN, "cp1251", "cp1251"),
        (RUSSIAN, "koi8-r", "koi8_r"),
        (CHINESE, "gbk", "gb18030"),
        (TRADITIONAL, "big5", "big5"),
        (JAPANESE, "shift_jis", "shift_jis"),
        (JAPANESE, "euc_jp", "euc_jp"),
        (KOREAN, "euc_kr", "euc_kr"),
    ],
)
def test_the_likely_encoding_is_named(text: str, encoding: str, likely: str) -> None:
    lines = text.encode(encoding).decode("utf-8", "surrogateescape").splitlines()
    assert likely_encoding(line for line in lines if is_invalid(line)) == likely


def test_only_encodings_of_text_are_encodings() -> None:
    check_encoding("GB18030")
    for name in ("klingon", "rot13", "base64", ""):
        with pytest.raises(InputError, match=f"encoding is '{name}'; it must be the name of an"):
            check_encoding(name)
    with pytest.raises(InputError, match="it must be the name of an encoding"):
        check_encoding("utf\0eight")
