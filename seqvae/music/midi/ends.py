"""What symusic does not tell of a file: where its tracks end."""

END_OF_TRACK = b"\xff\x2f\x00"
MAX_DELTA_BYTES = 4


def last_delta(chunk: bytes) -> int:
    """Ticks from the last event of a track chunk to its end-of-track event; 0 if there is none.

    Of events that symusic leaves out the times are not known, so that a track that ends in these
    seems to end earlier.

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
