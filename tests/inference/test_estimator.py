"""A trained model among scikit-learn's transformers."""

import pickle

import numpy as np
import pretty_midi
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from trained import Trained

import seqvae
from seqvae.errors import InputError
from seqvae.inference.trained import TrainedVAE
from seqvae.model.config import ModelConfig, Steps
from seqvae.model.vae import SequenceVAE

THINGS = ("the sea.", "a boat.", "red apples.", "old trees.", "the moon.", "music.")
DOGS = [f"Two dogs draw {thing}" for thing in THINGS]
GIRLS = [f"The girl wants {thing}" for thing in THINGS]


def test_rows_are_the_posterior_means_in_order(sentences: Trained) -> None:
    codes = sentences.vae.transform(DOGS)
    assert codes.shape == (6, 4)
    np.testing.assert_allclose(codes, sentences.vae.encode(DOGS).mean, atol=1e-6)
    assert sentences.vae.inverse_transform(codes) == sentences.vae.reconstruct(DOGS)
    np.testing.assert_allclose(
        sentences.vae.transform(np.array(DOGS[::-1])), codes[::-1], atol=1e-6
    )
    assert sentences.vae.fit(DOGS, [1] * 6) is sentences.vae
    np.testing.assert_array_equal(sentences.vae.fit_transform(DOGS, [1] * 6), codes)


def test_a_clip_of_several_windows_is_one_row(melodies: Trained) -> None:
    files = sorted(melodies.source.glob("*.mid"))[:2]
    first, second = melodies.vae.encode(files[0]).mean, melodies.vae.encode(files[1]).mean
    assert len(first) > 1
    expected = torch.stack([first.mean(0), second.mean(0)])
    np.testing.assert_allclose(melodies.vae.transform(files), expected, atol=1e-6)
    clips = melodies.vae.inverse_transform(expected.numpy())
    assert all(isinstance(clip, pretty_midi.PrettyMIDI) for clip in clips)
    assert len(clips) == 2


def test_a_classifier_in_a_pipeline(sentences: Trained) -> None:
    labels = [0] * 6 + [1] * 6
    pipeline = make_pipeline(sentences.vae, StandardScaler(), LogisticRegression(C=1000))
    pipeline.fit(DOGS + GIRLS, labels)
    assert pipeline.score(DOGS + GIRLS, labels) == 1.0
    assert pipeline.predict(["The girl wants the sea."]).tolist() == [1]
    scores = cross_val_score(pipeline, DOGS + GIRLS, labels, cv=2, error_score="raise")
    assert scores.shape == (2,)
    assert clone(pipeline)[0] is sentences.vae
    assert "TrainedVAE" in repr(pipeline)
    assert pipeline.get_params()["trainedvae"] is sentences.vae


def test_a_pipeline_that_was_used_can_be_pickled(sentences: Trained, melodies: Trained) -> None:
    labels, many = [0] * 6 + [1] * 6, (DOGS + GIRLS) * 8  # for which the encoder makes tables
    pipeline = make_pipeline(sentences.vae, LogisticRegression()).fit(DOGS + GIRLS, labels)
    expected = pipeline.predict_proba(many)
    again = pickle.loads(pickle.dumps(pipeline))
    np.testing.assert_array_equal(again.predict_proba(many), expected)
    assert again[0].sample(n=2, seed=0) == sentences.vae.sample(n=2, seed=0)
    (clip,), (same,) = (
        vae.sample(n=1, seed=0) for vae in (melodies.vae, pickle.loads(pickle.dumps(melodies.vae)))
    )
    assert str(same.instruments[0].notes) == str(clip.instruments[0].notes)


@pytest.mark.parametrize("config", [ModelConfig(), ModelConfig(stddev="softplus", bn_gamma=0.5)])
def test_every_encoder_can_be_pickled(config: ModelConfig) -> None:
    model = SequenceVAE(config, Steps(max_steps=4, vocab_sizes=(8,))).eval()
    ids, lengths = torch.ones((2, 4, 1), dtype=torch.int64), torch.tensor([4, 2])
    again = pickle.loads(pickle.dumps(model))
    posterior, same = model.encode(ids, lengths), again.encode(ids, lengths)
    torch.testing.assert_close(same.mean, posterior.mean)
    torch.testing.assert_close(same.log_stddev, posterior.log_stddev)


def test_its_name_says_which_model_it_is(sentences: Trained) -> None:
    assert repr(sentences.vae) == f"TrainedVAE({sentences.run}, text, 4 dimensions)"
    shipped = seqvae.load("melody_2bar", "cpu")
    assert repr(shipped) == "TrainedVAE(melody_2bar, melody, 64 dimensions)"
    assert repr(TrainedVAE(shipped.codec)) == "TrainedVAE(not saved, melody, 64 dimensions)"


def test_what_it_refuses(sentences: Trained) -> None:
    with pytest.raises(InputError, match="no inputs"):
        sentences.vae.transform([])
    with pytest.raises(InputError, match=r"codes of shape \(1, 3\); this model takes \(N, 4\)"):
        sentences.vae.inverse_transform(np.zeros((1, 3)))
    with pytest.raises(InputError, match="code 1 of 2"):
        sentences.vae.inverse_transform([[0.0] * 4, [0.0, np.nan, 0.0, 0.0]])
    with pytest.raises(ValueError, match="no parameter 'depth'"):
        sentences.vae.set_params(depth=3)
    assert sentences.vae.set_params() is sentences.vae
