"""A drum kit as tokens, there and back: the sets of drums, groove and trio.

The nine classes are MusicVAE's reduction of the General MIDI map (Roberts et al. 2018), with the
pitches that a Roland TD-11 adds (Gillick et al. 2019): 22, 26 and 58. Bit i of a token is class i,
so there are 512: 5 = 0b101 is kick and closed hi-hat.

Axes: N windows, T steps.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seqvae.music.notes import Notes, Piece, before, make_notes, sort_notes
from seqvae.music.roles import DRUM_CHANNEL, ONLY_TRACK, Part
from seqvae.music.track_names import words_of
from seqvae.reasons import Dropped, Reason
from seqvae.tokenizers.contract import Example, Extraction, Voice
from seqvae.tokenizers.grid import Conditions, GridSettings, Roll
from seqvae.tokenizers.loudness import UNSAID
from seqvae.tokenizers.tracks import FLAG, TrackSettings
from seqvae.tokenizers.windows import Span, Windows, encode_windows, extract_windows

ONLY_TRACK_TAKEN = Reason("file", "its only track is taken for drums", FLAG)

logger = logging.getLogger(__name__)

KitCut: TypeAlias = Callable[[Notes, Conditions, Span], Windows]
"""The windows of a kit, and of the chords of its piece."""

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
LETTERS = "KSHOLMTCR"  # of the classes, for `show`
NUM_CLASSES = len(CLASSES)
NUM_SETS = 2**NUM_CLASSES
BITS = (1 << np.arange(NUM_CLASSES)).astype(np.uint16)  # of the classes in a set
WRITTEN = np.array([pitches[0] for pitches in CLASSES.values()])
CLASS_OF = np.full(128, -1)
for _number, _pitches in enumerate(CLASSES.values()):
    CLASS_OF[list(_pitches)] = _number

# Samplers play a drum at any pitch: in a track of one pitch, its name says which drum it is.
NAMED_CLASSES = {
    "kick": "kick", "bassdrum": "kick", "snare": "snare", "clap": "snare", "rimshot": "snare",
    "hat": "closed hi-hat", "hihat": "closed hi-hat", "shaker": "closed hi-hat", "tom": "mid tom",
    "crash": "crash", "cymbal": "crash", "ride": "ride",
}  # fmt: skip

NO_NOTES = make_notes([], [], [])
NO_DRUMS = Reason("file", "no drums", "--data.tracks")
OTHER_DRUM = Reason("note", "a drum outside the nine classes")


def kit_hits(parts: Sequence[Part], dropped: Dropped) -> Notes:
    """The notes of all drum tracks that belong to a class."""
    kits = [_kit(part) for part in parts if part.role == "drums"]
    drums = kits[0] if len(kits) == 1 else sort_notes(np.concatenate([NO_NOTES, *kits]))
    if parts and not len(drums):
        dropped[NO_DRUMS] += 1
    is_hit = CLASS_OF[drums["pitch"]] >= 0
    num_others = len(drums) - int(np.count_nonzero(is_hit))
    if not num_others:
        return drums
    dropped[OTHER_DRUM] += num_others
    hits: Notes = drums.compress(is_hit)
    return hits


def _kit(part: Part) -> Notes:
    """The notes of a drum track, at the pitches of General MIDI."""
    if part.track.channel == DRUM_CHANNEL:
        return part.notes
    words = {word.removesuffix("s") for word in words_of(part.track.name)}
    named = [drum for word, drum in NAMED_CLASSES.items() if word in words]
    if "open" in words:
        named = [drum.replace("closed", "open") for drum in named]
    if len(named) != 1 or np.ptp(part.notes["pitch"]):
        return part.notes
    notes: Notes = part.notes.copy()
    notes["pitch"] = CLASSES[named[0]][0]
    return notes


def kit_voice(parts: Sequence[Part], channels: Sequence[int], track: int = 0) -> Voice:
    """All drum tracks as one voice."""
    kits = tuple(part.number for part in parts if part.role == "drums")
    return Voice("drums", tuple(channels), track, kits)


def written_drums(parts: Sequence[Part]) -> dict[int, tuple[int, int]]:
    """For each pitch that is written, the track and the pitch at which a piece has that drum most.

    A sampler has drums at pitches, and in tracks, of its own.
    """
    found: dict[int, Counter[tuple[int, int]]] = defaultdict(Counter)
    for part in parts:
        if part.role == "drums":
            classes = CLASS_OF[_kit(part)["pitch"]].tolist()
            for number, pitch in zip(classes, part.notes["pitch"].tolist(), strict=True):
                if number >= 0:
                    found[int(WRITTEN[number])][part.number, pitch] += 1
    return {written: counts.most_common(1)[0][0] for written, counts in found.items()}


def drum_classes(part: Part) -> NDArray[np.int64]:
    """The class of each pitch of a drum track, -1 of those outside the nine: (128,)."""
    classes: NDArray[np.int64] = CLASS_OF.copy()
    classes[part.notes["pitch"]] = CLASS_OF[_kit(part)["pitch"]]
    return classes


def kit_roll(hits: Notes, span: Span) -> Roll:
    """The windows of a kit."""
    hits = before(hits, span.end_step)
    sets = np.zeros(span.size, np.uint16)
    np.bitwise_or.at(sets, hits["start"], BITS[CLASS_OF[hits["pitch"]]])
    tokens = sets[span.steps()]
    return Roll(tokens[..., None], silent=tokens == 0)


def loudest_last(hits: Notes) -> Notes:
    """Hits in such an order that `hit_table` takes the loudest of those of a class at a step."""
    ordered: Notes = hits[np.argsort(hits["velocity"], kind="stable")]
    return ordered


def hit_table(hits: Notes, tokens: NDArray[Any], span: Span) -> NDArray[Any]:
    """A token of each hit, by step and class, in the windows of a kit: (N, T, 9); 0 for silence.

    Of several hits of a class at a step, the last one counts.
    """
    table = np.zeros((span.size, NUM_CLASSES), tokens.dtype)
    table[hits["start"], CLASS_OF[hits["pitch"]]] = tokens
    return table[span.steps()]


def mixed_sets(
    tokens: NDArray[np.int64], others: NDArray[np.int64], taken: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Sets (N, T) with the classes `taken` (N, T, 9) from `others`: a kick here, a ride there."""
    mask: NDArray[np.int64] = (taken << np.arange(NUM_CLASSES)).sum(-1)
    mixed: NDArray[np.int64] = tokens & ~mask | others & mask
    return mixed


def struck(tokens: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The step and the class of every hit of a window's tokens, (T,)."""
    steps, classes = np.nonzero(tokens[:, None] >> np.arange(NUM_CLASSES) & 1)
    return steps, classes


def kit_notes(
    tokens: NDArray[np.int64],
    *,
    velocity: NDArray[np.int64] | int = UNSAID,
    offset: NDArray[np.float64] | float = 0.0,
    track: int = 0,
) -> Notes:
    """The hits of a window's tokens, (T,), each a step long.

    Velocities and offsets are those of all hits, or of each step and class: (T, 9).
    """
    steps, classes = struck(tokens)
    shape = (len(tokens), NUM_CLASSES)
    return make_notes(
        start=steps,
        end=steps + 1,
        pitch=WRITTEN[classes],
        velocity=np.broadcast_to(velocity, shape)[steps, classes],
        is_drum=True,
        track=track,
        offset=np.broadcast_to(offset, shape)[steps, classes],
    )


def kit_symbols(tokens: NDArray[np.int64]) -> list[str]:
    """The letters of the classes struck at each step, `.` for none."""
    return [
        "".join(letter for i, letter in enumerate(LETTERS) if token >> i & 1) or "."
        for token in tokens
    ]


@dataclass(frozen=True, kw_only=True)
class KitSettings(TrackSettings, GridSettings):
    """Settings of representations that take all drum tracks of a piece as one kit."""

    roles: ClassVar[tuple[str, ...]] = ("drums",)

    def extract_kit(self, piece: Piece, cut: KitCut) -> Extraction:
        """The training windows of the kit."""
        dropped, parts = Dropped(), self.parts(piece)
        self.count_left_out(parts, dropped)
        hits = kit_hits(parts, dropped)
        cuts = [partial(cut, hits, self.conditions(piece))] if len(hits) else []
        extraction = extract_windows(self, piece, cuts, dropped)
        if any(part.reason == ONLY_TRACK for part in parts):
            extraction.noted[ONLY_TRACK_TAKEN] += 1
        return extraction

    def encode_kit(self, piece: Piece, bar: int | None, cut: KitCut) -> list[Example]:
        """The windows of the kit end to end, or the one that begins at `bar`."""
        dropped, parts = Dropped(), self.parts(piece)
        hits = kit_hits(parts, dropped)
        if parts and not len(hits):
            raise self.nothing_taken(parts, dropped)
        kits = [part for part in parts if self.takes(part)]
        tracks = {0: kits[0].track} if kits else {}
        whole = partial(cut, hits, self.conditions(piece))
        examples = encode_windows(self, piece, whole, bar, tracks=tracks)
        self.warn_of_rest(piece, parts, kits, dropped)
        if any(kit.reason == ONLY_TRACK for kit in kits):
            what = f"{ONLY_TRACK_TAKEN.text}; --tracks says what it is"
            logger.warning("%s: %s", piece.name[:60] or "the clip", what)
        return examples
