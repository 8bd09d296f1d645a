"""What the number of an optimizer step decides: its epoch, its stage, learning rate and beta.

Nothing here has a state, so that a resumed run goes on exactly as an uninterrupted one.
"""

import math
from dataclasses import dataclass

from seqvae.training.config import Config


@dataclass(frozen=True)
class Schedule:
    """The course of a training. Steps are counted from 0, epochs from 1."""

    config: Config
    num_sequences: int
    """Sequences of the training split."""

    @property
    def num_passes(self) -> int:
        """Passes over the training split per epoch."""
        return -(-self.config.trainer.min_epoch_steps // self._steps_per_pass)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch."""
        return self.num_passes * self._steps_per_pass

    @property
    def num_steps(self) -> int:
        """Optimizer steps of the whole training."""
        return self.steps_per_epoch * self.config.trainer.max_epochs

    @property
    def pretrain_steps(self) -> int:
        """Optimizer steps of the first stage, which trains an autoencoder."""
        return self.steps_per_epoch * self.config.trainer.pretrain_epochs

    @property
    def _steps_per_pass(self) -> int:
        return -(-self.num_sequences // self.config.trainer.batch_size)

    def is_validated(self, epoch: int) -> bool:
        """Whether a validation follows this epoch; one follows the last."""
        settings = self.config.trainer
        return epoch % settings.validate_every == 0 or epoch == settings.max_epochs

    def stage(self, step: int) -> tuple[int, int]:
        """The step within its stage, and the number of steps of that stage."""
        if step < self.pretrain_steps:
            return step, self.pretrain_steps
        return step - self.pretrain_steps, self.num_steps - self.pretrain_steps

    def learning_rate(self, step: int) -> float:
        """In each stage a linear warm-up to the peak, then half a cosine down to its share."""
        settings, (step, num_steps) = self.config.trainer, self.stage(step)
        peak, low = settings.learning_rate, settings.final_learning_rate_share
        if step < settings.warmup_steps:
            return peak * (step + 1) / settings.warmup_steps
        progress = (step - settings.warmup_steps) / max(num_steps - settings.warmup_steps, 1)
        return peak * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress)))

    def beta(self, step: int) -> float:
        """The weight of the KL where no target sets it; an autoencoder has none."""
        if step < self.pretrain_steps:
            return 0.0
        return self.config.objective.beta(self.stage(step)[0])
