"""Melodies on a bar grid, one token a step: MusicVAE's 90 events (Roberts et al. 2018).

0 is NO_EVENT (hold or stay silent), 1 is NOTE_OFF, 2 and up are onsets of the pitches from
`min_pitch`. A note lasts until the next onset, the next NOTE_OFF or the end of the window.
Windows have a fixed length, so there is no end token. Silence is legal anywhere: whatever a model
decodes can be encoded again.

Axes: N windows, T steps, C = 1 channel.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.notes import (
    Metre,
    Notes,
    Piece,
    Tempo,
    bars,
    chord_share,
    make_notes,
    melody_line,
    parse_metre,
    steps_per_bar,
    stretches,
)
from seqvae.tokenizers.contract import Example, Extraction, Ids, from_plain

NO_EVENT, NOTE_OFF, FIRST_PITCH = 0, 1, 2
NOTE_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
VELOCITY = 80  # of decoded notes: the grid does not keep loudness


logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class MelodyTokenizer:
    """Settings of the grid and of the windows; pieces -> tokens -> pieces."""

    kind: ClassVar[str] = "melody"
    modality: ClassVar[Literal["music"]] = "music"
    eos_id: ClassVar[int | None] = None

    num_bars: int = 2
    """Bars of a window."""
    metres: tuple[str, ...] = ("4/4", "2/2", "2/4")
    """Metres that are taken. The first gives the bar; bars of the others must divide it."""
    steps_per_quarter: int = 4
    """Resolution of the grid; 4 is sixteenths."""
    min_pitch: int = 21
    """Lowest MIDI pitch of the vocabulary."""
    max_pitch: int = 108
    """Highest MIDI pitch of the vocabulary."""
    hop_bars: int = 1
    """Bars from one training window to the next."""
    gap_bars: float = 1.0
    """Training leaves out windows with a rest of this many bars or more; 0 leaves out none."""
    max_chord_share: float = 0.5
    """A track counts as accompaniment when more of its onsets than this are chords."""
    max_transpose: int = 5
    """Training transposes every window afresh by up to this many semitones."""

    def __post_init__(self) -> None:
        """Refuse settings that no window can satisfy."""
        for name in ("num_bars", "steps_per_quarter", "hop_bars"):
            if getattr(self, name) < 1:
                raise InputError(f"melody: {name} is {getattr(self, name)}; it must be 1 or more")
        for name in ("gap_bars", "max_transpose"):
            if getattr(self, name) < 0:
                raise InputError(f"melody: {name} is {getattr(self, name)}; it must be 0 or more")
        if not 0 <= self.min_pitch <= self.max_pitch <= 127:
            raise InputError(
                f"melody: pitches {self.min_pitch}..{self.max_pitch}; they must rise within 0..127"
            )
        if not self.metres:
            raise InputError("melody: metres is empty; give at least one, such as 4/4")
        whole_bar = self.steps_per_bar
        for metre in self.metres:
            bar = steps_per_bar(parse_metre(metre), self.steps_per_quarter)
            if bar is None or whole_bar % bar:
                raise InputError(
                    f"melody: a bar of {metre} does not divide one of {self.metres[0]} "
                    f"at {self.steps_per_quarter} steps per quarter"
                )

    @property
    def steps_per_bar(self) -> int:
        """Steps of the model's bar, that of the first metre."""
        steps = steps_per_bar(parse_metre(self.metres[0]), self.steps_per_quarter)
        if steps is None:
            raise InputError(
                f"melody: a bar of {self.metres[0]} is no whole number of steps "
                f"at {self.steps_per_quarter} steps per quarter"
            )
        return steps

    @property
    def max_steps(self) -> int:
        """Steps of a window."""
        return self.num_bars * self.steps_per_bar

    @property
    def vocab_sizes(self) -> tuple[int]:
        """One channel: two events and the pitches."""
        return (FIRST_PITCH + self.max_pitch - self.min_pitch + 1,)

    def extract(self, piece: Piece) -> Extraction:
        """All training windows of all lines, and why the others were left out."""
        dropped: Counter[str] = Counter()
        sequences: list[Ids] = []
        if not len(piece.notes):
            dropped["no notes"] += 1
        for line in self._lines(piece.notes, dropped):
            for stretch in stretches(piece):
                length = stretch.end_step - stretch.start_step
                num_bars = -(-length // self.steps_per_bar)  # the last may end in silence
                hops = range(0, max(num_bars - self.num_bars, 0) + 1, self.hop_bars)
                starts = stretch.start_step + self.steps_per_bar * np.array(hops)
                if str(stretch.metre) not in self.metres:
                    dropped[self._other_metre(stretch.metre)] += len(starts)
                    continue
                windows = self._windows(line, starts, stretch.end_step, self.gap_bars, dropped)
                sequences.extend(windows[..., None])
        return Extraction(sequences, dropped)

    def encode(self, piece: Piece, bar: int | None = None) -> list[Example]:
        """The windows of a clip, end to end, or the one that begins at a bar (from 1).

        The line is that of the track with the highest mean pitch; rests are taken as they are.

        Raises:
            InputError: no window can be used; the reason is named.
        """
        dropped: Counter[str] = Counter()
        lines = self._lines(piece.notes, dropped)
        if len(piece.notes) and not lines:
            raise InputError(f"no melody in it: {', '.join(dropped)}")
        line = max(lines, key=lambda line: line["pitch"].mean(), default=piece.notes)
        program = int(line["program"][0]) if len(line) else 0
        examples: list[Example] = []
        free_from = 0
        all_bars = list(bars(piece))
        for candidate in all_bars:
            start, metre = candidate.start_step, candidate.stretch.metre
            if (start < free_from) if bar is None else (candidate.number != bar):
                continue
            if str(metre) not in self.metres:
                dropped[self._other_metre(metre)] += 1
                continue
            end = candidate.stretch.end_step
            examples += [
                Example(ids[:, None], piece.qpm_at(start), program, candidate.number)
                for ids in self._windows(line, np.array([start]), end, 0.0, dropped)
            ]
            free_from = min(start + self.max_steps, end)
        if not examples:
            reason = ", ".join(dropped) or f"it has {len(all_bars)} bars, not {bar}"
            raise InputError(f"no usable window: {reason}")
        if dropped:
            counts = ", ".join(f"{count} times {reason}" for reason, count in dropped.items())
            logger.warning("left out of the clip: %s", counts)
        return examples

    def decode(self, example: Example) -> Piece:
        """The notes of a window; a NOTE_OFF in silence says nothing."""
        tokens = example.ids[:, 0]
        onsets = np.flatnonzero(tokens >= FIRST_PITCH)
        stops = np.flatnonzero(tokens != NO_EVENT)
        following = np.searchsorted(stops, onsets, side="right")
        notes = make_notes(
            start=onsets,
            end=np.append(stops, len(tokens))[following],
            pitch=tokens[onsets] - FIRST_PITCH + self.min_pitch,
            velocity=VELOCITY,
            program=example.program,
        )
        return Piece(
            notes,
            self.steps_per_quarter,
            (parse_metre(self.metres[0]),),
            (Tempo(0, example.qpm),),
            num_steps=len(tokens),
        )

    def show(self, ids: Ids) -> str:
        """A note name at its onset, `.` for NO_EVENT, `-` for NOTE_OFF, `|` between quarters."""
        pitches = ids[:, 0] - FIRST_PITCH + self.min_pitch
        names = [f"{NOTE_NAMES[pitch % 12]}{pitch // 12 - 1}" for pitch in pitches]
        symbols = [
            name if token >= FIRST_PITCH else ".-"[token]
            for token, name in zip(ids[:, 0], names, strict=True)
        ]
        quarters = range(0, len(symbols), self.steps_per_quarter)
        return " | ".join(" ".join(symbols[q : q + self.steps_per_quarter]) for q in quarters)

    def augment(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Transpose each window (N, T, 1), as far as its pitches stay in the vocabulary."""
        if self.max_transpose == 0:
            return ids
        onset = ids >= FIRST_PITCH
        top = self.vocab_sizes[0] - 1
        room_down = np.where(onset, ids, top).min((1, 2)) - FIRST_PITCH
        room_up = top - np.where(onset, ids, FIRST_PITCH).max((1, 2))
        low = -np.minimum(self.max_transpose, room_down)
        high = np.minimum(self.max_transpose, room_up)
        return np.where(onset, ids + rng.integers(low, high + 1)[:, None, None], ids)

    def to_json(self) -> dict[str, Any]:
        """The settings say everything."""
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "MelodyTokenizer":
        """The tokenizer of these settings."""
        return cls(**from_plain(saved))

    def _other_metre(self, metre: Metre) -> str:
        return f"{metre}, model expects {' or '.join(self.metres)}"

    def _lines(self, notes: Notes, dropped: Counter[str]) -> list[Notes]:
        """A line for each pitched track that is not an accompaniment of chords."""
        lines = []
        for track in np.unique(notes["track"]):
            own = notes[notes["track"] == track]
            if own["is_drum"].any():
                dropped["a drum track"] += 1
            elif chord_share(own) > self.max_chord_share:
                dropped["a track of chords"] += 1
            else:
                lines.append(melody_line(own))
        return lines

    def _windows(
        self,
        line: Notes,
        starts: NDArray[np.int64],
        end_step: int,
        gap_bars: float,
        dropped: Counter[str],
    ) -> NDArray[np.int64]:
        """Tokens (N, T) of the usable windows of a line among those that begin at `starts`."""
        line = line[line["start"] < end_step]
        ends = np.minimum(line["end"], end_step)
        size = max(end_step, int(starts[-1]) + self.max_steps) + 1
        pitches = np.full(size, -1)
        pitches[line["start"]] = line["pitch"]
        events = np.zeros(size, np.int64)
        events[ends] = NOTE_OFF
        events[line["start"]] = FIRST_PITCH  # an onset hides the end of the note before it
        changes = np.zeros(size, np.int64)
        np.add.at(changes, line["start"], 1)
        np.add.at(changes, ends, -1)

        steps = starts[:, None] + np.arange(self.max_steps)  # (N, T)
        pitch, silent = pitches[steps], changes.cumsum()[steps] == 0
        onset = pitch >= 0
        tokens = np.where(onset, FIRST_PITCH + pitch - self.min_pitch, events[steps])
        outside = (onset & ((pitch < self.min_pitch) | (pitch > self.max_pitch))).any(1)
        gap = np.zeros(len(starts), np.bool_)
        if gap_bars > 0:
            gap = longest_run(silent) >= gap_bars * self.steps_per_bar
            gap |= ~onset.any(1)  # a note held through the window is not heard in it
        if outside.any():
            dropped[f"a note outside {self.min_pitch}..{self.max_pitch}"] += int(outside.sum())
        if (gap & ~outside).any():
            dropped[f"a rest of {gap_bars:g} bars or more"] += int((gap & ~outside).sum())
        # A note held over from before the window is cut, and so says nothing in it.
        heard = np.logical_or.accumulate(onset, axis=1)
        windows: NDArray[np.int64] = np.where(heard, tokens, NO_EVENT)[~(outside | gap)]
        return windows


def longest_run(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Length of the longest run of True in each row (N, T)."""
    run = np.zeros(len(mask), np.int64)
    longest = run
    for column in mask.T:
        run = (run + 1) * column
        longest = np.maximum(longest, run)
    return longest
