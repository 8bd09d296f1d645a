"""How hard notes are struck, as tokens: 0 where nothing is struck, then degrees of equal width.

Channels of loudness follow those that say what is struck. With 32 degrees a MIDI velocity is
rounded by at most 2.

Axes: N windows, T steps, L channels of loudness.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import at_least, within
from seqvae.music.notes import NUM_VELOCITIES, Notes, bin_velocities, velocity_bins

UNSAID = 80  # the velocity of what is decoded from tokens without loudness


@dataclass(frozen=True, kw_only=True)
class LoudnessSettings:
    """Whether the tokens say how hard each note is struck."""

    kind: ClassVar[str]

    num_velocity_bins: int = 0
    """Degrees of loudness; 0 keeps none."""
    max_velocity_change: int = 8
    """Training makes each window louder or softer by up to this much MIDI velocity, at random."""

    def check_loudness(self, least_bins: int = 0) -> None:
        """Refuse impossible settings."""
        section = f"{self.kind}: "
        within(self, least_bins, NUM_VELOCITIES, "num_velocity_bins", section=section, closed=True)
        at_least(self, 0, "max_velocity_change", section=section)

    @property
    def keeps(self) -> frozenset[str]:
        """Velocity, where there are degrees of it."""
        return frozenset({"velocity"} if self.num_velocity_bins else ())

    def loudness_sizes(self, number: int) -> tuple[int, ...]:
        """Tokens of so many channels of loudness; none of them where it is not kept."""
        return (1 + self.num_velocity_bins,) * number if self.num_velocity_bins else ()

    def velocity_tokens(self, notes: Notes) -> NDArray[np.uint8]:
        """The token of each note."""
        return (1 + velocity_bins(notes, self.num_velocity_bins)).astype(np.uint8)

    def velocities(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """The MIDI velocity in the middle of each degree.

        A model may draw silence for a note that it struck: then the middle of the range.
        """
        tokens = np.where(tokens > 0, tokens, 1 + self.num_velocity_bins // 2)
        return bin_velocities(tokens - 1, self.num_velocity_bins)

    def randomly_louder(
        self, ids: NDArray[np.int64], channels: slice, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Windows (N, T, C + K), each with its loudness at `channels` raised or lowered at once.

        Where a note lay within its degree is not known and therefore drawn, so that changes smaller
        than a degree move some of the notes.
        """
        varied, loudness = ids.copy(), ids[..., channels]
        most = self.max_velocity_change * self.num_velocity_bins / NUM_VELOCITIES
        change = rng.uniform(-most, most, (len(ids), 1, 1))
        place = rng.random(loudness.shape) if most else 0.5
        louder = np.floor(loudness + place + change).astype(np.int64)
        louder = np.clip(louder, 1, self.num_velocity_bins)
        varied[..., channels] = np.where(loudness > 0, louder, 0)
        return varied
