"""The settings of an experiment: what a YAML file under `configs/` holds.

Every field has a unit in its name or docstring, and a check; every field but the place of the data
and the name of the run has a default.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias

from seqvae.corpus.config import DataConfig
from seqvae.errors import (
    InputError,
    above,
    at_least,
    at_most,
    check_types,
    one_of,
    shown,
    within,
)
from seqvae.files import expanded
from seqvae.model.config import ModelConfig, num_segments
from seqvae.model.remedies import Objective
from seqvae.tokenizers import make_tokenizer
from seqvae.tokenizers.contract import MusicTokenizer

# Five nats tell about 150 values of a dimension apart; an LSTM learns no finer code.
MAX_NATS_PER_DIM = 5.0
Logger: TypeAlias = Literal["tensorboard", "wandb"]  # names of packages, and of our extras
MAX_NAME_BYTES = 200  # of a run
MAX_EPOCHS, MAX_STEPS, MAX_BATCH = 10**6, 10**9, 10**6


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """How the model is trained."""

    max_epochs: int = 30
    """Passes over the training split."""
    max_steps: int | None = None
    """Length of the training in optimizer steps, in place of max_epochs."""
    max_minutes: float | None = None
    """Length of the training in minutes, validations included, in place of max_epochs. The learning
    rate falls over as many steps as fit into them by the speed so far."""
    min_epoch_steps: int = 1
    """Least number of optimizer steps per epoch; an epoch of a small corpus is several passes."""
    batch_size: int = 128
    """Sequences per batch; a corpus may be smaller."""
    optimizer: str = "adam"
    """Optimizer: adam (Kingma & Ba 2015) or sgd, without momentum."""
    learning_rate: float = 2e-3
    """Peak learning rate; about 1e-3 for adam, 1 for sgd."""
    final_learning_rate_share: float = 0.02
    """Learning rate of the last step, relative to the peak; it falls along a cosine."""
    warmup_steps: int = 200
    """Optimizer steps in which the learning rate rises from 0 to the peak; at most half of all."""
    grad_clip: float = 1.0
    """Global norm to which larger gradients are scaled."""
    pretrain_epochs: int = 0
    """Epochs, of those of the training, that first train an autoencoder (beta 0); then the decoder
    and the schedules start afresh (Li et al. 2019)."""
    ema_decay: float = 0.0
    """Decay per step of a moving average of the weights; if it is not 0, the average is what is
    validated and kept."""
    validate_every: int = 1
    """Epochs from one validation to the next."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """bf16 (autocast), fp32, or auto: bf16 where the hardware multiplies it natively."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Device: cpu, gpu, or auto: a GPU if there is one."""
    devices: int = 1
    """Devices per node that share each batch; each has a process of its own."""
    num_nodes: int = 1
    """Nodes, which have as many devices each."""
    strategy: Literal["auto", "ddp"] = "auto"
    """Lightning's strategy: ddp, or auto: ddp where there are several devices or nodes."""
    accumulate: int = 1
    """Parts in which each device computes its share of a batch, one after the other, to save
    memory."""
    loggers: Sequence[Logger] = ()
    """Where figures go beside metrics.csv: tensorboard, wandb."""
    checkpoint_minutes: float = 10.0
    """Minutes from one checkpoint to the next; each epoch ends with one as well."""
    init_from: str | None = None
    """A run, a bundle or a shipped model, whose weights and prior the training begins from."""
    seed: int = 0
    """Seed of the initial weights, the order of the data, their augmentation, and all noise."""

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        check_types(self)
        at_least(self, 1, "max_epochs", "min_epoch_steps", "batch_size", "validate_every")
        at_least(self, 1, "devices", "num_nodes", "accumulate")
        at_least(self, 0, "checkpoint_minutes")
        self._check_length()
        at_most(self, MAX_EPOCHS, "max_epochs")
        at_most(self, MAX_STEPS, "min_epoch_steps")
        at_most(self, MAX_BATCH, "batch_size")
        at_least(self, 0, "warmup_steps", "pretrain_epochs")
        within(self, 0, 2**32, "seed")
        within(self, 0.0, 1.0, "ema_decay")
        within(self, 0.0, 1.0, "final_learning_rate_share", closed=True)
        one_of(self, "optimizer", ("adam", "sgd"))
        self._check_loggers()
        above(self, 0, "learning_rate", "grad_clip")

    def _check_length(self) -> None:
        """Refuse two lengths, or one that ends with the pre-training."""
        if self.max_steps is not None and self.max_minutes is not None:
            raise InputError(
                f"max_steps is {self.max_steps} and max_minutes {self.max_minutes:g}; give one"
            )
        if self.max_steps is not None:
            at_least(self, 1, "max_steps")
            at_most(self, MAX_STEPS, "max_steps")
        elif self.max_minutes is not None:
            above(self, 0, "max_minutes")
            if self.pretrain_epochs:
                raise InputError(
                    f"pretrain_epochs is {self.pretrain_epochs}, but nobody knows how many epochs "
                    "max_minutes will be; give max_epochs or max_steps"
                )
        elif self.pretrain_epochs >= self.max_epochs:
            raise InputError(
                f"pretrain_epochs is {self.pretrain_epochs}, of max_epochs {self.max_epochs}: "
                "nothing is left to train after it"
            )

    def _check_loggers(self) -> None:
        """Refuse loggers that are not installed."""
        for logger in self.loggers:
            if find_spec(logger) is None:
                raise InputError(
                    f"loggers names {logger}, which is not installed; pip install '.[{logger}]'"
                )


@dataclass(frozen=True, kw_only=True)
class Config:
    """One experiment."""

    name: str
    """Name of the run: results go to runs/NAME."""
    data: DataConfig = field(default_factory=DataConfig)
    """The data."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The model."""
    objective: Objective = field(default_factory=Objective)
    """What is optimised."""
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    """The training."""

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        check_types(self)
        if not _is_plain(self.name):
            raise InputError(f"name is {shown(self.name)}; it must be a plain folder name")
        self._check_batches()
        if self.model.encoder_layers == 0:
            raise InputError("encoder_layers is 0; to train, a model needs 1 or more")
        if self.model.latent_dim == 0:
            self._check_language_model()
        else:
            self._check_free_nats()
            self._check_target()
        if self.model.decoder == "hierarchical" and self.data.tokenizer:
            self._check_segments()

    @property
    def corpus_folder(self) -> Path:
        """Folder of the prepared corpus."""
        return expanded(self.data.corpus or f"corpora/{self.name}")

    def _check_batches(self) -> None:
        """Refuse batches that cannot be normalised."""
        if self.model.bn_gamma > 0 and self.trainer.batch_size < 2:
            raise InputError(
                f"bn_gamma is {self.model.bn_gamma:g}, but a batch of {self.trainer.batch_size} "
                "has no variance; give batch_size 2 or more"
            )
        whole = {
            "bn_gamma": self.model.bn_gamma,
            "free_nats_per_dim": self.objective.free_nats_per_dim,
        }
        for name, value in whole.items():
            if value > 0 and self.trainer.accumulate > 1:
                raise InputError(
                    f"{name} is {value:g}, which takes the mean over a whole batch, but accumulate "
                    f"{self.trainer.accumulate} computes it in parts; give accumulate 1"
                )

    def _check_language_model(self) -> None:
        """Refuse settings of a code where there is none."""
        settings = {
            "objective.target_kl": self.objective.target_kl,
            "objective.free_nats": self.objective.free_nats,
            "objective.free_nats_per_dim": self.objective.free_nats_per_dim,
            "model.bn_gamma": self.model.bn_gamma,
            "trainer.pretrain_epochs": self.trainer.pretrain_epochs,
        }
        for name, value in settings.items():
            if value:
                raise InputError(f"{name} is {value}, but latent_dim 0 has no code to hold it")

    def _check_free_nats(self) -> None:
        """Refuse free nats that the code can never exceed."""
        latent_dim = self.model.latent_dim
        most = MAX_NATS_PER_DIM * latent_dim
        free = {
            "free_nats": (self.objective.free_nats, most),
            "free_nats_per_dim": (self.objective.free_nats_per_dim, MAX_NATS_PER_DIM),
        }
        for name, (value, limit) in free.items():
            if value > limit:
                raise InputError(
                    f"{name} is {value:g}, but latent_dim {latent_dim} holds about {most:g} nats "
                    f"({MAX_NATS_PER_DIM:g} per dimension): the KL would never cost anything"
                )

    def _check_target(self) -> None:
        """Refuse a target that the KL cannot reach."""
        latent_dim, target = self.model.latent_dim, self.objective.target_kl
        if target is None:
            return
        most = MAX_NATS_PER_DIM * latent_dim
        if target > most:
            raise InputError(
                f"target_kl is {target:g} nats, but latent_dim {latent_dim} holds about "
                f"{most:g} ({MAX_NATS_PER_DIM:g} per dimension); "
                f"give latent_dim {math.ceil(target / MAX_NATS_PER_DIM)} or more"
            )
        floor = latent_dim * self.model.bn_gamma**2 / 2
        if target <= floor:
            raise InputError(
                f"target_kl is {target:g} nats, but bn_gamma {self.model.bn_gamma:g} keeps the KL "
                f"of {latent_dim} dimensions at {floor:.3g} or more; "
                "lower bn_gamma or raise target_kl"
            )

    def _check_segments(self) -> None:
        """Refuse segments that do not make up a sequence, or a code that they cannot share."""
        tokenizer, length = make_tokenizer(self.data.tokenizer), self.model.segment_length
        if isinstance(tokenizer, MusicTokenizer) and tokenizer.eos_id is None:  # a grid of bars
            bar = tokenizer.steps_per_bar
            if bar % length and length % bar:
                raise InputError(
                    f"segment_length is {length}, neither a divisor nor a multiple of a bar of "
                    f"{bar} steps; give {bar}"
                )
            if tokenizer.max_steps % length:
                raise InputError(
                    f"segment_length is {length}, which does not divide the {tokenizer.max_steps} "
                    f"steps of a sequence of {tokenizer.kind}"
                )
        count, latent_dim = num_segments(self.model, tokenizer.steps), self.model.latent_dim
        if latent_dim % count:
            raise InputError(
                f"latent_dim is {latent_dim}, which {count} segments cannot share equally; set it "
                f"to {-(-latent_dim // count) * count}"
            )


def _is_plain(name: str) -> bool:
    """Whether a folder may have this name: no path, not hidden, not long, and nothing invisible."""
    try:  # an argument in a locale without UTF-8 has surrogates for its bytes
        raw = name.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return False
    if not 0 < len(raw) <= MAX_NAME_BYTES or raw.startswith(b".") or b"/" in raw:
        return False
    return raw.decode(errors="replace").isprintable()
