"""A trained model among scikit-learn's transformers."""

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

from seqvae.errors import InputError

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
