"""Clips: windows with their codes, and what lies between several of them.

Axes: W windows of a clip, Z latent.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from torch import Tensor

from seqvae.music.keys import nearest_way, to_common_key, transposed
from seqvae.music.notes import Key, Piece, Track, before
from seqvae.tokenizers.contract import Example

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Clip:
    """An input or an output: its windows, and one code per window. A text has one window."""

    windows: list[Example]
    z: Float[Tensor, "W Z"]


def in_style_of(example: Example, piece: Piece) -> Piece:
    """A decoded window with names, programs, metre and pitches as in the clip behind it."""
    named = example.tracks
    piece = transposed(piece, -example.moved)
    notes = piece.notes.copy()
    for number, track in named.items():
        notes["program"][(notes["track"] == number) & ~notes["is_drum"]] = track.program
    tracks = tuple(named.get(number, Track()) for number in range(max(named, default=-1) + 1))
    metres = (replace(example.metre, start_step=0),) if example.metre else piece.metres
    return replace(piece, notes=notes, tracks=tracks, metres=metres)


def as_long_as_clip(example: Example, piece: Piece) -> Piece:
    """A decoded window without what lies beyond the end of the clip behind it."""
    length = steps_to_end(example)
    if length is None or length >= (piece.num_steps or piece.end_step):
        return piece
    notes = before(piece.notes, length).copy()
    notes["end"] = np.minimum(notes["end"], length)
    chords = tuple(chord for chord in piece.chords if chord[0] < length)
    return replace(piece, notes=notes, num_steps=length, chords=chords)


def steps_to_end(example: Example) -> int | None:
    """Steps from the beginning of a window to the end of its clip; None stands for no end."""
    return None if example.end_step is None else example.end_step - example.start_step


def in_key(clip: Clip, key: Key) -> Clip:
    """A clip whose outputs are moved to a key, the nearest way from that of the input."""
    ways = [nearest_way(to_common_key(key) - window.moved) for window in clip.windows]
    windows = [
        replace(window, key=key, moved=window.moved + way)
        for window, way in zip(clip.windows, ways, strict=True)
    ]
    return Clip(windows, clip.z)


def from_key(clip: Clip, found: Key | None, key: Key) -> Clip:
    """A clip whose outputs, which suggest the key `found`, are moved to another."""
    way = nearest_way(to_common_key(key) - to_common_key(found)) if found else 0
    return Clip([replace(window, key=key, moved=way) for window in clip.windows], clip.z)


def cut_to_shortest(clips: Sequence[Clip]) -> list[Clip]:
    """Clips cut to the number of windows of the shortest; a warning says so."""
    depths = [len(clip.z) for clip in clips]
    if len({*depths}) > 1:
        used = "is used" if min(depths) == 1 else f"{min(depths)} are used"
        logger.warning(
            "the inputs have %s windows; of each the first %s", " and ".join(map(str, depths)), used
        )
    return [Clip(clip.windows[: min(depths)], clip.z[: min(depths)]) for clip in clips]


def mixed(clips: Sequence[Clip], weights: Sequence[float], z: Float[Tensor, "W Z"]) -> Clip:
    """A clip with these codes and the weighted mean of the tempos of others.

    Program, key and chords have no mean: they are those of the clip with the largest weight. What
    is mixed is as long as the longest.
    """
    heaviest = clips[max(range(len(clips)), key=lambda i: (weights[i], i))]
    windows = []
    for w in range(len(z)):
        each = [clip.windows[w] for clip in clips]
        own, lengths = heaviest.windows[w], [*map(steps_to_end, each)]
        end = None if None in lengths else own.start_step + max(filter(None, lengths))
        qpm = float(np.average([window.qpm for window in each], weights=weights))
        windows.append(replace(own, qpm=qpm, end_step=end))
    return Clip(windows, z)


def corner_weights(num_corners: int, num_steps: int) -> list[list[float]]:
    """Weights of two corners along a line, of three over a triangle, of four over a square."""
    line = np.linspace(0, 1, num_steps).tolist()
    if num_corners == 2:
        return [[1 - t, t] for t in line]
    if num_corners == 3:
        last = num_steps - 1
        return [
            [1 - row / last, (row - place) / last, place / last]
            for row in range(num_steps) for place in range(row + 1)
        ]  # fmt: skip
    return [[(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x] for y in line for x in line]
