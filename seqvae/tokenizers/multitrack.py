"""The tracks of a bar one after the other, as Magenta's multitrack models have them.

A track is a segment of steps, of which each holds one event: its program, then the changes of
loudness, the beginnings and ends of notes and the time between them, and an end. The rest of the
segment is filled up. Tracks go by program, drums last; one that the bar does not have is an end
alone. Events have Magenta's numbers, and one more fills up.

Models of this kind are imported, and not trained here.

Axes: T steps, A tracks, S steps of a track, K condition columns.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from operator import itemgetter
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError, at_least, within
from seqvae.model.config import Steps
from seqvae.music.chord_names import NO_CHORD, NUM_CHORDS
from seqvae.music.chords import suggested_chords
from seqvae.music.notes import NUM_VELOCITIES, Notes, Piece, sort_notes
from seqvae.music.overlaps import DRUMS, without_overlaps
from seqvae.music.roles import Part
from seqvae.reasons import Dropped, Reason
from seqvae.tokenizers.contract import Example, Extraction, Ids, MusicTokenizer
from seqvae.tokenizers.events import Events
from seqvae.tokenizers.grid import chord_column
from seqvae.tokenizers.tracks import TrackSettings, named
from seqvae.tokenizers.windows import (
    Span,
    Windows,
    WindowSettings,
    encode_windows,
    extract_windows,
    window_piece,
)

NUM_PROGRAMS = DRUMS + 1  # with that of drums
STRUCK_TWICE = Reason("note", "struck twice at once")
FEWEST_EVENTS = 8  # a note takes as many at most, with program, silence and end


@dataclass(frozen=True, kw_only=True)
class MultitrackTokenizer(TrackSettings, WindowSettings, MusicTokenizer):
    """Up to eight tracks of a bar."""

    kind: ClassVar[str] = "multitrack"
    channels: ClassVar[tuple[str, ...]] = ("event",)
    on_grid: ClassVar[bool] = False

    num_bars: int = 1
    """Bars of a window."""
    steps_per_quarter: int = 24
    """Resolution of the grid; 24 are triplets of 32nds, too."""
    max_tracks: int = 8
    """The most tracks of a window; of more, those with the fewest notes are left out."""
    max_events: int = 64
    """The most events of a track, with its program and its end; notes beyond are left out."""
    num_velocity_bins: int = 8
    """Degrees of loudness."""
    chords: bool = False
    """Give the model the chord of the window: that of the chord file which holds longest, or else
    the one that its notes suggest."""

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        self.check_tracks()
        section = "multitrack: "
        at_least(self, 2, "max_tracks", section=section)
        at_least(self, FEWEST_EVENTS, "max_events", section=section)
        within(self, 1, NUM_VELOCITIES, "num_velocity_bins", section=section, closed=True)

    # The numbers of events

    @cached_property
    def events(self) -> Events:
        """Those of notes, which come first."""
        return Events(self.window_length, self.num_velocity_bins)

    @property
    def first_program(self) -> int:
        """The first of the programs, of which drums are the last."""
        return len(self.events)

    @property
    def end(self) -> int:
        """The end of a track."""
        return self.first_program + NUM_PROGRAMS

    @property
    def nothing(self) -> int:
        """What fills up a track."""
        return self.end + 1

    @property
    def vocab_sizes(self) -> tuple[int]:
        """All of them."""
        return (self.nothing + 1,)

    @property
    def condition_sizes(self) -> tuple[int, ...]:
        """Chords, where the model reads them."""
        return (NUM_CHORDS,) * self.chords

    @property
    def max_steps(self) -> int:
        """All tracks have as many."""
        return self.max_tracks * self.max_events

    @property
    def steps(self) -> Steps:
        """What the model must know: that a track may end before it is full."""
        return replace(super().steps, segment_eos_id=self.end)

    @property
    def keeps(self) -> frozenset[str]:
        """Loudness."""
        return frozenset({"velocity"})

    @property
    def reads_chords(self) -> bool:
        """Whether the model reads chords."""
        return self.chords

    def chord_steps(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """One chord as the column of a window: the program of a track has none.

        Raises:
            InputError: there are several.
        """
        if len(numbers) > 1:
            raise InputError(
                f"{len(numbers)} chords, but a window of {self.kind} has one: name one"
            )
        column = np.full((self.max_tracks, self.max_events), numbers[0])
        column[:, 0] = NO_CHORD
        return column.reshape(-1, 1)

    # Pieces -> tokens

    def extract(self, piece: Piece) -> Extraction:
        """The windows of all tracks."""
        dropped, parts = Dropped(), self.parts(piece)
        self.count_left_out(parts, dropped)
        tracks = _tracks_of(filter(self.takes, parts), dropped)
        cut = partial(self._cut, piece, tracks, dropped)
        return extract_windows(self, piece, [cut], dropped)

    def encode(self, piece: Piece, bar: int | None = None) -> list[Example]:
        """The windows of all tracks end to end, or the one that begins at `bar`."""
        dropped, parts = Dropped(), self.parts(piece)
        taken = [part for part in parts if self.takes(part)]
        if parts and not taken:
            raise InputError(f"no {self.kind} in it: {named(parts)}")
        cut = partial(self._cut, piece, _tracks_of(taken, dropped), dropped)
        # Which of several tracks with a program sound in a window is not known after it.
        programs = Counter(map(_program, taken))
        names = {_program(part): part.track for part in taken if programs[_program(part)] == 1}
        examples = encode_windows(self, piece, cut, bar, tracks=names)
        self.warn_of_rest(piece, parts, taken, dropped)
        return examples

    def _cut(
        self, piece: Piece, tracks: Sequence[tuple[int, Notes]], dropped: Dropped, span: Span
    ) -> Windows:
        """The notes that begin in each window, as far as it holds them."""
        chord_in = self._chords(piece)
        windows, silent = [], []
        for start in span.starts.tolist():
            end = min(start + span.length, span.end_step)
            inside = [(program, _between(notes, start, end)) for program, notes in tracks]
            kept = self._kept(
                [(program, notes) for program, notes in inside if len(notes)], dropped
            )
            ids = self._window(kept, dropped)
            if self.chords:
                ids = np.concatenate([ids, self.chord_steps(chord_in(start, end))], axis=1)
            windows.append(ids)
            silent.append(not kept)
        return Windows(windows, np.where(silent, span.length, 0))

    def _chords(self, piece: Piece) -> Callable[[int, int], NDArray[np.int64]]:
        """What gives the number of the chord between two steps, (1,)."""
        if not piece.chords:
            return lambda start, end: suggested_chords(piece.notes, [start, end])
        column = chord_column(piece)[:, 0]
        return lambda start, end: np.array([np.bincount(column[start:end]).argmax()])

    def _kept(
        self, tracks: list[tuple[int, Notes]], dropped: Dropped
    ) -> Sequence[tuple[int, Notes]]:
        """The tracks of a window that it holds: those of the most notes, in their order."""
        by_size = sorted(range(len(tracks)), key=lambda i: -len(tracks[i][1]))
        for i in by_size[self.max_tracks :]:
            dropped[self.too_many_tracks] += len(tracks[i][1])
        return [tracks[i] for i in sorted(by_size[: self.max_tracks])]

    def _window(self, tracks: Sequence[tuple[int, Notes]], dropped: Dropped) -> NDArray[np.int64]:
        """The tokens (T, 1) of the programs and the notes of a window."""
        ids = np.full((self.max_tracks, self.max_events), self.nothing)
        ids[len(tracks) :, 0] = self.end
        most = self.max_events - 2
        for row, (program, notes) in zip(ids, tracks, strict=False):
            number = min(len(notes), most // 2)  # of notes, of which each takes two events or more
            while len(events := self.events.of(notes[:number])) > most:
                number -= 1
            dropped += Dropped({self.too_many_events: len(notes) - number})
            row[: len(events) + 2] = [self.first_program + program, *events, self.end]
        return ids.reshape(-1, 1)

    @property
    def too_many_tracks(self) -> Reason:
        """Why the notes of a track are left out of a window."""
        return Reason("note", f"of more than {self.max_tracks} tracks in a bar")

    @property
    def too_many_events(self) -> Reason:
        """Why notes at the end of a window are left out."""
        return Reason("note", f"beyond {self.max_events} events of a track in a bar")

    # Tokens -> pieces

    def decode(self, example: Example) -> Piece:
        """The notes of a window; the number of a track is its program, or above for a second."""
        tracks, count = [], Counter[int]()
        for program, events in self._tracks(example.ids):
            notes = without_overlaps(self.events.notes(events, program))
            notes["track"] = program + NUM_PROGRAMS * count[program]
            count[program] += len(notes) > 0
            tracks.append(notes)
        return window_piece(self, sort_notes(np.concatenate(tracks)), example.qpm)

    def _tracks(self, ids: Ids) -> list[tuple[int, list[int]]]:
        """The program of each track (T, 1 + K) up to its end, and its other events.

        A model may write several programs, of which the first counts, or none, which is a piano.
        """
        tracks = []
        for begin in range(0, len(ids), self.max_events):
            tokens = ids[begin : begin + self.max_events, 0].tolist()
            tokens = tokens[: tokens.index(self.end)] if self.end in tokens else tokens
            programs = [
                t - self.first_program for t in tokens if self.first_program <= t < self.end
            ]
            tracks.append((next(iter(programs), 0), [t for t in tokens if t < self.first_program]))
        return tracks

    def show(self, ids: Ids) -> str:
        """The program and the events of each track, `//` between tracks."""
        shown = []
        for program, events in self._tracks(ids):
            words = [self.events.shown(event, program) for event in events]
            if words:
                shown.append(" ".join(["drums" if program == DRUMS else f"p{program}", *words]))
        return " // ".join(shown)


def _program(part: Part) -> int:
    """The program of a track, or that of drums."""
    return DRUMS if part.role == "drums" else int(part.notes["program"][0])


def _tracks_of(parts: Iterable[Part], dropped: Dropped) -> list[tuple[int, Notes]]:
    """The program and the notes of tracks, by program; a note ends where its pitch is struck."""
    tracks = []
    for part in parts:
        notes = without_overlaps(part.notes)
        dropped += Dropped({STRUCK_TWICE: len(part.notes) - len(notes)})
        tracks.append((_program(part), notes))
    return sorted(tracks, key=itemgetter(0))


def _between(notes: Notes, start: int, end: int) -> Notes:
    """The notes that begin between two steps, cut at the second and counted from the first."""
    first, last = np.searchsorted(notes["start"], [start, end])
    inside = notes[first:last].copy()
    inside["end"] = np.minimum(inside["end"], end) - start
    inside["start"] -= start
    return inside
