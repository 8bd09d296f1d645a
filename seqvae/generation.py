"""TrainedVAE: what users, the command line and the report call.

Every verb is a little arithmetic on latent codes between `encode` and `decode`. Text goes in and
comes out as `str`; music goes in as a path or a `pretty_midi.PrettyMIDI` and comes out as
`PrettyMIDI`. Axes: N windows or codes, Z latent.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pretty_midi
import torch
from jaxtyping import Float
from torch import Tensor

from seqvae.beats import file_beside, read_beats
from seqvae.bundle import load_bundle
from seqvae.chords import parse_chords, read_chords
from seqvae.data import held_out_loader
from seqvae.decoder import Sampling
from seqvae.errors import InputError
from seqvae.latent import INTERPOLATIONS, DiagonalGaussian
from seqvae.metrics import IW_SAMPLES, Evaluation, evaluate, rows
from seqvae.midi import QPM_RANGE, MidiSource, read_midi, to_pretty_midi
from seqvae.model import SequenceVAE
from seqvae.musicality import overlap
from seqvae.notes import DEFAULT_QPM, Piece, join
from seqvae.store import Corpus
from seqvae.tokenizers import AnyTokenizer
from seqvae.tokenizers.contract import Example, Ids

MUSIC_SAMPLES = 1000  # drawn from the prior to be compared with music
BATCH_SIZE = 256  # codes or sequences that are computed together

Source: TypeAlias = str | MidiSource
Item: TypeAlias = str | pretty_midi.PrettyMIDI

logger = logging.getLogger(__name__)


class TrainedVAE:
    """A model with its tokenizer."""

    def __init__(self, model: SequenceVAE, tokenizer: AnyTokenizer) -> None:
        """Use `load` for a model from disk."""
        self.model, self.tokenizer = model.eval(), tokenizer

    @classmethod
    def load(cls, folder: str | Path) -> "TrainedVAE":
        """Read a run or a bundle; it goes to the GPU where there is one.

        Raises:
            InputError: the folder is neither, or a file of it is missing or damaged.
        """
        model, tokenizer = load_bundle(Path(folder).expanduser())
        return cls(model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer)

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.model.device

    # Between inputs, codes and outputs

    def encode(
        self,
        inputs: Source | Sequence[Source],
        *,
        bar: int | None = None,
        beats: str | None = None,
        chord_file: str | None = None,
    ) -> DiagonalGaussian:
        """The posterior of every window of one input or several, in order: (N, Z).

        A clip longer than the model's window gives several rows; `bar` picks the one window that
        begins there (counted from 1). `beats` names the beat file beside each MIDI file, where its
        own grid means nothing ({stem} stands for its name), and `chord_file` the chords beside it.
        """
        examples = [self._examples(source, bar, beats, chord_file) for source in _several(inputs)]
        return self._posterior([example for own in examples for example in own])

    def decode(
        self,
        z: Float[Tensor, "N Z"],
        *,
        sampling: Sampling | None = None,
        seed: int | None = None,
        qpm: float = DEFAULT_QPM,
    ) -> list[Item]:
        """An output for each code; greedy unless `sampling` says otherwise."""
        if z.ndim != 2 or z.shape[1] != self.model.latent_dim:
            raise InputError(
                f"codes of shape {tuple(z.shape)}; this model takes (N, {self.model.latent_dim})"
            )
        _require_tempo(qpm)
        ids = self._decode(z, sampling or Sampling(temperature=0.0), self._generator(seed))
        return [self._render([Example(row, qpm)]) for row in ids]

    # The verbs

    def sample(
        self,
        n: int = 8,
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
        qpm: float = DEFAULT_QPM,
        chords: str | None = None,
    ) -> list[Item]:
        """Outputs from `n` codes drawn from the prior; a seed repeats them exactly.

        `chords`, such as "C Am F G", share a window evenly; a model without chords refuses them.
        """
        if n < 1:
            raise InputError(f"n is {n}; it must be 1 or more")
        _require_tempo(qpm)
        sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
        generator = self._generator(seed)
        given = self._given(chords)
        z = torch.randn(n, self.model.latent_dim, generator=generator, device=self.device)
        decoded = self._decode(z, sampling, generator, None if given is None else [given] * n)
        return [self._render([Example(ids, qpm)]) for ids in decoded]

    def reconstruct(
        self,
        inputs: Source | Sequence[Source],
        *,
        bar: int | None = None,
        beats: str | None = None,
        chord_file: str | None = None,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
        chords: str | None = None,
    ) -> list[Item]:
        """Each input through its posterior mean and back, window by window, at its first tempo.

        It comes back over its own chords, or over others that are given.
        """
        sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
        given = self._given(chords)
        examples = [self._examples(source, bar, beats, chord_file) for source in _several(inputs)]
        windows = [example for own in examples for example in own]
        over = [self._own_given(window) if given is None else given for window in windows]
        z = self._posterior(windows).mean
        decoded = iter(self._decode(z, sampling, self._generator(seed), over))
        return [self._render([replace(e, ids=next(decoded)) for e in own]) for own in examples]

    def interpolate(
        self,
        start: Source,
        end: Source,
        *,
        num_steps: int = 9,
        method: str = "slerp",
        bar: int | None = None,
        beats: str | None = None,
        chord_file: str | None = None,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
        chords: str | None = None,
    ) -> list[Item]:
        """`num_steps` outputs from one input to the other, both reconstructions included.

        Posterior means are joined by `slerp` or `lerp`, tempos by a line. Clips of several windows
        are interpolated window by window, as far as the shorter goes. Each output has the chords of
        the end that it is nearer to, or those that are given.
        """
        if num_steps < 2:
            raise InputError(f"num_steps is {num_steps}; it must be 2 or more, for the two ends")
        if method not in INTERPOLATIONS:
            raise InputError(f"method is {method!r}; there are {', '.join(INTERPOLATIONS)}")
        sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
        ends = [self._examples(source, bar, beats, chord_file) for source in (start, end)]
        pairs = list(zip(*ends, strict=False))
        from_z = self._posterior([first for first, _ in pairs]).mean
        to_z = self._posterior([last for _, last in pairs]).mean
        fractions = torch.linspace(0, 1, num_steps, device=self.device)
        paths = [INTERPOLATIONS[method](a, b, fractions) for a, b in zip(from_z, to_z, strict=True)]
        z = torch.stack(paths, dim=1).flatten(0, 1)  # (num_steps * windows, Z)
        given = self._given(chords)
        over = [
            self._own_given(first if t < 0.5 else last) if given is None else given
            for t in fractions.tolist()
            for first, last in pairs
        ]
        decoded = iter(self._decode(z, sampling, self._generator(seed), over))
        return [
            self._render([
                replace(first, ids=next(decoded), qpm=first.qpm + t * (last.qpm - first.qpm))
                for first, last in pairs
            ])
            for t in fractions.tolist()
        ]  # fmt: skip

    def evaluate(
        self,
        corpus: Corpus | str | Path,
        *,
        split: str = "test",
        iw_samples: int = IW_SAMPLES,
        precision: Literal["fp32", "bf16"] = "fp32",
        seed: int = 0,
    ) -> Evaluation:
        """All figures on a split of a prepared corpus; `seed` draws every z.

        `iw_samples` are the draws a sequence of the importance-weighted likelihood, which takes
        nearly all of the time; bf16 shortens it where the hardware has it.

        Raises:
            InputError: the split does not exist or is empty, the corpus has other tokens, or
                `iw_samples` is not positive.
        """
        if iw_samples < 1:
            raise InputError(f"iw_samples is {iw_samples}; it must be 1 or more (500 is usual)")
        if not isinstance(corpus, Corpus):
            corpus = Corpus(Path(corpus).expanduser())
        if split not in corpus.splits:
            raise InputError(f"split is {split!r}; there are {', '.join(corpus.splits)}")
        if not len(corpus.splits[split]):
            raise InputError(f"{corpus.folder}: the {split} split is empty")
        if corpus.tokenizer.to_json() != self.tokenizer.to_json():
            raise InputError(f"{corpus.folder}: prepared with another tokenizer than the model's")
        self._generator(seed)  # which refuses what is no seed
        loader = held_out_loader(corpus.splits[split], BATCH_SIZE, self.tokenizer)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bf16"):
            figures = evaluate(self.model, loader, self.tokenizer, iw_samples=iw_samples, seed=seed)
            if self.tokenizer.modality == "text" or not self.model.latent_dim:
                return figures
            return replace(figures, overlap=self._overlaps(corpus, split, seed))

    # How they do it

    def _overlaps(self, corpus: Corpus, split: str, seed: int) -> dict[str, tuple[float, float]]:
        """Samples against a split, and the training split against it, windows varied as there."""
        rng, sets = np.random.default_rng(seed), []
        for name in (split, "train"):
            order = rng.permutation(len(corpus.splits[name]))[:MUSIC_SAMPLES]
            ids = self.tokenizer.augment(corpus.splits[name].padded(order), rng)
            sets.append([self._piece(row) for row in ids])
        generator = self._generator(seed)
        z = torch.randn(
            MUSIC_SAMPLES, self.model.latent_dim, generator=generator, device=self.device
        )
        given = None
        if self.model.given_sizes:  # over the chords of the split
            order = rng.integers(len(corpus.splits[split]), size=MUSIC_SAMPLES)
            given = list(corpus.splits[split].padded(order)[..., len(self.model.vocab_sizes) :])
        sampled = self._decode(z, Sampling(), generator, given)
        sets.append([self._piece(row) for row in sampled])
        held_out, train, samples = sets
        ceiling = overlap(train, held_out)
        reached = overlap(samples, held_out)
        return {name: (reached.get(name, 0.0), ceiling[name]) for name in ceiling}

    def _piece(self, ids: Ids) -> Piece:
        assert self.tokenizer.modality == "music"
        piece: Piece = self.tokenizer.decode(Example(ids))
        return piece

    def _examples(
        self,
        source: Source,
        bar: int | None,
        beats: str | None,
        chord_file: str | None,
    ) -> list[Example]:
        """The windows of one input."""
        if self.model.latent_dim == 0:
            raise InputError("this model is a language model (latent_dim 0): it has no code")
        if self.tokenizer.modality == "text":
            if not isinstance(source, str):
                raise InputError(f"{source!r}: this model takes text")
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

    def _render(self, windows: list[Example]) -> Item:
        """One output from its windows."""
        if self.tokenizer.modality == "text":
            return self.tokenizer.decode(windows[0].ids)
        return to_pretty_midi(join([self.tokenizer.decode(window) for window in windows]))

    def _given(self, chords: str | None) -> Ids | None:
        """Chords spread evenly over a window: (T, 1)."""
        if chords is None:
            return None
        if not self.model.given_sizes:
            raise InputError(
                "this model knows no chords; train one with data.tokenizer.chords true"
            )
        numbers, num_steps = np.array(parse_chords(chords)), self.model.max_steps
        if len(numbers) > num_steps:
            raise InputError(f"{len(numbers)} chords; a window has {num_steps} steps")
        return numbers[np.arange(num_steps) * len(numbers) // num_steps, None]

    def _own_given(self, example: Example) -> Ids:
        """The columns of an example that are given: (T, K)."""
        return example.ids[:, len(self.model.vocab_sizes) :]

    def _generator(self, seed: int | None) -> torch.Generator:
        generator = torch.Generator(self.device)
        if seed is None:
            generator.seed()
            return generator
        if not 0 <= seed < 2**63:
            raise InputError(f"seed is {seed}; it must be 0 or more, and below 2^63")
        return generator.manual_seed(seed)

    @torch.no_grad()
    def _posterior(self, examples: list[Example]) -> DiagonalGaussian:
        """Posteriors of examples of any lengths, in their order."""
        means, log_stddevs = [], []
        for start in range(0, len(examples), BATCH_SIZE):
            batch = [example.ids for example in examples[start : start + BATCH_SIZE]]
            lengths = torch.tensor([len(ids) for ids in batch])
            ids = np.zeros((len(batch), int(lengths.max()), batch[0].shape[1]), np.int64)
            for row, sequence in zip(ids, batch, strict=True):
                row[: len(sequence)] = sequence
            seen = self.tokenizer.seen(ids)
            posterior = self.model.encode(
                torch.from_numpy(ids if seen is None else seen).to(self.device),
                lengths.to(self.device),
            )
            means.append(posterior.mean)
            log_stddevs.append(posterior.log_stddev)
        return DiagonalGaussian(torch.cat(means), torch.cat(log_stddevs))

    @torch.no_grad()
    def _decode(
        self,
        z: Float[Tensor, "N Z"],
        sampling: Sampling,
        generator: torch.Generator,
        given: list[Ids] | None = None,
    ) -> list[Ids]:
        """Tokens for each code, in order, with what is given to each beside them."""
        ids: list[Ids] = []
        for start in range(0, len(z), BATCH_SIZE):
            chunk = slice(start, start + BATCH_SIZE)
            beside = None
            if given is not None and self.model.given_sizes:
                beside = torch.from_numpy(np.stack(given[chunk])).to(self.device)
            ids += rows(self.model.decode(z[chunk], sampling, generator, given=beside))
        return ids


def _several(inputs: Source | Sequence[Source]) -> Sequence[Source]:
    """One input is several of one."""
    if isinstance(inputs, str | Path | pretty_midi.PrettyMIDI):
        return [inputs]
    if not inputs:
        raise InputError("no inputs")
    return inputs


def _require_tempo(qpm: float) -> None:
    low, high = QPM_RANGE
    if not low <= qpm <= high:
        raise InputError(f"qpm is {qpm:g}; MIDI takes {low:g} to {high:g} quarters per minute")
