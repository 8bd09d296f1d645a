"""Voices of a track that holds several, such as a hymn on one staff.

They do not cross, each goes to the nearest note, and a note that is held keeps its voice. That is
sound where nearly every chord has the same number of notes; the chords of a piano are no voices.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqvae.music.notes import Notes

MIN_FULL_SHARE = 0.75  # of the onsets, at which all voices sound
MAX_LOST_SHARE = 0.05  # of the notes, for which no voice is free


def split_chords(notes: Notes, max_voices: int) -> list[Notes] | None:
    """The voices of a track, the lowest first; None if its chords are no voices, or too many.

    Their number is that of the notes that sound at most onsets.
    """
    steps, first = np.unique(notes["start"], return_index=True)
    ended = np.searchsorted(np.sort(notes["end"]), steps, side="right")
    sounding = np.append(first[1:], len(notes)) - ended
    num_voices = int(np.bincount(sounding).argmax()) if len(notes) else 0
    is_full = sounding == num_voices
    if not 2 <= num_voices <= max_voices or is_full.mean() < MIN_FULL_SHARE:
        return None
    voice_of = _assigned(notes, [*first.tolist(), len(notes)], num_voices)
    if (voice_of < 0).mean() > MAX_LOST_SHARE:
        return None
    return [notes[voice_of == voice] for voice in range(num_voices)]


def _assigned(notes: Notes, edges: Sequence[int], num_voices: int) -> NDArray[np.int64]:
    """The voice of each note, or -1 where none is free. Onset i has the notes of edges[i:i + 2]."""
    starts, ends = notes["start"].tolist(), notes["end"].tolist()
    pitches = notes["pitch"].tolist()
    voice_of = np.full(len(notes), -1)
    last, until = _first_chord(pitches, edges, num_voices), [0] * num_voices
    for begin, end in itertools.pairwise(edges):
        free = [voice for voice in range(num_voices) if until[voice] <= starts[begin]]
        new = range(begin, end)[: len(free)]
        chosen = min(
            itertools.combinations(free, len(new)),
            key=lambda voices: sum(
                abs(pitches[note] - last[voice]) for note, voice in zip(new, voices, strict=True)
            ),
        )
        for note, voice in zip(new, chosen, strict=True):
            voice_of[note], last[voice], until[voice] = voice, pitches[note], ends[note]
    return voice_of


def _first_chord(pitches: Sequence[int], edges: Sequence[int], num_voices: int) -> list[int]:
    """The pitches of the first onset that strikes a note for every voice, or else of the first."""
    whole = (pitches[a:b] for a, b in itertools.pairwise(edges) if b - a == num_voices)
    some = pitches[edges[0] : edges[1]]
    return [*next(whole, [*some, *[some[-1]] * num_voices])][:num_voices]
