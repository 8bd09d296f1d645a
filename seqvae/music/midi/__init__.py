"""MIDI files <-> pieces: the only place with ticks, and with pretty_midi and symusic.

`container` finds the bytes of a MIDI file in what wraps it, and `mending` what of damaged tracks is
sound. `tracks` has symusic read the tracks, of which `parse` makes songs in ticks; `objects` makes
them of PrettyMIDI objects. `read` puts a song on the grid of a piece, `write` turns a piece into a
`pretty_midi.PrettyMIDI`, the public object for music.
"""

import contextlib
import io

# Where CI is set, pyfluidsynth prints a line as it is imported: not among the results of a command.
with contextlib.redirect_stdout(io.StringIO()):
    from pretty_midi import PrettyMIDI

from seqvae.music.midi.parse import MIDI_SUFFIXES, find_midi
from seqvae.music.midi.read import MAX_STEPS, QPM_RANGE, MidiSource, read_midi
from seqvae.music.midi.rewriting import Original
from seqvae.music.midi.write import to_pretty_midi, write_clips

__all__ = [
    "MAX_STEPS", "MIDI_SUFFIXES", "QPM_RANGE", "MidiSource", "Original", "PrettyMIDI", "find_midi",
    "read_midi", "to_pretty_midi", "write_clips",
]  # fmt: skip
