"""Melodies on a bar grid, one token per step: MusicVAE's 90 events (Roberts et al. 2018).

Every pitched track that is not mostly chords is a melody. Training uses all of them; a clip is
represented by the highest one.

Axes: N windows, T steps, C = 1 channel, K condition columns.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seqvae.music.chords import transpose_chords
from seqvae.music.notes import Notes, Piece
from seqvae.reasons import Dropped
from seqvae.tokenizers.contract import Example, Extraction, Ids, MusicTokenizer
from seqvae.tokenizers.grid import Conditions, GridSettings, grid_windows, in_quarters
from seqvae.tokenizers.lines import (
    LineSettings,
    line_notes,
    line_roll,
    line_symbols,
    mean_pitch,
    pitched_lines,
    transposed,
    transpositions,
)
from seqvae.tokenizers.windows import (
    Span,
    Windows,
    encode_windows,
    extract_windows,
    no_part,
    window_piece,
)


@dataclass(frozen=True, kw_only=True)
class MelodyTokenizer(LineSettings, GridSettings, MusicTokenizer):
    """One line of notes."""

    kind: ClassVar[str] = "melody"
    channels: ClassVar[tuple[str, ...]] = ("events",)

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        self.check_lines()

    @property
    def vocab_sizes(self) -> tuple[int]:
        """Events of the line."""
        return (self.num_events,)

    def extract(self, piece: Piece) -> Extraction:
        """The training windows of every melody."""
        dropped = Dropped()
        lines = pitched_lines(piece.notes, self.max_chord_share, dropped)
        chords = self.conditions(piece)
        cuts = [partial(self._cut, line, chords) for line in lines]
        return extract_windows(self, piece, cuts, dropped)

    def encode(self, piece: Piece, bar: int | None = None) -> list[Example]:
        """The windows of the highest melody end to end, or the one that begins at `bar`."""
        dropped = Dropped()
        lines = pitched_lines(piece.notes, self.max_chord_share, dropped)
        if len(piece.notes) and not lines:
            raise no_part(self, dropped)
        line = max(lines, key=mean_pitch, default=piece.notes)
        program = int(line["program"][0]) if len(line) else 0
        cut = partial(self._cut, line, self.conditions(piece))
        return encode_windows(self, piece, cut, bar, program)

    def _cut(self, line: Notes, chords: Conditions, span: Span) -> Windows:
        """The windows of a melody and of its chords."""
        roll = line_roll(line, span, self.min_pitch, self.max_pitch)
        return grid_windows([roll], span, chords)

    def decode(self, example: Example) -> Piece:
        """The notes of a window."""
        notes = line_notes(example.ids[:, 0], self.min_pitch, program=example.program)
        return window_piece(self, notes, example.qpm)

    def show(self, ids: Ids) -> str:
        """A note name at its onset, `.` for NO_EVENT, `-` for NOTE_OFF, `|` between quarters."""
        return in_quarters(line_symbols(ids[:, 0], self.min_pitch), self.steps_per_quarter)

    def augment(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Transpose each window (N, T, 1 + K), as far as its pitches stay in the vocabulary."""
        line, chords = ids[..., :1], ids[..., 1:]
        semitones = transpositions(line, self.num_events, self.max_transpose, rng)
        columns = transposed(line, semitones), transpose_chords(chords, semitones[:, None, None])
        return np.concatenate(columns, axis=2)
