"""TrainedVAE: what users, the command line and the report call.

Every verb is a little arithmetic on the latent codes of clips, between `read` and `write`. A clip
of several windows has several codes: clips are combined window by window, as far as the shortest
goes. Axes: W windows of a clip, Z latent.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from seqvae.corpus.batches import Batch, held_out_loader
from seqvae.corpus.store import Corpus
from seqvae.errors import InputError
from seqvae.inference.attributes import Movement, fingerprint, fit_attributes, measure_movement
from seqvae.inference.codec import (
    BATCH_SIZE,
    Clip,
    Codec,
    How,
    Item,
    Reading,
    Source,
    Writing,
    even,
    padded,
    several,
)
from seqvae.inference.directions import Directions
from seqvae.inference.metrics import IW_SAMPLES, Evaluation, evaluate, importance_weighted_nll
from seqvae.model.config import Sampling
from seqvae.model.latent import INTERPOLATIONS, weighted
from seqvae.music.features import overlap
from seqvae.music.notes import DEFAULT_QPM
from seqvae.tokenizers.contract import Example, Ids

MUSIC_SAMPLES = 1000  # drawn from the prior to be compared with music
MAX_CORNERS = 4  # of a blend
FAR = 2.0  # an amount beyond which a shift leaves the data

logger = logging.getLogger(__name__)


class Scoring(Reading, total=False):
    """How inputs are read and codes are drawn."""

    seed: int
    """Repeats the figures exactly."""


@dataclass(frozen=True)
class Score:
    """How unlikely the model finds an input, in nats; infinite for what it cannot read."""

    per_step: float
    per_event: float
    """Of a note, or of a token of text. Per step, whatever has few notes is likely."""


class TrainedVAE(Codec):
    """A model with its tokenizer, and what can be done with them."""

    _directions: Directions | None = None

    def sample(self, n: int = 8, *, qpm: float = DEFAULT_QPM, **how: Unpack[Writing]) -> list[Item]:
        """Outputs from `n` codes drawn from the prior, at temperature 1; a seed repeats them."""
        if n < 1:
            raise InputError(f"n is {n}; it must be 1 or more")
        generator = self.generator(how.get("seed"))
        z = self.prior.sample(n, generator)
        clips = [self.blank(code[None], qpm) for code in z]
        return self.write(clips, how, generator=generator, temperature=1.0)

    def reconstruct(self, inputs: Source | Sequence[Source], **how: Unpack[How]) -> list[Item]:
        """Each input through its posterior mean and back, at its first tempo."""
        return self.write(self.read(inputs, how), how)

    def interpolate(
        self,
        start: Source,
        end: Source,
        *,
        num_steps: int = 9,
        method: str = "slerp",
        **how: Unpack[How],
    ) -> list[Item]:
        """`num_steps` outputs from one input to the other, both reconstructions included.

        Posterior means are joined by `slerp` or `lerp`, tempos by a line; what cannot lie between,
        such as chords, is that of the nearer end.
        """
        if num_steps < 2:
            raise InputError(f"num_steps is {num_steps}; it must be 2 or more, for the two ends")
        if method not in INTERPOLATIONS:
            raise InputError(f"method is {method!r}; there are {', '.join(INTERPOLATIONS)}")
        ends = even(self.read([start, end], how))
        fractions = torch.linspace(0, 1, num_steps, device=self.device)
        join = INTERPOLATIONS[method]
        windows = zip(ends[0].z, ends[1].z, strict=True)
        path = torch.stack([join(a, b, fractions) for a, b in windows], dim=1)
        clips = [
            between(ends, [1 - t, t], z) for t, z in zip(fractions.tolist(), path, strict=True)
        ]
        return self.write(clips, how)

    def blend(
        self, inputs: Sequence[Source], *, num_steps: int = 5, **how: Unpack[How]
    ) -> list[Item]:
        """Weighted means of two to four inputs, row by row.

        Two give a line of `num_steps` outputs; four a square with a side of as many, the inputs at
        its corners: first and second at the ends of the first row, third and fourth at those of the
        last; three a triangle, whose rows grow from the first input to the side between the others.
        """
        if num_steps < 2:
            raise InputError(f"num_steps is {num_steps}; it must be 2 or more, for the corners")
        if isinstance(inputs, str) or not 2 <= len(inputs) <= MAX_CORNERS:
            number = 1 if isinstance(inputs, str) else len(inputs)
            raise InputError(f"{number} inputs; a blend takes two to {MAX_CORNERS}")
        corners = even(self.read(inputs, how))
        z = torch.stack([clip.z for clip in corners])  # (corners, W, Z)
        clips = [
            between(corners, weights, weighted(z, torch.tensor(weights, device=self.device)))
            for weights in grid(len(corners), num_steps)
        ]
        return self.write(clips, how)

    def vary(
        self, source: Source, *, n: int = 8, distance: float = 0.3, **how: Unpack[How]
    ) -> list[Item]:
        """`n` outputs at a distance from one input: 0 is its reconstruction, 1 a random sample.

        Each goes this share of the quarter circle from the posterior mean to a code drawn from the
        prior, so that it lies where codes of the prior lie.
        """
        if n < 1:
            raise InputError(f"n is {n}; it must be 1 or more")
        if not 0 <= distance <= 1:
            raise InputError(f"distance is {distance}; it must lie in [0, 1]")
        (clip,) = self.read(source, how)
        generator = self.generator(how.get("seed"))
        angle = torch.tensor(distance * torch.pi / 2)
        noise = self.prior.sample(n * len(clip.z), generator).view(n, *clip.z.shape)
        clips = [
            replace(clip, z=torch.cos(angle) * clip.z + torch.sin(angle) * own) for own in noise
        ]
        return self.write(clips, how, generator=generator)

    def analogy(self, a: Source, b: Source, c: Source, **how: Unpack[How]) -> list[Item]:
        """What a - b + c says: `a` with what tells `c` from `b`."""
        clips = even(self.read([a, b, c], how))
        first, second, third = (clip.z for clip in clips)
        return self.write([replace(clips[0], z=first - second + third)], how)

    def shift(
        self,
        inputs: Source | Sequence[Source],
        *,
        attribute: str,
        amount: float = 1.0,
        apart: bool = False,
        **how: Unpack[How],
    ) -> list[Item]:
        """Each input moved along an attribute, which an `amount` below 0 lessens.

        An amount of 1 is the way from the lowest quarter of the corpus to the highest; `apart`
        leaves the other attributes as they are, as far as it can.
        """
        self._check_amount(amount)
        clips = self.read(inputs, how)
        directions = self.directions
        moved = [
            replace(clip, z=directions.shift(clip.z.cpu(), attribute, amount, apart=apart))
            for clip in clips
        ]
        return self.write([replace(clip, z=clip.z.to(self.device)) for clip in moved], how)

    def attributes(
        self,
        corpus: Corpus | str | Path | None = None,
        names: Sequence[str] = (),
        *,
        labels: str | Path | None = None,
        method: str = "network",
        amount: float = 1.0,
        seed: int = 0,
    ) -> Movement:
        """Fit the directions that `shift` takes, and measure what an `amount` of each does.

        All attributes that vary more than a little, where none are named; see
        `movement.fit_attributes`. Both are kept in the bundle that the model comes from.
        """
        self._check_amount(amount)
        try:
            before = self.directions.names
        except InputError:
            before = ()
        self._directions = fit_attributes(
            self,
            None if corpus is None else self._corpus(corpus),
            names,
            method=method,
            labels=None if labels is None else Path(labels).expanduser(),
            seed=seed,
        )
        if gone := sorted({*before} - {*self._directions.names}):
            logger.warning(
                "fitted before, and gone now: %s; one fit holds all that shift can take",
                ", ".join(gone),
            )
        moved = measure_movement(self, self._directions, amount=amount, seed=seed)
        if self.bundle is not None:
            self._directions.save(self.bundle)
            moved.save(self.bundle)
        return moved

    @property
    def directions(self) -> Directions:
        """Those that were fitted last, here or into the bundle.

        Raises:
            InputError: there are none, or they belong to another model.
        """
        if self._directions is None:
            if self.bundle is None:
                raise InputError("no attributes yet; fit them with attributes()")
            self._directions = Directions.load(self.bundle, fingerprint(self))
        return self._directions

    @property
    def movement(self) -> Movement | None:
        """What was measured when the bundle's directions were fitted, if they were."""
        return None if self.bundle is None else Movement.load(self.bundle)

    def score(
        self, inputs: Source | Sequence[Source], *, iw_samples: int = 20, **how: Unpack[Scoring]
    ) -> list[Score]:
        """-log p(x) of each input, importance-weighted; with one draw it is the evidence bound.

        What cannot be read as the model's data is infinitely unlikely; a warning says why.
        """
        generator = self.generator(how.get("seed", 0))
        own: dict[str, Any] = {name: value for name, value in how.items() if name != "seed"}
        examples: list[list[Example]] = []
        for source in several(inputs):
            try:
                examples.append(self.windows(source, **own))
            except InputError as error:
                logger.warning("%s", error)
                examples.append([])
        ids = [window.ids for windows in examples for window in windows]
        nats = iter(self.nats(ids, iw_samples, generator))
        scores = []
        for windows in examples:
            total = sum(next(nats) for _ in windows)
            steps = sum(len(window.ids) for window in windows)
            events = sum(self.num_events(window.ids) for window in windows)
            scores.append(
                Score(total / steps, total / max(events, 1)) if steps else Score(math.inf, math.inf)
            )
        return scores

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
        corpus = self._corpus(corpus)
        if split not in corpus.splits:
            raise InputError(f"split is {split!r}; there are {', '.join(corpus.splits)}")
        if not len(corpus.splits[split]):
            raise InputError(f"{corpus.folder}: the {split} split is empty")
        self.generator(seed)  # which refuses what is no seed
        loader = held_out_loader(corpus.splits[split], BATCH_SIZE, self.tokenizer)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bf16"):
            figures = evaluate(self.model, loader, self.tokenizer, iw_samples=iw_samples, seed=seed)
            if self.tokenizer.modality == "text" or not self.model.config.latent_dim:
                return figures
            return replace(figures, overlap=self._overlaps(corpus, split, seed))

    def nats(
        self, sequences: Sequence[Ids], iw_samples: int, generator: torch.Generator
    ) -> list[float]:
        """-log p(x) of each sequence in nats, importance-weighted."""
        nats: list[float] = []
        for start in tqdm(
            range(0, len(sequences), BATCH_SIZE), desc="score", leave=False, disable=None
        ):
            ids, lengths = padded(sequences[start : start + BATCH_SIZE])
            encoder_input = self.tokenizer.encoder_input(ids)
            batch = Batch(
                torch.from_numpy(ids),
                lengths,
                None if encoder_input is None else torch.from_numpy(encoder_input),
            ).to(self.device)
            nats += importance_weighted_nll(self.model, batch, iw_samples, generator).nll.tolist()
        return nats

    def num_events(self, ids: Ids) -> int:
        """Notes of a window, or tokens of a text."""
        return len(ids) if self.tokenizer.modality == "text" else len(self.piece(ids).notes)

    def _check_amount(self, amount: float) -> None:
        if not math.isfinite(amount) or amount == 0:
            raise InputError(f"amount is {amount}; it must be finite, and not 0")
        if abs(amount) > FAR:
            logger.warning(
                "amount is %g: codes moved further than %g are unlike any of the corpus",
                amount, FAR,
            )  # fmt: skip

    def _corpus(self, corpus: Corpus | str | Path) -> Corpus:
        """An opened corpus of the model's tokens."""
        if not isinstance(corpus, Corpus):
            corpus = Corpus(Path(corpus).expanduser())
        if corpus.tokenizer.to_json() != self.tokenizer.to_json():
            raise InputError(f"{corpus.folder}: prepared with another tokenizer than the model's")
        return corpus

    def _overlaps(self, corpus: Corpus, split: str, seed: int) -> dict[str, tuple[float, float]]:
        """Samples against a split, and the training split against it, windows varied as there."""
        rng, sets = np.random.default_rng(seed), []
        for name in (split, "train"):
            order = rng.permutation(len(corpus.splits[name]))[:MUSIC_SAMPLES]
            ids = self.tokenizer.augment(corpus.splits[name].padded(order), rng)
            sets.append([self.piece(row) for row in ids])
        generator = self.generator(seed)
        z = self.prior.sample(MUSIC_SAMPLES, generator)
        conditions = None
        if self.model.steps.condition_sizes:  # over the chords of the split
            order = rng.integers(len(corpus.splits[split]), size=MUSIC_SAMPLES)
            conditions = list(
                corpus.splits[split].padded(order)[..., self.model.steps.num_channels :]
            )
        sampled = self.tokens(z, Sampling(), generator, conditions)
        sets.append([self.piece(row) for row in sampled])
        held_out, train, samples = sets
        ceiling = overlap(train, held_out)
        reached = overlap(samples, held_out)
        return {name: (reached.get(name, 0.0), ceiling[name]) for name in ceiling}


def between(clips: Sequence[Clip], weights: Sequence[float], z: Tensor) -> Clip:
    """Codes (W, Z) that lie between clips: at the mean of their tempos.

    What knows no mean, program and chords, is that of the heaviest.
    """
    heaviest = clips[max(range(len(clips)), key=lambda i: (weights[i], i))]
    windows = []
    for w in range(len(z)):
        tempos = [clip.windows[w].qpm for clip in clips]
        windows.append(replace(heaviest.windows[w], qpm=float(np.average(tempos, weights=weights))))
    return Clip(windows, z)


def grid(num_corners: int, num_steps: int) -> list[list[float]]:
    """Weights of two corners along a line, of three over a triangle, of four over a square."""
    line = np.linspace(0, 1, num_steps).tolist()
    if num_corners == 2:
        return [[1 - t, t] for t in line]
    if num_corners == 3:
        last = num_steps - 1
        return [
            [1 - row / last, (row - place) / last, place / last]
            for row in range(num_steps) for place in range(row + 1)
        ]  # fmt: skip
    return [[(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x] for y in line for x in line]
