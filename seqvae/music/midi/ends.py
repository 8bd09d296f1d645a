"""What symusic does not tell of a file: where its tracks end."""

from collections.abc import Sequence
from typing import Any

END_OF_TRACK = b"\xff\x2f\x00"
MAX_DELTA_BYTES = 4


def end_tick(chunks: Sequence[bytes], scores: Sequence[Any]) -> int:
    """The tick at which the last track chunk of a song ends; 0 if none waits for its end.

    `scores` are the chunks as symusic reads them. Of events that it leaves out the times are not
    known, so that a file that ends in these seems to end earlier.
    """
    waiting = [(_last_delta(chunk), score) for chunk, score in zip(chunks, scores, strict=True)]
    return max((score.end() + delta for delta, score in waiting if delta), default=0)


def _last_delta(chunk: bytes) -> int:
    """Ticks from the last event of a track chunk to its end-of-track event.

    The number is read from its end: its last byte is below 128, those before it are not. Nor are
    data bytes before the number, but for those of text, behind which an end is not found.
    """
    place = chunk.rfind(END_OF_TRACK, -len(END_OF_TRACK)) - 1
    if place < 0:
        return 0
    delta, weight = chunk[place], 7
    while chunk[place - 1] >= 0x80 and weight < 7 * MAX_DELTA_BYTES:
        place -= 1
        delta |= (chunk[place] & 0x7F) << weight
        weight += 7
    return delta
