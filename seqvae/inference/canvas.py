"""All bars of a clip under one metre as one long row of tokens, which windows of a model fill.

A window lies so that what it writes has bars on both sides that are kept or written already. Where
more is to be written than half a window holds, a window goes on from the last half of the one
before it.

Axes: N candidates, T steps, C channels, K conditions, B bars of the model.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.inference.clips import Clip, in_style_of
from seqvae.inference.codec import Codec, sampling_of
from seqvae.inference.filling import Filler
from seqvae.inference.mixture import Mixture
from seqvae.inference.options import Drawing
from seqvae.inference.scope import Scope
from seqvae.music.chord_names import parse_chords
from seqvae.music.chords import transpose_chords
from seqvae.music.midi import Original
from seqvae.music.notes import Notes, Stretch, bars, pitched_notes
from seqvae.music.scales import suggested_scale
from seqvae.tokenizers.contract import Example, Ids, MusicTokenizer, Voice
from seqvae.tokenizers.keys import KeySettings
from seqvae.tokenizers.windows import WindowSettings, other_metre

MIN_NOTES, MIN_SHARE = 24, 0.03  # of what is kept, that tell which pitch classes it has
FEW_NOTES = 6  # that suggest a scale


@dataclass(frozen=True, eq=False)
class Canvas:
    """The tokens of a stretch, of which some are given."""

    model: Any
    """The tokenizer of the model, which is a `MusicTokenizer` with `WindowSettings`."""
    long: Any
    """The same with a window that holds the whole stretch."""
    stretch: Stretch
    voices: list[Voice]
    example: Example
    is_given: NDArray[np.bool_]
    """Tokens that are known: (T, C)."""
    is_asked: NDArray[np.bool_]
    """Tokens that are to be written; there are others, after the end: (T, C)."""

    @classmethod
    def of(cls, tokenizer: MusicTokenizer, scope: Scope, stretch: Stretch) -> "Canvas":
        """The tokens of a stretch of the clip.

        Raises:
            InputError: the model does not take its metre, or its notes.
        """
        assert isinstance(tokenizer, WindowSettings)
        if str(stretch.metre) not in tokenizer.metres:
            raise InputError(other_metre(stretch.metre, tokenizer).for_model())
        bar = tokenizer.bar_steps(stretch.metre)
        length = stretch.end_step - stretch.start_step
        num_bars = max(-(-length // bar), tokenizer.num_bars)
        long: Any = replace(tokenizer, num_bars=num_bars)
        first = next(b.number for b in bars(scope.piece) if b.start_step == stretch.start_step)
        (example,) = long.encode(scope.piece, first)
        span = long.span(np.array([stretch.start_step]), stretch)
        steps = span.steps()[0]
        is_inside = steps < stretch.end_step
        is_asked = np.zeros((len(steps), len(tokenizer.vocab_sizes)), np.bool_)
        is_given = np.ones_like(is_asked)
        for number, voice in enumerate(scope.voices):
            of_voice = np.ix_(is_inside, voice.channels)
            is_asked[of_voice] = scope.is_written[steps[is_inside], number, None]
        is_after = (steps >= stretch.end_step) & (steps != span.nowhere)
        is_given[is_asked | is_after[:, None]] = False
        return cls(tokenizer, long, stretch, scope.voices, example, is_given, is_asked)

    def holding(self, original: Original, kept: NDArray[np.bool_]) -> "Canvas":
        """The same, where lines hold the notes that are kept and last into what is written."""
        ids, is_given, is_asked = (
            self.example.ids.copy(),
            self.is_given.copy(),
            self.is_asked.copy(),
        )
        tracks = original.song.notes["track"]
        for voice in self.voices:
            if not voice.is_line:
                continue
            which = kept & np.isin(tracks, voice.heard)
            spans = original.starts[which].tolist(), original.ends[which].tolist()
            for start, end in zip(*spans, strict=True):
                held = range(*(self._model_step(step) for step in (start + 1, end)))
                there = np.ix_(held, voice.channels)
                ids[there] = np.where(is_asked[there], 0, ids[there])
                is_given[there] |= is_asked[there]
                is_asked[there] = False
        return replace(
            self, example=replace(self.example, ids=ids), is_given=is_given, is_asked=is_asked
        )

    def _model_step(self, step: int) -> int:
        """The step of the tokens at which a step of the piece stands, or the nearest end."""
        bar: int = self.model.bar_steps(self.stretch.metre)
        number, inside = divmod(step - self.stretch.start_step, bar)
        model_bar: int = self.model.steps_per_bar
        return min(max(number * model_bar + inside, 0), len(self.is_given))

    def over(self, chords: str | None) -> "Canvas":
        """The same with named chords, which share what is written equally.

        Raises:
            InputError: the model knows no chords, or there are more of them than steps.
        """
        if chords is None:
            return self
        if not self.model.reads_chords:
            raise InputError(
                "this model knows no chords; train one with data.tokenizer.chords true"
            )
        numbers, steps = np.array(parse_chords(chords)), np.flatnonzero(self.is_asked.any(1))
        if len(numbers) > len(steps):
            raise InputError(f"{len(numbers)} chords; {len(steps)} steps are written")
        ids = self.example.ids.copy()
        named = numbers[np.arange(len(steps)) * len(numbers) // len(steps)]
        moved = transpose_chords(named, np.array(self.example.moved))
        ids[steps, self.is_asked.shape[1]] = moved
        return replace(self, example=replace(self.example, ids=ids))

    def windows(self) -> Iterator[slice]:
        """The steps of the windows that fill it, one after another."""
        size, bar = self.model.num_bars, self.model.steps_per_bar
        asked = self.is_asked.reshape(-1, bar * self.is_asked.shape[1])
        missing: NDArray[np.bool_] = np.any(asked, axis=1)
        while missing.any():
            first = int(missing.argmax())
            run = int((~np.append(missing[first:], False)).argmax())
            before = size // 2 if 2 * run > size else -(-(size - run) // 2)
            start = min(max(first - before, 0), len(missing) - size)
            missing[start : start + size] = False
            yield slice(start * bar, (start + size) * bar)

    def filled(
        self, codec: Codec, prior: Mixture, number: int, how: Drawing, generator: torch.Generator
    ) -> list[Ids]:
        """So many rows of tokens (T, C + K)."""
        ids = np.repeat(self.example.ids[None], number, axis=0)
        is_given, num_channels = self.is_given.copy(), self.is_given.shape[1]
        scales = codec.pitch_classes([Clip([self.example], torch.zeros(1, 0))], how)
        if scales is None:
            scales = [kept_pitch_classes(self.long, self.example, self.is_given)]
        fillers: dict[bytes, Filler] = {}
        for window in self.windows():
            where = torch.from_numpy(is_given[window].copy())
            cut = torch.from_numpy(self.model.cut(ids[:, window]))
            key = is_given[window].tobytes()  # most windows are given the same tokens
            if key not in fillers:
                fillers[key] = Filler(codec, prior, where, scales * number)
            drawn = fillers[key].fill(cut, sampling_of(how), generator).cpu().numpy()
            is_new = self.is_asked[window] & ~is_given[window]
            ids[:, window, :num_channels][:, is_new] = drawn[..., :num_channels][:, is_new]
            is_given[window] |= self.is_asked[window]
        return [*ids]

    def written_windows(self, ids: Ids) -> list[Ids]:
        """The windows of a row of tokens in which something was written."""
        return [self.model.cut(ids[None, window])[0] for window in self.windows()]

    def notes(self, ids: Ids) -> Notes:
        """The notes of a row of tokens, in the steps of the piece."""
        example = replace(self.example, ids=ids)
        notes: Notes = in_style_of(example, self.long.decode(example)).notes
        notes["start"] += self.stretch.start_step
        notes["end"] += self.stretch.start_step
        return notes


def kept_pitch_classes(
    tokenizer: MusicTokenizer, example: Example, is_given: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """The pitch classes of what is given of a window (T, C), rare ones left out: (12,).

    Few notes do not have all of them: what they have is completed to the scale that they suggest.
    All pitch classes, where fewer are given or the tokenizer writes no lines or notes alone. Codes
    tell the key less well.
    """
    everything = np.ones(12, np.bool_)
    if not isinstance(tokenizer, KeySettings) or getattr(tokenizer, "programs", False):
        return everything
    kept, num_channels = example.ids.copy(), is_given.shape[1]
    kept[:, :num_channels] *= is_given
    notes = pitched_notes(tokenizer.decode(replace(example, ids=kept)))
    counts = np.bincount(notes["pitch"] % 12, minlength=12)
    common: NDArray[np.bool_] = counts >= max(1, MIN_SHARE * len(notes))
    if len(notes) >= MIN_NOTES:
        return common
    scale = suggested_scale(notes) if len(notes) >= FEW_NOTES else None
    return everything if scale is None else common | scale.pitch_classes()
