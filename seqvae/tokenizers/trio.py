"""Melody, bass and drums together on a bar grid: MusicVAE's trio (Roberts et al. 2018).

Channel 0 is a melody and channel 1 a bass, both in the events of `lines`; channel 2 is a kit in the
sets of `kits`. Which tracks they are is found in `music.roles`; all drum tracks are one kit. Where
it is asked for, eleven channels of `loudness` follow: of the melody, of the bass and of each drum.

Axes: N windows, T steps, C channels (3 or 14), K condition columns.
"""

import itertools
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import within
from seqvae.music.notes import Notes, Piece, before, sort_notes
from seqvae.reasons import Dropped
from seqvae.tokenizers.contract import Example, Extraction, Ids, MusicTokenizer, Voice
from seqvae.tokenizers.grid import Conditions, GridSettings, grid_windows, in_quarters, taken_steps
from seqvae.tokenizers.kits import (
    CLASSES,
    NUM_CLASSES,
    NUM_SETS,
    hit_table,
    kit_hits,
    kit_notes,
    kit_roll,
    kit_symbols,
    kit_voice,
    loudest_last,
)
from seqvae.tokenizers.lines import (
    NO_LINE,
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

WRITTEN_BASS = 33  # electric bass, fingered
LINES, KIT = 2, 2  # how many lines there are, and the channel after them
LOUD_KIT = slice(LINES, LINES + NUM_CLASSES)  # among the channels of loudness


@dataclass(frozen=True, kw_only=True)
class TrioTokenizer(LineSettings, GridSettings, MusicTokenizer):
    """Three voices; a training window needs all of them."""

    kind: ClassVar[str] = "trio"
    roles: ClassVar[tuple[str, ...]] = ("melody", "bass", "drums")
    of_batches: ClassVar[frozenset[str]] = frozenset(
        {"max_transpose", "max_velocity_change", "mix_share"}
    )

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
    def channels(self) -> tuple[str, ...]:
        """The three voices; then the loudness of both lines and of each drum, where it is kept."""
        loud = ("melody", "bass", *CLASSES) if self.num_velocity_bins else ()
        return (*self.roles, *(f"velocity of {name}" for name in loud))

    @property
    def vocab_sizes(self) -> tuple[int, ...]:
        """Events of the melody, events of the bass, sets of drums; degrees of loudness."""
        sizes = self.num_events, self.num_events, NUM_SETS
        return sizes + self.loudness_sizes(self.num_loud)

    @property
    def num_members(self) -> tuple[int, ...]:
        """Drums are sets."""
        return (0, 0, NUM_CLASSES) + (0,) * (len(self.vocab_sizes) - self.num_struck)

    @property
    def num_lines(self) -> int:
        """Melody and bass."""
        return LINES

    @property
    def num_struck(self) -> int:
        """Melody, bass and kit."""
        return LINES + 1

    @property
    def num_loud(self) -> int:
        """Melody, bass, and each drum of the kit."""
        return LINES + NUM_CLASSES

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
        kit = kit_roll(hits, span)
        if self.num_velocity_bins:
            hits = loudest_last(before(hits, span.end_step))
            kit = replace(kit, played=hit_table(hits, self.velocity_tokens(hits), span))
        return grid_windows([self.roll(melody, span), self.roll(bass, span), kit], span, chords)

    def voices(self, piece: Piece) -> list[Voice]:
        """Melody, bass and drums."""
        parts = self.parts(piece)
        lines = [
            line_voice(role, self.line_channels(line), main_line(parts, role), track=line)
            for line, role in enumerate(NO_LINE)
        ]
        kit = np.flatnonzero(self._voice_of_channel == KIT).tolist()
        return [*lines, kit_voice(parts, kit, track=KIT)]

    @property
    def _voice_of_channel(self) -> NDArray[np.int64]:
        """The voice that each channel belongs to: (C,)."""
        voices = np.array([0, 1, KIT, 0, 1, *[KIT] * NUM_CLASSES])
        return voices[: len(self.vocab_sizes)]

    def cut(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Windows that were cut out of longer ones."""
        return self.without_held_notes(ids, LINES)

    def decode(self, example: Example) -> Piece:
        """The notes of a window, one track per voice."""
        ids = self.sounding(example.ids)
        voices = [
            line_notes(
                ids[:, line],
                self.min_pitch,
                program=program,
                velocity=self.loudness(ids, line),
                track=line,
            )
            for line, program in enumerate((example.program, WRITTEN_BASS))
        ]
        voices.append(kit_notes(ids[:, KIT], velocity=self.loudness(ids, LOUD_KIT), track=KIT))
        notes = sort_notes(np.concatenate(voices))
        return window_piece(self, notes, example.qpm, self.bar_number(example.ids))

    def show(self, ids: Ids) -> str:
        """The three voices one after the other, `//` between them."""
        melody, bass, kit = self.sounding(ids)[:, :3].T
        voices = [line_symbols(line, self.min_pitch) for line in (melody, bass)]
        voices.append(kit_symbols(kit))
        return " // ".join(in_quarters(voice, self.steps_per_quarter) for voice in voices)

    def augment(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Transpose melody, bass and chords of each window (N, T, C + K) by the same interval."""
        return randomly_varied(ids, self.chord_columns(ids), self, rng)

    def mix(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Windows (N, T, C + K) of which a share has voices of some bars from another.

        Where there are chords, melody and bass belong to them, and only kits are exchanged.
        """
        taken = taken_steps(self, len(ids), 3, self.mix_share, rng)
        if self.chords:
            taken[..., :LINES] = False
        mixed, others = ids.copy(), self.others(ids, rng)
        own = self._voice_of_channel
        voices = np.s_[..., : len(own)]
        mixed[voices] = np.where(taken[..., own], others[voices], ids[voices])
        return mixed
