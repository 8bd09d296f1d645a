"""Beat files: a line per beat, with its time in seconds and what says where bars begin.

| from | a line |
|---|---|
| POP909, madmom, beat trackers | `0.55 1`: the number of the beat in its bar, or 1 at downbeats |
| ASAP | `0.55 0.55 db,6/8,0`, then `b` or `bR`: a downbeat with its metre, then beats |
| Sonic Visualiser | `0.55,1.1`: bar and beat |
| anything | seconds alone, where the metre is given |

Columns are separated by tabs, semicolons, commas or spaces. A comma is the decimal sign where it is
not the separator. Names of columns, comments and a byte order mark may come first.
"""

import codecs
import csv
import itertools
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.music.beats import BeatTrack
from seqvae.music.notes import Metre, beats_per_bar, parse_metre

MIN_BEATS = 4
MAX_BYTES = 2**22  # more is no beat file
MIN_REGULAR = 0.75  # of the lines of a column must count beats, or it says something else
MAX_BEATS_OF_A_BAR = 64

BEAT_SUFFIXES = frozenset({".beat", ".beats", ".csv", ".tsv", ".txt"})

NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)(e[-+]?\d+)?", re.IGNORECASE)
METRE = re.compile(r"\b[1-9]\d?/(?:[1248]|16|32|64)\b")
BAR_AND_BEAT = re.compile(r"\d{1,6}\.\d{1,2}")
PLAIN = b"+-.0123456789eE \r\n"  # bytes of which most beat files are
COMMENT_SIGNS = ("#", "%", ";", "//")
DOWNBEAT_WORDS = frozenset({"db", "downbeat", "true"})
BEAT_WORDS = frozenset({"b", "br", "beat", "false"})
TIME_NAMES = ("time", "sec", "onset", "start")
LABEL_NAMES = ("beat", "label")


def read_beats(path: Path, metre: str | None = None) -> BeatTrack:
    """Read a beat file.

    Args:
        path: The file.
        metre: The metre of a file that names none. It says how many of its beats make a bar where
            the file does not, and what a beat is: in 6/8, 9/8 and 12/8 a dotted quarter.

    Raises:
        InputError: it cannot be read, its times do not rise, or it does not say where bars begin.
    """
    table = _table(path)
    if table.num_rows < MIN_BEATS:
        raise InputError(f"{path}: {table.num_rows} beats; a beat file has {MIN_BEATS} or more")
    columns = [*table.columns]
    time = next((i for i, name in enumerate(table.names) if _is_one_of(name, TIME_NAMES)), 0)
    if time >= len(columns):
        raise InputError(f"{path}: a line without a time in seconds")
    times = _times(path, columns.pop(time))
    is_downbeat = _downbeats(columns, [*table.names[:time], *table.names[time + 1 :]])
    if is_downbeat is None and metre is None:
        raise InputError(
            f"{path}: no column says where bars begin, such as 1 2 3 4 1; "
            "give the metre that it counts with --data.beats_metre or --beats_metre"
        )
    if is_downbeat is None:
        is_downbeat = np.arange(len(times)) % beats_per_bar(parse_metre(metre or "")) == 0
    if is_downbeat.sum() < 2:
        raise InputError(f"{path}: fewer than two bars begin; two beats must be downbeats")
    return BeatTrack(times, is_downbeat, _units(table, is_downbeat, metre))


def decoded(data: bytes, errors: str = "strict") -> str:
    """Text in UTF-8, or in UTF-16, as programs of Windows may write it, with or without a mark.

    It begins with a character of ASCII, of which UTF-16 has one byte that is 0.

    Raises:
        UnicodeDecodeError: it is neither.
    """
    encoding = "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\0" in data[:2]:
        encoding = "utf-16-be" if data[0] == 0 else "utf-16-le"
    return data.decode(encoding, errors)


Column: TypeAlias = Sequence[str] | NDArray[np.float64]


class Table(NamedTuple):
    """A beat file as text."""

    names: Sequence[str]
    """Of the columns, where the first line has them."""
    num_rows: int
    columns: Sequence[Column]
    """As many as the shortest line has."""
    metres: Mapping[int, Metre]
    """Those that stand in it, by the number of their line."""


def _table(path: Path) -> Table:
    """The names of the columns and the lines of a file."""
    try:
        with path.open("rb") as opened:
            data = opened.read(min(MAX_BYTES, os.fstat(opened.fileno()).st_size))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if not data.translate(None, PLAIN) and (table := _table_of_numbers(data)):
        return table
    text = decoded(data, errors="replace")
    lines = list(filter(str.strip, text.splitlines()))
    if any(sign in text for sign in COMMENT_SIGNS):
        lines = [line for line in lines if not line.lstrip().startswith(COMMENT_SIGNS)]
    if not lines:
        return Table([], 0, [], {})
    separator = separator_of(lines[-1])
    if separator is None:
        rows = [line.split() for line in lines]
    elif '"' in text:
        rows = list(csv.reader(lines, delimiter=separator))
    else:
        rows = [line.split(separator) for line in lines]
    names: list[str] = []
    if not any(NUMBER.fullmatch(field.strip()) for field in rows[0]):
        names = [name.strip().lower() for name in rows.pop(0)]
    columns = list(zip(*rows, strict=False))
    return Table(names, len(rows), columns, _metres(rows) if "/" in text else {})


def _table_of_numbers(data: bytes) -> Table | None:
    """A file of numbers alone, of which those beside the times are whole; None if it is none.

    Most beat files are such, and as numbers they are read faster than as text.
    """
    if not data.strip():
        return None
    try:
        table = np.loadtxt(data.decode().splitlines(), ndmin=2, comments=None)
    except ValueError:
        return None
    beside = table[:, 1:]
    return Table([], len(table), [*table.T], {}) if (beside == np.floor(beside)).all() else None


def _metres(rows: Sequence[Sequence[str]]) -> dict[int, Metre]:
    """The metres in lines, by their number; of several in one the last."""
    return {
        index: parse_metre(found)
        for index, row in enumerate(rows)
        for field in row
        if "/" in field
        for found in METRE.findall(field)
    }


def separator_of(line: str) -> str | None:
    """What separates the columns of a line; None is spaces."""
    for separator in ("\t", ";"):
        if separator in line:
            return separator
    fields = line.split()
    if "," not in line or (len(fields) > 1 and all(map(NUMBER.fullmatch, fields[:-1]))):
        return None
    return ","


def _is_one_of(name: str, parts: Sequence[str]) -> bool:
    return any(part in name for part in parts)


def _numbers(fields: Column) -> NDArray[np.float64]:
    """Fields as numbers, with a point or a comma.

    Raises:
        ValueError: one is no number.
    """
    if isinstance(fields, np.ndarray):
        return fields
    try:
        return np.fromiter(map(float, fields), np.float64, len(fields))
    except ValueError:
        return np.array([float(field.replace(",", ".")) for field in fields])


def _times(path: Path, fields: Column) -> NDArray[np.float64]:
    """The times of beats, which rise."""
    try:
        times = _numbers(fields)
    except ValueError as error:
        bad = next((field for field in fields if not NUMBER.fullmatch(field.strip())), "")
        raise InputError(f"{path}: {bad[:40]!r} where a time in seconds should be") from error
    is_finite = np.isfinite(times)
    if not ((times[1:] > times[:-1]).all() and is_finite.all()):
        rises = np.diff(times, prepend=-np.inf) > 0
        beat = int(np.argmax(~(rises & is_finite)))
        raise InputError(f"{path}: the times do not rise at beat {beat + 1}, {times[beat]:g}")
    return times


def _downbeats(columns: Sequence[Column], names: Sequence[str]) -> NDArray[np.bool_] | None:
    """Which beats begin bars by the first column that says so, from the right.

    Columns with a telling name come first.
    """
    order = sorted(
        range(len(columns)),
        key=lambda i: (i < len(names) and _is_one_of(names[i], LABEL_NAMES), i),
        reverse=True,
    )
    for column in order:
        fields = columns[column]
        is_downbeat = _by_number(fields)
        if is_downbeat is None and not isinstance(fields, np.ndarray):
            is_downbeat = _by_bar_and_beat(fields)
            if is_downbeat is None:
                is_downbeat = _by_words(fields)
        if is_downbeat is not None:
            return is_downbeat
    return None


def _by_number(fields: Column) -> NDArray[np.bool_] | None:
    """Downbeats of a column of numbers in the bar, or of 1 at downbeats and 0 elsewhere."""
    try:
        values = _numbers(fields)
    except ValueError:
        return None
    if not ((values == np.floor(values)) & (values >= 0) & (values <= MAX_BEATS_OF_A_BAR)).all():
        return None
    numbers = values.astype(np.int64)
    if numbers.max() <= 1:
        flags: NDArray[np.bool_] = numbers == 1
        return flags
    return _counted(numbers, first=int(numbers.min() > 0))


def _by_bar_and_beat(fields: Sequence[str]) -> NDArray[np.bool_] | None:
    """Downbeats of a column of bars and beats, such as 12.1 12.2 12.3 13.1."""
    if not all(BAR_AND_BEAT.fullmatch(field.strip()) for field in fields):
        return None
    parts = [field.partition(".") for field in fields]
    if not np.isin(np.diff([int(bar) for bar, _, _ in parts]), (0, 1)).all():
        return None
    return _counted(np.array([int(beat) for _, _, beat in parts]), first=1)


def _by_words(fields: Sequence[str]) -> NDArray[np.bool_] | None:
    """Downbeats of a column of ASAP's labels or words; a metre and a key may follow the word."""
    words = [field.partition(",")[0].strip().lower() for field in fields]
    if not DOWNBEAT_WORDS.union(BEAT_WORDS).issuperset(words):
        return None
    return np.array([word in DOWNBEAT_WORDS for word in words])


def _counted(numbers: NDArray[np.int64], first: int) -> NDArray[np.bool_] | None:
    """Downbeats of numbers that count the beats of each bar from `first`, if most of them do."""
    is_downbeat: NDArray[np.bool_] = numbers == first
    is_regular = is_downbeat[1:] | (np.diff(numbers) == 1)
    return is_downbeat if is_regular.mean() >= MIN_REGULAR and is_downbeat.any() else None


def _units(
    table: Table, is_downbeat: NDArray[np.bool_], metre: str | None
) -> NDArray[np.int64] | None:
    """What each beat is by the metres that the file names, or by the one that is given."""
    named = dict(table.metres)
    if not named and metre is None:
        return None
    named = named or {0: parse_metre(metre or "")}
    bar_of_beat = np.cumsum(is_downbeat)
    units = np.empty((table.num_rows, 2), np.int64)
    begins = sorted(named)
    for begin, end in itertools.pairwise([*begins, table.num_rows]):
        # The first bar may be a pickup, the last may end early: the commonest counts.
        sizes = Counter(Counter(bar_of_beat[begin:end].tolist()).values())
        unit = _unit(named[begin], sizes.most_common(1)[0][0])
        units[0 if begin == begins[0] else begin : end] = unit
    return units


def _unit(metre: Metre, beats_in_bar: int) -> tuple[int, int]:
    """What a beat is in a bar of so many beats, as a fraction of a whole note."""
    if beats_in_bar == metre.numerator:
        return 1, metre.denominator
    return metre.numerator // beats_per_bar(metre), metre.denominator


def file_beside(midi_file: Path, pattern: str) -> Path:
    """The path of a file beside a MIDI file; `{stem}` in the pattern stands for its name."""
    return midi_file.parent / pattern.replace("{stem}", midi_file.stem)


def beats_beside(midi_file: Path) -> str | None:
    """The pattern of a beat file beside a MIDI file, for `file_beside`; None if there is none.

    Of several, one that is named for MIDI comes before one that is named for audio.
    """
    stem = midi_file.stem
    try:
        beside = list(midi_file.parent.iterdir())
    except OSError:  # it may be read, but not listed
        return None
    names = [
        path.name
        for path in beside
        if path.suffix.lower() in BEAT_SUFFIXES
        and (path.name.startswith(stem) or "beat" in path.name.lower())
    ]
    for name in sorted(names, key=lambda name: ("midi" not in name.lower(), name)):
        try:
            read_beats(midi_file.parent / name)
        except InputError:
            continue
        return name.replace(stem, "{stem}", 1) if name.startswith(stem) else name
    return None
