"""Every figure that is reported, each with its definition.

Axes: B sequences, T steps, C channels, Z latent. Nats are per sequence, summed over its steps;
figures are averages over the sequences of a split unless they say otherwise. beta plays no part.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm

from seqvae.corpus.batches import Batch
from seqvae.errors import InputError
from seqvae.model.decoding import Sequences
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.objective import NegativeELBO, over_sequence, sequence_nll
from seqvae.model.vae import SequenceVAE
from seqvae.music.notes import DEFAULT_QPM
from seqvae.tokenizers import AnyTokenizer
from seqvae.tokenizers.contract import Example, Ids, MusicTokenizer, TextTokenizer

ACTIVE_VARIANCE = 0.01  # Burda et al. 2016, sec. 5.3
IW_SAMPLES = 500  # what the text literature takes
MI_BATCH = 32  # sequences of a group in the estimator of He et al. 2019
MAX_SCORED_LOGITS = 2**26  # that are held at a time: 256 MiB in float32
MAX_ELEMENTS = 2**22  # numbers that are held at a time: 16 MiB in float32


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
    mi_aggregate: float
    """I(x; z) under q, in nats, against the aggregate posterior of the whole split."""
    mi_aggregate_ceiling: float
    """ln num_sequences: the most that mi_aggregate can be."""
    mi_batch: float
    """The same against the aggregate of random groups of 32, as in He et al. 2019."""
    mi_batch_ceiling: float
    """ln 32, or ln num_sequences where that is less."""
    iw_nll: float | None = None
    """-log p(x) in nats, importance-weighted with iw_samples draws a sequence: a bound too, and
    tighter than neg_elbo (Burda et al. 2016, eq. 8)."""
    iw_nll_stderr: float | None = None
    """Monte Carlo standard error of iw_nll: what another seed would change; none of one draw."""
    iw_samples: int | None = None
    """Draws of z a sequence in iw_nll."""
    accuracy_teacher_forced: float
    """Share of tokens that are most probable, given z and the true tokens before them."""
    accuracy_free_running: float
    """Share of tokens hit by greedy decoding from the posterior mean, position by position."""
    accuracy_by_channel: dict[str, float] | None = None
    """accuracy_free_running of each channel, where there are several."""
    exact_match: float
    """Share of sequences that greedy decoding from the posterior mean repeats exactly."""
    onset_f1: float | None = None
    """Music: F1 of (step, pitch, voice or program) of onsets in those decodings, over all notes."""
    velocity_error: float | None = None
    """Music that keeps loudness: mean difference in MIDI velocity of the onsets that are right."""
    timing_error_ms: float | None = None
    """Music that keeps timing within a step: mean difference of those onsets, in milliseconds at
    120 quarters a minute."""
    word_perplexity: float | None = None
    """Text: exp(nats / (words + ends of line)) of neg_elbo, whatever the tokenizer."""
    iw_word_perplexity: float | None = None
    """Text: the same of iw_nll."""
    bits_per_byte: float | None = None
    """Text: bits of the bound per UTF-8 byte of the decoded lines, a line break for each end."""
    overlap: dict[str, tuple[float, float]] | None = None
    """Music: overlapping area of samples from the prior with the split, feature by feature (see
    musicality), and the same of the training split with it, which is what can be reached."""
    bleu: float | None = None
    """Text: corpus BLEU-4 (sacrebleu, 0..100) of those decodings against the originals."""


def active_units(means: Float[Tensor, "N Z"]) -> int:
    """Dimensions with Var_x(E[z|x]) >= 0.01 (Burda et al. 2016)."""
    if len(means) < 2 or not means.shape[1]:
        return 0
    return int((means.double().var(0) >= ACTIVE_VARIANCE).sum())


def mutual_information(
    posterior: DiagonalGaussian, group_size: int, generator: torch.Generator
) -> float:
    """I(x; z) = E[log q(z|x) - log q(z)] in nats, with one draw of z for each x.

    q(z) is the mean of the posteriors of a group of sequences, x among them, so no estimate
    exceeds ln group_size: estimates of different group sizes cannot be compared (Hoffman & Johnson
    2016; groups of one test batch are what He et al. 2019 report). Groups are drawn at random; one
    that is smaller than the others has a lower ceiling. Of few sequences it can be negative.
    """
    if not len(posterior.mean) or not posterior.mean.shape[1]:
        return 0.0
    order = torch.randperm(len(posterior.mean), generator=generator, device=generator.device)
    z = posterior.sample(generator).double()
    mean, log_stddev = posterior.mean.double(), posterior.log_stddev.double()
    ratios = []
    for group in torch.split(order, group_size):
        # log q(z_i | x_j) but for the constant -Z/2 log 2 pi, as products of matrices.
        mu, log_sigma = mean[group], log_stddev[group]
        precision = torch.exp(-2 * log_sigma)
        offset = -0.5 * (mu.square() * precision).sum(-1) - log_sigma.sum(-1)
        for i in torch.split(group, max(1, MAX_ELEMENTS // len(group))):
            z_i = z[i]
            density = z_i @ (mu * precision).T - 0.5 * z_i.square() @ precision.T + offset
            own = -0.5 * ((z_i - mean[i]) * torch.exp(-log_stddev[i])).square().sum(-1)
            own = own - log_stddev[i].sum(-1)
            # The products cancel where posteriors are narrow; the own term is known better.
            density[i[:, None] == group] = own
            ratios.append(own - density.logsumexp(1) + math.log(len(group)))
    return float(torch.cat(ratios).mean())


@dataclass(frozen=True, eq=False)
class ImportanceWeighted:
    """An estimate of -log p(x) for each of B sequences, in nats."""

    nll: Float[Tensor, " B"]
    variance: Float[Tensor, " B"]
    """Monte Carlo variance of nll, by the delta method."""


@torch.no_grad()
def importance_weighted_nll(
    model: SequenceVAE, batch: Batch, num_samples: int, generator: torch.Generator
) -> ImportanceWeighted:
    """-log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x) with z_k from q (Burda et al. 2016, eq. 8).

    Memory is bounded whatever the batch and K; a language model needs, and gets, one sample.

    Raises:
        InputError: `num_samples` is not positive.
    """
    if num_samples < 1:
        raise InputError(f"iw_samples is {num_samples}; it must be 1 or more (500 is usual)")
    num_samples = draws_needed(model, num_samples)
    ids, lengths = batch.ids, batch.lengths
    posterior = model.encode(batch.encoder_ids, lengths)
    num_gates = 4 * model.config.decoder_dim  # the heads bound what they hold themselves
    num_rows = max(1, MAX_ELEMENTS // (ids.shape[1] * num_gates))
    every_draw = torch.arange(len(ids) * num_samples, device=ids.device) // num_samples
    log_weights = torch.cat([
        _log_weights(model, ids, lengths, posterior, rows, generator)
        for rows in torch.split(every_draw, num_rows)
    ]).view(len(ids), num_samples)  # fmt: skip
    log_mean = log_weights.logsumexp(1) - math.log(num_samples)
    relative = torch.exp(log_weights - log_mean[:, None])  # of mean 1
    if num_samples > 1:
        return ImportanceWeighted(-log_mean, relative.var(1) / num_samples)
    # One draw says nothing about its variance, unless there was nothing to draw.
    variance = torch.nan if model.config.latent_dim > 0 else 0.0
    return ImportanceWeighted(-log_mean, torch.full_like(log_mean, variance))


def draws_needed(model: SequenceVAE, num_samples: int) -> int:
    """A language model has one way to read a sequence."""
    return num_samples if model.config.latent_dim > 0 else 1


def _log_weights(
    model: SequenceVAE,
    ids: Int[Tensor, "B T C"],
    lengths: Int[Tensor, " B"],
    posterior: DiagonalGaussian,
    rows: Int[Tensor, " N"],
    generator: torch.Generator,
) -> Float[Tensor, " N"]:
    """Log p(x|z) + log p(z) - log q(z|x) with a fresh z for each row of the batch named."""
    mean, log_stddev = posterior.mean[rows], posterior.log_stddev[rows]
    noise = torch.empty_like(mean).normal_(generator=generator)
    z = mean + torch.exp(log_stddev) * noise
    # The constants of the two Gaussians cancel.
    log_ratio = (log_stddev + 0.5 * (noise.square() - z.square())).double().sum(-1)
    nll = over_sequence(model.decoder.token_nll(z, ids[rows]).double(), lengths[rows])
    return log_ratio - nll


def hits(decoded: Sequences, target: Sequences | Batch) -> Bool[Tensor, "B T C"]:
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
        self.generator = torch.Generator(model.device).manual_seed(seed)
        self.nll: list[Tensor] = []
        self.kl_per_dim: list[Tensor] = []
        self.means: list[Tensor] = []
        self.log_stddevs: list[Tensor] = []
        self.num_tokens: list[Tensor] = []
        self.hits_teacher_forced: list[Tensor] = []
        self.hits_free_running: list[Tensor] = []
        self.hits_by_channel: list[Tensor] = []
        self.exact: list[Tensor] = []

    @torch.no_grad()
    def update(self, batch: Batch) -> Sequences:
        """Add a batch; returns its greedy reconstructions."""
        ids, lengths = batch.ids, batch.lengths
        posterior = self.model.encode(batch.encoder_ids, lengths)
        z = posterior.sample(self.generator)
        per_sequence = ids.shape[1] * sum(self.model.steps.vocab_sizes)
        per_sequence *= self.model.config.num_softmaxes
        num_rows = max(1, MAX_SCORED_LOGITS // per_sequence)
        parts = [
            self._score(*part)
            for part in zip(*(torch.split(x, num_rows) for x in (z, ids, lengths)), strict=True)
        ]
        nll, right = (torch.cat(own) for own in zip(*parts, strict=True))
        num_channels = self.model.steps.num_channels
        tokens, conditions = ids[..., :num_channels], ids[..., num_channels:]
        decoded = self.model.decode(
            posterior.mean, conditions=conditions if conditions.shape[2] else None
        )
        found = Sequences(decoded.ids[..., :num_channels], decoded.lengths)
        hit_tokens = hits(found, Sequences(tokens, lengths))
        hit = hit_tokens.sum((1, 2))
        num_tokens = lengths * num_channels
        self.nll.append(nll)
        self.kl_per_dim.append(posterior.kl_per_dim())
        self.means.append(posterior.mean)
        self.log_stddevs.append(posterior.log_stddev)
        self.num_tokens.append(num_tokens)
        self.hits_teacher_forced.append(right)
        self.hits_free_running.append(hit)
        self.hits_by_channel.append(hit_tokens.sum((0, 1)))
        self.exact.append((hit == num_tokens) & (decoded.lengths == lengths))
        return decoded

    def _score(
        self, z: Float[Tensor, "B Z"], ids: Int[Tensor, "B T C"], lengths: Int[Tensor, " B"]
    ) -> tuple[Float[Tensor, " B"], Int[Tensor, " B"]]:
        """-log p(x|z), and the tokens that are most probable where they stand."""
        logits = self.model.decoder(z, ids)
        valid = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        right = [
            ((channel.argmax(-1) == ids[..., c]) & valid).sum(1) for c, channel in enumerate(logits)
        ]
        return sequence_nll(logits, ids, lengths), torch.stack(right).sum(0)

    def bound(self) -> NegativeELBO:
        """The two terms for every sequence so far."""
        return NegativeELBO(torch.cat(self.nll).double(), torch.cat(self.kl_per_dim).double())

    def result(self) -> Evaluation:
        """The figures that need neither tokenizer nor importance weights."""
        bound = self.bound()
        nll, kl = bound.nll, bound.kl
        posterior = DiagonalGaussian(torch.cat(self.means), torch.cat(self.log_stddevs))
        num_tokens = torch.cat(self.num_tokens).sum()
        return Evaluation(
            num_sequences=len(nll),
            neg_elbo=float((nll + kl).mean()),
            nll=float(nll.mean()),
            kl=float(kl.mean()),
            active_units=active_units(posterior.mean),
            latent_dim=self.model.config.latent_dim,
            mi_aggregate=mutual_information(posterior, len(nll), self.generator),
            mi_aggregate_ceiling=math.log(len(nll)),
            mi_batch=mutual_information(posterior, MI_BATCH, self.generator),
            mi_batch_ceiling=math.log(min(MI_BATCH, len(nll))),
            accuracy_teacher_forced=float(torch.cat(self.hits_teacher_forced).sum() / num_tokens),
            accuracy_free_running=float(torch.cat(self.hits_free_running).sum() / num_tokens),
            exact_match=float(torch.cat(self.exact).double().mean()),
        )


def rows(sequences: Sequences | Batch) -> list[Ids]:
    """The sequences of a batch without their padding."""
    ids, lengths = sequences.ids.cpu().numpy(), sequences.lengths.tolist()
    return [row[:length] for row, length in zip(ids, lengths, strict=True)]


def evaluate(
    model: SequenceVAE,
    batches: Iterable[Batch],
    tokenizer: AnyTokenizer,
    *,
    iw_samples: int = IW_SAMPLES,
    seed: int = 0,
) -> Evaluation:
    """All figures of a model on the batches of a split."""
    tally = Tally(model.eval(), seed=seed)
    # Draws of their own: those of the bound do not depend on `iw_samples`.
    generator = torch.Generator(model.device).manual_seed(seed)
    weighted: list[ImportanceWeighted] = []
    originals: list[Ids] = []
    decodings: list[Ids] = []
    for batch in tqdm(batches, desc="evaluate", unit=" batches", disable=None):
        on_device = batch.to(model.device)
        decodings += rows(tally.update(on_device))
        weighted.append(importance_weighted_nll(model, on_device, iw_samples, generator))
        originals += rows(batch)
    iw_nll = torch.cat([part.nll for part in weighted])
    variance = torch.cat([part.variance for part in weighted])
    stderr = float(variance.sum().sqrt() / len(iw_nll))
    figures = vars(tally.result()) | {
        "iw_nll": float(iw_nll.mean()),
        "iw_nll_stderr": None if math.isnan(stderr) else stderr,
        "iw_samples": draws_needed(model, iw_samples),
    }
    if len(tokenizer.channels) > 1:
        hits_of_channel = torch.stack(tally.hits_by_channel).sum(0).tolist()
        num_steps = sum(map(len, originals))
        shares = [hits / num_steps for hits in hits_of_channel]
        figures["accuracy_by_channel"] = dict(zip(tokenizer.channels, shares, strict=True))
    if tokenizer.modality == "music":
        return Evaluation(**figures | music_figures(originals, decodings, tokenizer))
    nats = {"neg_elbo": float(tally.bound().total().sum()), "iw_nll": float(iw_nll.sum())}
    return Evaluation(**figures | text_figures(originals, decodings, tokenizer, nats))


def music_figures(
    originals: list[Ids], decodings: list[Ids], tokenizer: MusicTokenizer
) -> dict[str, float | None]:
    """How far the onsets of decodings are those of the originals, pooled over all pairs."""

    def onsets(ids: Ids) -> dict[tuple[int, int, int], tuple[float, float]]:
        """(step, pitch, track) -> velocity and offset in steps."""
        notes = tokenizer.decode(Example(ids)).notes
        keys = zip(*(notes[name].tolist() for name in ("start", "pitch", "track")), strict=True)
        values = zip(notes["velocity"].tolist(), notes["offset"].tolist(), strict=True)
        return dict(zip(keys, values, strict=True))

    found = wanted = 0
    differences = []
    for original, decoding in zip(originals, decodings, strict=True):
        truth, guess = onsets(original), onsets(decoding)
        found, wanted = found + len(guess), wanted + len(truth)
        differences += [
            [abs(a - b) for a, b in zip(truth[key], guess[key], strict=True)]
            for key in truth.keys() & guess.keys()
        ]
    figures: dict[str, float | None] = {
        "onset_f1": 2 * len(differences) / (found + wanted) if found + wanted else 1.0
    }
    if differences:
        velocity, offset = torch.tensor(differences, dtype=torch.float64).mean(0).tolist()
        ms_per_step = 60_000 / DEFAULT_QPM / tokenizer.steps_per_quarter
        if "velocity" in tokenizer.keeps:
            figures["velocity_error"] = velocity
        if "timing" in tokenizer.keeps:
            figures["timing_error_ms"] = offset * ms_per_step
    return figures


def text_figures(
    originals: list[Ids],
    decodings: list[Ids],
    tokenizer: TextTokenizer,
    nats: dict[str, float],
) -> dict[str, float]:
    """Perplexities per word and bits per byte, from nats of the whole split; BLEU."""
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
