"""Where an input is odd: nats of each token of a text, or of each beat of a clip.

From the posterior mean, they are -log p(x_t | z, x_<t), and a code that carries much knows of
oddities, too. Importance-weighted, they are -log p(x_t | x_<t): with draws z_k of q(z|x) and
weights w_k = p(z_k) / q(z_k|x), the ratio of sum_k w_k p(x_<t|z_k) and sum_k w_k p(x_<=t|z_k).

By repair, they are what a line would gain from the best other token v at t: the largest
log p(x with v at t | z) - log p(x | z), z the posterior mean. A token that is only rare, or only
surprises because an odd one stands before it, gains little: nothing better fits the rest of the
line. So repair finds a slip that is not the least likely token of its line.

Axes: K draws, T steps, O other tokens, V vocabulary.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from seqvae.inference.codec import BATCH_SIZE, Codec
from seqvae.inference.inputs import as_utf8
from seqvae.inference.options import Score
from seqvae.model.watching import tell
from seqvae.music.notes import beats_per_bar, parse_metre, steps_per_bar
from seqvae.tokenizers.contract import Example, Ids, MusicTokenizer

END = "<end>"
REPAIR = "repair"
RESOLUTION = 1e-4  # nats; what is printed tells no less apart
NUM_OTHERS = 16  # tokens that are tried at each place, the likeliest after those before it
RED, PLAIN = "\x1b[31m", "\x1b[0m"


@dataclass(frozen=True)
class Part:
    """A token of a text, or a beat of a clip."""

    text: str
    """The token with the space before it, or the place of the beat."""
    nats: float
    is_odd: bool
    """Whether it is of the oddest span."""


def parts_of(codec: Codec, windows: Sequence[Example], how: Score, text: str = "") -> list[Part]:
    """The parts of a text, or of a clip whose windows follow each other."""
    texts: list[str] = []
    nats: list[float] = []
    generator = codec.generator(how.seed)
    for number, window in enumerate(windows):
        tell(number, len(windows))
        if how.by == REPAIR:
            of_steps = repair_nats(codec, window.ids)
        else:
            of_steps = step_nats(codec, window.ids, how.by, how.iw_samples, generator)
        if codec.tokenizer.modality == "text":
            texts += [*codec.tokenizer.spellings(as_utf8(text)), END]
            nats += of_steps.tolist()
        else:
            names, sums = beats_of(codec.tokenizer, of_steps, window)
            texts += names
            nats += sums
    odd = oddest_span(nats)
    return [Part(*part, i in odd) for i, part in enumerate(zip(texts, nats, strict=True))]


@torch.no_grad()
def step_nats(
    codec: Codec, ids: Ids, by: str, num_draws: int, generator: torch.Generator
) -> Float[np.ndarray, " T"]:
    """Nats of each step of one sequence: `by` the posterior mean, or by importance."""
    (batch,) = codec.batches([ids])
    posterior = codec.model.encode(batch.encoder_ids, batch.lengths)
    if by == "mean" or not codec.model.config.latent_dim:
        nats = codec.model.decoder.token_nll(posterior.mean, batch.ids)[0]
        return nats.double().cpu().numpy()
    mean, log_stddev = (x.expand(num_draws, -1) for x in (posterior.mean, posterior.log_stddev))
    noise = torch.empty_like(mean).normal_(generator=generator)
    z = mean + torch.exp(log_stddev) * noise
    log_ratio = (log_stddev + 0.5 * (noise.square() - z.square())).double().sum(-1)
    nll = codec.model.decoder.token_nll(z, batch.ids.expand(num_draws, -1, -1)).double()
    so_far = torch.cat([torch.zeros_like(nll[:, :1]), nll.cumsum(1)], dim=1)  # (K, T + 1)
    joint = (log_ratio[:, None] - so_far).logsumexp(0)
    return (joint[:-1] - joint[1:]).cpu().numpy()


@torch.no_grad()
def repair_nats(codec: Codec, ids: Ids) -> Float[np.ndarray, " T"]:
    """By how many nats the best other token at each place of a line makes all of it likelier."""
    assert codec.tokenizer.modality == "text"
    decoder, (batch,) = codec.model.decoder, codec.batches([ids])
    z = codec.model.encode(batch.encoder_ids, batch.lengths).mean
    logits = decoder(z, batch.ids)[0][0]  # (T, V)
    logits[:-1, codec.tokenizer.eos_id] = -torch.inf  # what follows an end is no part of a line
    values, others = logits.topk(min(NUM_OTHERS, logits.shape[1]))  # (T, O)
    repaired = batch.ids.repeat(others.numel(), 1, 1)
    rows = torch.arange(others.numel(), device=codec.device)
    repaired[rows, rows // others.shape[1], 0] = others.flatten()
    nll = torch.cat(
        [
            decoder.token_nll(z.expand(len(lines), -1), lines).double().sum(1)
            for lines in torch.split(repaired, BATCH_SIZE)
        ]
    )
    nll = nll.view(others.shape).masked_fill(values == -torch.inf, torch.inf)
    gains = decoder.token_nll(z, batch.ids).double().sum() - nll.amin(1)
    return gains.clamp(min=0).cpu().numpy()


def beats_of(
    tokenizer: MusicTokenizer, nats: NDArray[np.float64], window: Example
) -> tuple[list[str], list[float]]:
    """The beats of the clip that a window holds, and the nats of their steps together.

    Steps that fill up a short bar, or the window after the end of the clip, are of no beat.
    """
    metre = window.metre or parse_metre(next(iter(tokenizer.bar_numbers)))
    own_bar = steps_per_bar(metre, tokenizer.steps_per_quarter)
    assert own_bar is not None
    beats = beats_per_bar(metre)
    model_bar = tokenizer.steps_per_bar
    filled = tokenizer.window_steps(metre) * model_bar // len(nats)  # steps of a model's bar
    sums: dict[str, float] = defaultdict(float)
    for step, value in enumerate(nats.tolist()):
        number, inside = divmod(step, model_bar)
        place = number * filled + inside
        is_after = window.end_step is not None and window.start_step + place >= window.end_step
        if inside < filled and not is_after:
            bar, rest = divmod(place, own_bar)
            sums[f"bar {window.bar + bar}, beat {rest * beats // own_bar + 1}"] += value
    return [*sums], [*sums.values()]


def oddest_span(nats: Sequence[float]) -> range:
    """The run whose nats exceed the mean of all by the most in sum; none where all are equal.

    Where it is more than half of all, it is taken within that run again.
    """
    if max(nats) - min(nats) < RESOLUTION:
        return range(0)
    mean = sum(nats) / len(nats)
    best, best_sum, start, total = range(0, 1), -np.inf, 0, 0.0
    for end, value in enumerate(nats, start=1):
        if total <= 0:
            start, total = end - 1, 0.0
        total += value - mean
        if total > best_sum:
            best, best_sum = range(start, end), total
    if 2 * len(best) <= len(nats):
        return best
    within = oddest_span([nats[i] for i in best])
    return best[within.start : within.stop] if within else best


def shown(parts: Sequence[Part], *, coloured: bool) -> str:
    """A line for each part: its nats, its text, and a mark at the oddest ones."""
    lines = []
    for part in parts:
        line = f"{part.nats:12.4f}  {part.text.strip() or repr(part.text)}"
        if part.is_odd:
            line = f"{RED}{line}{PLAIN}" if coloured else f"{line}  <"
        lines.append(line)
    return "\n".join(lines)
