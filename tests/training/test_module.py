"""Training: it learns, it resumes exactly, it leaves nothing half-written."""

import csv
import dataclasses
import itertools
import os
import signal
from pathlib import Path

import pytest
import torch
import yaml

import seqvae
from seqvae.corpus.batches import Batch
from seqvae.corpus.store import Corpus
from seqvae.errors import InputError
from seqvae.inference.prior import Prior
from seqvae.model.objective import BetaSchedule, Objective
from seqvae.tokenizers.contract import from_plain
from seqvae.training import module as training
from seqvae.training.config import Config, DataConfig, ModelConfig, TrainerConfig
from seqvae.training.module import VAETraining, learning_rate, train

LINES = [f"the {a} {b} the {c}" for a in ("cat", "dog", "cow") for b in ("sees", "likes", "meets")
         for c in ("sun", "sea", "hill", "moon", "tree")]  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Config:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(LINES) + "\n")
    return Config(
        name="tiny",
        data=DataConfig(
            source=str(corpus),
            tokenizer={"kind": "words"},
            corpus=str(tmp_path / "prepared"),
        ),
        model=ModelConfig(
            latent_dim=4, embedding_dim=8, encoder_dim=8, decoder_dim=8, dropout=0.1,
            token_dropout=0.2,
        ),
        objective=Objective(beta=BetaSchedule(beta_warmup_steps=6)),
        trainer=TrainerConfig(
            max_epochs=4, batch_size=8, warmup_steps=4, precision="fp32", accelerator="cpu",
        ),
    )  # fmt: skip


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "last.ckpt", weights_only=True)["model"]
    return state


def assert_same_run(one: Path, other: Path) -> None:
    for name, value in weights(one).items():
        assert torch.equal(value, weights(other)[name]), name
    rows = []
    for run in (one, other):
        with (run / "metrics.csv").open(newline="") as opened:
            rows.append([{k: v for k, v in r.items() if k != "minutes"}
                         for r in csv.DictReader(opened)])  # fmt: skip
    assert rows[0] == rows[1]
    for file in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (one / "bundle" / file).read_bytes() == (other / "bundle" / file).read_bytes()


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C while a step is being computed."""
    inner = VAETraining.training_step

    def training_step(self: VAETraining, batch: object, batch_idx: int) -> object:
        if self.step == step:
            os.kill(os.getpid(), signal.SIGINT)
        return inner(self, batch, batch_idx)  # type: ignore[arg-type]

    monkeypatch.setattr(VAETraining, "training_step", training_step)


@pytest.mark.parametrize("step", [0, 2, 4, 9])  # 5 batches an epoch: first, inside, last, second
def test_an_interrupted_and_resumed_run_equals_an_uninterrupted_one(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    whole = train(config, tmp_path / "whole")
    with monkeypatch.context() as patched:
        interrupt_at(step, patched)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "parts")
    assert torch.load(tmp_path / "parts/tiny/last.ckpt", weights_only=True)["step"] == step + 1
    parts = train(config, tmp_path / "parts", resume=True)
    assert_same_run(whole, parts)
    assert signal.getsignal(signal.SIGINT) is handler


def with_every_remedy(config: Config) -> Config:
    return dataclasses.replace(
        config,
        model=dataclasses.replace(
            config.model, bn_gamma=0.3, encoder_pooling="max", encoder_dropout=0.1,
            decoder_layers=2, tied_embeddings=True, embedding_dropout=0.1, weight_dropout=0.2,
            z_wiring=("state", "input", "output"),
        ),
        objective=Objective(target_kl=3.0),
        trainer=dataclasses.replace(config.trainer, pretrain_epochs=1, ema_decay=0.9),
    )  # fmt: skip


@pytest.mark.parametrize("step", [2, 4, 5, 9])  # the decoder starts afresh with step 5
def test_a_run_with_every_remedy_resumes_exactly_too(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    config = with_every_remedy(config)
    whole = train(config, tmp_path / "whole")
    with monkeypatch.context() as patched:
        interrupt_at(step, patched)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "parts")
    assert_same_run(whole, train(config, tmp_path / "parts", resume=True))


def test_pretraining_is_an_autoencoder_and_ends_with_a_fresh_decoder(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(
        config, trainer=dataclasses.replace(config.trainer, pretrain_epochs=2, max_epochs=3)
    )
    betas, rates, encoders, decoders, inner = [], [], [], [], VAETraining.training_step

    def training_step(self: VAETraining, batch: object, batch_idx: int) -> object:
        encoders.append(self.model.encoder.posterior.weight.detach().clone())  # type: ignore[union-attr]
        decoders.append(self.model.decoder.heads.logits[0].weight.detach().clone())
        betas.append(float(self.beta()))
        rates.append(self.optimizers().param_groups[0]["lr"])  # type: ignore[union-attr]
        return inner(self, batch, batch_idx)  # type: ignore[arg-type]

    monkeypatch.setattr(VAETraining, "training_step", training_step)
    run = train(config, tmp_path)
    assert betas[:10] == [0.0] * 10
    assert betas[10:] == pytest.approx([step / 6 for step in range(5)])
    assert rates[10:14] == pytest.approx(rates[:4])  # the warm-up comes twice

    def moves(weights: list[torch.Tensor]) -> list[float]:
        return [float((b - a).abs().max()) for a, b in itertools.pairwise(weights)]

    assert moves(decoders)[9] > 20 * max(moves(decoders)[:9])
    assert moves(encoders)[9] < 2 * max(moves(encoders)[:9])
    with (run / "metrics.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    card = (run / "bundle" / "README.md").read_text()  # an autoencoder is never the best epoch
    assert f"| neg_elbo | {float(rows[2]['neg_elbo']):.4g} |" in card


def test_the_bundle_holds_the_average_of_the_weights(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(
        config, trainer=dataclasses.replace(config.trainer, ema_decay=0.8, max_epochs=12)
    )
    seen: list[torch.Tensor] = []
    inner = VAETraining.on_train_batch_end

    def on_train_batch_end(self: VAETraining, *arguments: object) -> None:
        seen.append(self.model.decoder.start.detach().clone())
        inner(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(VAETraining, "on_train_batch_end", on_train_batch_end)
    run = train(config, tmp_path)
    expected = running(seen)[-1]
    saved = torch.load(run / "last.ckpt", weights_only=True)
    torch.testing.assert_close(saved["average"]["decoder.start"], expected, rtol=1e-5, atol=1e-7)
    assert not torch.equal(saved["average"]["decoder.start"], seen[-1])
    averaged = seqvae.load(run).model.decoder.start.cpu()
    assert any(torch.allclose(averaged, average) for average in running(seen))


def running(seen: list[torch.Tensor]) -> list[torch.Tensor]:
    """The moving average after each step."""
    averages = [seen[0]]
    for step, weight in enumerate(seen[1:], start=1):
        decay = min(0.8, step / (10 + step))
        averages.append(decay * averages[-1] + (1 - decay) * weight)
    return averages


def test_a_collapsing_run_says_so_once_with_the_setting_to_change(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heavy = BetaSchedule(shape="constant", max_beta=20.0)
    collapsing = dataclasses.replace(
        config,
        objective=Objective(beta=heavy),
        trainer=dataclasses.replace(config.trainer, max_epochs=40, learning_rate=1e-2),
    )
    train(collapsing, tmp_path)
    lines = capsys.readouterr().err.splitlines()
    (told,) = (number for number, line in enumerate(lines) if "is collapsing" in line)
    assert lines[told].endswith("try another --name with --objective.target_kl 8")
    (last,) = (number for number, line in enumerate(lines) if "epoch 40: " in line)
    assert last < told  # before it had learned for long, nobody could tell


def test_a_diverged_run_is_no_success(config: Config, tmp_path: Path) -> None:
    wild = dataclasses.replace(config, trainer=dataclasses.replace(
        config.trainer, learning_rate=1e30, warmup_steps=0, grad_clip=1e30, optimizer="sgd",
    ))  # fmt: skip
    with pytest.raises(InputError, match=r"has diverged .* lower trainer\.learning_rate"):
        train(wild, tmp_path)
    assert not (tmp_path / "tiny" / "bundle").exists()


@pytest.mark.parametrize(("name", "content"), [("config.yaml", ""), ("corpus.json", "{")])
def test_a_damaged_run_cannot_be_resumed(
    config: Config, tmp_path: Path, name: str, content: str
) -> None:
    run = train(config, tmp_path)
    (run / name).write_text(content)
    with pytest.raises(InputError, match=r"config\.yaml or corpus\.json is damaged"):
        train(config, tmp_path, resume=True)


def test_a_target_rate_is_reached_and_nothing_collapses(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"w{i}" for i in range(8)]
    corpus = tmp_path / "many.txt"
    corpus.write_text("".join(f"{a} {b} {c}\n" for a in words for b in words for c in words))
    held = dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, source=str(corpus)),
        model=ModelConfig(latent_dim=8, embedding_dim=16, encoder_dim=32, decoder_dim=32),
        objective=Objective(target_kl=4.0),
        trainer=dataclasses.replace(
            config.trainer, max_epochs=60, batch_size=32, learning_rate=1e-2, validate_every=20
        ),
    )
    figures = seqvae.load(train(held, tmp_path)).evaluate(Corpus(tmp_path / "prepared"))
    assert figures.kl == pytest.approx(4.0, rel=0.15)
    assert figures.mi_aggregate > 2.0
    assert "collapsing" not in capsys.readouterr().err


def test_a_language_model_trains_samples_and_has_no_code(config: Config, tmp_path: Path) -> None:
    language_model = dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, latent_dim=0),
        objective=Objective(),
    )
    vae = seqvae.load(train(language_model, tmp_path))
    figures = vae.evaluate(Corpus(tmp_path / "prepared"))
    assert figures.iw_nll == pytest.approx(figures.neg_elbo, rel=1e-6)
    assert (figures.kl, figures.active_units, figures.iw_nll_stderr) == (0, 0, 0)
    assert len(vae.sample(3, seed=0)) == 3
    for call in (vae.encode, vae.reconstruct):
        with pytest.raises(InputError, match="language model"):
            call("the cat sees the sun")


def test_a_run_repeats_itself_from_its_own_config(config: Config, tmp_path: Path) -> None:
    first = train(config, tmp_path / "first")
    saved = yaml.safe_load((first / "config.yaml").read_text())
    again = Config(
        name=saved["name"],
        data=DataConfig(**saved["data"]),
        model=ModelConfig(**from_plain(saved["model"])),
        objective=Objective(
            **saved["objective"] | {"beta": BetaSchedule(**saved["objective"]["beta"])}
        ),
        trainer=TrainerConfig(**saved["trainer"]),
    )
    assert_same_run(first, train(again, tmp_path / "second"))


def test_a_run_of_another_seed_differs(config: Config, tmp_path: Path) -> None:
    other = dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, seed=1))
    one, two = train(config, tmp_path / "one"), train(other, tmp_path / "two")
    assert any(not torch.equal(v, weights(two)[k]) for k, v in weights(one).items())


def test_training_learns_to_reconstruct_unseen_lines(config: Config, tmp_path: Path) -> None:
    words = [f"w{i}" for i in range(8)]
    corpus = tmp_path / "many.txt"
    corpus.write_text("".join(f"{a} {b} {c}\n" for a in words for b in words for c in words))
    easy = dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, source=str(corpus)),
        model=ModelConfig(latent_dim=8, embedding_dim=16, encoder_dim=32, decoder_dim=32),
        trainer=dataclasses.replace(
            config.trainer, max_epochs=30, batch_size=32, learning_rate=1e-2, validate_every=10,
        ),
        objective=Objective(beta=BetaSchedule(shape="constant", max_beta=0.1)),
    )  # fmt: skip
    vae = seqvae.load(train(easy, tmp_path))
    figures = vae.evaluate(Corpus(tmp_path / "prepared"))
    assert figures.exact_match > 0.9
    assert figures.accuracy_free_running > 0.95
    assert 3 < figures.kl < 12  # a line holds ln(512) = 6.2 nats


def test_an_epoch_of_a_small_corpus_is_several_passes(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(
        config, trainer=dataclasses.replace(config.trainer, max_epochs=2, min_epoch_steps=12)
    )
    orders, inner = [], VAETraining.training_step

    def training_step(self: VAETraining, batch: Batch, batch_idx: int) -> object:
        orders.append(batch.ids.flatten().tolist())
        return inner(self, batch, batch_idx)

    monkeypatch.setattr(VAETraining, "training_step", training_step)
    run = train(config, tmp_path)
    assert torch.load(run / "last.ckpt", weights_only=True)["step"] == 30  # 5 batches a pass
    passes = [sorted(orders[i : i + 5]) for i in range(0, 30, 5)]
    words = [sorted(itertools.chain(*one)) for one in passes]
    assert words == [words[0]] * 6
    assert len({str(one) for one in passes}) == 6


def test_a_corpus_smaller_than_a_batch_trains(config: Config, tmp_path: Path) -> None:
    big_batch = dataclasses.replace(
        config, trainer=dataclasses.replace(config.trainer, batch_size=1000)
    )
    run = train(big_batch, tmp_path)
    assert torch.load(run / "last.ckpt", weights_only=True)["step"] == 4  # one batch an epoch


def test_the_bundle_is_the_best_epoch_and_needs_nothing_else(
    config: Config, tmp_path: Path
) -> None:
    run = train(config, tmp_path)
    with (run / "metrics.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    best = min(rows, key=lambda row: float(row["loss"]))
    card = (run / "bundle" / "README.md").read_text()
    assert f"| neg_elbo | {float(best['neg_elbo']):.4g} |" in card
    assert sorted(p.name for p in (run / "bundle").iterdir()) == [
        "README.md", "config.json", "model.safetensors", "prior.safetensors", "tokenizer.json",
    ]  # fmt: skip
    assert not torch.equal(seqvae.load(run).prior.means, Prior.standard(4).means)  # it is fitted
    moved = (run / "bundle").rename(tmp_path / "elsewhere")
    assert len(seqvae.load(moved).sample(2, seed=0)) == 2


def test_an_existing_run_is_not_overwritten(config: Config, tmp_path: Path) -> None:
    run = train(config, tmp_path)
    before = (run / "last.ckpt").read_bytes()
    with pytest.raises(InputError, match=r"exists.*--resume"):
        train(config, tmp_path)
    assert (run / "last.ckpt").read_bytes() == before


def test_resuming_needs_a_checkpoint_of_this_config(config: Config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no last\.ckpt to resume from"):
        train(config, tmp_path, resume=True)
    run = train(config, tmp_path)
    other = dataclasses.replace(config, model=dataclasses.replace(config.model, latent_dim=5))
    with pytest.raises(InputError, match=r"model\.latent_dim is \d+, here 5;"):
        train(other, tmp_path, resume=True)
    data = (run / "last.ckpt").read_bytes()
    (run / "last.ckpt").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"last\.ckpt: damaged"):
        train(config, tmp_path, resume=True)


def test_resuming_is_refused_when_the_data_have_changed(config: Config, tmp_path: Path) -> None:
    run = train(config, tmp_path)
    prepared = (tmp_path / "prepared" / "tokens.npy").read_bytes()
    with (tmp_path / "corpus.txt").open("a") as corpus:
        corpus.write("one line more\n")
    before = (run / "last.ckpt").read_bytes()
    with pytest.raises(InputError, match="the data have changed"):
        train(config, tmp_path, resume=True)
    assert (run / "last.ckpt").read_bytes() == before
    assert (tmp_path / "prepared" / "tokens.npy").read_bytes() == prepared


def test_resuming_a_finished_run_says_so(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(config, tmp_path)
    train(config, tmp_path, resume=True)
    assert "training is complete" in caplog.text


def test_a_failing_write_leaves_the_checkpoint_before_it_whole(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, num_writes = torch.save, 0

    def save(state: object, file: Path) -> None:
        nonlocal num_writes
        num_writes += 1
        if num_writes == 3:
            file.write_bytes(b"half")
            raise OSError("disk full")
        inner(state, file)

    monkeypatch.setattr(training.torch, "save", save)
    with pytest.raises(OSError, match="disk full"):
        train(config, tmp_path / "parts")
    monkeypatch.undo()
    assert torch.load(tmp_path / "parts/tiny/last.ckpt", weights_only=True)["step"] == 10
    parts = train(config, tmp_path / "parts", resume=True)
    assert_same_run(train(config, tmp_path / "whole"), parts)


def test_gpu_is_refused_where_there_is_none(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu = dataclasses.replace(
        config, trainer=dataclasses.replace(config.trainer, accelerator="gpu")
    )
    with pytest.raises(InputError, match="no GPU is available"):
        train(gpu, tmp_path)


def test_learning_rate_rises_then_falls_to_its_share() -> None:
    settings = TrainerConfig(learning_rate=1.0, warmup_steps=10, final_learning_rate_share=0.1)
    rates = [learning_rate(settings, step, 110) for step in range(111)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == pytest.approx(1.0)
    assert rates[60] == pytest.approx(0.55)
    assert rates[110] == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)
