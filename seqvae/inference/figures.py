"""Figures of decoded texts and pieces: reconstructions against the originals, samples against data.

The model plays no part here. Nats are sums over all sequences of a split.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from seqvae.music.features import melody_bass_consonance, overlap, scale_share, voice_crossing
from seqvae.music.notes import DEFAULT_QPM, Piece
from seqvae.tokenizers.contract import Example, Ids, MusicTokenizer, TextTokenizer


def text_figures(
    originals: list[Ids],
    decodings: list[Ids],
    tokenizer: TextTokenizer,
    nats: dict[str, float],
) -> dict[str, float]:
    """Perplexities per word and bits per byte, from `neg_elbo` and `iw_nll` in nats; BLEU."""
    import sacrebleu

    texts = [tokenizer.decode(ids) for ids in originals]
    guesses = [tokenizer.decode(ids) for ids in decodings]
    num_words = sum(len(text.split()) + 1 for text in texts)
    num_bytes = sum(len(text.encode()) + 1 for text in texts)
    return {
        "word_perplexity": math.exp(min(nats["neg_elbo"] / num_words, 700.0)),
        "iw_word_perplexity": math.exp(min(nats["iw_nll"] / num_words, 700.0)),
        "bits_per_byte": nats["neg_elbo"] / math.log(2) / num_bytes,
        "bleu": float(sacrebleu.corpus_bleu(guesses, [texts]).score),
    }


def music_figures(
    originals: list[Ids], decodings: list[Ids], tokenizer: MusicTokenizer
) -> dict[str, float | None]:
    """Agreement of the onsets of decodings with those of the originals, pooled over all pairs."""

    def onsets(ids: Ids) -> dict[tuple[int, ...], tuple[float, float, float]]:
        """(step, pitch, track) -> velocity, offset in steps, and where it ends, nan for drums."""
        notes = tokenizer.decode(Example(ids)).notes
        keys = zip(*(notes[name].tolist() for name in tokenizer.onsets_by), strict=True)
        ends = np.where(notes["is_drum"], np.nan, notes["end"]).tolist()
        values = zip(notes["velocity"].tolist(), notes["offset"].tolist(), ends, strict=True)
        return dict(zip(keys, values, strict=True))

    num_onsets = 0  # of both sides
    differences = []
    for original, decoding in zip(originals, decodings, strict=True):
        truth, guess = onsets(original), onsets(decoding)
        num_onsets += len(guess) + len(truth)
        differences += [
            [abs(a - b) for a, b in zip(truth[key], guess[key], strict=True)]
            for key in truth.keys() & guess.keys()
        ]
    figures: dict[str, float | None] = {
        "onset_f1": 2 * len(differences) / num_onsets if num_onsets else 1.0
    }
    if differences:
        velocities, offsets, ends = np.array(differences).T
        lasting = ends[~np.isnan(ends)]
        if len(lasting):
            figures["duration_within_step"] = float((lasting <= 1).mean())
        velocity, offset = float(velocities.mean()), float(offsets.mean())
        ms_per_step = 60_000 / DEFAULT_QPM / tokenizer.steps_per_quarter
        if "velocity" in tokenizer.keeps:
            figures["velocity_error"] = velocity
        if "timing" in tokenizer.keeps:
            figures["timing_error_ms"] = offset * ms_per_step
    return figures


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
    }
    for name, measure in measures.items():
        of_samples, of_data = (_mean(map(measure, pieces)) for pieces in (samples, held_out))
        if of_data is not None:
            figures[name] = (of_samples or 0.0, of_data)
    return figures


def _mean(values: Iterable[float]) -> float | None:
    """The mean of the values that are numbers; None if there are none."""
    numbers = [value for value in values if not math.isnan(value)]
    return sum(numbers) / len(numbers) if numbers else None
