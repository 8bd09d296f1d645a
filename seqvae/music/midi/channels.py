"""What each channel of a file plays at which time: programs, banks and rhythm parts.

symusic gives no channels, and forgets a program where the next track begins, although it holds for
its channel. So every program in a track is replaced by a number that tells its channel before
symusic parses it, and what was there is kept here.

Channels are counted from 0, as in the bytes.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NUM_CHANNELS = 16
DRUM_CHANNEL = 9
META, END_OF_TRACK, SYSEX, ESCAPE = 0xFF, 0x2F, 0xF0, 0xF7
CONTROL_CHANGE, PROGRAM_CHANGE, CHANNEL_PRESSURE = 0xB, 0xC, 0xD
NAMES = b"\xff\x03", b"\xff\x04"  # of a track, of an instrument
NAMES_END = 1024  # bytes of a track chunk among which its names are
HIGH_CONTROLS = re.compile(rb"[\x80-\x9f]")
BANK_SELECT = 0  # the controller with the upper seven bits of the bank
DRUM_BANKS = frozenset({120, 126, 127})  # GM2's rhythm channel; XG's effect kits and drum kits
OLDER_GS = frozenset({126, 127})  # in GS the banks with the sounds of older instruments
PROGRAM_BYTES = [bytes([PROGRAM_CHANGE << 4 | channel]) for channel in range(NUM_CHANNELS)]
# Programs for the beginning of a track, by the number of the track: 16 for each.
CHANNELS_AS_PROGRAMS = [
    b"".join(
        bytes([0, PROGRAM_CHANGE << 4 | channel, first + channel])
        for channel in range(NUM_CHANNELS)
    )
    for first in range(0, 128, NUM_CHANNELS)
]

# Runs of events that select no bank, by the status byte before them: controllers of one channel, or
# notes and pitch bends with controllers among them, but those whose status the next event goes by.
# An event is a delta time, a status byte unless it is that of the event before, and two data bytes.
# Four of them at a time are quicker to match.
DELTA, DATA = rb"[\x80-\xff]{0,3}+[\x00-\x7f]", rb"[\x00-\x7f]"
NOTE = rb"%b[\x80-\xaf\xe0-\xef]?+%b%b" % (DELTA, DATA, DATA)
NOTES = rb"(?:%b)*+(?:%b)*+" % (NOTE * 4, NOTE)
CONTROLLER = rb"%b[\xb0-\xbf][\x01-\x7f]%b(?=%b[\x80-\xff])" % (DELTA, DATA, DELTA)
NOTES_AMID_CONTROLLERS = re.compile(rb"%b(?:(?:%b)++%b)*+" % (NOTES, CONTROLLER, NOTES))
RUNS = dict.fromkeys((*range(0x80, 0xB0), *range(0xE0, 0xF0)), NOTES_AMID_CONTROLLERS) | {
    status: re.compile(rb"(?:%b\x%02x?+[\x01-\x7f]%b)*+" % (DELTA, status, DATA))
    for status in range(0xB0, 0xC0)
}
DELTAS = re.compile(rb"(%b)[\x80-\xbf\xe0-\xef]?+[\x00-\x7f][\x00-\x7f]" % DELTA)

# Bytes of delta times that are not their last: all of them; and with 1, 2 or 3 bytes after them.
HIGH = bytes(range(0x80, 0x100))
HIGHER = [re.compile(rb"([\x80-\xff])[\x80-\xff]{%d}[\x00-\x7f]" % n) for n in range(3)]

# System exclusive messages to a part of an instrument: "use for rhythm part" of GS and the part
# mode of XG, which say whether the part is a drum kit (0: it is not).
SYSEX_BYTE = bytes([SYSEX])
GS_MESSAGE, XG_MESSAGE = b"\x42\x12\x40", b"\x4c\x08"
GS_PART = re.compile(rb"\x41[\x00-\x7f]\x42\x12\x40([\x10-\x1f])\x15([\x00-\x02])")
XG_PART = re.compile(rb"\x43[\x10-\x1f]\x4c\x08([\x00-\x0f])\x07([\x00-\x05])")
GS_PARTS = (9, *range(9), *range(10, 16))  # the channel of each part of GS


class Change(NamedTuple):
    """A program or a bank that a track names."""

    tick: int
    channel: int
    is_bank: bool
    number: int
    place: int
    """Of the number in the bytes of the track."""


def changes(track: bytes) -> list[Change]:
    """The programs that a track chunk names, and the banks before them.

    Raises:
        ValueError: the chunk is damaged before the last of them.
    """
    last = max(map(track.rfind, PROGRAM_BYTES))
    try:
        return list(_changes(track, last))
    except IndexError as error:
        raise ValueError("the track ends within an event") from error


def _changes(track: bytes, last: int) -> Iterator[Change]:
    """Walk over the events up to the byte `last`, and over programs that need no such byte.

    What only repeats itself is not timed exactly: it changes nothing.
    """
    place, tick, status, kind, channel = 8, 0, 0, 0, 0
    known: dict[tuple[int, bool], int] = {}
    skipped: list[bytes] = []  # runs of notes whose time is not added yet
    while place <= last or (kind == PROGRAM_CHANGE and place < len(track)):
        byte, place = track[place], place + 1
        if byte >= 0x80:
            byte, place = _number(track, place - 1)
        tick += byte
        byte = track[place]
        if byte in (META, SYSEX, ESCAPE):
            is_meta = byte == META
            if is_meta and track[place + 1] == END_OF_TRACK:
                return
            length, place = _number(track, place + 1 + is_meta)
            place += length
            continue
        if byte >= 0x80:
            status, place = byte, place + 1
            kind, channel = divmod(status, NUM_CHANNELS)
        if not 0x8 <= kind < 0xF:
            raise ValueError(f"no event begins with the byte {status}")
        is_bank = kind == CONTROL_CHANGE and track[place] == BANK_SELECT
        if is_bank or kind == PROGRAM_CHANGE:
            at = place + is_bank
            number = track[at]
            if number >= 0x80:
                raise ValueError("a program or a bank above 127")
            if known.get((channel, is_bank)) != number:
                known[channel, is_bank] = number
                if skipped:
                    tick += _time(b"".join(skipped))
                    skipped.clear()
            yield Change(tick, channel, is_bank, number, at)
        place += 1 if kind in (PROGRAM_CHANGE, CHANNEL_PRESSURE) else 2
        if status in RUNS and (run := RUNS[status].match(track, place, last)):
            skipped.append(run.group())
            place = run.end()


def _time(run: bytes) -> int:
    """Ticks that a run of notes takes: the sum of its delta times, without a loop over them."""
    deltas = b"".join(DELTAS.findall(run))
    ticks = sum(deltas.translate(None, HIGH))
    for power, pattern in enumerate(HIGHER, start=1):
        parts = b"".join(pattern.findall(deltas))
        ticks += (sum(parts) - 0x80 * len(parts)) << 7 * power
    return ticks


def _number(data: bytes, place: int) -> tuple[int, int]:
    """A number of variable length, and the place after it."""
    number = 0
    while data[place] >= 0x80:
        number = number << 7 | data[place] & 0x7F
        place += 1
    return number << 7 | data[place], place + 1


def with_channels_as_programs(track: bytes, named: Sequence[Change], number: int = 0) -> bytes:
    """A track chunk in which each channel plays one program throughout: its own number.

    That counts from 16 times the `number` of the track, up to 7.

    Raises:
        ValueError: the chunk is not complete.
    """
    events = bytearray(track[8:])
    for change in named:
        if not change.is_bank:
            events[change.place - 8] = NUM_CHANNELS * number + change.channel
    if len(events) < int.from_bytes(track[4:8], "big"):
        raise ValueError("the track ends early")
    programs = CHANNELS_AS_PROGRAMS[number]
    return b"MTrk" + (len(programs) + len(events)).to_bytes(4, "big") + programs + events


def written_name(track: bytes) -> str:
    """The name of a track chunk, or else that of its instrument; empty where there is none.

    Texts that are not UTF-8 are Shift JIS where they hold bytes that no Latin-1 text has.
    """
    for name in NAMES:
        place = track.find(name, 8, NAMES_END)
        if place >= 0 and track[place + 2] < 0x80:
            raw = track[place + 3 : place + 3 + track[place + 2]]
            for encoding in ("utf-8", "cp932" if HIGH_CONTROLS.search(raw) else "latin-1"):
                with contextlib.suppress(UnicodeDecodeError):
                    if text := raw.decode(encoding).strip("\0 "):
                        return text
    return ""


class Sound(NamedTuple):
    """What plays a note."""

    program: int
    is_drum: bool


@dataclass(frozen=True, eq=False)
class Channels:
    """The programs and the rhythm parts of all channels of a song."""

    said: Mapping[int, list[tuple[int, Change]]]
    """Of each channel, its programs and banks, with the number of the track that names them."""
    without_notes: frozenset[int]
    """Numbers of the tracks that only set up."""
    rhythm: Mapping[int, bool]
    """Channels of which a system exclusive message says whether they are drums."""
    drum_banks: frozenset[int]

    @classmethod
    def of(
        cls,
        tracks: Sequence[bytes],
        named: Sequence[Sequence[Change]],
        without_notes: Iterable[int],
    ) -> "Channels":
        """The channels of a song with these track chunks, which name these programs and banks."""
        parts: dict[int, bool] = {}
        spoken_to = [track for track in tracks if SYSEX_BYTE in track]
        is_gs = any(GS_MESSAGE in track for track in spoken_to)
        for track in spoken_to:
            if is_gs:
                found = GS_PART.findall(track)
                parts |= {GS_PARTS[part[0] & 0xF]: mode != b"\0" for part, mode in found}
            if XG_MESSAGE in track:
                parts |= {part[0]: mode != b"\0" for part, mode in XG_PART.findall(track)}
        banks = DRUM_BANKS - OLDER_GS if is_gs else DRUM_BANKS
        said: dict[int, list[tuple[int, Change]]] = {}
        for number, of_track in enumerate(named):
            for change in of_track:
                said.setdefault(change.channel, []).append((number, change))
        return cls(said, frozenset(without_notes), parts, banks)

    def sounds(
        self, track: int, channel: int, ticks: NDArray[np.int32]
    ) -> Iterator[tuple[Sound, NDArray[np.bool_] | None]]:
        """Each sound of a track's channel, and which of the notes at these ticks it plays.

        None stands for all of them.
        """
        is_drum = self.rhythm.get(channel, channel == DRUM_CHANNEL)
        starts, sounds, bank = [-1], [Sound(0, is_drum)], 0
        for change in self._said(track, channel):
            if change.is_bank:
                bank = change.number
                continue
            sound = Sound(change.number, is_drum or bank in self.drum_banks)
            if sound != sounds[-1]:
                starts.append(change.tick)
                sounds.append(sound)
        if starts[-1] <= 0 or starts[-1] <= ticks.min():
            yield sounds[-1], None
            return
        which = np.searchsorted(starts, ticks, side="right") - 1
        for sound in sorted({sounds[number] for number in np.unique(which)}):
            numbers = [number for number, other in enumerate(sounds) if other == sound]
            yield sound, np.isin(which, numbers)

    def _said(self, track: int, channel: int) -> list[Change]:
        """What holds for a track's channel, in time.

        The track's own words and those of tracks without notes count first: some programs write
        all tracks on one channel, each with its program.
        """
        said = self.said.get(channel)
        if not said:
            return []
        own = [
            (number == track, change)
            for number, change in said
            if number == track or number in self.without_notes
        ]
        if all(change.is_bank for _, change in own):
            own = [(number == track, change) for number, change in said]
        # At one tick the track's own word holds.
        return [change for _, change in sorted(own, key=lambda pair: (pair[1].tick, pair[0]))]
