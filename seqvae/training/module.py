"""The Lightning module: one optimizer step, and what happens between steps and epochs.

The state of a training is (weights, their average, optimizer, multiplier of the KL, step, sums of
the training's nats, history, warned). Order, augmentation, noise, learning rate and beta are
functions of seed and step, so that a run that is interrupted anywhere and resumed equals an
uninterrupted one. Lightning brings device, precision and the loop; it keeps no state.
"""

import copy
import itertools
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader
from tqdm import tqdm

from seqvae.corpus.batches import Batch, training_loader
from seqvae.corpus.store import Corpus
from seqvae.disk import fields_of
from seqvae.errors import InputError
from seqvae.inference.bundle import BUNDLE, model_card, save_bundle
from seqvae.model.objective import TargetRate
from seqvae.model.vae import SequenceVAE
from seqvae.training.checkpoint import write_checkpoint, write_metrics
from seqvae.training.collapse import CollapseWatch
from seqvae.training.config import Config
from seqvae.training.schedule import Schedule
from seqvae.training.validation import Validator, headline, is_best

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
}


class VAETraining(lightning.LightningModule):
    """Optimises the negative ELBO and keeps the best epoch."""

    def __init__(self, config: Config, corpus: Corpus, run: Path) -> None:
        """`run` is the folder that the results go to."""
        super().__init__()
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
        self.signal: int | None = None
        self.optimizer_state: dict[int, Any] | None = None
        self.beta_used: float | Tensor = 0.0
        self.bar: tqdm[Any] | None = None

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
        """Open the progress bar where the training stands."""
        interval = 0.5 if sys.stderr.isatty() else 30.0
        self.bar = tqdm(
            total=self.schedule.num_steps, initial=self.step, desc="train", unit=" steps",
            mininterval=interval, maxinterval=interval,
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
        )

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed the randomness of a step by its number alone, and set the learning rate."""
        torch.manual_seed(self.config.trainer.seed * 2**32 + self.step)
        if self.step == self.schedule.pretrain_steps > 0:
            self.end_pretraining()
        for group in self.raw_optimizer.param_groups:
            group["lr"] = self.schedule.learning_rate(self.step)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """One step on the objective."""
        self.beta_used = self.beta()
        bound = self.model(batch.ids, batch.lengths, encoder_input=batch.encoder_input)
        loss = self.config.objective.loss(bound, self.beta_used)
        return {"loss": loss, "nll": bound.nll.detach(), "kl": bound.kl.detach()}

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Clip the gradients, which Lightning refuses to do for a fused optimizer."""
        clip_grad_norm_(self.model.parameters(), self.config.trainer.grad_clip)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Count the step and advance the bar; stop here if the user asked for it."""
        if self.rate is not None and self.step >= self.schedule.pretrain_steps:
            self.rate.update(outputs["kl"])
        if self.average is not None:
            step_of_stage, decay = self.schedule.stage(self.step)[0], self.config.trainer.ema_decay
            move_average(self.average, self.model, step=step_of_stage, decay=decay)
        self.step += 1
        self.nats.add(outputs["nll"], outputs["kl"])
        assert self.bar is not None
        if self.bar.update():  # only when it is drawn: reading a figure waits for a GPU
            figures = {name: f"{mean:.1f}" for name, mean in self.nats.means().items()}
            self.bar.set_postfix(figures | {"beta": f"{float(self.beta_used):.3f}"}, refresh=False)
        self.stop_if_asked()

    def on_train_epoch_end(self) -> None:
        """Validate if it is time; write the checkpoint."""
        epoch, rest = divmod(self.step, self.schedule.steps_per_epoch)
        is_last = self.step == self.schedule.num_steps
        if rest == 0 and (epoch % self.config.trainer.validate_every == 0 or is_last):
            self.validate(epoch)
        write_checkpoint(self.run, self.state())
        self.stop_if_asked()

    # What they call

    @property
    def raw_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer without Lightning's wrapper."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        return optimizer

    def interrupt(self, number: int) -> None:
        """End the training after the step or the validation that runs, because of a signal."""
        self.signal = number

    def stop_if_asked(self) -> None:
        """Let Lightning end the training here."""
        if self.signal is not None:
            self.trainer.should_stop = True

    def beta(self) -> float | Tensor:
        """The weight of the KL at this step."""
        if self.rate is not None and self.step >= self.schedule.pretrain_steps:
            return self.rate.beta()
        return self.schedule.beta(self.step)

    def end_pretraining(self) -> None:
        """Keep the encoder, and give the decoder fresh weights and the optimizer a fresh state."""
        self.model.decoder.load_state_dict(self.model.make_decoder().state_dict())
        self.raw_optimizer.state.clear()

    def validate(self, epoch: int) -> None:
        """Log the figures of the validation split; keep the bundle if it is the best so far."""
        pretrain_epochs = self.config.trainer.pretrain_epochs
        model = self.model if self.average is None else self.average
        validation = self.validator.validate(model)
        figures = validation.figures
        if not math.isfinite(validation.loss):
            raise InputError(
                f"{self.run}: the training has diverged (validation loss {validation.loss} in "
                f"epoch {epoch}); lower trainer.learning_rate, which is "
                f"{self.config.trainer.learning_rate:g}, and give another --name"
            )
        best = is_best(validation.loss, self.history, pretrain_epochs)
        self.history.append(self.progress(epoch) | validation.row())
        self.nats = TrainingNats()
        write_metrics(self.run, self.history)
        if best:
            settings = asdict(self.config)
            card = model_card(model, self.corpus, settings, figures)
            save_bundle(self.run / BUNDLE, model, self.corpus.tokenizer, settings, card)
        mark = f"best so far, by a loss of {validation.loss:.2f}" if best else ""
        if epoch <= pretrain_epochs:
            mark = "autoencoder"
        lines = [headline(epoch, figures, mark), *validation.examples]
        if warning := self.watch.warning(figures, self.step):
            lines.append(warning)
        tqdm.write("\n".join(lines), file=sys.stderr)

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
            state, {"step": int, "history": list[dict[str, Any]], "seconds": float, "warned": bool}
        )
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


class TrainingNats:
    """Sums over the sequences that were trained on since the last validation."""

    def __init__(self) -> None:
        self.sums = torch.zeros(3, dtype=torch.float64)  # of nll, of kl, and number of sequences

    def add(self, nll: Float[Tensor, " B"], kl: Float[Tensor, " B"]) -> None:
        """Add a batch; no GPU is waited for."""
        terms = torch.stack([nll, kl, torch.ones_like(nll)]).double()
        self.sums = self.sums.to(nll.device) + terms.sum(1)

    def means(self) -> dict[str, float]:
        """Nats per sequence."""
        nll, kl, number = self.sums.tolist()
        return {"nll": nll / number, "kl": kl / number}


@torch.no_grad()
def move_average(average: SequenceVAE, model: SequenceVAE, *, step: int, decay: float) -> None:
    """Take the average of weights and buffers one step on; the first steps count for more.

    (Torch's AveragedModel asks the device for its count at each step, which makes a GPU wait.)
    """
    weight = max(1 - decay, 10 / (10 + step))
    averages = itertools.chain(average.parameters(), average.buffers())
    values = itertools.chain(model.parameters(), model.buffers())
    for mean, value in zip(averages, values, strict=True):
        mean.lerp_(value, weight)
