"""Songs -> pieces: ticks become steps on the grid of the file or of a beat track."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pretty_midi
from jaxtyping import Float
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.files import expanded
from seqvae.music.beats import MAX_BEATS_OUTSIDE, BeatTrack
from seqvae.music.chords import ChordTrack
from seqvae.music.midi.objects import parse_object
from seqvae.music.midi.parse import parse_file
from seqvae.music.midi.song import Song
from seqvae.music.notes import (
    DEFAULT_QPM,
    Metre,
    Notes,
    Piece,
    Tempo,
    bars_end,
    changes_of_metre,
    join,
    nearest_steps,
    sort_notes,
    steps_per_bar,
)
from seqvae.reasons import Dropped, Reason

MidiSource: TypeAlias = str | Path | pretty_midi.PrettyMIDI
Times: TypeAlias = NDArray[np.float64]  # in ticks, seconds or steps; subscripts take time in `def`s

MAX_STEPS = 1_000_000  # about 35 hours of sixteenths at 120 qpm: a damaged delta time, not music
# Three bytes of microseconds per quarter cannot say a slower tempo.
QPM_RANGE = (60e6 / (2**24 - 1), 2000.0)

IMPOSSIBLE_TEMPO = Reason("file", "an impossible tempo: the one before it holds")
IMPOSSIBLE_BAR = Reason(
    "file", "a bar of the beat file at an impossible tempo: the one before it holds"
)
IMPOSSIBLE_METRE = Reason("file", "an impossible time signature: the one before it holds")

FAR_NOTE = Reason("note", f"more than {MAX_STEPS} steps from the beginning")


def read_midi(
    source: MidiSource,
    steps_per_quarter: int,
    beats: BeatTrack | None = None,
    chords: ChordTrack | None = None,
) -> Piece:
    """Read a MIDI file or a `pretty_midi.PrettyMIDI` and put it on a grid of steps.

    The grid is that of the file's ticks, or of `beats`. Onsets and ends are rounded to the nearest
    step; a note lasts at least one step. The songs of a type 2 file follow one another.

    Raises:
        InputError: the file cannot be opened, is not MIDI, or holds impossible values.
    """
    if isinstance(source, pretty_midi.PrettyMIDI):
        songs = [parse_object(source)]
    else:
        songs = parse_file(expanded(source))
    if beats is None and songs[0].is_timecode:
        raise InputError(
            f"{songs[0].name}: SMPTE time code, whose ticks count seconds and no quarters; "
            "name its beat file with --data.beats or --beats"
        )
    if beats is None:
        pieces = [_ended(_by_ticks(song, chords, steps_per_quarter), song) for song in songs]
    else:
        pieces = [_by_beats(song, beats, chords, steps_per_quarter) for song in songs]
    return pieces[0] if len(pieces) == 1 else _join_at_bar_lines(pieces, songs[0])


@dataclass(frozen=True, eq=False)
class TempoMap:
    """The tempos of a song: each holds from its tick on; the first tick is 0."""

    ticks: NDArray[np.int64]
    qpm: NDArray[np.float64]
    resolution: int
    """Ticks per quarter."""

    @classmethod
    def of(cls, tempo_at: Mapping[int, float], resolution: int) -> "TempoMap":
        """The map of the tempos from these ticks on."""
        return cls(np.array([*tempo_at]), np.array([*tempo_at.values()]), resolution)

    @property
    def ticks_per_second(self) -> NDArray[np.float64]:
        """Ticks per second under each tempo."""
        return self.qpm * self.resolution / 60

    @property
    def starts(self) -> NDArray[np.float64]:
        """Second at which each tempo begins."""
        lasting = np.diff(self.ticks) / self.ticks_per_second[:-1]
        return np.append(0.0, np.cumsum(lasting))

    def to_ticks(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Ticks, with fractions, at these seconds."""
        starts = self.starts
        tempo = np.maximum(np.searchsorted(starts, seconds, side="right") - 1, 0)
        elapsed = seconds - starts[tempo]
        ticks: NDArray[np.float64] = self.ticks[tempo] + elapsed * self.ticks_per_second[tempo]
        return ticks

    def to_seconds(self, ticks: NDArray[np.float64]) -> NDArray[np.float64]:
        """Seconds at these ticks."""
        tempo = np.searchsorted(self.ticks, ticks, side="right") - 1
        elapsed = ticks - self.ticks[tempo]
        seconds: NDArray[np.float64] = self.starts[tempo] + elapsed / self.ticks_per_second[tempo]
        return seconds


def _tempos(song: Song, noted: Dropped) -> dict[int, float]:
    """The tempo from each tick on, but for impossible ones; MIDI's default before the first one."""
    tempo_at = {0: DEFAULT_QPM}
    for tick, qpm in sorted(song.tempos, key=itemgetter(0)):  # of several at a tick the last holds
        if is_tempo(qpm):
            tempo_at[tick] = qpm
        else:
            noted[IMPOSSIBLE_TEMPO] = 1
    return tempo_at


def is_tempo(qpm: float) -> bool:
    """Whether a MIDI file can say so many quarters per minute, rounded to single precision."""
    return QPM_RANGE[0] * (1 - 1e-6) <= qpm <= QPM_RANGE[1]


def _by_ticks(song: Song, chords: ChordTrack | None, steps_per_quarter: int) -> Piece:
    """Put a song on the grid of its ticks; MIDI's default metre holds before the first one."""
    resolution = song.resolution

    def step(tick: int) -> int:
        return min(math.floor(tick * steps_per_quarter / resolution + 0.5), MAX_STEPS)

    noted = song.noted
    metre_at = {0: Metre(0, 4, 4)}
    for tick, numerator, denominator in sorted(song.metres, key=itemgetter(0)):
        if numerator >= 1 and denominator >= 1:
            metre_at[step(tick)] = Metre(step(tick), numerator, denominator)
        else:
            noted[IMPOSSIBLE_METRE] = 1
    tempo_at = _tempos(song, noted)
    qpm_at = {step(tick): qpm for tick, qpm in tempo_at.items()}
    chord_changes: tuple[tuple[int, int], ...] = ()
    if chords is not None:
        ticks = TempoMap.of(tempo_at, resolution).to_ticks(chords.times)
        chord_changes = chords.changes(ticks * steps_per_quarter / resolution)
    return Piece(
        notes=_on_grid(song, song.ticks * steps_per_quarter / resolution, noted),
        steps_per_quarter=steps_per_quarter,
        metres=changes_of_metre(metre_at.values(), steps_per_quarter),
        tempos=tuple(map(Tempo, qpm_at.keys(), qpm_at.values())),
        chords=chord_changes,
        tracks=tuple(song.tracks),
        name=song.file_name,
        noted=noted,
        key=song.key,
    )


def _ended(piece: Piece, song: Song) -> Piece:
    """The piece with the length that its file says, where that is a bar line.

    More silence than music is a mistake of a program, not an end.
    """
    length, rest = divmod(song.end_tick * piece.steps_per_quarter, song.resolution)
    last = piece.metres[-1]
    bar = steps_per_bar(last, piece.steps_per_quarter)
    if rest or bar is None or (length - last.start_step) % bar or not len(piece.notes):
        return piece
    music = bars_end(piece)
    return replace(piece, num_steps=length) if music <= length <= 2 * music else piece


def _by_beats(
    song: Song, beats: BeatTrack, chords: ChordTrack | None, steps_per_quarter: int
) -> Piece:
    """Put a song on the grid of a beat track, whose bars continue back to the first note."""
    noted = song.noted
    tempo_map = TempoMap.of(_tempos(song, noted), song.resolution)
    quarters = beats.quarters(tempo_map.to_seconds(song.ticks))
    first_beat, last_beat = beats.quarters(beats.times[[0, -1]])
    first = min(quarters[0].min(initial=0.0), first_beat)
    bar = float(beats.bars()[1][0])
    shift = -int(np.floor((first + 0.5 / steps_per_quarter) / bar)) * bar
    outside = max(-first - bar, quarters[0].max(initial=0.0) - last_beat)
    if outside > MAX_BEATS_OUTSIDE:
        raise InputError(
            f"{song.name}: a note {outside:.0f} beats outside the beat file; "
            "is it of another piece?"
        )
    tempos = beats.tempos(steps_per_quarter, shift)
    possible = [tempo for tempo in tempos if is_tempo(tempo.qpm)]
    if not possible:
        raise InputError(
            f"{song.name}: tempo of {tempos[0].qpm:g} quarters per minute in the beat file; "
            f"it must be {QPM_RANGE[0]:g} to {QPM_RANGE[1]:g}"
        )
    if len(possible) < len(tempos):
        noted[IMPOSSIBLE_BAR] = 1
    possible[0] = replace(possible[0], start_step=0)

    def positions(quarters: Times) -> Times:
        return (quarters + shift) * steps_per_quarter

    return Piece(
        notes=_on_grid(song, positions(quarters), noted),
        steps_per_quarter=steps_per_quarter,
        metres=beats.metres(steps_per_quarter, shift),
        tempos=tuple(possible),
        chords=chords.changes(positions(beats.quarters(chords.times))) if chords else (),
        tracks=tuple(song.tracks),
        name=song.file_name,
        noted=noted,
        key=song.key,
    )


def _on_grid(song: Song, positions: Float[np.ndarray, "2 N"], noted: Dropped) -> Notes:
    """Fill in the onsets and ends of notes: positions in steps, rounded."""
    notes = song.notes
    steps = nearest_steps(positions)
    lowest = np.minimum.reduce(steps[0], initial=0)
    if lowest < 0 or np.maximum.reduce(steps, axis=None, initial=0) > MAX_STEPS:
        far = (steps[0] < 0) | (steps.max(axis=0) > MAX_STEPS)
        if far.all():
            step = int(steps[0][0])
            raise InputError(f"{song.name}: a note at step {step}; at most {MAX_STEPS} are read")
        noted[FAR_NOTE] = int(far.sum())
        notes, positions, steps = notes[~far], positions[:, ~far], steps[:, ~far]
    notes["start"] = steps[0]
    notes["end"] = np.maximum(steps[1], steps[0] + 1)
    notes["offset"] = positions[0] - steps[0]
    return sort_notes(notes)


def _join_at_bar_lines(pieces: Sequence[Piece], first: Song) -> Piece:
    """The pieces joined, with each one's last bar completed, in the key of the first song."""
    completed = [replace(piece, num_steps=bars_end(piece)) for piece in pieces]
    num_steps = sum(piece.end_step for piece in completed)
    if num_steps > MAX_STEPS:
        raise InputError(f"{first.name}: {num_steps} steps; at most {MAX_STEPS} are read")
    return replace(join(completed), key=first.key)
