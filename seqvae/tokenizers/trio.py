"""Melody, bass and drums together on a bar grid: MusicVAE's trio (Roberts et al. 2018).

Channel 0 is a melody and channel 1 a bass, both in the events of `lines`; channel 2 is a kit in the
sets of `kits`. Which tracks they are is found in `music.roles`; all drum tracks are one kit.

Axes: N windows, T steps, C = 3 channels, K condition columns.
"""

import itertools
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import within
from seqvae.music.notes import Notes, Piece, sort_notes
from seqvae.reasons import Dropped
from seqvae.tokenizers.contract import Example, Extraction, Ids, MusicTokenizer, Voice
from seqvae.tokenizers.grid import Conditions, GridSettings, grid_windows, in_quarters, taken_steps
from seqvae.tokenizers.kits import (
    NUM_CLASSES,
    NUM_SETS,
    kit_hits,
    kit_notes,
    kit_roll,
    kit_symbols,
    kit_voice,
)
from seqvae.tokenizers.lines import (
    NO_LINE,
    LineSettings,
    line_notes,
    line_roll,
    line_symbols,
    line_voice,
    main_line,
    notes_of_chords,
    randomly_transposed,
)
from seqvae.tokenizers.windows import (
    Span,
    Windows,
    encode_windows,
    extract_windows,
    window_piece,
)

WRITTEN_BASS = 33  # electric bass, fingered


@dataclass(frozen=True, kw_only=True)
class TrioTokenizer(LineSettings, GridSettings, MusicTokenizer):
    """Three voices; a training window needs all of them."""

    kind: ClassVar[str] = "trio"
    channels: ClassVar[tuple[str, ...]] = ("melody", "bass", "drums")
    roles: ClassVar[tuple[str, ...]] = channels
    of_batches: ClassVar[frozenset[str]] = frozenset({"max_transpose", "mix_share"})
    num_members: ClassVar[tuple[int, ...]] = (0, 0, NUM_CLASSES)

    num_bars: int = 16
    """Bars of a window."""
    gap_bars: float = 2.0
    """Training leaves out windows in which a voice rests this many bars or more; 0 leaves none."""
    mix_share: float = 0.5
    """Share of the training windows that take voices of some bars from another window."""

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        self.check_lines()
        within(self, 0, 1, "mix_share", section="trio: ", closed=True)

    @property
    def vocab_sizes(self) -> tuple[int, int, int]:
        """Events of the melody, events of the bass, sets of drums."""
        return self.num_events, self.num_events, NUM_SETS

    @property
    def num_lines(self) -> int:
        """Melody and bass."""
        return 2

    def extract(self, piece: Piece) -> Extraction:
        """The training windows of melody, bass and kit; of all pairs where rules name several."""
        piece = self.in_common_key(piece)
        dropped, parts = Dropped(), self.parts(piece)
        self.count_left_out(parts, dropped)
        hits, lines = kit_hits(parts, dropped), []
        for role, missing in NO_LINE.items():
            lines.append([part.line for part in parts if part.role == role])
            if parts and not lines[-1]:
                dropped[missing] += 1
        chords = self.conditions(piece)
        cuts = [
            partial(self._cut, melody, bass, hits, chords)
            for melody, bass in itertools.product(*lines)
            if len(hits)
        ]
        return extract_windows(self, piece, cuts, dropped)

    def encode(self, piece: Piece, bar: int | None = None) -> list[Example]:
        """The windows of the melody, the bass and the kit, end to end or at `bar`.

        One of the three voices is enough; the others are then silent.
        """
        piece = self.in_common_key(piece)
        dropped, parts = Dropped(), self.parts(piece)
        hits = kit_hits(parts, dropped)
        melody, bass = main_line(parts, "melody"), main_line(parts, "bass")
        if parts and not (melody or bass or len(hits)):
            raise self.nothing_taken(parts, dropped)
        silence = piece.notes[:0]
        program = int(melody.notes["program"][0]) if melody else 0
        voices = (melody.line if melody else silence, bass.line if bass else silence)
        cut = partial(self._cut, *voices, hits, self.conditions(piece))
        kits = [part for part in parts if part.role == "drums"]
        voices_of = enumerate((melody, bass, kits[0] if kits else None))
        tracks = {number: part.track for number, part in voices_of if part}
        examples = encode_windows(self, piece, cut, bar, program, tracks)
        lines = [line for line in (melody, bass) if line]
        self.warn_of_rest(piece, parts, lines + kits, dropped + notes_of_chords(lines))
        return examples

    def _cut(
        self, melody: Notes, bass: Notes, hits: Notes, chords: Conditions, span: Span
    ) -> Windows:
        """The windows of three voices and of their chords."""
        rolls = [
            line_roll(melody, span, self.min_pitch, self.max_pitch),
            line_roll(bass, span, self.min_pitch, self.max_pitch),
            kit_roll(hits, span),
        ]
        return grid_windows(rolls, span, chords)

    def voices(self, piece: Piece) -> list[Voice]:
        """Melody, bass and drums."""
        parts = self.parts(piece)
        lines = [
            line_voice(role, channel, main_line(parts, role), track=channel)
            for channel, role in enumerate(NO_LINE)
        ]
        return [*lines, kit_voice(parts, (2,), track=2)]

    def cut(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Windows that were cut out of longer ones."""
        return self.without_held_notes(ids, 2)

    def decode(self, example: Example) -> Piece:
        """The notes of a window, one track per voice."""
        melody, bass, kit = self.sounding(example.ids)[:, :3].T
        voices = [
            line_notes(melody, self.min_pitch, program=example.program, track=0),
            line_notes(bass, self.min_pitch, program=WRITTEN_BASS, track=1),
            kit_notes(kit, track=2),
        ]
        notes = sort_notes(np.concatenate(voices))
        return window_piece(self, notes, example.qpm, self.bar_number(example.ids))

    def show(self, ids: Ids) -> str:
        """The three voices one after the other, `//` between them."""
        melody, bass, kit = self.sounding(ids)[:, :3].T
        voices = [line_symbols(line, self.min_pitch) for line in (melody, bass)]
        voices.append(kit_symbols(kit))
        return " // ".join(in_quarters(voice, self.steps_per_quarter) for voice in voices)

    def augment(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Transpose melody, bass and chords of each window (N, T, 3 + K) by the same interval."""
        return randomly_transposed(ids, self.chord_columns(ids), self, rng)

    def mix(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Windows (N, T, 3 + K) of which a share has voices of some bars from another.

        Where there are chords, melody and bass belong to them, and only kits are exchanged.
        """
        taken = taken_steps(self, len(ids), 3, self.mix_share, rng)
        if self.chords:
            taken[..., :2] = False
        mixed, others = ids.copy(), self.others(ids, rng)
        mixed[..., :3] = np.where(taken, others[..., :3], ids[..., :3])
        return mixed
