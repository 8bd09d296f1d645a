"""The lines of a choir, a quartet or any few instruments, side by side on a bar grid.

Every channel is a line in the events of `lines`, the lowest first: a model that writes a step sees
the voices below. Each track is a voice, or several if it strikes chords (`music.part_writing`);
their order is that of their mean pitches. Voices that a clip does not have rest.

Axes: N windows, T steps, C channels: voices and their loudness, K condition columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError, within
from seqvae.music.notes import Piece, chord_share, make_notes, sort_notes
from seqvae.music.part_writing import split_chords
from seqvae.music.roles import Part
from seqvae.reasons import Dropped, Reason, amount
from seqvae.tokenizers.contract import Example, Extraction, Ids, MusicTokenizer, Voice
from seqvae.tokenizers.grid import Conditions, GridSettings, grid_windows, in_quarters, taken_steps
from seqvae.tokenizers.keys import NORMALISED
from seqvae.tokenizers.lines import (
    LineSettings,
    line_notes,
    line_symbols,
    line_voice,
    notes_of_chords,
    randomly_varied,
)
from seqvae.tokenizers.tracks import FLAG
from seqvae.tokenizers.windows import (
    Span,
    Windows,
    encode_windows,
    extract_windows,
    window_piece,
)

MIN_VOICES, MAX_VOICES = 2, 8
CHOIR = ("bass", "tenor", "alto", "soprano")
VOICES_FLAG = "--data.tokenizer.num_voices"


@dataclass(frozen=True, kw_only=True)
class VoicesTokenizer(LineSettings, GridSettings, MusicTokenizer):
    """Two to eight lines; a training window needs all of them."""

    kind: ClassVar[str] = "voices"
    roles: ClassVar[tuple[str, ...]] = ("line",)
    of_batches: ClassVar[frozenset[str]] = frozenset(
        {"max_transpose", "max_velocity_change", "mix_share"}
    )
    onsets_by: ClassVar[tuple[str, ...]] = ("start", "pitch")

    num_bars: int = 4
    """Bars of a window."""
    num_voices: int = 4
    """Voices, from 2 to 8. Training takes pieces of so many, and of fewer if `gap_bars` is 0."""
    keys: str = NORMALISED
    mix_share: float = 0.5
    """Share of the training windows that take all voices of some bars from another window."""

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        self.check_lines()
        within(self, MIN_VOICES, MAX_VOICES, "num_voices", section="voices: ", closed=True)
        within(self, 0, 1, "mix_share", section="voices: ", closed=True)

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of the voices, the lowest first."""
        between = (f"voice_{number}" for number in range(2, self.num_voices))
        return ("lowest", *between, "highest")

    @property
    def channels(self) -> tuple[str, ...]:
        """The lowest voice first; then the loudness of each, where it is kept."""
        loud = self.lines if self.num_velocity_bins else ()
        return (*self.lines, *(f"velocity of {line}" for line in loud))

    @property
    def vocab_sizes(self) -> tuple[int, ...]:
        """Events of each voice, and degrees of loudness."""
        return (self.num_events,) * self.num_voices + self.loudness_sizes(self.num_loud)

    @property
    def num_lines(self) -> int:
        """All voices."""
        return self.num_voices

    def extract(self, piece: Piece) -> Extraction:
        """The training windows of a piece of so many voices."""
        piece = self.in_common_key(piece)
        dropped, parts = Dropped(), self.parts(piece)
        self.count_left_out(parts, dropped)
        lines = self._lines(parts)
        fits = (
            len(lines) <= self.num_voices if self.gap_bars == 0 else len(lines) == self.num_voices
        )
        if lines and not fits:
            dropped[other_number(len(lines))] += 1
        cuts = [partial(self._cut, lines, self.conditions(piece))] if lines and fits else []
        return extract_windows(self, piece, cuts, dropped)

    def encode(self, piece: Piece, bar: int | None = None) -> list[Example]:
        """The windows of the voices end to end, or the one that begins at `bar`."""
        piece = self.in_common_key(piece)
        parts = self.parts(piece)
        lines = self._lines(parts)
        if parts and not lines:
            raise self.nothing_taken(parts, Dropped())
        if len(lines) > self.num_voices:
            raise InputError(
                f"{other_number(len(lines)).text}; this model has {self.num_voices} voices: "
                f"--tracks 'none: track={lines[-1].number + 1}' leaves one out"
            )
        cut = partial(self._cut, lines, self.conditions(piece))
        channels = self._channels(len(lines))
        tracks = {self._track(c): line.track for c, line in zip(channels, lines, strict=True)}
        examples = encode_windows(self, piece, cut, bar, tracks=tracks)
        taken = [part for part in parts if self.takes(part)]
        self.warn_of_rest(piece, parts, taken, notes_of_chords(lines))
        return examples

    def parts(self, piece: Piece) -> tuple[Part, ...]:
        """All tracks of a piece with their roles; of one with chords, each of its voices."""
        parts = super().parts(piece)
        return tuple(voice for part in parts for voice in self._voices(part, piece))

    def _voices(self, part: Part, piece: Piece) -> list[Part]:
        """The voices of a track, or the track as it is; as chords, if they are no voices."""
        share = chord_share(part.notes, piece) if part.role == "line" else 0.0
        if share <= self.max_chord_share:
            return [part]
        voices = split_chords(part.notes, self.num_voices)
        if voices is None:
            reason = f"{share:.0%} of its onsets are chords, which are no voices"
            return [replace(part, role="chords", reason=reason)]
        return [
            replace(part, notes=notes, reason=f"voice {i} of {len(voices)} in its chords", lines={})
            for i, notes in enumerate(reversed(voices), start=1)
        ]

    def _lines(self, parts: Sequence[Part]) -> list[Part]:
        """The lines of the tracks that are taken, the lowest first."""
        lines = sorted(filter(self.takes, parts), key=lambda part: part.height)
        return [replace(line, claim="bass" if line is lines[0] else None) for line in lines]

    def _channels(self, num_lines: int) -> list[int]:
        """The voices of a piece of so many lines: the highest ones, and the lowest for a bass."""
        rest = self.num_voices - num_lines
        return [*[0] * (num_lines > 1), *range(rest + (num_lines > 1), self.num_voices)]

    def _track(self, channel: int) -> int:
        """The number of a voice's track: in a score the highest comes first."""
        return self.num_voices - 1 - channel

    def _cut(self, lines: Sequence[Part], chords: Conditions, span: Span) -> Windows:
        """The windows of all voices and of their chords."""
        notes = [make_notes([], [], [])] * self.num_voices
        for channel, line in zip(self._channels(len(lines)), lines, strict=True):
            notes[channel] = line.line
        return grid_windows([self.roll(voice, span) for voice in notes], span, chords)

    @property
    def part_names(self) -> tuple[str, ...]:
        """What users call the voices, the lowest first: those of a choir, where there are four."""
        return CHOIR if self.num_voices == len(CHOIR) else self.lines

    def voices(self, piece: Piece) -> list[Voice]:
        """All voices, the lowest first."""
        lines = self._lines(self.parts(piece))
        line_of = dict(zip(self._channels(len(lines)), lines, strict=True))
        return [
            line_voice(name, self.line_channels(number), line_of.get(number), self._track(number))
            for number, name in enumerate(self.part_names)
        ]

    def cut(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Windows that were cut out of longer ones."""
        return self.without_held_notes(ids, self.num_voices)

    def decode(self, example: Example) -> Piece:
        """The notes of a window, one track per voice."""
        ids = self.sounding(example.ids)
        lines = [
            line_notes(
                ids[:, channel],
                self.min_pitch,
                program=example.program,
                velocity=self.loudness(ids, channel),
                track=self._track(channel),
            )
            for channel in range(self.num_voices)
        ]
        notes = sort_notes(np.concatenate(lines))
        return window_piece(self, notes, example.qpm, self.bar_number(example.ids))

    def show(self, ids: Ids) -> str:
        """The voices one after the other, the highest first, `//` between them."""
        voices = self.sounding(ids)[:, : self.num_voices].T[::-1]
        lines = (line_symbols(voice, self.min_pitch) for voice in voices)
        return " // ".join(in_quarters(line, self.steps_per_quarter) for line in lines)

    def augment(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Transpose all voices and chords of each window (N, T, C + K) by the same interval."""
        return randomly_varied(ids, self.chord_columns(ids), self, rng)

    def mix(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Windows (N, T, C + K) of which a share has all voices of some bars from another."""
        taken = taken_steps(self, len(ids), 1, self.mix_share, rng)
        return np.where(taken, self.others(ids, rng), ids)


@cache
def other_number(num_lines: int) -> Reason:
    """Why a piece of so many lines is left out."""
    remedy = f"{VOICES_FLAG} {num_lines}" if MIN_VOICES <= num_lines <= MAX_VOICES else FLAG
    return Reason("file", amount(num_lines, "line"), remedy)
