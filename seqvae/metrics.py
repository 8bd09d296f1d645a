"""Every figure that is reported, each with its definition.

Axes: B sequences, T steps, C channels, Z latent. Nats are per sequence, summed over its steps;
figures are averages over the sequences of a split unless they say otherwise. beta plays no part.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seqvae.data import Batch
from seqvae.decoder import Sequences
from seqvae.model import SequenceVAE
from seqvae.objective import sequence_nll
from seqvae.tokenizers import AnyTokenizer
from seqvae.tokenizers.contract import Example, Ids, MusicTokenizer, TextTokenizer

ACTIVE_VARIANCE = 0.01  # Burda et al. 2016, sec. 5.3


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The figures of one model on one split."""

    num_sequences: int
    """Sequences of the split."""
    neg_elbo: float
    """nll + kl, in nats: an upper bound of -log p(x), with one draw of z a sequence."""
    nll: float
    """-log p(x|z), in nats."""
    kl: float
    """KL(q(z|x) || p(z)), in nats."""
    active_units: int
    """Dimensions whose posterior mean varies by 0.01 or more over the split (Burda et al. 2016)."""
    latent_dim: int
    """Dimensions of z: the most that active_units can be."""
    accuracy_teacher_forced: float
    """Share of tokens that are most probable, given z and the true tokens before them."""
    accuracy_free_running: float
    """Share of tokens hit by greedy decoding from the posterior mean, position by position."""
    exact_match: float
    """Share of sequences that greedy decoding from the posterior mean repeats exactly."""
    onset_f1: float | None = None
    """Music: F1 of (step, pitch) of note onsets in those decodings, over all notes."""
    word_perplexity: float | None = None
    """Text: exp(nats / (words + ends of line)) of the bound, whatever the tokenizer."""
    bits_per_byte: float | None = None
    """Text: bits of the bound per UTF-8 byte of the decoded line, its end not counted as a byte."""
    bleu: float | None = None
    """Text: corpus BLEU-4 (sacrebleu, 0..100) of those decodings against the originals."""


def active_units(means: Float[Tensor, "N Z"]) -> int:
    """Dimensions with Var_x(E[z|x]) >= 0.01 (Burda et al. 2016)."""
    if len(means) < 2:
        return 0
    return int((means.double().var(0) >= ACTIVE_VARIANCE).sum())


def hits(decoded: Sequences, target: Batch) -> Bool[Tensor, "B T C"]:
    """Which tokens of the target were decoded at their place; padding is never hit."""
    num_steps = target.ids.shape[1]
    steps = torch.arange(num_steps, device=target.ids.device)
    common = min(num_steps, decoded.ids.shape[1])
    both = torch.minimum(decoded.lengths, target.lengths)
    hit = torch.zeros(target.ids.shape, dtype=torch.bool, device=target.ids.device)
    hit[:, :common] = decoded.ids[:, :common] == target.ids[:, :common]
    return hit & (steps < both[:, None])[..., None]


class Tally:
    """Collects the figures of a model batch by batch."""

    def __init__(self, model: SequenceVAE, *, seed: int = 0) -> None:
        """`seed` draws z, so that a figure can be repeated."""
        self.model = model
        device = next(model.parameters()).device
        self.generator = torch.Generator(device).manual_seed(seed)
        self.nll: list[Tensor] = []
        self.kl: list[Tensor] = []
        self.means: list[Tensor] = []
        self.num_tokens: list[Tensor] = []
        self.hits_teacher_forced: list[Tensor] = []
        self.hits_free_running: list[Tensor] = []
        self.exact: list[Tensor] = []

    @torch.no_grad()
    def update(self, batch: Batch) -> Sequences:
        """Add a batch; returns its greedy reconstructions."""
        ids, lengths = batch
        posterior = self.model.encode(ids, lengths)
        logits = self.model.decoder(posterior.sample(self.generator), ids)
        valid = (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None])[..., None]
        guesses = torch.stack([channel.argmax(-1) for channel in logits], dim=-1)
        decoded = self.model.decode(posterior.mean)
        hit = hits(decoded, batch).sum((1, 2))
        num_tokens = lengths * ids.shape[2]
        self.nll.append(sequence_nll(logits, ids, lengths))
        self.kl.append(posterior.kl())
        self.means.append(posterior.mean)
        self.num_tokens.append(num_tokens)
        self.hits_teacher_forced.append(((guesses == ids) & valid).sum((1, 2)))
        self.hits_free_running.append(hit)
        self.exact.append((hit == num_tokens) & (decoded.lengths == lengths))
        return decoded

    def nats(self) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """Nll and KL of every sequence so far."""
        return torch.cat(self.nll).double(), torch.cat(self.kl).double()

    def result(self) -> Evaluation:
        """The figures that need no tokenizer."""
        nll, kl = self.nats()
        num_tokens = torch.cat(self.num_tokens).sum()
        return Evaluation(
            num_sequences=len(nll),
            neg_elbo=float((nll + kl).mean()),
            nll=float(nll.mean()),
            kl=float(kl.mean()),
            active_units=active_units(torch.cat(self.means)),
            latent_dim=self.model.latent_dim,
            accuracy_teacher_forced=float(torch.cat(self.hits_teacher_forced).sum() / num_tokens),
            accuracy_free_running=float(torch.cat(self.hits_free_running).sum() / num_tokens),
            exact_match=float(torch.cat(self.exact).double().mean()),
        )


def rows(sequences: Sequences | Batch) -> list[Ids]:
    """The sequences of a batch without their padding."""
    ids, lengths = sequences.ids.cpu().numpy(), sequences.lengths.tolist()
    return [row[:length] for row, length in zip(ids, lengths, strict=True)]


def evaluate(
    model: SequenceVAE, batches: Iterable[Batch], tokenizer: AnyTokenizer, *, seed: int = 0
) -> Evaluation:
    """All figures of a model on the batches of a split."""
    tally = Tally(model.eval(), seed=seed)
    device = next(model.parameters()).device
    originals: list[Ids] = []
    decodings: list[Ids] = []
    for batch in batches:
        decodings += rows(tally.update(Batch(batch.ids.to(device), batch.lengths.to(device))))
        originals += rows(batch)
    nll, kl = tally.nats()
    total_nats = float((nll + kl).sum())
    figures = vars(tally.result())
    if tokenizer.modality == "music":
        return Evaluation(**figures | {"onset_f1": onset_f1(originals, decodings, tokenizer)})
    return Evaluation(**figures | text_figures(originals, decodings, tokenizer, total_nats))


def onset_f1(originals: list[Ids], decodings: list[Ids], tokenizer: MusicTokenizer) -> float:
    """F1 of (step, pitch, drum or not) of note onsets, pooled over all pairs."""

    def onsets(ids: Ids) -> set[tuple[int, int, bool]]:
        notes = tokenizer.decode(Example(ids)).notes
        return {(int(n["start"]), int(n["pitch"]), bool(n["is_drum"])) for n in notes}

    found = common = wanted = 0
    for original, decoding in zip(originals, decodings, strict=True):
        truth, guess = onsets(original), onsets(decoding)
        found, wanted, common = found + len(guess), wanted + len(truth), common + len(truth & guess)
    return 2 * common / (found + wanted) if found + wanted else 1.0


def text_figures(
    originals: list[Ids], decodings: list[Ids], tokenizer: TextTokenizer, total_nats: float
) -> dict[str, float]:
    """Perplexity per word, bits per byte and BLEU."""
    import sacrebleu

    texts = [tokenizer.decode(ids) for ids in originals]
    guesses = [tokenizer.decode(ids) for ids in decodings]
    num_words = sum(len(text.split()) + 1 for text in texts)
    num_bytes = sum(len(text.encode()) for text in texts)
    return {
        "word_perplexity": math.exp(min(total_nats / num_words, 700.0)),
        "bits_per_byte": total_nats / math.log(2) / max(num_bytes, 1),
        "bleu": float(sacrebleu.corpus_bleu(guesses, [texts]).score),
    }
