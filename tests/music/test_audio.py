"""Sound files."""

import sys
import wave
from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from seqvae.errors import InputError
from seqvae.music import audio
from seqvae.music.audio import SAMPLE_RATE, check_audio, write_audio
from seqvae.music.midi import to_pretty_midi
from seqvae.music.notes import Piece, Tempo, make_notes

try:
    check_audio()
    MISSING = ""
except InputError as error:
    MISSING = str(error)


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_a_clip_sounds_as_long_as_it_is_and_silence_is_silent(tmp_path: Path) -> None:
    notes = make_notes([0, 4, 8], [4, 8, 16], [60, 64, 67], velocity=100)
    clips = [
        to_pretty_midi(Piece(notes, 4, tempos=(Tempo(0, 120.0),))),
        to_pretty_midi(Piece(make_notes([], [], []), 4, num_steps=16)),
    ]
    files = write_audio(clips, [tmp_path / "a.mid", tmp_path / "b.mid"])
    assert [file.name for file in files] == ["a.wav", "b.wav"]
    sounds = []
    for file in files:
        with wave.open(str(file)) as opened:
            assert opened.getframerate() == SAMPLE_RATE
            sounds.append(np.frombuffer(opened.readframes(opened.getnframes()), np.int16))
    assert len(sounds[0]) >= 2 * SAMPLE_RATE  # 16 steps at 120 quarters a minute
    assert abs(sounds[0]).max() > 20_000
    assert not sounds[1].any()


class PlantedClip(pretty_midi.PrettyMIDI):
    """A clip with one note, which sounds as a constant, for as many samples as it is told Hz."""

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = level
        self.instruments.append(pretty_midi.Instrument(0))
        self.instruments[0].notes.append(pretty_midi.Note(80, 60, 0.0, 1.0))

    def fluidsynth(self, fs: int) -> np.ndarray:
        return np.full(fs, self.level)


def test_each_clip_is_heard_in_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(audio, "check_audio", lambda: None)
    levels = [1.0, -0.5]
    files = write_audio(
        [PlantedClip(level) for level in levels], [tmp_path / "a.mid", tmp_path / "b.mid"]
    )
    for file, level in zip(files, levels, strict=True):
        with wave.open(str(file)) as opened:
            shape = (opened.getnchannels(), opened.getsampwidth(), opened.getframerate())
            assert shape == (1, 2, SAMPLE_RATE)
            assert opened.getnframes() == SAMPLE_RATE
            sound = np.frombuffer(opened.readframes(SAMPLE_RATE), "<i2")
        assert set(sound.tolist()) == {int(level * 0.9 * 32767)}


def test_without_fluidsynth_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "fluidsynth", None)
    with pytest.raises(InputError, match=r"FluidSynth or its .* missing: .*pip install"):
        write_audio([], [tmp_path / "a.mid"])
    assert not list(tmp_path.iterdir())
