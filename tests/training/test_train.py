"""Training: it learns, it resumes exactly, it leaves nothing half-written."""

import contextlib
import dataclasses
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from full_disk import full_disk
from tiny_runs import assert_same_run, checkpoint, corpus_of, tiny_config, validated

import seqvae
from seqvae.corpus.config import DataConfig
from seqvae.disk import only_writer
from seqvae.errors import InputError
from seqvae.inference.codec import Codec
from seqvae.inference.prior import fit_prior_of, load_prior, save_prior
from seqvae.inference.slices import SlicePrior
from seqvae.model.config import ModelConfig
from seqvae.model.remedies import BetaSchedule, Objective
from seqvae.stops import SIGNALS, Stopped
from seqvae.training import checkpoint as checkpoint_file
from seqvae.training import module as module_file
from seqvae.training import train as train_file
from seqvae.training.checkpoint import read_metrics
from seqvae.training.config import Config, TrainerConfig
from seqvae.training.module import VAETraining
from seqvae.training.train import train
from seqvae.training.validation import Validation, Validator

# Interruptions


def with_every_remedy(folder: Path) -> Config:
    """Three epochs of five steps; the first trains an autoencoder."""
    return tiny_config(
        folder, objective=Objective(target_kl=3.0), bn_gamma=0.3, encoder_pooling="max",
        encoder_dropout=0.1, decoder_layers=2, tied_embeddings=True, embedding_dropout=0.1,
        weight_dropout=0.2, token_dropout=0.2, dropout=0.1, z_wiring=("state", "input", "output"),
        max_epochs=3, pretrain_epochs=1, ema_decay=0.9, validate_every=2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path]:
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    config = with_every_remedy(folder)
    return config, train(config, folder)


Wrapped = Callable[..., Any]


def before(call: int, act: Callable[[], None], inner: Wrapped) -> Wrapped:
    """A function that acts before it is called for the nth time, counted from 0."""
    num_calls = 0

    def wrapped(*arguments: Any, **named: Any) -> Any:
        nonlocal num_calls
        num_calls += 1
        if num_calls == call + 1:
            act()
        return inner(*arguments, **named)

    return wrapped


def on_a_full_disk(call: int, inner: Wrapped) -> Wrapped:
    """A function that finds the disk full when it is called for the nth time, counted from 0."""
    num_calls = 0

    def wrapped(*arguments: Any, **named: Any) -> Any:
        nonlocal num_calls
        num_calls += 1
        with full_disk() if num_calls == call + 1 else contextlib.nullcontext():
            return inner(*arguments, **named)

    return wrapped


def press() -> None:
    """Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


def press_twice() -> None:
    press()
    press()


PHASES = {
    "while the corpus is prepared": (train_file, "prepare", 0, press),
    "in the first step": (VAETraining, "training_step", 0, press),
    "in the middle of an epoch": (VAETraining, "training_step", 7, press),
    "in the last step of the pre-training": (VAETraining, "training_step", 4, press),
    "in the first step after the pre-training": (VAETraining, "training_step", 5, press),
    "in the last step": (VAETraining, "training_step", 14, press),
    "between two epochs": (module_file, "write_checkpoint", 0, press),
    "at a validation": (Validator, "result", 0, press),
    "at a validation, twice": (Validator, "result", 0, press_twice),
    "at the last validation": (Validator, "result", 1, press),
    "at the last validation, twice": (Validator, "result", 1, press_twice),
    "while the bundle is written": (module_file, "save_bundle", 1, press_twice),
    "while the checkpoint is written": (checkpoint_file.torch, "save", 1, press_twice),
    "while the prior is fitted": (train_file, "fit_prior_of", 0, press),
}


@pytest.mark.parametrize("phase", PHASES)
def test_an_interrupted_and_resumed_run_equals_an_uninterrupted_one(
    whole: tuple[Config, Path], phase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, expected = whole
    place, name, call, act = PHASES[phase]
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patched:
        patched.setattr(place, name, before(call, act, getattr(place, name)))
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path)
    assert signal.getsignal(signal.SIGINT) is handler
    assert not (tmp_path / "tiny" / "bundle" / "prior.safetensors").exists()
    resume = (tmp_path / "tiny" / "last.ckpt").exists()  # else nothing was trained yet
    assert_same_run(expected, train(config, tmp_path, resume=resume))


@pytest.mark.parametrize("step", [0, 3, 4, 8])
def test_a_run_stops_after_the_step_in_which_it_is_interrupted(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VAETraining, "training_step",
                        before(step, press, VAETraining.training_step))  # fmt: skip
    with pytest.raises(KeyboardInterrupt, match=rf"step {step + 1} of 10; .* --resume goes on"):
        train(tiny_config(tmp_path), tmp_path)
    assert checkpoint(tmp_path / "tiny")["step"] == step + 1


@pytest.mark.parametrize("number", sorted(SIGNALS), ids=lambda number: number.name)
@pytest.mark.parametrize(
    "place", [(VAETraining, "configure_optimizers"), (VAETraining, "training_step")]
)
def test_every_signal_ends_a_run_with_a_checkpoint_also_after_lightning_took_it(
    number: signal.Signals, place: tuple[Any, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers = {each: signal.getsignal(each) for each in SIGNALS}
    inner = getattr(*place)
    monkeypatch.setattr(*place, before(0, lambda: signal.raise_signal(number), inner))
    with pytest.raises(Stopped, match=r"step 1 of 10; .* --resume goes on") as caught:
        train(tiny_config(tmp_path), tmp_path)
    assert caught.value.number == number
    assert checkpoint(tmp_path / "tiny")["step"] == 1
    assert {each: signal.getsignal(each) for each in SIGNALS} == handlers


def test_a_run_stops_after_the_validation_in_which_it_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Validator, "result", before(0, press, Validator.result))
    with pytest.raises(KeyboardInterrupt, match="step 5 of 10"):
        train(tiny_config(tmp_path), tmp_path)
    assert len(read_metrics(tmp_path / "tiny")) == 1


def test_resuming_fits_a_prior_that_is_missing_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = tiny_config(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(train_file, "fit_prior_of", before(0, press, fit_prior_of))
        with pytest.raises(KeyboardInterrupt, match=r"prior was fitted; .* --resume goes on"):
            train(config, tmp_path)
    bundle = tmp_path / "tiny" / "bundle"
    assert load_prior(bundle, 4) is None
    before_it = {path.name: path.read_bytes() for path in bundle.iterdir()}
    train(config, tmp_path, resume=True)
    assert "nothing to resume" not in caplog.text
    after = {path.name: path.read_bytes() for path in bundle.iterdir()}
    assert after.keys() - before_it.keys() == {"prior.safetensors"}
    assert after.items() >= before_it.items()


def test_a_prior_that_is_half_written_is_no_prior(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(tmp_path)

    with monkeypatch.context() as patched:
        patched.setattr(train_file, "save_prior", on_a_full_disk(0, save_prior))
        with pytest.raises(OSError, match=r"File too large: .*bundle/prior\.safetensors"):
            train(config, tmp_path)
    assert not [*(tmp_path / "tiny/bundle").glob(".*")]
    assert load_prior(tmp_path / "tiny" / "bundle", 4) is None
    assert load_prior(train(config, tmp_path, resume=True) / "bundle", 4) is not None


def test_resuming_a_finished_run_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = tiny_config(tmp_path)
    run = train(config, tmp_path)
    monkeypatch.delattr(train_file, "fit_prior_of")  # it is not called again
    files = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    train(config, tmp_path, resume=True)
    assert "training is complete; there is nothing to resume" in caplog.text
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == files


def test_minutes_and_the_warning_count_across_interruptions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(VAETraining, "training_step", before(6, press, VAETraining.training_step))
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path)
    run = tmp_path / "tiny"
    torch.save(checkpoint(run) | {"seconds": 3600.0, "warned": True}, run / "last.ckpt")
    rows = read_metrics(train(config, tmp_path, resume=True))
    assert [60 <= row["minutes"] < 61 for row in rows] == [False, True]
    assert checkpoint(run)["warned"]


def test_a_failing_write_leaves_the_checkpoint_before_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run = tiny_config(tmp_path, max_epochs=3), tmp_path / "parts" / "tiny"
    with monkeypatch.context() as patched:
        patched.setattr(module_file, "write_checkpoint",
                        on_a_full_disk(2, module_file.write_checkpoint))  # fmt: skip
        with pytest.raises(OSError, match=r"File too large: .*tiny/last\.ckpt"):
            train(config, tmp_path / "parts")
    assert not [*run.glob(".*")]
    assert checkpoint(run)["step"] == 10
    parts = train(config, tmp_path / "parts", resume=True)
    assert_same_run(train(config, tmp_path / "whole"), parts)


def test_checkpoints_are_written_every_so_many_minutes_and_resumed_in_mid_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(tmp_path, checkpoint_minutes=0.0)
    killed = InputError("killed")

    def die() -> None:
        raise killed

    with monkeypatch.context() as patched:
        inner = VAETraining.training_step
        patched.setattr(VAETraining, "training_step", before(7, die, inner))
        with pytest.raises(InputError, match="killed"):
            train(config, tmp_path / "parts")
    assert checkpoint(tmp_path / "parts" / "tiny")["step"] == 7
    parts = train(config, tmp_path / "parts", resume=True)
    assert_same_run(train(config, tmp_path / "whole"), parts)


# What is refused


def test_an_existing_run_is_not_overwritten(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    run = train(config, tmp_path)
    checkpoint_bytes = (run / "last.ckpt").read_bytes()
    with pytest.raises(InputError, match=r"exists.*--resume"):
        train(config, tmp_path)
    assert (run / "last.ckpt").read_bytes() == checkpoint_bytes


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_that_another_process_trains_is_refused(tmp_path: Path, resume: bool) -> None:
    config = tiny_config(tmp_path)
    message = r"tiny: process \d+ on \S+ is writing there; wait for it, or give another name"
    with only_writer(tmp_path / "tiny"), pytest.raises(InputError, match=message):
        train(config, tmp_path, resume=resume)
    assert not (tmp_path / "tiny").exists()
    assert not (tmp_path / "prepared").exists()


def test_a_run_is_no_place_for_its_corpus(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, data={"source": "x", "corpus": str(tmp_path / "tiny")})
    with pytest.raises(InputError, match="the run and its corpus are one folder"):
        train(config, tmp_path)


def test_what_a_killed_training_left_is_removed_by_the_next(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    run = train(config, tmp_path)
    for name in (".last.ckpt.0123abcd.partial", "bundle/.prior.safetensors.0123abcd.partial"):
        (run / name).touch()
    (run / ".bundle.0123abcd.partial").mkdir()
    train(config, tmp_path, resume=True)
    assert not [path for path in run.rglob(".*") if path.name.startswith(".")]


def test_resuming_is_refused_when_the_data_have_changed(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    run = train(config, tmp_path)
    files = [run / "last.ckpt", tmp_path / "prepared" / "tokens.npy"]
    contents = [file.read_bytes() for file in files]
    with (tmp_path / "corpus.txt").open("a") as corpus:
        corpus.write("one line more\n")
    with pytest.raises(InputError, match="the data have changed"):
        train(config, tmp_path, resume=True)
    assert [file.read_bytes() for file in files] == contents


def test_a_diverged_run_is_no_success(tmp_path: Path) -> None:
    wild = tiny_config(
        tmp_path, learning_rate=1e30, warmup_steps=0, grad_clip=1e30, optimizer="sgd"
    )
    with pytest.raises(InputError, match=r"has diverged .* lower trainer\.learning_rate"):
        train(wild, tmp_path)
    assert not (tmp_path / "tiny" / "bundle").exists()


def test_a_gpu_that_is_not_there_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no GPU is available"):
        train(tiny_config(tmp_path, accelerator="gpu"), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_schedule_that_a_target_replaces_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = Objective(target_kl=3.0, beta=BetaSchedule(max_beta=0.5))
    train(tiny_config(tmp_path, objective=target, max_epochs=1), tmp_path)
    assert "objective.beta has no effect" in caplog.text


# What comes out


def test_the_bundle_is_the_best_epoch_and_needs_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses, inner = iter([3.0, 1.0, 2.0]), Validator.result

    def result(self: Validator) -> Validation:
        return dataclasses.replace(inner(self), loss=next(losses))

    config = tiny_config(tmp_path, max_epochs=3, learning_rate=0.1)
    with monkeypatch.context() as patched:
        patched.setattr(Validator, "result", result)
        run = train(config, tmp_path)
    row = read_metrics(run)[1]
    assert row["loss"] == 1.0
    card = (run / "bundle" / "README.md").read_text()
    assert f"| neg_elbo | {row['neg_elbo']:.4g} |" in card
    kept = validated(Validator(config, corpus_of(config)), Codec.load(run).model)
    assert kept.figures.neg_elbo == pytest.approx(row["neg_elbo"], rel=1e-6)
    assert sorted(p.name for p in (run / "bundle").iterdir()) == [
        "README.md", "config.json", "model.safetensors", "prior.safetensors", "tokenizer.json",
    ]  # fmt: skip
    moved = (run / "bundle").rename(tmp_path / "elsewhere")
    assert len(seqvae.load(moved).sample(2, seed=0)) == 2


def test_the_prior_is_fitted_to_the_training_split(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    run = train(config, tmp_path)
    kept, codec, corpus = load_prior(run / "bundle", 4), Codec.load(run), corpus_of(config)
    assert kept is not None
    for name, split in corpus.splits.items():
        again = fit_prior_of(codec, split, corpus.splits["valid"])
        same = torch.equal(kept.parts()["means"], again.parts()["means"])
        assert same is (name == "train")


def test_the_prior_of_slices_stops_by_the_validation_split(tmp_path: Path) -> None:
    config = tiny_config(
        tmp_path, decoder="hierarchical", conductor_dim=8, segment_length=4, latent_dim=4
    )
    run = train(config, tmp_path)
    kept, splits = load_prior(run / "bundle", 4), corpus_of(config).splits
    again = fit_prior_of(Codec.load(run), splits["train"], splits["valid"])
    assert isinstance(kept, SlicePrior)
    assert kept.num_slices == 2
    assert torch.equal(kept.output.weight, again.parts()["output.weight"])


def test_a_run_repeats_itself_from_its_own_config(tmp_path: Path) -> None:
    first = train(tiny_config(tmp_path), tmp_path / "first")
    saved = yaml.safe_load((first / "config.yaml").read_text())
    beta = BetaSchedule(**saved["objective"].pop("beta"))
    z_wiring = tuple(saved["model"].pop("z_wiring"))
    again = Config(
        name=saved["name"],
        data=DataConfig(**saved["data"]),
        model=ModelConfig(**saved["model"], z_wiring=z_wiring),
        objective=Objective(**saved["objective"], beta=beta),
        trainer=TrainerConfig(**saved["trainer"]),
    )
    assert_same_run(first, train(again, tmp_path / "second"))


def test_a_run_of_another_seed_differs(tmp_path: Path) -> None:
    runs = [train(tiny_config(tmp_path, seed=seed), tmp_path / str(seed)) for seed in (0, 1)]
    one, two = (checkpoint(run)["model"] for run in runs)
    assert any(not torch.equal(value, two[name]) for name, value in one.items())


def test_a_language_model_trains_samples_and_has_no_code(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, latent_dim=0, objective=Objective())
    run = train(config, tmp_path)
    assert not (run / "bundle" / "prior.safetensors").exists()
    vae = seqvae.load(run)
    figures = vae.evaluate(corpus_of(config))
    assert figures.iw_nll == pytest.approx(figures.neg_elbo, rel=1e-6)
    assert (figures.kl, figures.active_units, figures.iw_nll_stderr) == (0, 0, 0)
    assert len(vae.sample(3, seed=0)) == 3
    for call in (vae.encode, vae.reconstruct):
        with pytest.raises(InputError, match="language model"):
            call("the cat sees the sun")


def many_lines(folder: Path, objective: Objective, **trainer: Any) -> Config:
    """512 lines of three words out of eight: a line holds ln(512) = 6.2 nats."""
    words = [f"w{i}" for i in range(8)]
    source = folder / "many.txt"
    source.write_text("".join(f"{a} {b} {c}\n" for a in words for b in words for c in words))
    return tiny_config(
        folder, objective=objective, data={"source": str(source)}, latent_dim=8, embedding_dim=16,
        encoder_dim=32, decoder_dim=32, batch_size=32, learning_rate=1e-2, **trainer,
    )  # fmt: skip


def test_training_learns_to_reconstruct_unseen_lines(tmp_path: Path) -> None:
    easy = Objective(beta=BetaSchedule(shape="constant", max_beta=0.1))
    config = many_lines(tmp_path, easy, max_epochs=30, validate_every=10)
    figures = seqvae.load(train(config, tmp_path)).evaluate(corpus_of(config), iw_samples=1)
    assert figures.exact_match > 0.9
    assert figures.accuracy_free_running > 0.95
    assert 3 < figures.kl < 12


def test_a_target_rate_is_reached_and_nothing_collapses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = many_lines(tmp_path, Objective(target_kl=4.0), max_epochs=60, validate_every=20)
    figures = seqvae.load(train(config, tmp_path)).evaluate(corpus_of(config), iw_samples=1)
    assert figures.kl == pytest.approx(4.0, rel=0.15)
    assert figures.mi_aggregate > 2.0
    assert "collapsing" not in capsys.readouterr().err
