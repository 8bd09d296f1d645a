"""MIDI files <-> notes: the only place with seconds and ticks.

Files are parsed by symusic, a hundred times faster than pretty_midi; pretty_midi is the fallback,
the writer and the public object. symusic never raises on impossible values, so they are checked
here.
"""

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pretty_midi
import symusic
from mido.midifiles.meta import KeySignatureError
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.music.beats import MAX_BEATS_OUTSIDE, BeatTrack
from seqvae.music.chords import ChordTrack
from seqvae.music.notes import (
    DEFAULT_QPM,
    NOTE,
    Metre,
    Notes,
    Piece,
    Tempo,
    changes_of_metre,
    join,
    sort_notes,
    steps_per_bar,
)

MidiSource: TypeAlias = str | Path | pretty_midi.PrettyMIDI

MIDI_SUFFIXES = frozenset({".mid", ".midi", ".kar", ".rmi"})
RESOLUTION = 480  # ticks per quarter when writing: exact for 4, 6, 12 and 24 steps per quarter
MAX_FILE_BYTES = 16 * 2**20
MAX_NOTES = 500_000
MAX_TRACKS = 10_000
MAX_TICK = 2**31 - 1  # symusic counts ticks in 32 bits and loses what lies beyond
MAX_STEPS = 1_000_000  # about 35 hours of sixteenths at 120 qpm: a damaged delta time, not music
QPM_RANGE = (3.6, 2000.0)  # three bytes of microseconds a quarter say nothing slower

# What pretty_midi and mido raise on damaged files.
PRETTY_MIDI_ERRORS = (
    OSError, EOFError, ValueError, IndexError, KeyError, ZeroDivisionError, KeySignatureError,
)  # fmt: skip


def read_midi(
    source: MidiSource,
    steps_per_quarter: int,
    beats: BeatTrack | None = None,
    chords: ChordTrack | None = None,
) -> Piece:
    """Read a file or a `pretty_midi.PrettyMIDI` on to a grid: its own, or that of its beats.

    Onsets and ends are rounded to the nearest step; a note lasts at least one step.

    Raises:
        InputError: the file cannot be opened, is no MIDI, or holds impossible values.
    """
    if isinstance(source, pretty_midi.PrettyMIDI):
        return _from_pretty_midi(source, steps_per_quarter, "the PrettyMIDI object", beats, chords)
    path = Path(source).expanduser()
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise InputError(f"{path}: {size} bytes; a MIDI file has at most {MAX_FILE_BYTES}")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if not data:
        raise InputError(f"{path}: the file is empty")
    header = data.find(b"MThd", 0, 256 if data.startswith(b"RIFF") else 4)
    if header < 0:
        raise InputError(f"{path}: not a MIDI file (no MThd header)")
    parts = _patterns(data[header:]) or [data[header:]]
    for sanitize in (False, True):
        try:
            scores = [symusic.Score.from_midi(part, sanitize_data=sanitize) for part in parts]
        except (RuntimeError, ValueError):
            continue
        pieces = [
            _from_symusic(score, steps_per_quarter, str(path), beats, chords) for score in scores
        ]
        return pieces[0] if len(pieces) == 1 else _one_after_the_other(pieces, str(path))
    try:
        song = pretty_midi.PrettyMIDI(str(path))
    except PRETTY_MIDI_ERRORS as error:
        reason = "it cannot be parsed"
        if isinstance(error, EOFError):
            reason = "it ends early"
        elif isinstance(error, OSError | KeySignatureError):
            reason = str(error)
        raise InputError(f"{path}: damaged MIDI ({reason})") from error
    return _from_pretty_midi(song, steps_per_quarter, str(path), beats, chords)


def _patterns(data: bytes) -> list[bytes]:
    """The tracks of a type 2 file, which are pieces of their own, as files; none of other types."""
    if data[8:10] != b"\0\2":
        return []
    header = struct.pack(">4sIHH", b"MThd", 6, 0, 1) + data[12:14]
    found: list[bytes] = []
    place = 8 + int.from_bytes(data[4:8], "big")
    while place + 8 <= len(data) and len(found) < MAX_TRACKS:
        end = place + 8 + int.from_bytes(data[place + 4 : place + 8], "big")
        if data[place : place + 4] == b"MTrk":
            found.append(header + data[place:end])
        place = end
    return found


def _one_after_the_other(pieces: list[Piece], where: str) -> Piece:
    """Pieces joined, each from a bar line on."""
    whole = []
    for piece in pieces:
        last = piece.metres[-1]
        bar = steps_per_bar(last, piece.steps_per_quarter) or 1
        num_bars = -(-(piece.end_step - last.start_step) // bar)
        whole.append(replace(piece, num_steps=last.start_step + num_bars * bar))
    num_steps = sum(piece.end_step for piece in whole)
    if num_steps > MAX_STEPS:
        raise InputError(f"{where}: {num_steps} steps; at most {MAX_STEPS} are taken")
    return join(whole)


def _from_symusic(
    score: Any,
    steps_per_quarter: int,
    where: str,
    beats: BeatTrack | None,
    chords: ChordTrack | None,
) -> Piece:
    """Put a parsed score on the grid."""
    resolution = score.ticks_per_quarter
    if resolution <= 0:
        raise InputError(f"{where}: {resolution} ticks per quarter")
    if score.end() >= MAX_TICK or score.start() < 0:
        raise InputError(f"{where}: times outside 0..{MAX_TICK} ticks")
    if len(score.tracks) > MAX_TRACKS:
        raise InputError(f"{where}: {len(score.tracks)} tracks; at most {MAX_TRACKS} are taken")
    timed = score if beats is None else score.to("second")
    tracks = [track.notes.numpy() for track in timed.tracks]
    notes, times = _table([len(columns["time"]) for columns in tracks], where)
    end = 0
    for index, (track, columns) in enumerate(zip(timed.tracks, tracks, strict=True)):
        begin, end = end, end + len(columns["time"])
        own = notes[begin:end]
        own["pitch"], own["velocity"] = columns["pitch"], columns["velocity"]
        own["program"], own["is_drum"], own["track"] = track.program, track.is_drum, index
        times[:, begin:end] = columns["time"]
        times[1, begin:end] += columns["duration"]
    if beats is not None:
        return _by_beats(notes, times, beats, chords, steps_per_quarter, where)
    metres = [(m.time, m.numerator, m.denominator) for m in score.time_signatures]
    tempos = [(t.time, t.qpm) for t in score.tempos]
    return _by_ticks(notes, times, metres, tempos, chords, resolution, steps_per_quarter, where)


def _from_pretty_midi(
    song: pretty_midi.PrettyMIDI,
    steps_per_quarter: int,
    where: str,
    beats: BeatTrack | None,
    chords: ChordTrack | None,
) -> Piece:
    """Put a PrettyMIDI object on the grid, by its own ticks or by beats."""
    resolution = int(song.resolution)
    if resolution <= 0:
        raise InputError(f"{where}: {resolution} ticks per quarter")
    notes, times = _table([len(instrument.notes) for instrument in song.instruments], where)
    end = 0
    for index, instrument in enumerate(song.instruments):
        begin, end = end, end + len(instrument.notes)
        own = notes[begin:end]
        for row, name in zip(times[:, begin:end], ("start", "end"), strict=True):
            seconds = [getattr(note, name) for note in instrument.notes]
            if not np.isfinite(seconds).all():
                raise InputError(f"{where}: a note whose {name} is no time")
            row[:] = seconds if beats is not None else [song.time_to_tick(s) for s in seconds]
        # Clipped to the first impossible values, which `_on_grid` refuses: they may exceed 16 bits.
        own["pitch"] = np.clip([note.pitch for note in instrument.notes], -1, 128)
        own["velocity"] = np.clip([note.velocity for note in instrument.notes], 0, 128)
        own["program"], own["is_drum"] = instrument.program, instrument.is_drum
        own["track"] = index
    if beats is not None:
        return _by_beats(notes, times, beats, chords, steps_per_quarter, where)
    metres = [
        (int(song.time_to_tick(m.time)), m.numerator, m.denominator)
        for m in song.time_signature_changes
    ]
    seconds, qpms = song.get_tempo_changes()
    tempos = [
        (int(song.time_to_tick(time)), float(qpm)) for time, qpm in zip(seconds, qpms, strict=True)
    ]
    return _by_ticks(notes, times, metres, tempos, chords, resolution, steps_per_quarter, where)


Times = NDArray[np.float64]  # onsets and ends of all notes, (2, N)


def _table(sizes: Sequence[int], where: str) -> tuple[Notes, Times]:
    """Room for the notes of tracks of these sizes."""
    size = sum(sizes)
    if size > MAX_NOTES:
        raise InputError(f"{where}: {size} notes; at most {MAX_NOTES} are taken")
    return np.empty(size, NOTE), np.empty((2, size))


def _by_beats(
    notes: Notes,
    seconds: Times,
    beats: BeatTrack,
    chords: ChordTrack | None,
    steps_per_quarter: int,
    where: str,
) -> Piece:
    """Notes on the grid of a beat track; bars are counted back from it to the first note."""
    quarters = beats.quarters(seconds)
    bar = int(beats.bars()[1][0])
    first = min(quarters[0].min(initial=0.0), beats.quarters(beats.times[:1])[0])
    shift = -int(np.floor((first + 0.5 / steps_per_quarter) / bar)) * bar
    tempos = beats.tempos(steps_per_quarter, shift)
    for tempo in tempos:
        if not QPM_RANGE[0] <= tempo.qpm <= QPM_RANGE[1]:
            raise InputError(f"{where}: tempo of {tempo.qpm:g} beats per minute in the beat file")
    last_beat = beats.quarters(beats.times[-1:])[0]
    outside = max(-first - bar, quarters[0].max(initial=0.0) - last_beat)
    if outside > MAX_BEATS_OUTSIDE:
        raise InputError(f"{where}: a note {outside:.0f} beats outside the beat file; is it of "
                         "another piece?")  # fmt: skip
    return Piece(
        notes=_on_grid(notes, (quarters + shift) * steps_per_quarter, where),
        steps_per_quarter=steps_per_quarter,
        metres=beats.metres(steps_per_quarter, shift),
        tempos=tempos,
        chords=()
        if chords is None
        else chords.changes((beats.quarters(chords.times) + shift) * steps_per_quarter),
    )


def _on_grid(notes: Notes, places: Times, where: str) -> Notes:
    """Checked notes at their nearest steps, halves up; `places` are onsets and ends in steps."""
    for name, low in (("pitch", 0), ("velocity", 1)):
        bad = (notes[name] < low) | (notes[name] > 127)
        if bad.any():
            raise InputError(f"{where}: a note of {name} {notes[name][bad][0]}, not {low}..127")
    steps = np.floor(places + 0.5)
    if len(notes) and (steps.min() < 0 or steps.max() > MAX_STEPS):
        raise InputError(
            f"{where}: a note at step {int(steps.min() if steps.min() < 0 else steps.max())}; "
            f"at most {MAX_STEPS} steps are taken"
        )
    notes["start"] = steps[0]
    notes["end"] = np.maximum(steps[1], steps[0] + 1)
    notes["offset"] = places[0] - steps[0]
    return sort_notes(notes)


def _by_ticks(
    notes: Notes,
    ticks: Times,
    metres: Iterable[tuple[int, int, int]],
    tempos: Iterable[tuple[int, float]],
    chords: ChordTrack | None,
    resolution: int,
    steps_per_quarter: int,
    where: str,
) -> Piece:
    """Notes on the file's own grid; before its first metre and tempo those of MIDI hold."""

    def step(tick: int) -> int:
        return min((2 * tick * steps_per_quarter + resolution) // (2 * resolution), MAX_STEPS)

    # Sorted by tick alone: of several at a tick the last one of the file holds.
    metre_at = {0: Metre(0, 4, 4)}
    for tick, numerator, denominator in sorted(metres, key=itemgetter(0)):
        if numerator < 1 or denominator < 1:
            raise InputError(f"{where}: time signature {numerator}/{denominator}")
        metre_at[step(tick)] = Metre(step(tick), numerator, denominator)
    tempo_at = {0: DEFAULT_QPM}
    for tick, qpm in sorted(tempos, key=itemgetter(0)):
        if not (math.isfinite(qpm) and QPM_RANGE[0] <= qpm <= QPM_RANGE[1]):
            raise InputError(f"{where}: tempo of {qpm:g} quarters per minute")
        tempo_at[tick] = float(qpm)
    by_step = {step(tick): Tempo(step(tick), qpm) for tick, qpm in tempo_at.items()}
    return Piece(
        notes=_on_grid(notes, ticks * steps_per_quarter / resolution, where),
        steps_per_quarter=steps_per_quarter,
        metres=changes_of_metre(metre_at.values(), steps_per_quarter),
        tempos=tuple(by_step.values()),
        chords=()
        if chords is None
        else chords.changes(
            _ticks_at(chords.times, tempo_at, resolution) * steps_per_quarter / resolution
        ),
    )


def _ticks_at(
    seconds: NDArray[np.float64], tempo_at: dict[int, float], resolution: int
) -> NDArray[np.float64]:
    """Places in ticks of times, by the tempos at ticks."""
    ticks = np.array(list(tempo_at))
    pace = np.array(list(tempo_at.values())) * resolution / 60  # ticks a second
    times = np.append(0.0, np.cumsum(np.diff(ticks) / pace[:-1]))
    which = np.maximum(np.searchsorted(times, seconds, side="right") - 1, 0)
    places: NDArray[np.float64] = ticks[which] + (seconds - times[which]) * pace[which]
    return places


def to_pretty_midi(piece: Piece) -> pretty_midi.PrettyMIDI:
    """Render a clip at its first tempo, one instrument a track, notes where they were played.

    Nothing can be played before the clip begins: an early first beat comes on time.

    Raises:
        ValueError: a note that MIDI cannot say (pitch or velocity out of range, no duration).
    """
    for note in piece.notes:
        if not (0 <= note["pitch"] <= 127 and 1 <= note["velocity"] <= 127):
            raise ValueError(
                f"MIDI has no note of pitch {note['pitch']}, velocity {note['velocity']}"
            )
        if note["end"] <= note["start"]:
            raise ValueError(f"the note at step {note['start']} has no duration")
    qpm = piece.tempos[0].qpm
    seconds_per_step = 60 / qpm / piece.steps_per_quarter
    song = pretty_midi.PrettyMIDI(resolution=RESOLUTION, initial_tempo=qpm)
    song.time_signature_changes = [
        pretty_midi.TimeSignature(m.numerator, m.denominator, m.start_step * seconds_per_step)
        for m in piece.metres
    ]
    keys = np.unique(piece.notes[["track", "program", "is_drum"]])
    for key in keys:
        instrument = pretty_midi.Instrument(int(key["program"]), bool(key["is_drum"]))
        for note in piece.notes[piece.notes[["track", "program", "is_drum"]] == key]:
            instrument.notes.append(
                pretty_midi.Note(
                    velocity=int(note["velocity"]),
                    pitch=int(note["pitch"]),
                    start=max(0.0, float(note["start"] + note["offset"])) * seconds_per_step,
                    end=float(note["end"] * seconds_per_step),
                )
            )
        song.instruments.append(instrument)
    return song


def find_midi(folder: Path) -> list[Path]:
    """All files of a folder and its subfolders that are named as MIDI, sorted."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in MIDI_SUFFIXES and p.is_file())


def write_clips(clips: list[pretty_midi.PrettyMIDI], folder: Path, name: str) -> list[Path]:
    """Write NAME_00.mid and so on; returns the paths."""
    paths = []
    for number, clip in enumerate(clips):
        paths.append(folder / f"{name}_{number:02d}.mid")
        clip.write(str(paths[-1]))
    return paths
