"""The settings of an experiment: what a YAML file under `configs/` holds.

Every field has a default but the data's place, a unit in its name or docstring, and a check.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from seqvae.corpus.config import DataConfig
from seqvae.errors import InputError
from seqvae.model.decoder import DECODERS, Z_WIRINGS
from seqvae.model.encoder import POOLINGS
from seqvae.model.objective import Objective
from seqvae.tokenizers import make_tokenizer

# Five nats tell about 150 values of a dimension apart, finer than an LSTM learns to write and read.
MAX_NATS_PER_DIM = 5.0


def _at_least(section: object, low: float, *names: str) -> None:
    for name in names:
        value = getattr(section, name)
        if not low <= value < math.inf:
            raise InputError(f"{name} is {value}; it must be {low:g} or more, and finite")


def _one_of(section: object, name: str, table: Mapping[str, Any]) -> None:
    if getattr(section, name) not in table:
        raise InputError(f"{name} is {getattr(section, name)!r}; there are {', '.join(table)}")


def _within(section: object, low: float, high: float, *names: str) -> None:
    for name in names:
        value = getattr(section, name)
        if not low <= value < high:
            raise InputError(f"{name} is {value}; it must lie in [{low:g}, {high:g})")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network: its sizes, how z is made and used, and its dropout."""

    latent_dim: int = 64
    """Dimensions of z; 0 leaves a language model, the decoder alone."""
    embedding_dim: int = 128
    """Dimensions of a token's embedding."""
    encoder_dim: int = 256
    """Hidden units of the encoder, per direction."""
    encoder_layers: int = 1
    """Bidirectional LSTM layers of the encoder."""
    encoder_pooling: str = "last"
    """How the encoder's states become one: last (of each direction), mean or max."""
    encoder_dropout: float = 0.0
    """Locked dropout of the encoder's embeddings."""
    bn_gamma: float = 0.0
    """Standard deviation to which posterior means are batch-normalised (BN-VAE); 0 is off. The KL
    is then latent_dim * bn_gamma^2 / 2 nats or more in training, and about as much elsewhere; 0.5
    to 0.7 are usual."""
    decoder: str = "flat"
    """flat (one LSTM over all steps) or hierarchical (a conductor gives each segment its code, and
    the encoder reads segments too)."""
    decoder_dim: int = 512
    """Hidden units of the decoder."""
    decoder_layers: int = 1
    """LSTM layers of the decoder."""
    conductor_dim: int = 256
    """Width of a segment's code: hidden units of the conductor, half of them a direction."""
    conductor_layers: int = 1
    """LSTM layers of the conductor."""
    segment_length: int = 16
    """Steps of a hierarchical decoder's segment; 16 are a bar of sixteenths in 4/4."""
    z_wiring: list[str] = field(default_factory=lambda: ["state", "input"])
    """Ways of z into the decoder: state (initial, of every layer), input (beside the token at each
    step), output (past the LSTM into the softmax)."""
    tied_embeddings: bool = False
    """The decoder's softmax shares the weights of its embedding."""
    num_softmaxes: int = 1
    """Components of a mixture of softmaxes; 1 is a plain softmax."""
    dropout: float = 0.0
    """Dropout of the decoder's inputs, outputs and between its layers."""
    locked_dropout: bool = True
    """That dropout takes the same features at all steps of a sequence; false draws each step."""
    embedding_dropout: float = 0.0
    """Share of the vocabulary that the decoder does not see in a training step."""
    weight_dropout: float = 0.0
    """Share of the decoder's recurrent weights that are dropped in a training step."""
    token_dropout: float = 0.0
    """Share of the decoder's input tokens that are blanked in training ("word dropout")."""

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        _at_least(self, 0, "latent_dim", "bn_gamma")
        _at_least(self, 1, "embedding_dim", "encoder_dim", "encoder_layers")
        _at_least(self, 1, "decoder_dim", "decoder_layers", "num_softmaxes")
        _at_least(self, 1, "conductor_dim", "conductor_layers", "segment_length")
        _within(self, 0.0, 1.0, "dropout", "token_dropout", "encoder_dropout")
        _within(self, 0.0, 1.0, "embedding_dropout", "weight_dropout")
        _one_of(self, "decoder", DECODERS)
        _one_of(self, "encoder_pooling", POOLINGS)
        for way in self.z_wiring:
            if way not in Z_WIRINGS:
                raise InputError(f"z_wiring has {way!r}; there are {', '.join(Z_WIRINGS)}")
        if self.decoder == "hierarchical" and self.latent_dim == 0:
            raise InputError("decoder is hierarchical, but latent_dim 0 has no code to conduct by")
        if self.conductor_dim % 2:
            raise InputError(f"conductor_dim is {self.conductor_dim}; its two directions want half")
        if self.latent_dim > 0 and not self.z_wiring:
            raise InputError(
                f"z_wiring is empty, so the {self.latent_dim} dimensions of z reach nothing; give "
                f"{', '.join(Z_WIRINGS)} or some of them, or latent_dim 0 for a language model"
            )


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """How the model is trained."""

    max_epochs: int = 30
    """Passes over the training split."""
    min_epoch_steps: int = 1
    """A small corpus is passed over as often an epoch as makes this many optimizer steps."""
    batch_size: int = 128
    """Sequences of a batch; a corpus may be smaller."""
    optimizer: str = "adam"
    """Optimizer: adam (Kingma & Ba 2015) or sgd, without momentum."""
    learning_rate: float = 2e-3
    """Peak learning rate; about 1e-3 for adam, 1 for sgd."""
    final_learning_rate_share: float = 0.02
    """Learning rate of the last step as a share of the peak; it falls along a cosine."""
    warmup_steps: int = 200
    """Optimizer steps in which the learning rate rises from 0."""
    grad_clip: float = 1.0
    """Gradients are scaled to at most this global norm."""
    pretrain_epochs: int = 0
    """The first of these epochs train an autoencoder (beta 0); then the decoder and the schedules
    start afresh (Li et al. 2019)."""
    ema_decay: float = 0.0
    """Decay of the moving average of the weights, which is what is validated and kept; 0 is off."""
    validate_every: int = 1
    """Epochs from one validation to the next."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """bf16 autocast where the hardware multiplies it natively, fp32 otherwise."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to train."""
    seed: int = 0
    """Seed of initial weights, order, noise and augmentation."""

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        _at_least(self, 1, "max_epochs", "min_epoch_steps", "batch_size", "validate_every")
        _at_least(self, 0, "warmup_steps", "pretrain_epochs")
        _within(self, 0, 2**32, "seed")
        _within(self, 0.0, 1.0, "ema_decay")
        _within(self, 0.0, 1.0 + 1e-9, "final_learning_rate_share")
        _one_of(self, "optimizer", dict.fromkeys(("adam", "sgd")))
        for name in ("learning_rate", "grad_clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} is {getattr(self, name)}; it must be above 0, and finite")
        if self.pretrain_epochs >= self.max_epochs:
            raise InputError(
                f"pretrain_epochs is {self.pretrain_epochs}, of max_epochs {self.max_epochs}: "
                "nothing is left to train after it"
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
        """Refuse names that are no folder names."""
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise InputError(f"name is {self.name!r}; it must be a plain folder name")
        self._check_batches()
        self._check_rate()
        self._check_segments()

    def _check_batches(self) -> None:
        """Refuse batches that cannot be normalised."""
        if self.model.bn_gamma > 0 and self.trainer.batch_size < 2:
            raise InputError(
                f"bn_gamma is {self.model.bn_gamma:g}, but a batch of {self.trainer.batch_size} "
                "has no variance; give batch_size 2 or more"
            )

    def _check_segments(self) -> None:
        """Refuse segments that do not make up a sequence."""
        if self.model.decoder != "hierarchical" or not self.data.tokenizer:
            return
        tokenizer, length = make_tokenizer(self.data.tokenizer), self.model.segment_length
        if tokenizer.eos_id is None:  # all windows are as long, and made of bars
            bar = tokenizer.steps_per_bar
            if bar % length and length % bar:
                raise InputError(
                    f"segment_length is {length}, neither part nor multiple of a bar of {bar} "
                    f"steps; give {bar}"
                )
            if tokenizer.max_steps % length:
                raise InputError(
                    f"segment_length is {length}, which does not divide the {tokenizer.max_steps} "
                    f"steps of a sequence of {tokenizer.kind}"
                )
        num_segments, size = -(-tokenizer.max_steps // length), self.model.latent_dim
        if size % num_segments:
            raise InputError(
                f"latent_dim is {size}, which {num_segments} segments cannot share evenly; give "
                f"{-(-size // num_segments) * num_segments}"
            )

    def _check_rate(self) -> None:
        """Refuse a KL that the latent code cannot have."""
        size, target = self.model.latent_dim, self.objective.target_kl
        if size == 0:
            remedies = {
                "objective.target_kl": target,
                "objective.free_nats": self.objective.free_nats,
                "objective.free_nats_per_dim": self.objective.free_nats_per_dim,
                "model.bn_gamma": self.model.bn_gamma,
                "trainer.pretrain_epochs": self.trainer.pretrain_epochs,
            }
            for name, value in remedies.items():
                if value:
                    raise InputError(f"{name} is {value}, but latent_dim 0 has no code to hold it")
        most = MAX_NATS_PER_DIM * size
        free = {
            "free_nats": (self.objective.free_nats, most),
            "free_nats_per_dim": (self.objective.free_nats_per_dim, MAX_NATS_PER_DIM),
        }
        for name, (value, limit) in free.items():
            if size and value > limit:
                raise InputError(
                    f"{name} is {value:g}, but latent_dim {size} holds about {most:g} nats "
                    f"({MAX_NATS_PER_DIM:g} a dimension): the KL would never cost anything"
                )
        if target is None or size == 0:
            return
        if target > most:
            raise InputError(
                f"target_kl is {target:g} nats, but latent_dim {size} holds about "
                f"{most:g} ({MAX_NATS_PER_DIM:g} a dimension); "
                f"give latent_dim {math.ceil(target / MAX_NATS_PER_DIM)} or more"
            )
        floor = size * self.model.bn_gamma**2 / 2
        if target <= floor:
            raise InputError(
                f"target_kl is {target:g} nats, but bn_gamma {self.model.bn_gamma:g} keeps the KL "
                f"of {size} dimensions at {floor:.3g} or more; lower bn_gamma or raise target_kl"
            )
