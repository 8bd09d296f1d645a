"""Codes after gradient steps, against a closed form, exact evidence, and what verbs ask for."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exact import Worth, worth
from tiny import tiny_vae
from trained import Trained

from seqvae import cli
from seqvae.corpus.batches import Batch
from seqvae.errors import InputError
from seqvae.inference import codec as codec_of
from seqvae.inference import refining
from seqvae.inference.options import Coding
from seqvae.inference.refining import refined
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.objective import sequence_nll
from seqvae.model.vae import SequenceVAE

LINES = ["A man sees a boat.", "The girl wants music.", "Two dogs draw old trees."]


def of_target(pull: float) -> SequenceVAE:
    """A model whose nats are pull / 2 times the squared distance of z from TARGET."""
    model = tiny_vae(latent_dim=2)

    def token_nll(z: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return pull / 2 * (z - TARGET).square().sum(-1, keepdim=True)

    model.decoder.token_nll = token_nll
    return model


TARGET = torch.tensor([2.0, -1.0])
ONE = Batch(torch.zeros(1, 1, 1, dtype=torch.long), torch.tensor([1]))


def test_with_nats_enough_a_code_goes_to_where_the_decoder_wants_it() -> None:
    before = DiagonalGaussian(torch.tensor([[3.0, 1.5]]), torch.full((1, 2), -1.5))
    after = refined(of_target(16), ONE, before, 300)
    torch.testing.assert_close(after.mean[0], TARGET, atol=0.05, rtol=0)
    assert after.kl().item() < before.kl().item() + 0.05


def test_a_code_holds_no_more_nats_than_before() -> None:
    before = DiagonalGaussian(torch.tensor([[1.0, -0.3]]), torch.zeros(1, 2))
    after = refined(of_target(0.4), ONE, before, 300)
    assert after.kl().item() == pytest.approx(before.kl().item(), abs=0.02)
    squares = [(q.mean - TARGET).square() + torch.exp(2 * q.log_stddev) for q in (before, after)]
    assert squares[1].sum() < squares[0].sum() - 0.1  # which the nats are 0.2 times


def test_nats_that_save_more_of_the_bound_are_added() -> None:
    before = DiagonalGaussian(torch.tensor([[0.4, 0.0]]), torch.zeros(1, 2))
    after = refined(of_target(16), ONE, before, 300)
    # The posterior of a Gaussian prior and a Gaussian likelihood of precision 16.
    torch.testing.assert_close(after.mean[0], TARGET * 16 / 17, atol=0.08, rtol=0)
    stddev = torch.full((2,), 17**-0.5)
    torch.testing.assert_close(after.log_stddev[0].exp(), stddev, atol=0.04, rtol=0)


@pytest.fixture(scope="module")
def known() -> Worth:
    return worth(2)


def test_the_bound_stays_a_bound_and_reconstructions_come_nearer(known: Worth) -> None:
    model, batch = known.model, known.batch
    with torch.no_grad():
        before = model.encode(*batch[:2])
    after = refined(model, batch, before, 40)
    assert not after.mean.requires_grad
    assert all(weight.grad is None for weight in model.parameters())

    def nats(posterior: DiagonalGaussian) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            draws = [
                sequence_nll(model.decoder(posterior.sample(generator), batch.ids), *batch[:2])
                for _ in range(300)
            ]
        return torch.stack(draws).mean(0)

    bounds = [nats(posterior) + posterior.kl() for posterior in (before, after)]
    assert (bounds[0] - bounds[1]).mean() > 0.02
    assert (bounds[1] > known.nll - 0.05).all()
    assert nats(after).mean() < nats(before).mean() - 0.02


def test_the_code_of_a_sequence_depends_on_no_other(
    known: Worth, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = known.model, known.batch
    with torch.no_grad():
        before = model.encode(*batch[:2])
    together = refined(model, batch, before, 5)
    monkeypatch.setattr(refining, "TOGETHER", 2)
    apart = refined(model, batch, before, 5)
    torch.testing.assert_close(apart.mean, together.mean, atol=1e-5, rtol=0)
    torch.testing.assert_close(apart.log_stddev, together.log_stddev, atol=1e-5, rtol=0)
    assert (together.mean - before.mean).abs().min(1).values.max() > 0.01
    short = Batch(batch.ids[:3, :1], batch.lengths[:3])  # the same without their padding
    alone = refined(model, short, DiagonalGaussian(before.mean[:3], before.log_stddev[:3]), 5)
    torch.testing.assert_close(alone.mean, together.mean[:3], atol=1e-5, rtol=0)


def test_what_cannot_be_refined_is_said(known: Worth) -> None:
    model, batch = known.model, known.batch
    with torch.no_grad():
        before = model.encode(*batch[:2])
    assert refined(model, batch, before, 0) is before
    for number in (-1, 1001):
        with pytest.raises(InputError, match=f"refine is {number}; it must be 0 to 1000"):
            refined(model, batch, before, number)
    with pytest.raises(InputError, match="this model reads a part"):
        refined(model, batch._replace(encoder_input=batch.ids), before, 1)
    nothing = DiagonalGaussian(before.mean[:, :0], before.log_stddev[:, :0])
    with pytest.raises(InputError, match="this model has no code"):
        refined(model, batch, nothing, 1)


# What asks for it


@pytest.mark.parametrize(
    ("verb", "asked"),
    [
        ("encode", {"inputs": LINES}),
        ("reconstruct", {"inputs": LINES}),
        ("interpolate", {"start": LINES[0], "end": LINES[1], "num_steps": 2}),
        ("blend", {"inputs": LINES[:2], "num_steps": 2}),
        ("vary", {"source": LINES[0], "n": 1}),
        ("analogy", {"a": LINES[0], "b": LINES[1], "c": LINES[2]}),
    ],
)
def test_verbs_refine_the_codes_of_their_inputs(
    verb: str, asked: dict[str, Any], sentences: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []

    def spy(
        model: SequenceVAE, batch: Batch, posterior: DiagonalGaussian, num_steps: int
    ) -> DiagonalGaussian:
        steps.append(num_steps)
        return posterior

    monkeypatch.setattr(codec_of, "refined", spy)
    getattr(sentences.vae, verb)(**asked)
    getattr(sentences.vae, verb)(**asked, refine=3)
    assert steps == [0, 3]


def test_a_table_of_codes_is_refined(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lines.txt").write_text("\n".join(LINES))
    out = tmp_path / "codes.npz"
    words = ["encode", sentences.run, tmp_path / "lines.txt", "--out", out, "--refine", "4"]
    monkeypatch.setattr(sys, "argv", ["seqvae", *map(str, words)])
    cli.main()
    plain, expected = sentences.vae.encode(LINES), sentences.vae.encode(LINES, refine=4)
    with np.load(out) as arrays:
        np.testing.assert_allclose(arrays["means"], expected.mean, atol=1e-4)
        np.testing.assert_allclose(arrays["log_stddevs"], expected.log_stddev, atol=1e-4)
    assert (plain.mean - expected.mean).abs().max() > 0.01


def test_evaluation_measures_refined_codes(sentences: Trained) -> None:
    vae = sentences.vae
    plain = vae.evaluate(split="valid", iw_samples=5)
    after = vae.evaluate(split="valid", iw_samples=5, refine=20)
    assert after.nll < plain.nll - 0.1
    assert after.kl < plain.kl + 0.1
    assert after.iw_nll != plain.iw_nll
    again = vae.evaluate(split="valid", iw_samples=5, refine=20)
    assert after == again


def test_a_codec_reads_no_more_than_it_is_asked(sentences: Trained) -> None:
    codec = sentences.vae.codec
    (plain,), (refined_clip,) = codec.read(LINES[0]), codec.read(LINES[0], Coding(refine=2))
    torch.testing.assert_close(plain.z, sentences.vae.encode(LINES[0]).mean)
    assert not torch.equal(plain.z, refined_clip.z)
