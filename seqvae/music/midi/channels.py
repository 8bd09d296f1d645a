"""What each channel of a file plays at which time: programs, banks and rhythm parts.

symusic gives no channels, and forgets a program where the next track begins, although it holds for
its channel. So every program in a track is replaced by the number of its channel before symusic
parses it, and what was there is kept here.

Channels are counted from 0, as in the bytes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NUM_CHANNELS = 16
DRUM_CHANNEL = 9
META, END_OF_TRACK, SYSEX, ESCAPE = 0xFF, 0x2F, 0xF0, 0xF7
CONTROL_CHANGE, PROGRAM_CHANGE, CHANNEL_PRESSURE = 0xB, 0xC, 0xD
BANK_SELECT = 0  # the controller with the upper seven bits of the bank
DRUM_BANKS = frozenset({120, 126, 127})  # GM2's rhythm channel; XG's effect kits and drum kits
OLDER_GS = frozenset({126, 127})  # in GS the banks with the sounds of older instruments
PROGRAM_BYTES = [bytes([PROGRAM_CHANGE << 4 | channel]) for channel in range(NUM_CHANNELS)]
CHANNELS_AS_PROGRAMS = b"".join(
    bytes([0, PROGRAM_CHANGE << 4 | channel, channel]) for channel in range(NUM_CHANNELS)
)

# Events of two data bytes, but for controllers, which may select a bank: delta time, status, data.
DELTA = rb"[\x80-\xff]{0,3}+[\x00-\x7f]"
NOTES = re.compile(rb"(?:%b[\x80-\xaf\xe0-\xef]?+[\x00-\x7f]{2})++" % DELTA)
DELTAS = re.compile(rb"(%b)[\x80-\xaf\xe0-\xef]?+[\x00-\x7f]{2}" % DELTA)

# System exclusive messages to a part of an instrument: "use for rhythm part" of GS and the part
# mode of XG, which say whether the part is a drum kit (0: it is not).
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
    """Walk over the events up to the byte `last`, and over programs that need no such byte."""
    place, tick, status = 8, 0, 0
    skipped: list[bytes] = []  # runs of notes whose time is not added yet
    while place <= last or (status >> 4 == PROGRAM_CHANGE and place < len(track)):
        delta, place = _number(track, place)
        tick += delta
        if track[place] in (META, SYSEX, ESCAPE):
            is_meta = track[place] == META
            if is_meta and track[place + 1] == END_OF_TRACK:
                return
            length, place = _number(track, place + 1 + is_meta)
            place += length
            continue
        if track[place] >= 0x80:
            status = track[place]
            place += 1
        kind, channel = divmod(status, NUM_CHANNELS)
        if not 0x8 <= kind < 0xF:
            raise ValueError(f"no event begins with the byte {status}")
        is_bank = kind == CONTROL_CHANGE and track[place] == BANK_SELECT
        if is_bank or kind == PROGRAM_CHANGE:
            tick += sum(_number(delta, 0)[0] for run in skipped for delta in DELTAS.findall(run))
            skipped.clear()
            number_place = place + is_bank
            if track[number_place] >= 0x80:
                raise ValueError("a program or a bank above 127")
            yield Change(tick, channel, is_bank, track[number_place], number_place)
        place += 1 if kind in (PROGRAM_CHANGE, CHANNEL_PRESSURE) else 2
        if kind in (0x8, 0x9) and (run := NOTES.match(track, place, last)):
            skipped.append(run.group())
            place, status = run.end(), 0x90


def _number(data: bytes, place: int) -> tuple[int, int]:
    """A number of variable length, and the place after it."""
    number = 0
    while data[place] >= 0x80:
        number = number << 7 | data[place] & 0x7F
        place += 1
    return number << 7 | data[place], place + 1


def with_channels_as_programs(track: bytes, named: Sequence[Change]) -> bytes:
    """A track chunk in which each channel plays the program of its own number, throughout.

    Raises:
        ValueError: the chunk is not complete.
    """
    events = bytearray(track[8:])
    for change in named:
        if not change.is_bank:
            events[change.place - 8] = change.channel
    if len(events) < int.from_bytes(track[4:8], "big"):
        raise ValueError("the track ends early")
    length = len(CHANNELS_AS_PROGRAMS) + len(events)
    return b"MTrk" + length.to_bytes(4, "big") + CHANNELS_AS_PROGRAMS + events


class Sound(NamedTuple):
    """What plays a note."""

    program: int
    is_drum: bool


@dataclass(frozen=True, eq=False)
class Channels:
    """The programs and the rhythm parts of all channels of a song."""

    named: Sequence[Sequence[Change]]
    """By each track."""
    without_notes: frozenset[int]
    """Numbers of the tracks that only set up."""
    rhythm: Mapping[int, bool]
    """Channels of which a system exclusive message says whether they are drums."""
    drum_banks: frozenset[int]

    @classmethod
    def of(
        cls, data: bytes, named: Sequence[Sequence[Change]], without_notes: Iterable[int]
    ) -> "Channels":
        """The channels of a song with these bytes, whose tracks name these programs and banks."""
        parts: dict[int, bool] = {}
        if is_gs := GS_MESSAGE in data:
            parts = {GS_PARTS[part[0] & 0xF]: mode != b"\0" for part, mode in GS_PART.findall(data)}
        if XG_MESSAGE in data:
            parts |= {part[0]: mode != b"\0" for part, mode in XG_PART.findall(data)}
        banks = DRUM_BANKS - OLDER_GS if is_gs else DRUM_BANKS
        return cls(named, frozenset(without_notes), parts, banks)

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
            else:
                starts.append(change.tick)
                sounds.append(Sound(change.number, is_drum or bank in self.drum_banks))
        if starts[-1] <= ticks.min():
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
        own = {track} | self.without_notes
        for tracks in (own, range(len(self.named))):
            said = [
                (change.tick, number == track, change)  # at one tick the track's own word holds
                for number in sorted(tracks)
                for change in self.named[number]
                if change.channel == channel
            ]
            if any(not change.is_bank for _, _, change in said):
                break
        return [change for _, _, change in sorted(said, key=itemgetter(0, 1))]
