"""The settings of an experiment: what a YAML file under `configs/` holds.

Every field has a default but the data's place, a unit in its name or docstring, and a check.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from seqvae.decoder import DECODERS
from seqvae.errors import InputError
from seqvae.objective import BetaSchedule
from seqvae.tokenizers import complete_settings


def _at_least(section: object, low: float, *names: str) -> None:
    for name in names:
        value = getattr(section, name)
        if not value >= low:
            raise InputError(f"{name} is {value}; it must be {low:g} or more")


def _within(section: object, low: float, high: float, *names: str) -> None:
    for name in names:
        value = getattr(section, name)
        if not low <= value < high:
            raise InputError(f"{name} is {value}; it must lie in [{low:g}, {high:g})")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the data come from and how they become sequences."""

    source: str | list[str] | None = None
    """A folder, a file, a glob or a list of them, to be split by source file (text in one file:
    by line)."""
    train: str | None = None
    """The training file or folder, where splits are given; then `valid` and `test` too."""
    valid: str | None = None
    """The validation file or folder."""
    test: str | None = None
    """The test file or folder."""
    tokenizer: dict[str, Any] = field(default_factory=dict)
    """`kind` (text, words or melody) and the settings of that tokenizer."""
    valid_share: float = 0.1
    """Share of the sources held out for validation."""
    test_share: float = 0.1
    """Share of the sources held out for the test."""
    split_seed: int = 0
    """Seed of the split."""
    dedupe: bool = False
    """Drop held-out sequences that stand verbatim in an earlier split."""
    num_workers: int | None = None
    """Processes that read files; by default one a core."""
    corpus: str | None = None
    """Folder of the prepared corpus; by default corpora/NAME."""

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        _within(self, 0.0, 1.0, "valid_share", "test_share")
        if self.valid_share + self.test_share >= 1:
            raise InputError("valid_share and test_share leave nothing to train on")
        if self.num_workers is not None:
            _at_least(self, 1, "num_workers")
        if self.tokenizer:
            object.__setattr__(self, "tokenizer", complete_settings(self.tokenizer))
        given = [name for name in ("train", "valid", "test") if getattr(self, name) is not None]
        if given and self.source is not None:
            raise InputError(f"data.source and data.{given[0]} are both set; give one of the two")
        if given and len(given) < 3:
            missing = next(name for name in ("train", "valid", "test") if name not in given)
            raise InputError(f"data.{given[0]} is set but data.{missing} is not; give all three")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The size of the model."""

    latent_dim: int = 64
    """Dimensions of z."""
    embedding_dim: int = 128
    """Dimensions of a token's embedding."""
    encoder_dim: int = 256
    """Hidden units of the encoder, per direction."""
    encoder_layers: int = 1
    """Bidirectional LSTM layers of the encoder."""
    decoder: Literal["flat"] = "flat"
    """Kind of decoder; the keys of DECODERS."""
    decoder_dim: int = 512
    """Hidden units of the decoder."""
    decoder_layers: int = 1
    """LSTM layers of the decoder."""
    dropout: float = 0.0
    """Dropout of the decoder's inputs, outputs and between its layers."""
    token_dropout: float = 0.0
    """Share of the decoder's input tokens that are blanked in training ("word dropout")."""

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        _at_least(self, 1, "latent_dim", "embedding_dim", "encoder_dim", "encoder_layers")
        _at_least(self, 1, "decoder_dim", "decoder_layers")
        _within(self, 0.0, 1.0, "dropout", "token_dropout")
        if self.decoder not in DECODERS:
            raise InputError(f"decoder is {self.decoder!r}; there are {', '.join(DECODERS)}")


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """How the model is trained."""

    max_epochs: int = 30
    """Passes over the training split."""
    batch_size: int = 128
    """Sequences of a batch; a corpus may be smaller."""
    learning_rate: float = 2e-3
    """Peak learning rate of Adam."""
    final_learning_rate_share: float = 0.02
    """Learning rate of the last step as a share of the peak; it falls along a cosine."""
    warmup_steps: int = 200
    """Optimizer steps in which the learning rate rises from 0."""
    grad_clip: float = 1.0
    """Gradients are scaled to at most this global norm."""
    beta: BetaSchedule = field(default_factory=BetaSchedule)
    """Weight of the KL term."""
    free_nats: float = 0.0
    """KL per sequence, in nats, that costs nothing."""
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
        _at_least(self, 1, "max_epochs", "batch_size", "validate_every")
        _at_least(self, 0, "warmup_steps", "free_nats", "seed")
        _within(self, 0.0, 1.0 + 1e-9, "final_learning_rate_share")
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate is {self.learning_rate}; it must be above 0")
        if not self.grad_clip > 0:
            raise InputError(f"grad_clip is {self.grad_clip}; it must be above 0")


@dataclass(frozen=True, kw_only=True)
class Config:
    """One experiment."""

    name: str
    """Name of the run: results go to runs/NAME."""
    data: DataConfig = field(default_factory=DataConfig)
    """The data."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The model."""
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    """The training."""

    def __post_init__(self) -> None:
        """Refuse names that are no folder names."""
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise InputError(f"name is {self.name!r}; it must be a plain folder name")
