"""Train a model: prepare, begin or resume, fit, then fit the prior from which samples are drawn."""

import contextlib
import logging
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import LambdaCallback

from seqvae.corpus.prepare import open_prepared, prepare
from seqvae.corpus.store import Corpus
from seqvae.disk import door, only_writer
from seqvae.errors import InputError
from seqvae.inference.bundle import bundle_in
from seqvae.inference.codec import Codec
from seqvae.inference.prior import fit_prior_of, load_prior, save_prior
from seqvae.model.ranks import is_main
from seqvae.model.remedies import BetaSchedule
from seqvae.stops import Stopped, first_to, number_of, on_signal
from seqvae.training.agreements import from_main
from seqvae.training.checkpoint import (
    CHECKPOINT,
    NEW_NAME,
    begin_run,
    read_checkpoint,
    record_corpus,
    tidy,
)
from seqvae.training.config import Config
from seqvae.training.endings import end_in_time, one_voice
from seqvae.training.engine import join, make_trainer, quiet_lightning
from seqvae.training.enough import warn_of_few
from seqvae.training.hardware import keep_freed_memory, use_gpu
from seqvae.training.module import VAETraining
from seqvae.training.start import load_base

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
    with quiet_lightning(), one_voice(run):
        in_time = LambdaCallback(on_exception=lambda _, __, error: end_in_time(error, run))
        trainer = make_trainer(config, run, in_time, on_gpu=on_gpu)
        join(trainer)
        with only_writer(run) if is_main() else contextlib.nullcontext():
            _train(config, run, trainer, resume=resume)
    return run


def _train(config: Config, run: Path, trainer: lightning.Trainer, *, resume: bool) -> None:
    """Train, on the main rank as the only writer of the run."""
    checkpoint = from_main(lambda: _begin(config, run, resume=resume))
    corpus = open_prepared(config.data, config.corpus_folder)
    keep_freed_memory()
    torch.manual_seed(config.trainer.seed)  # of the initial weights
    module = VAETraining(config, corpus, run)
    if checkpoint is not None:
        with door(run / CHECKPOINT, NEW_NAME):
            module.restore(checkpoint)
    elif config.trainer.init_from is not None:
        module.begin_from(load_base(config)[0])
    was_complete = module.step == module.schedule.num_steps
    if not was_complete:
        _fit(module, trainer)
    from_main(lambda: _end(config, run, corpus, was_complete=was_complete))


def _begin(config: Config, run: Path, *, resume: bool) -> dict[str, Any] | None:
    """Prepare the corpus; begin the run, or find the state from which it goes on."""
    tidy(run)
    checkpoint = read_checkpoint(run, config) if resume else None
    if checkpoint is None and (run / CHECKPOINT).exists():
        raise InputError(
            f"{run}: this run exists; continue it with --resume or give another --name"
        )
    if config.objective.target_kl is not None and config.objective.beta != BetaSchedule():
        logger.warning("objective.beta has no effect: objective.target_kl sets the weight")
    if checkpoint is None and config.trainer.init_from is not None:
        load_base(config)  # which refuses settings that contradict it
    corpus = prepare(config.data, config.corpus_folder)
    if checkpoint is None:
        warn_of_few(config, corpus)
        begin_run(run, config, corpus)
    else:
        record_corpus(run, corpus)
    return checkpoint


def _end(config: Config, run: Path, corpus: Corpus, *, was_complete: bool) -> None:
    """Fit the prior, unless that is done."""
    if config.model.latent_dim and load_prior(bundle_in(run), config.model.latent_dim) is None:
        _fit_prior(config, run, corpus)
    elif was_complete:
        logger.warning("%s: the training is complete; there is nothing to resume", run)


def _fit(module: VAETraining, trainer: lightning.Trainer) -> None:
    """Train to the end.

    Raises:
        Stopped: a signal came to one of the ranks. After the first one the checkpoint is written,
            the second one leaves the checkpoint before.
    """
    requests = module.requests
    try:
        with on_signal(first_to(requests.interrupt)) as listen:
            module.listen = listen
            trainer.fit(module)
            requests.agree()
    except SystemExit:  # which Lightning makes of a second Ctrl-C
        if not requests.signal:
            raise
        requests.signal_of_all = requests.signal
    finally:
        if module.bar is not None:
            module.bar.close()
    if requests.signal_of_all:
        of_all = f" of {total}" if (total := module.shown_total()) else ""
        resumable = (module.run / CHECKPOINT).exists()
        raise Stopped(
            requests.signal_of_all,
            f"{module.run}: interrupted at step {module.step}{of_all}; the same "
            f"command {'with --resume goes on' if resumable else 'starts again'}",
        )


def _fit_prior(config: Config, run: Path, corpus: Corpus) -> None:
    """Fit the prior to the codes of the training split, and keep it in the bundle.

    What few codes leave open is taken from the prior that the training began with.

    Raises:
        Stopped: a signal came; the bundle has no prior yet.
    """
    try:
        base = load_base(config)[1] if config.trainer.init_from else None
        prior = fit_prior_of(
            Codec.load(run), corpus.splits["train"], corpus.splits["valid"], base=base
        )
        save_prior(prior, bundle_in(run))
    except KeyboardInterrupt as interruption:
        raise Stopped(
            number_of(interruption),
            f"{run}: interrupted while the prior was fitted; the same command with --resume goes "
            "on",
        ) from interruption
