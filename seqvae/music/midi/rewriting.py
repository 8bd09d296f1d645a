"""A file in which some notes are written anew; all else of it stays as it is, to the tick.

Its notes are those of the file in ticks, not those of a piece, whose ends are rounded to steps.
Controllers, pitch bends, lyrics and markers stay, too, as far as pretty_midi reads them.

Axes: N notes of the file, M notes that are new.
"""

import copy
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

import numpy as np
import pretty_midi
from jaxtyping import Int
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.files import expanded
from seqvae.music.midi.channels import DRUM_CHANNEL
from seqvae.music.midi.midi_clip import MidiClip
from seqvae.music.midi.objects import parse_object
from seqvae.music.midi.parse import parse_file
from seqvae.music.midi.read import MidiSource, is_tempo
from seqvae.music.midi.song import Song
from seqvae.music.notes import DEFAULT_QPM, Notes, Track, nearest_steps

logger = logging.getLogger(__name__)

MORE = 1e-6  # microseconds in a tempo: pretty_midi rounds down, and would write one too few


@dataclass(frozen=True, eq=False)
class Original:
    """A file, or an object, on a grid of steps."""

    song: Song
    steps_per_quarter: int
    source: MidiSource

    @classmethod
    def of(cls, source: MidiSource, steps_per_quarter: int) -> "Original":
        """Read a file or a `pretty_midi.PrettyMIDI`.

        Raises:
            InputError: it cannot be read, holds several songs, or its ticks count seconds.
        """
        if isinstance(source, pretty_midi.PrettyMIDI):
            return cls(parse_object(source), steps_per_quarter, source)
        songs = parse_file(expanded(source))
        if len(songs) > 1:
            raise InputError(f"{source}: {len(songs)} songs in one file (type 2); export one alone")
        if songs[0].is_timecode:
            raise InputError(f"{source}: SMPTE time code, whose ticks count seconds, no quarters")
        return cls(songs[0], steps_per_quarter, source)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The step of each note, as `read_midi` has it: (N,)."""
        return self._nearest(0)

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """The step at which each note ends: (N,)."""
        return np.maximum(self._nearest(1), self.starts + 1)

    def _nearest(self, row: int) -> NDArray[np.int64]:
        positions = self.song.ticks[row] * self.steps_per_quarter / self.song.resolution
        return nearest_steps(positions).astype(np.int64)

    @cached_property
    def finer(self) -> int:
        """By what ticks are divided, so that every step is a whole number of them; mostly 1."""
        return self.steps_per_quarter // math.gcd(self.song.resolution, self.steps_per_quarter)

    def rewritten(
        self,
        kept: NDArray[np.bool_],
        written: Notes,
        new_tracks: Sequence[Track],
        end_step: int,
    ) -> MidiClip:
        """The notes that are kept, and new ones in steps.

        The track of a new note is the number of one of the file, or of one of `new_tracks`, which
        are counted from there. A new note that meets a kept one of its track and pitch ends before
        it, and is left out where there is no room.
        """
        ticks_per_step = self.song.resolution * self.finer // self.steps_per_quarter
        end = max(int(end_step) * ticks_per_step, self.song.end_tick * self.finer)
        notes, ticks = self.song.notes[kept], (self.song.ticks[:, kept] * self.finer).astype(int)
        ticks[1] = np.maximum(ticks[1], ticks[0] + 1)
        places = np.stack([np.maximum(written["start"] + written["offset"], 0.0), written["end"]])
        fitting = beside(notes, ticks, written, np.round(places * ticks_per_step).astype(int))
        clip = self._without_notes([*self.song.tracks, *new_tracks], end)
        for some, at in ((notes, ticks), fitting):
            for note, (start, stop) in zip(some, at.T.tolist(), strict=True):
                times = clip.tick_to_time(start), clip.tick_to_time(stop)
                clip.instruments[note["track"]].notes.append(
                    pretty_midi.Note(int(note["velocity"]), int(note["pitch"]), *times)
                )
        self._add_events(clip)
        clip.instruments = [each for each in clip.instruments if each.notes]
        return clip

    def _without_notes(self, tracks: Sequence[Track], end: int) -> MidiClip:
        """A clip with the tempos, metres and tracks of the file, which ends at a tick."""
        song, finer = self.song, self.finer
        resolution = song.resolution * finer
        clip = MidiClip(resolution=resolution)
        tempo_at = {0: DEFAULT_QPM}
        tempo_at |= {t: q for t, q in sorted(song.tempos, key=itemgetter(0)) if is_tempo(q)}
        clip._tick_scales = [
            (tick * finer, (round(60e6 / qpm) + MORE) / 1e6 / resolution)
            for tick, qpm in tempo_at.items()
        ]
        clip._update_tick_to_time(max(end, *(tick for tick, _ in clip._tick_scales)) + 1)
        clip.end_time = float(clip.tick_to_time(end))
        clip.time_signature_changes = [
            pretty_midi.TimeSignature(numerator, denominator, clip.tick_to_time(tick * finer))
            for tick, numerator, denominator in sorted(song.metres, key=itemgetter(0))
            if numerator >= 1 and denominator >= 1
        ]
        if song.key is not None:
            number = pretty_midi.mode_accidentals_to_key_number(
                int(song.key.is_minor), song.key.num_sharps
            )
            clip.key_signature_changes = [pretty_midi.KeySignature(number, 0.0)]
        drums = {*song.notes["track"][song.notes["is_drum"]].tolist()}
        clip.instruments = [
            pretty_midi.Instrument(
                track.program,
                number in drums if number < len(song.tracks) else track.channel == DRUM_CHANNEL + 1,
                track.name,
            )
            for number, track in enumerate(tracks)
        ]
        return clip

    def _add_events(self, clip: MidiClip) -> None:
        """Give a clip what the source has beside its notes."""
        before = self.source
        if not isinstance(before, pretty_midi.PrettyMIDI):
            try:
                before = pretty_midi.PrettyMIDI(str(expanded(before)))
            except (OSError, ValueError, EOFError, KeyError, IndexError, TypeError):
                logger.warning(
                    "%s: damaged; its controllers, pitch bends and lyrics are left out", self.source
                )
                return

        def moved(time: float) -> float:
            return float(clip.tick_to_time(int(before.time_to_tick(time)) * self.finer))

        waiting = defaultdict(list)
        for instrument in before.instruments:
            waiting[instrument.program, instrument.is_drum].append(instrument)
        for instrument in clip.instruments:
            of_kind = waiting[instrument.program, instrument.is_drum]
            named = [each for each in of_kind if each.name == instrument.name] or of_kind
            if named:
                of_kind.remove(named[0])
                for kind in ("control_changes", "pitch_bends"):
                    setattr(instrument, kind, _at(getattr(named[0], kind), moved))
        clip.lyrics, clip.text_events = _at(before.lyrics, moved), _at(before.text_events, moved)


def beside(
    kept: Notes, ticks: Int[np.ndarray, "2 N"], written: Notes, places: Int[np.ndarray, "2 M"]
) -> tuple[Notes, Int[np.ndarray, "2 _"]]:
    """New notes, and their ticks, such that none sounds with another of its track and pitch.

    MIDI could not tell which of the two ends first.
    """
    taken: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for note, place in zip(kept, ticks.T.tolist(), strict=True):
        taken[int(note["track"]), int(note["pitch"])].append((place[0], place[1]))
    fitting, fits = places.copy(), np.zeros(len(written), np.bool_)
    for number in np.argsort(places[0], kind="stable").tolist():
        start, end = places[:, number].tolist()
        others = taken[int(written["track"][number]), int(written["pitch"][number])]
        end = min([end, *(other for other, _ in others if other > start)])
        fits[number] = end > start and not any(a <= start < b for a, b in others)
        if fits[number]:
            fitting[1, number] = end
            others.append((start, end))
    return written[fits], fitting[:, fits]


def _at(events: Sequence[Any], moved: Callable[[float], float]) -> list[Any]:
    """The same events at other times."""
    copies = [copy.copy(event) for event in events]
    for event in copies:
        event.time = moved(event.time)
    return copies
