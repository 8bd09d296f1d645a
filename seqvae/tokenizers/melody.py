"""Melodies on a bar grid, one event per step: MusicVAE's 90 events (Roberts et al. 2018).

The melody of a piece is one of its tracks (`music.roles`), in training as in a clip. A second
channel says how hard its notes are struck, where that is asked for (`loudness`).

Axes: N windows, T steps, C channels (1 or 2), K condition columns.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seqvae.music.notes import Notes, Piece
from seqvae.reasons import Dropped
from seqvae.tokenizers.contract import Example, Extraction, Ids, MusicTokenizer, Voice
from seqvae.tokenizers.grid import Conditions, GridSettings, grid_windows, in_quarters
from seqvae.tokenizers.lines import (
    LineSettings,
    line_notes,
    line_symbols,
    line_voice,
    main_line,
    notes_of_chords,
    randomly_varied,
)
from seqvae.tokenizers.windows import (
    Span,
    Windows,
    encode_windows,
    extract_windows,
    window_piece,
)


@dataclass(frozen=True, kw_only=True)
class MelodyTokenizer(LineSettings, GridSettings, MusicTokenizer):
    """One line of notes."""

    kind: ClassVar[str] = "melody"
    roles: ClassVar[tuple[str, ...]] = ("melody",)
    of_batches: ClassVar[frozenset[str]] = frozenset({"max_transpose", "max_velocity_change"})

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        self.check_lines()

    @property
    def channels(self) -> tuple[str, ...]:
        """Events, and where it is kept their loudness."""
        return ("events", "velocity") if self.num_velocity_bins else ("events",)

    @property
    def vocab_sizes(self) -> tuple[int, ...]:
        """Events of the line, and degrees of loudness."""
        return (self.num_events, *self.loudness_sizes(self.num_loud))

    def extract(self, piece: Piece) -> Extraction:
        """The training windows of the melody; of several where a rule says so."""
        piece = self.in_common_key(piece)
        dropped, parts = Dropped(), self.parts(piece)
        self.count_left_out(parts, dropped)
        melodies = [part for part in parts if part.role == "melody"]
        chords = self.conditions(piece)
        cuts = [partial(self._cut, melody.line, chords) for melody in melodies]
        return extract_windows(self, piece, cuts, dropped)

    def encode(self, piece: Piece, bar: int | None = None) -> list[Example]:
        """The windows of the melody end to end, or the one that begins at `bar`."""
        piece = self.in_common_key(piece)
        parts = self.parts(piece)
        melody = main_line(parts, "melody")
        if parts and melody is None:
            raise self.nothing_taken(parts, Dropped())
        line = melody.line if melody else piece.notes
        program = int(line["program"][0]) if len(line) else 0
        cut = partial(self._cut, line, self.conditions(piece))
        tracks = {0: melody.track} if melody else {}
        examples = encode_windows(self, piece, cut, bar, program, tracks)
        taken = [melody] if melody else []
        self.warn_of_rest(piece, parts, taken, notes_of_chords(taken))
        return examples

    def _cut(self, line: Notes, chords: Conditions, span: Span) -> Windows:
        """The windows of a melody and of its chords."""
        return grid_windows([self.roll(line, span)], span, chords)

    def voices(self, piece: Piece) -> list[Voice]:
        """The melody."""
        part = main_line(self.parts(piece), "melody")
        return [line_voice("melody", self.line_channels(0), part)]

    def cut(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Windows that were cut out of longer ones."""
        return self.without_held_notes(ids, 1)

    def decode(self, example: Example) -> Piece:
        """The notes of a window."""
        ids = self.sounding(example.ids)
        loudness = self.loudness(ids, 0)
        notes = line_notes(ids[:, 0], self.min_pitch, program=example.program, velocity=loudness)
        return window_piece(self, notes, example.qpm, self.bar_number(example.ids))

    def show(self, ids: Ids) -> str:
        """A note name at its onset, `.` for NO_EVENT, `-` for NOTE_OFF, `|` between quarters."""
        symbols = line_symbols(self.sounding(ids)[:, 0], self.min_pitch)
        return in_quarters(symbols, self.steps_per_quarter)

    def augment(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Transpose each window (N, T, C + K), as far as its pitches stay in the vocabulary."""
        return randomly_varied(ids, self.chord_columns(ids), self, rng)
