"""Notes that sound together, as one set of instruments can play and MIDI can write them."""

import numpy as np

from seqvae.music.notes import Notes

DRUMS = 128  # stands for a drum kit among the programs
TIME = 2**21  # more than the steps of any piece


def outer_notes(notes: Notes, max_notes: int) -> Notes:
    """At most so many notes a step: of more, the lowest and the highest."""
    start = notes["start"]
    first = np.searchsorted(start, start)
    below = np.arange(len(notes)) - first
    above = np.searchsorted(start, start, side="right") - first - below - 1
    is_outer = (below < max_notes // 2) | (above < max_notes - max_notes // 2)
    outer: Notes = notes.compress(is_outer)
    return outer


def without_overlaps(notes: Notes) -> Notes:
    """End a note where the same pitch of the same program is struck again, as MIDI must.

    Of several struck at once the longest stays. The result is in order of onset, then pitch, then
    program.
    """
    if not len(notes):
        return notes
    program = np.where(notes["is_drum"], DRUMS, notes["program"])
    sound = notes["pitch"].astype(np.int64) * (DRUMS + 1) + program
    start, end = notes["start"].astype(np.int64), notes["end"].astype(np.int64)
    assert end.max() < TIME
    order = np.argsort((sound * TIME + start) * TIME + TIME - end)  # one key sorts quickest
    sound, start, end = sound[order], start[order], end[order]
    same = sound[1:] == sound[:-1]
    kept = np.ones(len(notes), np.bool_)
    kept[1:] = ~same | (start[1:] > start[:-1])
    order, sound, start, end = order[kept], sound[kept], start[kept], end[kept]
    cut = np.flatnonzero(sound[1:] == sound[:-1])
    end[cut] = np.minimum(end[cut], start[cut + 1])
    in_time = np.argsort(start * TIME + sound)
    resolved: Notes = notes.take(order[in_time])
    resolved["end"] = end[in_time]
    return resolved
