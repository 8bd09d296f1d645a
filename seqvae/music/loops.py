"""Loops: pieces of a bar or a few that are meant to be repeated.

They fill a window by being repeated, where they fit into it a whole number of times. Others of its
size end in silence.
"""

from dataclasses import replace

import numpy as np

from seqvae.music.notes import Piece, Tempo, changes_of_tempo, steps_per_bar
from seqvae.reasons import Dropped, Reason, amount


def a_loop(num_bars: int) -> Reason:
    """What is said of a piece of so many bars that was repeated."""
    return Reason("file", f"a loop of {amount(num_bars, 'bar')}, repeated to fill a window")


def loop_bars(piece: Piece) -> int | None:
    """The bars of a piece if it were a loop; None if it has no notes, or more than one metre.

    The length of the piece counts where it is known to end on a bar line. Otherwise the bar of the
    last onset is the last, unless notes sound for more than a quarter beyond it: a release that
    comes late makes no bar.
    """
    bar = steps_per_bar(piece.metres[0], piece.steps_per_quarter)
    if not len(piece.notes) or bar is None:
        return None
    last_onset, last_end = int(piece.notes["start"][-1]), piece.notes_end
    if any(metre.start_step < max(last_end, piece.num_steps) for metre in piece.metres[1:]):
        return None
    num_bars = max(last_onset // bar + 1, -(-(last_end - piece.steps_per_quarter) // bar))
    whole_bars, rest = divmod(piece.num_steps, bar)
    return num_bars if rest else max(num_bars, whole_bars)


def repeated(piece: Piece, num_steps: int) -> Piece:
    """A loop repeated to this many steps; the same piece if it is none that fits in them evenly.

    What sounds beyond the end of the loop is cut there. The piece says that it was repeated.
    """
    num_bars = loop_bars(piece)
    bar = steps_per_bar(piece.metres[0], piece.steps_per_quarter)
    if num_bars is None or bar is None:
        return piece
    times, rest = divmod(num_steps, num_bars * bar)
    if times < 2 or rest:
        return piece
    end = num_bars * bar
    begins = range(0, times * end, end)
    notes = np.concatenate([piece.notes] * times)
    notes["end"] = np.minimum(notes["end"], end)
    moved_by = np.array(begins, np.int32).repeat(len(piece.notes))
    notes["start"] += moved_by
    notes["end"] += moved_by
    tempos = [tempo for tempo in piece.tempos if tempo.start_step < end]
    chords = [chord for chord in piece.chords if chord[0] < end]
    return replace(
        piece,
        notes=notes,
        metres=piece.metres[:1],
        tempos=changes_of_tempo(
            Tempo(begin + tempo.start_step, tempo.qpm) for begin in begins for tempo in tempos
        ),
        num_steps=times * end,
        chords=tuple((begin + start, number) for begin in begins for start, number in chords),
        noted=piece.noted | Dropped({a_loop(num_bars): 1}),
    )
