"""Times the training steps of two text VAEs. Run by `benchmark_speed.py`, in our environment.

    python scripts/speed_text.py sentence_vae|lagging CHECKOUT < jobs.json

`CHECKOUT` is a checkout of timbmg/Sentence-VAE or of jxhe/vae-lagging-encoder. A job is a line of
JSON: {"threads": 1, "vocab_size": 10000, "lengths": [[12, 12, ...], ...]} with the lengths of the
sentences of some batches; the answer is a line with the seconds of one step for each batch. Tokens
are random. Losses are those of the papers, with the KL at full weight; gradients are clipped as
each project does. Encoders are updated once a step: the lagging project's inner loop is left out.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

Step = Callable[[Tensor, Tensor], None]


def sentence_vae(vocab_size: int) -> Step:
    """A step at the project's default sizes: GRUs of 256 units, 300 dimensions, 16 of z."""
    from model import SentenceVAE  # type: ignore[import-not-found]  # of the checkout

    vae = SentenceVAE(
        vocab_size=vocab_size, embedding_size=300, rnn_type="gru", hidden_size=256, word_dropout=0,
        embedding_dropout=0.5, latent_size=16, sos_idx=2, eos_idx=3, pad_idx=0, unk_idx=1,
        max_sequence_length=60,
    )  # fmt: skip
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-3)

    def step(ids: Tensor, lengths: Tensor) -> None:
        log_probability, mean, log_variance, _ = vae(ids, lengths)
        flat = log_probability.reshape(-1, vocab_size)
        nll = nn.functional.nll_loss(flat, ids.flatten(), ignore_index=0, reduction="sum")
        kl = -0.5 * (1 + log_variance - mean.pow(2) - log_variance.exp()).sum()
        optimizer.zero_grad()
        ((nll + kl) / len(ids)).backward()
        optimizer.step()

    return step


def lagging(vocab_size: int) -> Step:
    """A step at the project's sizes for text: LSTMs of 1,024 units, 512 dimensions, 32 of z."""
    from modules import VAE, LSTMDecoder, LSTMEncoder  # type: ignore[import-not-found]  # of the checkout

    sizes = argparse.Namespace(
        ni=512, nz=32, enc_nh=1024, dec_nh=1024, dec_dropout_in=0.5, dec_dropout_out=0.5,
        device=torch.device("cpu"),
    )  # fmt: skip
    vocabulary = {str(number): number for number in range(vocab_size)}
    encoder = LSTMEncoder(sizes, vocab_size, uniform(0.01), uniform(0.1))
    vae = VAE(encoder, LSTMDecoder(sizes, vocabulary, uniform(0.01), uniform(0.1)), sizes)
    optimizers = [torch.optim.SGD(part.parameters(), lr=1.0) for part in (vae.encoder, vae.decoder)]

    def step(ids: Tensor, lengths: Tensor) -> None:
        for optimizer in optimizers:
            optimizer.zero_grad()
        vae.loss(ids, 1.0)[0].mean(dim=-1).backward()
        nn.utils.clip_grad_norm_(vae.parameters(), 5.0)
        for optimizer in optimizers:
            optimizer.step()

    return step


def uniform(bound: float) -> Callable[[Tensor], Any]:
    """An initialisation."""
    return lambda weight: nn.init.uniform_(weight, -bound, bound)


def batch_of(lengths: Sequence[int], vocab_size: int) -> tuple[Tensor, Tensor]:
    """Random tokens above 3, padded with 0, and their lengths."""
    longest = torch.tensor(lengths)
    ids = torch.randint(4, vocab_size, (len(lengths), max(lengths)))
    return ids.masked_fill(torch.arange(max(lengths)) >= longest[:, None], 0), longest


def main() -> None:
    """Answer jobs until standard input ends."""
    peer, checkout = sys.argv[1], Path(sys.argv[2])
    sys.path.insert(0, str(checkout))
    torch.manual_seed(0)
    step: Step | None = None
    for line in sys.stdin:
        job = json.loads(line)
        torch.set_num_threads(job["threads"])
        if step is None:
            step = {"sentence_vae": sentence_vae, "lagging": lagging}[peer](job["vocab_size"])
        seconds = []
        for lengths in job["lengths"]:
            batch = batch_of(lengths, job["vocab_size"])
            begin = time.perf_counter()
            step(*batch)
            seconds.append(time.perf_counter() - begin)
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
