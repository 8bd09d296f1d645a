"""Any number of notes at once on a bar grid: a step holds the set of the notes that begin there.

The channels of a step are `max_notes` slots, one a note, from low to high: pitch + 1, where 0 means
that there are no more notes and the rest of the step is 0; the duration in steps - 1; and as the
settings ask, a bin of velocity and a program, of which 128 is a drum kit. Durations are those of
the piece, also where shorter bars are filled up. Notes that began before a window are left out of
it, and notes that last beyond its end are cut there.

Axes: N windows, T steps, S slots, W channels of a slot, C = S W channels, K condition columns.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError, within
from seqvae.model.config import Steps
from seqvae.music.chords import transpose_chords
from seqvae.music.notes import (
    NOTE_NAMES,
    NUM_VELOCITIES,
    Notes,
    Piece,
    Track,
    bin_velocities,
    make_notes,
    velocity_bins,
)
from seqvae.music.overlaps import DRUMS, outer_notes, without_overlaps
from seqvae.music.roles import Part
from seqvae.reasons import Dropped, Reason
from seqvae.tokenizers.contract import Example, Extraction, Ids, MusicTokenizer, Voice
from seqvae.tokenizers.grid import (
    Conditions,
    GridSettings,
    Roll,
    grid_windows,
    in_quarters,
    taken_steps,
)
from seqvae.tokenizers.keys import KeySettings
from seqvae.tokenizers.tracks import TAKES, TrackSettings, named
from seqvae.tokenizers.windows import (
    Span,
    Windows,
    encode_windows,
    extract_windows,
    window_piece,
)

logger = logging.getLogger(__name__)

PITCH, DURATION = 0, 1  # channels of a slot; others follow as the settings ask
NO_NOTE = 0
NUM_PITCHES = 128
MOST_NOTES = 128  # of a step
PROGRAMS = "--data.tokenizer.programs"
STRUCK_TWICE = Reason("note", "struck twice at once")
NO_DRUMS = Reason("track", "drums", PROGRAMS)
ONE_PROGRAM = Reason("file", "several programs, heard as one instrument", PROGRAMS)


@dataclass(frozen=True, kw_only=True)
class PolyphonyTokenizer(KeySettings, TrackSettings, GridSettings, MusicTokenizer):
    """All notes of a piece."""

    kind: ClassVar[str] = "polyphony"
    of_batches: ClassVar[frozenset[str]] = frozenset({"max_transpose", "mix_share"})

    num_bars: int = 4
    """Bars of a window."""
    max_notes: int = 8
    """The most notes that begin at one step; of more, those in the middle are left out."""
    programs: bool = False
    """Keep the program of each note, and drums; without it all notes are of one instrument."""
    num_velocity_bins: int = 0
    """Degrees of loudness; 0 keeps none."""
    mix_share: float = 0.5
    """Share of the training windows that take all notes of some bars from another window."""

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        self.check_tracks()
        self.check_keys()
        section = "polyphony: "
        within(self, 1, MOST_NOTES, "max_notes", section=section, closed=True)
        within(self, 0, NUM_VELOCITIES, "num_velocity_bins", section=section, closed=True)
        within(self, 0, 1, "mix_share", section=section, closed=True)

    @property
    def slot_sizes(self) -> dict[str, int]:
        """Number of tokens of each channel of a slot, by its name."""
        sizes = {"pitch": 1 + NUM_PITCHES, "duration": self.window_length}
        if self.num_velocity_bins:
            sizes["velocity"] = self.num_velocity_bins
        if self.programs:
            sizes["program"] = 1 + DRUMS
        return sizes

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels of a slot."""
        return tuple(self.slot_sizes)

    @property
    def vocab_sizes(self) -> tuple[int, ...]:
        """Sizes of the channels of all slots."""
        return tuple(self.slot_sizes.values()) * self.max_notes

    @property
    def steps(self) -> Steps:
        """What the model must know: that channels are slots, and whether two may be in unison."""
        return replace(super().steps, slot_size=len(self.slot_sizes), unison=self.programs)

    @property
    def keeps(self) -> frozenset[str]:
        """Velocity, where there are bins of it."""
        return frozenset({"velocity"} if self.num_velocity_bins else ())

    def tokens_within(self, pitches: NDArray[np.bool_]) -> dict[int, NDArray[np.bool_]]:
        """Of the pitch of each slot, which tokens are none or one of these pitches."""
        if self.programs:
            raise InputError(
                "a model with programs writes drums among its pitches; it cannot keep to a scale"
            )
        width, within = len(self.slot_sizes), np.append(True, pitches)
        return {slot * width + PITCH: within for slot in range(self.max_notes)}

    def takes(self, part: Part) -> bool:
        """Whether a track is taken: all but drums, where notes have no program."""
        return part.role != "none" and (self.programs or part.role != "drums")

    def extract(self, piece: Piece) -> Extraction:
        """The training windows of all notes."""
        piece = self.in_common_key(piece)
        dropped, parts = Dropped(), self.parts(piece)
        for part in parts:
            if not self.takes(part) and part.role == "drums":
                dropped[NO_DRUMS] += 1
        taken = [part for part in parts if self.takes(part)]
        self.count_left_out([part for part in parts if part.role == "none"], dropped)
        notes = self._notes(piece, taken, dropped)
        cut = partial(self._cut, self._table(notes, piece.end_step), last_ends(notes, piece))
        cuts = [partial(cut, self.conditions(piece))] if taken or not parts else []
        extraction = extract_windows(self, piece, cuts, dropped)
        if self._is_one_of_many(taken):
            extraction.noted[ONE_PROGRAM] += 1
        return extraction

    def encode(self, piece: Piece, bar: int | None = None) -> list[Example]:
        """The windows of all notes end to end, or the one that begins at `bar`."""
        piece = self.in_common_key(piece)
        dropped, parts = Dropped(), self.parts(piece)
        taken = [part for part in parts if self.takes(part)]
        if parts and not taken:
            raise InputError(
                f"no {self.kind} in it: {named(parts)}; {TAKES['drums']}, and so does a polyphonic "
                f"one trained with {PROGRAMS} true"
            )
        notes = self._notes(piece, taken, dropped)
        cut = partial(self._cut, self._table(notes, piece.end_step), last_ends(notes, piece))
        cut = partial(cut, self.conditions(piece))
        program, tracks = self._heard_as(taken)
        examples = encode_windows(self, piece, cut, bar, program, tracks)
        self.warn_of_rest(piece, parts, taken, dropped)
        if self._is_one_of_many(taken):
            what = f"program {program}, as most notes are"
            logger.warning("%s: %s: %s", piece.name[:60] or "the clip", ONE_PROGRAM.text, what)
        return examples

    def _heard_as(self, taken: Sequence[Part]) -> tuple[int, dict[int, Track]]:
        """The program of a clip, and what it says of each track that is decoded, by its number."""
        if not taken:
            return 0, {}
        programs = {part.number: int(part.notes["program"][0]) for part in taken}
        if not self.programs:  # the track of the most notes stands for all
            main = max(taken, key=lambda part: len(part.notes))
            return programs[main.number], {0: main.track}
        return 0, {
            DRUMS if part.role == "drums" else programs[part.number]: part.track
            for part in reversed(taken)  # of several with a program the first gives its name
        }

    def _is_one_of_many(self, taken: Sequence[Part]) -> bool:
        """Whether tracks of several programs are heard as one instrument."""
        return not self.programs and len({int(part.notes["program"][0]) for part in taken}) > 1

    def _notes(self, piece: Piece, taken: Sequence[Part], dropped: Dropped) -> Notes:
        """The notes of the tracks that are taken, with drums where a track is a kit."""
        numbers = [part.number for part in taken]
        heard = piece.notes[np.isin(piece.notes["track"], numbers)]
        if self.programs:
            for part in taken:
                heard["is_drum"][heard["track"] == part.number] = part.role == "drums"
        else:
            heard["program"], heard["is_drum"] = 0, False
        notes = without_overlaps(heard)
        if len(notes) < len(heard):
            dropped[STRUCK_TWICE] += len(heard) - len(notes)
        outer = outer_notes(notes, self.max_notes)
        if len(outer) < len(notes):
            dropped[self.too_many_notes] += len(notes) - len(outer)
        return outer

    @property
    def too_many_notes(self) -> Reason:
        """Why notes in the middle of a thick chord are left out."""
        text = f"in the middle of more than {self.max_notes} at once"
        return Reason("note", text, "--data.tokenizer.max_notes")

    def _table(self, notes: Notes, end_step: int) -> NDArray[np.int16]:
        """The tokens of each step of a piece, and of a step without notes: (steps + 1, C)."""
        longest = self.window_length  # which a duration fits into
        durations = np.minimum(notes["end"] - notes["start"], longest) - 1
        columns = [1 + notes["pitch"], durations]
        if self.num_velocity_bins:
            columns.append(velocity_bins(notes, self.num_velocity_bins))
        if self.programs:
            columns.append(np.where(notes["is_drum"], DRUMS, notes["program"]))
        table = np.zeros((end_step + 1, self.max_notes, len(columns)), np.int16)
        start = notes["start"]
        table[start, np.arange(len(notes)) - np.searchsorted(start, start)] = np.stack(columns, 1)
        return table.reshape(len(table), -1)

    def _cut(
        self,
        table: NDArray[np.int16],
        ends: NDArray[np.int64],
        chords: Conditions,
        span: Span,
    ) -> Windows:
        """The notes that begin in each window, as far as it holds them, and the chords."""
        steps = span.steps()
        inside = steps < span.end_step
        index = np.where(inside, steps, -1)
        tokens = table[index]
        last = np.minimum(span.starts + span.length, span.end_step)[:, None] - 1
        longest = np.where(inside, last - steps, 0).astype(np.int16)[..., None]
        durations = self._slots(tokens)[..., DURATION]
        np.minimum(durations, longest, out=durations)
        silent = (np.maximum.accumulate(ends[index], axis=1) <= steps) | ~inside
        return grid_windows([Roll(tokens, silent)], span, chords)

    def _slots(self, ids: NDArray[Any]) -> NDArray[Any]:
        """A view of the notes of tokens (..., C): (..., S, W)."""
        return ids.reshape(*ids.shape[:-1], self.max_notes, len(self.slot_sizes))

    def voices(self, piece: Piece) -> list[Voice]:
        """All notes together."""
        heard = tuple(part.number for part in self.parts(piece) if self.takes(part))
        return [Voice("notes", tuple(range(len(self.vocab_sizes))), heard=heard)]

    def cut(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Windows that were cut out of longer ones: notes last until their end at most."""
        cut = ids.copy()
        slots = self._slots(cut[..., : len(self.vocab_sizes)].copy())
        longest = np.arange(ids.shape[1])[::-1, None]
        np.minimum(slots[..., DURATION], longest, out=slots[..., DURATION])
        cut[..., : len(self.vocab_sizes)] = slots.reshape(*ids.shape[:2], -1)
        return cut

    def decode(self, example: Example) -> Piece:
        """The notes of a window, one track per program."""
        ids = self.sounding(example.ids)
        start, columns = self._columns(ids)
        program = columns.get("program", np.full(len(start), example.program))
        is_drum = program == DRUMS
        velocity = columns.get("velocity")
        notes = make_notes(
            start=start,
            end=np.minimum(start + 1 + columns["duration"], len(ids)),
            pitch=columns["pitch"] - 1,
            velocity=80 if velocity is None else bin_velocities(velocity, self.num_velocity_bins),
            program=np.where(is_drum, 0, program),
            is_drum=is_drum,
            track=program if self.programs else 0,
        )
        number = self.bar_number(example.ids)
        return window_piece(self, without_overlaps(notes), example.qpm, number)

    def _columns(self, ids: Ids) -> tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]:
        """The step of each note of a window (T, C + K), and its tokens by channel."""
        slots = self._slots(ids[:, : len(self.vocab_sizes)])
        is_note = np.logical_and.accumulate(slots[..., PITCH] != NO_NOTE, axis=1)
        notes = slots[is_note]
        return np.nonzero(is_note)[0], dict(zip(self.channels, notes.T, strict=True))

    def show(self, ids: Ids) -> str:
        """The notes of each step as `name*duration`, `.` for none, `|` between quarters."""
        sounding = self.sounding(ids)
        start, columns = self._columns(sounding)
        programs = columns.get("program", np.zeros_like(start))
        words: list[list[str]] = [[] for _ in sounding]
        rows = zip(start, columns["pitch"] - 1, columns["duration"] + 1, programs, strict=True)
        for step, pitch, duration, program in rows:
            name = f"{NOTE_NAMES[pitch % 12]}{pitch // 12 - 1}"
            words[step].append(f"{f'drum{pitch}' if program == DRUMS else name}*{duration}")
        return in_quarters(("+".join(chord) or "." for chord in words), self.steps_per_quarter)

    def augment(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Transpose the notes and chords of each window (N, T, C + K), as far as MIDI has pitches.

        Drums stay.
        """
        num_channels, chords = len(self.vocab_sizes), self.chord_columns(ids)
        moved = ids.copy()
        slots = self._slots(ids[..., :num_channels].copy())
        pitch = slots[..., PITCH]
        pitched = pitch != NO_NOTE
        if self.programs:
            pitched &= slots[..., -1] != DRUMS
        room_down = np.where(pitched, pitch, NUM_PITCHES).min((1, 2)) - 1
        room_up = NUM_PITCHES - np.where(pitched, pitch, 1).max((1, 2))
        low = -np.minimum(self.transposes_by, room_down)
        high = np.minimum(self.transposes_by, room_up)
        semitones = rng.integers(low, high + 1)
        pitch += np.where(pitched, semitones[:, None, None], 0)
        if self.programs:  # notes may have moved past drums
            key = np.where(pitch == NO_NOTE, 2 * NUM_PITCHES, pitch) * (DRUMS + 1) + slots[..., -1]
            slots = np.take_along_axis(slots, np.argsort(key, axis=2)[..., None], axis=2)
        moved[..., :num_channels] = slots.reshape(*ids.shape[:2], num_channels)
        moved[..., chords] = transpose_chords(ids[..., chords], semitones[:, None, None])
        return moved

    def mix(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Windows (N, T, C + K) of which a share has notes and chords of some bars from another."""
        taken = taken_steps(self, len(ids), 1, self.mix_share, rng)
        return np.where(taken, self.others(ids, rng), ids)


def last_ends(notes: Notes, piece: Piece) -> NDArray[np.int64]:
    """When the last of the notes ends that begin at each step, 0 where none do: (steps + 1,)."""
    ends = np.zeros(piece.end_step + 1, np.int64)
    if len(notes):
        first = np.flatnonzero(np.diff(notes["start"], prepend=-1))
        ends[notes["start"][first]] = np.maximum.reduceat(notes["end"], first)
    return ends
