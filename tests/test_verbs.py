"""Blends, variations, analogies, shifts and scores, on text and on music."""

import logging
import math
import shutil
from pathlib import Path

import pytest
import torch
from trained import Trained

import seqvae
from seqvae.corpus.batches import Batch
from seqvae.errors import InputError
from seqvae.inference.clips import Clip, corner_weights, cut_to_shortest
from seqvae.inference.codec import padded
from seqvae.inference.metrics import importance_weighted_nll
from seqvae.model.latent import weighted
from seqvae.music.midi import read_midi

TEXTS = [
    "A man likes the sea.", "Two dogs draw old trees.", "The girl wants music.",
    "A man sees a boat.",
]  # fmt: skip


@pytest.mark.parametrize(
    ("num_corners", "corners", "num_outputs"),
    [(2, [0, 4], 5), (3, [0, 10, 14], 15), (4, [0, 4, 20, 24], 25)],
)
def test_a_blend_has_its_inputs_at_the_corners(
    sentences: Trained, num_corners: int, corners: list[int], num_outputs: int
) -> None:
    inputs = TEXTS[:num_corners]
    outputs = sentences.vae.blend(inputs, num_steps=5)
    assert len(outputs) == num_outputs
    assert [outputs[i] for i in corners] == sentences.vae.reconstruct(inputs)
    weights = torch.tensor(corner_weights(num_corners, 5))
    torch.testing.assert_close(weights.sum(1), torch.ones(num_outputs))
    assert (weights >= 0).all()


def test_weighted_codes_are_as_long_as_codes_are() -> None:
    z = torch.randn(4, 3, 200, generator=torch.Generator().manual_seed(0))
    even = weighted(z, torch.full((4,), 0.25))
    torch.testing.assert_close(even.norm(dim=-1), z.norm(dim=-1).mean(0))
    mean = z.mean(0)
    torch.testing.assert_close(
        torch.nn.functional.cosine_similarity(even, mean, dim=-1), torch.ones(3)
    )
    torch.testing.assert_close(weighted(z, torch.eye(4)[2]), z[2])
    opposite = torch.stack([z[0], -z[0]])
    assert weighted(opposite, torch.tensor([0.5, 0.5])).isfinite().all()


def test_a_blend_of_clips_has_their_mean_tempo(melodies: Trained) -> None:
    tunes = [melodies.source / f"tune_{number:04d}.mid" for number in range(3)]
    clips = melodies.vae.blend(tunes, num_steps=2, bar=1)
    assert len(clips) == 3
    own = [read_midi(tune, 4).qpm_at(0) for tune in tunes]
    assert [read_midi(clip, 4).qpm_at(0) for clip in clips] == pytest.approx(own, rel=1e-3)


def test_variations_begin_at_the_reconstruction_and_end_at_samples(sentences: Trained) -> None:
    vae = sentences.vae
    assert vae.vary(TEXTS[0], n=3, distance=0) == vae.reconstruct(TEXTS[0]) * 3
    far = [vae.vary(text, n=5, distance=1, seed=1) for text in TEXTS[:2]]
    assert far[0] == far[1]  # nothing is left of the input
    generator = vae.codec.generator(1)
    z = vae.prior.sample(5, generator)
    assert far[0] == vae.decode(z)
    assert vae.vary(TEXTS[0], seed=2) == vae.vary(TEXTS[0], seed=2)


def test_an_analogy_is_arithmetic(sentences: Trained) -> None:
    vae, (a, b, c) = sentences.vae, TEXTS[:3]
    assert vae.analogy(a, b, b) == vae.reconstruct(a)
    assert vae.analogy(a, a, c) == vae.reconstruct(c)
    first, second, third = vae.encode([a, b, c]).mean
    assert vae.analogy(a, b, c) == vae.decode((first - second + third)[None])


def test_a_shift_goes_along_its_direction(
    sentences: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(sentences.run, tmp_path / "run")
    vae = seqvae.load(tmp_path / "run")
    vae.attributes(sentences.corpus, method="means")
    z = vae.encode(TEXTS).mean
    expected = vae.decode(vae.directions.shift(z, "length", 1.5))
    assert vae.shift(TEXTS, attribute="length", amount=1.5) == expected
    with caplog.at_level(logging.WARNING):
        vae.shift(TEXTS[0], attribute="length", amount=-3, keep_others=True)
    assert "amount is -3" in caplog.text


def test_scores_are_nats_a_step(sentences: Trained, melodies: Trained) -> None:
    vae = sentences.vae
    scores = vae.score(TEXTS, seed=3)
    assert scores == vae.score(TEXTS, seed=3)
    ids, lengths = padded([vae.codec.windows(text)[0].ids for text in TEXTS])
    batch = Batch(torch.from_numpy(ids), lengths)
    nats = importance_weighted_nll(vae.model, batch, 20, vae.codec.generator(3)).nll
    assert [score.per_step for score in scores] == pytest.approx((nats / lengths).tolist())
    assert all(score.per_event == score.per_step for score in scores)  # an event is a token
    loose, tight = (vae.score(TEXTS, iw_samples=number) for number in (1, 200))
    assert sum(score.per_step for score in tight) < sum(score.per_step for score in loose)
    whole = melodies.source / "tune_0000.mid"  # windows of 32 steps: the mean of their scores
    windows = len(melodies.vae.encode(whole).mean)
    parts = [melodies.vae.score(whole, bar=1 + 2 * i, iw_samples=500)[0] for i in range(windows)]
    (score,) = melodies.vae.score(whole, iw_samples=500)
    assert score.per_step == pytest.approx(sum(p.per_step for p in parts) / windows, rel=0.02)
    num_notes = sum(
        len(melodies.vae.codec.piece(w.ids).notes) for w in melodies.vae.codec.windows(whole)
    )
    assert score.per_event == pytest.approx(score.per_step * 32 * windows / num_notes)


def test_what_cannot_be_read_is_infinitely_unlikely(
    melodies: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.mid").write_text("no music")
    tune = melodies.source / "tune_0000.mid"
    with caplog.at_level(logging.WARNING):
        broken, fine = melodies.vae.score([tmp_path / "broken.mid", tune])
    assert math.isinf(broken.per_step)
    assert math.isinf(broken.per_event)
    assert math.isfinite(fine.per_event)
    assert "broken.mid" in caplog.text


def test_unusable_settings_name_the_reason(sentences: Trained, melodies: Trained) -> None:
    vae, tune = sentences.vae, str(melodies.source / "tune_0000.mid")
    for number in (1, 5):
        with pytest.raises(InputError, match=f"{number} inputs?; blend takes two to four"):
            vae.blend([TEXTS[0]] * number)
    with pytest.raises(InputError, match=r"^1 input;"):
        vae.blend(TEXTS[0])
    with pytest.raises(InputError, match="num_steps is 1"):
        vae.blend(TEXTS, num_steps=1)
    with pytest.raises(InputError, match=r"tune_0000.mid: a file; this model takes sentences"):
        vae.blend([TEXTS[0], tune])
    with pytest.raises(InputError, match=r"A man likes the sea"):
        melodies.vae.blend([tune, TEXTS[0]])
    for distance in (-0.1, 1.1, math.nan):
        with pytest.raises(InputError, match=f"distance is {distance}"):
            vae.vary(TEXTS[0], distance=distance)
    with pytest.raises(InputError, match="n is 0"):
        vae.vary(TEXTS[0], n=0)
    with pytest.raises(InputError, match="no attributes yet"):
        vae.shift(TEXTS, attribute="length")
    for amount in (math.inf, math.nan):
        with pytest.raises(InputError, match=f"amount is {amount}"):
            vae.shift(TEXTS, attribute="length", amount=amount)
    with pytest.raises(InputError, match="iw_samples is 0"):
        vae.score(TEXTS, iw_samples=0)


def test_the_longer_clip_is_cut_with_a_warning(
    melodies: Trained, caplog: pytest.LogCaptureFixture
) -> None:
    clips = melodies.vae.codec.read([melodies.source / f"tune_{n:04d}.mid" for n in (0, 1)])
    assert [len(clip.z) for clip in cut_to_shortest(clips)] == [len(clips[0].z)] * 2
    assert not caplog.records
    short = Clip(clips[1].windows[:1], clips[1].z[:1])
    cut = cut_to_shortest([clips[0], short])
    assert [len(clip.windows) for clip in cut] == [len(clip.z) for clip in cut] == [1, 1]
    number = len(clips[0].z)
    assert f"the inputs have {number} and 1 windows; of each the first is used" in caplog.text


def test_a_file_is_no_sentence(sentences: Trained, tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("A man sleeps.\n")
    with pytest.raises(InputError, match=r"mine.txt: a file; this model takes sentences"):
        sentences.vae.reconstruct(str(file))
    assert sentences.vae.reconstruct("A man sleeps. " + "x" * 9)


def test_codes_may_be_arrays(sentences: Trained) -> None:
    z = sentences.vae.encode(TEXTS).mean
    assert sentences.vae.decode(z.cpu().numpy()) == sentences.vae.decode(z)
