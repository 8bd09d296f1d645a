"""Verbs of a model that plays over chords."""

import pytest
import torch
from tiny import tiny_vae

from seqvae.errors import InputError
from seqvae.inference.codec import Codec
from seqvae.inference.mixture import Mixture
from seqvae.inference.trained import TrainedVAE
from seqvae.music.chord_names import NUM_CHORDS
from seqvae.music.midi import read_midi
from seqvae.tokenizers.melody import MelodyTokenizer

MELODY = MelodyTokenizer(num_bars=1, chords=True)


def test_the_verbs_play_over_chords() -> None:
    model = tiny_vae(vocab_sizes=(90,), condition_sizes=(NUM_CHORDS,), max_steps=16, std=1.0)
    vae = TrainedVAE(Codec(model, MELODY), prior=Mixture.standard(3))
    plain = [read_midi(clip, 4).notes.tolist() for clip in vae.sample(4, seed=1)]
    over = [read_midi(clip, 4).notes.tolist() for clip in vae.sample(4, seed=1, chords="C Am")]
    assert plain != over
    clips = vae.sample(2, seed=2, chords="F")
    own = [read_midi(clip, 4).notes.tolist() for clip in vae.reconstruct(clips)]
    other = [read_midi(clip, 4).notes.tolist() for clip in vae.reconstruct(clips, chords="F#m")]
    assert own != other
    assert len(vae.interpolate(*clips, num_steps=3, chords="C F G C")) == 3
    assert len(vae.decode(torch.zeros(2, 3))) == 2
    with pytest.raises(InputError, match="17 chords; a window has 16 steps"):
        vae.sample(1, chords="C " * 17)
    with pytest.raises(InputError, match="'Xm7' is not a chord"):
        vae.sample(1, chords="C Xm7")


def test_a_model_without_chords_says_so() -> None:
    vae = TrainedVAE(Codec(tiny_vae(vocab_sizes=(90,), max_steps=16), MelodyTokenizer(num_bars=1)))
    with pytest.raises(InputError, match=r"knows no chords; train one with data.tokenizer.chords"):
        vae.sample(1, chords="C")
