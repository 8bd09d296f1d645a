"""What of a clip is kept and what is written, as the options of `complete` say it.

Axes: T steps of the output, V voices.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.inference.options import Complete
from seqvae.music.notes import Piece, bars, bars_end, steps_per_bar
from seqvae.music.selection import Selection, parse_selection
from seqvae.reasons import amount
from seqvae.tokenizers.contract import MusicTokenizer, Voice


@dataclass(frozen=True, eq=False)
class Scope:
    """A clip as long as the output, and what of it is written."""

    piece: Piece
    voices: list[Voice]
    is_written: NDArray[np.bool_]
    """At which steps each voice is written: (T, V)."""


def scope_of(tokenizer: MusicTokenizer, window_bars: int, piece: Piece, how: Complete) -> Scope:
    """What is written of a clip, by a model whose windows have so many bars.

    Raises:
        InputError: the options contradict each other or the clip, or leave nothing to write.
    """
    voices = tokenizer.voices(piece)
    names = [voice.name for voice in voices] if len(voices) > 1 else []
    piece = without_late_ends(piece)
    has = sum(1 for _ in bars(piece))
    keep = parse_selection(how.keep or "", names, "keep") if how.keep else Selection()
    fill = parse_selection(how.fill or "", (), "fill") if how.fill else Selection()
    if keep.bars and fill.bars:
        raise InputError(
            f"--keep {how.keep} and --fill {how.fill} both name bars: the first writes all other "
            "bars, the second keeps them, so give one of the two"
        )
    if keep.bars and max(keep.bars) > has:
        raise InputError(f"keep is {how.keep!r}; the clip has bars 1 to {has}")
    num_bars = _num_bars(how, keep, fill, has, window_bars)
    if fill.bars and max(fill.bars) > num_bars:
        raise InputError(
            f"fill is {how.fill!r}; the clip has bars 1 to {has}; --bars says how far it goes on"
        )
    written = {*range(has + 1, num_bars + 1)} | fill.bars
    if keep.bars or (keep.parts and not fill.bars):
        written |= {*range(1, num_bars + 1)} - keep.bars
    extended = _extended(piece, num_bars - has)
    is_written = np.zeros((extended.num_steps, len(voices)), np.bool_)
    for number, start, end in _spans(extended):
        if number in written:
            is_written[start:end] = [
                number > has or voice.name not in keep.parts for voice in voices
            ]
    if not is_written.any():
        raise InputError(
            f"nothing is left to write: the clip has {amount(has, 'bar')}, and all is kept; "
            "--bars N goes on to bar N, --fill writes bars anew"
        )
    return Scope(extended, voices, is_written)


def without_late_ends(piece: Piece) -> Piece:
    """A piece whose last notes end in its last bar: a release that comes late makes no bar."""
    late = piece.notes_end - piece.steps_per_quarter
    last_onset = int(piece.notes["start"].max(initial=0))
    begun = max(piece.num_steps, last_onset + 1, late)
    following = [bar.start_step for bar in bars(piece) if bar.start_step >= begun]
    if not following:
        return piece
    notes = piece.notes.copy()
    notes["end"] = np.minimum(notes["end"], following[0])
    return replace(piece, notes=notes)


def _num_bars(how: Complete, keep: Selection, fill: Selection, has: int, window_bars: int) -> int:
    """Bars of the output: those of the clip, and where all of them are kept, more."""
    if how.bars is None:
        goes_on = not (fill.bars or keep.parts or 0 < len(keep.bars) < has)
        return max(window_bars, has + max(1, window_bars // 2)) if goes_on else has
    if how.bars < has:
        raise InputError(
            f"--bars {how.bars}: the clip has {amount(has, 'bar')}, and none is cut off; "
            f"give {has} or more"
        )
    return how.bars


def _extended(piece: Piece, more_bars: int) -> Piece:
    """A piece with more bars of its last metre, and a whole last bar."""
    bar = steps_per_bar(piece.metres[-1], piece.steps_per_quarter) or piece.steps_per_quarter
    return replace(piece, num_steps=bars_end(piece) + more_bars * bar)


def _spans(piece: Piece) -> Iterator[tuple[int, int, int]]:
    """The number, the first step and the end of each bar."""
    every = list(bars(piece))
    ends: Sequence[int] = [*(bar.start_step for bar in every[1:]), piece.num_steps]
    for bar, end in zip(every, ends, strict=True):
        yield bar.number, bar.start_step, end
