import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from exact import Worth, log_evidence, neg_elbo, worth
from numpy.typing import NDArray
from tiny import random_ids, settings, tiny_vae
from torch.distributions import Categorical, Independent, Normal

from seqvae.corpus.batches import Batch
from seqvae.errors import InputError
from seqvae.inference import metrics
from seqvae.inference.metrics import (
    Tally,
    active_units,
    evaluate,
    hits,
    importance_weighted_nll,
    music_figures,
    mutual_information,
    rows,
    text_figures,
)
from seqvae.model.config import Sampling
from seqvae.model.decoding import Sequences
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.objective import sequence_nll
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers.contract import Ids
from seqvae.tokenizers.groove import GrooveTokenizer
from seqvae.tokenizers.melody import FIRST_PITCH, NOTE_OFF, MelodyTokenizer
from seqvae.tokenizers.polyphony import PolyphonyTokenizer
from seqvae.tokenizers.trio import TrioTokenizer
from seqvae.tokenizers.words import WordTokenizer

LINES = ["the cat sat", "the naïve cat", "sat", "a cat sat a cat"]
WORDS = WordTokenizer().train(LINES)
THREE = WordTokenizer().train(["a a"])  # an end, an unknown word, and a
MELODY = MelodyTokenizer(num_bars=1)


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


@torch.no_grad()
def narrow(model: SequenceVAE) -> SequenceVAE:
    """Every draw of z becomes the posterior mean."""
    model.encoder.posterior.weight[model.config.latent_dim :] = 0
    model.encoder.posterior.bias[model.config.latent_dim :] = -30
    return model


class Scripted(SequenceVAE):
    """A model whose free-running decodings are given, one batch after the other."""

    script: list[Sequences]

    def decode(
        self,
        z: torch.Tensor,
        sampling: Sampling | None = None,
        seeds: Sequence[int] | None = None,
        *,
        conditions: torch.Tensor | None = None,
    ) -> Sequences:
        return self.script.pop(0)


def scripted(script: list[Sequences], vocab_sizes: tuple[int, ...]) -> Scripted:
    model = Scripted(*settings(vocab_sizes=vocab_sizes)).eval()
    model.script = script
    return model


def slow_hits(decoded: Sequences, target: Batch) -> list[list[list[bool]]]:
    found = torch.zeros(target.ids.shape, dtype=torch.bool)
    for b, length in enumerate(target.lengths.tolist()):
        for t in range(length):
            for c in range(target.ids.shape[2]):
                if t < decoded.lengths[b]:
                    found[b, t, c] = decoded.ids[b, t, c] == target.ids[b, t, c]
    return found.tolist()


@pytest.mark.parametrize("vocab_sizes", [(2,), (2, 3)])
@pytest.mark.parametrize(
    ("decoded_steps", "decoded_lengths"),
    [(6, [6, 6, 6]), (3, [3, 1, 2]), (9, [9, 7, 1]), (6, [1, 6, 3]), (1, [1, 1, 1])],
)
def test_hits_equal_a_loop(
    vocab_sizes: tuple[int, ...], decoded_steps: int, decoded_lengths: list[int]
) -> None:
    target = Batch(random_ids(vocab_sizes, 3, 6), torch.tensor([6, 4, 1]))
    decoded = Sequences(
        random_ids(vocab_sizes, 3, decoded_steps, seed=1), torch.tensor(decoded_lengths)
    )
    assert hits(decoded, target).tolist() == slow_hits(decoded, target)


def test_padding_is_never_hit() -> None:
    target = Batch(torch.zeros(2, 5, 1, dtype=torch.long), torch.tensor([2, 5]))
    decoded = Sequences(torch.zeros(2, 5, 1, dtype=torch.long), torch.tensor([5, 3]))
    assert hits(decoded, target).sum((1, 2)).tolist() == [2, 3]


def column(tokens: list[list[int]]) -> torch.Tensor:
    return torch.tensor(tokens)[..., None]


def test_accuracy_and_exact_match_on_hand_made_sequences() -> None:
    targets = [
        Batch(column([[2, 3, 0], [4, 0, 0], [3, 3, 0], [2, 2, 0]]), torch.tensor([3, 2, 3, 3])),
        Batch(column([[4, 4, 4, 4, 0]]), torch.tensor([5])),
    ]
    script = [
        Sequences(
            # equal, too long though equal as far as it goes, one token wrong, too short
            column([[2, 3, 0], [4, 0, 1], [3, 2, 0], [2, 2, 0]]),
            torch.tensor([3, 3, 3, 2]),
        ),
        Sequences(column([[4, 4]]), torch.tensor([2])),
    ]
    tally = Tally(scripted(script, (5,)))
    for target in targets:
        tally.update(target)
    result = tally.result()
    hit, num_tokens = (3 + 2 + 2 + 2) + 2, (3 + 2 + 3 + 3) + 5
    assert result.accuracy_free_running == pytest.approx(hit / num_tokens, rel=1e-6)
    assert result.exact_match == pytest.approx(1 / 5)
    assert result.num_sequences == 5


def test_all_channels_must_be_right_for_an_exact_match() -> None:
    ids = torch.tensor([[[1, 2], [0, 1]], [[1, 0], [0, 2]]])
    decoded = ids.clone()
    decoded[1, 1, 1] = 0
    lengths = torch.tensor([2, 2])
    tally = Tally(scripted([Sequences(decoded, lengths)], (2, 3)))
    tally.update(Batch(ids, lengths))
    assert tally.result().exact_match == 0.5
    assert tally.result().accuracy_free_running == pytest.approx(7 / 8)


@torch.no_grad()
def test_figures_equal_a_loop_over_the_sequences() -> None:
    model = narrow(text_model())
    nll, kl, right, hit, exact, num_tokens = [], [], 0, 0, 0, 0
    for line in LINES:
        batch = batch_of([WORDS.encode(line)])
        ids = batch.ids[0, :, 0].tolist()
        q = model.encode(*batch[:2])
        logits = model.decoder(q.mean, batch.ids)
        nll.append(sequence_nll(logits, *batch[:2]).item())
        kl.append(q.kl().item())
        right += sum(a == b for a, b in zip(logits[0][0].argmax(-1).tolist(), ids, strict=True))
        decoded = model.decode(q.mean)
        guess = decoded.ids[0, : decoded.lengths[0], 0].tolist()
        hit += sum(a == b for a, b in zip(guess, ids, strict=False))
        exact += guess == ids
        num_tokens += len(ids)
    for batch_size in (1, 2, 3, 4):  # neither padding nor unequal batches change a figure
        result = evaluate(model, text_batches(batch_size), WORDS)
        assert result.num_sequences == 4
        assert result.nll == pytest.approx(sum(nll) / 4, rel=1e-5)
        assert result.kl == pytest.approx(sum(kl) / 4, rel=1e-5)
        assert result.neg_elbo == pytest.approx(result.nll + result.kl, rel=1e-9)
        assert result.accuracy_teacher_forced == pytest.approx(right / num_tokens, rel=1e-6)
        assert result.accuracy_free_running == pytest.approx(hit / num_tokens, rel=1e-6)
        assert result.exact_match == exact / 4
        assert result.latent_dim == 3


def test_a_posterior_equal_to_the_prior_has_no_kl() -> None:
    result = evaluate(forget(text_model()), text_batches(), WORDS)
    assert result.kl == 0
    assert result.active_units == 0
    assert result.neg_elbo == result.nll > 0


@torch.no_grad()
def test_a_uniform_decoder_has_the_vocabulary_as_its_perplexity() -> None:
    model = forget(text_model())
    head = model.decoder.heads.logits[0]
    head.weight.zero_()
    head.bias.zero_()
    result = evaluate(model, text_batches(), WORDS)
    size = len(WORDS.words)
    num_tokens = 4 + 4 + 2 + 6  # each line with its end
    num_bytes = 11 + 14 + 3 + 15 + 4  # a line break each; the i of naïve takes two
    assert size == 7
    assert result.word_perplexity == pytest.approx(size, rel=1e-5)
    assert result.bits_per_byte == pytest.approx(num_tokens * math.log2(size) / num_bytes, rel=1e-5)
    assert result.neg_elbo == pytest.approx(num_tokens / 4 * math.log(size), rel=1e-5)
    assert result.onset_f1 is None


@torch.no_grad()
def test_padding_is_no_right_guess() -> None:
    model = text_model()
    model.decoder.heads.logits[0].bias[0] = 100.0  # always EOS, which is also what pads
    result = evaluate(model, text_batches(4), WORDS)
    assert result.accuracy_teacher_forced == pytest.approx(4 / 16)
    assert result.accuracy_free_running == 0


def test_a_seed_repeats_the_figures_and_the_draw_moves_them() -> None:
    model = text_model()
    figures = [evaluate(model, text_batches(), WORDS, seed=seed) for seed in (0, 0, 1)]
    assert figures[0] == figures[1]
    assert figures[0].nll != figures[2].nll
    # Free running starts from the posterior mean, and the KL has a closed form.
    assert figures[0].accuracy_free_running == figures[2].accuracy_free_running
    assert figures[0].kl == figures[2].kl


def test_evaluation_leaves_training_mode() -> None:
    model = text_model(dropout=0.5, token_dropout=0.5).train()
    figures = [evaluate(model, text_batches(), WORDS) for _ in range(2)]
    assert figures[0] == figures[1]


def test_the_bound_of_text_gives_perplexity_and_bits() -> None:
    model = text_model()
    result = evaluate(model, text_batches(), WORDS)
    nats = 4 * result.neg_elbo
    assert result.word_perplexity == pytest.approx(math.exp(nats / 16), rel=1e-6)
    assert result.bits_per_byte == pytest.approx(nats / math.log(2) / 47, rel=1e-6)


def test_text_figures_by_hand() -> None:
    originals = [WORDS.encode(line) for line in LINES[:2]]  # 3 + 1 and 3 + 1 words, 25 + 2 bytes
    figures = text_figures(originals, originals, WORDS, nats={"neg_elbo": 40.0, "iw_nll": 24.0})
    assert figures["word_perplexity"] == pytest.approx(math.exp(5))
    assert figures["iw_word_perplexity"] == pytest.approx(math.exp(3))
    assert figures["bits_per_byte"] == pytest.approx(40 / math.log(2) / 27)


def test_bleu_of_equal_and_of_other_lines() -> None:
    originals = [WORDS.encode(line) for line in ("a cat sat a cat", "the cat sat a cat")]
    others = [WORDS.encode(line) for line in ("the the the the", "the the the")]
    nats = {"neg_elbo": 1.0, "iw_nll": 1.0}
    assert text_figures(originals, originals, WORDS, nats)["bleu"] == pytest.approx(100)
    assert text_figures(originals, others, WORDS, nats)["bleu"] < 10


def test_perplexity_of_a_diverged_model_is_finite() -> None:
    ids = [WORDS.encode("sat")]
    figures = text_figures(ids, ids, WORDS, nats={"neg_elbo": 1e6, "iw_nll": 1e6})
    assert math.isfinite(figures["word_perplexity"])
    assert math.isfinite(figures["iw_word_perplexity"])


def test_active_units_by_construction() -> None:
    signs = torch.tensor([1.0, -1.0] * 50)[:, None]  # variance 100 / 99 of a unit amplitude
    stddevs = torch.tensor([0.0, 0.05, 0.099, 0.101, 3.0]) * math.sqrt(99 / 100)
    offsets = torch.tensor([7.0, 0.0, -3.0, 2.0, 0.5])
    means = signs * stddevs + offsets  # an offset is no activity
    assert active_units(means) == 2
    assert active_units(means[:, :3]) == 0
    assert active_units(means[:1]) == 0


@torch.no_grad()
def test_active_units_of_a_model_are_counted_over_the_whole_split() -> None:
    model = text_model()
    # The mean of the second dimension is its bias.
    model.encoder.posterior.weight[:3] *= torch.tensor([[10.0], [0.0], [10.0]])
    result = evaluate(model, text_batches(1), WORDS)  # one sequence a batch
    means = torch.cat([model.encode(*batch[:2]).mean for batch in text_batches(1)])
    assert (means.var(0) > 0.02).tolist() == [True, False, True]
    assert result.active_units == 2


def melody(onsets: dict[int, int]) -> NDArray[np.int64]:
    """A bar with these pitches at these steps, each of them one step long."""
    tokens = np.zeros((16, 1), np.int64)
    for step, pitch in onsets.items():
        tokens[step] = FIRST_PITCH + pitch - MELODY.min_pitch
        if step + 1 not in onsets and step < 15:
            tokens[step + 1] = NOTE_OFF
    return tokens


TUNE = {0: 60, 4: 62, 8: 64}


@pytest.mark.parametrize(
    ("originals", "decodings", "expected"),
    [
        ([TUNE], [TUNE], 1.0),
        ([TUNE], [{0: 60, 4: 63, 8: 64, 12: 65}], 2 * 2 / (3 + 4)),
        ([TUNE], [{0: 60}], 2 * 1 / (3 + 1)),
        ([TUNE], [{1: 60, 5: 62, 9: 64}], 0.0),  # the step counts
        ([TUNE], [{}], 0.0),
        ([{}], [TUNE], 0.0),
        ([{}], [{}], 1.0),
        # Notes are pooled over the pairs: the mean of the pairs would be 0.5.
        ([TUNE, {3: 70}], [TUNE, {3: 71}], 2 * 3 / (4 + 4)),
        # A pair is not compared with the notes of another one.
        ([{0: 60}, {4: 62}], [{4: 62}, {0: 60}], 0.0),
    ],
)
def test_onset_f1_by_hand(
    originals: list[dict[int, int]], decodings: list[dict[int, int]], expected: float
) -> None:
    pairs = ([melody(onsets) for onsets in side] for side in (originals, decodings))
    assert music_figures(*pairs, MELODY)["onset_f1"] == pytest.approx(expected)


def test_onset_f1_heeds_onsets_and_not_ends() -> None:
    held = melody({0: 60})
    held[1] = 0
    assert music_figures([melody({0: 60})], [held], MELODY)["onset_f1"] == 1


@pytest.mark.parametrize("most", [1, 300])
def test_figures_do_not_depend_on_what_is_held_at_a_time(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    model = text_model(num_softmaxes=2)
    whole = evaluate(model, text_batches(4), WORDS, iw_samples=3)
    monkeypatch.setattr(metrics, "MAX_SCORED_LOGITS", most)
    monkeypatch.setattr(metrics, "MAX_ELEMENTS", most)
    parts = evaluate(model, text_batches(4), WORDS, iw_samples=3)
    for name in ("nll", "accuracy_teacher_forced", "mi_aggregate", "mi_batch"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-5), name


def test_errors_of_loudness_and_timing_by_hand() -> None:
    """Only the hits that are right count; a step is 125 ms at 120 quarters a minute."""
    groove = GrooveTokenizer(num_bars=1, num_velocity_bins=127, num_offset_bins=10)
    original, decoding = np.zeros((2, 16, 19), np.int64)
    original[0, [0, 1, 10]] = 1, 60, 5
    original[4, [0, 1, 10]] = 1, 80, 5
    original[8, [0, 1, 10]] = 1, 80, 5
    decoding[0, [0, 1, 10]] = 1, 70, 5
    decoding[4, [0, 1, 10]] = 1, 60, 7  # a fifth of a step late
    decoding[8, [0, 2, 11]] = 2, 1, 1  # another drum
    figures = music_figures([original], [decoding], groove)
    assert figures["onset_f1"] == pytest.approx(2 * 2 / (3 + 3))
    assert figures["velocity_error"] == pytest.approx((10 + 20) / 2)
    assert figures["timing_error_ms"] == pytest.approx((0 + 0.2 * 125) / 2, rel=1e-5)
    polyphony = PolyphonyTokenizer(num_bars=1, num_velocity_bins=127)
    notes = np.array([[1, 60, 3, 9, 0], [5, 62, 3, 19, 0], [0, 0, 0, 0, 0]])
    louder = notes + np.array([[0, 0, 0, 5, 0], [0, 0, 0, 8, 0], [0, 0, 0, 0, 0]])
    assert music_figures([notes], [louder], polyphony) == {"onset_f1": 1, "velocity_error": 6.5}
    assert music_figures([melody(TUNE)], [melody(TUNE)], MELODY) == {"onset_f1": 1}
    assert music_figures([original], [0 * original], groove) == {"onset_f1": 0}


def test_channels_are_told_apart() -> None:
    trio = TrioTokenizer(num_bars=1)
    model = tiny_vae(vocab_sizes=trio.vocab_sizes, max_steps=16)
    rng = np.random.default_rng(0)
    ids = [np.stack([rng.integers(n, size=16) for n in trio.vocab_sizes], 1) for _ in range(4)]
    batch = batch_of(ids)
    decoded = model.decode(model.encode(*batch[:2]).mean)
    result = evaluate(model, [batch], trio, iw_samples=1)
    shares = (decoded.ids == batch.ids).double().mean((0, 1)).tolist()
    assert result.accuracy_by_channel == pytest.approx(
        dict(zip(("melody", "bass", "drums"), shares, strict=True))
    )
    assert result.accuracy_free_running == pytest.approx(sum(shares) / 3)
    assert evaluate(text_model(), text_batches(), WORDS).accuracy_by_channel is None


def test_music_has_onsets_and_no_words() -> None:
    model = tiny_vae(vocab_sizes=MELODY.vocab_sizes, max_steps=16)
    batch = batch_of([melody(TUNE), melody({2: 50})])
    result = evaluate(model, [batch], MELODY)
    decodings = rows(model.decode(model.encode(*batch[:2]).mean))
    assert result.onset_f1 == music_figures(rows(batch), decodings, MELODY)["onset_f1"]
    assert result.word_perplexity is result.bits_per_byte is result.bleu is None
    assert result.iw_word_perplexity is None
    assert math.isfinite(result.iw_nll)


def test_rows_leave_out_the_padding() -> None:
    batch = Batch(column([[5, 6, 7], [8, 0, 0]]), torch.tensor([3, 1]))
    assert [ids.tolist() for ids in rows(batch)] == [[[5], [6], [7]], [[8]]]


# The likelihood by importance sampling


@pytest.fixture(scope="module", params=[1, 2], ids=lambda latent_dim: f"latent_dim_{latent_dim}")
def known(request: pytest.FixtureRequest) -> Worth:
    return worth(request.param)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def watched(model: SequenceVAE, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each call of the decoder from here on."""
    calls: list[int] = []
    token_nll = model.decoder.token_nll

    def watch(z: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        calls.append(len(ids))
        return token_nll(z, ids)

    monkeypatch.setattr(model.decoder, "token_nll", watch)
    return calls


def test_the_quadrature_has_converged(known: Worth) -> None:
    for num_steps in (1, 2, 3):
        evidence = (-known.nll[known.batch.lengths == num_steps]).exp()
        assert evidence.sum().item() == pytest.approx(1, abs=1e-6)
    for exact, function in ((-known.nll, log_evidence), (known.neg_elbo, neg_elbo)):
        coarse = function(known.model, known.batch, spacing=0.2)
        torch.testing.assert_close(coarse, exact, rtol=0, atol=5e-4)  # the finer one errs far less
    assert (known.neg_elbo - known.nll).min() > 0.05


def test_importance_weights_find_the_evidence_of_every_sequence(known: Worth) -> None:
    estimate = importance_weighted_nll(known.model, known.batch, 4000, seeded())
    error = estimate.variance.sqrt()
    assert estimate.nll.shape == estimate.variance.shape == (39,)
    assert error.max() < 0.1 * (known.neg_elbo - known.nll).min() + 0.05  # the check has power
    assert ((estimate.nll - known.nll).abs() < 5 * error).all()
    assert abs((estimate.nll - known.nll).sum()) < 5 * estimate.variance.sum().sqrt()


def test_one_sample_is_the_bound(known: Worth) -> None:
    num_copies = 2000
    estimate = importance_weighted_nll(known.model, known.copies(num_copies), 1, seeded())
    draws = estimate.nll.view(39, num_copies)
    error = draws.std(1) / math.sqrt(num_copies)
    assert ((draws.mean(1) - known.neg_elbo).abs() < 5 * error).all()
    assert (known.neg_elbo - known.nll).median() > 5 * error.max()


def test_more_samples_give_a_tighter_bound(known: Worth) -> None:
    means, errors = [], []
    for num_samples in (1, 4, 16):
        estimate = importance_weighted_nll(known.model, known.copies(100), num_samples, seeded())
        draws = estimate.nll.view(39, 100).mean(0)  # of the mean over the sequences
        means.append(draws.mean().item())
        errors.append(draws.std().item() / 10)
    for before, after, error in zip(means, means[1:], errors, strict=False):
        assert before - after > 3 * error
    assert means[-1] > known.nll.mean() - 5 * errors[-1]
    assert means[-1] < known.nll.mean() + 0.1


def test_the_standard_error_is_the_scatter_of_the_estimates(known: Worth) -> None:
    num_copies = 100
    estimate = importance_weighted_nll(known.model, known.copies(num_copies), 100, seeded())
    scatter = estimate.nll.view(39, num_copies).var(1)
    told = estimate.variance.view(39, num_copies).mean(1)
    assert told.mean().item() == pytest.approx(scatter.mean().item(), rel=0.1)
    # Of one sequence, 100 copies tell the variance to 14 %.
    assert ((told / scatter - 1).abs() < 0.75).all()


def test_the_standard_error_of_the_split_is_the_scatter_over_seeds() -> None:
    model = forget(text_model())
    figures = [
        evaluate(model, text_batches(), WORDS, iw_samples=40, seed=seed) for seed in range(40)
    ]
    scatter = np.std([result.iw_nll for result in figures], ddof=1)
    told = np.mean([result.iw_nll_stderr for result in figures])
    assert told == pytest.approx(scatter, rel=0.3)  # 40 seeds tell it to 11 %
    assert figures[0].iw_samples == 40


@pytest.mark.parametrize(
    ("vocab_sizes", "latent_dim", "num_samples"), [((3,), 1, 7), ((4,), 3, 20), ((2, 3), 2, 11)]
)
@torch.no_grad()
def test_importance_weighting_equals_a_slow_loop(
    vocab_sizes: tuple[int, ...], latent_dim: int, num_samples: int
) -> None:
    model = tiny_vae(vocab_sizes=vocab_sizes, latent_dim=latent_dim)
    ids, lengths = random_ids(vocab_sizes, 5, 6), torch.tensor([6, 1, 4, 3, 6])
    noise = torch.empty(5 * num_samples, latent_dim).normal_(generator=seeded(3))
    noise = noise.view(5, num_samples, latent_dim).double()
    q = model.encode(ids, lengths)
    prior = Independent(Normal(torch.zeros(latent_dim).double(), 1.0), 1)
    expected, variance = [], []
    for b, length in enumerate(lengths.tolist()):
        posterior = Independent(Normal(q.mean[b].double(), q.log_stddev[b].double().exp()), 1)
        weights = []
        for k in range(num_samples):
            z = q.mean[b].double() + q.log_stddev[b].double().exp() * noise[b, k]
            log_weight = prior.log_prob(z) - posterior.log_prob(z)
            logits = model.decoder(z.float()[None], ids[b : b + 1])
            for c, channel in enumerate(logits):
                steps = Categorical(logits=channel[0, :length].double())
                log_weight += steps.log_prob(ids[b, :length, c]).sum()
            weights.append(log_weight.item())
        relative = np.exp(np.array(weights) - max(weights))
        expected.append(-max(weights) - math.log(relative.mean()))
        variance.append(np.var(relative / relative.mean(), ddof=1) / num_samples)
    estimate = importance_weighted_nll(model, Batch(ids, lengths), num_samples, seeded(3))
    double = torch.float64  # but the network, which is float32
    torch.testing.assert_close(
        estimate.nll, torch.tensor(expected, dtype=double), rtol=1e-5, atol=0
    )
    torch.testing.assert_close(
        estimate.variance, torch.tensor(variance, dtype=double), rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize(("max_elements", "num_rows"), [(72 * 13, 13), (72 * 13 + 71, 13), (8, 1)])
def test_memory_is_bounded_whatever_the_batch_and_the_samples(
    known: Worth, monkeypatch: pytest.MonkeyPatch, max_elements: int, num_rows: int
) -> None:
    monkeypatch.setattr(metrics, "MAX_ELEMENTS", max_elements)  # a row: 3 steps of 24 gates
    calls = watched(known.model, monkeypatch)
    num_samples = 100 if num_rows > 1 else 5
    estimate = importance_weighted_nll(known.model, known.batch, num_samples, seeded())
    assert max(calls) == num_rows
    assert sum(calls) == 39 * num_samples
    if num_rows > 1:  # chunks end amid a sequence, and each weight still goes to its own
        error = estimate.variance.sqrt()
        assert ((estimate.nll - known.nll).abs() < 5 * error).all()
        assert abs((estimate.nll - known.nll).sum()) < 5 * estimate.variance.sum().sqrt()


def test_one_pass_does_where_it_fits(known: Worth, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = watched(known.model, monkeypatch)
    importance_weighted_nll(known.model, known.batch, 20, seeded())
    assert calls == [39 * 20]


def test_padding_changes_no_importance_weight(known: Worth) -> None:
    ids, lengths = known.batch[:2]
    plain = importance_weighted_nll(known.model, known.batch, 10, seeded())
    longer = torch.nn.functional.pad(ids, (0, 0, 0, 4), value=1)
    beyond = torch.arange(7) >= lengths[:, None]
    longer = torch.where(beyond[..., None], 1, longer)  # another padding, and more of it
    assert not torch.equal(longer[:, :3], ids)
    padded = importance_weighted_nll(known.model, Batch(longer, lengths), 10, seeded())
    torch.testing.assert_close(padded.nll, plain.nll, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(padded.variance, plain.variance, rtol=1e-4, atol=1e-6)


def test_importance_weights_follow_the_generator_alone(known: Worth) -> None:
    before = torch.get_rng_state()
    draws = [
        importance_weighted_nll(known.model, known.batch, 3, seeded(seed)).nll for seed in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_language_model_is_exact_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_vae(vocab_sizes=(3,), latent_dim=0)
    ids, lengths = random_ids((3,), 6, 4), torch.tensor([4, 1, 2, 4, 3, 4])
    calls = watched(model, monkeypatch)
    estimate = importance_weighted_nll(model, Batch(ids, lengths), 500, seeded())
    assert calls == [6]
    with torch.no_grad():
        nll = sequence_nll(model.decoder(torch.zeros(6, 0), ids), ids, lengths)
    torch.testing.assert_close(estimate.nll, nll.double(), rtol=1e-6, atol=1e-6)
    assert (estimate.variance == 0).all()


@pytest.mark.parametrize("num_samples", [0, -3])
def test_no_samples_are_refused(known: Worth, num_samples: int) -> None:
    with pytest.raises(
        InputError, match=f"iw_samples is {num_samples}; it must be 1 or more"
    ) as no:
        importance_weighted_nll(known.model, known.batch, num_samples, seeded())
    assert "\n" not in str(no.value)


# The mutual information


def posteriors(mean: torch.Tensor, stddev: float | torch.Tensor) -> DiagonalGaussian:
    return DiagonalGaussian(mean, torch.as_tensor(stddev).log().expand_as(mean))


def random_posteriors(
    num_sequences: int, latent_dim: int, *, scale: float = 2.0
) -> DiagonalGaussian:
    generator = seeded(5)
    mean = scale * torch.randn(num_sequences, latent_dim, generator=generator)
    return DiagonalGaussian(mean, torch.randn(num_sequences, latent_dim, generator=generator))


def slow_mutual_information(
    posterior: DiagonalGaussian, group_size: int, generator: torch.Generator
) -> float:
    order = torch.randperm(len(posterior.mean), generator=generator)
    z = posterior.sample(generator).double()
    mean, stddev = posterior.mean.double(), posterior.log_stddev.double().exp()
    ratios = []
    for start in range(0, len(order), group_size):
        group = order[start : start + group_size]
        for i in group.tolist():
            log_q = Normal(mean[group], stddev[group]).log_prob(z[i]).sum(-1)
            own = Normal(mean[i], stddev[i]).log_prob(z[i]).sum()
            ratios.append(own - torch.log(log_q.exp().mean()))
    return torch.stack(ratios).mean().item()


@pytest.mark.parametrize(
    ("num_sequences", "latent_dim", "group_size"),
    [
        (40, 1, 40), (40, 3, 40), (40, 3, 32), (40, 3, 7), (40, 3, 1), (5, 2, 32),
        (2100, 2, 2100),  # more than is computed at a time
    ],
)  # fmt: skip
def test_mutual_information_equals_a_slow_loop(
    num_sequences: int, latent_dim: int, group_size: int
) -> None:
    posterior = random_posteriors(num_sequences, latent_dim)
    expected = slow_mutual_information(posterior, group_size, seeded(1))
    found = mutual_information(posterior, group_size, seeded(1))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)  # both in float64
    assert found > 0.2 or group_size == 1


@pytest.mark.parametrize("stddevs", [[1.0], [1.0, 0.5, 2.0], [0.3, 0.2], [1.5, 1.5, 1.5]], ids=str)
@pytest.mark.parametrize("noise", [1.0, 0.1])
def test_mutual_information_of_linear_gaussian_codes(stddevs: list[float], noise: float) -> None:
    """Means of these spreads under posteriors of one width: 0.5 sum log(1 + (spread / width)^2)."""
    spread = torch.tensor(stddevs)
    expected = 0.5 * torch.log1p(spread.square()).sum().item()
    mean = spread * torch.randn(4000, len(stddevs), generator=seeded())
    found = mutual_information(posteriors(noise * mean, noise), 4000, seeded(1))
    # A ratio scatters by less than 1.5 nats, so 0.025 is its error; 3 of them.
    assert found == pytest.approx(expected, abs=0.075)


def test_groups_of_32_saturate_where_the_aggregate_does_not() -> None:
    mean = 3.0 * torch.randn(4000, 4, generator=seeded())
    posterior = posteriors(mean, 1.0)
    expected = 2 * math.log1p(9)  # 4.6 nats; ln 32 is 3.5, ln 4000 is 8.3
    batch = mutual_information(posterior, 32, seeded())
    aggregate = mutual_information(posterior, 4000, seeded())
    assert 0.85 * math.log(32) < batch < math.log(32)
    assert aggregate == pytest.approx(expected, abs=0.15)  # 4000 points are few for four dimensions


@pytest.mark.parametrize("group_size", [1, 5, 32, 60, 1000])
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 1e4])
def test_mutual_information_never_exceeds_the_log_of_the_group(
    group_size: int, scale: float
) -> None:
    found = mutual_information(random_posteriors(60, 3, scale=scale), group_size, seeded())
    assert found <= math.log(min(group_size, 60)) + 1e-6  # rounding, of squares of 1e4


@pytest.mark.parametrize("log_stddev", [-3.0, -8.0, -15.0, -30.0])
def test_narrow_posteriors_tell_every_sequence_apart(log_stddev: float) -> None:
    mean = torch.randn(64, 3, generator=seeded())
    posterior = DiagonalGaussian(mean, torch.full_like(mean, log_stddev))
    found = mutual_information(posterior, 64, seeded())
    assert found == pytest.approx(math.log(64), abs=0.01 if log_stddev > -4 else 1e-5)


@pytest.mark.parametrize("group_size", [3, 32, 50])
def test_equal_posteriors_tell_nothing(group_size: int) -> None:
    posterior = posteriors(torch.tensor([[0.7, -3.0]]).expand(50, -1), 0.4)
    assert mutual_information(posterior, group_size, seeded()) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("num_sequences", "group_size", "expected"),
    [
        (40, 40, math.log(40)),
        (40, 1000, math.log(40)),
        (96, 32, math.log(32)),
        (40, 32, (32 * math.log(32) + 8 * math.log(8)) / 40),  # the rest has its own ceiling
        (33, 32, 32 * math.log(32) / 33),
        (1, 32, 0.0),
    ],
)
def test_separate_posteriors_tell_the_log_of_the_group(
    num_sequences: int, group_size: int, expected: float
) -> None:
    posterior = posteriors(100.0 * torch.arange(num_sequences)[:, None].expand(-1, 2), 0.5)
    found = mutual_information(posterior, group_size, seeded())
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_groups_are_drawn_at_random() -> None:
    halves = torch.arange(1000)[:, None] // 500 * 1000.0  # a split is sorted by length
    found = mutual_information(posteriors(halves, 1.0), 10, seeded())
    # A group of ten with k of the one kind tells the entropy of k / 10; k is almost binomial.
    chance = [math.comb(10, k) / 2**10 for k in range(11)]
    entropy = [-sum(p * math.log(p) for p in (k / 10, 1 - k / 10) if p > 0) for k in range(11)]
    expected = sum(p * h for p, h in zip(chance, entropy, strict=True))
    assert found == pytest.approx(expected, abs=0.03)
    assert mutual_information(posteriors(halves, 1.0), 1000, seeded()) == pytest.approx(math.log(2))


@pytest.mark.parametrize("shape", [(7, 0), (0, 3), (0, 0)])
def test_nothing_tells_nothing(shape: tuple[int, int]) -> None:
    assert mutual_information(posteriors(torch.zeros(shape), 1.0), 32, seeded()) == 0


# Both in the figures of a split

MANY = [
    f"{a} {b} {c}" for a in ("the", "a") for b in ("cat", "sat", "naïve") for c in LINES
] + LINES


def many_batches() -> list[Batch]:
    ids = [WORDS.encode(line) for line in dict.fromkeys([*MANY, *(f"{m} cat" for m in MANY)])]
    return [batch_of(ids[i : i + 10]) for i in range(0, 40, 10)]


@torch.no_grad()
def test_figures_of_information_are_those_of_the_whole_split() -> None:
    model = tiny_vae(vocab_sizes=WORDS.vocab_sizes, eos_id=WORDS.eos_id, max_steps=12)
    model.encoder.posterior.weight[:3] *= 100
    model.encoder.posterior.weight[3:] = 0
    model.encoder.posterior.bias[3:] = -5
    result = evaluate(model, many_batches(), WORDS, iw_samples=2)
    assert result.num_sequences == 40
    assert result.mi_aggregate_ceiling == pytest.approx(math.log(40))
    assert result.mi_batch_ceiling == pytest.approx(math.log(32))
    assert result.mi_aggregate == pytest.approx(math.log(40), abs=1e-6)
    in_groups = (32 * math.log(32) + 8 * math.log(8)) / 40
    assert result.mi_batch == pytest.approx(in_groups, abs=1e-6)


def test_a_small_split_has_the_log_of_its_size_as_both_ceilings() -> None:
    result = evaluate(text_model(), text_batches(), WORDS, iw_samples=2)
    assert result.mi_aggregate_ceiling == result.mi_batch_ceiling == pytest.approx(math.log(4))
    for estimate in (result.mi_aggregate, result.mi_batch):  # noisy; below 0 too
        assert -1 < estimate < math.log(4)
        assert estimate != 0


def test_a_posterior_equal_to_the_prior_tells_nothing() -> None:
    result = evaluate(forget(text_model()), text_batches(), WORDS, iw_samples=2)
    assert result.mi_aggregate == pytest.approx(0, abs=1e-9)
    assert result.mi_batch == pytest.approx(0, abs=1e-9)


def test_a_validation_needs_no_importance_weights() -> None:
    tally = Tally(text_model())
    for batch in text_batches():
        tally.update(batch)
    result = tally.result()
    assert result.iw_nll is result.iw_nll_stderr is result.iw_samples is None
    assert result.iw_word_perplexity is None
    assert result.mi_aggregate != 0


def test_the_weighted_likelihood_is_at_most_the_bound_and_gives_its_perplexity() -> None:
    model = text_model()
    figures = [
        evaluate(model, text_batches(), WORDS, iw_samples=50, seed=seed) for seed in range(30)
    ]
    difference = np.array([result.neg_elbo - result.iw_nll for result in figures])
    assert difference.mean() > 3 * difference.std(ddof=1) / math.sqrt(30)
    for result in figures:
        assert result.iw_word_perplexity == pytest.approx(math.exp(4 * result.iw_nll / 16))
        assert result.word_perplexity == pytest.approx(math.exp(4 * result.neg_elbo / 16))
        assert 0 < result.iw_nll_stderr < 2


def test_the_weighted_likelihood_of_a_split_is_the_evidence(known: Worth) -> None:
    ids, lengths = known.batch[:2]
    batches = [Batch(ids[i::4], lengths[i::4]) for i in range(4)]
    result = evaluate(known.model, batches, THREE, iw_samples=2000)
    assert result.iw_nll_stderr < 0.01
    assert abs(result.iw_nll - known.nll.mean().item()) < 5 * result.iw_nll_stderr


def test_a_language_model_has_one_likelihood_and_no_code() -> None:
    model = tiny_vae(vocab_sizes=WORDS.vocab_sizes, eos_id=WORDS.eos_id, max_steps=8, latent_dim=0)
    result = evaluate(model, text_batches(), WORDS)
    assert result.iw_nll == pytest.approx(result.neg_elbo, rel=1e-6)
    assert result.iw_word_perplexity == pytest.approx(result.word_perplexity, rel=1e-6)
    assert result.iw_nll_stderr == result.kl == 0
    assert result.mi_aggregate == result.mi_batch == result.active_units == 0
