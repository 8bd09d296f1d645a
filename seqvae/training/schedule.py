"""What the number of an optimizer step decides: its epoch, its stage, learning rate and beta.

The one state is the length of a training that is given in minutes, which checkpoints hold. So a
resumed run goes on exactly as an uninterrupted one.
"""

import math
import sys
from dataclasses import dataclass, field

from seqvae.errors import InputError
from seqvae.training.config import Config

UNKNOWN = sys.maxsize
ESTIMATED_EVERY = 50  # steps; the first estimates come sooner
FIRST_ESTIMATE = 8  # the first steps are slow


@dataclass
class Schedule:
    """The course of a training. Steps are counted from 0, epochs from 1."""

    config: Config
    num_sequences: int
    """Sequences of the training split."""
    num_steps: int = field(init=False)
    """Optimizer steps of the whole training; where minutes are given, as many as fit into them by
    the speed so far, or UNKNOWN."""

    def __post_init__(self) -> None:
        """Refuse a training that ends with its first stage."""
        settings = self.config.trainer
        if settings.max_minutes is not None:
            self.num_steps = UNKNOWN
        elif settings.max_steps is not None:
            self.num_steps = settings.max_steps
        else:
            self.num_steps = self.steps_per_epoch * settings.max_epochs
        if self.pretrain_steps >= self.num_steps:
            raise InputError(
                f"trainer.pretrain_epochs {settings.pretrain_epochs} are {self.pretrain_steps} "
                f"steps, of max_steps {self.num_steps}: nothing is left to train after them"
            )

    def is_estimated(self, step: int) -> bool:
        """Whether the length of the training is estimated anew after so many steps."""
        if self.config.trainer.max_minutes is None or step < FIRST_ESTIMATE:
            return False
        return step % ESTIMATED_EVERY == 0 or step & (step - 1) == 0

    def estimate(self, step: int, seconds: float) -> None:
        """Fit the length of the training to its minutes, after `step` steps in so many seconds."""
        assert self.config.trainer.max_minutes is not None
        share = 60 * self.config.trainer.max_minutes / max(seconds, 1e-9)
        self.num_steps = max(step, int(min(step * share, UNKNOWN)))

    @property
    def num_passes(self) -> int:
        """Passes over the training split per epoch."""
        return -(-self.config.trainer.min_epoch_steps // self._steps_per_pass)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch."""
        return self.num_passes * self._steps_per_pass

    @property
    def pretrain_steps(self) -> int:
        """Optimizer steps of the first stage, which trains an autoencoder."""
        return self.steps_per_epoch * self.config.trainer.pretrain_epochs

    @property
    def _steps_per_pass(self) -> int:
        return -(-self.num_sequences // self.config.trainer.batch_size)

    def is_validated(self, step: int) -> bool:
        """Whether a validation follows after so many steps; one follows the last."""
        of_epochs = self.steps_per_epoch * self.config.trainer.validate_every
        return step % of_epochs == 0 or step == self.num_steps

    def stage(self, step: int) -> tuple[int, int]:
        """The step within its stage, and the number of steps of that stage."""
        if step < self.pretrain_steps:
            return step, self.pretrain_steps
        return step - self.pretrain_steps, self.num_steps - self.pretrain_steps

    def learning_rate(self, step: int) -> float:
        """In each stage a linear warm-up to the peak, then half a cosine down to its share.

        The warm-up takes half of a stage at most.
        """
        settings, (step, num_steps) = self.config.trainer, self.stage(step)
        peak, low = settings.learning_rate, settings.final_learning_rate_share
        warmup_steps = min(settings.warmup_steps, num_steps // 2)
        if step < warmup_steps:
            return peak * (step + 1) / warmup_steps
        progress = (step - warmup_steps) / max(num_steps - warmup_steps, 1)
        return peak * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress)))

    def beta(self, step: int) -> float:
        """The weight of the KL where no target sets it; an autoencoder has none."""
        if step < self.pretrain_steps:
            return 0.0
        return self.config.objective.beta(self.stage(step)[0])
