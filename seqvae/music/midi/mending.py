"""Damaged track chunks -> sound ones, with all events before the damage.

A chunk is walked over event by event only where it is damaged or may be: a library written in C
reads the others. What that library would misread without a word is a message without a status
after a system message (running status), and a tempo or a time signature of the wrong length.

An event is its delta time, its status and its data; see the Standard MIDI File specification 1.0.
"""

import re
from typing import NamedTuple

META, END_OF_TRACK, EXCLUSIVE, ESCAPE, FIRST_SYSTEM = 0xFF, 0x2F, 0xF0, 0xF7, 0xF0
TEMPO, TIME_SIGNATURE = 0x51, 0x58
END = bytes([META, END_OF_TRACK, 0])
META_BYTE = END[:1]
MAX_TRACKS = 10_000
MAX_BYTES_OF_A_NUMBER = 4
MAX_NUMBER = 2**28 - 1
MAX_TICK = 2**31 - 1  # symusic counts ticks in 32 bits and loses what lies beyond
META_LENGTHS = {TEMPO: 3, TIME_SIGNATURE: 2}  # at least: who writes less says nothing
SYSTEM_LENGTHS = {0xF1: 1, 0xF2: 2, 0xF3: 1}  # other system messages have no data
PROGRAM_CHANGE, CHANNEL_PRESSURE = 0xC, 0xD  # the messages with one byte of data
CHUNK_NAME = re.compile(rb"[A-Za-z0-9 ]{4}")
# Of a delta time and an end of track: without the rest no music is lost.
END_BEGUN = re.compile(rb"[\x80-\xff]{0,3}(?:[\x00-\x7f](?:\xff\x2f?)?)?")
# Of a byte: whether it is a status, or a number goes on, and whether it may be a system message.
KINDS = bytes((byte >> 7) + (FIRST_SYSTEM <= byte < META) for byte in range(256))
SYSTEM_STATUSES = range(FIRST_SYSTEM, META)
HIGH_KIND, SYSTEM_KIND = b"\1", b"\2"
LONG_NUMBER = b"\1\1\1\0"  # of four bytes
MAX_LONG_NUMBERS = 7  # they sum to less than `MAX_TICK`
# Messages of a channel, the first with its status, by two bytes of data and by one. Four at a time
# are quicker to match.
DELTA, DATA = rb"[\x80-\xff]{0,3}+[\x00-\x7f]", rb"[\x00-\x7f]"
TWO_BYTES = rb"[\x80-\xbf\xe0-\xef]"
NEXT_TWO = DELTA + TWO_BYTES + b"?+" + DATA + DATA
TWO = rb"%b%b%b(?:%b)*+(?:%b)*+" % (TWO_BYTES, DATA, DATA, NEXT_TWO * 4, NEXT_TWO)
ONE = rb"[\xc0-\xdf]%b(?:%b%b)*+" % (DATA, DELTA, DATA)
MESSAGES = re.compile(rb"(?:%b|%b)(?:%b(?:%b|%b))*+" % (TWO, ONE, DELTA, TWO, ONE))
TEMPO_EVENT, SOUND_TEMPO = bytes([META, TEMPO]), bytes([META, TEMPO, 3])
SHORT_METRES = bytes([META, TIME_SIGNATURE, 0]), bytes([META, TIME_SIGNATURE, 1])


class Damage(ValueError):
    """What stands here is no event."""


class Chunks(NamedTuple):
    """The track chunks of a file."""

    tracks: list[bytes]
    num_lost: int
    """Bytes of tracks that could not be read."""
    is_cut: bool
    """Whether the file ends within the events of a track."""


class Mended(NamedTuple):
    """A track chunk all of whose events are sound."""

    chunk: bytes
    end: int
    """Where its events end in the bytes of the damaged track."""
    num_lost: int
    """Bytes of events that are left out, and of all that follows damage."""
    is_ended: bool
    """By an end of track."""


def track_chunks(data: bytes) -> Chunks:
    """The track chunks of a file, whatever their lengths say.

    A length is believed if an end of track, the end of the file or another track stands there.
    Otherwise a chunk is as long as its events are sound, and the next one is searched for.
    """
    tracks: list[bytes] = []
    num_lost, is_cut = 0, False
    start = 8 + int.from_bytes(data[4:8], "big")
    if not CHUNK_NAME.match(data, start):
        start = data.find(b"MTrk")
    while 0 <= start <= len(data) - 8 and len(tracks) <= MAX_TRACKS:
        is_track, begin = data.startswith(b"MTrk", start), start + 8
        end = begin + int.from_bytes(data[start + 4 : begin], "big")
        if is_track and _may_end(data, end):
            tracks.append(data[start:end])
        elif is_track:
            following = data.find(b"MTrk", begin)
            events = data[begin : following if following >= 0 else len(data)]
            mended = mend(events)
            tracks.append(mended.chunk)
            num_lost += mended.num_lost
            is_cut |= not mended.is_ended and end > len(data) + len(b"\0" + END)
            end = begin + mended.end
        if CHUNK_NAME.match(data, end):
            start = end
        else:
            start = data.find(b"MTrk", end if is_track else begin)
    return Chunks(tracks, num_lost, is_cut)


def _may_end(data: bytes, end: int) -> bool:
    """Whether a track may end here."""
    if end > len(data):
        return False
    return data.endswith(END, 0, end) or end == len(data) or data.startswith(b"MTrk", end)


class Suspicion(NamedTuple):
    """What bytes may hold that would be misread; what a file does not, none of its chunks does."""

    of_numbers: bool
    """A tempo or a time signature of a wrong length, or times beyond the end."""
    of_statuses: bytes = b""
    """System messages: the bytes that may be theirs."""

    @classmethod
    def of(cls, data: bytes) -> "Suspicion":
        """Look at bytes without walking over their events."""
        kinds = data.translate(KINDS)
        of_statuses = b""
        if SYSTEM_KIND in kinds:
            of_statuses = bytes(status for status in SYSTEM_STATUSES if status in data)
            kinds = kinds.replace(SYSTEM_KIND, HIGH_KIND)
        is_wrong = (
            kinds.count(LONG_NUMBER) > MAX_LONG_NUMBERS
            or data.count(TEMPO_EVENT) != data.count(SOUND_TEMPO)
            or any(map(data.__contains__, SHORT_METRES))
        )
        return cls(is_wrong, of_statuses)


def is_suspect(chunk: bytes, suspicion: Suspicion) -> bool:
    """Whether a chunk may hold what would be misread without a word, given that of its file."""
    if suspicion.of_numbers and Suspicion.of(chunk).of_numbers:
        return True
    try:
        first = _first_message(chunk)
        if first < len(chunk) and chunk[first] < 0x80:
            return True
        may_hide = any(map(chunk.__contains__, suspicion.of_statuses))
        return may_hide and _hides_status(chunk, first)
    except Damage:
        return True


def _hides_status(chunk: bytes, place: int) -> bool:
    """Whether a message without a status follows a system or meta event from the place on."""
    while place < len(chunk):
        status = chunk[place]
        if status < 0x80:
            return True
        if status == META:
            length, place = number_at(chunk, place + 2)
            place += length
        elif status >= FIRST_SYSTEM:
            place = _after_system(chunk, place)
        else:
            messages = MESSAGES.match(chunk, place)
            if messages is None:
                return True
            place = messages.end()
        if place < len(chunk):
            _, place = number_at(chunk, place)
    return False


def _first_message(chunk: bytes) -> int:
    """The place of the first event of a chunk that is no meta event, or of its end."""
    place = 8
    while place < len(chunk):
        place = place + 1 if chunk[place] < 0x80 else number_at(chunk, place)[1]
        if chunk[place : place + 1] != META_BYTE:
            return _within(chunk, place + 1) - 1
        if chunk[place + 1 : place + 2] == END[1:2]:
            return place
        length, place = number_at(chunk, place + 2)
        place += length
    return place


def mend(events: bytes) -> Mended:
    """The events of a track up to its end or the first damage, each with a status of its own.

    An event with an impossible byte is left out. If the track goes on as no track can, that byte
    was the damage.
    """
    sound: list[bytes] = []
    tick = place = waiting = status = num_lost = (
        0  # ticks wait for the event after one that is left out
    )
    first_bad: tuple[int, int] | None = None
    begin, is_ended = 0, False
    try:
        while begin < len(events) and not is_ended:
            delta, place = number_at(events, begin)
            tick += delta
            if tick >= MAX_TICK:
                raise Damage
            event = _event_at(events, place, status)
            if event.status < FIRST_SYSTEM:
                status = event.status
            if event.is_sound:
                sound.append(number_of(min(waiting + delta, MAX_NUMBER)) + event.message)
                waiting = 0
                is_ended = event.message.startswith(END[:2])
            else:
                first_bad = first_bad or (begin, len(sound))
                num_lost += event.end - begin
                waiting += delta
            begin = event.end
    except Damage:
        if not first_bad and END_BEGUN.fullmatch(events, begin):
            begin = len(events)
        elif first_bad is not None:
            begin, num_sound = first_bad
            num_lost = 0
            del sound[num_sound:]
    body = b"".join(sound) + (b"" if is_ended else b"\0" + END)
    num_lost += 0 if is_ended else len(events) - begin
    return Mended(b"MTrk" + len(body).to_bytes(4, "big") + body, begin, num_lost, is_ended)


class Event(NamedTuple):
    """An event without its delta time."""

    status: int
    message: bytes
    """The status and the data."""
    end: int
    is_sound: bool


def _event_at(events: bytes, place: int, status: int) -> Event:
    """The event whose status, or data under the given status, begins here."""
    first = _byte_at(events, place)
    if first == META:
        kind = _byte_at(events, place + 1)
        length, begin = number_at(events, place + 2)
        end = _within(events, begin + length)
        is_sound = length >= META_LENGTHS.get(kind, 0)
        if kind in META_LENGTHS and is_sound:
            data = events[begin : begin + max(META_LENGTHS[kind], min(length, 4))]
            return Event(META, bytes([META, kind, len(data)]) + data, end, is_sound=True)
        return Event(META, events[place:end], end, is_sound)
    if first >= FIRST_SYSTEM:
        end = _within(events, _after_system(events, place))
        return Event(first, events[place:end], end, first in (EXCLUSIVE, ESCAPE))
    if first >= 0x80:
        status = first
        place += 1
    elif not status:
        raise Damage
    end = _within(events, place + (1 if status >> 4 in (PROGRAM_CHANGE, CHANNEL_PRESSURE) else 2))
    data = events[place:end]
    return Event(status, bytes([status]) + data, end, max(data) < 0x80)


def _after_system(events: bytes, place: int) -> int:
    """The place after a system message."""
    status = events[place]
    if status in (EXCLUSIVE, ESCAPE):
        length, place = number_at(events, place + 1)
        return place + length
    return place + 1 + SYSTEM_LENGTHS.get(status, 0)


def number_at(data: bytes, place: int) -> tuple[int, int]:
    """A number of variable length, and the place after it.

    Raises:
        Damage: it has no end, or too many bytes.
    """
    if data[place : place + 1] < b"\x80" and place < len(data):  # of most numbers, and faster
        return data[place], place + 1
    number = 0
    for after, byte in enumerate(data[place : place + MAX_BYTES_OF_A_NUMBER], place + 1):
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, after
    raise Damage


def number_of(value: int) -> bytes:
    """A number as bytes of variable length."""
    parts = [value & 0x7F]
    while value := value >> 7:
        parts.append(value & 0x7F | 0x80)
    return bytes(reversed(parts))


def _byte_at(data: bytes, place: int) -> int:
    return data[_within(data, place + 1) - 1]


def _within(data: bytes, end: int) -> int:
    if end > len(data):
        raise Damage
    return end
