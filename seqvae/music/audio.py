"""Clips as sound: WAV files rendered by FluidSynth, which is an optional dependency.

The sounds are those of the General MIDI SoundFont that comes with pretty_midi.
"""

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seqvae.disk import replaced_file
from seqvae.errors import InputError
from seqvae.music.midi import PrettyMIDI

SAMPLE_RATE = 44_100  # Hz
PEAK = 0.9  # of full scale
INSTALL = (
    "FluidSynth or its Python module is missing: install the program (apt install fluidsynth, "
    'brew install fluid-synth) and the module (pip install "seqvae[audio]")'
)


def check_audio() -> None:
    """Check that FluidSynth is installed.

    Raises:
        InputError: it is missing; the message says how to install it.
    """
    try:
        import fluidsynth  # noqa: F401
    except ImportError as error:  # also raised by the module if it does not find the library
        raise InputError(INSTALL) from error


def write_audio(clips: Sequence[PrettyMIDI], midi_files: Sequence[Path]) -> list[Path]:
    """Write each clip as a 16-bit mono WAV file beside its MIDI file; returns the paths."""
    check_audio()
    paths = []
    for clip, file in zip(clips, midi_files, strict=True):
        sound = np.zeros(SAMPLE_RATE)  # a silent clip becomes one second
        if any(instrument.notes for instrument in clip.instruments):
            sound = clip.fluidsynth(fs=SAMPLE_RATE)
        paths.append(file.with_suffix(".wav"))
        with replaced_file(paths[-1]) as beside, wave.open(str(beside), "wb") as opened:
            opened.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
            opened.writeframes((sound * PEAK * 32767).astype("<i2").tobytes())
    return paths
