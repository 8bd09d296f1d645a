"""Drums as they are played: what is struck at a step, how hard, and how early or late.

Channel 0 is the set of classes struck, as in `drums`; then nine channels of velocity and nine of
timing, one a class, which are 0 where the class is silent. Of several hits of a class at a step the
loudest counts (Gillick et al. 2019). Velocity and timing are rounded to bins of equal width: with
the defaults by at most 2 in MIDI velocity, and by 1/64 of a step, which is 2 ms at 120 qpm.

A groove model may read something else than it writes. `encoder_sees: hits` hides velocity and
timing from the encoder, so that a stiff pattern comes back performed; with `taps` it does not even
see which drum was struck, so that a rhythm tapped on one drum comes back as a kit.

Axes: N windows, T steps, C = 19 channels.
"""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.music.notes import (
    NUM_VELOCITIES,
    Notes,
    Piece,
    bin_velocities,
    make_notes,
    velocity_bins,
)
from seqvae.tokenizers.contract import Example, Ids
from seqvae.tokenizers.drums import (
    CLASS_OF,
    CLASSES,
    NUM_CLASSES,
    WRITTEN,
    kit_roll,
    kit_symbols,
    kits_of,
    mixed_sets,
    struck,
)
from seqvae.tokenizers.grid import GridTokenizer, Roll, window_steps
from seqvae.tokenizers.windows import Part

VIEWS = ("performance", "hits", "taps")
TAPPED = 3  # the open hi-hat: what MusicVAE's tap models are played on
VELOCITY_CHANNELS = slice(1, 1 + NUM_CLASSES)
OFFSET_CHANNELS = slice(1 + NUM_CLASSES, 1 + 2 * NUM_CLASSES)


@dataclass(frozen=True, kw_only=True)
class GrooveTokenizer(GridTokenizer):
    """All drum tracks of a piece as one kit, performed."""

    kind: ClassVar[str] = "groove"
    keeps: ClassVar[frozenset[str]] = frozenset({"velocity", "timing"})

    num_velocity_bins: int = 32
    """Degrees of loudness."""
    num_offset_bins: int = 32
    """Places within a step, from half a step early to half a step late."""
    max_velocity_change: int = 8
    """Training makes every window afresh louder or softer by up to this much MIDI velocity."""
    mix_share: float = 0.5
    """Share of the training windows that take drums of some bars from another window."""
    encoder_sees: str = "performance"
    """What the encoder reads: performance, hits (no velocity, no timing) or taps (nor drum)."""

    def __post_init__(self) -> None:
        """Refuse settings that make no sense."""
        super().__post_init__()
        self._at_least(1, "num_velocity_bins", "num_offset_bins")
        self._at_least(0, "max_velocity_change")
        self._share("mix_share")
        self._at_most(NUM_VELOCITIES, "num_velocity_bins", "velocities")
        if self.encoder_sees not in VIEWS:
            raise InputError(
                f"groove: encoder_sees is {self.encoder_sees!r}; there are {', '.join(VIEWS)}"
            )

    @property
    def channels(self) -> tuple[str, ...]:
        """The hits; then loudness and timing of each class."""
        loudness = (f"velocity of {name}" for name in CLASSES)
        return ("hits", *loudness, *(f"timing of {name}" for name in CLASSES))

    @property
    def vocab_sizes(self) -> tuple[int, ...]:
        """The sets of classes; then silence and the bins, for each class."""
        velocities = (1 + self.num_velocity_bins,) * NUM_CLASSES
        return (2**NUM_CLASSES, *velocities, *(1 + self.num_offset_bins,) * NUM_CLASSES)

    @property
    def num_members(self) -> tuple[int, ...]:
        """The hits are subsets of the classes."""
        return (NUM_CLASSES,) + (0,) * (2 * NUM_CLASSES)

    def _parts(self, notes: Notes, dropped: Counter[str]) -> list[Part]:
        """The kit, if there is one."""
        return [(hits,) for hits in kits_of(notes, dropped)]

    def _rolls(self, part: Part, starts: NDArray[np.int64], end_step: int) -> list[Roll]:
        """One voice."""
        hits = part[0][part[0]["start"] < end_step]
        hits = hits[np.argsort(hits["velocity"], kind="stable")]  # the last one written is loudest
        roll = kit_roll(hits, starts, self.max_steps, end_step)
        played = np.zeros((max(end_step, int(starts[-1]) + self.max_steps), 2, NUM_CLASSES), int)
        where = hits["start"], slice(None), CLASS_OF[hits["pitch"]]
        played[where] = np.stack([
            1 + velocity_bins(hits, self.num_velocity_bins),
            1 + np.clip(
                np.floor((hits["offset"] + 0.5) * self.num_offset_bins),
                0, self.num_offset_bins - 1,
            ).astype(int),
        ], axis=1)  # fmt: skip
        windows = played[window_steps(starts, self.max_steps)]  # (N, T, 2, 9)
        tokens = np.concatenate([roll.tokens, windows.reshape(*windows.shape[:2], -1)], axis=2)
        return [Roll(tokens, roll.silent, roll.refused)]

    def decode(self, example: Example) -> Piece:
        """The hits of a window where they were played; the middle of each bin."""
        steps, classes = struck(example.ids[:, 0])
        velocity = example.ids[:, VELOCITY_CHANNELS][steps, classes]
        offset = example.ids[:, OFFSET_CHANNELS][steps, classes]
        # A model may draw silence for a class that it struck: then the middle of the range.
        velocity = np.where(velocity > 0, velocity, 1 + self.num_velocity_bins // 2)
        notes = make_notes(
            start=steps,
            end=steps + 1,
            pitch=WRITTEN[classes],
            velocity=bin_velocities(velocity - 1, self.num_velocity_bins),
            is_drum=True,
            offset=np.where(offset > 0, (offset - 0.5) / self.num_offset_bins - 0.5, 0.0),
        )
        return self._piece(notes, example)

    def augment(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Make each window (N, T, 19 + K) louder or softer; where in its bin a hit was is drawn."""
        varied, velocity = ids.copy(), ids[..., VELOCITY_CHANNELS]
        most = self.max_velocity_change * self.num_velocity_bins / NUM_VELOCITIES
        change = rng.uniform(-most, most, (len(ids), 1, 1))
        place = rng.random(velocity.shape) if most else 0.5
        louder = np.floor(velocity + place + change).astype(np.int64)
        louder = np.clip(louder, 1, self.num_velocity_bins)
        varied[..., VELOCITY_CHANNELS] = np.where(velocity > 0, louder, 0)
        return varied

    def mix(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Windows (N, T, 19 + K) of which a share has drums of another, as they are played."""
        taken = self._taken_steps(len(ids), NUM_CLASSES, self.mix_share, rng)
        mixed, other = ids.copy(), ids[rng.permutation(len(ids))]
        mixed[..., 0] = mixed_sets(ids[..., 0], other[..., 0], taken)
        for played in (VELOCITY_CHANNELS, OFFSET_CHANNELS):
            mixed[..., played] = np.where(taken, other[..., played], ids[..., played])
        return mixed

    def encoder_input(self, ids: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Tokens (N, T, 19) without what is hidden from the encoder."""
        if self.encoder_sees == "performance":
            return None
        stiff, hits = ids.copy(), ids[..., 0]
        stiff[..., VELOCITY_CHANNELS] = stiff[..., OFFSET_CHANNELS] = 0
        stiff[..., 0] = np.where(hits > 0, 1 << TAPPED, 0) if self.encoder_sees == "taps" else hits
        return stiff

    def show(self, ids: Ids) -> str:
        """The letters of the classes struck, `.` for none, `|` between quarters."""
        return self._in_quarters(kit_symbols(ids[:, 0]))
