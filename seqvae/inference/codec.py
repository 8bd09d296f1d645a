"""Codec: inputs -> clips with latent codes, and codes -> outputs.

Text goes in and comes out as `str`; music goes in as a path or a `pretty_midi.PrettyMIDI` and comes
out as `PrettyMIDI`. What the verbs do lies between: arithmetic on the codes of clips.

Axes: N windows or codes, W windows of a clip, T steps, C channels, K columns given beside them, Z
latent.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, TypedDict, TypeVar

import numpy as np
import pretty_midi
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from seqvae.corpus.store import Split
from seqvae.errors import InputError
from seqvae.inference.bundle import bundle_in, load_bundle
from seqvae.inference.metrics import rows
from seqvae.inference.prior import Prior, fit_prior
from seqvae.model.config import Sampling
from seqvae.model.decoding import GREEDY, row_seeds
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.vae import SequenceVAE
from seqvae.music.beats import file_beside, read_beats
from seqvae.music.chords import parse_chords, read_chords
from seqvae.music.midi import QPM_RANGE, MidiSource, read_midi, to_pretty_midi
from seqvae.music.notes import DEFAULT_QPM, Piece, join
from seqvae.tokenizers import AnyTokenizer
from seqvae.tokenizers.contract import Example, Ids

BATCH_SIZE = 256  # codes or sequences that are computed together
NUM_FITTED = 20_000  # sequences of a training split from which something is learned of their codes

C = TypeVar("C", bound="Codec")

logger = logging.getLogger(__name__)

Source: TypeAlias = str | MidiSource
Item: TypeAlias = str | pretty_midi.PrettyMIDI


class Reading(TypedDict, total=False):
    """How clips are read."""

    bar: int | None
    """Take the one window that begins at this bar, counted from 1."""
    beats: str | None
    """Name of the beat file beside each MIDI file, where its own grid means nothing; {stem} stands
    for the name of the MIDI file."""
    chord_file: str | None
    """Name of the chord file beside each MIDI file."""


class Writing(TypedDict, total=False):
    """How outputs are drawn."""

    temperature: float
    """Logits are divided by it; 0 is greedy."""
    top_k: int
    """Only the k most probable tokens; 0 takes all."""
    top_p: float
    """Only the most probable tokens whose probabilities reach p."""
    seed: int | None
    """Repeats the output exactly."""
    chords: str | None
    """Chords to play over, such as "C Am F G", which share a window evenly."""


class How(Reading, Writing, total=False):
    """Both."""


@dataclass(frozen=True, eq=False)
class Clip:
    """An input or an output: its windows, and a code for each. A text has one window."""

    windows: list[Example]
    z: Float[Tensor, "W Z"]


class Codec:
    """A model with its tokenizer."""

    def __init__(self, model: SequenceVAE, tokenizer: AnyTokenizer) -> None:
        """Use `load` for a model from disk."""
        self.model, self.tokenizer = model.eval(), tokenizer
        self.prior = Prior.standard(model.config.latent_dim)
        self.bundle: Path | None = None

    @classmethod
    def load(cls: type[C], folder: str | Path) -> C:
        """Read a run or a bundle; it goes to the GPU where there is one.

        Raises:
            InputError: the folder is neither, or a file of it is missing or damaged.
        """
        bundle = bundle_in(Path(folder).expanduser())
        model, tokenizer = load_bundle(bundle)
        loaded = cls(model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer)
        loaded.bundle, loaded.prior = bundle, Prior.load(bundle, model.config.latent_dim)
        return loaded

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.model.device

    def encode(self, inputs: Source | Sequence[Source], **how: Any) -> DiagonalGaussian:
        """The posterior of every window of one input or several, in order: (N, Z).

        A clip longer than the model's window gives several rows. `how` is that of `Reading`.
        """
        examples = [self.windows(source, **how) for source in several(inputs)]
        return self.posterior([window for own in examples for window in own])

    def decode(
        self,
        z: Float[Tensor, "N Z"] | NDArray[Any],
        *,
        sampling: Sampling = GREEDY,
        seed: int | None = None,
        qpm: float = DEFAULT_QPM,
    ) -> list[Item]:
        """An output for each code; greedy unless `sampling` says otherwise."""
        z = torch.as_tensor(z, dtype=torch.float32, device=self.device)
        latent_dim = self.model.config.latent_dim
        if z.ndim != 2 or z.shape[1] != latent_dim:
            raise InputError(f"codes of shape {tuple(z.shape)}; this model takes (N, {latent_dim})")
        clips = [self.blank(code[None], qpm) for code in z]
        return self._write(clips, sampling, self.generator(seed), None)

    def fit_prior(self, split: Split, *, seed: int = 0) -> None:
        """Draw samples as the codes of a training split lie; kept in the bundle."""
        posterior = self.posterior(self.varied(split, seed=seed))
        self.prior = fit_prior(posterior.sample(self.generator(seed)).cpu(), seed=seed)
        if self.bundle is not None:
            self.prior.save(self.bundle)

    def varied(self, split: Split, *, seed: int) -> list[Example]:
        """Sequences of a training split, varied as in training."""
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(len(split))[:NUM_FITTED]
        varied = self.tokenizer.augment(split.padded(chosen), rng)
        lengths = split.lengths[chosen].tolist()
        return [Example(ids[:length]) for ids, length in zip(varied, lengths, strict=True)]

    # Clips

    def read(self, inputs: Source | Sequence[Source], how: Mapping[str, Any]) -> list[Clip]:
        """Each input with the posterior means of its windows."""
        own = {name: how[name] for name in Reading.__annotations__ if name in how}
        examples = [self.windows(source, **own) for source in several(inputs)]
        means = self.posterior([window for own in examples for window in own]).mean
        codes = torch.split(means, [len(own) for own in examples])
        return [Clip(own, z) for own, z in zip(examples, codes, strict=True)]

    def write(
        self,
        clips: Sequence[Clip],
        how: Mapping[str, Any],
        *,
        generator: torch.Generator | None = None,
        temperature: float = 0.0,
    ) -> list[Item]:
        """What the codes of clips say, greedy unless `how` or `temperature` says otherwise.

        Each output has the tempo and program of its clip, and its chords unless others are given.
        """
        own = {name: how[name] for name in ("top_k", "top_p") if name in how}
        sampling = Sampling(temperature=how.get("temperature", temperature), **own)
        generator = generator or self.generator(how.get("seed"))
        return self._write(clips, sampling, generator, how.get("chords"))

    def blank(self, z: Float[Tensor, "W Z"], qpm: float = DEFAULT_QPM) -> Clip:
        """Codes that come from no input: silence, without chords."""
        low, high = QPM_RANGE
        if not low <= qpm <= high:
            raise InputError(f"qpm is {qpm:g}; MIDI takes {low:g} to {high:g} quarters per minute")
        num_columns = self.model.steps.num_channels + len(self.model.steps.condition_sizes)
        nothing = np.zeros((self.model.steps.max_steps, num_columns), np.int64)
        return Clip([Example(nothing, qpm) for _ in z], z)

    def generator(self, seed: int | None) -> torch.Generator:
        """What draws from a seed, or from none.

        Raises:
            InputError: the seed is none.
        """
        generator = torch.Generator(self.device)
        if seed is None:
            generator.seed()
            return generator
        if not 0 <= seed < 2**63:
            raise InputError(f"seed is {seed}; it must be 0 or more, and below 2^63")
        return generator.manual_seed(seed)

    # Sequences of tokens

    @torch.no_grad()
    def posterior(self, examples: Sequence[Example]) -> DiagonalGaussian:
        """Posteriors of examples of any lengths, in their order."""
        if self.model.config.latent_dim == 0:
            raise InputError("this model is a language model (latent_dim 0): it has no code")
        means, log_stddevs = [], []
        for start in range(0, len(examples), BATCH_SIZE):
            batch = [example.ids for example in examples[start : start + BATCH_SIZE]]
            ids, lengths = padded(batch)
            encoder_input = self.tokenizer.encoder_input(ids)
            posterior = self.model.encode(
                torch.from_numpy(ids if encoder_input is None else encoder_input).to(self.device),
                lengths.to(self.device),
            )
            means.append(posterior.mean)
            log_stddevs.append(posterior.log_stddev)
        return DiagonalGaussian(torch.cat(means), torch.cat(log_stddevs))

    @torch.no_grad()
    def tokens(
        self,
        z: Float[Tensor, "N Z"],
        sampling: Sampling = GREEDY,
        generator: torch.Generator | None = None,
        conditions: Sequence[Ids] | None = None,
    ) -> list[Ids]:
        """Tokens for each code, in order, with its conditions as the last columns.

        `generator` seeds the draws; without one they are greedy, or random.
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
            ids += rows(drawn)
        return ids

    def content(self, ids: Ids) -> str | Piece:
        """The text, or the notes of one window."""
        return self.tokenizer.decode(ids) if self.tokenizer.modality == "text" else self.piece(ids)

    def piece(self, ids: Ids) -> Piece:
        """The notes of one window."""
        assert self.tokenizer.modality == "music"
        piece: Piece = self.tokenizer.decode(Example(ids))
        return piece

    def windows(
        self,
        source: Source,
        bar: int | None = None,
        beats: str | None = None,
        chord_file: str | None = None,
    ) -> list[Example]:
        """The windows of one input."""
        if self.tokenizer.modality == "text":
            if not isinstance(source, str) or source.lower().endswith((".mid", ".midi")):
                raise InputError(f"{source!r}: this model takes text")
            if Path(source[:255]).suffix and Path(source[:255]).is_file():
                raise InputError(f"{source}: a file; this model takes sentences, each in quotes")
            tokens = self.tokenizer.encode(source)
            if len(tokens) > self.tokenizer.max_steps:
                raise InputError(
                    f"{source[:40]!r}... has {len(tokens)} tokens; "
                    f"the model takes at most {self.tokenizer.max_steps}"
                )
            return [Example(tokens)]
        beat_track = chord_track = None
        if beats is not None or chord_file is not None:
            if isinstance(source, pretty_midi.PrettyMIDI):
                raise InputError("beats and chords lie beside a file; a PrettyMIDI object has none")
            path = Path(source).expanduser()
            beat_track = None if beats is None else read_beats(file_beside(path, beats))
            chord_track = None if chord_file is None else read_chords(file_beside(path, chord_file))
        piece = read_midi(source, self.tokenizer.steps_per_quarter, beat_track, chord_track)
        try:
            return self.tokenizer.encode(piece, bar)
        except InputError as error:
            name = "the PrettyMIDI object" if isinstance(source, pretty_midi.PrettyMIDI) else source
            raise InputError(f"{name}: {error}") from error

    def _write(
        self,
        clips: Sequence[Clip],
        sampling: Sampling,
        generator: torch.Generator,
        chords: str | None,
    ) -> list[Item]:
        windows = [window for clip in clips for window in clip.windows]
        over = self._chords(windows, chords)
        drawn = iter(self.tokens(torch.cat([clip.z for clip in clips]), sampling, generator, over))
        return [
            self._render([replace(window, ids=next(drawn)) for window in clip.windows])
            for clip in clips
        ]

    def _chords(self, windows: list[Example], chords: str | None) -> list[Ids]:
        """The columns (T, K) that are given to each window: its own, or chords spread evenly."""
        if chords is None:
            return [window.ids[:, self.model.steps.num_channels :] for window in windows]
        if not self.model.steps.condition_sizes:
            raise InputError(
                "this model knows no chords; train one with data.tokenizer.chords true"
            )
        numbers, num_steps = np.array(parse_chords(chords)), self.model.steps.max_steps
        if len(numbers) > num_steps:
            raise InputError(f"{len(numbers)} chords; a window has {num_steps} steps")
        return [numbers[np.arange(num_steps) * len(numbers) // num_steps, None]] * len(windows)

    def _render(self, windows: list[Example]) -> Item:
        """One output from its windows."""
        if self.tokenizer.modality == "text":
            return self.tokenizer.decode(windows[0].ids)
        return to_pretty_midi(join([self.tokenizer.decode(window) for window in windows]))


def even(clips: Sequence[Clip]) -> list[Clip]:
    """Clips as long as the shortest, for what lies between them; a warning says so."""
    depths = [len(clip.z) for clip in clips]
    if len({*depths}) > 1:
        logger.warning(
            "the inputs have %s windows; the first %d of each are taken",
            ", ".join(map(str, depths)), min(depths),
        )  # fmt: skip
    return [Clip(clip.windows[: min(depths)], clip.z[: min(depths)]) for clip in clips]


def several(inputs: Source | Sequence[Source]) -> Sequence[Source]:
    """One input is several of one."""
    if isinstance(inputs, str | Path | pretty_midi.PrettyMIDI):
        return [inputs]
    if not inputs:
        raise InputError("no inputs")
    return inputs


def padded(sequences: Sequence[Ids]) -> tuple[Ids, Tensor]:
    """Sequences side by side, (N, T, C), and their lengths."""
    lengths = torch.tensor([len(ids) for ids in sequences])
    ids = np.zeros((len(sequences), int(lengths.max()), sequences[0].shape[1]), np.int64)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    return ids, lengths
