"""Pieces -> PrettyMIDI objects -> files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pretty_midi

from seqvae.disk import replaced_file
from seqvae.music.midi.midi_clip import MidiClip
from seqvae.music.notes import Piece, bars_end

RESOLUTION = 480  # ticks per quarter: exact for 3, 4, 6, 12 and 24 steps per quarter


def to_pretty_midi(piece: Piece) -> MidiClip:
    """Render a clip at its first tempo with one instrument per track, program and kind.

    It ends on a bar line: that of its length, or the next after its last note.

    Onsets keep their offsets from the grid. Nothing can sound before the clip begins, so an early
    first note comes on the beat.

    Raises:
        ValueError: a note that MIDI cannot express: pitch or velocity out of range, no duration.
    """
    _check_notes(piece)
    qpm = piece.tempos[0].qpm
    seconds_per_step = 60 / qpm / piece.steps_per_quarter
    midi = MidiClip(resolution=RESOLUTION, initial_tempo=qpm)
    midi.end_time = bars_end(piece) * seconds_per_step
    if piece.key is not None:
        number = pretty_midi.mode_accidentals_to_key_number(
            int(piece.key.is_minor), piece.key.num_sharps
        )
        midi.key_signature_changes = [pretty_midi.KeySignature(number, 0.0)]
    midi.time_signature_changes = [
        pretty_midi.TimeSignature(m.numerator, m.denominator, m.start_step * seconds_per_step)
        for m in piece.metres
    ]
    instrument_of = piece.notes[["track", "program", "is_drum"]]
    for key in np.unique(instrument_of):
        instrument = pretty_midi.Instrument(int(key["program"]), bool(key["is_drum"]))
        for note in piece.notes[instrument_of == key]:
            onset = max(0.0, float(note["start"] + note["offset"]))
            instrument.notes.append(
                pretty_midi.Note(
                    velocity=int(note["velocity"]),
                    pitch=int(note["pitch"]),
                    start=onset * seconds_per_step,
                    end=float(note["end"] * seconds_per_step),
                )
            )
        midi.instruments.append(instrument)
    return midi


def _check_notes(piece: Piece) -> None:
    for note in piece.notes:
        pitch, velocity = note["pitch"], note["velocity"]
        if not (0 <= pitch <= 127 and 1 <= velocity <= 127):
            raise ValueError(f"MIDI has no note of pitch {pitch}, velocity {velocity}")
        if note["end"] <= note["start"]:
            raise ValueError(f"the note at step {note['start']} has no duration")


def write_clips(clips: Sequence[pretty_midi.PrettyMIDI], folder: Path, name: str) -> list[Path]:
    """Write `name`_00.mid, `name`_01.mid and so on; returns the paths."""
    paths = [folder / f"{name}_{number:02d}.mid" for number in range(len(clips))]
    for clip, path in zip(clips, paths, strict=True):
        with replaced_file(path) as beside:
            clip.write(str(beside))
    return paths
