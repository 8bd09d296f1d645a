"""Training: a Lightning module around the model, and `train()`.

The state of a run is (weights, their average, optimizer, multiplier of the KL, step, history).
Order, augmentation, noise, learning rate and beta are functions of seed and step, so a run that is
interrupted anywhere and resumed equals an uninterrupted one. Lightning brings device, precision
and the loop; it keeps no state.
"""

import contextlib
import copy
import itertools
import logging
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader
from tqdm import tqdm

from seqvae.corpus.batches import Batch, held_out_loader, training_loader
from seqvae.corpus.prepare import prepare
from seqvae.corpus.store import Corpus
from seqvae.errors import InputError
from seqvae.inference.bundle import BUNDLE, model_card, save_bundle
from seqvae.inference.codec import Codec
from seqvae.inference.evaluation import Tally
from seqvae.inference.metrics import unpadded
from seqvae.inference.prior import fit_prior_of
from seqvae.model.objective import BetaSchedule, TargetRate
from seqvae.model.vae import SequenceVAE
from seqvae.training.checkpoint import (
    CHECKPOINT,
    begin_run,
    read_checkpoint,
    write_checkpoint,
    write_metrics,
)
from seqvae.training.collapse import STEPS_TO_LEARN, collapse_warning, is_collapsed
from seqvae.training.config import Config, TrainerConfig
from seqvae.training.hardware import first_interrupt_to, keep_freed_memory, use_bf16, use_gpu

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
}
SMOOTHING = 0.02  # weight of a batch in the averages of the progress bar
LINE = 118  # characters of an example that are shown

logger = logging.getLogger(__name__)


def train(config: Config, runs: Path = Path("runs"), *, resume: bool = False) -> Path:
    """Prepare the corpus, train, and return the folder of the run.

    Ctrl-C ends between two steps with a checkpoint and raises KeyboardInterrupt.

    Raises:
        InputError: the run exists and `resume` is not set, or there is nothing to resume.
    """
    run = runs / config.name
    on_gpu = use_gpu(config.trainer.accelerator)
    checkpoint = read_checkpoint(run, config) if resume else None
    if checkpoint is None and (run / CHECKPOINT).exists():
        raise InputError(
            f"{run}: this run exists; continue it with --resume or give another --name"
        )
    if config.objective.target_kl is not None and config.objective.beta != BetaSchedule():
        logger.warning("objective.beta plays no part: objective.target_kl finds the weight")
    corpus = prepare(config.data, config.corpus_folder)
    if checkpoint is None:
        begin_run(run, config, corpus)
    keep_freed_memory()
    torch.manual_seed(config.trainer.seed)  # initial weights
    module = VAETraining(config, corpus, run)
    if checkpoint is not None:
        module.restore(checkpoint)
    if module.step >= module.num_steps:
        logger.warning("%s: the training is complete; there is nothing to resume", run)
        return run
    epochs_left = config.trainer.max_epochs - module.step // module.batches_per_epoch
    with _quiet_lightning(), first_interrupt_to(module.interrupt):
        _make_trainer(config.trainer, max_epochs=epochs_left, on_gpu=on_gpu).fit(module)
    if module.interrupted:
        raise KeyboardInterrupt(
            f"{run}: interrupted at step {module.step} of {module.num_steps}; "
            "the same command with --resume goes on"
        )
    if config.model.latent_dim:
        fit_prior_of(Codec.load(run), corpus.splits["train"]).save(run / BUNDLE)
    return run


class VAETraining(lightning.LightningModule):
    """Optimises the negative ELBO and keeps the best epoch."""

    def __init__(self, config: Config, corpus: Corpus, run: Path) -> None:
        """`run` is the folder that the results go to."""
        super().__init__()
        self.config, self.corpus, self.run = config, corpus, run
        self.tokenizer = corpus.tokenizer
        self.model = SequenceVAE(config.model, self.tokenizer.steps)
        batches_per_pass = -(-len(corpus.splits["train"]) // config.trainer.batch_size)
        self.num_passes = -(-config.trainer.min_epoch_steps // batches_per_pass)
        self.batches_per_epoch = self.num_passes * batches_per_pass
        self.num_steps = self.batches_per_epoch * config.trainer.max_epochs
        self.pretrain_steps = self.batches_per_epoch * config.trainer.pretrain_epochs
        target, decay = config.objective.target_kl, config.trainer.ema_decay
        self.rate = TargetRate(target) if target is not None else None
        self.average = copy.deepcopy(self.model).requires_grad_(False) if decay > 0 else None
        self.step = 0
        self.warned = False
        self.history: list[dict[str, float]] = []
        self.seconds_before = 0.0
        self.started = time.monotonic()
        self.interrupted = False
        self.optimizer_state: dict[str, Any] | None = None
        self.bar: tqdm[Any] | None = None

    # Lightning's hooks, in the order in which they run

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimizer, with the state of the checkpoint where there is one."""
        kind = OPTIMIZERS[self.config.trainer.optimizer]
        optimizer = kind(self.model.parameters(), lr=0.0, fused=True)  # each step sets its rate
        if self.optimizer_state is not None:
            optimizer.load_state_dict(self.optimizer_state)
            self.optimizer_state = None
        return optimizer

    def on_train_start(self) -> None:
        """Open the progress bar where the training stands."""
        interval = 0.5 if sys.stderr.isatty() else 30.0
        self.bar = tqdm(
            total=self.num_steps, initial=self.step, desc="train", unit=" steps",
            mininterval=interval, maxinterval=interval,
        )  # fmt: skip
        self.averages = {name: torch.zeros((), device=self.device) for name in ("nll", "kl")}

    def train_dataloader(self) -> DataLoader[Batch]:
        """The rest of the epoch in which the training stands."""
        epoch, first_batch = divmod(self.step, self.batches_per_epoch)
        return training_loader(
            self.corpus.splits["train"],
            self.config.trainer.batch_size,
            self.tokenizer,
            seed=self.config.trainer.seed,
            epoch=epoch,
            num_passes=self.num_passes,
            first_batch=first_batch,
        )

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Draw the randomness of a step from its number alone, and set the learning rate."""
        torch.manual_seed(self.config.trainer.seed * 2**32 + self.step)
        if self.step == self.pretrain_steps > 0:
            self.end_pretraining()
        for group in self.optimizers().param_groups:  # type: ignore[union-attr]  # there is one
            group["lr"] = learning_rate(self.config.trainer, *self.stage())

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """One step on the objective."""
        beta = self.beta()
        bound = self.model(batch.ids, batch.lengths, encoder_input=batch.encoder_input)
        loss = self.config.objective.loss(bound, beta)
        return {"loss": loss, "nll": bound.nll.detach(), "kl": bound.kl.detach(), "beta": beta}

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Clip the gradients, which Lightning refuses to do for a fused optimizer."""
        clip_grad_norm_(self.model.parameters(), self.config.trainer.grad_clip)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Count the step and advance the bar; stop here where the user asked for it."""
        if self.rate is not None and self.step >= self.pretrain_steps:
            self.rate.update(outputs["kl"])
        if self.average is not None:
            decay = self.config.trainer.ema_decay
            move_average(self.average, self.model, step=self.stage()[0], decay=decay)
        self.step += 1
        assert self.bar is not None
        # A batch holds sequences of one length, so only an average over batches says something.
        for name, average in self.averages.items():
            average.lerp_(outputs[name].mean(), max(SMOOTHING, 1 / (batch_idx + 1)))
        if self.bar.update():  # only when it is drawn: reading a figure waits for a GPU
            figures = {name: f"{average.item():.1f}" for name, average in self.averages.items()}
            self.bar.set_postfix(figures | {"beta": f"{float(outputs['beta']):.3f}"}, refresh=False)
        if self.interrupted:
            self.trainer.should_stop = True

    def on_train_epoch_end(self) -> None:
        """Validate where it is time; write the checkpoint."""
        epoch, rest = divmod(self.step, self.batches_per_epoch)
        if rest == 0 and (
            epoch % self.config.trainer.validate_every == 0 or self.step == self.num_steps
        ):
            self.validate(epoch)
        self.save_checkpoint()

    def on_train_end(self) -> None:
        """Close the bar."""
        assert self.bar is not None
        self.bar.close()

    # What they call

    def interrupt(self) -> None:
        """Ask for the end of the training after the step that runs."""
        self.interrupted = True

    def stage(self) -> tuple[int, int]:
        """Step and number of steps of the stage: the autoencoder's, or what follows."""
        if self.step < self.pretrain_steps:
            return self.step, self.pretrain_steps
        return self.step - self.pretrain_steps, self.num_steps - self.pretrain_steps

    def beta(self) -> float | Tensor:
        """The weight of the KL at this step."""
        if self.step < self.pretrain_steps:
            return 0.0
        if self.rate is not None:
            return self.rate.beta()
        return self.config.objective.beta(self.stage()[0])

    def end_pretraining(self) -> None:
        """Keep the encoder, and give the decoder fresh weights and Adam a fresh state."""
        self.model.decoder.load_state_dict(self.model.make_decoder().state_dict())
        self.optimizers(use_pl_optimizer=False).state.clear()  # type: ignore[union-attr]

    def validate(self, epoch: int) -> None:
        """Log the figures of the validation split; keep the bundle if it is the best so far."""
        settings = self.config.trainer
        model = self.model if self.average is None else self.average
        model.eval()
        tally = Tally(model)
        examples: list[str] = []
        valid, tokenizer = self.corpus.splits["valid"], self.tokenizer
        for batch in held_out_loader(valid, 4 * settings.batch_size, tokenizer):
            decoded = tally.update(batch.to(self.device))
            if not examples:
                pairs = zip(unpadded(batch), unpadded(decoded), strict=True)
                for original, decoding in list(pairs)[-2:]:
                    examples.append(f"  in   {self.tokenizer.show(original)}"[:LINE])
                    examples.append(f"  out  {self.tokenizer.show(decoding)}"[:LINE])
        model.train()
        figures = tally.result()
        loss = float(self.config.objective.selection_loss(tally.bound()))
        if not math.isfinite(loss):
            raise InputError(
                f"{self.run}: the training has diverged (validation loss {loss} in epoch {epoch}); "
                f"lower trainer.learning_rate, which is {settings.learning_rate:g}, and give "
                "another --name"
            )
        # An autoencoder is no rival of what comes after it.
        pretraining = epoch <= settings.pretrain_epochs
        rivals = [row for row in self.history if row["epoch"] > settings.pretrain_epochs]
        best = pretraining or loss < min((row["loss"] for row in rivals), default=math.inf)
        self.history.append({
            "epoch": epoch,
            "step": self.step,
            "minutes": round(self.seconds() / 60, 2),
            "loss": loss,
            "neg_elbo": figures.neg_elbo,
            "nll": figures.nll,
            "kl": figures.kl,
            "mi_aggregate": figures.mi_aggregate,
            "active_units": figures.active_units,
            "accuracy_teacher_forced": figures.accuracy_teacher_forced,
            "accuracy_free_running": figures.accuracy_free_running,
        })  # fmt: skip
        write_metrics(self.run, self.history)
        if best:
            settings_of_run = asdict(self.config)
            card = model_card(model, self.corpus, settings_of_run, figures)
            save_bundle(self.run / BUNDLE, model, self.tokenizer, settings_of_run, card)
        mark = "  (autoencoder)" if pretraining else "  (best so far)" if best else ""
        headline = (
            f"epoch {epoch}: -ELBO {figures.neg_elbo:.2f}  KL {figures.kl:.2f} nats  "
            f"MI {figures.mi_aggregate:.2f}  "
            f"active units {figures.active_units}/{figures.latent_dim}  "
            f"free-running accuracy {figures.accuracy_free_running:.4f}{mark}"
        )
        tqdm.write("\n".join([headline, *examples]), file=sys.stderr)
        step, num_steps = self.stage()
        rise = self.config.objective.beta.rise
        if self.rate is not None:
            rise = round(2 / self.rate.SPEED)  # the weight may have fallen to an eighth
        settled = step >= min(max(rise, STEPS_TO_LEARN), num_steps)
        if settled and not pretraining and not self.warned and is_collapsed(figures):
            self.warned = True
            warning = collapse_warning(figures, self.config, too_short=num_steps < rise)
            tqdm.write(warning, file=sys.stderr)

    def seconds(self) -> float:
        """Seconds of training so far, those before an interruption included."""
        return self.seconds_before + time.monotonic() - self.started

    def save_checkpoint(self) -> None:
        """Write the state of the run."""
        write_checkpoint(self.run, {
            "model": self.model.state_dict(),
            "optimizer": self.optimizers(use_pl_optimizer=False).state_dict(),  # type: ignore[union-attr]  # there is one
            "rate": self.rate.state_dict() if self.rate is not None else None,
            "average": self.average.state_dict() if self.average is not None else None,
            "step": self.step,
            "history": self.history,
            "seconds": self.seconds(),
            "warned": self.warned,
        })  # fmt: skip

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Take up a saved state."""
        self.model.load_state_dict(checkpoint["model"])
        self.optimizer_state = checkpoint["optimizer"]
        if self.rate is not None:
            self.rate.load_state_dict(checkpoint["rate"])
        if self.average is not None:
            self.average.load_state_dict(checkpoint["average"])
        self.warned = checkpoint["warned"]
        self.step, self.history = checkpoint["step"], checkpoint["history"]
        self.seconds_before = checkpoint["seconds"]


def learning_rate(settings: TrainerConfig, step: int, num_steps: int) -> float:
    """Linear warm-up to the peak, then half a cosine down to the final share of it."""
    peak = settings.learning_rate
    if step < settings.warmup_steps:
        return peak * (step + 1) / settings.warmup_steps
    progress = (step - settings.warmup_steps) / max(num_steps - settings.warmup_steps, 1)
    low = settings.final_learning_rate_share
    return peak * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress)))


@torch.no_grad()
def move_average(average: SequenceVAE, model: SequenceVAE, *, step: int, decay: float) -> None:
    """Take the average of the weights a step on; the first steps count for more.

    (Torch's AveragedModel asks the device for its count at each step, which makes a GPU wait.)
    """
    share = max(1 - decay, 10 / (10 + step))
    averages = itertools.chain(average.parameters(), average.buffers())
    for mean, value in zip(
        averages, itertools.chain(model.parameters(), model.buffers()), strict=True
    ):
        mean.lerp_(value, share)


def _make_trainer(settings: TrainerConfig, *, max_epochs: int, on_gpu: bool) -> lightning.Trainer:
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
    )


@contextlib.contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Leave out advice that does not apply."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        for message in (
            ".*does not have many workers",  # meant so: a batch costs less than a millisecond
            ".*number of training batches",  # small corpora are welcome
            ".*treespec, LeafSpec.* is deprecated",  # Lightning's own, with torch 2.13
            "RNN module weights are not part of single contiguous chunk",  # dropped ones, on a GPU
        ):
            warnings.filterwarnings("ignore", message)
        try:
            yield
        finally:
            log.setLevel(level)
