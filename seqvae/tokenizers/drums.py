"""Drums on a bar grid, one token per step: which of the nine classes of `kits` are struck.

A hit has no length, velocity or timing; decoded hits last a step.

Axes: N windows, T steps, C = 1 channel, K condition columns.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import within
from seqvae.music.notes import Notes, Piece
from seqvae.tokenizers.contract import Example, Extraction, Ids, MusicTokenizer, Voice
from seqvae.tokenizers.grid import Conditions, grid_windows, in_quarters, taken_steps
from seqvae.tokenizers.kits import (
    NUM_CLASSES,
    NUM_SETS,
    KitSettings,
    kit_notes,
    kit_roll,
    kit_symbols,
    kit_voice,
    mixed_sets,
)
from seqvae.tokenizers.windows import (
    Span,
    Windows,
    window_piece,
)


@dataclass(frozen=True, kw_only=True)
class DrumsTokenizer(KitSettings, MusicTokenizer):
    """All drum tracks of a piece as one kit."""

    kind: ClassVar[str] = "drums"
    channels: ClassVar[tuple[str, ...]] = ("hits",)
    of_batches: ClassVar[frozenset[str]] = frozenset({"mix_share"})
    num_members: ClassVar[tuple[int, ...]] = (NUM_CLASSES,)

    mix_share: float = 0.5
    """Share of the training windows that take drums of some bars from another window."""

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        self.check_tracks()
        within(self, 0, 1, "mix_share", section="drums: ", closed=True)

    @property
    def vocab_sizes(self) -> tuple[int]:
        """Sets of classes."""
        return (NUM_SETS,)

    def extract(self, piece: Piece) -> Extraction:
        """The training windows of the kit."""
        return self.extract_kit(piece, self._cut)

    def encode(self, piece: Piece, bar: int | None = None) -> list[Example]:
        """The windows of the kit end to end, or the one that begins at `bar`."""
        return self.encode_kit(piece, bar, self._cut)

    def voices(self, piece: Piece) -> list[Voice]:
        """The kit."""
        return [kit_voice(self.parts(piece), range(len(self.vocab_sizes)))]

    def _cut(self, hits: Notes, chords: Conditions, span: Span) -> Windows:
        """The windows of a kit, and of the chords of its piece."""
        return grid_windows([kit_roll(hits, span)], span, chords)

    def decode(self, example: Example) -> Piece:
        """The hits of a window."""
        notes = kit_notes(self.sounding(example.ids)[:, 0])
        return window_piece(self, notes, example.qpm, self.bar_number(example.ids))

    def show(self, ids: Ids) -> str:
        """The letters of the classes struck, `.` for none, `|` between quarters."""
        return in_quarters(kit_symbols(self.sounding(ids)[:, 0]), self.steps_per_quarter)

    def mix(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Windows (N, T, 1 + K) of which a share has some classes of some bars from another."""
        taken = taken_steps(self, len(ids), NUM_CLASSES, self.mix_share, rng)
        mixed, others = ids.copy(), self.others(ids, rng)
        mixed[..., 0] = mixed_sets(ids[..., 0], others[..., 0], taken)
        return mixed
