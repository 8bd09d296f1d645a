"""Codec: inputs -> clips with latent codes, and codes -> outputs.

Text goes in and comes out as `str`; music goes in as a path or a `pretty_midi.PrettyMIDI` and comes
out as `PrettyMIDI`. What the verbs do lies in between: arithmetic on the codes of clips.

Axes: N windows or codes, W windows of a clip, B sequences of a batch, T steps, C channels, K
conditions, Z latent.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from seqvae.corpus.batches import Batch
from seqvae.errors import InputError
from seqvae.inference.bounds import allowed_tokens, pitch_classes_of
from seqvae.inference.bundle import as_path, bundle_in, load_bundle
from seqvae.inference.clips import Clip, as_long_as_clip, from_key, in_key, in_style_of
from seqvae.inference.inputs import (
    Opened,
    check_is_single,
    listed_sources,
    open_inputs,
    windows_of,
)
from seqvae.inference.metrics import unpadded
from seqvae.inference.options import SEED_END, Coding, Drawing, Reading, Source, check_seed
from seqvae.inference.refining import refined
from seqvae.inference.streaming import Drawn, bars, words
from seqvae.model.config import Sampling
from seqvae.model.decoding import GREEDY, Sequences
from seqvae.model.given import Given
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.noise import row_seeds
from seqvae.model.vae import SequenceVAE
from seqvae.music.chord_names import parse_chords
from seqvae.music.chords import transpose_chords
from seqvae.music.keys import NUM_PITCHES, find_key, parse_key
from seqvae.music.notes import DEFAULT_QPM, Key, Notes, Piece, join, parse_metre, pitched_notes
from seqvae.music.scales import Scale, parse_scale, suggested_scale
from seqvae.tokenizers import AnyTokenizer
from seqvae.tokenizers.contract import Example, Ids
from seqvae.tokenizers.keys import KeySettings

BATCH_SIZE = 256  # codes or sequences that are computed together
AS_IS = Coding()

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from seqvae.music.midi import PrettyMIDI

    Item: TypeAlias = str | PrettyMIDI
else:  # text needs no pretty_midi, which takes long to import
    Item = Any


class Codec:
    """A model with its tokenizer."""

    def __init__(self, model: SequenceVAE, tokenizer: AnyTokenizer) -> None:
        """Use `load` for a model from disk."""
        self.model, self.tokenizer = model.eval(), tokenizer

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device | None = None) -> "Codec":
        """Read a run or a bundle; by default the model goes to CUDA if that is available.

        Raises:
            InputError: the folder is neither, a file of it is missing or damaged, or there is no
                such device.
        """
        model, tokenizer = load_bundle(bundle_in(as_path(folder)))
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            return cls(model.to(device), tokenizer)
        except (RuntimeError, AssertionError) as error:  # of torch, with or without CUDA in it
            reason = str(error).splitlines()[0]
            raise InputError(f"device is {str(device)!r}: {reason}; use cpu") from error

    @property
    def _normalises_keys(self) -> bool:
        return isinstance(self.tokenizer, KeySettings) and self.tokenizer.normalises_keys

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.model.device

    def generator(self, seed: int | None) -> torch.Generator:
        """A generator on the model's device; without a seed its draws differ each time.

        Raises:
            InputError: the seed is out of range.
        """
        check_seed(seed)
        generator = torch.Generator(self.device)
        if seed is None:
            generator.seed()
            return generator
        return generator.manual_seed(seed)

    # Inputs -> clips

    def windows(self, source: Source, reading: Reading = AS_IS) -> list[Example]:
        """The windows of one input.

        Raises:
            InputError: it cannot be read as the data of this model; the reason is named.
        """
        return windows_of(self.tokenizer, source, reading)

    def sources(self, inputs: Source | Sequence[Source]) -> list[Source]:
        """Inputs as a list; a folder stands for the MIDI files in it.

        Raises:
            InputError: there are none.
        """
        return listed_sources(self.tokenizer, inputs)

    def opened(self, inputs: Source | Sequence[Source], reading: Reading = AS_IS) -> list[Opened]:
        """Inputs that were read, without the files of a folder that do not fit.

        Raises:
            InputError: there are none, or one that is named cannot be read.
        """
        return open_inputs(self.tokenizer, inputs, reading)

    def read(self, inputs: Source | Sequence[Source], coding: Coding = AS_IS) -> list[Clip]:
        """Each input with the posterior means of its windows."""
        examples = [each.windows for each in self.opened(inputs, coding)]
        windows = [window for of_one in examples for window in of_one]
        means = self.posterior(windows, coding.refine).mean
        codes = torch.split(means, [len(windows) for windows in examples])
        return [Clip(windows, z) for windows, z in zip(examples, codes, strict=True)]

    def read_singles(self, inputs: Sequence[Source], coding: Coding = AS_IS) -> list[Clip]:
        """The same of inputs of which each is one clip.

        Raises:
            InputError: one of them is a folder, or cannot be read.
        """
        if self.tokenizer.modality == "music":
            for source in inputs:
                check_is_single(source)
        return self.read(inputs, coding)

    # Tokens <-> codes

    def batches(self, sequences: Sequence[Ids]) -> Iterator[Batch]:
        """Sequences of any lengths in batches on the model's device, in order."""
        for start in range(0, len(sequences), BATCH_SIZE):
            ids, lengths = padded(sequences[start : start + BATCH_SIZE])
            encoder_input = self.tokenizer.encoder_input(ids)
            yield Batch(
                torch.from_numpy(ids),
                lengths,
                None if encoder_input is None else torch.from_numpy(encoder_input),
            ).to(self.device)

    @torch.no_grad()
    def posterior(self, examples: Sequence[Example], refine: int = 0) -> DiagonalGaussian:
        """q(z|x) of examples of any lengths, in order, after so many steps towards each.

        Raises:
            InputError: the model is a language model, or reads a part of what it would refine.
        """
        if self.model.config.latent_dim == 0:
            raise InputError("this model is a language model (latent_dim 0): it has no code")
        batches = self.batches([example.ids for example in examples])
        posteriors = [self.posterior_of(batch, refine) for batch in batches]
        return DiagonalGaussian(
            torch.cat([posterior.mean for posterior in posteriors]),
            torch.cat([posterior.log_stddev for posterior in posteriors]),
        )

    def posterior_of(self, batch: Batch, refine: int = 0) -> DiagonalGaussian:
        """The same of a batch."""
        posterior = self.model.encode(batch.encoder_ids, batch.lengths)
        return refined(self.model, batch, posterior, refine)

    @torch.no_grad()
    def tokens(
        self,
        z: Float[Tensor, "N Z"],
        sampling: Sampling = GREEDY,
        generator: torch.Generator | None = None,
        conditions: Sequence[Ids] | None = None,
        pitch_classes: Sequence[NDArray[np.bool_]] | None = None,
    ) -> list[Ids]:
        """Tokens for each code, in order, with its conditions (T, K) as the last columns.

        `generator` seeds the draws; without one they differ each time, unless greedy. The notes
        of each code have the `pitch_classes` that are given for it, (12,).
        """
        ids: list[Ids] = []
        batches = self._batches_of_codes(z, sampling, generator, conditions, pitch_classes)
        total = -(-len(z) // BATCH_SIZE)
        for codes, how in tqdm(
            batches, desc="decode", total=total, leave=False, disable=None, delay=1
        ):
            ids += unpadded(self.model.decode(codes, sampling, **how))
        return ids

    def around(
        self,
        given: Given,
        z: Float[Tensor, "N Z"],
        sampling: Sampling,
        generator: torch.Generator,
        conditions: Sequence[Ids] | None = None,
        pitch_classes: Sequence[NDArray[np.bool_]] | None = None,
    ) -> Iterator[Sequences]:
        """Sequences with tokens that are given, and all others drawn, some rows at a time."""
        for codes, how in self._batches_of_codes(
            z, sampling, generator, conditions, pitch_classes, given
        ):
            yield self.model.decode(codes, sampling, **how)

    def _batches_of_codes(
        self,
        z: Float[Tensor, "N Z"],
        sampling: Sampling,
        generator: torch.Generator | None,
        conditions: Sequence[Ids] | None,
        pitch_classes: Sequence[NDArray[np.bool_]] | None,
        given: Given | None = None,
    ) -> Iterator[tuple[Float[Tensor, "B Z"], dict[str, Any]]]:
        """Codes that are decoded together: seeds, conditions, and tokens allowed or given."""
        seeds = None
        if sampling.temperature > 0:
            seeds = row_seeds(len(z), generator or self.generator(None))
        for start in range(0, len(z), BATCH_SIZE):
            chunk = slice(start, start + BATCH_SIZE)
            how: dict[str, Any] = {"seeds": None if seeds is None else seeds[chunk]}
            if conditions is not None and self.model.steps.condition_sizes:
                how["conditions"] = torch.from_numpy(np.stack(conditions[chunk])).to(self.device)
            if pitch_classes is not None:
                assert isinstance(self.tokenizer, KeySettings)
                how["allowed"] = allowed_tokens(self.tokenizer, pitch_classes[chunk], self.device)
            if given is not None:
                how["given"] = Given(given.ids[chunk], given.where[chunk])
            yield z[chunk], how

    # Clips -> outputs

    def blank(
        self, z: Float[Tensor, "W Z"], qpm: float = DEFAULT_QPM, metre: str | None = None
    ) -> Clip:
        """A clip for codes that come from no input: without chords, at a tempo, in a metre.

        Raises:
            InputError: MIDI has no such tempo, or the model no such metre.
        """
        num_columns = self.model.steps.num_channels + len(self.model.steps.condition_sizes)
        silence = np.zeros((self.model.steps.max_steps, num_columns), np.int64)
        if self.tokenizer.modality == "text":
            return Clip([Example(silence) for _ in z], z)
        from seqvae.music.midi import QPM_RANGE

        low, high = QPM_RANGE
        if not low <= qpm <= high:
            raise InputError(f"qpm is {qpm:g}; MIDI takes {low:g} to {high:g} quarters per minute")
        if metre is None:
            return Clip([Example(silence, qpm) for _ in z], z)
        numbers = self.tokenizer.bar_numbers
        if metre not in numbers:
            raise InputError(f"metre is {metre!r}; this model knows {', '.join(numbers)}")
        if len({*numbers.values()}) > 1:
            silence[:, -1] = numbers[metre]
        return Clip([Example(silence, qpm, metre=parse_metre(metre)) for _ in z], z)

    def render(self, clips: Sequence[Clip], drawing: Drawing) -> list[Item]:
        """Decode the codes of clips to outputs.

        Each output has the tempo and program of its clip, and its key and chords unless `drawing`
        names others.
        """
        drawing = self._seeded(drawing)
        placed, drawn = self._placed(clips, drawing)
        if drawn is None or drawing.scale is not None:
            drawn = self._drawn(placed, drawing, self.pitch_classes(placed, drawing))
        rest = iter(drawn)
        return [
            self._item([replace(window, ids=next(rest)) for window in clip.windows])
            for clip in placed
        ]

    def stream(self, clip: Clip, drawing: Drawing) -> Iterator[str | Piece]:
        """What `render` makes of one clip, while it is decoded: words, or bars.

        Raises:
            InputError: a text has several codes.
        """
        if self.tokenizer.modality == "text" and len(clip.z) > 1:
            raise InputError(f"{len(clip.z)} codes; a text has one: stream each for itself")
        drawing = self._seeded(drawing)
        (placed,), _ = self._placed([clip], drawing)
        rows = self._rows(
            clip.z,
            sampling_of(drawing),
            self.generator(drawing.seed),
            self._conditions(placed.windows, drawing.chords),
            self.pitch_classes([placed], drawing),
        )
        return self._parts(placed.windows, rows)

    def _rows(
        self,
        z: Float[Tensor, "N Z"],
        sampling: Sampling,
        generator: torch.Generator,
        conditions: Sequence[Ids],
        pitch_classes: Sequence[NDArray[np.bool_]] | None,
    ) -> Iterator[Iterator[Ids]]:
        """The steps of each code in order, as they are drawn."""
        for codes, how in self._batches_of_codes(z, sampling, generator, conditions, pitch_classes):
            drawn = Drawn(self.model.stream(codes, sampling, **how), self.model.steps.eos_id)
            for number in range(len(codes)):
                yield drawn.row(number)

    def _seeded(self, drawing: Drawing) -> Drawing:
        """The same with a seed, so that it may be drawn from twice."""
        if drawing.seed is not None:
            return drawing
        return replace(drawing, seed=torch.Generator().seed() % SEED_END)

    def _drawn(
        self,
        clips: Sequence[Clip],
        drawing: Drawing,
        pitch_classes: Sequence[NDArray[np.bool_]] | None = None,
    ) -> list[Ids]:
        """The tokens of the windows of clips."""
        windows = [window for clip in clips for window in clip.windows]
        return self.tokens(
            torch.cat([clip.z for clip in clips]),
            sampling_of(drawing),
            self.generator(drawing.seed),
            self._conditions(windows, drawing.chords),
            pitch_classes,
        )

    def _placed(
        self, clips: Sequence[Clip], drawing: Drawing
    ) -> tuple[list[Clip], list[Ids] | None]:
        """Clips that are moved to the key that is asked for, or to that of a scale.

        A scale alone moves what is made of no input. How far a model of keys as they are written
        has to be moved depends on what it draws: those tokens are returned, too.
        """
        key, scale = self.key(drawing), self.scale(drawing)
        keys = [
            key or (scale.key if scale and not len(self._notes(clip)) else None) for clip in clips
        ]
        pairs = [*zip(clips, keys, strict=True)]
        if self._normalises_keys or not any(keys):
            return [in_key(clip, to) if to else clip for clip, to in pairs], None
        drawn = self._drawn(clips, drawing)
        rest = iter(drawn)
        placed = []
        for clip, to in pairs:
            written = [replace(window, ids=next(rest)) for window in clip.windows]
            found = find_key(self._notes(replace(clip, windows=written)))
            placed.append(from_key(clip, found, to) if to else clip)
        return placed, drawn

    def _notes(self, clip: Clip) -> Notes:
        """The notes with pitches of the windows of a clip, as the model reads them."""
        assert self.tokenizer.modality == "music"
        pieces = [self.tokenizer.decode(window) for window in clip.windows]
        return np.concatenate([pitched_notes(piece) for piece in pieces])

    def pitch_classes(
        self, clips: Sequence[Clip], drawing: Drawing
    ) -> list[NDArray[np.bool_]] | None:
        """Those that a scale leaves to each window of clips, (12,); None without a scale."""
        key, scale = self.key(drawing), self.scale(drawing)
        if scale is None:
            return None
        classes: list[NDArray[np.bool_]] = []
        heard: dict[str, None] = {}
        for clip in clips:
            signature = 0 if self._normalises_keys else None
            is_asked = scale.is_open and key is None
            found = suggested_scale(self._notes(clip), signature) if is_asked else None
            holds, of_clip = pitch_classes_of(clip, scale, key, found)
            classes += [holds] * len(clip.windows)
            if found is not None:
                heard[str(of_clip)] = None
        if heard:
            logger.info("scale: %s", ", ".join(heard))
        return classes

    def _parts(
        self, windows: Sequence[Example], rows: Iterator[Iterator[Ids]]
    ) -> Iterator[str | Piece]:
        """The words of a text, or the bars of windows one after another."""
        for window, steps in zip(windows, rows, strict=True):
            if self.tokenizer.modality == "text":
                yield from words(self.tokenizer, steps)
            else:
                yield from bars(self.tokenizer, window, steps)

    def key(self, drawing: Drawing) -> Key | None:
        """The key that is asked for.

        Raises:
            InputError: it is none, or the outputs of this model have no keys.
        """
        if drawing.key is None:
            return None
        if not isinstance(self.tokenizer, KeySettings):
            raise InputError(
                f"key is {drawing.key!r}; a model of {self.tokenizer.kind} has no keys"
            )
        return parse_key(drawing.key)

    def scale(self, drawing: Drawing) -> Scale | None:
        """The scale that is asked for.

        Raises:
            InputError: it is none, or the outputs of this model cannot keep to one.
        """
        if drawing.scale is None:
            return None
        scale = parse_scale(drawing.scale)
        if not isinstance(self.tokenizer, KeySettings):
            raise InputError(
                f"scale is {drawing.scale!r}; a model of {self.tokenizer.kind} has no scales"
            )
        self.tokenizer.tokens_within(np.ones(NUM_PITCHES, np.bool_))
        return scale

    def _conditions(self, windows: list[Example], chords: str | None) -> list[Ids]:
        """The condition columns (T, K) of each window; named chords share a window equally."""
        columns = [window.ids[:, self.model.steps.num_channels :] for window in windows]
        if chords is None:
            return columns
        if self.tokenizer.modality == "text" or not self.tokenizer.reads_chords:
            raise InputError(
                "this model knows no chords; train one with data.tokenizer.chords true"
            )
        numbers, num_steps = np.array(parse_chords(chords)), self.model.steps.max_steps
        moves = (np.array(window.moved) for window in windows)
        if len(numbers) > num_steps:
            raise InputError(f"{len(numbers)} chords; a window has {num_steps} steps")
        named = self.tokenizer.chord_steps(numbers)
        return [
            np.concatenate([transpose_chords(named, moved), given[:, 1:]], axis=1)
            for given, moved in zip(columns, moves, strict=True)
        ]

    def _item(self, windows: list[Example]) -> Item:
        """One output from its windows."""
        if self.tokenizer.modality == "text":
            return self.tokenizer.decode(windows[0].ids)
        from seqvae.music.midi import to_pretty_midi

        pieces = [
            as_long_as_clip(window, in_style_of(window, self.tokenizer.decode(window)))
            for window in windows
        ]
        return to_pretty_midi(replace(join(pieces), key=windows[0].key))

    # Tokens -> contents

    def content(self, ids: Ids) -> str | Piece:
        """The text, or the notes of one window."""
        return self.tokenizer.decode(ids) if self.tokenizer.modality == "text" else self.piece(ids)

    def piece(self, ids: Ids) -> Piece:
        """The notes of one window."""
        assert self.tokenizer.modality == "music"
        piece: Piece = self.tokenizer.decode(Example(ids))
        return piece

    def num_events(self, ids: Ids) -> int:
        """Number of notes of a window, or of tokens of a text."""
        return len(ids) if self.tokenizer.modality == "text" else len(self.piece(ids).notes)


def sampling_of(drawing: Drawing) -> Sampling:
    """How tokens are drawn."""
    return Sampling(temperature=drawing.temperature, top_k=drawing.top_k, top_p=drawing.top_p)


def padded(sequences: Sequence[Ids]) -> tuple[Ids, Tensor]:
    """Sequences padded with zeros, (B, T, C), and their lengths (B,)."""
    lengths = torch.tensor([len(ids) for ids in sequences])
    ids = np.zeros((len(sequences), int(lengths.max()), sequences[0].shape[1]), np.int64)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    return ids, lengths
