"""A split of four lines and one bar of melody, with models for them."""

import numpy as np
import torch
from numpy.typing import NDArray
from tiny import tiny_vae

from seqvae.corpus.batches import Batch
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers.contract import Ids
from seqvae.tokenizers.lines import FIRST_PITCH, NOTE_OFF
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.words import WordTokenizer

LINES = ["the cat sat", "the na\u00efve cat", "sat", "a cat sat a cat"]
WORDS = WordTokenizer().train(LINES)
MELODY = MelodyTokenizer(num_bars=1)
TUNE = {0: 60, 4: 62, 8: 64}


def batch_of(sequences: list[Ids]) -> Batch:
    """Padded with token 0."""
    lengths = [len(ids) for ids in sequences]
    padded = np.zeros((len(sequences), max(lengths), sequences[0].shape[1]), np.int64)
    for row, ids in enumerate(sequences):
        padded[row, : len(ids)] = ids
    return Batch(torch.from_numpy(padded), torch.tensor(lengths))


def text_batches(batch_size: int = 2) -> list[Batch]:
    ids = [WORDS.encode(line) for line in LINES]
    return [batch_of(ids[i : i + batch_size]) for i in range(0, len(ids), batch_size)]


def text_model(**changes: object) -> SequenceVAE:
    return tiny_vae(vocab_sizes=WORDS.vocab_sizes, eos_id=WORDS.eos_id, max_steps=8, **changes)


@torch.no_grad()
def forget(model: SequenceVAE) -> SequenceVAE:
    """The posterior of every sequence becomes the prior."""
    model.encoder.posterior.weight.zero_()
    model.encoder.posterior.bias.zero_()
    return model


def melody(onsets: dict[int, int]) -> NDArray[np.int64]:
    """A bar with these pitches at these steps, each of them one step long."""
    tokens = np.zeros((16, 1), np.int64)
    for step, pitch in onsets.items():
        tokens[step] = FIRST_PITCH + pitch - MELODY.min_pitch
        if step + 1 not in onsets and step < 15:
            tokens[step + 1] = NOTE_OFF
    return tokens
