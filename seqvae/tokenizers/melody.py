"""Melodies on a bar grid, one token a step: MusicVAE's 90 events (Roberts et al. 2018).

0 is NO_EVENT (hold or stay silent), 1 is NOTE_OFF, 2 and up are onsets of the pitches from
`min_pitch`. A note lasts until the next onset, the next NOTE_OFF or the end of the window.
Silence is legal anywhere: whatever a model decodes can be encoded again.

Axes: N windows, T steps, C = 1 channel.
"""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.music.notes import NOTE_NAMES, Notes, Piece, chord_share, make_notes, melody_line
from seqvae.tokenizers.contract import Example, Ids
from seqvae.tokenizers.grid import GridTokenizer, Roll, window_steps
from seqvae.tokenizers.windows import Part

NO_EVENT, NOTE_OFF, FIRST_PITCH = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class LineTokenizer(GridTokenizer):
    """Lines of notes, alone or with other voices: their range, and which tracks are lines."""

    min_pitch: int = 21
    """Lowest MIDI pitch of the vocabulary."""
    max_pitch: int = 108
    """Highest MIDI pitch of the vocabulary."""
    max_chord_share: float = 0.5
    """A track counts as accompaniment when more of its onsets than this are chords."""
    max_transpose: int = 5
    """Training transposes every window afresh by up to this many semitones; drums stay."""

    def __post_init__(self) -> None:
        """Refuse settings that no window can satisfy."""
        super().__post_init__()
        self._at_least(0, "max_transpose")
        self._share("max_chord_share")
        if not 0 <= self.min_pitch <= self.max_pitch <= 127:
            raise InputError(
                f"{self.kind}: pitches {self.min_pitch}..{self.max_pitch}; "
                "they must rise within 0..127"
            )

    @property
    def num_events(self) -> int:
        """Two events and the pitches."""
        return FIRST_PITCH + self.max_pitch - self.min_pitch + 1


@dataclass(frozen=True, kw_only=True)
class MelodyTokenizer(LineTokenizer):
    """One line of notes."""

    kind: ClassVar[str] = "melody"

    @property
    def channels(self) -> tuple[str]:
        """Names of the channels."""
        return ("events",)

    @property
    def vocab_sizes(self) -> tuple[int]:
        """One channel of events."""
        return (self.num_events,)

    def _parts(self, notes: Notes, dropped: Counter[str]) -> list[Part]:
        """A line for each pitched track that is not an accompaniment of chords."""
        return [(line,) for line in lines_of(notes, self.max_chord_share, dropped)]

    def _main(self, notes: Notes, dropped: Counter[str]) -> Part | None:
        """The line of the highest mean pitch."""
        if not len(notes):
            return (notes,)
        parts = self._parts(notes, dropped)
        return max(parts, key=lambda part: part[0]["pitch"].mean(), default=None)

    def _rolls(self, part: Part, starts: NDArray[np.int64], end_step: int) -> list[Roll]:
        """One voice."""
        return [
            line_roll(part[0], starts, self.max_steps, end_step, self.min_pitch, self.max_pitch)
        ]

    def decode(self, example: Example) -> Piece:
        """The notes of a window; a NOTE_OFF in silence says nothing."""
        notes = line_notes(example.ids[:, 0], self.min_pitch, program=example.program)
        return self._piece(notes, example)

    def show(self, ids: Ids) -> str:
        """A note name at its onset, `.` for NO_EVENT, `-` for NOTE_OFF, `|` between quarters."""
        return self._in_quarters(line_symbols(ids[:, 0], self.min_pitch))

    def augment(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Transpose each window (N, T, 1 + K), as far as its pitches stay in the vocabulary."""
        lines = ids[..., :1]
        semitones = transpositions(lines, self.vocab_sizes[0], self.max_transpose, rng)
        moved = transposed(lines, semitones)
        return np.concatenate([moved, self._transposed_chords(ids, semitones)], axis=2)


def lines_of(notes: Notes, max_chord_share: float, dropped: Counter[str]) -> list[Notes]:
    """A line for each pitched track that is not an accompaniment of chords."""
    lines = []
    for track in np.unique(notes["track"]):
        own = notes.compress(notes["track"] == track)
        if own["is_drum"].any():
            dropped["a drum track"] += 1
        elif chord_share(own) > max_chord_share:
            dropped["a track of chords"] += 1
        else:
            lines.append(melody_line(own))
    return lines


def line_roll(
    line: Notes,
    starts: NDArray[np.int64],
    num_steps: int,
    end_step: int,
    min_pitch: int,
    max_pitch: int,
) -> Roll:
    """The windows of a line that begin at `starts`, up to where its metre ends."""
    line = line[line["start"] < end_step]
    ends = np.minimum(line["end"], end_step)
    size = max(end_step, int(starts[-1]) + num_steps) + 1
    onset, outside = np.zeros((2, size), np.bool_)
    onset[line["start"]] = True
    outside[line["start"]] = (line["pitch"] < min_pitch) | (line["pitch"] > max_pitch)
    changes = np.zeros(size, np.int64)
    changes[line["start"]] += 1  # of a line no two notes begin, or end, at once
    changes[ends] -= 1
    events = np.zeros(size, np.int64)
    events[ends] = NOTE_OFF
    events[line["start"]] = FIRST_PITCH + line["pitch"] - min_pitch  # which hides an end

    steps = window_steps(starts, num_steps)
    # A note held over from before the window is cut, and so says nothing in it.
    heard = np.logical_or.accumulate(onset[steps], axis=1)
    return Roll(
        tokens=np.where(heard, events[steps], NO_EVENT)[..., None],
        silent=(changes.cumsum() == 0)[steps] | ~heard,
        refused={f"a note outside {min_pitch}..{max_pitch}": np.any(outside[steps], axis=1)},
    )


def line_notes(tokens: NDArray[np.int64], min_pitch: int, *, program: int, track: int = 0) -> Notes:
    """The notes of a window's events, (T,)."""
    onsets = np.flatnonzero(tokens >= FIRST_PITCH)
    stops = np.flatnonzero(tokens != NO_EVENT)
    following = np.searchsorted(stops, onsets, side="right")
    return make_notes(
        start=onsets,
        end=np.append(stops, len(tokens))[following],
        pitch=tokens[onsets] - FIRST_PITCH + min_pitch,
        program=program,
        track=track,
    )


def line_symbols(tokens: NDArray[np.int64], min_pitch: int) -> list[str]:
    """A note name at an onset, `.` for NO_EVENT, `-` for NOTE_OFF."""
    pitches = tokens - FIRST_PITCH + min_pitch
    names = [f"{NOTE_NAMES[pitch % 12]}{pitch // 12 - 1}" for pitch in pitches]
    return [
        name if token >= FIRST_PITCH else ".-"[token]
        for token, name in zip(tokens, names, strict=True)
    ]


def transpositions(
    lines: NDArray[np.int64], vocab_size: int, max_transpose: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Semitones for each window of lines (N, T, C), as far as all stay in the vocabulary: (N,)."""
    onset = lines >= FIRST_PITCH
    top = vocab_size - 1
    room_down = np.where(onset, lines, top).min((1, 2)) - FIRST_PITCH
    room_up = top - np.where(onset, lines, FIRST_PITCH).max((1, 2))
    low = -np.minimum(max_transpose, room_down)
    high = np.minimum(max_transpose, room_up)
    semitones: NDArray[np.int64] = rng.integers(low, high + 1)
    return semitones


def transposed(lines: NDArray[np.int64], semitones: NDArray[np.int64]) -> NDArray[np.int64]:
    """Lines (N, T, C) with the pitches of each window moved by its interval."""
    return np.where(lines >= FIRST_PITCH, lines + semitones[:, None, None], lines)
