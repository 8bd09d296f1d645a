"""Train a model: prepare, begin or resume, fit, then fit the prior from which samples are drawn."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import lightning
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback, LambdaCallback

from seqvae.corpus.prepare import prepare
from seqvae.corpus.store import Corpus
from seqvae.disk import door, only_writer
from seqvae.errors import InputError
from seqvae.inference.bundle import bundle_in
from seqvae.inference.codec import Codec
from seqvae.inference.prior import Prior, fit_prior_of
from seqvae.model.objective import BetaSchedule
from seqvae.stops import Stopped, first_to, number_of, on_signal
from seqvae.training.checkpoint import (
    CHECKPOINT,
    NEW_NAME,
    begin_run,
    read_checkpoint,
    record_corpus,
    tidy,
)
from seqvae.training.config import Config, TrainerConfig
from seqvae.training.hardware import keep_freed_memory, use_bf16, use_gpu
from seqvae.training.module import VAETraining

logger = logging.getLogger(__name__)


def train(config: Config, runs: Path = Path("runs"), *, resume: bool = False) -> Path:
    """Prepare the corpus, train, fit the prior, and return the folder of the run.

    With `resume`, an interrupted run goes on where it stands, and ends as if it had never been
    interrupted. Ctrl-C, SIGTERM and SIGHUP end it between two steps with a checkpoint.

    Raises:
        InputError: the run exists and `resume` is not set, there is nothing to resume, another
            process is training it, or the training has diverged.
        Stopped: the training was interrupted; `resume` does the rest.
    """
    run = runs / config.name
    on_gpu = use_gpu(config.trainer.accelerator)
    if run.resolve() == config.corpus_folder.resolve():
        raise InputError(f"{run}: the run and its corpus are one folder; change data.corpus")
    with only_writer(run):
        return _train(config, run, resume=resume, on_gpu=on_gpu)


def _train(config: Config, run: Path, *, resume: bool, on_gpu: bool) -> Path:
    """Train as the only writer of the run."""
    tidy(run)
    checkpoint = read_checkpoint(run, config) if resume else None
    if checkpoint is None and (run / CHECKPOINT).exists():
        raise InputError(
            f"{run}: this run exists; continue it with --resume or give another --name"
        )
    if config.objective.target_kl is not None and config.objective.beta != BetaSchedule():
        logger.warning("objective.beta has no effect: objective.target_kl sets the weight")
    corpus = prepare(config.data, config.corpus_folder)
    if checkpoint is None:
        begin_run(run, config, corpus)
    else:
        record_corpus(run, corpus)
    keep_freed_memory()
    torch.manual_seed(config.trainer.seed)  # of the initial weights
    module = VAETraining(config, corpus, run)
    if checkpoint is not None:
        with door(run / CHECKPOINT, NEW_NAME):
            module.restore(checkpoint)
    was_complete = module.step == module.schedule.num_steps
    if not was_complete:
        _fit(module, on_gpu=on_gpu)
    if config.model.latent_dim and Prior.load(bundle_in(run), config.model.latent_dim) is None:
        _fit_prior(run, corpus)
    elif was_complete:
        logger.warning("%s: the training is complete; there is nothing to resume", run)
    return run


def _fit(module: VAETraining, *, on_gpu: bool) -> None:
    """Train to the end.

    Raises:
        Stopped: a signal came. After the first one the checkpoint is written, the second one leaves
            that of the epoch before.
    """
    schedule, settings = module.schedule, module.config.trainer
    epochs_left = settings.max_epochs - module.step // schedule.steps_per_epoch
    try:
        with _quiet_lightning(), on_signal(first_to(module.interrupt)) as listen:
            # Lightning takes SIGTERM for itself, and leaves with code 0 then.
            listening = LambdaCallback(on_train_start=lambda *_: listen())
            trainer = _make_trainer(settings, listening, max_epochs=epochs_left, on_gpu=on_gpu)
            trainer.fit(module)
    except SystemExit:  # which Lightning makes of a second Ctrl-C
        if module.signal is None:
            raise
    finally:
        if module.bar is not None:
            module.bar.close()
    if module.signal is not None:
        resumable = (module.run / CHECKPOINT).exists()
        raise Stopped(
            module.signal,
            f"{module.run}: interrupted at step {module.step} of {schedule.num_steps}; the same "
            f"command {'with --resume goes on' if resumable else 'starts again'}",
        )


def _fit_prior(run: Path, corpus: Corpus) -> None:
    """Fit the prior to the codes of the training split, and keep it in the bundle.

    Raises:
        Stopped: a signal came; the bundle has no prior yet.
    """
    try:
        fit_prior_of(Codec.load(run), corpus.splits["train"]).save(bundle_in(run))
    except KeyboardInterrupt as interruption:
        raise Stopped(
            number_of(interruption),
            f"{run}: interrupted while the prior was fitted; the same command with --resume goes "
            "on",
        ) from interruption


def _make_trainer(
    settings: TrainerConfig, *callbacks: Callback, max_epochs: int, on_gpu: bool
) -> lightning.Trainer:
    half = use_bf16(settings.precision, on_gpu=on_gpu)
    return lightning.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=1,
        precision="bf16-mixed" if half else "32-true",
        max_epochs=max_epochs,
        reload_dataloaders_every_n_epochs=1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[*callbacks],
        plugins=[LightningEnvironment()],  # under SLURM it would take signals and look for ranks
    )


@contextlib.contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Suppress advice that does not apply."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        for message in (
            ".*does not have many workers",  # on purpose: a batch costs less than a millisecond
            ".*number of training batches",  # small corpora are welcome
            ".*treespec, LeafSpec.* is deprecated",  # from inside Lightning, with torch 2.13
            "RNN module weights are not part of single contiguous chunk",  # dropped ones, on a GPU
        ):
            warnings.filterwarnings("ignore", message)
        try:
            yield
        finally:
            log.setLevel(level)
