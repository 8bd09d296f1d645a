"""A validation says of which sequences what, and which epoch is the best."""

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import corpus_of, three_files, tiny_config, validated
from trained import Trained

from seqvae.corpus.store import Corpus
from seqvae.model.remedies import BetaSchedule, Objective
from seqvae.model.vae import SequenceVAE
from seqvae.training import validation
from seqvae.training.config import Config
from seqvae.training.validation import Validator, headline, is_best


def planted(config: Config, corpus: Corpus) -> SequenceVAE:
    """A model of zeros: every token is equally likely, and every posterior is N(1, I)."""
    model = SequenceVAE(config.model, corpus.tokenizer.steps)
    assert model.encoder is not None
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.encoder.posterior.bias[: config.model.latent_dim] = 1.0
    return model


def test_the_figures_are_those_of_the_validation_split(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, data=three_files(tmp_path))
    corpus = corpus_of(config)
    figures = validated(Validator(config, corpus), planted(config, corpus)).figures
    num_steps = corpus.splits["valid"].lengths.mean()
    assert num_steps == 3  # two words and the end; training and test lines are longer
    assert figures.num_sequences == 6
    assert figures.nll == pytest.approx(num_steps * math.log(corpus.tokenizer.vocab_sizes[0]))
    assert figures.kl == pytest.approx(4 * 0.5)


@pytest.mark.parametrize(
    ("objective", "cost"),
    [
        (Objective(beta=BetaSchedule(max_beta=0.25, beta_warmup_steps=6)), 0.25 * 2.0),
        (Objective(beta=BetaSchedule(max_beta=0.25), free_nats=0.5), 0.25 * 1.5),
        (Objective(target_kl=1.5), 0.5),
        (Objective(target_kl=3.0), 0.0),
    ],
)
def test_epochs_are_compared_by_the_loss_at_the_final_weight(
    objective: Objective, cost: float, tmp_path: Path
) -> None:
    config = tiny_config(tmp_path, objective=objective)
    corpus = corpus_of(config)
    result = validated(Validator(config, corpus), planted(config, corpus))
    assert result.loss == pytest.approx(result.figures.nll + cost)
    assert result.row()["loss"] == result.loss


def lines_of_many_lengths(folder: Path) -> dict[str, str]:
    """Four training lines, seven validation lines of one to seven words, one test line."""
    lines = {"train": ["a b c d", "a b", "c d", "e f g"], "test": ["a b"]}
    lines["valid"] = [" ".join("abcdefg"[:number]) for number in range(1, 8)]
    for name, texts in lines.items():
        (folder / f"{name}.txt").write_text("".join(f"{text}\n" for text in texts))
    return {name: str(folder / f"{name}.txt") for name in lines}


def test_a_large_split_is_represented_by_the_same_sequences_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "seqvae.training.validation")
    config = tiny_config(tmp_path, data=lines_of_many_lengths(tmp_path))
    corpus = corpus_of(config)
    lengths = corpus.splits["valid"].lengths
    Validator(config, corpus)
    assert "validations take" not in caplog.text  # all of them
    monkeypatch.setattr(validation, "MAX_VALIDATED", 3)
    validator, model = Validator(config, corpus), planted(config, corpus)
    results = [validated(validator, model) for _ in range(2)]
    assert results[0] == results[1]
    assert caplog.text.count("validations take 3 of the 7 sequences") == 1
    chosen = lengths[validator.numbers]
    assert len({*chosen.tolist()}) == 3
    assert chosen.max() > 4  # not the first ones
    assert results[0].figures.num_sequences == 3
    nats_per_step = math.log(corpus.tokenizer.vocab_sizes[0])
    assert results[0].figures.nll == pytest.approx(chosen.mean() * nats_per_step)
    assert np.array_equal(Validator(config, corpus).numbers, validator.numbers)


def test_the_log_shows_sequences_of_medium_length_and_what_becomes_of_them(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, data=lines_of_many_lengths(tmp_path))
    corpus = corpus_of(config)
    examples = validated(Validator(config, corpus), planted(config, corpus)).examples
    assert examples[::2] == ["  in   a b c", "  in   a b c d"]
    assert all(line.startswith("  out  ") for line in examples[1::2])


def test_a_model_that_plays_nothing_has_a_constant_answer(
    melodies: Trained, tmp_path: Path
) -> None:
    config = tiny_config(tmp_path)
    result = validated(Validator(config, melodies.corpus), planted(config, melodies.corpus))
    row = result.row()
    assert row["onset_f1"] == 0
    assert row["accuracy_free_running"] == row["accuracy_constant"]
    assert 0.3 < row["accuracy_constant"] < 0.95  # the steps at which nothing happens
    line = headline(3, result.figures, "best so far")
    assert f"accuracy {row['accuracy_constant']:.4f} (constant answer " in line
    assert line.endswith("  onset F1 0.0000  (best so far)")


def test_text_has_no_onsets(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    corpus = corpus_of(config)
    result = validated(Validator(config, corpus), planted(config, corpus))
    assert list(result.row()) == [
        "loss", "neg_elbo", "nll", "kl", "mi_aggregate", "active_units",
        "accuracy_teacher_forced", "accuracy_free_running", "accuracy_constant",
    ]  # fmt: skip
    line = headline(1, result.figures, "")
    assert line.startswith(f"epoch 1: -ELBO {result.figures.neg_elbo:.2f}  KL 2.00 nats  MI ")
    assert line.endswith(f"(constant answer {result.figures.accuracy_constant:.4f})")


@pytest.mark.parametrize(
    ("losses", "loss", "pretrain_epochs", "best"),
    [
        ([], 5.0, 0, True),
        ([6.0, 7.0], 5.0, 0, True),
        ([6.0, 4.0], 5.0, 0, False),
        ([6.0, 5.0], 5.0, 0, False),  # an equal one is not better
        ([1.0, 2.0], 5.0, 2, True),  # autoencoders are no rivals
        ([1.0, 2.0, 4.0], 5.0, 2, False),
        ([1.0, 2.0, 6.0], 5.0, 2, True),
    ],
)
def test_the_best_epoch_has_the_lowest_loss_after_pretraining(
    losses: list[float], loss: float, pretrain_epochs: int, best: bool
) -> None:
    history: list[dict[str, Any]] = [
        {"epoch": epoch, "loss": value, "nll": -value} for epoch, value in enumerate(losses, 1)
    ]
    assert is_best(loss, history, pretrain_epochs) is best
