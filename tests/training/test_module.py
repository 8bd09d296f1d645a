"""What happens between two steps, and between two epochs: the wiring of a training."""

import copy
import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import random_ids, randomised
from tiny_runs import checkpoint, corpus_of, three_files, tiny_config

import seqvae
from seqvae.corpus.batches import Batch
from seqvae.model.config import ModelConfig, Steps
from seqvae.model.objective import TargetRate
from seqvae.model.remedies import BetaSchedule, Objective
from seqvae.model.vae import SequenceVAE
from seqvae.training import module as module_file
from seqvae.training.averages import TrainingNats, move_average, sums_of
from seqvae.training.checkpoint import read_metrics
from seqvae.training.module import VAETraining
from seqvae.training.train import train


class Step:
    """What a step was computed with."""

    def __init__(self, module: VAETraining, batch: Batch) -> None:
        assert module.model.encoder is not None
        self.seed = torch.initial_seed()  # the one that was set last
        self.ids = batch.ids
        self.beta = float(module.beta())
        self.learning_rate = module.raw_optimizer.param_groups[0]["lr"]
        self.optimizer_state = dict(module.raw_optimizer.state)
        self.encoder = module.model.encoder.posterior.weight.detach().clone()
        self.decoder = module.model.decoder.heads.logits[0].weight.detach().clone()
        self.weights = [weight.detach().clone() for weight in module.model.parameters()]
        self.nll = self.kl = torch.empty(0)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """A record of every step of the trainings that follow."""
    made: list[Step] = []
    inner = VAETraining.training_step

    def training_step(self: VAETraining, batch: Batch, batch_idx: int) -> dict[str, Any]:
        made.append(Step(self, batch))
        outputs = inner(self, batch, batch_idx)
        made[-1].nll, made[-1].kl = outputs["nll"], outputs["kl"]
        return outputs

    monkeypatch.setattr(VAETraining, "training_step", training_step)
    return made


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A copy of the state that the trainings that follow write after each epoch."""
    made: list[dict[str, Any]] = []
    inner = module_file.write_checkpoint

    def write_checkpoint(run: Path, state: dict[str, Any]) -> None:
        made.append(copy.deepcopy(state))
        inner(run, state)

    monkeypatch.setattr(module_file, "write_checkpoint", write_checkpoint)
    return made


def test_each_step_has_its_own_noise(tmp_path: Path, steps: list[Step]) -> None:
    train(tiny_config(tmp_path), tmp_path / "one")
    train(tiny_config(tmp_path, seed=1), tmp_path / "two")
    assert len({step.seed for step in steps}) == len(steps) == 20


def test_each_rank_has_its_own_noise(
    tmp_path: Path, steps: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (0, 1, 2):
        monkeypatch.setattr(module_file, "rank", lambda number=number: number)
        train(tiny_config(tmp_path, seed=2**32 - 1, max_epochs=1), tmp_path / str(number))
    assert len({step.seed for step in steps}) == len(steps) == 15


def test_each_seed_has_its_own_initial_weights(tmp_path: Path, steps: list[Step]) -> None:
    for name, seed in (("one", 0), ("two", 1), ("three", 0)):
        train(tiny_config(tmp_path, seed=seed, max_epochs=1), tmp_path / name)
    one, two, three = (torch.cat([w.flatten() for w in steps[i].weights]) for i in (0, 5, 10))
    assert not torch.equal(one, two)
    assert torch.equal(one, three)


def test_the_split_that_is_trained_on_is_the_training_split(
    tmp_path: Path, steps: list[Step]
) -> None:
    train(tiny_config(tmp_path, data=three_files(tmp_path)), tmp_path)
    assert {step.ids.shape[1] for step in steps} == {5}  # four words and the end


def test_the_encoder_reads_its_own_input(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    module = VAETraining(config, corpus_of(config), tmp_path)
    randomised(module.model)
    ids, other = (random_ids(module.model.steps.vocab_sizes, 3, 5, seed=seed) for seed in (0, 1))
    lengths = torch.tensor([5, 5, 4])
    hidden = module.training_step(Batch(ids, lengths, encoder_input=other), 0)
    torch.testing.assert_close(
        hidden["kl"], module.training_step(Batch(other, lengths), 0)["kl"], rtol=1e-4, atol=1e-4
    )
    assert not torch.allclose(hidden["kl"], module.training_step(Batch(ids, lengths), 0)["kl"])


def test_gradients_are_clipped_to_a_norm(tmp_path: Path, steps: list[Step]) -> None:
    config = tiny_config(
        tmp_path, optimizer="sgd", learning_rate=0.5, warmup_steps=0, grad_clip=0.25, batch_size=99,
        final_learning_rate_share=1.0,
    )  # fmt: skip
    train(config, tmp_path)
    before, after = (torch.cat([w.flatten() for w in step.weights]) for step in steps)
    assert float((after - before).norm()) == pytest.approx(0.5 * 0.25, rel=1e-4)


def test_pretraining_is_an_autoencoder_and_ends_with_a_fresh_decoder_and_optimizer(
    tmp_path: Path, steps: list[Step]
) -> None:
    config = tiny_config(tmp_path, pretrain_epochs=2, max_epochs=3, warmup_steps=2)
    run = train(config, tmp_path)
    assert [step.beta for step in steps[:10]] == [0.0] * 10
    assert [step.beta for step in steps[10:]] == pytest.approx([step / 6 for step in range(5)])
    rates = [step.learning_rate for step in steps]
    assert rates[10:12] == pytest.approx(rates[:2])  # the warm-up comes twice

    def moves(weights: list[torch.Tensor]) -> list[float]:
        return [float((b - a).abs().max()) for a, b in itertools.pairwise(weights)]

    decoders, encoders = ([getattr(s, part) for s in steps] for part in ("decoder", "encoder"))
    assert moves(decoders)[9] > 20 * max(moves(decoders)[:9])
    assert moves(encoders)[9] < 2 * max(moves(encoders)[:9])
    assert steps[9].optimizer_state
    assert not steps[10].optimizer_state
    assert checkpoint(run)["optimizer"]["state"][0]["step"] == 5
    row = read_metrics(run)[2]
    card = (run / "bundle" / "README.md").read_text()  # an autoencoder is never the best epoch
    assert f"| neg_elbo | {row['neg_elbo']:.4g} |" in card


def test_the_target_rate_moves_only_after_pretraining(
    tmp_path: Path, states: list[dict[str, Any]]
) -> None:
    train(tiny_config(tmp_path, objective=Objective(target_kl=9.0), pretrain_epochs=1), tmp_path)
    start = torch.tensor(math.log(TargetRate.START))
    assert torch.equal(states[0]["rate"]["log_beta"], start)
    assert states[1]["rate"]["log_beta"] < start - 2 * TargetRate.SPEED


def test_the_columns_of_a_row_tell_of_the_training_since_the_row_before(
    tmp_path: Path, steps: list[Step]
) -> None:
    objective = Objective(beta=BetaSchedule(beta_warmup_steps=40))
    config = tiny_config(tmp_path, objective=objective, max_epochs=5, validate_every=2)
    rows = read_metrics(train(config, tmp_path))
    assert [row["epoch"] for row in rows] == [2, 4, 5]
    for row, (first, last) in zip(rows, [(0, 10), (10, 20), (20, 25)], strict=True):
        of_row = steps[first:last]
        assert row["step"] == last
        assert row["beta"] == pytest.approx((last - 1) / 40)
        assert row["learning_rate"] == of_row[-1].learning_rate
        for name in ("nll", "kl"):
            values = torch.cat([getattr(step, name) for step in of_row]).double()
            assert row[f"train_{name}"] == pytest.approx(float(values.mean()), rel=1e-6)


def test_the_beta_of_a_target_is_logged(tmp_path: Path, steps: list[Step]) -> None:
    config = tiny_config(tmp_path, objective=Objective(target_kl=9.0), pretrain_epochs=1)
    rows = read_metrics(train(config, tmp_path))
    assert [row["beta"] for row in rows] == [0.0, steps[-1].beta]
    assert steps[-1].beta < TargetRate.START


def test_means_are_over_sequences() -> None:
    nats = TrainingNats()
    nats.add(sums_of(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.5, 0.5, 0.5])))
    nats.add(sums_of(torch.tensor([6.0]), torch.tensor([2.5])))
    assert nats.means() == {"nll": 3.0, "kl": 1.0}


def test_an_epoch_of_a_small_corpus_is_several_passes(tmp_path: Path, steps: list[Step]) -> None:
    run = train(tiny_config(tmp_path, min_epoch_steps=12), tmp_path)
    assert checkpoint(run)["step"] == 30  # five batches a pass, three passes an epoch
    orders = [step.ids.flatten().tolist() for step in steps]
    passes = [sorted(orders[i : i + 5]) for i in range(0, 30, 5)]
    words = [sorted(itertools.chain(*one)) for one in passes]
    assert words == [words[0]] * 6
    assert len({str(one) for one in passes}) == 6


def test_a_corpus_smaller_than_a_batch_trains(tmp_path: Path) -> None:
    run = train(tiny_config(tmp_path, batch_size=1000), tmp_path)
    assert checkpoint(run)["step"] == 2  # one batch an epoch


@pytest.mark.parametrize(
    ("step", "decay", "weight"), [(0, 0.9, 1.0), (10, 0.9, 0.5), (10, 0.4, 0.6), (9990, 0.9, 0.1)]
)
def test_an_average_is_one_of_weights_and_of_statistics(
    step: int, decay: float, weight: float
) -> None:
    config = ModelConfig(latent_dim=3, embedding_dim=4, encoder_dim=5, decoder_dim=6, bn_gamma=0.5)
    steps = Steps(vocab_sizes=(5,), max_steps=6)
    average, model = (randomised(SequenceVAE(config, steps), seed=seed) for seed in (0, 1))
    for buffer in model.buffers():
        buffer.add_(torch.rand_like(buffer))
    assert list(model.buffers())
    before = [copy.deepcopy(module.state_dict()) for module in (average, model)]
    move_average(average, model, step=step, decay=decay)
    for name, value in average.state_dict().items():
        expected = (1 - weight) * before[0][name] + weight * before[1][name]
        torch.testing.assert_close(value, expected, msg=name)
        assert torch.equal(model.state_dict()[name], before[1][name]), name


def test_an_average_starts_afresh_after_the_pretraining(
    tmp_path: Path, states: list[dict[str, Any]]
) -> None:
    one_step = {"batch_size": 1000, "max_epochs": 4, "pretrain_epochs": 3}  # per epoch
    train(tiny_config(tmp_path, ema_decay=0.9, **one_step), tmp_path)
    for name, value in states[3]["average"].items():
        assert torch.equal(value, states[3]["model"][name]), name
    assert not torch.equal(
        states[2]["average"]["decoder.start"], states[2]["model"]["decoder.start"]
    )


def test_the_bundle_holds_the_average_of_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(tmp_path, ema_decay=0.8, max_epochs=6)
    weights: list[torch.Tensor] = []
    inner = VAETraining.on_train_batch_end

    def on_train_batch_end(self: VAETraining, *arguments: object) -> None:
        weights.append(self.model.decoder.start.detach().clone())
        inner(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(VAETraining, "on_train_batch_end", on_train_batch_end)
    run = train(config, tmp_path)
    averages = running(weights)
    saved = checkpoint(run)["average"]["decoder.start"]
    torch.testing.assert_close(saved, averages[-1], rtol=1e-5, atol=1e-7)
    assert not torch.equal(saved, weights[-1])
    kept = seqvae.load(run).model.decoder.start.cpu()
    assert any(torch.allclose(kept, average) for average in averages)


def running(weights: list[torch.Tensor]) -> list[torch.Tensor]:
    """The moving average after each step."""
    averages = [weights[0]]
    for step, weight in enumerate(weights[1:], start=1):
        decay = min(0.8, step / (10 + step))
        averages.append(decay * averages[-1] + (1 - decay) * weight)
    return averages


def test_a_collapsing_run_says_so_once_with_the_setting_to_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heavy = Objective(beta=BetaSchedule(shape="constant", max_beta=20.0))
    config = tiny_config(
        tmp_path, objective=heavy, max_epochs=20, learning_rate=1e-2, validate_every=10
    )
    train(config, tmp_path)
    lines = capsys.readouterr().err.splitlines()
    (warned,) = (number for number, line in enumerate(lines) if "is collapsing" in line)
    assert lines[warned].endswith("try another --name with --objective.target_kl 8")
    (last,) = (number for number, line in enumerate(lines) if "epoch 20: " in line)
    assert last < warned  # earlier nobody could tell


def test_the_log_marks_autoencoders_and_the_best_epochs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(tiny_config(tmp_path, pretrain_epochs=1, max_epochs=4), tmp_path)
    lines = [line for line in capsys.readouterr().err.splitlines() if "epoch " in line]
    losses = [row["loss"] for row in read_metrics(run)]
    assert lines[0].endswith("(autoencoder)")
    for epoch in (1, 2, 3):
        is_best = losses[epoch] < min(losses[1:epoch], default=math.inf)
        assert ("(best so far, by a loss of " in lines[epoch]) == is_best


def test_a_state_is_restored_whole(tmp_path: Path) -> None:
    objective = Objective(target_kl=3.0)
    config = tiny_config(tmp_path, objective=objective, ema_decay=0.9, max_epochs=1, bn_gamma=0.3)
    run = train(config, tmp_path)
    saved = checkpoint(run)
    saved |= {"warned": True, "seconds": 3600.0, "nats": torch.tensor([1.0, 2.0, 3.0])}
    module = VAETraining(config, corpus_of(config), run)
    module.restore(copy.deepcopy(saved))
    assert module.watch.warned
    assert module.seconds() == pytest.approx(3600, abs=30)
    assert module.step == saved["step"]
    assert module.history == saved["history"]
    assert module.nats.means() == {"nll": 1 / 3, "kl": 2 / 3}
    assert module.rate is not None
    assert module.average is not None
    parts = {"model": module.model, "rate": module.rate, "average": module.average}
    for name, part in parts.items():
        for key, value in part.state_dict().items():
            assert torch.equal(value, saved[name][key]), f"{name} {key}"
    optimizer = module.configure_optimizers()
    restored = optimizer.state_dict()["state"]
    assert torch.equal(restored[0]["exp_avg"], saved["optimizer"]["state"][0]["exp_avg"])
