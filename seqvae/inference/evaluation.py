"""A model on a split: the figures that are reported, and how they are collected.

Axes: B sequences, T steps, C channels, V vocabulary, Z latent. Nats are per sequence, summed over
its steps; figures are means over the sequences of a split unless they say otherwise. beta plays no
part.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from seqvae.corpus.batches import Batch
from seqvae.inference.figures import pairs_of
from seqvae.inference.metrics import (
    active_units,
    are_scored,
    draws_needed,
    hits,
    importance_weighted_nll,
    mutual_information,
    unpadded,
)
from seqvae.inference.options import IW_SAMPLES
from seqvae.inference.refining import refined
from seqvae.inference.running import PosteriorSample, Spread
from seqvae.model.decoding import Sequences
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.objective import NegativeELBO, sequence_nll
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers import AnyTokenizer

MI_GROUP = 32  # sequences of a group in the estimator of He et al. 2019
MAX_MI_SEQUENCES = 10_000  # the aggregate posterior costs the square of their number
MAX_SCORED_LOGITS = 2**26  # that are held at a time: 256 MiB in float32


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The figures of one model on one split."""

    num_sequences: int
    """Sequences of the split."""
    neg_elbo: float
    """nll + kl, in nats: an upper bound of -log p(x), with one draw of z per sequence."""
    nll: float
    """-log p(x|z), in nats."""
    kl: float
    """KL(q(z|x) || p(z)), in nats."""
    active_units: int
    """Dimensions whose posterior mean varies by 0.01 or more over the split (Burda et al. 2016)."""
    latent_dim: int
    """Dimensions of z: the most that active_units can be."""
    mi_sequences: int
    """Sequences that mi_aggregate and mi_batch are estimated from: all, or 10,000 drawn at
    random."""
    mi_aggregate: float
    """I(x; z) under q, in nats, against the aggregate posterior of mi_sequences sequences."""
    mi_aggregate_ceiling: float
    """ln mi_sequences: the most that mi_aggregate can be."""
    mi_batch: float
    """The same against the aggregate of random groups of 32, as in He et al. 2019."""
    mi_batch_ceiling: float
    """ln 32, or ln mi_sequences where that is less."""
    iw_nll: float | None = None
    """-log p(x) in nats, importance-weighted with iw_samples draws per sequence: a bound as well,
    and tighter than neg_elbo (Burda et al. 2016, eq. 8)."""
    iw_nll_stderr: float | None = None
    """Monte Carlo standard error of iw_nll: how much another seed would change it; unknown after
    one draw."""
    iw_samples: int | None = None
    """Draws of z per sequence in iw_nll."""
    accuracy_teacher_forced: float
    """Fraction of tokens that are most probable given the posterior mean and the true tokens before
    them."""
    accuracy_free_running: float
    """Fraction of tokens hit by greedy decoding from the posterior mean, position by position."""
    accuracy_constant: float
    """The accuracy of a constant answer: the most frequent token of each channel, everywhere."""
    accuracy_by_channel: dict[str, float] | None = None
    """accuracy_free_running of each channel, where there are several."""
    accuracy_constant_by_channel: dict[str, float] | None = None
    """accuracy_constant of each channel, where there are several."""
    exact_match: float
    """Fraction of sequences that greedy decoding from the posterior mean repeats exactly."""
    onset_f1: float | None = None
    """Music: F1 of (step, pitch, voice or program) of onsets in those decodings, over all notes; of
    the kind voices (step, pitch), whichever voice has it."""
    duration_within_step: float | None = None
    """Music with pitches: share of the onsets that are right whose notes end at the right step, or
    one beside it."""
    velocity_error: float | None = None
    """Music that keeps loudness: mean difference in MIDI velocity of the onsets that are right."""
    velocity_error_constant: float | None = None
    """That of a constant answer: their median velocity."""
    timing_error_ms: float | None = None
    """Music that keeps timing within a step: mean difference of those onsets, in milliseconds at
    120 quarters per minute."""
    word_perplexity: float | None = None
    """Text in words: exp(nats / (words + ends of line)) of neg_elbo, whatever the tokenizer."""
    iw_word_perplexity: float | None = None
    """Text in words: the same of iw_nll."""
    bits_per_byte: float | None = None
    """Text: bits of the bound per UTF-8 byte of the decoded lines, one line break per line."""
    music_windows: int | None = None
    """Music: windows of each collection that overlap compares: samples, split and training split.
    No window is transposed."""
    overlap: dict[str, tuple[float, float]] | None = None
    """Music: overlapping area of histograms, feature by feature (music/features.py): of samples
    from the prior with the split, and of the training split with it, which is the ceiling."""
    scale_share: tuple[float, float] | None = None
    """Music with pitches: mean fraction of the notes of a window that lie in its best diatonic
    scale, in samples and in the split."""
    consonance: tuple[float, float] | None = None
    """Music with several notes at a time: mean fraction of the steps of a window at which highest
    and lowest note are consonant, in samples and in the split."""
    crossing: tuple[float, float] | None = None
    """Music with several pitched tracks: mean fraction of the steps of a window at which one sounds
    above another whose mean pitch is higher, in samples and in the split."""
    self_similarity: tuple[float, float] | None = None
    """Music of several bars: mean similarity of the onsets of a bar to those of the bar before, in
    samples and in the split."""
    copied: tuple[float, float] | None = None
    """Music: fraction of spans of 16 steps, of those in which four or more notes begin, that stand
    verbatim in the training split, of samples and of the split."""
    bleu: float | None = None
    """Text in words: corpus BLEU-4 (sacrebleu, 0..100) of those decodings against the
    originals."""

    def known(self) -> dict[str, object]:
        """The figures that this model and split have, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def table(self) -> str:
        """Text: one line per figure."""
        rows: dict[str, Any] = {}
        for name, value in self.known().items():
            parts = value if isinstance(value, dict) else {"": value}
            rows |= {f"{name}, {part}" if part else name: figure for part, figure in parts.items()}
        width = max(map(len, rows))
        lines = []
        for name, figure in rows.items():
            first, *second = figure if isinstance(figure, tuple) else (figure,)
            number = f"{first:>10}" if isinstance(first, int) else f"{first:>10.4f}"
            word = "of" if name.startswith("overlap") else "data"
            lines.append(
                " ".join([f"{name:<{width}}", number, *(f"{word} {x:.4f}" for x in second)])
            )
        return "\n".join(lines)


class Tally:
    """Collects the figures of a model batch by batch."""

    def __init__(self, model: SequenceVAE, *, seed: int = 0) -> None:
        """`seed` draws every z, so that a figure can be repeated."""
        self.model = model
        self.generator = torch.Generator(model.device).manual_seed(seed)
        self.latest: NegativeELBO
        """The two terms for each sequence of the batch that was added last."""
        self.num_sequences = self.num_exact = 0
        self.nll = self.kl = 0.0
        none = torch.zeros(model.steps.num_channels, dtype=torch.long, device=model.device)
        self.num_tokens, self.hits_teacher_forced, self.hits_free_running = none, none, none
        self.spread_of_means = Spread()
        self.posteriors = PosteriorSample(MAX_MI_SEQUENCES, seed=seed)
        self.token_counts = [
            torch.zeros(size, dtype=torch.long, device=model.device)
            for size in model.steps.vocab_sizes
        ]

    @torch.no_grad()
    def update(self, batch: Batch, posterior: DiagonalGaussian | None = None) -> Sequences:
        """Add a batch with its posterior, or else the encoder's; returns greedy reconstructions."""
        ids, lengths = batch.ids, batch.lengths
        posterior = posterior or self.model.encode(batch.encoder_ids, lengths)
        z = posterior.sample(self.generator)
        per_sequence = ids.shape[1] * sum(self.model.steps.vocab_sizes)
        per_sequence *= self.model.config.num_softmaxes
        chunk_size = max(1, MAX_SCORED_LOGITS // per_sequence)
        parts = (torch.split(x, chunk_size) for x in (z, posterior.mean, ids, lengths))
        nll = torch.cat([self._score(*part) for part in zip(*parts, strict=True)])
        self._add_bound(NegativeELBO(nll.double(), posterior.kl_per_dim().double()))
        num_channels = self.model.steps.num_channels
        tokens, conditions = ids[..., :num_channels], ids[..., num_channels:]
        decoded = self.model.decode(
            posterior.mean, conditions=conditions if conditions.shape[2] else None
        )
        predicted = Sequences(decoded.ids[..., :num_channels], decoded.lengths)
        hit = hits(predicted, Sequences(tokens, lengths))
        scored = are_scored(tokens, lengths, self.model.steps)
        self.spread_of_means.add(posterior.mean)
        self.posteriors.add(posterior)
        self.num_tokens = self.num_tokens + scored.sum((0, 1))
        self.hits_free_running = self.hits_free_running + (hit & scored).sum((0, 1))
        whole = hit.sum((1, 2)) == lengths * num_channels
        self.num_exact += int((whole & (decoded.lengths == lengths)).sum())
        for channel, count in enumerate(self.token_counts):
            of_channel = tokens[..., channel][scored[..., channel]]
            count += torch.bincount(of_channel, minlength=len(count))
        return decoded

    def _add_bound(self, bound: NegativeELBO) -> None:
        self.latest = bound
        self.num_sequences += len(bound.nll)
        self.nll += float(bound.nll.sum())
        self.kl += float(bound.kl.sum())

    def _score(
        self,
        z: Float[Tensor, "B Z"],
        mean: Float[Tensor, "B Z"],
        ids: Int[Tensor, "B T C"],
        lengths: Int[Tensor, " B"],
    ) -> Float[Tensor, " B"]:
        """Teacher forcing: -log p(x|z) from a draw of z; the hits from the posterior mean count."""
        scored = are_scored(ids[..., : self.model.steps.num_channels], lengths, self.model.steps)
        right = [
            ((channel.argmax(-1) == ids[..., c]) & scored[..., c]).sum()
            for c, channel in enumerate(self.model.decoder(mean, ids))
        ]
        self.hits_teacher_forced = self.hits_teacher_forced + torch.stack(right)
        return sequence_nll(self.model.decoder(z, ids), ids, lengths)

    def result(self) -> Evaluation:
        """The figures that need neither tokenizer nor importance weights."""
        some = self.posteriors.result()
        num_some = len(some.mean)
        nll, kl = self.nll / self.num_sequences, self.kl / self.num_sequences
        return Evaluation(
            num_sequences=self.num_sequences,
            neg_elbo=nll + kl,
            nll=nll,
            kl=kl,
            active_units=active_units(self.spread_of_means.variance()),
            latent_dim=self.model.config.latent_dim,
            mi_sequences=num_some,
            mi_aggregate=mutual_information(some, num_some, self.generator),
            mi_aggregate_ceiling=math.log(num_some),
            mi_batch=mutual_information(some, MI_GROUP, self.generator),
            mi_batch_ceiling=math.log(min(MI_GROUP, num_some)),
            accuracy_teacher_forced=float(self._shares(self.hits_teacher_forced).mean()),
            accuracy_free_running=float(self._shares(self.hits_free_running).mean()),
            accuracy_constant=float(self._shares(self._constant_hits()).mean()),
            exact_match=self.num_exact / self.num_sequences,
        )

    def by_channel(self) -> tuple[list[float], list[float]]:
        """Free-running accuracy of each channel, and that of a constant answer."""
        reached = self._shares(self.hits_free_running)
        return reached.tolist(), self._shares(self._constant_hits()).tolist()

    def _shares(self, counts: Int[Tensor, " C"]) -> Float[Tensor, " _"]:
        """Counts of tokens by channel -> shares of all tokens; of a set of notes by their channels.

        Tokens after the last note of a set do not count.
        """
        size = self.model.steps.slot_size or len(counts)
        totals = self.num_tokens.view(-1, size).sum(0)
        return counts.view(-1, size).sum(0) / totals

    def _constant_hits(self) -> Int[Tensor, " C"]:
        """How often the most frequent token of each channel occurs."""
        return torch.stack([count.max() for count in self.token_counts])


def evaluate(
    model: SequenceVAE,
    batches: Iterable[Batch],
    tokenizer: AnyTokenizer,
    *,
    iw_samples: int = IW_SAMPLES,
    refine: int = 0,
    seed: int = 0,
) -> Evaluation:
    """All figures of a model on the batches of a split, but those of samples.

    Posteriors are the encoder's, after so many steps of `refine`.
    """
    tally = Tally(model.eval(), seed=seed)
    # A second generator, so that the draws of the bound do not depend on `iw_samples`.
    generator = torch.Generator(model.device).manual_seed(seed)
    num_sequences, iw_nll, variance = 0, 0.0, 0.0
    pairs = pairs_of(tokenizer)
    for batch in tqdm(batches, desc="evaluate", unit=" batches", disable=None, delay=1):
        on_device = batch.to(model.device)
        with torch.no_grad():
            posterior = model.encode(on_device.encoder_ids, on_device.lengths)
        posterior = refined(model, on_device, posterior, refine)
        decodings = unpadded(tally.update(on_device, posterior))
        pairs.add(unpadded(batch), decodings)
        weighted = importance_weighted_nll(model, on_device, iw_samples, generator, posterior)
        num_sequences += len(decodings)
        iw_nll += float(weighted.nll.sum())
        variance += float(weighted.variance.sum())
    figures = vars(tally.result()) | {
        "iw_nll": iw_nll / num_sequences,
        "iw_nll_stderr": None if math.isnan(variance) else math.sqrt(variance) / num_sequences,
        "iw_samples": draws_needed(model, iw_samples),
    }
    if len(tokenizer.channels) > 1:
        names = ("accuracy_by_channel", "accuracy_constant_by_channel")
        for name, shares in zip(names, tally.by_channel(), strict=True):
            figures[name] = dict(zip(tokenizer.channels, shares, strict=True))
    nats = {"neg_elbo": tally.nll + tally.kl, "iw_nll": iw_nll}
    return Evaluation(**figures | pairs.figures(nats))
