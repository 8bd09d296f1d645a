"""Clips of which a part is kept and the rest is written anew.

What is kept are the notes of the file, to the tick (`music.midi.rewriting`). What is written are
tokens of the model (`canvas`), as notes that fit the clip: in its tracks, as loud as the kept notes
of their part, and of a kit at the pitches that it has.

Axes: N notes of the file, M notes that are written, V voices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.inference.canvas import Canvas
from seqvae.inference.codec import Codec
from seqvae.inference.inputs import name_of, read_clip
from seqvae.inference.likelihood import most_likely
from seqvae.inference.mixture import Mixture
from seqvae.inference.options import Complete
from seqvae.inference.scope import Scope, scope_of
from seqvae.music.midi import Original, PrettyMIDI
from seqvae.music.notes import Notes, Piece, Track, stretches
from seqvae.tokenizers.contract import MusicTokenizer
from seqvae.tokenizers.kits import written_drums
from seqvae.tokenizers.windows import WindowSettings

DRUM_CHANNEL = 10


def complete_clip(codec: Codec, prior: Mixture, how: Complete) -> list[PrettyMIDI]:
    """Clips with what is asked for written anew.

    Raises:
        InputError: the clip cannot be read, or what is asked of it is impossible.
    """
    assert codec.tokenizer.modality == "music"
    if how.source is None:
        given = "no clip" if how.prefix is None else "prefix is for text"
        raise InputError(f"{given}: give complete a MIDI file")
    if not codec.tokenizer.on_grid:
        raise InputError(
            f"a model of {codec.tokenizer.kind} writes events and not the steps of a grid, so it "
            "keeps no part of a clip; try vary"
        )
    if how.key is not None:
        raise InputError(f"key is {how.key!r}; what is kept stays in its key: name a --scale")
    tokenizer, piece = read_clip(codec.tokenizer, how.source, how)
    original = Original.of(how.source, tokenizer.steps_per_quarter)
    try:
        return _completed(codec, prior, tokenizer, piece, original, how)
    except InputError as error:
        raise InputError(f"{name_of(how.source)}: {error}") from error


def _completed(
    codec: Codec,
    prior: Mixture,
    tokenizer: MusicTokenizer,
    piece: Piece,
    original: Original,
    how: Complete,
) -> list[PrettyMIDI]:
    """The same of a clip that was read."""
    assert isinstance(tokenizer, WindowSettings)
    scope = scope_of(tokenizer, tokenizer.num_bars, piece, how)
    rewriting = Rewriting(tokenizer, original, scope)
    canvases = [
        Canvas.of(tokenizer, scope, stretch).holding(original, rewriting.is_kept).over(how.chords)
        for stretch in stretches(scope.piece)
        if scope.is_written[stretch.start_step : stretch.end_step].any()
    ]
    generator, number = codec.generator(how.seed), how.choose or how.n
    rows = [canvas.filled(codec, prior, number, how, generator) for canvas in canvases]
    chosen = [*range(number)]
    if how.choose is not None:
        windows = [
            [window for canvas, ids in zip(canvases, of_one, strict=True)
             for window in canvas.written_windows(ids)]
            for of_one in zip(*rows, strict=True)
        ]  # fmt: skip
        chosen = most_likely(codec, windows, how.n)
    return [
        rewriting.clip(
            np.concatenate(
                [canvas.notes(ids[i]) for canvas, ids in zip(canvases, rows, strict=True)]
            )
        )
        for i in chosen
    ]


@dataclass(frozen=True, eq=False)
class Rewriting:
    """A clip and its scope: which notes stay, and how others stand beside them."""

    tokenizer: MusicTokenizer
    original: Original
    scope: Scope

    @cached_property
    def voice_of(self) -> NDArray[np.int64]:
        """The voice of each note of the file; -1 of those that the model does not hear: (N,)."""
        numbers = {track: v for v, voice in enumerate(self.scope.voices) for track in voice.heard}
        tracks = self.original.song.notes["track"].tolist()
        return np.array([numbers.get(track, -1) for track in tracks], np.int64)

    @cached_property
    def is_kept(self) -> NDArray[np.bool_]:
        """Which notes of the file stay: those that begin where their voice is not written."""
        starts = np.minimum(self.original.starts, len(self.scope.is_written) - 1)
        kept: NDArray[np.bool_] = (self.voice_of < 0) | ~self.scope.is_written[
            starts, self.voice_of
        ]
        return kept

    @cached_property
    def velocities(self) -> list[int]:
        """The median velocity of each voice: of what is kept of it, or else of what was there."""
        velocity = self.original.song.notes["velocity"]
        medians = []
        for number in range(len(self.scope.voices)):
            own = self.voice_of == number
            of_voice = velocity[own & self.is_kept] if (own & self.is_kept).any() else velocity[own]
            medians.append(int(np.median(of_voice)) if len(of_voice) else 80)
        return medians

    @cached_property
    def limits(self) -> NDArray[np.int64]:
        """Where a note of each voice that is written at a step ends at the latest: (T, V).

        That is the end of what is written, or of a note that was there and sounded beyond it.
        """
        is_written = self.scope.is_written
        limits = np.zeros(is_written.shape, np.int64)
        for voice, column in enumerate(is_written.T):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], column.astype(np.int8), [0]])))
            gone = (self.voice_of == voice) & ~self.is_kept
            for start, end in edges.reshape(-1, 2).tolist():
                within = gone & (self.original.starts >= start) & (self.original.starts < end)
                limits[start:end, voice] = max([end, *self.original.ends[within].tolist()])
        return limits

    def clip(self, notes: Notes) -> PrettyMIDI:
        """The clip with these notes, in steps, where they are asked for."""
        voices = self.scope.voices
        number = {voice.track: v for v, voice in enumerate(voices)}
        voice = np.array([number.get(t, 0) if len(voices) > 1 else 0 for t in notes["track"]], int)
        asked = self.scope.is_written[notes["start"], voice]
        notes, voice = notes[asked], voice[asked]
        notes["end"] = np.minimum(notes["end"], self.limits[notes["start"], voice])
        if "velocity" not in self.tokenizer.keeps:
            notes["velocity"] = np.array(self.velocities)[voice]
        notes, new_tracks = self._in_tracks(notes, voice)
        end = self.scope.piece.num_steps
        return self.original.rewritten(self.is_kept, notes, new_tracks, end)

    def _in_tracks(self, notes: Notes, voices: NDArray[np.int64]) -> tuple[Notes, list[Track]]:
        """Notes in tracks of the file, or in new ones where it has none for their voice."""
        placed, new_tracks = notes.copy(), dict[tuple[int, int, bool], Track]()
        num_tracks = len(self.original.song.tracks)
        for note, number in zip(placed, voices.tolist(), strict=True):
            voice, program, is_drum = (
                self.scope.voices[number],
                int(note["program"]),
                note["is_drum"],
            )
            if is_drum and int(note["pitch"]) in self._drums:
                note["track"], note["pitch"] = self._drums[int(note["pitch"])]
                continue
            heard = self._track_for(voice.heard, program, is_drum=bool(is_drum))
            if heard is None:
                key = (number, program, bool(is_drum))
                channel = DRUM_CHANNEL if is_drum else None
                new_tracks.setdefault(key, Track(voice.name, channel, program))
                heard = num_tracks + list(new_tracks).index(key)
            note["track"] = heard
        return placed, list(new_tracks.values())

    def _track_for(self, heard: Sequence[int], program: int, *, is_drum: bool) -> int | None:
        """Of the tracks of a voice the one of a note: of its program, if there are several."""
        notes = self.original.song.notes
        for track in heard:
            own = notes[notes["track"] == track]
            if len(heard) == 1 or is_drum or int(own["program"][0]) == program:
                return track
        return None

    @cached_property
    def _drums(self) -> dict[int, tuple[int, int]]:
        """Where the clip has each drum."""
        parts = getattr(self.tokenizer, "parts", None)
        return {} if parts is None else written_drums(parts(self.scope.piece))
