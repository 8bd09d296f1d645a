"""Drums on a bar grid, one token a step: which of nine classes are struck.

The classes are MusicVAE's reduction of the General MIDI map (Roberts et al. 2018), with the pitches
that a Roland TD-11 adds (Gillick et al. 2019): 22, 26 and 58. Bit i of a token is class i, so there
are 512. A hit has no length; decoded ones last a step.

Axes: N windows, T steps, C = 1 channel.
"""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seqvae.music.notes import Notes, Piece, make_notes
from seqvae.tokenizers.contract import Example, Ids
from seqvae.tokenizers.grid import GridTokenizer, Roll, window_steps
from seqvae.tokenizers.windows import Part

CLASSES = {  # the first pitch is the one that is written
    "kick": (36, 35),
    "snare": (38, 27, 28, 31, 32, 33, 34, 37, 39, 40, 56, 65, 66, 75, 85),
    "closed hi-hat": (42, 22, 44, 54, 68, 69, 70, 71, 73, 78, 80),
    "open hi-hat": (46, 26, 67, 72, 74, 79, 81),
    "low tom": (45, 29, 41, 43, 58, 61, 64, 84),  # 58 is the rim of a tom, not GM's vibraslap
    "mid tom": (48, 47, 60, 63, 77, 86, 87),
    "high tom": (50, 30, 62, 76, 83),
    "crash": (49, 52, 55, 57),
    "ride": (51, 53, 59, 82),
}
LETTERS = "KSHOLMTCR"  # of the classes, for people
NUM_CLASSES = len(CLASSES)
WRITTEN = np.array([pitches[0] for pitches in CLASSES.values()])
CLASS_OF = np.full(128, -1)
for _number, _pitches in enumerate(CLASSES.values()):
    CLASS_OF[list(_pitches)] = _number


@dataclass(frozen=True, kw_only=True)
class DrumsTokenizer(GridTokenizer):
    """All drum tracks of a piece as one kit."""

    kind: ClassVar[str] = "drums"

    mix_share: float = 0.5
    """Share of the training windows that take drums of some bars from another window."""

    def __post_init__(self) -> None:
        """Refuse settings that make no sense."""
        super().__post_init__()
        self._share("mix_share")

    @property
    def channels(self) -> tuple[str]:
        """Names of the channels."""
        return ("hits",)

    @property
    def vocab_sizes(self) -> tuple[int]:
        """One channel: the subsets of the classes."""
        return (2**NUM_CLASSES,)

    @property
    def num_members(self) -> tuple[int]:
        """Tokens are subsets of the classes."""
        return (NUM_CLASSES,)

    def _parts(self, notes: Notes, dropped: Counter[str]) -> list[Part]:
        """The kit, if there is one."""
        return [(hits,) for hits in kits_of(notes, dropped)]

    def _rolls(self, part: Part, starts: NDArray[np.int64], end_step: int) -> list[Roll]:
        """One voice."""
        return [kit_roll(part[0], starts, self.max_steps, end_step)]

    def decode(self, example: Example) -> Piece:
        """The hits of a window."""
        return self._piece(kit_notes(example.ids[:, 0]), example)

    def mix(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Windows (N, T, 1 + K) of which a share has some classes of some bars from another."""
        taken = self._taken_steps(len(ids), NUM_CLASSES, self.mix_share, rng)
        mixed, other = ids.copy(), ids[rng.permutation(len(ids)), :, 0]
        mixed[..., 0] = mixed_sets(ids[..., 0], other, taken)
        return mixed

    def show(self, ids: Ids) -> str:
        """The letters of the classes struck, `.` for none, `|` between quarters."""
        return self._in_quarters(kit_symbols(ids[:, 0]))


def kits_of(notes: Notes, dropped: Counter[str]) -> list[Notes]:
    """The drum notes that belong to a class: one list, or none where there is no such note."""
    drums = notes[notes["is_drum"]]
    hits = drums[CLASS_OF[drums["pitch"]] >= 0]
    if len(notes) and not len(drums):
        dropped["no drum track"] += 1
    if len(hits) < len(drums):
        dropped["a drum note outside the nine classes"] += len(drums) - len(hits)
    return [hits] if len(hits) else []


def kit_roll(hits: Notes, starts: NDArray[np.int64], num_steps: int, end_step: int) -> Roll:
    """The windows of a kit that begin at `starts`, up to where its metre ends."""
    hits = hits[hits["start"] < end_step]
    sets = np.zeros(max(end_step, int(starts[-1]) + num_steps), np.int64)
    np.bitwise_or.at(sets, hits["start"], 1 << CLASS_OF[hits["pitch"]])
    tokens = sets[window_steps(starts, num_steps)]
    return Roll(tokens=tokens[..., None], silent=tokens == 0, refused={})


def mixed_sets(
    own: NDArray[np.int64], other: NDArray[np.int64], taken: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Subsets (N, T) with the classes that are taken from others: a kick here, a ride there."""
    mask: NDArray[np.int64] = (taken << np.arange(NUM_CLASSES)).sum(-1)
    mixed: NDArray[np.int64] = own & ~mask | other & mask
    return mixed


def kit_notes(tokens: NDArray[np.int64], *, track: int = 0) -> Notes:
    """The hits of a window's tokens, (T,)."""
    steps, classes = struck(tokens)
    return make_notes(
        start=steps, end=steps + 1, pitch=WRITTEN[classes], is_drum=True, track=track
    )  # fmt: skip


def struck(tokens: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The step and the class of every hit."""
    steps, classes = np.nonzero(tokens[:, None] >> np.arange(NUM_CLASSES) & 1)
    return steps, classes


def kit_symbols(tokens: NDArray[np.int64]) -> list[str]:
    """The letters of the classes struck at each step, `.` for none."""
    return [
        "".join(letter for i, letter in enumerate(LETTERS) if token >> i & 1) or "."
        for token in tokens
    ]
