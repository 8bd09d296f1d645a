"""Drums as they are written, with the loudness and the timing of a model.

The hits of a file are given to a groove model, which draws how hard and how early or late each is
struck. At a temperature of 0 it is the mean of several draws: the most probable loudness of every
hit is further off, because a hit is either soft or hard and what follows builds on it. The notes
then move towards that, and nothing else of the file changes: no note is added or lost, of whatever
drum (`music.midi.rewriting`). Two notes of a class at one step keep their distance. A drum outside
the nine classes is as loud as before, and moves in time with the hits of its step.

Axes: N notes of the file, M of them that are drums, D draws, B windows, T steps, C channels.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.inference.codec import Codec
from seqvae.inference.options import Humanise, Source
from seqvae.model.config import Sampling
from seqvae.model.given import Given
from seqvae.music.loops import repeated
from seqvae.music.midi import Original, PrettyMIDI, read_midi
from seqvae.music.notes import NUM_VELOCITIES, bin_velocities, make_notes
from seqvae.tokenizers.contract import Example
from seqvae.tokenizers.groove import (
    OFFSET_CHANNELS,
    VELOCITY_CHANNELS,
    GrooveTokenizer,
)
from seqvae.tokenizers.kits import BITS, drum_classes
from seqvae.tokenizers.tracks import with_tracks

NO_NOTES = make_notes([], [], [])
NUM_MEAN = 16  # draws of which a temperature of 0 takes the mean


def humanised(
    codec: Codec, source: Source, how: Humanise, generator: torch.Generator
) -> PrettyMIDI:
    """A file with its drums as the model would play them.

    Raises:
        InputError: the model writes no loudness, or the file has no drums that it could play.
    """
    tokenizer = with_tracks(_groove(codec), how.tracks)
    assert isinstance(tokenizer, GrooveTokenizer)
    original = Original.of(source, tokenizer.steps_per_quarter)
    classes = _classes(tokenizer, original, source)
    windows = _windows(tokenizer, source, how.bar)
    played = _played(codec, tokenizer, windows, how, generator)
    targets = _targets(tokenizer, windows, played, original, classes)
    return _moved(original, classes, targets, how)


def _groove(codec: Codec) -> GrooveTokenizer:
    if not isinstance(codec.tokenizer, GrooveTokenizer):
        raise InputError(
            f"a model of {codec.tokenizer.kind} writes no loudness and no timing of drums; take "
            "humanize_2bar, or train one: "
            "seqvae train groove_2bar --data.tokenizer.encoder_sees hits"
        )
    return codec.tokenizer


def _classes(tokenizer: GrooveTokenizer, original: Original, source: Source) -> NDArray[np.int64]:
    """The class of each note of the file; -1 of a drum outside of them, -2 of others: (N,)."""
    notes = original.song.notes
    classes = np.full(len(notes), -2)
    for part in tokenizer.parts(read_midi(source, tokenizer.steps_per_quarter)):
        if part.role == "drums":
            own = notes["track"] == part.number
            classes[own] = drum_classes(part)[notes["pitch"][own]]
    return classes


def _windows(tokenizer: GrooveTokenizer, source: Source, bar: int | None) -> list[Example]:
    """The windows of the kit; no other notes are read, and none is said to be left out."""
    piece = read_midi(source, tokenizer.steps_per_quarter)
    whole = repeated(piece, tokenizer.window_steps(piece.metres[0]))
    hits = np.zeros(len(whole.notes), np.bool_)
    for part in tokenizer.parts(whole):
        if part.role == "drums":
            own = whole.notes["track"] == part.number
            hits[own] = drum_classes(part)[whole.notes["pitch"][own]] >= 0
    kit = replace(whole, notes=whole.notes[hits]) if hits.any() else whole
    try:
        return tokenizer.encode(kit, bar)
    except InputError as error:
        name = source if isinstance(source, str | Path) else "the PrettyMIDI object"
        raise InputError(f"{name}: {error}") from error


def _played(
    codec: Codec,
    tokenizer: GrooveTokenizer,
    windows: list[Example],
    how: Humanise,
    generator: torch.Generator,
) -> Int[np.ndarray, "D B T C"]:
    """The tokens of windows with their hits given, and loudness and timing drawn."""
    draws, temperature = 1, how.temperature
    if temperature == 0:
        draws, temperature, generator = NUM_MEAN, 1.0, codec.generator(0)
    sampling = Sampling(temperature=temperature, top_k=how.top_k, top_p=how.top_p)
    windows = [*windows] * draws
    z = codec.posterior(windows).mean
    ids = torch.from_numpy(np.stack([window.ids for window in windows])).to(codec.device)
    num_channels = len(tokenizer.vocab_sizes)
    hits, conditions = ids[..., 0], ids[..., num_channels:]
    silent = hits[..., None] >> torch.arange(len(BITS), device=hits.device) & 1 == 0  # (B, T, 9)
    where = torch.cat([torch.ones_like(silent[..., :1]), silent, silent], dim=-1)
    given = torch.where(where, ids[..., :num_channels], 0)
    drawn = codec.around(Given(given, where), z, sampling, generator, [*conditions.cpu().numpy()])
    tokens = np.concatenate([sequences.ids.cpu().numpy() for sequences in drawn])
    return tokens.reshape(draws, -1, *tokens.shape[1:])


@dataclass(frozen=True, eq=False)
class Targets:
    """How the model would change each note of a file; 0 where it does not: (N,)."""

    velocity: NDArray[np.float64]
    """In MIDI velocity."""
    steps: NDArray[np.float64]
    """Later, in steps."""


def _targets(
    tokenizer: GrooveTokenizer,
    windows: list[Example],
    played: Int[np.ndarray, "D B T C"],
    original: Original,
    classes: NDArray[np.int64],
) -> Targets:
    """The changes that make the loudest hit of each class and step as the model has it."""
    song, steps = original.song, original.starts
    position = song.ticks[0] * original.steps_per_quarter / song.resolution
    window, row = _places(tokenizer, windows, steps)
    velocity, late = np.zeros(len(steps)), np.zeros(len(steps))
    heard = np.flatnonzero((window >= 0) & (classes >= 0))
    heard = heard[np.argsort(song.notes["velocity"][heard], kind="stable")]
    hits, hit = np.unique(np.stack([steps, classes])[:, heard], axis=1, return_inverse=True)
    loudest = np.zeros(hits.shape[1], np.int64)
    loudest[hit.ravel()] = heard  # of several the last stays
    leads = loudest[hit.ravel()]
    tokens = played[:, window[heard], row[heard]]  # (D, M, C)
    bins = tokens[..., VELOCITY_CHANNELS][:, np.arange(len(heard)), classes[heard]]
    places = tokens[..., OFFSET_CHANNELS][:, np.arange(len(heard)), classes[heard]]
    loudness = bin_velocities(bins - 1, tokenizer.num_velocity_bins)
    offset = (places - 0.5) / tokenizer.num_offset_bins - 0.5
    # A model may draw silence for a class that it was given: then the hit stays as it is.
    louder = np.where(bins > 0, loudness - song.notes["velocity"][leads], 0)
    velocity[heard] = louder.mean(axis=0)
    late[heard] = np.where(places > 0, steps[heard] + offset - position[leads], 0).mean(axis=0)
    for number in np.flatnonzero((window >= 0) & (classes == -1)).tolist():
        beside = heard[steps[heard] == steps[number]]
        late[number] = late[beside].mean() if len(beside) else 0.0
    return Targets(velocity, late)


def _places(
    tokenizer: GrooveTokenizer, windows: list[Example], steps: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The window of each step of a piece, or -1, and the step of the model in it: (N,) each."""
    window, row = np.full(len(steps), -1), np.zeros(len(steps), np.int64)
    for number, example in enumerate(windows):
        assert example.metre is not None
        bar = tokenizer.bar_steps(example.metre)
        since = steps - example.start_step
        inside = (since >= 0) & (since < tokenizer.window_steps(example.metre))
        window[inside] = number
        row[inside] = since[inside] // bar * tokenizer.steps_per_bar + since[inside] % bar
    return window, row


def _moved(
    original: Original, classes: NDArray[np.int64], targets: Targets, how: Humanise
) -> PrettyMIDI:
    """The file with its drums a share of the way to their targets."""
    song, notes = original.song, original.song.notes.copy()
    louder = np.rint(how.velocity * targets.velocity)
    notes["velocity"] = np.clip(notes["velocity"] + louder, 1, NUM_VELOCITIES)
    later = np.rint(how.timing * targets.steps * song.resolution / original.steps_per_quarter)
    later = np.maximum(later, -song.ticks[0])  # nothing sounds before the beginning
    end = max(song.end_tick, int(song.ticks[1].max(initial=0)))  # of the file, which is to loop
    ticks = song.ticks + later
    ticks[1] = np.minimum(ticks[1], end)
    changed = replace(original, song=replace(song, notes=notes, ticks=ticks, end_tick=end))
    return changed.rewritten(np.ones(len(notes), np.bool_), NO_NOTES, [], 0)
