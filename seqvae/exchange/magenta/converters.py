"""Converters of magenta.js: what its models read and write of a step, in tokens of seqvae.

A converter gives vectors where seqvae has tokens. So a token is looked up in a table of the vector
that stands for it, and the logits of a channel are linear in what the model writes. All of it is
exact, but for the loudness and timing of grooves, which are numbers in Magenta: they are rounded to
velocities of MIDI, and to `OFFSET_BINS` places within a step.

Axes: V tokens of a channel, D numbers that a model reads of a step, O numbers that it is fed back,
P numbers that it writes, K numbers that stand for a chord.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError, shown
from seqvae.music.chord_names import NUM_CHORDS, QUALITIES
from seqvae.music.notes import NUM_VELOCITIES
from seqvae.tokenizers.contract import MusicTokenizer
from seqvae.tokenizers.drums import DrumsTokenizer
from seqvae.tokenizers.groove import GrooveTokenizer
from seqvae.tokenizers.kits import NUM_CLASSES, NUM_SETS
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.multitrack import MultitrackTokenizer
from seqvae.tokenizers.trio import TrioTokenizer

Array = NDArray[np.float32]
STEPS_PER_BAR = 16
OFFSET_BINS = 256  # places within a step: half a millisecond at 120 quarters per minute
SHARPNESS = 100.0  # of the logits of rounded numbers: a draw is off by a bin at most, nearly always
NEVER = -6e4  # the logit of a token that is not drawn, in the range of float16


@dataclass(frozen=True, eq=False)
class Channel:
    """A channel of tokens as a decoder of Magenta's has it."""

    fed_back: Array
    """What the next step reads of a token: (V, O)."""
    weight: Array
    """What each number that is written adds to the logits: (P, V)."""
    bias: Array
    """What the logits are besides: (V,)."""


@dataclass(frozen=True, eq=False)
class Converter:
    """The tokens, what the encoder reads of them, and what each of the decoders writes."""

    tokenizer: MusicTokenizer
    read: tuple[Array, ...]
    """For each channel, what the encoder reads of a token: (V, D). It reads the sum."""
    decoders: tuple[tuple[Channel, ...], ...]
    """For each decoder, its channels, in order."""
    num_segments: int = 1
    """Parts of a sequence with a code each."""
    chords: Array | None = None
    """What stands for the number of a chord: (chords, K)."""


def converter_of(spec: Mapping[str, Any]) -> Converter:
    """The converter that a spec names.

    Raises:
        InputError: there is no such converter, or an option of it is not known.
    """
    for option in ("conditionOnKey", "extraControls"):
        if spec.get(option):
            raise InputError(f"the checkpoint has {option}, which seqvae has no input for")
    chosen = spec["dataConverter"]
    name, args = chosen["type"], dict(chosen.get("args") or {})
    if name not in CONVERTERS:
        known = ", ".join(CONVERTERS)
        raise InputError(f"the checkpoint has the converter {shown(name)}; seqvae knows {known}")
    chords = _chords(spec.get("chordEncoder"))
    return CONVERTERS[name](args, spec, chords)


def _grid(args: Mapping[str, Any], chords: Array | None) -> dict[str, Any]:
    """The settings of a tokenizer's grid."""
    num_steps = int(args["numSteps"])
    num_bars, rest = divmod(num_steps, STEPS_PER_BAR)
    if rest or not num_bars:
        raise InputError(f"the checkpoint has {num_steps} steps, no whole number of bars of 4/4")
    return {"num_bars": num_bars, "chords": chords is not None}


def _one_of_all(num_tokens: int) -> Channel:
    """A channel that is written and read as Magenta does it, one number a token."""
    same = np.eye(num_tokens, dtype=np.float32)
    return Channel(same, same, np.zeros(num_tokens, np.float32))


def _melody(args: Mapping[str, Any], _: Any, chords: Array | None) -> Converter:
    settings = _grid(args, chords)
    settings |= {"min_pitch": int(args["minPitch"]), "max_pitch": int(args["maxPitch"])}
    tokenizer = MelodyTokenizer(**settings)
    channel = _one_of_all(tokenizer.num_events)
    return _flat_or_not(args, Converter(tokenizer, (channel.fed_back,), ((channel,),), 1, chords))


def _flat_or_not(args: Mapping[str, Any], converter: Converter) -> Converter:
    parts = vars(converter) | {"num_segments": int(args.get("numSegments") or 1)}
    return Converter(**parts)


# Drums


def _sets() -> Array:
    """The drums of each set, and whether there are none: (512, 10)."""
    bits = np.arange(NUM_SETS)[:, None] >> np.arange(NUM_CLASSES) & 1
    return np.concatenate([bits, bits.sum(1, keepdims=True) == 0], axis=1).astype(np.float32)


def _drums_args(args: Mapping[str, Any]) -> None:
    classes = args.get("pitchClasses")
    if classes is not None and len(classes) != NUM_CLASSES:
        raise InputError(f"the checkpoint has {len(classes)} classes of drums; seqvae has nine")


def _drums(args: Mapping[str, Any], spec: Mapping[str, Any], chords: Array | None) -> Converter:
    _drums_args(args)
    channel = _one_of_all(NUM_SETS)
    read = channel.fed_back if "OneHot" in spec["dataConverter"]["type"] else _sets()
    tokenizer = DrumsTokenizer(**_grid(args, chords))
    return _flat_or_not(args, Converter(tokenizer, (read,), ((channel,),), 1, chords))


def _drum_roll(args: Mapping[str, Any], _: Any, chords: Array | None) -> Converter:
    """Each drum is struck or not, whatever the others: logits of a set are the sum of its drums.

    Of a NADE, whose drums depend on each other, what is written is read elsewhere.
    """
    _drums_args(args)
    bits = _sets()[:, :NUM_CLASSES]
    channel = Channel(bits, bits.T.copy(), np.zeros(NUM_SETS, np.float32))
    tokenizer = DrumsTokenizer(**_grid(args, chords))
    return _flat_or_not(args, Converter(tokenizer, (_sets(),), ((channel,),), 1, chords))


# Trio


def _trio(args: Mapping[str, Any], _: Any, chords: Array | None) -> Converter:
    ranges = {
        (int(args[name]["minPitch"]), int(args[name]["maxPitch"]))
        for name in ("melArgs", "bassArgs")
    }
    if len(ranges) > 1:
        raise InputError(f"the checkpoint has melody and bass of other ranges: {shown(ranges)}")
    _drums_args(args.get("drumsArgs") or {})
    ((low, high),) = ranges
    tokenizer = TrioTokenizer(**_grid(args, chords), min_pitch=low, max_pitch=high)
    channels = [_one_of_all(size) for size in tokenizer.vocab_sizes]
    read = _side_by_side([channel.fed_back for channel in channels])
    decoders = tuple((channel,) for channel in channels)
    return _flat_or_not(args, Converter(tokenizer, read, decoders, 1, chords))


def _side_by_side(tables: Sequence[Array]) -> tuple[Array, ...]:
    """Tables (V, D) of which each has columns of its own."""
    widths = [table.shape[1] for table in tables]
    starts = np.cumsum([0, *widths])
    wide = [np.zeros((len(table), starts[-1]), np.float32) for table in tables]
    for each, table, start in zip(wide, tables, starts, strict=False):
        each[:, start : start + table.shape[1]] = table
    return tuple(wide)


# Grooves


def _groove(args: Mapping[str, Any], _: Any, chords: Array | None) -> Converter:
    if args.get("splitInstruments"):
        raise InputError("the checkpoint has splitInstruments, which seqvae has no tokens for")
    _drums_args(args)
    sees = "tapping" if args.get("tapify") else "hits" if args.get("humanize") else "performance"
    tokenizer = GrooveTokenizer(
        **_grid(args, chords), num_velocity_bins=NUM_VELOCITIES, num_offset_bins=OFFSET_BINS,
        encoder_sees=sees,
    )  # fmt: skip
    velocity = np.arange(1 + NUM_VELOCITIES) / NUM_VELOCITIES
    late = (np.arange(OFFSET_BINS) + 0.5) / OFFSET_BINS - 0.5  # in steps
    offset = np.append(0, -2 * late)  # Magenta's is positive where a hit is early
    # A velocity is the nearest to sigmoid(x), an offset is in the bin of sigmoid(-2 x): of tanh(x).
    velocity_edges = np.arange(1.5, NUM_VELOCITIES) / NUM_VELOCITIES
    offset_edges = np.arange(1, OFFSET_BINS) / OFFSET_BINS
    channels = [_hits()]
    numbers = range(NUM_CLASSES)
    channels += [_rounded(NUM_CLASSES + i, velocity, velocity_edges, 1.0) for i in numbers]
    channels += [_rounded(2 * NUM_CLASSES + i, offset, offset_edges, -2.0) for i in numbers]
    read = [channel.fed_back for channel in channels]
    if sees == "tapping":  # of a tap, Magenta's models read the time alone
        for table in read[1 : 1 + NUM_CLASSES]:
            table[:] = 0
    written = tuple(Channel(c.fed_back.copy(), c.weight, c.bias) for c in channels)
    return _flat_or_not(args, Converter(tokenizer, tuple(read), (written,), 1, chords))


def _hits() -> Channel:
    """Nine numbers for the nine drums, as in `_drum_roll`."""
    bits = _sets()[:, :NUM_CLASSES]
    fed_back = np.zeros((NUM_SETS, 3 * NUM_CLASSES), np.float32)
    fed_back[:, :NUM_CLASSES] = bits
    return Channel(fed_back, fed_back.T.copy(), np.zeros(NUM_SETS, np.float32))


def _rounded(number: int, values: NDArray[Any], edges: NDArray[Any], slope: float) -> Channel:
    """Tokens for the values of one number that is written, of which token 0 stands for silence.

    Where x is that number, the token is the count of the edges below sigmoid(slope x), plus 1. The
    logit of token 1 + k is the sum over the first k edges of slope x - logit(edge), which is
    greatest at that count.
    """
    fed_back = np.zeros((len(values), 3 * NUM_CLASSES), np.float32)
    fed_back[:, number] = values
    weight = np.zeros((3 * NUM_CLASSES, len(values)), np.float32)
    weight[number, 1:] = SHARPNESS * slope * np.arange(len(values) - 1)
    passed = np.append(0, np.cumsum(np.log(edges) - np.log1p(-edges)))
    return Channel(fed_back, weight, np.append(NEVER, -SHARPNESS * passed).astype(np.float32))


# Tracks one after the other


def _multitrack(args: Mapping[str, Any], _: Any, chords: Array | None) -> Converter:
    """Magenta's numbers and one more, which reads as zeros and is never drawn."""
    quarter, num_tracks = int(args["stepsPerQuarter"]), int(args["numSegments"])
    num_bars, rest = divmod(int(args["totalSteps"]), 4 * quarter)
    if rest or not num_bars:
        raise InputError(f"the checkpoint has {args['totalSteps']} steps, no whole bars of 4/4")
    pitches = (args.get("minPitch") or 0, args.get("maxPitch") or 127)
    if pitches != (0, 127):
        raise InputError(f"the checkpoint has the pitches {shown(pitches)}; seqvae has all of MIDI")
    tokenizer = MultitrackTokenizer(
        num_bars=num_bars,
        steps_per_quarter=quarter,
        max_tracks=num_tracks,
        max_events=int(args["numSteps"]) // num_tracks,
        num_velocity_bins=int(args["numVelocityBins"]),
        chords=chords is not None,
    )
    fed_back = np.eye(tokenizer.nothing + 1, tokenizer.nothing, dtype=np.float32)
    bias = np.where(np.arange(len(fed_back)) == tokenizer.nothing, NEVER, 0).astype(np.float32)
    channel = Channel(fed_back, fed_back.T.copy(), bias)
    return Converter(tokenizer, (fed_back,), ((channel,),), num_tracks, chords)


# Chords


def _chords(name: str | None) -> Array | None:
    """What stands for each chord. Where an encoder of chords knows none of a kind, there is none.

    Raises:
        InputError: there is no such encoder of chords.
    """
    if name is None:
        return None
    if name not in CHORD_ENCODERS:
        known = ", ".join(CHORD_ENCODERS)
        raise InputError(f"the checkpoint has the chords {shown(name)}; seqvae knows {known}")
    return CHORD_ENCODERS[name]()


def _triads(num_qualities: int) -> Array:
    """The first qualities have the same numbers in Magenta; other chords are taken for none."""
    size = 1 + 12 * num_qualities
    table = np.zeros((NUM_CHORDS, size), np.float32)
    table[np.arange(NUM_CHORDS), np.arange(NUM_CHORDS) * (np.arange(NUM_CHORDS) < size)] = 1
    return table


def _pitches() -> Array:
    """No chord; root; pitch classes; bass, which is the root."""
    table = np.zeros((NUM_CHORDS, 37), np.float32)
    table[0, 0] = 1
    for number in range(1, NUM_CHORDS):
        quality, root = divmod(number - 1, 12)
        intervals = list(QUALITIES.values())[quality]
        table[number, [1 + root, 25 + root]] = 1
        table[number, [13 + (root + interval) % 12 for interval in intervals]] = 1
    return table


CHORD_ENCODERS: dict[str, Callable[[], Array]] = {
    "TriadChordEncoder": lambda: _triads(4),
    "MajorMinorChordEncoder": lambda: _triads(2),
    "PitchChordEncoder": _pitches,
}
CONVERTERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any], Array | None], Converter]] = {
    "MelodyConverter": _melody,
    "DrumsConverter": _drums,
    "DrumsOneHotConverter": _drums,
    "DrumRollConverter": _drum_roll,
    "TrioConverter": _trio,
    "GrooveConverter": _groove,
    "MultitrackConverter": _multitrack,
}
