"""Any number of notes and instruments at once: a step of the sequence is a note.

Notes come in order of onset, then pitch, then program. The channels of a note are its onset, as
steps since the onset before it (0 ends the sequence, 1 is at once); its pitch; its duration; its
velocity; and its program, where 128 is a drum kit. Tracks of equal program are one. Notes that
began before a window are left out of it, and notes that last beyond its end are cut there.

Axes: N windows, T notes and the end, C = 5 channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import at_least, within
from seqvae.music.notes import (
    NOTE_NAMES,
    NUM_VELOCITIES,
    Notes,
    Piece,
    bin_velocities,
    make_notes,
    velocity_bins,
)
from seqvae.music.roles import Part
from seqvae.reasons import Dropped, Reason
from seqvae.tokenizers.contract import Example, Extraction, Ids, MusicTokenizer
from seqvae.tokenizers.tracks import TrackSettings
from seqvae.tokenizers.windows import (
    Span,
    Windows,
    WindowSettings,
    encode_windows,
    extract_windows,
    taken_bars,
    window_piece,
)

ONSET, PITCH, DURATION, VELOCITY, PROGRAM = range(5)
END = 0
DRUMS = 128  # the program that means a drum kit
NUM_PITCHES = 128
TIME = 2**21  # more than the steps of any piece
STRUCK_TWICE = Reason("note", "struck twice at once")


@dataclass(frozen=True, kw_only=True)
class PolyphonyTokenizer(TrackSettings, WindowSettings, MusicTokenizer):
    """All notes of a piece in one sequence."""

    kind: ClassVar[str] = "polyphony"
    channels: ClassVar[tuple[str, ...]] = ("onset", "pitch", "duration", "velocity", "program")
    of_batches: ClassVar[frozenset[str]] = frozenset({"max_transpose", "mix_share"})
    eos_id: ClassVar[int | None] = END
    keeps: ClassVar[frozenset[str]] = frozenset({"velocity"})

    num_bars: int = 4
    """Bars of a window."""
    max_notes: int = 256
    """Training leaves out windows of more notes; a clip with more is refused."""
    num_velocity_bins: int = 16
    """Degrees of loudness."""
    max_transpose: int = 5
    """Training transposes each window at random by up to this many semitones; drums stay."""
    mix_share: float = 0.5
    """Share of the training windows that take all notes of some bars from another window."""

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        self.check_tracks()
        section = "polyphony: "
        at_least(self, 1, "max_notes", section=section)
        at_least(self, 0, "max_transpose", section=section)
        within(self, 1, NUM_VELOCITIES, "num_velocity_bins", section=section, closed=True)
        within(self, 0, 1, "mix_share", section=section, closed=True)

    @property
    def max_steps(self) -> int:
        """The notes, and the end."""
        return self.max_notes + 1

    @property
    def vocab_sizes(self) -> tuple[int, int, int, int, int]:
        """Sizes of onset, pitch, duration, velocity and program."""
        return (
            1 + self.window_length,
            NUM_PITCHES,
            self.window_length,
            self.num_velocity_bins,
            DRUMS + 1,
        )

    def extract(self, piece: Piece) -> Extraction:
        """The training windows of all notes."""
        dropped, parts = Dropped(), self.parts(piece)
        self.count_left_out(parts, dropped)
        notes = self._notes(piece, parts, dropped)
        cut = partial(self._cut, *self._note_tokens(notes))
        return extract_windows(self, piece, [cut], dropped)

    def encode(self, piece: Piece, bar: int | None = None) -> list[Example]:
        """The windows of all notes end to end, or the one that begins at `bar`."""
        dropped, parts = Dropped(), self.parts(piece)
        notes = self._notes(piece, parts, dropped)
        taken = [part for part in parts if self.takes(part)]
        tracks = {
            DRUMS if part.role == "drums" else int(part.notes["program"][0]): part.track
            for part in reversed(taken)  # of several with a program the first gives its name
        }
        cut = partial(self._cut, *self._note_tokens(notes))
        examples = encode_windows(self, piece, cut, bar, tracks=tracks)
        self.warn_of_rest(piece, parts, taken, dropped)
        return examples

    def _notes(self, piece: Piece, parts: Sequence[Part], dropped: Dropped) -> Notes:
        """The notes of all tracks that are taken, with drums where a track is a kit."""
        taken = [part for part in parts if self.takes(part)]
        heard = piece.notes.copy()
        if len(taken) < len(parts):
            numbers = [part.number for part in taken]
            heard = heard.compress(np.isin(heard["track"], numbers))
        for part in taken:
            if (part.role == "drums") != part.notes["is_drum"].any():
                heard["is_drum"][heard["track"] == part.number] = part.role == "drums"
        notes = without_overlaps(heard)
        if len(notes) < len(heard):
            dropped[STRUCK_TWICE] += len(heard) - len(notes)
        return notes

    def _cut(self, onsets: NDArray[np.int64], tokens: NDArray[Any], span: Span) -> Windows:
        """The notes that begin in each window, and its end; of `_note_tokens`."""
        starts, stops = span.starts, span.starts + span.length
        heard_to = np.minimum(stops, span.end_step)
        first = np.searchsorted(onsets, starts)
        sizes = np.searchsorted(onsets, heard_to) - first
        crowded = sizes > self.max_notes
        sizes[crowded] = 0  # their notes are not needed
        # One table for all windows. Rows begins[w] to ends[w] are the notes and the end of w.
        ends = np.cumsum(sizes + 1) - 1
        begins = ends - sizes
        window = np.repeat(np.arange(len(sizes)), sizes + 1)
        number = np.arange(len(window)) + (first - begins)[window]  # of the note of each row
        number[ends] = len(onsets) - 1
        ids, steps = tokens.take(number, axis=0), onsets.take(number)
        steps[ends] = stops
        ids[begins, ONSET] = 1 + steps[begins] - starts
        held = np.minimum(ids[:, DURATION], heard_to[window] - 1 - steps)
        ids[:, DURATION] = held
        ids[ends] = END
        rests = longest_rests(steps, steps + 1 + held, starts, begins, window)
        rows = zip(begins.tolist(), (ends + 1).tolist(), strict=True)
        windows = [ids[begin:end] for begin, end in rows]
        return Windows(windows, rests, {too_many_notes(self.max_notes): crowded})

    def _note_tokens(self, notes: Notes) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """The onsets of notes, and their tokens (notes + 1, 5) as if they were one window.

        The last of both stands for the end.
        """
        onsets = np.full(len(notes) + 1, TIME)
        onsets[:-1] = notes["start"]
        ids = np.zeros((len(notes) + 1, 5), self.token_type)
        ids[:-1, ONSET] = 1 + np.diff(onsets[:-1], prepend=0)
        ids[:-1, PITCH] = notes["pitch"]
        ids[:-1, DURATION] = np.minimum(notes["end"] - notes["start"], self.window_length) - 1
        ids[:-1, VELOCITY] = velocity_bins(notes, self.num_velocity_bins)
        ids[:-1, PROGRAM] = np.where(notes["is_drum"], DRUMS, notes["program"])
        return onsets, ids

    def decode(self, example: Example) -> Piece:
        """The notes before the end that lie in the window, one track per program."""
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
        return window_piece(self, without_overlaps(notes), example.qpm)

    def show(self, ids: Ids) -> str:
        """Each note as `+shift name*duration`, with the shift only where time passes."""
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

        This may make them longer or shorter; one that would exceed `max_notes` stays as it was.
        """
        taken = taken_bars((len(ids), self.num_bars, 1), self.mix_share, rng)[..., 0]
        pairs = np.stack([ids, ids[rng.permutation(len(ids))]], axis=1)  # (N, 2, T, 5)
        is_first = np.array([True, False])[:, None]  # of a pair
        steps = self._steps(pairs)
        inside = steps < self.window_length
        bars = np.minimum(steps // self.steps_per_bar, self.num_bars - 1)
        kept = inside & (taken[np.arange(len(ids))[:, None, None], bars] != is_first)
        crowded = kept.sum((1, 2)) > self.max_notes
        kept[crowded] = (inside & is_first)[crowded]
        # In order of their steps, with everything that is not kept behind the end.
        steps = np.where(kept, steps, self.window_length).reshape(len(ids), -1)
        order = np.argsort(steps, axis=1, kind="stable")[:, : kept.sum((1, 2)).max() + 1]
        steps = np.take_along_axis(steps, order, axis=1)
        mixed = np.take_along_axis(pairs.reshape(len(ids), -1, 5), order[..., None], axis=1)
        mixed[..., ONSET] = 1 + np.diff(steps, prepend=0)
        mixed[steps == self.window_length] = END
        return mixed

    def _steps(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The step of each note (*, T, 5), and from the end on the length of the window."""
        ended = np.logical_or.accumulate(ids[..., ONSET] == END, axis=-1)
        steps = np.where(ended, 0, ids[..., ONSET] - 1).cumsum(-1)
        return np.where(ended, self.window_length, steps)


@cache
def too_many_notes(max_notes: int) -> Reason:
    """Why a window of more than `max_notes` is left out."""
    return Reason("window", f"more than {max_notes} notes", "--data.tokenizer.max_notes")


def longest_rests(
    onsets: NDArray[np.int64],
    ends: NDArray[np.int64],
    starts: NDArray[np.int64],
    begins: NDArray[np.int64],
    window: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The most steps in a row at which no note sounds that began in the window: (N,).

    Window w begins at `starts[w]`; its notes are those from row `begins[w]` on, the last of which
    stands for its end. `window` is that of each row.
    """
    shift = window * (int(ends.max()) + 1)  # so that no window reaches into the next
    sounding_until = np.empty_like(shift)
    sounding_until[1:] = np.maximum.accumulate(ends + shift)[:-1]
    sounding_until -= shift
    sounding_until[begins] = starts
    rests: NDArray[np.int64] = np.maximum.reduceat(onsets - sounding_until, begins)
    return rests


def without_overlaps(notes: Notes) -> Notes:
    """End a note where the same pitch of the same program is struck again, as MIDI must.

    Of several struck at once the longest stays. The result is in order of onset, then pitch, then
    program.
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
    resolved: Notes = notes.take(order[in_time])
    resolved["end"] = end[in_time]
    return resolved
