"""Batches of a prepared corpus.

Axes: B sequences, T steps, C channels. Everything random is a function of (seed, epoch, batch), so
that a resumed run gets the same batches as an uninterrupted one, and so that each of several
processes can make a batch alone and take its share.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from seqvae.corpus.store import Split
from seqvae.model.ranks import Share, rank, size
from seqvae.tokenizers import AnyTokenizer

BUCKET_BATCHES = 50  # batches that are sorted by length together

Indices = NDArray[np.int64]


class Batch(NamedTuple):
    """Padded sequences; a tuple, because torch and Lightning move and pin those."""

    ids: Int[Tensor, "B T C"]
    lengths: Int[Tensor, " B"]
    encoder_input: Int[Tensor, "B T C"] | None = None
    """What the encoder reads, where that is not `ids`."""
    share: Share | None = None
    """Which rows of a batch these are, where they are not all."""

    @property
    def encoder_ids(self) -> Int[Tensor, "B T C"]:
        """What the encoder reads: `encoder_input`, or else `ids`."""
        return self.ids if self.encoder_input is None else self.encoder_input

    def to(self, device: torch.device, *, non_blocking: bool = False) -> "Batch":
        """The same on a device."""

        def moved(part: Tensor) -> Tensor:
            return part.to(device, non_blocking=non_blocking)

        encoder_input = None if self.encoder_input is None else moved(self.encoder_input)
        return Batch(moved(self.ids), moved(self.lengths), encoder_input, self.share)

    def shared(self, share: Share) -> "Batch":
        """A share of the whole batch; it may be empty."""
        encoder_input = None if self.encoder_input is None else share.rows(self.encoder_input)
        return Batch(share.rows(self.ids), share.rows(self.lengths), encoder_input, share)


def ordered_batches(lengths: NDArray[np.int64], batch_size: int) -> list[Indices]:
    """All sequences in batches of nearly equal length, shortest first."""
    order = np.argsort(lengths, kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def shuffled_batches(
    lengths: NDArray[np.int64], batch_size: int, *, seed: int, epoch: int
) -> list[Indices]:
    """All sequences in batches of nearly equal length, in a fresh order each epoch.

    Sequences are shuffled, sorted by length within groups of `BUCKET_BATCHES` batches, and the
    batches shuffled again. None is left out, however few there are.
    """
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(lengths))
    group_size = batch_size * BUCKET_BATCHES
    batches = []
    for start in range(0, len(order), group_size):
        group = order[start : start + group_size]
        batches += [group[batch] for batch in ordered_batches(lengths[group], batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


class BatchDataset(Dataset[Batch]):
    """Whole batches of a split, by number; assembling one takes well under a millisecond."""

    def __init__(
        self,
        split: Split,
        batches: Sequence[Indices],
        tokenizer: AnyTokenizer,
        augment: Callable[[NDArray[np.int64], int], NDArray[np.int64]] | None = None,
    ) -> None:
        """`augment` gets the padded tokens (B, T, C) and the number of the batch."""
        self.split, self.batches = split, batches
        self.tokenizer, self.augment = tokenizer, augment

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.batches)

    def __getitem__(self, number: int) -> Batch:
        """Gather one batch."""
        indices = self.batches[number]
        ids, lengths = self.split.padded(indices), self.split.lengths_of(indices)
        if self.augment is not None:
            ids = self.augment(ids, number)
            if self.tokenizer.eos_id is not None:  # it may be elsewhere now
                lengths = 1 + (ids[..., 0] == self.tokenizer.eos_id).argmax(1)
        encoder_input = self.tokenizer.encoder_input(ids)
        return Batch(
            torch.from_numpy(ids),
            torch.from_numpy(lengths),
            None if encoder_input is None else torch.from_numpy(encoder_input),
        )


class SharedDataset(Dataset[Batch]):
    """The shares that this rank has of each batch, part after part.

    A batch is made whole and then cut: augmentation may look at all its rows, and all shares are
    padded alike.
    """

    def __init__(self, whole: BatchDataset, num_parts: int) -> None:
        self.whole, self.num_parts = whole, num_parts

    def __len__(self) -> int:
        """Number of parts of all batches."""
        return len(self.whole) * self.num_parts

    def __getitem__(self, number: int) -> Batch:
        """One part of one batch."""
        batch, part = divmod(number, self.num_parts)
        num_rows = len(self.whole.batches[batch])
        first, of = part * size() + rank(), self.num_parts * size()
        return self.whole[batch].shared(Share(num_rows, first, of, self.num_parts))


def held_out_loader(
    split: Split, batch_size: int, tokenizer: AnyTokenizer, numbers: Indices | None = None
) -> DataLoader[Batch]:
    """All sequences of a split, or those with these numbers, unchanged; shortest first."""
    numbers = np.arange(len(split)) if numbers is None else numbers
    batches = [numbers[batch] for batch in ordered_batches(split.lengths_of(numbers), batch_size)]
    return DataLoader(BatchDataset(split, batches, tokenizer), batch_size=None)


def training_loader(
    split: Split,
    batch_size: int,
    tokenizer: AnyTokenizer,
    *,
    seed: int,
    epoch: int,
    num_passes: int = 1,
    first_batch: int = 0,
    num_parts: int = 1,
) -> DataLoader[Batch]:
    """The shuffled and augmented batches of one epoch, from `first_batch` on.

    An epoch is `num_passes` over the split, each in an order of its own. Of each batch every rank
    gets its share, in `num_parts` parts.
    """

    def augment(ids: NDArray[np.int64], number: int) -> NDArray[np.int64]:
        rng = np.random.default_rng((seed, epoch, number))
        return tokenizer.mix(tokenizer.augment(ids, rng), rng)

    batches = []
    for one_pass in range(epoch * num_passes, (epoch + 1) * num_passes):
        batches += shuffled_batches(split.lengths, batch_size, seed=seed, epoch=one_pass)
    whole = BatchDataset(split, batches, tokenizer, augment)
    num_shares = num_parts * size()
    return DataLoader(
        whole if num_shares == 1 else SharedDataset(whole, num_parts),
        sampler=range(first_batch * num_parts, len(batches) * num_parts),
        batch_size=None,
        pin_memory=torch.cuda.is_available(),
    )
