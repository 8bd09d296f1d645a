"""Sentences with a gap: what stands around it is kept, letter for letter, and the gap is written.

A gap is `___`. How many tokens it takes is not known, so candidates of all lengths are drawn. Each
counts by the likelihood of the tokens that were given to it (importance resampling): those whose
code and whose words lead on to what follows the gap.

Axes: N candidates, M samples, T steps, Z latent.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from seqvae.errors import InputError, shown
from seqvae.inference.codec import Codec, sampling_of
from seqvae.inference.conditioning import Conditioned, Observation
from seqvae.inference.inputs import sentence
from seqvae.inference.likelihood import most_likely
from seqvae.inference.mixture import Mixture
from seqvae.inference.options import Complete
from seqvae.model.config import Sampling
from seqvae.model.given import Given
from seqvae.tokenizers.contract import Example, Ids, TextTokenizer

GAP = re.compile("_{3,}")
MAX_GAP = 12  # tokens
PER_OUTPUT = 4  # candidates of each length
NUM_SAMPLES = 512  # from which it is learned what a part tells of the whole
ANCHOR = "a"  # a word that stands before words, to see their tokens within a sentence


@dataclass(frozen=True, eq=False)
class Frame:
    """What stands before the gap and after it, as text and as tokens."""

    before: str
    after: str
    first: list[int]
    last: list[int]
    """The end of the sentence included; empty where the end is open."""

    @classmethod
    def of(cls, tokenizer: TextTokenizer, how: Complete) -> "Frame":
        """The frame that a user gives.

        Raises:
            InputError: there is not exactly one gap, or no room for it.
        """
        space = " " if tokenizer.has_words else ""  # a symbol goes on where the prefix ends
        text = how.source if how.prefix is None else f"{how.prefix}{space}___"
        if text is None:
            raise InputError("no sentence: give one with ___ for a gap, or --prefix")
        if not isinstance(text, str):
            raise InputError(f"{shown(text)}: this model takes text")
        parts = GAP.split(text)
        if len(parts) != 2:
            few = "no gap: mark it with ___, or give the beginning with --prefix"
            raise InputError(f"{shown(text)}: {few if len(parts) < 2 else 'more than one gap'}")
        before, after = map(str.rstrip, parts) if tokenizer.spaces_lead else parts
        first = _tokens(tokenizer, before)[:-1] if before else []
        last = _following(tokenizer, after) if after else []
        if len(first) + len(last) >= tokenizer.max_steps - 1:
            raise InputError(
                f"{shown(text)}: {len(first) + len(last)} tokens beside the gap; the model takes "
                f"at most {tokenizer.max_steps} in all"
            )
        return cls(before, after, first, last)

    def text(self, tokenizer: TextTokenizer, ids: Ids) -> str:
        """The sentence of some tokens, with what was given as it was given."""
        end = len(ids) - len(self.last)
        start = tokenizer.decode(ids[: len(self.first)]) if self.first else ""
        middle = tokenizer.decode(ids[:end])
        return self.before + middle[len(start) :] + self.after

    def lengths(self, max_steps: int) -> Sequence[int]:
        """Lengths that the gap may have; at the end it ends by itself."""
        if not self.last:
            return [max_steps - len(self.first)]
        return range(1, min(MAX_GAP, max_steps - len(self.first) - len(self.last)) + 1)


def _tokens(tokenizer: TextTokenizer, text: str) -> list[int]:
    return [*sentence(tokenizer, text).ids[:, 0].tolist()]


def _following(tokenizer: TextTokenizer, text: str) -> list[int]:
    """The tokens of a text that follows others, and the end."""
    if not tokenizer.has_words:  # then what stands before a token does not change it
        return _tokens(tokenizer, text)
    anchor, whole = _tokens(tokenizer, ANCHOR)[:-1], _tokens(tokenizer, ANCHOR + text)
    if whole[: len(anchor)] != anchor:
        raise InputError(f"{shown(text)} after the gap: this model needs a space before it")
    return whole[len(anchor) :]


@torch.no_grad()
def complete_sentence(codec: Codec, prior: Mixture, how: Complete) -> list[str]:
    """Sentences with the gap filled, all of them different: fewer than n where there are no more.

    Raises:
        InputError: there is no gap, or something is asked for that text does not have.
    """
    tokenizer = codec.tokenizer
    assert tokenizer.modality == "text"
    for name in ("keep", "fill", "bars"):
        if getattr(how, name) is not None:
            raise InputError(f"{name} is {shown(getattr(how, name))}; it is for music")
    frame, generator = Frame.of(tokenizer, how), codec.generator(how.seed)
    number = max(how.n * PER_OUTPUT, how.choose or 0)
    z = _codes(codec, prior, frame, number, generator)
    found: list[tuple[float, Ids]] = []
    for length in frame.lengths(tokenizer.max_steps):
        found += _filled(codec, frame, length, z, sampling_of(how), generator)
    nats = torch.tensor([nats for nats, _ in found], dtype=torch.float64)
    noise = torch.rand(len(nats), generator=generator, device=generator.device).double().cpu()
    order = (nats + (-noise.log()).log()).argsort().tolist()  # draws by likelihood (Gumbel)
    texts = {frame.text(tokenizer, found[i][1]): found[i][1] for i in reversed(order)}
    different = [*reversed(texts)]
    if how.choose is None:
        return different[: how.n]
    different = different[: how.choose]
    best = most_likely(codec, [[texts[text]] for text in different], how.n)
    return [different[i] for i in best]


def _filled(
    codec: Codec,
    frame: Frame,
    length: int,
    z: Float[Tensor, "N Z"],
    sampling: Sampling,
    generator: torch.Generator,
) -> Iterator[tuple[float, Ids]]:
    """Sentences with so many tokens in the gap, each with the nats of what was given."""
    device = codec.device
    tokens = torch.zeros(codec.model.steps.max_steps, 1, dtype=torch.long, device=device)
    where = torch.zeros_like(tokens, dtype=torch.bool)
    end = len(frame.first) + length
    for start, known in ((0, frame.first), (end, frame.last)):
        tokens[start : start + len(known), 0] = torch.tensor(known, dtype=torch.long)
        where[start : start + len(known)] = True
    shape = (len(z), -1, -1)
    given = Given(tokens.expand(shape), where.expand(shape))
    for drawn in codec.around(given, z, sampling, generator):
        assert drawn.given_nats is not None
        rows = zip(drawn.ids.cpu().numpy(), drawn.lengths.tolist(), strict=True)
        for (ids, size), nats in zip(rows, drawn.given_nats.tolist(), strict=True):
            yield nats, ids[:size]


def _codes(
    codec: Codec, prior: Mixture, frame: Frame, number: int, generator: torch.Generator
) -> Float[Tensor, "N Z"]:
    """Codes of sentences that have the frame, as far as the encoder can tell from it alone."""
    latent_dim = codec.model.config.latent_dim
    if latent_dim == 0:
        return torch.zeros(number, 0, device=codec.device)
    samples = prior.sample(NUM_SAMPLES, generator)
    drawn = codec.tokens(samples, Sampling(), generator)
    parts = [_part(ids, len(frame.first), len(frame.last)) for ids in drawn]
    end = codec.model.steps.eos_id
    assert end is not None
    own = [*frame.first, *(frame.last or [end])]
    told = codec.posterior([Example(ids) for ids in [*parts, np.array(own)[:, None]]]).mean.cpu()
    whole = torch.ones(1, dtype=torch.bool)
    observation = Observation.of_slices(whole, latent_dim)
    observation = observation.fitted(whole, samples.cpu(), told[:-1])
    y = told[-1:].expand(number, -1)
    return Conditioned(prior, observation).sample(y, 1.0, generator).to(codec.device)


def _part(ids: Ids, num_first: int, num_last: int) -> Ids:
    """The first and the last tokens of a sentence, whose end is kept at least."""
    first = min(num_first, len(ids) - 1)
    last = min(max(num_last, 1), len(ids) - first)
    return np.concatenate([ids[:first], ids[len(ids) - last :]])
