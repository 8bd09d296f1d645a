"""How likely a model finds sequences.

Axes: N sequences.
"""

from collections.abc import Sequence

import torch
from tqdm import tqdm

from seqvae.inference.codec import BATCH_SIZE, Codec
from seqvae.inference.metrics import importance_weighted_nll
from seqvae.tokenizers.contract import Ids

IW_SAMPLES = 8  # draws of z by which candidates are ranked


@torch.no_grad()
def sequence_nats(
    codec: Codec, sequences: Sequence[Ids], iw_samples: int, *, seed: int = 0
) -> list[float]:
    """-log p(x) of each sequence in nats, importance-weighted."""
    generator = codec.generator(seed)
    nats: list[float] = []
    total = -(-len(sequences) // BATCH_SIZE)
    batches = codec.batches(sequences)
    for batch in tqdm(batches, desc="score", total=total, leave=False, disable=None, delay=1):
        nats += importance_weighted_nll(codec.model, batch, iw_samples, generator).nll.tolist()
    return nats


def most_likely(codec: Codec, candidates: Sequence[Sequence[Ids]], number: int) -> list[int]:
    """The numbers of the most likely of several candidates, each of one or more sequences."""
    ids = [each for candidate in candidates for each in candidate]
    nats = iter(sequence_nats(codec, ids, IW_SAMPLES))
    totals = [sum(next(nats) for _ in candidate) for candidate in candidates]
    return sorted(range(len(totals)), key=totals.__getitem__)[:number]
