"""Gumbel noise as a pure function of a seed and of where it is used.

Each value is a hash of the row's seed, the step, the channel and the token. So a row's noise does
not depend on the rows beside it, on the device, or on rows that leave the batch, and any language
with 32-bit integers can repeat it.

Axes: B rows, R rows that go on, T steps, V vocabulary.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

MASK = 0xFFFFFFFF
GOLDEN = 0x9E3779B9  # 2^32 / golden ratio: multiples of it are spread evenly
BLOCK_STEPS, BLOCK_SIZE = 32, 2**20  # noise that is made at once
LARGEST = 1 - 2**-24  # the largest float32 below 1


def mix(x: Int[Tensor, "*B"]) -> Int[Tensor, "*B"]:
    """A hash of 32-bit integers, held in int64 ("lowbias32", Wellons 2018)."""
    x = (x ^ x >> 16) * 0x7FEB352D & MASK
    x = (x ^ x >> 15) * 0x846CA68B & MASK
    return x ^ x >> 16


class GumbelNoise:
    """Standard Gumbel noise for the logits of each row, step and channel."""

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        """One seed per row; its lower 64 bits count."""
        low = torch.tensor([seed & MASK for seed in seeds], dtype=torch.long, device=device)
        high = torch.tensor([seed >> 32 & MASK for seed in seeds], dtype=torch.long, device=device)
        self.low, self.high = mix(low), mix(high ^ GOLDEN)
        self.blocks: dict[int, tuple[int, Float[Tensor, "T B V"]]] = {}
        """For each channel, the noise of some steps and the first of them."""

    def keep(self, rows: Int[Tensor, " R"]) -> None:
        """Go on with these rows alone."""
        self.low, self.high = self.low[rows], self.high[rows]
        self.blocks = {c: (first, block[:, rows]) for c, (first, block) in self.blocks.items()}

    def at(self, step: int, channel: int, vocab_size: int) -> Float[Tensor, "B V"]:
        """The noise of every row. Made for several steps at once: a batch of one is small work."""
        first, block = self.blocks.get(channel, (step, self.low.new_empty(0)))
        if not first <= step < first + len(block):
            num_steps = max(1, min(BLOCK_STEPS, BLOCK_SIZE // (len(self.low) * vocab_size)))
            block = self._block(range(step, step + num_steps), channel, vocab_size)
            first, self.blocks[channel] = step, (step, block)
        return block[step - first]

    def _block(self, steps: range, channel: int, vocab_size: int) -> Float[Tensor, "T B V"]:
        number = torch.tensor(steps, device=self.low.device)[:, None]
        row = mix(mix(mix(self.low + number & MASK) ^ self.high) + channel & MASK)  # (T, B)
        tokens = torch.arange(vocab_size, device=row.device) * GOLDEN
        uniform = mix(row[..., None] + tokens & MASK).float() * 2.0**-32
        return -(-torch.log1p(-uniform.clamp(max=LARGEST))).log()  # 1 - uniform is uniform, too


def row_seeds(num_rows: int, generator: torch.Generator) -> list[int]:
    """A seed for each row; the first rows have the same seeds however many follow."""
    seeds = torch.randint(2**62, (num_rows,), generator=generator, device=generator.device)
    drawn: list[int] = seeds.tolist()
    return drawn
