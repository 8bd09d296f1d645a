"""Drums as they are played: what is struck at a step, how hard, and how early or late.

Channel 0 is the set of classes struck, as in `drums`. Nine channels of velocity and nine of timing
follow, one per class, which are 0 where the class is silent. Of several hits of a class at a step
the loudest counts (Gillick et al. 2019). Velocity and timing are rounded to bins of equal width:
with the defaults by at most 2 in MIDI velocity, and by 1/64 of a step, which is 2 ms at 120 qpm.

A groove model may read less than it writes. `encoder_sees: hits` hides velocity and timing from the
encoder, so that a stiff pattern comes back performed. `encoder_sees: tapping` shows one voice in
place of the kit: when something is struck, how hard, and how early or late. So a rhythm that is
tapped comes back as a kit. `encoder_sees: taps` shows only when something is struck. A model that
sees taps hears them in any notes where a clip has no drums: claps, or the rhythm of a melody.

Axes: N windows, T steps, C = 19 channels, K condition columns.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import at_least, one_of, within
from seqvae.music.notes import Notes, Piece, Track, before
from seqvae.music.roles import DRUM_CHANNEL
from seqvae.tokenizers.contract import Example, Extraction, Ids, MusicTokenizer, Voice
from seqvae.tokenizers.grid import Conditions, grid_windows, in_quarters, taken_steps
from seqvae.tokenizers.kits import (
    CLASSES,
    NUM_CLASSES,
    NUM_SETS,
    WRITTEN,
    KitSettings,
    hit_table,
    kit_notes,
    kit_roll,
    kit_symbols,
    kit_voice,
    loudest_last,
    mixed_sets,
)
from seqvae.tokenizers.loudness import LoudnessSettings
from seqvae.tokenizers.windows import Span, Windows, window_piece

TAP_VIEWS = ("taps", "tapping")
VIEWS = ("performance", "hits", *TAP_VIEWS)
TAPPED = 3  # the open hi-hat, on which MusicVAE's tap models are played
VELOCITY_CHANNELS = slice(1, 1 + NUM_CLASSES)
OFFSET_CHANNELS = slice(1 + NUM_CLASSES, 1 + 2 * NUM_CLASSES)


@dataclass(frozen=True, kw_only=True)
class GrooveTokenizer(LoudnessSettings, KitSettings, MusicTokenizer):
    """All drum tracks of a piece as one kit, performed."""

    kind: ClassVar[str] = "groove"
    channels: ClassVar[tuple[str, ...]] = (
        "hits",
        *(f"velocity of {name}" for name in CLASSES),
        *(f"timing of {name}" for name in CLASSES),
    )
    of_batches: ClassVar[frozenset[str]] = frozenset(
        {"mix_share", "max_velocity_change", "encoder_sees"}
    )
    num_members: ClassVar[tuple[int, ...]] = (NUM_CLASSES,) + (0,) * (2 * NUM_CLASSES)
    keeps: ClassVar[frozenset[str]] = frozenset({"velocity", "timing"})

    num_velocity_bins: int = 32
    """Degrees of loudness."""
    num_offset_bins: int = 32
    """Places within a step, from half a step early to half a step late."""
    mix_share: float = 0.5
    """Share of the training windows that take drums of some bars from another window."""
    encoder_sees: str = "performance"
    """What the encoder reads: performance (everything), hits (no velocity and no timing), tapping
    (one voice with velocity and timing: not which drum) or taps (one voice without)."""

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        self.check_tracks()
        self.check_loudness(least_bins=1)
        section = "groove: "
        at_least(self, 1, "num_offset_bins", section=section)
        within(self, 0, 1, "mix_share", section=section, closed=True)
        one_of(self, "encoder_sees", VIEWS, section=section)

    @property
    def vocab_sizes(self) -> tuple[int, ...]:
        """Sets of classes; then silence and the bins, for each class."""
        velocities = self.loudness_sizes(NUM_CLASSES)
        return (NUM_SETS, *velocities, *(1 + self.num_offset_bins,) * NUM_CLASSES)

    def extract(self, piece: Piece) -> Extraction:
        """The training windows of the kit."""
        return self.extract_kit(piece, self._cut)

    def encode(self, piece: Piece, bar: int | None = None) -> list[Example]:
        """The windows of the kit end to end, or the one that begins at `bar`."""
        return self.encode_kit(self._as_taps(piece), bar, self._cut)

    def _as_taps(self, piece: Piece) -> Piece:
        """A piece without a kit with its notes on one drum, if the encoder sees taps.

        They are those of the tracks that are heard as drums, or else all.
        """
        parts = [part for part in self.parts(piece) if part.role == "drums"]
        is_kit = any(part.notes["is_drum"].all() for part in parts)
        if self.encoder_sees not in TAP_VIEWS or is_kit or not len(piece.notes):
            return piece
        tapped = np.isin(piece.notes["track"], [part.number for part in parts])
        notes = piece.notes[tapped if parts else ...].copy()
        notes["pitch"], notes["is_drum"], notes["track"] = WRITTEN[TAPPED], True, 0
        return replace(piece, notes=notes, tracks=(Track("drums", DRUM_CHANNEL),))

    def voices(self, piece: Piece) -> list[Voice]:
        """The kit."""
        return [kit_voice(self.parts(piece), range(len(self.vocab_sizes)))]

    def _cut(self, hits: Notes, chords: Conditions, span: Span) -> Windows:
        """The windows of a performed kit, and of the chords of its piece."""
        hits = loudest_last(before(hits, span.end_step))
        offsets = np.floor((hits["offset"] + 0.5) * self.num_offset_bins).astype(int)
        offsets = 1 + np.clip(offsets, 0, self.num_offset_bins - 1)
        of_hits = self.velocity_tokens(hits), offsets.astype(self.token_type)
        played = np.concatenate([hit_table(hits, tokens, span) for tokens in of_hits], axis=2)
        return grid_windows([replace(kit_roll(hits, span), played=played)], span, chords)

    def decode(self, example: Example) -> Piece:
        """The hits of a window where they were played, at the middle of each bin."""
        ids = self.sounding(example.ids)
        offset = ids[:, OFFSET_CHANNELS]
        notes = kit_notes(
            ids[:, 0],
            velocity=self.velocities(ids[:, VELOCITY_CHANNELS]),
            offset=np.where(offset > 0, (offset - 0.5) / self.num_offset_bins - 0.5, 0.0),
        )
        return window_piece(self, notes, example.qpm, self.bar_number(example.ids))

    def show(self, ids: Ids) -> str:
        """The letters of the classes struck, `.` for none, `|` between quarters."""
        return in_quarters(kit_symbols(self.sounding(ids)[:, 0]), self.steps_per_quarter)

    def augment(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Make each window (N, T, 19 + K) louder or softer."""
        return self.randomly_louder(ids, VELOCITY_CHANNELS, rng)

    def mix(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Windows (N, T, 19 + K) of which a share has drums of another, as they are played."""
        taken = taken_steps(self, len(ids), NUM_CLASSES, self.mix_share, rng)
        mixed, others = ids.copy(), self.others(ids, rng)
        mixed[..., 0] = mixed_sets(ids[..., 0], others[..., 0], taken)
        for played in (VELOCITY_CHANNELS, OFFSET_CHANNELS):
            mixed[..., played] = np.where(taken, others[..., played], ids[..., played])
        return mixed

    def encoder_input(self, ids: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Windows (N, T, 19 + K) without what is hidden from the encoder."""
        if self.encoder_sees == "performance":
            return None
        visible, hits = ids.copy(), ids[..., 0]
        visible[..., VELOCITY_CHANNELS] = visible[..., OFFSET_CHANNELS] = 0
        if self.encoder_sees in TAP_VIEWS:
            visible[..., 0] = np.where(hits > 0, 1 << TAPPED, 0)
        if self.encoder_sees == "tapping":
            velocity, offset = ids[..., VELOCITY_CHANNELS], ids[..., OFFSET_CHANNELS]
            loudest = velocity.argmax(-1)[..., None]
            for channels, played in ((VELOCITY_CHANNELS, velocity), (OFFSET_CHANNELS, offset)):
                of_loudest = np.take_along_axis(played, loudest, axis=-1)[..., 0]
                visible[..., channels.start + TAPPED] = of_loudest
        return visible
