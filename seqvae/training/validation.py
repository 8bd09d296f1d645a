"""The validation at the end of an epoch: its figures, its loss, and what the log shows of it."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader

from seqvae.corpus.batches import Batch, held_out_loader
from seqvae.corpus.store import Corpus
from seqvae.inference.evaluation import Evaluation, Tally
from seqvae.inference.figures import MusicPairs
from seqvae.inference.metrics import unpadded
from seqvae.model.objective import NegativeELBO, selection_loss
from seqvae.model.ranks import is_main
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers.contract import Ids
from seqvae.training.config import Config

MAX_VALIDATED = 10_000  # sequences; each is decoded freely at every validation
NUM_EXAMPLES = 2  # sequences that the log shows beside their reconstructions
LINE = 118  # characters of an example that are shown
FIGURES = (  # of an evaluation, in the columns of metrics.csv
    "neg_elbo", "nll", "kl", "mi_aggregate", "active_units", "accuracy_teacher_forced",
    "accuracy_free_running", "accuracy_constant", "onset_f1", "duration_within_step",
)  # fmt: skip

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Validation:
    """What one validation says about a model."""

    figures: Evaluation
    loss: float
    """Nats by which epochs are compared (`selection_loss`); the lowest is the best."""
    examples: list[str]
    """Lines of the log: a few sequences, and their reconstructions."""

    def row(self) -> dict[str, float]:
        """The columns of metrics.csv that a validation fills."""
        known = {name: getattr(self.figures, name) for name in FIGURES}
        return {"loss": self.loss} | {k: v for k, v in known.items() if v is not None}


class Validator:
    """Validates models on the validation split, or on a part of it that stays the same."""

    def __init__(self, config: Config, corpus: Corpus) -> None:
        """A split of more than `MAX_VALIDATED` sequences is represented by as many random ones."""
        self.objective, self.tokenizer = config.objective, corpus.tokenizer
        self.batch_size = 4 * config.trainer.batch_size  # without gradients four times as many fit
        self.split = corpus.splits["valid"]
        self.numbers = np.arange(len(self.split))
        if len(self.split) > MAX_VALIDATED:
            rng = np.random.default_rng(config.data.split_seed)
            self.numbers = np.sort(rng.permutation(len(self.split))[:MAX_VALIDATED])
            logger.info(
                "validations take %d of the %d sequences, always the same",
                MAX_VALIDATED, len(self.split),
            )  # fmt: skip

    def loader(self) -> DataLoader[Batch]:
        """The batches to validate on; none on any rank but the main one."""
        numbers = self.numbers if is_main() else self.numbers[:0]
        return held_out_loader(self.split, self.batch_size, self.tokenizer, numbers)

    def begin(self, model: SequenceVAE) -> None:
        """Begin to validate a model, which is in evaluation mode."""
        self.tally = Tally(model)
        self.bounds: list[NegativeELBO] = []
        self.originals: list[Ids] = []
        self.decodings: list[Ids] = []

    def add(self, batch: Batch) -> None:
        """Add a batch, which is where the model is."""
        self.decodings += unpadded(self.tally.update(batch))
        self.originals += unpadded(batch)
        self.bounds.append(self.tally.latest)

    def result(self) -> Validation:
        """The figures of all batches since the beginning."""
        figures = self.tally.result()
        if self.tokenizer.modality == "music":
            pairs = MusicPairs(self.tokenizer)
            pairs.add(self.originals, self.decodings)
            figures = Evaluation(**vars(figures) | pairs.figures())
        bound = NegativeELBO(
            torch.cat([part.nll for part in self.bounds]),
            torch.cat([part.kl_per_dim for part in self.bounds]),
        )
        loss = float(selection_loss(self.objective, bound))
        return Validation(figures, loss, self._examples())

    def _examples(self) -> list[str]:
        """Sequences of medium length, and what the model makes of them."""
        first = max(0, (len(self.originals) - NUM_EXAMPLES) // 2)
        shown = slice(first, first + NUM_EXAMPLES)
        return [
            f"  {label:<4} {self.tokenizer.show(ids)}"[:LINE]
            for pair in zip(self.originals[shown], self.decodings[shown], strict=True)
            for label, ids in zip(("in", "out"), pair, strict=True)
        ]


def is_best(loss: float, history: Sequence[Mapping[str, float]], pretrain_epochs: int) -> bool:
    """Whether a loss is below those of all epochs before; autoencoders do not count.

    So each autoencoder is kept, until the first epoch that follows the pre-training.
    """
    rivals = [row["loss"] for row in history if row["epoch"] > pretrain_epochs]
    return loss < min(rivals, default=math.inf)


def headline(epoch: int, figures: Evaluation, mark: str) -> str:
    """The line of the log about one validation."""
    parts = [
        f"epoch {epoch}: -ELBO {figures.neg_elbo:.2f}",
        f"KL {figures.kl:.2f} nats",
        f"MI {figures.mi_aggregate:.2f}",
        f"active units {figures.active_units}/{figures.latent_dim}",
        f"accuracy {figures.accuracy_free_running:.4f} "
        f"(constant answer {figures.accuracy_constant:.4f})",
    ]
    if figures.onset_f1 is not None:
        parts.append(f"onset F1 {figures.onset_f1:.4f}")
    if mark:
        parts.append(f"({mark})")
    return "  ".join(parts)
