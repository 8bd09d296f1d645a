"""The Lightning module: one optimizer step, and what happens between steps and epochs.

The state of a training is (weights, their average, optimizer, multiplier of the KL, step, sums of
the training's nats, history, warned). Order, augmentation, noise, learning rate and beta are
functions of seed and step, so that a run that is interrupted anywhere and resumed equals an
uninterrupted one. Lightning brings devices, precision and the loops; it keeps no state.

A step is one batch of all ranks. The state is the same on every rank, and the main one writes it.
"""

import copy
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader
from tqdm import tqdm

from seqvae.corpus.batches import Batch, training_loader
from seqvae.corpus.store import Corpus
from seqvae.disk import fields_of
from seqvae.errors import InputError
from seqvae.inference.bundle import BUNDLE, save_bundle
from seqvae.inference.cards import card_of_run
from seqvae.model.objective import TargetRate, training_loss
from seqvae.model.ranks import is_main, rank
from seqvae.model.vae import SequenceVAE
from seqvae.training.agreements import from_main
from seqvae.training.averages import TrainingNats, move_average, sums_of
from seqvae.training.checkpoint import write_checkpoint, write_metrics
from seqvae.training.collapse import CollapseWatch
from seqvae.training.config import Config
from seqvae.training.requests import Requests
from seqvae.training.schedule import UNKNOWN, Schedule
from seqvae.training.validation import Validation, Validator, headline, is_best

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
}
NEVER = sys.maxsize
RANKS_APART = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: from the seed of one rank to the next


class VAETraining(lightning.LightningModule):
    """Optimises the negative ELBO and keeps the best epoch."""

    def __init__(self, config: Config, corpus: Corpus, run: Path) -> None:
        """`run` is the folder that the results go to."""
        super().__init__()
        self.allow_zero_length_dataloader_with_multiple_devices = True  # only rank 0 validates
        self.config, self.corpus, self.run = config, corpus, run
        self.schedule = Schedule(config, len(corpus.splits["train"]))
        self.validator = Validator(config, corpus)
        self.watch = CollapseWatch(config, self.schedule)
        self.model = SequenceVAE(config.model, corpus.tokenizer.steps)
        target, decay = config.objective.target_kl, config.trainer.ema_decay
        self.rate = TargetRate(target) if target is not None else None
        self.average = copy.deepcopy(self.model).requires_grad_(False) if decay > 0 else None
        self.step = 0
        self.nats = TrainingNats()
        self.history: list[dict[str, float]] = []
        self.seconds_before = 0.0
        self.started = time.monotonic()
        self.requests = Requests(config.trainer.checkpoint_minutes)
        self.batch_sums = torch.zeros(3, dtype=torch.float64)  # as in TrainingNats
        self.optimizer_state: dict[int, Any] | None = None
        self.beta_used: float | Tensor = 0.0
        self.listen: Callable[[], None] = lambda: None
        self.bar: tqdm[Any] | None = None
        self.is_validated = False  # whether this step is
        self.validation: Validation | None = None

    def begin_from(self, base: SequenceVAE) -> None:
        """Take the weights of a model of the same shape, before the first step."""
        for model in (self.model, self.average):
            if model is not None:
                model.load_state_dict(base.state_dict())

    # Lightning's hooks, in the order in which they run

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimizer, with the state of the checkpoint if there is one."""
        kind = OPTIMIZERS[self.config.trainer.optimizer]
        optimizer = kind(self.model.parameters(), lr=0.0, fused=True)  # each step sets its rate
        if self.optimizer_state is not None:
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": self.optimizer_state, "param_groups": groups})
            self.optimizer_state = None
        return optimizer

    def on_train_start(self) -> None:
        """Take signals back from Lightning; open the progress bar where the training stands."""
        self.listen()  # Lightning takes SIGTERM for itself, and leaves with code 0 then
        interval = 0.5 if sys.stderr.isatty() else 30.0
        self.bar = tqdm(
            total=self.shown_total(), initial=self.step, desc="train", unit=" steps",
            mininterval=interval, maxinterval=interval, disable=not is_main(),
        )  # fmt: skip

    def train_dataloader(self) -> DataLoader[Batch]:
        """The rest of the epoch in which the training stands."""
        epoch, first_batch = divmod(self.step, self.schedule.steps_per_epoch)
        return training_loader(
            self.corpus.splits["train"],
            self.config.trainer.batch_size,
            self.corpus.tokenizer,
            seed=self.config.trainer.seed,
            epoch=epoch,
            num_passes=self.schedule.num_passes,
            first_batch=first_batch,
            num_parts=self.config.trainer.accumulate,
        )

    def val_dataloader(self) -> DataLoader[Batch]:
        """The batches of a validation, for the main rank."""
        return self.validator.loader()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> int | None:
        """Begin a step, unless the training is to stop here."""
        if batch_idx % self.config.trainer.accumulate == 0:
            if self.requests.signal_of_all:
                return -1  # which ends Lightning's epoch
            self.begin_step()
        return None

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """The objective of a batch, or of a part of it."""
        self.beta_used = self.beta()
        generator = None if batch.share is None else self.generator_of_all()
        bound = self.model(
            batch.ids,
            batch.lengths,
            generator,
            encoder_input=batch.encoder_input,
            share=batch.share,
        )
        loss = training_loss(self.config.objective, bound, self.beta_used, batch.share)
        return {"loss": loss, "nll": bound.nll.detach(), "kl": bound.kl.detach()}

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Clip the gradients, which Lightning refuses to do for a fused optimizer."""
        clip_grad_norm_(self.model.parameters(), self.config.trainer.grad_clip)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Count the nats, and the step once its last part is done."""
        sums = sums_of(outputs["nll"], outputs["kl"])
        part = batch_idx % self.config.trainer.accumulate
        self.batch_sums = sums if part == 0 else self.batch_sums + sums
        if part + 1 == self.config.trainer.accumulate:
            self.end_step()

    def on_validation_epoch_start(self) -> None:
        """Validate the average of the weights, if there is one."""
        self.validator.begin(self.model if self.average is None else self.average)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the validation; figures are made in full precision."""
        with torch.autocast(self.device.type, enabled=False):
            self.validator.add(batch)

    def on_validation_epoch_end(self) -> None:
        """Let the main rank, which alone is here, sum up."""
        self.validation = self.validator.result()

    def on_train_epoch_end(self) -> None:
        """Judge the validation, if it was time for one; write the checkpoint."""
        if self.is_validated:
            self.is_validated = False
            from_main(lambda: self.judge(-(-self.step // self.schedule.steps_per_epoch)))
            self.nats = TrainingNats()
        self.write_checkpoint()
        self.requests.agree()
        if self.requests.signal_of_all:
            self.trainer.should_stop = True

    # What they call

    @property
    def raw_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer without Lightning's wrapper."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        return optimizer

    @property
    def step_seed(self) -> int:
        """The seed of this step, for all ranks."""
        return self.config.trainer.seed * 2**32 + self.step

    def generator_of_all(self) -> torch.Generator:
        """The noise of a whole batch, of which each rank takes its share."""
        return torch.Generator(self.device).manual_seed(self.step_seed)

    def begin_step(self) -> None:
        """Seed the randomness of a step by its number and the rank; set the learning rate."""
        if self.step == self.schedule.pretrain_steps > 0:
            torch.manual_seed(self.step_seed)  # all ranks draw the same weights
            self.end_pretraining()
        torch.manual_seed((self.step_seed + rank() * RANKS_APART) % 2**64)
        for group in self.raw_optimizer.param_groups:
            group["lr"] = self.schedule.learning_rate(self.step)

    def end_step(self) -> None:
        """Count the step and advance the bar; do what is asked for between two steps."""
        if self.rate is not None and self.step >= self.schedule.pretrain_steps:
            self.rate.update(self.batch_sums[1:2] / self.batch_sums[2])
        if self.average is not None:
            step_of_stage, decay = self.schedule.stage(self.step)[0], self.config.trainer.ema_decay
            move_average(self.average, self.model, step=step_of_stage, decay=decay)
        self.step += 1
        self.nats.add(self.batch_sums)
        self.tell_lightning()
        assert self.bar is not None
        if self.bar.update():  # only when it is drawn: reading a figure waits for a GPU
            self.show_progress(self.bar)
        if self.requests.between_steps():
            self.write_checkpoint()

    def tell_lightning(self) -> None:
        """Tell Lightning whether to validate after this step, and whether it was the last."""
        if self.schedule.is_estimated(self.step):
            self.schedule.estimate(self.step, from_main(self.seconds))
            assert self.bar is not None
            self.bar.total = self.shown_total()
        self.is_validated = self.schedule.is_validated(self.step)
        self.trainer.check_val_every_n_epoch = 1 if self.is_validated else NEVER
        self.trainer.should_stop = self.step == self.schedule.num_steps

    def shown_total(self) -> int | None:
        """The length of the training for the bar, once it is known."""
        return None if self.schedule.num_steps == UNKNOWN else self.schedule.num_steps

    def show_progress(self, bar: "tqdm[Any]") -> None:
        """Show where the training stands, in the bar and to the loggers."""
        means, beta = self.nats.means(), float(self.beta_used)
        figures = {name: f"{mean:.1f}" for name, mean in means.items()}
        bar.set_postfix(figures | {"beta": f"{beta:.3f}"}, refresh=False)
        self.log_figures({f"train_{name}": mean for name, mean in means.items()} | {"beta": beta})

    def log_figures(self, figures: dict[str, float]) -> None:
        """Send figures to the loggers."""
        for logger in self.loggers:
            logger.log_metrics(figures, self.step)

    def write_checkpoint(self) -> None:
        """Let the main rank write the state, which is the same on all."""
        from_main(lambda: write_checkpoint(self.run, self.state()))

    def beta(self) -> float | Tensor:
        """The weight of the KL at this step."""
        if self.rate is not None and self.step >= self.schedule.pretrain_steps:
            return self.rate.beta()
        return self.schedule.beta(self.step)

    def end_pretraining(self) -> None:
        """Keep the encoder, and give the decoder fresh weights and the optimizer a fresh state."""
        self.model.decoder.load_state_dict(self.model.make_decoder().state_dict())
        self.raw_optimizer.state.clear()

    def judge(self, epoch: int) -> None:
        """Log the figures of the validation; keep the bundle if it is the best so far.

        Raises:
            InputError: the training has diverged.
        """
        validation, self.validation = self.validation, None
        assert validation is not None
        if not math.isfinite(validation.loss):
            raise InputError(
                f"{self.run}: the training has diverged (validation loss {validation.loss} in "
                f"epoch {epoch}); lower trainer.learning_rate, which is "
                f"{self.config.trainer.learning_rate:g}, and give another --name"
            )
        best = is_best(validation.loss, self.history, self.config.trainer.pretrain_epochs)
        self.history.append(self.progress(epoch) | validation.row())
        write_metrics(self.run, self.history)
        self.log_figures(self.history[-1])
        if best:
            self.keep(validation)
        mark = f"best so far, by a loss of {validation.loss:.2f}" if best else ""
        if epoch <= self.config.trainer.pretrain_epochs:
            mark = "autoencoder"
        lines = [headline(epoch, validation.figures, mark), *validation.examples]
        if warning := self.watch.warning(validation.figures, self.step):
            lines.append(warning)
        tqdm.write("\n".join(lines), file=sys.stderr)

    def keep(self, validation: Validation) -> None:
        """Write the bundle of the model that was validated."""
        model = self.model if self.average is None else self.average
        settings = asdict(self.config)
        tokenizer = self.corpus.tokenizer
        card = card_of_run(
            self.config.name,
            tokenizer.kind,
            tokenizer.modality,
            num_parameters=sum(weight.numel() for weight in model.parameters()),
            latent_dim=model.config.latent_dim,
            num_trained_on=self.corpus.num_sequences["train"],
            figures=validation.figures,
        )
        save_bundle(self.run / BUNDLE, model, self.corpus.tokenizer, settings, card)

    def progress(self, epoch: int) -> dict[str, float]:
        """The columns of metrics.csv about the training: as it stands, since the row before."""
        means = self.nats.means()
        return {
            "epoch": epoch,
            "step": self.step,
            "minutes": round(self.seconds() / 60, 2),
            "beta": float(self.beta_used),
            "learning_rate": self.raw_optimizer.param_groups[0]["lr"],
            "train_nll": means["nll"],
            "train_kl": means["kl"],
        }

    def seconds(self) -> float:
        """Seconds of training so far, across interruptions."""
        return self.seconds_before + time.monotonic() - self.started

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.raw_optimizer.state_dict(),
            "rate": self.rate.state_dict() if self.rate is not None else None,
            "average": self.average.state_dict() if self.average is not None else None,
            "step": self.step,
            "num_steps": self.schedule.num_steps,
            "nats": self.nats.sums,
            "history": self.history,
            "seconds": self.seconds(),
            "warned": self.watch.warned,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a saved state.

        Raises:
            ValueError, TypeError, LookupError, RuntimeError: it is not one of this training.
        """
        state = fields_of(
            state,
            {
                "step": int, "num_steps": int, "history": list[dict[str, Any]], "seconds": float,
                "warned": bool,
            },
        )  # fmt: skip
        if self.config.trainer.max_minutes is not None:
            self.schedule.num_steps = state["num_steps"]
        if not 0 <= state["step"] <= self.schedule.num_steps:
            raise ValueError(f"step is {state['step']} of {self.schedule.num_steps}")
        if {type(value) for row in state["history"] for value in row.values()} - {int, float}:
            raise TypeError("the history holds something else than numbers")
        if any(row.keys() != state["history"][0].keys() for row in state["history"]):
            raise ValueError("the history has rows of several kinds")
        if state["nats"].shape != self.nats.sums.shape or not state["nats"].is_floating_point():
            raise ValueError(f"nats of shape {tuple(state['nats'].shape)}")
        self.model.load_state_dict(state["model"])
        self.optimizer_state = self.moments(state["optimizer"]["state"])
        if self.rate is not None:
            self.rate.load_state_dict(state["rate"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.step, self.history = state["step"], state["history"]
        self.nats.sums = state["nats"]
        self.watch.warned = state["warned"]
        self.seconds_before = state["seconds"]

    def moments(self, saved: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
        """The state of the optimizer, if it is one of these weights.

        Raises:
            ValueError, TypeError, LookupError: a part belongs to no weight, or to another one.
        """
        weights = [*self.model.parameters()]
        for number, parts in saved.items():
            for name, part in parts.items():
                if part.ndim and part.shape != weights[number].shape:
                    raise ValueError(f"{name} of shape {tuple(part.shape)}")
        return saved
