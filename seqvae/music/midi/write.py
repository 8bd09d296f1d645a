"""Pieces -> PrettyMIDI objects -> files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pretty_midi

from seqvae.disk import replaced_file
from seqvae.errors import InputError
from seqvae.music.midi.midi_clip import MARK, MidiClip
from seqvae.music.notes import Piece, bars_end

TEXT_EVENT = b"\xff\x01"
MARK_WITHIN = 256  # bytes: the mark is among the first events
RESOLUTION = 480  # ticks per quarter: exact for 3, 4, 6, 12 and 24 steps per quarter


def to_pretty_midi(piece: Piece) -> MidiClip:
    """Render a clip with one instrument per track, program and kind.

    It ends on a bar line: that of its length, or the next after its last note. Onsets keep their
    offsets from the grid. Nothing can sound before the clip begins, so an early first note comes on
    the beat.

    Raises:
        ValueError: a note that MIDI cannot express: pitch or velocity out of range, no duration.
    """
    _check_notes(piece)
    midi = MidiClip(resolution=RESOLUTION, initial_tempo=piece.tempos[0].qpm)
    end_step = bars_end(piece)
    _set_tempos(midi, piece, end_step)
    midi.end_time = float(piece.seconds(np.array([end_step]))[0])
    if piece.key is not None:
        number = pretty_midi.mode_accidentals_to_key_number(
            int(piece.key.is_minor), piece.key.num_sharps
        )
        midi.key_signature_changes = [pretty_midi.KeySignature(number, 0.0)]
    begins = piece.seconds(np.array([metre.start_step for metre in piece.metres])).tolist()
    midi.time_signature_changes = [
        pretty_midi.TimeSignature(metre.numerator, metre.denominator, begin)
        for metre, begin in zip(piece.metres, begins, strict=True)
    ]
    instrument_of = piece.notes[["track", "program", "is_drum"]]
    for key in np.unique(instrument_of):
        instrument = pretty_midi.Instrument(int(key["program"]), bool(key["is_drum"]))
        if key["track"] < len(piece.tracks):
            instrument.name = piece.tracks[key["track"]].name
        notes = piece.notes[instrument_of == key]
        onsets = piece.seconds(np.maximum(0.0, notes["start"] + notes["offset"].astype(float)))
        ends = piece.seconds(notes["end"])
        instrument.notes = [
            pretty_midi.Note(int(note["velocity"]), int(note["pitch"]), onset, end)
            for note, onset, end in zip(notes, onsets.tolist(), ends.tolist(), strict=True)
        ]
        midi.instruments.append(instrument)
    return midi


def _set_tempos(midi: MidiClip, piece: Piece, end_step: int) -> None:
    """Give an object the changes of tempo, which pretty_midi takes from files alone."""
    ticks = RESOLUTION / piece.steps_per_quarter
    midi._tick_scales = [
        (round(tempo.start_step * ticks), 60 / tempo.qpm / RESOLUTION) for tempo in piece.tempos
    ]
    midi._update_tick_to_time(round(end_step * ticks) + 1)


def _check_notes(piece: Piece) -> None:
    for note in piece.notes:
        pitch, velocity = note["pitch"], note["velocity"]
        if not (0 <= pitch <= 127 and 1 <= velocity <= 127):
            raise ValueError(f"MIDI has no note of pitch {pitch}, velocity {velocity}")
        if note["end"] <= note["start"]:
            raise ValueError(f"the note at step {note['start']} has no duration")


def write_clips(
    clips: Sequence[pretty_midi.PrettyMIDI], folder: Path, names: Sequence[str]
) -> list[Path]:
    """Write a MIDI file of each name; returns the paths.

    The files that an earlier call wrote under names with the same first word are removed, with the
    WAV files beside them. Files of others, which lack the mark of `MidiClip`, stay.

    Raises:
        InputError: a file of others has one of the names; nothing is written.
    """
    verbs = {name.partition("_")[0] for name in names}
    earlier = [file for verb in verbs for file in folder.glob(f"{verb}_*.mid") if _is_marked(file)]
    paths = [folder / f"{name}.mid" for name in names]
    for path in paths:
        if path.exists() and not _is_marked(path):
            raise InputError(f"{path}: no output of seqvae; move it, or give another --out")
    for clip, path in zip(clips, paths, strict=True):
        with replaced_file(path) as beside:
            clip.write(str(beside))
    for file in earlier:
        file.with_suffix(".wav").unlink(missing_ok=True)
        if file not in paths:
            file.unlink()
    return paths


def _is_marked(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        return TEXT_EVENT + bytes([len(MARK)]) + MARK.encode() in opened.read(MARK_WITHIN)
