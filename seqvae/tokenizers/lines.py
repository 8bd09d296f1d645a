"""One line of notes as tokens, there and back: the events of melody and of trio.

0 is NO_EVENT (hold, or stay silent), 1 is NOTE_OFF, and from 2 on come the onsets of the pitches
from `min_pitch`. A note lasts until the next onset, the next NOTE_OFF or the end of the window.
Silence is legal anywhere: whatever a model decodes can be encoded again.

Axes: N windows, T steps, C channels, each of them a line.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError, one_of, within
from seqvae.music.chords import transpose_chords
from seqvae.music.notes import NOTE_NAMES, Notes, Piece, before, make_notes
from seqvae.music.roles import MAX_CHORD_SHARE, Part
from seqvae.reasons import Dropped, Reason
from seqvae.tokenizers.contract import Ids, Voice
from seqvae.tokenizers.grid import Roll
from seqvae.tokenizers.keys import KeySettings
from seqvae.tokenizers.loudness import UNSAID, LoudnessSettings
from seqvae.tokenizers.windows import Span

NO_EVENT, NOTE_OFF, FIRST_PITCH = 0, 1, 2
OTHER_OF_CHORD = Reason("note", "at the same step as another of its track")
NO_LINE = {role: Reason("file", f"no {role}", "--data.tracks") for role in ("melody", "bass")}


@dataclass(frozen=True, kw_only=True)
class LineSettings(LoudnessSettings, KeySettings):
    """Which tracks are lines, their range, their keys and their loudness."""

    min_pitch: int = 21
    """Lowest MIDI pitch of the vocabulary."""
    max_pitch: int = 108
    """Highest MIDI pitch of the vocabulary."""
    max_chord_share: float = MAX_CHORD_SHARE
    """A track counts as accompaniment when more of its onsets than this are chords."""
    overlaps: str = "last"
    """Which of the notes of a track is heard where one is struck while another sounds: `last`, the
    one that is struck; `highest`, the higher one, or the lower one of a bass. Either way the notes
    of a line end where the next begins."""

    def check_lines(self) -> None:
        """Refuse impossible settings."""
        self.check_tracks()
        self.check_keys()
        self.check_loudness()
        section = f"{self.kind}: "
        one_of(self, "overlaps", ("last", "highest"), section=section)
        within(self, 0, 1, "max_chord_share", section=section, closed=True)
        if not 0 <= self.min_pitch <= self.max_pitch <= 127:
            raise InputError(
                f"{section}pitches {self.min_pitch}..{self.max_pitch}; they must rise within 0..127"
            )

    def parts(self, piece: Piece) -> tuple[Part, ...]:
        """All tracks of a piece with their roles."""
        parts = super().parts(piece)
        if self.overlaps == "last":
            return parts
        return tuple(replace(part, is_outermost=True, lines={}) for part in parts)

    @property
    def _max_chord_share(self) -> float:
        return self.max_chord_share

    @property
    def num_events(self) -> int:
        """Size of a line's vocabulary: two events and the pitches."""
        return FIRST_PITCH + self.max_pitch - self.min_pitch + 1

    @property
    def num_lines(self) -> int:
        """How many lines there are; they are the first channels."""
        return 1

    @property
    def num_struck(self) -> int:
        """Channels that say what is struck; those of loudness follow."""
        return self.num_lines

    @property
    def num_loud(self) -> int:
        """Channels of loudness, where it is kept: of the lines first."""
        return self.num_lines

    def line_channels(self, line: int) -> tuple[int, ...]:
        """The channel of a line, and that of its loudness, where it is kept."""
        return (line, self.num_struck + line) if self.num_velocity_bins else (line,)

    def tokens_within(self, pitches: NDArray[np.bool_]) -> dict[int, NDArray[np.bool_]]:
        """Of each line, which events are no onset or one of these pitches."""
        no_onset = np.ones(FIRST_PITCH, np.bool_)
        within = np.concatenate([no_onset, pitches[self.min_pitch : self.max_pitch + 1]])
        return dict.fromkeys(range(self.num_lines), within)

    def roll(self, line: Notes, span: Span) -> Roll:
        """The windows of a line."""
        roll = line_roll(line, span, self.min_pitch, self.max_pitch)
        if not self.num_velocity_bins:
            return roll
        line, table = before(line, span.end_step), np.zeros(span.size, np.uint8)
        table[line["start"]] = self.velocity_tokens(line)
        return replace(roll, played=table.take(span.steps())[..., None])

    def loudness(self, ids: Ids, channels: int | slice) -> NDArray[np.int64] | int:
        """The MIDI velocities that channels of loudness of a window say; one for all without them.

        They are counted from the first of them.
        """
        if not self.num_velocity_bins:
            return UNSAID
        return self.velocities(ids[:, self.num_struck :][:, channels])

    @property
    def pitches(self) -> range:
        """The MIDI pitches of the vocabulary."""
        return range(self.min_pitch, self.max_pitch + 1)

    def without_held_notes(self, ids: NDArray[np.int64], num_lines: int) -> NDArray[np.int64]:
        """Windows (N, T, C + K) whose first lines do not end notes that were held into them."""
        cut = ids.copy()
        lines = cut[..., :num_lines]
        heard = np.logical_or.accumulate(lines >= FIRST_PITCH, axis=1)
        lines[~heard] = NO_EVENT
        return cut


def main_line(parts: Sequence[Part], role: str) -> Part | None:
    """Of the tracks that have a role, the highest, or the lowest bass; None if there is none."""
    having = [part for part in parts if part.role == role]
    extreme = min if role == "bass" else max
    return extreme(having, key=lambda part: part.height, default=None)


def line_voice(name: str, channels: tuple[int, ...], part: Part | None, track: int = 0) -> Voice:
    """A line as a voice; it is silent where no track is heard as it."""
    return Voice(name, channels, track, (part.number,) if part else (), is_line=True)


def notes_of_chords(lines: Sequence[Part]) -> Dropped:
    """How many notes of tracks their lines leave out."""
    count = sum(len(part.notes) - len(part.line) for part in lines)
    return Dropped({OTHER_OF_CHORD: count} if count else {})


def line_roll(line: Notes, span: Span, min_pitch: int, max_pitch: int) -> Roll:
    """The windows of a line."""
    line = before(line, span.end_step)
    starts, pitches = line["start"].astype(np.intp), line["pitch"]
    ends = np.minimum(line["end"], span.end_step)
    events, changes = np.zeros(span.size, np.uint8), np.zeros(span.size, np.int8)
    changes[starts] = 1  # no two notes of a line begin, or end, at once
    changes[ends] -= 1
    events[ends] = NOTE_OFF
    events[starts] = pitches + (FIRST_PITCH - min_pitch)  # which hides an end

    steps = span.steps()
    # A note that is held into the window is cut: nothing of it is heard before the first onset.
    first_onset = np.append(starts, span.size)[np.searchsorted(starts, span.starts)]
    heard = steps >= first_onset[:, None]
    refused: dict[Reason, NDArray[np.bool_]] = {}
    is_outside = (pitches < min_pitch) | (pitches > max_pitch)
    if is_outside.any():
        outside = np.zeros(span.size, np.bool_)
        outside[starts] = is_outside
        refused = {out_of_range(min_pitch, max_pitch): np.any(outside[steps], axis=1)}
    return Roll(
        tokens=np.where(heard, events.take(steps), NO_EVENT)[..., None],
        silent=(changes.cumsum() == 0).take(steps) | ~heard,
        refused=refused,
    )


@cache
def out_of_range(min_pitch: int, max_pitch: int) -> Reason:
    """Why a window is left out that holds a higher or a lower note."""
    remedy = "--data.tokenizer.min_pitch, --data.tokenizer.max_pitch"
    text = f"a note outside {min_pitch}..{max_pitch}"
    return Reason("window", text, remedy, "transposing the clip into this range helps")


def line_notes(
    tokens: NDArray[np.int64],
    min_pitch: int,
    *,
    program: int,
    velocity: NDArray[np.int64] | int = UNSAID,
    track: int = 0,
) -> Notes:
    """The notes of a window's events, (T,). A NOTE_OFF in silence says nothing.

    Velocities are that of all notes, or of those that begin at each step: (T,).
    """
    onsets = np.flatnonzero(tokens >= FIRST_PITCH)
    events = np.flatnonzero(tokens != NO_EVENT)
    following = np.searchsorted(events, onsets, side="right")
    return make_notes(
        start=onsets,
        end=np.append(events, len(tokens))[following],
        pitch=tokens[onsets] - FIRST_PITCH + min_pitch,
        velocity=np.broadcast_to(velocity, len(tokens))[onsets],
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


def randomly_varied(
    ids: NDArray[np.int64], chords: slice, settings: LineSettings, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Windows (N, T, C + K), each with its lines and its chords moved by the same interval.

    The chords are the columns at `chords`. Where loudness is kept, each is louder or softer, too.
    """
    num_lines = settings.num_lines
    lines = ids[..., :num_lines]
    semitones = transpositions(lines, settings.num_events, settings.transposes_by, rng)
    moved = ids.copy()
    moved[..., :num_lines] = transposed(lines, semitones)
    moved[..., chords] = transpose_chords(ids[..., chords], semitones[:, None, None])
    if not settings.num_velocity_bins:
        return moved
    loudness = slice(settings.num_struck, settings.num_struck + settings.num_loud)
    return settings.randomly_louder(moved, loudness, rng)


def transpositions(
    lines: NDArray[np.int64], vocab_size: int, max_transpose: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Random semitones (N,) for windows (N, T, C), by which all pitches stay in the vocabulary."""
    onset = lines >= FIRST_PITCH
    top = vocab_size - 1
    room_down = np.where(onset, lines, top).min((1, 2)) - FIRST_PITCH
    room_up = top - np.where(onset, lines, FIRST_PITCH).max((1, 2))
    low = -np.minimum(max_transpose, room_down)
    high = np.minimum(max_transpose, room_up)
    semitones: NDArray[np.int64] = rng.integers(low, high + 1)
    return semitones


def transposed(lines: NDArray[np.int64], semitones: NDArray[np.int64]) -> NDArray[np.int64]:
    """Windows (N, T, C) with the pitches of each moved by its semitones (N,)."""
    return np.where(lines >= FIRST_PITCH, lines + semitones[:, None, None], lines)
