"""`pretty_midi.PrettyMIDI` objects -> songs."""

import numpy as np
import pretty_midi

from seqvae.errors import InputError
from seqvae.music.midi.channels import DRUM_CHANNEL
from seqvae.music.midi.midi_clip import MidiClip
from seqvae.music.midi.song import Song, checked_resolution, places, room_for
from seqvae.music.notes import Key, Track


def parse_object(midi: pretty_midi.PrettyMIDI, name: str = "the PrettyMIDI object") -> Song:
    """Turn a `pretty_midi.PrettyMIDI` into a song.

    Raises:
        InputError: it holds impossible values, or too many notes.
    """
    resolution = checked_resolution(int(midi.resolution), name)
    sizes = [len(instrument.notes) for instrument in midi.instruments]
    notes, ticks = room_for(sizes, name)
    for index, (place, instrument) in enumerate(zip(places(sizes), midi.instruments, strict=True)):
        track_notes = notes[place]
        for row, end in enumerate(("start", "end")):
            seconds = [getattr(note, end) for note in instrument.notes]
            if not np.isfinite(seconds).all():
                raise InputError(f"{name}: a note whose {end} is not a number of seconds")
            ticks[row, place] = [midi.time_to_tick(time) for time in seconds]
        for field, low in (("pitch", 0), ("velocity", 1)):
            values = np.array([getattr(note, field) for note in instrument.notes])
            if len(bad := values[(values < low) | (values > 127)]):
                raise InputError(f"{name}: a note of {field} {bad[0]}, not {low}..127")
            track_notes[field] = values
        track_notes["program"], track_notes["is_drum"] = instrument.program, instrument.is_drum
        track_notes["track"] = index
    metres = [
        (int(midi.time_to_tick(metre.time)), metre.numerator, metre.denominator)
        for metre in midi.time_signature_changes
    ]
    tempos = [
        (int(midi.time_to_tick(time)), float(qpm))
        for time, qpm in zip(*midi.get_tempo_changes(), strict=True)
    ]
    tracks = [
        Track(
            instrument.name,
            DRUM_CHANNEL + 1 if instrument.is_drum else None,
            int(instrument.program),
        )
        for instrument in midi.instruments
    ]
    keys = [_key(signature.key_number) for signature in midi.key_signature_changes]
    last_tick = int(midi.time_to_tick(midi.end_time)) if isinstance(midi, MidiClip) else 0
    key = keys[0] if keys else None
    return Song(name, resolution, notes, ticks, metres, tempos, tracks, end_tick=last_tick, key=key)


def _key(number: int) -> Key:
    """A key as pretty_midi counts: the majors from C up, then the minors."""
    is_minor, tonic = divmod(number, 12)
    num_sharps = (tonic + 3 * is_minor) * 7 % 12  # up a fifth is one sharp more
    return Key(num_sharps - 12 * (num_sharps > 6), bool(is_minor))
