"""Models that read all clips in a common key give each output the key of its clip."""

from pathlib import Path

import numpy as np
import pytest
from tiny import tiny_vae
from trained import Trained

from seqvae.errors import InputError
from seqvae.inference import modes
from seqvae.inference.codec import Codec, Item
from seqvae.inference.mixture import Mixture
from seqvae.inference.options import Reading
from seqvae.inference.trained import TrainedVAE
from seqvae.music.chord_names import NUM_CHORDS
from seqvae.music.keys import find_key, parse_key, transposed
from seqvae.music.midi import read_midi, to_pretty_midi
from seqvae.music.notes import Key, Piece, make_notes, pitched_notes
from seqvae.tokenizers.drums import DrumsTokenizer
from seqvae.tokenizers.melody import MelodyTokenizer

TUNE = Piece(
    make_notes(range(0, 16, 2), range(2, 18, 2), [60, 64, 67, 65, 64, 62, 59, 60]), 4, key=Key(0)
)


def model(*, keys: str = "normalised", chords: bool = False) -> TrainedVAE:
    """One bar of melody, untrained: what it writes depends on its codes and conditions."""
    vae = tiny_vae(vocab_sizes=(90,), condition_sizes=(NUM_CHORDS,) * chords, max_steps=16, std=1.0)
    return TrainedVAE(
        Codec(vae, MelodyTokenizer(num_bars=1, keys=keys, chords=chords)), prior=Mixture.standard(3)
    )


def clip(folder: Path, semitones: int) -> Path:
    """A file of the tune, moved."""
    file = folder / f"{semitones}.mid"
    to_pretty_midi(transposed(TUNE, semitones)).write(str(file))
    return file


def pitches(item: Item) -> list[int]:
    assert not isinstance(item, str)
    notes: list[int] = read_midi(item, 4).notes["pitch"].tolist()
    return notes


def up(values: list[int], semitones: int) -> list[int]:
    return [value + semitones for value in values]


@pytest.mark.parametrize("semitones", [2, 5, -3])
def test_what_is_made_of_a_clip_is_in_its_key(tmp_path: Path, semitones: int) -> None:
    vae = model()
    plain, moved = clip(tmp_path, 0), clip(tmp_path, semitones)
    for verb in (vae.reconstruct, lambda file: vae.vary(file, n=2, seed=1)):
        for first, second in zip(verb(plain), verb(moved), strict=True):
            assert pitches(second) == up(pitches(first), semitones)
    own = model(keys="as_written")
    first, second = own.reconstruct([plain, moved])
    assert pitches(second) != up(pitches(first), semitones)


def test_between_two_clips_the_key_is_that_of_the_nearer(tmp_path: Path) -> None:
    vae = model()
    plain, moved = clip(tmp_path, 0), clip(tmp_path, 2)
    (same,) = vae.reconstruct(plain)
    path = [pitches(item) for item in vae.interpolate(plain, moved, num_steps=4)]
    assert path == [pitches(same)] * 2 + [up(pitches(same), 2)] * 2
    assert [pitches(item) for item in vae.interpolate(plain, moved, num_steps=4, key="D")] == [
        up(pitches(same), 2)
    ] * 4
    (analogy,) = vae.analogy(moved, plain, plain)
    assert pitches(analogy) == up(pitches(same), 2)


def test_samples_come_in_the_key_that_is_asked_for() -> None:
    vae = model()
    plain = {is_minor: [] for is_minor in (True, False)}
    for item in vae.sample(8, seed=1):
        plain[modes.is_minor(item)].append(pitches(item))
    assert all(plain.values())
    for name, key, semitones in (("E minor", Key(1, True), -5), ("Bb", Key(-2), -2)):
        samples = vae.sample(8, seed=1, key=name)
        assert len(samples) == 8
        for sample, first in zip(samples, plain[key.is_minor], strict=False):
            assert pitches(sample) == up(first, semitones)
            assert not isinstance(sample, str)
            assert read_midi(sample, 4).key == key
        assert {modes.is_minor(sample) for sample in samples} == {key.is_minor}


def test_samples_in_a_rare_mode_are_filled_up(caplog: pytest.LogCaptureFixture) -> None:
    scale = to_pretty_midi(TUNE)
    assert modes.is_minor(scale) is False
    assert modes.in_mode_of(Key(0, True), lambda: [scale], 3) == [scale] * 3
    assert "0 of 3 samples are in A minor" in caplog.text
    assert modes.in_mode_of(Key(0), lambda: [scale, scale], 3) == [scale] * 3
    assert len(caplog.records) == 1


def test_a_model_of_keys_as_they_are_written_moves_its_outputs(tmp_path: Path) -> None:
    vae = model(keys="as_written")
    file = clip(tmp_path, 0)
    (own,), (moved,) = vae.reconstruct(file), vae.reconstruct(file, key="D")
    assert not isinstance(own, str)
    assert not isinstance(moved, str)
    found = find_key(pitched_notes(read_midi(own, 4)))
    assert found is not None
    way = {*(np.array(pitches(moved)) - pitches(own)).tolist()}
    assert len(way) == 1
    assert (way.pop() - 2 - 7 * -found.num_sharps) % 12 == 0
    assert read_midi(moved, 4).key == Key(2)


def test_the_key_of_a_clip_can_be_said(tmp_path: Path) -> None:
    codec, file = model().codec, clip(tmp_path, 2)
    (found,) = codec.windows(file)
    (said,) = codec.windows(file, Reading(input_key="F"))
    assert (found.moved, said.moved) == (-2, -5)
    assert said.ids[0, 0] == found.ids[0, 0] - 3
    with pytest.raises(InputError, match="input_key is 'F'; this model reads every clip as it is"):
        model(keys="as_written").codec.windows(file, Reading(input_key="F"))
    with pytest.raises(InputError, match="key is 'H'; write it as 'E minor'"):
        codec.windows(file, Reading(input_key="H"))


def test_chords_are_those_that_are_heard(tmp_path: Path) -> None:
    vae = model(chords=True)
    plain, moved = clip(tmp_path, 0), clip(tmp_path, 2)
    (first,), (second,) = vae.reconstruct(plain, chords="C"), vae.reconstruct(moved, chords="D")
    assert pitches(second) == up(pitches(first), 2)
    in_d = vae.sample(2, seed=3, chords="D A", key="D")
    in_c = vae.sample(2, seed=3, chords="C G", key="C")
    assert [pitches(item) for item in in_d] == [up(pitches(item), 2) for item in in_c]


def test_models_without_pitches_have_no_keys(sentences: Trained) -> None:
    drums = TrainedVAE(
        Codec(tiny_vae(vocab_sizes=(512,), max_steps=16), DrumsTokenizer(num_bars=1)),
        prior=Mixture.standard(3),
    )
    with pytest.raises(InputError, match="key is 'C'; a model of drums has no keys"):
        drums.sample(1, key="C")
    with pytest.raises(InputError, match="key is 'C'; a model of text has no keys"):
        sentences.vae.sample(1, key="C")
    with pytest.raises(InputError, match="key is 'C minorr'; write it"):
        model().sample(1, key="C minorr")
    assert parse_key("C") == Key(0)
