"""Training: a Lightning module around the model, and `train()`.

A run is a folder: config.yaml, corpus.json (what it is trained on), metrics.csv (a row a
validation), last.ckpt (to resume) and bundle/ (the best epoch by validation).

The state of a run is (weights, optimizer, step, history). Order, augmentation, noise, learning
rate and beta are functions of seed and step, so a run that is interrupted anywhere and resumed
equals an uninterrupted one. Lightning brings device, precision and the loop; it keeps no state.
"""

import contextlib
import csv
import ctypes
import json
import logging
import math
import pickle
import shutil
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from torch.utils.data import DataLoader
from tqdm import tqdm

from seqvae.bundle import BUNDLE, save_bundle
from seqvae.config import Config, TrainerConfig
from seqvae.data import Batch, held_out_loader, training_loader
from seqvae.errors import InputError
from seqvae.metrics import Tally, rows
from seqvae.model import SequenceVAE
from seqvae.preparation import find_sources, fingerprint_of, prepare
from seqvae.store import ABOUT, Corpus
from seqvae.tokenizers import make_tokenizer

CONFIG, METRICS, CHECKPOINT = "config.yaml", "metrics.csv", "last.ckpt"
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
    on_gpu = _use_gpu(config.trainer)
    checkpoint = _read_checkpoint(run, config) if resume else None
    if checkpoint is None and (run / CHECKPOINT).exists():
        raise InputError(
            f"{run}: this run exists; continue it with --resume or give another --name"
        )
    corpus = prepare(config)
    run.mkdir(parents=True, exist_ok=True)
    if checkpoint is None:
        (run / CONFIG).write_text(yaml.safe_dump(asdict(config), sort_keys=False))
        shutil.copy(corpus.folder / ABOUT, run / ABOUT)
    _keep_freed_memory()
    torch.manual_seed(config.trainer.seed)  # initial weights
    module = VAETraining(config, corpus, run)
    if checkpoint is not None:
        module.restore(checkpoint)
    if module.step >= module.num_steps:
        logger.warning("%s: the training is complete; there is nothing to resume", run)
        return run
    with _quiet_lightning(), _stop_between_steps(module):
        _make_trainer(config.trainer, module, on_gpu=on_gpu).fit(module)
    if module.interrupted:
        raise KeyboardInterrupt(
            f"{run}: interrupted at step {module.step} of {module.num_steps}; "
            "the same command with --resume goes on"
        )
    return run


class VAETraining(lightning.LightningModule):
    """Optimises the negative ELBO and keeps the best epoch."""

    def __init__(self, config: Config, corpus: Corpus, run: Path) -> None:
        """`run` is the folder that the results go to."""
        super().__init__()
        self.config, self.corpus, self.run = config, corpus, run
        self.tokenizer = corpus.tokenizer
        self.model = SequenceVAE(
            vocab_sizes=self.tokenizer.vocab_sizes,
            max_steps=self.tokenizer.max_steps,
            eos_id=self.tokenizer.eos_id,
            **asdict(config.model),
        )
        self.batches_per_epoch = -(-len(corpus.splits["train"]) // config.trainer.batch_size)
        self.num_steps = self.batches_per_epoch * config.trainer.max_epochs
        self.step = 0
        self.history: list[dict[str, float]] = []
        self.seconds_before = 0.0
        self.started = time.monotonic()
        self.interrupted = False
        self.optimizer_state: dict[str, Any] | None = None
        self.bar: tqdm[Any] | None = None

    # Lightning's hooks, in the order in which they run

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam (Kingma & Ba 2015), with the state of the checkpoint where there is one."""
        fused = True if self.device.type == "cuda" else None
        optimizer = torch.optim.Adam(self.model.parameters(), fused=fused)
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
            first_batch=first_batch,
        )

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Draw the randomness of a step from its number alone, and set the learning rate."""
        torch.manual_seed(self.config.trainer.seed * 2**32 + self.step)
        for group in self.optimizers().param_groups:  # type: ignore[union-attr]  # there is one
            group["lr"] = learning_rate(self.config.trainer, self.step, self.num_steps)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """One step on the bound, with beta and free nats."""
        settings = self.config.trainer
        beta = settings.beta(self.step)
        bound = self.model(batch.ids, batch.lengths)
        loss = bound.loss(beta, settings.free_nats)
        return {"loss": loss, "nll": bound.nll.detach(), "kl": bound.kl.detach(), "beta": beta}

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Count the step and advance the bar; stop here where the user asked for it."""
        self.step += 1
        assert self.bar is not None
        # A batch holds sequences of one length, so only an average over batches says something.
        for name, average in self.averages.items():
            average.lerp_(outputs[name].mean(), max(SMOOTHING, 1 / (batch_idx + 1)))
        if self.bar.update():  # only when it is drawn: reading a figure waits for a GPU
            figures = {name: f"{average.item():.1f}" for name, average in self.averages.items()}
            self.bar.set_postfix(figures | {"beta": f"{outputs['beta']:.3f}"}, refresh=False)
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

    def validate(self, epoch: int) -> None:
        """Log the figures of the validation split; keep the bundle if it is the best so far."""
        settings = self.config.trainer
        self.model.eval()
        tally = Tally(self.model)
        examples: list[str] = []
        for batch in held_out_loader(self.corpus.splits["valid"], 4 * settings.batch_size):
            decoded = tally.update(Batch(*(part.to(self.device) for part in batch)))
            if not examples:
                pairs = zip(rows(batch), rows(decoded), strict=True)
                for original, decoding in list(pairs)[-2:]:
                    examples.append(f"  in   {self.tokenizer.show(original)}"[:LINE])
                    examples.append(f"  out  {self.tokenizer.show(decoding)}"[:LINE])
        self.model.train()
        nll, kl = tally.nats()
        figures = tally.result()
        # Epochs are compared at the final beta, or those of the annealing would look best.
        excess = (kl - settings.free_nats).clamp(min=0)
        loss = float((nll + settings.beta.max_beta * excess).mean())
        best = loss < min((row["loss"] for row in self.history), default=math.inf)
        self.history.append({
            "epoch": epoch,
            "step": self.step,
            "minutes": round(self.seconds() / 60, 2),
            "loss": loss,
            "neg_elbo": figures.neg_elbo,
            "nll": figures.nll,
            "kl": figures.kl,
            "active_units": figures.active_units,
            "accuracy_teacher_forced": figures.accuracy_teacher_forced,
            "accuracy_free_running": figures.accuracy_free_running,
        })  # fmt: skip
        write_metrics(self.run / METRICS, self.history)
        if best:
            save_bundle(self.run / BUNDLE, self.model, self.corpus, self.config, figures)
        mark = "  (best so far)" if best else ""
        headline = (
            f"epoch {epoch}: -ELBO {figures.neg_elbo:.2f}  KL {figures.kl:.2f} nats  "
            f"active units {figures.active_units}/{figures.latent_dim}  "
            f"free-running accuracy {figures.accuracy_free_running:.4f}{mark}"
        )
        tqdm.write("\n".join([headline, *examples]), file=sys.stderr)

    def seconds(self) -> float:
        """Seconds of training so far, those before an interruption included."""
        return self.seconds_before + time.monotonic() - self.started

    def save_checkpoint(self) -> None:
        """Write the state of the run: tensors and plain values, whole or not at all."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizers(use_pl_optimizer=False).state_dict(),  # type: ignore[union-attr]  # there is one
            "step": self.step,
            "history": self.history,
            "seconds": self.seconds(),
        }  # fmt: skip
        beside = self.run / (CHECKPOINT + ".partial")
        torch.save(state, beside)
        beside.replace(self.run / CHECKPOINT)

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Take up a saved state."""
        self.model.load_state_dict(checkpoint["model"])
        self.optimizer_state = checkpoint["optimizer"]
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


def write_metrics(file: Path, history: list[dict[str, float]]) -> None:
    """A row a validation."""
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, fieldnames=list(history[0]))
        writer.writeheader()
        writer.writerows(history)


def _read_checkpoint(run: Path, config: Config) -> dict[str, Any]:
    """The state to resume from, if it is one of this very config."""
    file = run / CHECKPOINT
    if not file.is_file():
        raise InputError(f"{run}: no {CHECKPOINT} to resume from; start it without --resume")
    saved = yaml.safe_load((run / CONFIG).read_text())
    wanted = json.loads(json.dumps(asdict(config)))  # tuples as the file has them
    for section in wanted:
        if wanted[section] != json.loads(json.dumps(saved.get(section))):
            raise InputError(
                f"{run}: its {section} settings are not those of this command; "
                f"resume with {run / CONFIG} or give another --name"
            )
    sources = find_sources(config.data, make_tokenizer(config.data.tokenizer))
    if fingerprint_of(config.data, sources) != json.loads((run / ABOUT).read_text())["fingerprint"]:
        raise InputError(
            f"{run}: the data have changed since this run began; give another --name, "
            "or put them back as they were"
        )
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(f"{file}: damaged; it cannot be resumed from") from error
    return state


def _use_gpu(settings: TrainerConfig) -> bool:
    available = torch.cuda.is_available()
    if settings.accelerator == "gpu" and not available:
        raise InputError("accelerator is gpu, but no GPU is available; use auto or cpu")
    return available and settings.accelerator != "cpu"


def _make_trainer(
    settings: TrainerConfig, module: VAETraining, *, on_gpu: bool
) -> lightning.Trainer:
    # Without native instructions bf16 is emulated, and several times slower than fp32.
    native = torch.cuda.is_bf16_supported() if on_gpu else torch.cpu._is_avx512_bf16_supported()
    half = settings.precision == "bf16" or (settings.precision == "auto" and native)
    return lightning.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=1,
        precision="bf16-mixed" if half else "32-true",
        max_epochs=settings.max_epochs - module.step // module.batches_per_epoch,
        reload_dataloaders_every_n_epochs=1,
        gradient_clip_val=settings.grad_clip,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


@contextlib.contextmanager
def _stop_between_steps(module: VAETraining) -> Iterator[None]:
    """Let the first Ctrl-C wait for the end of a step; a second one breaks in."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: Any) -> None:
        module.interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    previous = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _keep_freed_memory() -> None:
    """Tell glibc to reuse large buffers instead of giving them back to the system.

    Each step frees and asks for the same buffers, and mapping them anew each time takes a good part
    of an LSTM step on a CPU. Other C libraries are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        m_trim_threshold, m_mmap_max = -1, -4  # names and values of malloc.h
        mallopt(m_trim_threshold, 2**31 - 1)
        mallopt(m_mmap_max, 0)


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
        ):
            warnings.filterwarnings("ignore", message)
        try:
            yield
        finally:
            log.setLevel(level)
