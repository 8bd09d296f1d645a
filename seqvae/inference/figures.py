"""Figures of decoded texts and pieces: reconstructions against the originals, samples against data.

The model plays no part here. Nats are sums over all sequences of a split.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqvae.music.features import (
    bar_similarities,
    melody_bass_consonance,
    overlap,
    scale_share,
    voice_crossing,
)
from seqvae.music.notes import DEFAULT_QPM, NUM_VELOCITIES, Piece
from seqvae.tokenizers import AnyTokenizer
from seqvae.tokenizers.contract import Example, Ids, MusicTokenizer, TextTokenizer

MAX_NGRAM = 4  # words, of BLEU


def pairs_of(tokenizer: AnyTokenizer) -> "TextPairs | MusicPairs":
    """None yet, of the tokens of this tokenizer."""
    return TextPairs(tokenizer) if tokenizer.modality == "text" else MusicPairs(tokenizer)


class TextPairs:
    """Texts and what they were decoded to; only counts of them are kept."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        """None yet."""
        import sacrebleu

        self.tokenizer, self.bleu = tokenizer, sacrebleu.BLEU()
        self.num_words = self.num_bytes = 0
        self.right = np.zeros(MAX_NGRAM, np.int64)  # n-grams of each length
        self.guessed = np.zeros(MAX_NGRAM, np.int64)
        self.lengths = np.zeros(2, np.int64)  # of all decodings and originals

    def add(self, originals: Sequence[Ids], decodings: Sequence[Ids]) -> None:
        """Add pairs."""
        texts = [self.tokenizer.decode(ids) for ids in originals]
        guesses = [self.tokenizer.decode(ids) for ids in decodings]
        self.num_bytes += sum(len(text.encode()) + 1 for text in texts)
        if not self.tokenizer.has_words:
            return
        self.num_words += sum(len(text.split()) + 1 for text in texts)
        score = self.bleu.corpus_score(guesses, [texts])
        self.right += np.array(score.counts)
        self.guessed += np.array(score.totals)
        self.lengths += np.array([score.sys_len, score.ref_len])

    def figures(self, nats: dict[str, float]) -> dict[str, float]:
        """Bits per byte, from `neg_elbo` in nats; of words, perplexities and BLEU."""
        bits = {"bits_per_byte": nats["neg_elbo"] / math.log(2) / self.num_bytes}
        if not self.tokenizer.has_words:
            return bits
        num_guessed, num_original = self.lengths.tolist()
        bleu = self.bleu.compute_bleu(
            self.right.tolist(), self.guessed.tolist(), num_guessed, num_original,
            smooth_method="exp",
        )  # fmt: skip
        return bits | {
            "word_perplexity": math.exp(min(nats["neg_elbo"] / self.num_words, 700.0)),
            "iw_word_perplexity": math.exp(min(nats["iw_nll"] / self.num_words, 700.0)),
            "bleu": float(bleu.score),
        }


class MusicPairs:
    """Windows and what they were decoded to: how far their onsets agree, pooled over all pairs."""

    def __init__(self, tokenizer: MusicTokenizer) -> None:
        """None yet."""
        self.tokenizer = tokenizer
        self.num_onsets = self.num_right = 0  # onsets of both sides, and those that are right
        self.velocity = self.offset = 0.0  # sums of differences
        self.loudness = np.zeros(1 + NUM_VELOCITIES)  # right onsets of each velocity
        self.num_lasting = self.num_within_step = 0  # right onsets of notes with an end

    def add(self, originals: Sequence[Ids], decodings: Sequence[Ids]) -> None:
        """Add pairs."""
        for original, decoding in zip(originals, decodings, strict=True):
            truth, guess = self._onsets(original), self._onsets(decoding)
            self.num_onsets += len(guess) + len(truth)
            for key in truth.keys() & guess.keys():
                velocity, offset, end = (
                    abs(a - b) for a, b in zip(truth[key], guess[key], strict=True)
                )
                self.num_right += 1
                self.loudness[int(truth[key][0])] += 1
                self.velocity += velocity
                self.offset += offset
                self.num_lasting += not math.isnan(end)
                self.num_within_step += end <= 1

    def figures(self, nats: dict[str, float] | None = None) -> dict[str, float]:
        """Agreement of onsets, and of what the tokens keep of those that are right."""
        if not self.num_right:
            return {"onset_f1": 0.0 if self.num_onsets else 1.0}
        found = {"onset_f1": 2 * self.num_right / self.num_onsets}
        if self.num_lasting:
            found["duration_within_step"] = self.num_within_step / self.num_lasting
        if "velocity" in self.tokenizer.keeps:
            found["velocity_error"] = self.velocity / self.num_right
            found["velocity_error_constant"] = mean_deviation(self.loudness)
        if "timing" in self.tokenizer.keeps:
            ms_per_step = 60_000 / DEFAULT_QPM / self.tokenizer.steps_per_quarter
            found["timing_error_ms"] = self.offset / self.num_right * ms_per_step
        return found

    def _onsets(self, ids: Ids) -> dict[tuple[int, ...], tuple[float, float, float]]:
        """(step, pitch, track) -> velocity, offset in steps, and where it ends, nan for drums."""
        notes = self.tokenizer.decode(Example(ids)).notes
        keys = zip(*(notes[name].tolist() for name in self.tokenizer.onsets_by), strict=True)
        ends = np.where(notes["is_drum"], np.nan, notes["end"]).tolist()
        values = zip(notes["velocity"].tolist(), notes["offset"].tolist(), ends, strict=True)
        return dict(zip(keys, values, strict=True))


def mean_deviation(counts: NDArray[np.float64]) -> float:
    """The mean distance from the median of values 0, 1, ..., of which there are so many each."""
    values = np.arange(len(counts))
    median = int(np.searchsorted(counts.cumsum(), counts.sum() / 2))
    return float(np.average(np.abs(values - median), weights=counts))


def sample_figures(
    samples: Sequence[Piece], held_out: Sequence[Piece], train: Sequence[Piece]
) -> dict[str, Any]:
    """Whether samples resemble music: three collections of equal size.

    Samples and training windows are compared with the held-out windows in the same way, so that
    the second comparison is what the first could reach. What only the held-out windows have counts
    as 0 for the samples.
    """
    assert len(samples) == len(held_out) == len(train)
    reached, ceiling = (overlap(pieces, held_out) for pieces in (samples, train))
    figures: dict[str, Any] = {
        "music_windows": len(held_out),
        "overlap": {name: (reached.get(name, 0.0), area) for name, area in ceiling.items()},
    }
    measures = {
        "scale_share": scale_share,
        "consonance": melody_bass_consonance,
        "crossing": voice_crossing,
        "self_similarity": _self_similarity,
    }
    for name, measure in measures.items():
        of_samples, of_data = (_mean(map(measure, pieces)) for pieces in (samples, held_out))
        if of_data is not None:
            figures[name] = (of_samples or 0.0, of_data)
    return figures


def _self_similarity(piece: Piece) -> float:
    """Mean similarity of successive bars; nan for a single bar and for silence."""
    similarities = bar_similarities(piece)
    return float(similarities.mean()) if len(similarities) else math.nan


def _mean(values: Iterable[float]) -> float | None:
    """The mean of the values that are numbers; None if there are none."""
    numbers = [value for value in values if not math.isnan(value)]
    return sum(numbers) / len(numbers) if numbers else None
