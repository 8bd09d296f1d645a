"""Codec: inputs -> clips with latent codes, and codes -> outputs.

Text goes in and comes out as `str`; music goes in as a path or a `pretty_midi.PrettyMIDI` and comes
out as `PrettyMIDI`. What the verbs do lies in between: arithmetic on the codes of clips.

Axes: N windows or codes, W windows of a clip, B sequences of a batch, T steps, C channels, K
conditions, Z latent.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pretty_midi
import torch
from jaxtyping import Float
from torch import Tensor

from seqvae.corpus.batches import Batch
from seqvae.errors import InputError
from seqvae.files import expanded, is_file, is_folder
from seqvae.inference.bundle import as_path, bundle_in, load_bundle
from seqvae.inference.clips import Clip, in_key, in_style_of
from seqvae.inference.metrics import unpadded
from seqvae.inference.options import INPUTS, Drawing, Reading, Source, as_inputs, check_seed
from seqvae.model.config import Sampling
from seqvae.model.decoding import GREEDY
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.noise import row_seeds
from seqvae.model.vae import SequenceVAE
from seqvae.music.beat_files import beats_beside, file_beside, read_beats
from seqvae.music.chord_names import parse_chords
from seqvae.music.chords import read_chords, transpose_chords
from seqvae.music.keys import in_key as piece_in_key
from seqvae.music.keys import parse_key
from seqvae.music.loops import repeated
from seqvae.music.midi import QPM_RANGE, find_midi, read_midi, to_pretty_midi
from seqvae.music.notes import DEFAULT_QPM, Key, Piece, join, parse_metre
from seqvae.music.timing import NO_GRID, OTHER_BEATS, has_grid
from seqvae.reasons import in_words
from seqvae.tokenizers import AnyTokenizer
from seqvae.tokenizers.contract import Example, Ids
from seqvae.tokenizers.keys import KeySettings, in_said_key
from seqvae.tokenizers.tracks import with_tracks

BATCH_SIZE = 256  # codes or sequences that are computed together
AS_IS = Reading()
LOOKS_LIKE_A_NAME = re.compile(r"\.\w+$|/")  # a word may be the name of a file, too

logger = logging.getLogger(__name__)

Item: TypeAlias = str | pretty_midi.PrettyMIDI


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
        if not isinstance(source, str | Path | pretty_midi.PrettyMIDI):
            raise TypeError(f"an input is a {type(source).__name__}; {INPUTS}")
        if self.tokenizer.modality == "text":
            return [self._sentence(source)]
        tokenizer = with_tracks(self.tokenizer, reading.tracks)
        beats = chords = None
        if reading.beats is not None or reading.chord_file is not None:
            if isinstance(source, pretty_midi.PrettyMIDI):
                raise InputError("beats and chords lie beside a file; a PrettyMIDI object has none")
            path = expanded(source)
            if reading.beats is not None:
                beats = read_beats(file_beside(path, reading.beats), reading.beats_metre)
            if reading.chord_file is not None:
                chords = read_chords(file_beside(path, reading.chord_file))
        piece = read_midi(source, self.tokenizer.steps_per_quarter, beats, chords)
        name = "the PrettyMIDI object" if isinstance(source, pretty_midi.PrettyMIDI) else source
        whole = repeated(piece, self.tokenizer.window_steps(piece.metres[0]))
        if whole.noted:
            logger.warning("%s: %s", name, in_words(whole.noted))
        if not has_grid(piece, by_beats=beats is not None):
            mend = f"{NO_GRID.text}{_beats_beside(source) or '; name its beat file with --beats'}"
            logger.warning("%s: %s", name, mend if beats is None else OTHER_BEATS.text)
        whole = in_said_key(tokenizer, whole, reading.input_key)
        try:
            return tokenizer.encode(whole, reading.bar)
        except InputError as error:
            hint = "" if beats else _beats_beside(source)
            raise InputError(f"{name}: {error}{hint}") from error

    def _sentence(self, source: Source) -> Example:
        """The tokens of a text; file names are mistakes."""
        assert self.tokenizer.modality == "text"
        if not isinstance(source, str):
            raise InputError(f"{source!r}: this model takes text")
        if LOOKS_LIKE_A_NAME.search(source) and is_file(source):
            raise InputError(f"{source}: a file; this model takes sentences, each in quotes")
        try:  # an argument in a locale without UTF-8 has surrogates for its bytes
            text = source.encode("utf-8", "surrogateescape").decode("utf-8")
        except UnicodeError as error:
            raise InputError(f"{source[:80]!r}: not text in UTF-8") from error
        tokens = self.tokenizer.encode(text)
        if len(tokens) > self.tokenizer.max_steps:
            raise InputError(
                f"{source[:40]!r}... has {len(tokens)} tokens; "
                f"the model takes at most {self.tokenizer.max_steps}"
            )
        return Example(tokens)

    def sources(self, inputs: Source | Sequence[Source]) -> list[Source]:
        """Inputs as a list; a folder stands for the MIDI files in it.

        Raises:
            InputError: there are none.
        """
        found = as_inputs(inputs)
        if self.tokenizer.modality == "text":
            return [*found]
        return [clip for source in found for clip in _clips_in(source)]

    def read(self, inputs: Source | Sequence[Source], reading: Reading = AS_IS) -> list[Clip]:
        """Each input with the posterior means of its windows."""
        examples = [self.windows(source, reading) for source in self.sources(inputs)]
        means = self.posterior([window for windows in examples for window in windows]).mean
        codes = torch.split(means, [len(windows) for windows in examples])
        return [Clip(windows, z) for windows, z in zip(examples, codes, strict=True)]

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
    def posterior(self, examples: Sequence[Example]) -> DiagonalGaussian:
        """q(z|x) of examples of any lengths, in order.

        Raises:
            InputError: the model is a language model.
        """
        if self.model.config.latent_dim == 0:
            raise InputError("this model is a language model (latent_dim 0): it has no code")
        batches = self.batches([example.ids for example in examples])
        posteriors = [self.model.encode(batch.encoder_ids, batch.lengths) for batch in batches]
        return DiagonalGaussian(
            torch.cat([posterior.mean for posterior in posteriors]),
            torch.cat([posterior.log_stddev for posterior in posteriors]),
        )

    @torch.no_grad()
    def tokens(
        self,
        z: Float[Tensor, "N Z"],
        sampling: Sampling = GREEDY,
        generator: torch.Generator | None = None,
        conditions: Sequence[Ids] | None = None,
    ) -> list[Ids]:
        """Tokens for each code, in order, with its conditions (T, K) as the last columns.

        `generator` seeds the draws; without one they differ each time, unless greedy.
        """
        seeds = None
        if sampling.temperature > 0:
            seeds = row_seeds(len(z), generator or self.generator(None))
        ids: list[Ids] = []
        for start in range(0, len(z), BATCH_SIZE):
            chunk = slice(start, start + BATCH_SIZE)
            columns = None
            if conditions is not None and self.model.steps.condition_sizes:
                columns = torch.from_numpy(np.stack(conditions[chunk])).to(self.device)
            drawn = self.model.decode(
                z[chunk], sampling, None if seeds is None else seeds[chunk], conditions=columns
            )
            ids += unpadded(drawn)
        return ids

    # Clips -> outputs

    def blank(
        self, z: Float[Tensor, "W Z"], qpm: float = DEFAULT_QPM, metre: str | None = None
    ) -> Clip:
        """A clip for codes that come from no input: without chords, at a tempo, in a metre.

        Raises:
            InputError: MIDI has no such tempo, or the model no such metre.
        """
        low, high = QPM_RANGE
        if not low <= qpm <= high:
            raise InputError(f"qpm is {qpm:g}; MIDI takes {low:g} to {high:g} quarters per minute")
        num_columns = self.model.steps.num_channels + len(self.model.steps.condition_sizes)
        silence = np.zeros((self.model.steps.max_steps, num_columns), np.int64)
        if metre is None or self.tokenizer.modality == "text":
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
        key = self.key(drawing)
        if key is not None and self._normalises_keys:
            clips = [in_key(clip, key) for clip in clips]
            key = None  # they are
        windows = [window for clip in clips for window in clip.windows]
        z = torch.cat([clip.z for clip in clips])
        sampling = Sampling(
            temperature=drawing.temperature, top_k=drawing.top_k, top_p=drawing.top_p
        )
        conditions = self._conditions(windows, drawing.chords)
        drawn = iter(self.tokens(z, sampling, self.generator(drawing.seed), conditions))
        return [
            self._item([replace(window, ids=next(drawn)) for window in clip.windows], key)
            for clip in clips
        ]

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
        named = numbers[np.arange(num_steps) * len(numbers) // num_steps, None]
        return [
            np.concatenate([transpose_chords(named, moved), given[:, 1:]], axis=1)
            for given, moved in zip(columns, moves, strict=True)
        ]

    def _item(self, windows: list[Example], key: Key | None) -> Item:
        """One output from its windows, in a key if one is asked for."""
        if self.tokenizer.modality == "text":
            return self.tokenizer.decode(windows[0].ids)
        pieces = [in_style_of(window, self.tokenizer.decode(window)) for window in windows]
        whole = replace(join(pieces), key=windows[0].key)
        return to_pretty_midi(whole if key is None else piece_in_key(whole, key))

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


def _clips_in(source: Source) -> Sequence[Source]:
    """The MIDI files of a folder; anything else as it is."""
    if not isinstance(source, str | Path) or not is_folder(source):
        return [source]
    files = find_midi(expanded(source))
    if not files:
        raise InputError(f"{source}: the folder holds no MIDI files")
    return files


def padded(sequences: Sequence[Ids]) -> tuple[Ids, Tensor]:
    """Sequences padded with zeros, (B, T, C), and their lengths (B,)."""
    lengths = torch.tensor([len(ids) for ids in sequences])
    ids = np.zeros((len(sequences), int(lengths.max()), sequences[0].shape[1]), np.int64)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    return ids, lengths


def _beats_beside(source: Source) -> str:
    """Words that name a beat file beside an input; empty if there is none."""
    if isinstance(source, pretty_midi.PrettyMIDI):
        return ""
    pattern = beats_beside(expanded(source))
    return "" if pattern is None else f"; beats lie beside: --beats '{pattern}'"
