"""Any number of notes and instruments at once: a step of the sequence is a note.

Notes come in order of onset, then pitch, then program. The channels of a note are its onset, as
steps since the onset before it (0 ends the sequence, 1 is at once); its pitch; its duration; how
hard it is struck; and its program, of which 128 is a drum kit. Tracks of one program are one. What
a window does not hold is cut: notes that began before it are left out, and none is longer than to
its end.

Axes: T notes and the end, C = 5 channels.
"""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seqvae.music.notes import (
    NOTE_NAMES,
    NUM_VELOCITIES,
    Notes,
    Piece,
    bin_velocities,
    make_notes,
    velocity_bins,
)
from seqvae.tokenizers.contract import Example, Ids
from seqvae.tokenizers.windows import Given, Part, WindowTokenizer, silence, taken_bars

ONSET, PITCH, DURATION, VELOCITY, PROGRAM = range(5)
END = 0
DRUMS = 128  # the program that means a drum kit
NUM_PITCHES = 128
TIME = 2**21  # more than the steps of any piece


@dataclass(frozen=True, kw_only=True)
class PolyphonyTokenizer(WindowTokenizer):
    """All notes of a piece as one part."""

    kind: ClassVar[str] = "polyphony"
    eos_id: ClassVar[int | None] = END
    keeps: ClassVar[frozenset[str]] = frozenset({"velocity"})

    num_bars: int = 4
    """Bars of a window."""
    max_notes: int = 256
    """Training leaves out windows of more notes; a clip with more is refused."""
    num_velocity_bins: int = 16
    """Degrees of loudness."""
    max_transpose: int = 5
    """Training transposes every window afresh by up to this many semitones; drums stay."""
    mix_share: float = 0.5
    """Share of the training windows that take all notes of some bars from another window."""

    def __post_init__(self) -> None:
        """Refuse settings that no window can satisfy."""
        super().__post_init__()
        self._at_least(1, "max_notes", "num_velocity_bins")
        self._at_least(0, "max_transpose")
        self._share("mix_share")
        self._at_most(NUM_VELOCITIES, "num_velocity_bins", "velocities")

    @property
    def max_steps(self) -> int:
        """The notes, and the end."""
        return self.max_notes + 1

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels."""
        return "onset", "pitch", "duration", "velocity", "program"

    @property
    def vocab_sizes(self) -> tuple[int, int, int, int, int]:
        """Of onset, pitch, duration, velocity, program."""
        return (
            1 + self.window_length,
            NUM_PITCHES,
            self.window_length,
            self.num_velocity_bins,
            DRUMS + 1,
        )

    def _parts(self, notes: Notes, dropped: Counter[str]) -> list[Part]:
        """All notes, as far as MIDI can say them."""
        if not len(notes):
            return []
        playable = restruck(notes)
        playable["program"][playable["is_drum"]] = DRUMS
        if len(playable) < len(notes):
            dropped["a note struck twice at once"] += len(notes) - len(playable)
        return [(playable,)]

    def _windows(
        self,
        part: Part,
        starts: NDArray[np.int64],
        end_step: int,
        gap_bars: float,
        dropped: Counter[str],
        given: Given,
    ) -> list[Ids]:
        """The notes that begin in each window."""
        (notes,) = part
        begin, end = np.searchsorted(notes["start"], (starts[0], end_step))
        notes = notes[begin:end]
        first = np.searchsorted(notes["start"], starts)
        sizes = np.searchsorted(notes["start"], starts + self.window_length) - first
        crowded = sizes > self.max_notes
        if crowded.any():
            dropped[f"more than {self.max_notes} notes"] += int(crowded.sum())
        starts, first, sizes = starts[~crowded], first[~crowded], sizes[~crowded]
        if not len(starts):
            return []
        # All in one table: rows edges[w] to edges[w + 1] are the notes of window w, and its end.
        edges = np.append(0, np.cumsum(sizes + 1))
        window = np.repeat(np.arange(len(starts)), sizes + 1)
        rows = np.arange(edges[-1]) - (edges[:-1] - first)[window]
        is_end = np.zeros(len(rows), np.bool_)
        is_end[edges[1:] - 1] = True
        rows[is_end] = len(notes)
        ids = self._table(notes).take(rows, axis=0)
        onset = np.append(notes["start"], 0)[rows].astype(np.int64)
        onset[is_end] = starts + self.window_length
        ids[edges[:-1], ONSET] = 1 + onset[edges[:-1]] - starts
        last = np.minimum(starts + self.window_length, end_step)[window] - 1
        ids[:, DURATION] = np.minimum(ids[:, DURATION], last - onset)
        refused = np.zeros(len(starts), np.bool_)
        if gap_bars > 0:
            rests = longest_rests(onset, onset + 1 + ids[:, DURATION], starts, edges)
            refused = rests >= gap_bars * self.steps_per_bar
            if refused.any():
                dropped[silence(gap_bars)] += int(refused.sum())
        ids[is_end] = END
        begins, ends = edges[:-1][~refused].tolist(), edges[1:][~refused].tolist()
        return [ids[begin:end] for begin, end in zip(begins, ends, strict=True)]

    def _table(self, notes: Notes) -> Ids:
        """Tokens (N + 1, 5) of the notes as if they were one window, and a row for the end."""
        ids = np.zeros((len(notes) + 1, 5), np.int64)
        own = ids[:-1]
        own[:, ONSET] = 1 + np.diff(notes["start"], prepend=0)
        own[:, PITCH] = notes["pitch"]
        own[:, DURATION] = notes["end"] - notes["start"] - 1
        own[:, VELOCITY] = velocity_bins(notes, self.num_velocity_bins)
        own[:, PROGRAM] = notes["program"]
        return ids

    def decode(self, example: Example) -> Piece:
        """The notes before the end that lie in the window, a track a program."""
        ids = example.ids[: self.max_notes]
        start = self._steps(ids)
        ids, start = ids[start < self.window_length], start[start < self.window_length]
        is_drum = ids[:, PROGRAM] == DRUMS
        notes = make_notes(
            start=start,
            end=np.minimum(start + 1 + ids[:, DURATION], self.window_length),
            pitch=ids[:, PITCH],
            velocity=bin_velocities(ids[:, VELOCITY], self.num_velocity_bins),
            program=np.where(is_drum, 0, ids[:, PROGRAM]),
            is_drum=is_drum,
            track=ids[:, PROGRAM],
        )
        return self._piece(restruck(notes), example)

    def show(self, ids: Ids) -> str:
        """Each note as `+shift name*duration`, the shift only where time passes."""
        words = []
        for onset, pitch, duration, _, program in ids.tolist():
            if onset == END:
                break
            name = "drum" if program == DRUMS else NOTE_NAMES[pitch % 12]
            name += str(pitch if program == DRUMS else pitch // 12 - 1)
            words.append(f"+{onset - 1} " * (onset > 1) + f"{name}*{duration + 1}")
        return " ".join(words)

    def augment(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Transpose each window (N, T, 5) but its drums, as far as MIDI has pitches."""
        if self.max_transpose == 0:
            return ids
        is_note = self._steps(ids) < self.window_length
        pitched = is_note & (ids[..., PROGRAM] != DRUMS)  # (N, T)
        pitch = ids[..., PITCH]
        room_down = np.where(pitched, pitch, NUM_PITCHES - 1).min(1)
        room_up = NUM_PITCHES - 1 - np.where(pitched, pitch, 0).max(1)
        low = -np.minimum(self.max_transpose, room_down)
        high = np.minimum(self.max_transpose, room_up)
        moved = ids.copy()
        moved[..., PITCH] += np.where(pitched, rng.integers(low, high + 1)[:, None], 0)
        return moved

    def mix(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Windows (N, T, 5) of which a share has the notes of some bars of another.

        They may be longer or shorter for it; one of more than `max_notes` stays as it was.
        """
        taken = taken_bars((len(ids), self.num_bars, 1), self.mix_share, rng)[..., 0]
        both = np.stack([ids, ids[rng.permutation(len(ids))]], axis=1)  # (N, 2, T, 5)
        own = np.array([True, False])[:, None]  # of the two
        steps = self._steps(both)
        inside = steps < self.window_length
        bars = np.minimum(steps // self.steps_per_bar, self.num_bars - 1)
        kept = inside & (taken[np.arange(len(ids))[:, None, None], bars] != own)
        crowded = kept.sum((1, 2)) > self.max_notes
        kept[crowded] = (inside & own)[crowded]
        # In order of their steps, what is not kept behind the end.
        steps = np.where(kept, steps, self.window_length).reshape(len(ids), -1)
        order = np.argsort(steps, axis=1, kind="stable")[:, : kept.sum((1, 2)).max() + 1]
        steps = np.take_along_axis(steps, order, axis=1)
        mixed = np.take_along_axis(both.reshape(len(ids), -1, 5), order[..., None], axis=1)
        mixed[..., ONSET] = 1 + np.diff(steps, prepend=0)
        mixed[steps == self.window_length] = END
        return mixed

    def _steps(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The step of each note (*, T, 5), and from the end on the length of the window."""
        ended = np.logical_or.accumulate(ids[..., ONSET] == END, axis=-1)
        steps = np.where(ended, 0, ids[..., ONSET] - 1).cumsum(-1)
        return np.where(ended, self.window_length, steps)


def longest_rests(
    onsets: NDArray[np.int64],
    ends: NDArray[np.int64],
    starts: NDArray[np.int64],
    edges: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Steps of each window in which nothing sounds that began in it.

    Window w begins at `starts[w]`; its notes are those of `edges[w]` to `edges[w + 1]`, of which
    the last stands for its end.
    """
    window = np.repeat(np.arange(len(starts)), np.diff(edges))
    apart = window * (int(ends.max()) + 1)  # so that no window reaches into the next
    until = np.append(0, np.maximum.accumulate(ends + apart)[:-1]) - apart
    until[edges[:-1]] = starts
    rests: NDArray[np.int64] = np.maximum.reduceat(onsets - until, edges[:-1])
    return rests


def restruck(notes: Notes) -> Notes:
    """A note ends where the same one is struck again; of several at once the longest stays.

    In order of onset, then pitch, then program.
    """
    if not len(notes):
        return notes
    program = np.where(notes["is_drum"], DRUMS, notes["program"])
    sound = notes["pitch"].astype(np.int64) * (DRUMS + 1) + program
    start, end = notes["start"].astype(np.int64), notes["end"].astype(np.int64)
    assert end.max() < TIME
    order = np.argsort((sound * TIME + start) * TIME + TIME - end)  # one key sorts quickest
    sound, start, end = sound[order], start[order], end[order]
    same = sound[1:] == sound[:-1]
    kept = np.ones(len(notes), np.bool_)
    kept[1:] = ~same | (start[1:] > start[:-1])
    order, sound, start, end = order[kept], sound[kept], start[kept], end[kept]
    cut = np.flatnonzero(sound[1:] == sound[:-1])
    end[cut] = np.minimum(end[cut], start[cut + 1])
    in_time = np.argsort(start * TIME + sound)
    found: Notes = notes.take(order[in_time])
    found["end"] = end[in_time]
    return found
