"""Clips as sound: WAV files through FluidSynth, which is an extra.

pretty_midi brings the sounds, a General MIDI SoundFont.
"""

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pretty_midi

from seqvae.errors import InputError

SAMPLE_RATE = 44_100  # Hz
PEAK = 0.9  # of full scale
INSTALL = (
    "FluidSynth or its Python module is missing: install the one (apt install fluidsynth, "
    'brew install fluid-synth) and the other (pip install "seqvae[audio]")'
)


def check_audio() -> None:
    """Refuse where FluidSynth is not installed.

    Raises:
        InputError: it is not; the message says how to install it.
    """
    try:
        import fluidsynth  # noqa: F401
    except ImportError as error:  # the module, or the library that it looks for
        raise InputError(INSTALL) from error


def write_audio(clips: Sequence[pretty_midi.PrettyMIDI], midi_files: Sequence[Path]) -> list[Path]:
    """Write a mono WAV of 16 bits beside each MIDI file, under its name; returns the paths."""
    check_audio()
    paths = []
    for clip, file in zip(clips, midi_files, strict=True):
        sound = np.zeros(SAMPLE_RATE)  # silence has a second
        if any(instrument.notes for instrument in clip.instruments):
            sound = clip.fluidsynth(fs=SAMPLE_RATE)
        paths.append(file.with_suffix(".wav"))
        with wave.open(str(paths[-1]), "wb") as opened:
            opened.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
            opened.writeframes((sound * PEAK * 32767).astype("<i2").tobytes())
    return paths
