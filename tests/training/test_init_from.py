"""A training that begins where another model ends: settings, weights, vocabulary, prior."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from trained import Trained

import seqvae
from seqvae.corpus.prepare import prepare
from seqvae.errors import InputError
from seqvae.inference.bundle import load_bundle
from seqvae.inference.mixture import Mixture, fit_mixture
from seqvae.inference.prior import load_prior
from seqvae.training.config import Config
from seqvae.training.flags import parse_config
from seqvae.training.train import train

BRIEF = ["--trainer.max_epochs", "1", "--trainer.min_epoch_steps", "1", "--data.num_workers", "0",
         "--trainer.accelerator", "cpu"]  # fmt: skip


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A few sentences, some of whose words the base never saw."""
    monkeypatch.chdir(tmp_path)
    text = "".join(f"zebras {verb} a {noun}\n" for verb in "abcdef" for noun in ("car", "quilt"))
    (tmp_path / "mine.txt").write_text(text)
    return tmp_path / "mine.txt"


def config_of(*words: object) -> Config:
    return parse_config("train", [str(word) for word in words])[0]


def test_settings_weights_vocabulary_and_prior_are_those_of_the_base(
    sentences: Trained, lines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = sentences.run / "bundle"
    config = config_of("--init_from", base, "--data.source", lines, *BRIEF,
                       "--trainer.learning_rate", "1e-12")  # fmt: skip
    model, tokenizer = load_bundle(base)
    assert config.name == "my_tiny"
    assert config.model == model.config
    assert config.data.vocabulary == config.trainer.init_from == str(base)
    run = train(config)
    trained, kept = load_bundle(run / "bundle")
    assert kept == tokenizer
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(trained.state_dict()[name], weight, rtol=0, atol=1e-6)
    first, second = (load_prior(at, model.config.latent_dim) for at in (base, run / "bundle"))
    assert first is not None
    assert second is not None
    assert not torch.equal(first.covariance, second.covariance)
    assert seqvae.load(run, "cpu").sample(1, seed=0)


def test_the_length_of_a_base_is_not_taken(sentences: Trained, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(sentences.run / "bundle", base)
    settings = json.loads((base / "config.json").read_text())
    settings["training"]["trainer"] |= {"max_steps": 9, "max_minutes": None}
    (base / "config.json").write_text(json.dumps(settings))
    trainer = config_of("--init_from", base, "--trainer.max_epochs", 3).trainer
    assert (trainer.max_epochs, trainer.max_steps) == (3, None)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--model.decoder_dim", "24"], r"model\.decoder_dim is 24, but .* has 16; leave it out"),
        (["--data.tokenizer.vocab_size", "280"], r"data\.tokenizer\.vocab_size is 280, but"),
        (["--data.vocabulary", "null"], r"keeps its vocabulary; give --data\.vocabulary"),
    ],
)
def test_settings_that_contradict_the_base_are_refused_by_name(
    sentences: Trained, lines: Path, flags: list[str], named: str
) -> None:
    config = config_of("--init_from", sentences.run, "--data.source", lines, *BRIEF, *flags)
    with pytest.raises(InputError, match=named):
        train(config)
    assert not Path("runs/my_tiny").joinpath("config.yaml").exists()
    assert not Path("corpora").exists()


def test_dropout_is_free_and_a_preset_that_contradicts_is_not(
    melodies: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = ["--data.source", melodies.run.parents[1] / "tunes", *BRIEF]
    train(config_of("--init_from", melodies.run, *place, "--model.dropout", "0.3"))
    with pytest.raises(InputError, match=r"model\.\w+ is .*, but .* has"):
        train(config_of("melody_2bar", "--init_from", melodies.run, "--name", "b", *place))


def test_a_model_of_other_data_is_refused_as_such(melodies: Trained, lines: Path) -> None:
    config = config_of("text", "--init_from", melodies.run, "--data.source", lines)
    message = r"tiny is a model of music \(melody\), but data.tokenizer.kind is text; name a model"
    with pytest.raises(InputError, match=message):
        train(config)


def test_a_vocabulary_belongs_to_text_with_the_same_settings(
    sentences: Trained, melodies: Trained, lines: Path
) -> None:
    config = config_of("--init_from", sentences.run, "--data.source", lines, *BRIEF)
    made = prepare(config.data, Path("a"))
    assert made.tokenizer.steps == seqvae.load(sentences.run, "cpu").tokenizer.steps
    learned = prepare(replace(config.data, vocabulary=None), Path("b"))
    assert learned.fingerprint != made.fingerprint
    music = config_of("--init_from", melodies.run).data
    with pytest.raises(InputError, match=r"data\.vocabulary is set, but melody tokens have none"):
        prepare(replace(music, source=str(lines), vocabulary="x"), Path("c"))


def test_what_few_codes_leave_open_comes_from_the_base() -> None:
    torch.manual_seed(0)
    wide = Mixture(torch.ones(1), torch.zeros(1, 3), 4 * torch.eye(3)[None])
    codes = torch.randn(4, 3)
    alone, with_base = fit_mixture(codes), fit_mixture(codes, base=wide)
    assert with_base.covariance.diagonal().min() > 2 * alone.covariance.diagonal().max()
    two = Mixture(torch.full((2,), 0.5), torch.tensor([[-2.0], [2.0]]), torch.ones(2, 1, 1))
    torch.testing.assert_close(two.covariance, torch.tensor([[5.0]]))
