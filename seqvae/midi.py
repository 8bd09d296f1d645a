"""MIDI files <-> notes: the only place with seconds and ticks.

Files are parsed by symusic, a hundred times faster than pretty_midi; pretty_midi is the fallback,
the writer and the public object. symusic never raises on impossible values, so they are checked
here.
"""

import math
from collections.abc import Iterable
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pretty_midi
import symusic
from mido.midifiles.meta import KeySignatureError
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.notes import (
    DEFAULT_QPM,
    NOTE,
    Metre,
    Notes,
    Piece,
    Tempo,
    sort_notes,
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


def read_midi(source: MidiSource, steps_per_quarter: int) -> Piece:
    """Read a file or a `pretty_midi.PrettyMIDI` on to a grid.

    Onsets and ends are rounded to the nearest step; a note lasts at least one step.

    Raises:
        InputError: the file cannot be opened, is no MIDI, or holds impossible values.
    """
    if isinstance(source, pretty_midi.PrettyMIDI):
        return _from_pretty_midi(source, steps_per_quarter, "the PrettyMIDI object")
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
    for sanitize in (False, True):
        try:
            score = symusic.Score.from_midi(data[header:], sanitize_data=sanitize)
        except (RuntimeError, ValueError):
            continue
        return _from_symusic(score, steps_per_quarter, str(path))
    try:
        song = pretty_midi.PrettyMIDI(str(path))
    except PRETTY_MIDI_ERRORS as error:
        reason = "it cannot be parsed"
        if isinstance(error, EOFError):
            reason = "it ends early"
        elif isinstance(error, OSError | KeySignatureError):
            reason = str(error)
        raise InputError(f"{path}: damaged MIDI ({reason})") from error
    return _from_pretty_midi(song, steps_per_quarter, str(path))


def _from_symusic(score: Any, steps_per_quarter: int, where: str) -> Piece:
    """Put a parsed score on the grid."""
    resolution = score.ticks_per_quarter
    if resolution <= 0:
        raise InputError(f"{where}: {resolution} ticks per quarter")
    if score.end() >= MAX_TICK or score.start() < 0:
        raise InputError(f"{where}: times outside 0..{MAX_TICK} ticks")
    if len(score.tracks) > MAX_TRACKS:
        raise InputError(f"{where}: {len(score.tracks)} tracks; at most {MAX_TRACKS} are taken")
    tracks = []
    for index, track in enumerate(score.tracks):
        columns = track.notes.numpy()
        notes = np.empty(len(columns["time"]), NOTE)
        start = columns["time"].astype(np.int64)
        notes["start"] = _to_steps(start, resolution, steps_per_quarter, where)
        notes["end"] = _to_steps(start + columns["duration"], resolution, steps_per_quarter, where)
        notes["pitch"], notes["velocity"] = columns["pitch"], columns["velocity"]
        notes["program"], notes["is_drum"], notes["track"] = track.program, track.is_drum, index
        tracks.append(notes)
    metres = [(m.time, m.numerator, m.denominator) for m in score.time_signatures]
    tempos = [(t.time, t.qpm) for t in score.tempos]
    return _piece(tracks, metres, tempos, resolution, steps_per_quarter, where)


def _from_pretty_midi(song: pretty_midi.PrettyMIDI, steps_per_quarter: int, where: str) -> Piece:
    """Put a PrettyMIDI object on the grid, by its own ticks."""
    resolution = int(song.resolution)
    if resolution <= 0:
        raise InputError(f"{where}: {resolution} ticks per quarter")
    tracks = []
    for index, instrument in enumerate(song.instruments):
        notes = np.empty(len(instrument.notes), NOTE)
        ends = {}
        for name in ("start", "end"):
            seconds = [getattr(note, name) for note in instrument.notes]
            if not np.isfinite(seconds).all():
                raise InputError(f"{where}: a note whose {name} is no time")
            ticks = np.array([song.time_to_tick(second) for second in seconds], np.int64)
            ends[name] = _to_steps(ticks, resolution, steps_per_quarter, where)
        notes["start"], notes["end"] = ends["start"], ends["end"]
        # Clipped to the first impossible values, which `_piece` refuses: they may exceed 16 bits.
        notes["pitch"] = np.clip([note.pitch for note in instrument.notes], -1, 128)
        notes["velocity"] = np.clip([note.velocity for note in instrument.notes], 0, 128)
        notes["program"], notes["is_drum"] = instrument.program, instrument.is_drum
        notes["track"] = index
        tracks.append(notes)
    metres = [
        (int(song.time_to_tick(m.time)), m.numerator, m.denominator)
        for m in song.time_signature_changes
    ]
    times, qpms = song.get_tempo_changes()
    tempos = [
        (int(song.time_to_tick(time)), float(qpm)) for time, qpm in zip(times, qpms, strict=True)
    ]
    return _piece(tracks, metres, tempos, resolution, steps_per_quarter, where)


def _to_steps(
    ticks: NDArray[np.int64], resolution: int, steps_per_quarter: int, where: str
) -> NDArray[np.int64]:
    """Round ticks to the nearest step, halves up."""
    steps = (2 * ticks * steps_per_quarter + resolution) // (2 * resolution)
    if len(steps) and (steps.min() < 0 or steps.max() > MAX_STEPS):
        raise InputError(
            f"{where}: a note at step {int(steps.max())}; at most {MAX_STEPS} steps are taken"
        )
    return steps


def _piece(
    tracks: list[Notes],
    metres: Iterable[tuple[int, int, int]],
    tempos: Iterable[tuple[int, float]],
    resolution: int,
    steps_per_quarter: int,
    where: str,
) -> Piece:
    """Check the values and put the parts together; the first metre and tempo reach back to 0."""
    notes = np.concatenate([np.empty(0, NOTE), *tracks])
    if len(notes) > MAX_NOTES:
        raise InputError(f"{where}: {len(notes)} notes; at most {MAX_NOTES} are taken")
    for name, low in (("pitch", 0), ("velocity", 1)):
        bad = (notes[name] < low) | (notes[name] > 127)
        if bad.any():
            raise InputError(f"{where}: a note of {name} {notes[name][bad][0]}, not {low}..127")
    notes["end"] = np.maximum(notes["end"], notes["start"] + 1)

    def step(tick: int) -> int:
        return min((2 * tick * steps_per_quarter + resolution) // (2 * resolution), MAX_STEPS)

    # Sorted by tick alone: of several at a tick the last one of the file holds.
    by_step: dict[int, Metre] = {}
    for tick, numerator, denominator in sorted(metres, key=itemgetter(0)):
        if numerator < 1 or denominator < 1:
            raise InputError(f"{where}: time signature {numerator}/{denominator}")
        by_step[step(tick)] = Metre(step(tick), numerator, denominator)
    tempo_by_step: dict[int, Tempo] = {}
    for tick, qpm in sorted(tempos, key=itemgetter(0)):
        if not (math.isfinite(qpm) and QPM_RANGE[0] <= qpm <= QPM_RANGE[1]):
            raise InputError(f"{where}: tempo of {qpm:g} quarters per minute")
        tempo_by_step[step(tick)] = Tempo(step(tick), float(qpm))
    by_step.setdefault(0, Metre(0, 4, 4))
    # A late first tempo would otherwise leave the opening at the MIDI default.
    tempo_by_step.setdefault(0, Tempo(0, DEFAULT_QPM))
    return Piece(
        notes=sort_notes(notes),
        steps_per_quarter=steps_per_quarter,
        metres=tuple(by_step[s] for s in sorted(by_step)),
        tempos=tuple(tempo_by_step[s] for s in sorted(tempo_by_step)),
    )


def to_pretty_midi(piece: Piece) -> pretty_midi.PrettyMIDI:
    """Render a clip at its first tempo, one instrument a track.

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
                    start=float(note["start"] * seconds_per_step),
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
