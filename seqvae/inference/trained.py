"""TrainedVAE: what users, the command line and the pages call.

Every verb is a little arithmetic on the latent codes of clips, between `Codec.read` and
`Codec.render`. A clip of several windows has several codes: clips are combined window by window, up
to the length of the shortest.

Axes: N windows or codes, W windows of a clip, Z latent.
"""

import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from seqvae.corpus.batches import held_out_loader
from seqvae.corpus.store import Corpus, Split
from seqvae.errors import InputError, shown
from seqvae.files import expanded
from seqvae.hub import Hub
from seqvae.inference import options
from seqvae.inference.attributes import Movement, fit_attributes, measure_movement
from seqvae.inference.bundle import (
    BUNDLE,
    NO_DATA,
    as_path,
    bundle_in,
    check_tokens,
    fingerprint,
    open_corpus,
)
from seqvae.inference.clips import corner_weights, cut_to_shortest, mixed
from seqvae.inference.codec import BATCH_SIZE, Codec, Item
from seqvae.inference.copies import share_copied
from seqvae.inference.density import check_density
from seqvae.inference.directions import Directions
from seqvae.inference.estimator import Estimator
from seqvae.inference.evaluation import Evaluation, evaluate
from seqvae.inference.figures import sample_figures
from seqvae.inference.gaps import complete_sentence
from seqvae.inference.inputs import Opened
from seqvae.inference.labels import read_labels
from seqvae.inference.likelihood import sequence_nats
from seqvae.inference.mixture import Mixture
from seqvae.inference.modes import in_mode_of
from seqvae.inference.options import verb
from seqvae.inference.prior import Prior, as_mixture, load_prior
from seqvae.inference.surprise import REPAIR, Part, parts_of
from seqvae.model.config import Sampling
from seqvae.model.latent import INTERPOLATIONS, DiagonalGaussian, weighted
from seqvae.model.vae import SequenceVAE
from seqvae.music.notes import Piece
from seqvae.reasons import amount
from seqvae.shipped import models, tell_which_model
from seqvae.tokenizers import IMPORTED, AnyTokenizer
from seqvae.tokenizers.contract import Example

MAX_MUSIC_WINDOWS = 1000  # samples that are compared with as many windows of a split
LARGE_AMOUNT = 2.0  # a shift by more leaves the region of the data

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Score:
    """How unlikely the model finds an input: -log p(x) in nats, infinite if it cannot be read."""

    per_step: float
    """Lower for sparse music, because silence is easy to predict."""
    per_event: float
    """Per note, or per token of a text."""
    parts: tuple[Part, ...] = ()
    """Its tokens or beats, if `where` asks for them."""
    reason: str | None = None
    """Why it cannot be read."""


def least_likely_first(scores: Iterable[Score], inputs: Iterable[T]) -> list[tuple[Score, T]]:
    """Inputs with their scores; what cannot be read has no rank, and comes last."""
    pairs = zip(scores, inputs, strict=True)
    return sorted(pairs, key=lambda pair: (math.isinf(pair[0].per_event), -pair[0].per_event))


class TrainedVAE(Estimator):
    """A model, its codec and its prior; its methods are the verbs."""

    def __init__(
        self,
        codec: Codec,
        *,
        prior: Prior | None = None,
        bundle: Path | None = None,
        run: Path | None = None,
    ) -> None:
        """Use `load` for a model from disk.

        Without a `prior` samples come from N(0, I). `run` is the folder that fitted directions go
        to, and that names the corpus.
        """
        self.codec, self.bundle, self.run = codec, bundle, run
        self._prior = prior
        self._mixture: Mixture | None = None
        self._directions: Directions | None = None

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str | torch.device | None = None,
        how: Hub | None = None,
    ) -> "TrainedVAE":
        """Read a run, a bundle, a model that ships or one on the hub; on CUDA if that is there.

        Raises:
            InputError: the folder is none of these, a file of it is missing or damaged, or there is
                no such device.
        """
        folder = as_path(folder)
        tell_which_model(folder)
        bundle = bundle_in(folder, how)
        codec = Codec.load(bundle, device)
        return cls(
            codec,
            prior=load_prior(bundle, codec.model.config.latent_dim),
            bundle=bundle,
            run=folder if folder / BUNDLE == bundle else None,
        )

    def __repr__(self) -> str:
        dimensions = amount(self.model.config.latent_dim, "dimension")
        place = self._place or "not saved"
        return f"{type(self).__name__}({place}, {self.tokenizer.kind}, {dimensions})"

    @property
    def _place(self) -> str | None:
        """What `load` takes: a folder, or the name of a model that ships."""
        place = self.run or self.bundle
        if place is not None and models().get(place.name) == place:
            return place.name
        return None if place is None else str(place)

    @property
    def model(self) -> SequenceVAE:
        """The network."""
        return self.codec.model

    @property
    def tokenizer(self) -> AnyTokenizer:
        """Data to tokens and back."""
        return self.codec.tokenizer

    @property
    def prior(self) -> Prior:
        """The density that samples are drawn from; N(0, I), with a warning, if none was fitted."""
        if self._prior is None:
            self._prior = Mixture.standard(self.model.config.latent_dim)
            if self.model.config.latent_dim:
                logger.warning(
                    "%s: its prior has not been fitted yet, so codes are drawn from N(0, I); "
                    "seqvae train ... --resume fits it", self.bundle or "the model",
                )  # fmt: skip
        return self._prior

    @prior.setter
    def prior(self, density: Any) -> None:
        """Draw from any density: whatever has `sample(n, generator)` and `log_prob(z)`.

        Raises:
            InputError: it has not, or its codes are not those of this model.
        """
        check_density(density, self.model.config.latent_dim, self.codec.generator(0))
        self._prior, self._mixture = density, None

    @property
    def mixture(self) -> Mixture:
        """The prior, or the mixture that stands for it where a closed form is needed."""
        if self._mixture is None:
            self._mixture = as_mixture(self.prior)
        return self._mixture

    @property
    def directions(self) -> Directions:
        """The directions that were fitted last: here, or else in the run or the bundle.

        Raises:
            InputError: there are none, or they belong to another model.
        """
        if self._directions is None:
            self._directions = self._saved_directions()
        return self._directions

    # Verbs

    @verb(options.Encode)
    def encode(self, how: options.Encode) -> DiagonalGaussian:
        """The posterior of every window of one input or several, in order: (N, Z).

        A clip longer than the model's window gives several rows.
        """
        inputs = self.codec.opened(how.inputs, how)
        windows = [window for each in inputs for window in each.windows]
        return self.codec.posterior(windows, how.refine)

    @verb(options.Decode)
    def decode(self, how: options.Decode) -> list[Item]:
        """An output for each code of an array or tensor (N, Z).

        Raises:
            InputError: there are none, they have another shape, or are not finite.
        """
        z = self._codes(how.z)
        clips = [self.codec.blank(code[None], how.qpm, how.metre) for code in z]
        return self.codec.render(clips, how)

    @verb(options.Stream)
    def stream(self, how: options.Stream) -> Iterator[str | Piece]:
        """One output while it is decoded: a text word by word, a clip bar by bar.

        A text has one code, (1, Z), and a clip one for each of its windows, (W, Z). Each word comes
        with the space after it, each bar as a `seqvae.music.notes.Piece` of the notes that begin in
        it, once these have ended. Together they are what `decode` makes of the same codes:
        `"".join(words)`, or `join(bars)` of `seqvae.music.notes`.

        Raises:
            InputError: as `decode` does; or a text has several codes.
        """
        return self.codec.stream(self.codec.blank(self._codes(how.z), how.qpm, how.metre), how)

    def _codes(self, codes: options.Codes) -> Float[Tensor, "N Z"]:
        """Codes of any array library on the model's device."""
        latent_dim = self.model.config.latent_dim
        try:
            plain = codes if isinstance(codes, torch.Tensor) else np.asarray(codes)
            if "complex" in str(plain.dtype):
                raise TypeError("the imaginary part would be lost")
            plain = plain if isinstance(plain, torch.Tensor) else plain.astype(np.float64)
            z = torch.as_tensor(plain, dtype=torch.float32, device=self.codec.device)
        except (TypeError, ValueError):
            raise InputError(
                f"codes are {shown(codes)}; this model takes numbers of shape (N, {latent_dim})"
            ) from None
        if z.ndim != 2 or z.shape[1] != latent_dim or not len(z):
            raise InputError(f"codes of shape {tuple(z.shape)}; this model takes (N, {latent_dim})")
        if not z.isfinite().all():
            row = int((~z.isfinite()).any(1).nonzero()[0])
            raise InputError(
                f"code {row} of {len(z)}, counted from 0, holds a number that is not finite"
            )
        return z

    @verb(options.Sample)
    def sample(self, how: options.Sample) -> list[Item]:
        """Outputs from codes drawn from the prior, in the mode of the key or scale asked for."""
        generator = self.codec.generator(how.seed)

        def draw() -> list[Item]:
            z = self.prior.sample(how.n, generator)
            clips = [self.codec.blank(code[None], how.qpm, how.metre) for code in z]
            return self.codec.render(clips, how)

        key, scale = self.codec.key(how), self.codec.scale(how)
        if key is None and scale is not None and scale.has_mode:
            key = scale.key
        return draw() if key is None else in_mode_of(key, draw, how.n)

    @verb(options.Reconstruct)
    def reconstruct(self, how: options.Reconstruct) -> list[Item]:
        """Each input through its posterior mean and back, at its first tempo."""
        return self.codec.render(self.codec.read(how.inputs, how), how)

    @verb(options.Humanise)
    def humanise(self, how: options.Humanise) -> list[Item]:
        """Each file with its drums played by a groove model: no note is added or lost.

        With `velocity` and `timing` 0 the output is the input, note for note.
        """
        from seqvae.inference.humanising import humanised  # which reads MIDI; text needs none

        generator = self.codec.generator(how.seed)
        sources = self.codec.sources(how.inputs)
        return [humanised(self.codec, source, how, generator) for source in sources]

    @verb(options.Interpolate)
    def interpolate(self, how: options.Interpolate) -> list[Item]:
        """Outputs from one input to another, both reconstructions included.

        Posterior means are joined by the path, tempos by a line; program, key and chords, which
        cannot be averaged, are those of the nearer end.
        """
        ends = cut_to_shortest(self.codec.read_singles([how.start, how.end], how))
        fractions = torch.linspace(0, 1, how.num_steps, device=self.codec.device)
        join = INTERPOLATIONS[how.method]
        windows = zip(ends[0].z, ends[1].z, strict=True)
        path = torch.stack([join(a, b, fractions) for a, b in windows], dim=1)
        clips = [mixed(ends, [1 - t, t], z) for t, z in zip(fractions.tolist(), path, strict=True)]
        return self.codec.render(clips, how)

    @verb(options.Blend)
    def blend(self, how: options.Blend) -> list[Item]:
        """Weighted means of two to four inputs, row by row.

        Two inputs give a line of `num_steps` outputs. Four give a square with sides of that length:
        the first and second are the ends of the first row, the third and fourth those of the last.
        Three give a triangle whose rows grow from the first input to the side of the other two.
        """
        corners = cut_to_shortest(self.codec.read(how.inputs, how))
        z = torch.stack([clip.z for clip in corners])  # (corners, W, Z)
        clips = [
            mixed(corners, weights, weighted(z, torch.tensor(weights, device=self.codec.device)))
            for weights in corner_weights(len(corners), how.num_steps)
        ]
        return self.codec.render(clips, how)

    @verb(options.Vary)
    def vary(self, how: options.Vary) -> list[Item]:
        """Outputs at a distance from one input: at 0 its reconstruction, at 1 random samples.

        Each lies this part of a quarter circle from the posterior mean towards a code drawn from
        the prior, and so where codes of the prior lie. All windows of a clip move towards the same
        code: what is repeated in it stays repeated.
        """
        (clip,) = self.codec.read_singles([how.source], how)
        generator = self.codec.generator(how.seed)
        angle = torch.tensor(how.distance * torch.pi / 2)
        noise = self.prior.sample(how.n, generator)
        clips = [
            replace(clip, z=torch.cos(angle) * clip.z + torch.sin(angle) * draw) for draw in noise
        ]
        return self.codec.render(clips, how)

    @verb(options.Complete)
    def complete(self, how: options.Complete) -> list[Item]:
        """Outputs that keep a part of an input as it is, with the rest written so that it fits.

        Of a clip, notes that are kept stay to the tick, and so does all that is not heard. Where
        all of it is kept, it goes on: to the end of the model's window, or by half a window.

        Raises:
            InputError: the input cannot be read, or what is asked of it is impossible.
        """
        if self.tokenizer.modality == "text":
            return [*complete_sentence(self.codec, self.mixture, how)]
        from seqvae.inference.completion import complete_clip  # it reads MIDI

        return [*complete_clip(self.codec, self.mixture, how)]

    @verb(options.Analogy)
    def analogy(self, how: options.Analogy) -> list[Item]:
        """`a` changed by what distinguishes `c` from `b`: the code a - b + c."""
        clips = cut_to_shortest(self.codec.read_singles([how.a, how.b, how.c], how))
        first, second, third = (clip.z for clip in clips)
        return self.codec.render([replace(clips[0], z=first - second + third)], how)

    @verb(options.Shift)
    def shift(self, how: options.Shift) -> list[Item]:
        """Each input moved along the direction of a fitted attribute.

        Raises:
            InputError: no directions are fitted, or none of that name.
        """
        warn_of_large_amount(how.amount)
        directions = self.directions
        clips = []
        for clip in self.codec.read(how.inputs, how):
            moved = directions.shift(
                clip.z.cpu(), how.attribute, how.amount, keep_others=how.keep_others
            )
            clips.append(replace(clip, z=moved.to(self.codec.device)))
        return self.codec.render(clips, how)

    @verb(options.Attributes)
    def attributes(self, how: options.Attributes) -> Movement:
        """Fit the directions that `shift` moves along, and measure what an `amount` of each does.

        They are kept in `out`, or else in the run that the model was loaded from. If it was loaded
        from a bundle alone, they stay in memory, because others may use the bundle.
        """
        warn_of_large_amount(how.amount)
        before = self._fitted_names()
        labelled = corpus = None
        if how.labels is not None:
            file = expanded(how.labels)
            labelled = read_labels(self.codec, file, how.column, how.label_column)
        elif how.column or how.label_column:
            raise InputError("column and label_column are of a table; give it by labels")
        else:
            corpus = self._corpus(how.corpus)
        self._directions = fit_attributes(
            self.codec, corpus, how.names, method=how.method, labelled=labelled, seed=how.seed
        )
        if gone := sorted(before - {*self._directions.names}):
            logger.warning(
                "no longer fitted: %s; each fit replaces the one before", ", ".join(gone)
            )
        movement = measure_movement(
            self.codec, self.prior, self._directions, amount=how.amount, seed=how.seed
        )
        folder = self.run if how.out is None else expanded(how.out)
        if folder is None:
            logger.warning("the attributes are not kept; name a folder for them with --out")
        else:
            try:
                self._directions.save(folder)
                movement.save(folder)
            except OSError as error:  # what took minutes to find is still shown
                logger.warning(
                    "%s: the attributes are not kept (%s); name another folder with --out",
                    folder, error.strerror,
                )  # fmt: skip
        return movement

    @verb(options.Score)
    def score(self, how: options.Score) -> list[Score]:
        """-log p(x) of each input, importance-weighted.

        What cannot be read as the model's data is infinitely unlikely; a warning says why.

        Raises:
            InputError: clips are to be told by repair, or their beats by a model without them.
        """
        if how.where and how.by == REPAIR and self.tokenizer.modality != "text":
            raise InputError("by is 'repair', which is for text; tell clips by mean or importance")
        if how.where and self.tokenizer.modality == "music" and not self.tokenizer.on_grid:
            raise InputError(
                f"a model of {self.tokenizer.kind} has no beats to tell apart; leave out --where"
            )
        sources = self.codec.sources(how.inputs)
        examples: list[list[Example]] = []
        reasons: list[str | None] = []
        for source in sources:
            try:
                examples.append(self.codec.windows(source, how))
                reasons.append(None)
            except InputError as error:
                logger.warning("%s", error)
                examples.append([])
                reasons.append(str(error))
        ids = [window.ids for windows in examples for window in windows]
        nats = iter(sequence_nats(self.codec, ids, how.iw_samples, seed=how.seed))
        scores = []
        for source, windows, reason in zip(sources, examples, reasons, strict=True):
            total = sum(next(nats) for _ in windows)
            steps = sum(len(window.ids) for window in windows)
            events = sum(self.codec.num_events(window.ids) for window in windows)
            if not steps:
                scores.append(Score(math.inf, math.inf, reason=reason))
                continue
            given = source.source if isinstance(source, Opened) else source
            parts = parts_of(self.codec, windows, how, str(given)) if how.where else []
            scores.append(Score(total / steps, total / max(events, 1), tuple(parts)))
        return scores

    @verb(options.Evaluate)
    def evaluate(self, how: options.Evaluate) -> Evaluation:
        """All figures on a split of a prepared corpus.

        Raises:
            InputError: the split is empty, or the corpus has other tokens.
        """
        corpus = self._corpus(how.corpus)
        split = corpus.splits[how.split]
        if not len(split):
            raise InputError(f"{corpus.folder}: the {how.split} split is empty")
        loader = held_out_loader(split, BATCH_SIZE, self.tokenizer, _evaluated(split, how))
        half = how.precision == "bf16"
        with torch.autocast(self.codec.device.type, torch.bfloat16, enabled=half):
            figures = evaluate(
                self.model,
                loader,
                self.tokenizer,
                iw_samples=how.iw_samples,
                refine=how.refine,
                seed=how.seed,
            )
            if self.tokenizer.modality == "text" or not self.model.config.latent_dim:
                return figures
            return replace(figures, **self._sample_figures(corpus, how))

    # What they share

    def _corpus(self, corpus: options.CorpusSource | None) -> Corpus:
        """A corpus of the model's tokens; None is the one that the run was trained on."""
        if self.tokenizer.kind in IMPORTED:
            raise InputError(
                f"no corpus is prepared for models of {self.tokenizer.kind}, which are trained "
                "elsewhere: they have neither figures nor attributes"
            )
        if not isinstance(corpus, Corpus):
            folder = None if corpus is None else as_path(corpus)
            if folder is None and self.run is None:
                raise InputError(f"{self.bundle or 'this model'}: {NO_DATA}")
            corpus = open_corpus(self.run or Path(), folder)
        check_tokens(corpus, self.tokenizer, self._place or "MODEL")
        return corpus

    def _saved_directions(self) -> Directions:
        folders = [folder for folder in (self.run, self.bundle) if folder is not None]
        for folder in folders:
            if Directions.are_in(folder):
                return Directions.load(
                    folder, fingerprint(self.model), self.model.config.latent_dim
                )
        where = f"{folders[0]}: " if folders else ""
        raise InputError(f"{where}no attributes yet; fit them with seqvae attributes")

    def _fitted_names(self) -> set[str]:
        try:
            return {*self.directions.names}
        except InputError:
            return set()

    def _sample_figures(self, corpus: Corpus, how: options.Evaluate) -> dict[str, Any]:
        """Samples and the training split, each against the split as it is.

        A model with conditions samples over those of the windows it is compared with.
        """
        held_out, train = corpus.splits[how.split], corpus.splits["train"]
        number = min(MAX_MUSIC_WINDOWS, len(held_out), len(train))
        rng = np.random.default_rng(how.seed)
        windows, others = (
            [split[i] for i in rng.permutation(len(split))[:number].tolist()]
            for split in (held_out, train)
        )
        generator = self.codec.generator(how.seed)
        z = self.prior.sample(number, generator)
        conditions = [ids[:, self.model.steps.num_channels :] for ids in windows]
        samples = self.codec.tokens(z, Sampling(), generator, conditions)
        collections = (samples, windows, others)
        pieces = [[self.codec.piece(ids) for ids in each] for each in collections]
        num_channels = self.model.steps.num_channels
        copied = tuple(
            share_copied(ids, of_ids, train, num_channels)
            for ids, of_ids in zip(collections[:2], pieces[:2], strict=True)
        )
        return sample_figures(*pieces) | ({} if None in copied else {"copied": copied})


def _evaluated(split: Split, how: options.Evaluate) -> NDArray[np.int64] | None:
    """The numbers of the sequences that stand for a split; None stands for all of them."""
    if how.max_sequences is None or len(split) <= how.max_sequences:
        return None
    logger.info(
        "%d sequences, drawn at random, stand for the %d of the %s split",
        how.max_sequences, len(split), how.split,
    )  # fmt: skip
    rng = np.random.default_rng(how.seed)
    return np.sort(rng.choice(len(split), how.max_sequences, replace=False))


def warn_of_large_amount(amount: float) -> None:
    """Warn that codes will lie outside the region of the data."""
    if abs(amount) > LARGE_AMOUNT:
        logger.warning(
            "amount is %g: codes moved by more than %g are unlike any of the corpus",
            amount, LARGE_AMOUNT,
        )  # fmt: skip
