"""The figures of tiny models on tiny splits, against loops and closed forms."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from exact import worth
from tiny import tiny_vae
from tiny_split import (
    LINES,
    MELODY,
    TUNE,
    WORDS,
    batch_of,
    forget,
    melody,
    text_batches,
    text_model,
)

from seqvae.corpus.batches import Batch
from seqvae.inference import evaluation, metrics
from seqvae.inference.evaluation import Tally, evaluate
from seqvae.inference.figures import MusicPairs
from seqvae.inference.metrics import mutual_information, unpadded
from seqvae.model.config import Sampling
from seqvae.model.decoding import Sequences
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.objective import sequence_nll
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers.trio import TrioTokenizer
from seqvae.tokenizers.words import WordTokenizer

THREE = WordTokenizer().train(["a a"])  # an end, an unknown word, and a


MANY = [
    f"{a} {b} {c}" for a in ("the", "a") for b in ("cat", "sat", "naïve") for c in LINES
] + LINES


def column(tokens: list[list[int]]) -> torch.Tensor:
    return torch.tensor(tokens)[..., None]


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
    plain = tiny_vae(vocab_sizes=vocab_sizes)
    model = Scripted(plain.config, plain.steps).eval()
    model.script = script
    return model


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
    assert figures[0].accuracy_teacher_forced == figures[2].accuracy_teacher_forced
    assert figures[0].kl == figures[2].kl


@torch.no_grad()
def test_both_accuracies_are_those_of_the_posterior_mean() -> None:
    """Posteriors are so wide that a draw would give other accuracies."""
    model = text_model(std=1.5)
    assert model.encoder is not None
    model.encoder.posterior.bias[model.config.latent_dim :] = 2.0
    (batch,) = text_batches(4)
    ids, lengths = batch.ids, batch.lengths
    valid = torch.arange(ids.shape[1]) < lengths[:, None]

    def accuracies(z: torch.Tensor) -> tuple[float, float]:
        forced = model.decoder(z, ids)[0].argmax(-1) == ids[..., 0]
        running = metrics.hits(model.decode(z), batch)
        return float(forced[valid].double().mean()), float(running.sum() / lengths.sum())

    posterior = model.encode(ids, lengths)
    result = evaluate(model, [batch], WORDS)
    expected = accuracies(posterior.mean)
    found = (result.accuracy_teacher_forced, result.accuracy_free_running)
    assert found == pytest.approx(expected)
    draw = accuracies(posterior.sample(torch.Generator().manual_seed(0)))
    assert draw[0] != pytest.approx(expected[0])
    assert draw[1] != pytest.approx(expected[1])


def test_the_accuracy_of_a_constant_answer_by_hand() -> None:
    """Tokens 3 and 2 are the most frequent of two channels; padding is not counted."""
    first = torch.tensor([[[3, 2], [3, 1], [0, 0], [0, 0]], [[3, 2], [1, 2], [2, 1], [3, 0]]])
    second = torch.tensor([[[4, 2], [0, 0], [0, 0], [0, 0]]])
    batches = [Batch(first, torch.tensor([2, 4])), Batch(second, torch.tensor([1]))]
    model = tiny_vae(vocab_sizes=(5, 3), max_steps=4)
    tally = Tally(model)
    for batch in batches:
        tally.update(batch)
    assert tally.by_channel()[1] == pytest.approx([4 / 7, 4 / 7])
    assert tally.result().accuracy_constant == pytest.approx(8 / 14)
    by_channel, _ = tally.by_channel()
    assert tally.result().accuracy_free_running == pytest.approx(sum(by_channel) / 2)


def test_a_model_that_always_plays_nothing_reaches_the_constant_accuracy() -> None:
    model = tiny_vae(vocab_sizes=MELODY.vocab_sizes, max_steps=16)
    with torch.no_grad():
        model.decoder.heads.logits[0].bias[0] = 1000.0
    result = evaluate(model, [batch_of([melody(TUNE), melody({2: 50})])], MELODY, iw_samples=1)
    constant = pytest.approx(result.accuracy_constant)
    assert result.accuracy_free_running == result.accuracy_teacher_forced == constant
    assert result.accuracy_constant == pytest.approx(1 - (2 * 3 + 2) / 32)
    assert result.accuracy_constant_by_channel is None
    assert result.onset_f1 == 0


def test_mutual_information_of_a_large_split_rests_on_some_sequences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[DiagonalGaussian] = []

    def spy(posterior: DiagonalGaussian, group_size: int, generator: torch.Generator) -> float:
        seen.append(posterior)
        return mutual_information(posterior, group_size, generator)

    monkeypatch.setattr(evaluation, "mutual_information", spy)
    model = tiny_vae(vocab_sizes=WORDS.vocab_sizes, eos_id=WORDS.eos_id, max_steps=12)
    whole = evaluate(model, many_batches(), WORDS, iw_samples=1)
    monkeypatch.setattr(evaluation, "MAX_MI_SEQUENCES", 10)
    capped = [evaluate(model, many_batches(), WORDS, iw_samples=1, seed=s) for s in (0, 0, 1)]
    assert whole.mi_sequences == whole.num_sequences > 10
    for result in capped:
        assert result.mi_sequences == 10
        assert result.num_sequences == whole.num_sequences
        assert result.mi_aggregate_ceiling == result.mi_batch_ceiling == pytest.approx(math.log(10))
    assert capped[0].mi_aggregate == capped[1].mi_aggregate != capped[2].mi_aggregate
    everything = seen[0].mean
    drawn = seen[2]
    matches = (drawn.mean[:, None] == everything).all(-1)
    assert matches.any(1).all()
    places = matches.double().argmax(1)
    torch.testing.assert_close(drawn.log_stddev, seen[0].log_stddev[places])
    assert len({*places.tolist()}) > 5
    assert int(places.max()) >= 10  # not only the first


def test_a_table_has_a_line_per_figure() -> None:
    (batch,) = text_batches(4)
    result = evaluate(text_model(), [batch], WORDS, iw_samples=1)
    changed = replace(
        result, overlap={"intervals": (0.5, 0.75)}, scale_share=(0.25, 1.0), iw_nll_stderr=None,
        accuracy_by_channel={"bass": 0.125},
    )  # fmt: skip
    lines = [" ".join(line.split()) for line in changed.table().splitlines()]
    assert lines[0] == "num_sequences 4"
    assert "overlap, intervals 0.5000 of 0.7500" in lines
    assert "scale_share 0.2500 data 1.0000" in lines
    assert "accuracy_by_channel, bass 0.1250" in lines
    assert not [line for line in lines if "stderr" in line]
    assert len(lines) == len(changed.known())


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


@torch.no_grad()
def test_active_units_of_a_model_are_counted_over_the_whole_split() -> None:
    model = text_model()
    # The mean of the second dimension is its bias.
    model.encoder.posterior.weight[:3] *= torch.tensor([[10.0], [0.0], [10.0]])
    result = evaluate(model, text_batches(1), WORDS)  # one sequence a batch
    means = torch.cat([model.encode(*batch[:2]).mean for batch in text_batches(1)])
    assert (means.var(0) > 0.02).tolist() == [True, False, True]
    assert result.active_units == 2


@pytest.mark.parametrize("most", [1, 300])
def test_figures_do_not_depend_on_what_is_held_at_a_time(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    model = text_model(num_softmaxes=2)
    whole = evaluate(model, text_batches(4), WORDS, iw_samples=3)
    monkeypatch.setattr(evaluation, "MAX_SCORED_LOGITS", most)
    monkeypatch.setattr(metrics, "MAX_ELEMENTS", most)
    parts = evaluate(model, text_batches(4), WORDS, iw_samples=3)
    for name in ("nll", "accuracy_teacher_forced", "mi_aggregate", "mi_batch"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-5), name


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
    decodings = unpadded(model.decode(model.encode(*batch[:2]).mean))
    pairs = MusicPairs(MELODY)
    pairs.add(unpadded(batch), decodings)
    assert result.onset_f1 == pairs.figures()["onset_f1"]
    assert result.word_perplexity is result.bits_per_byte is result.bleu is None
    assert result.iw_word_perplexity is None
    assert math.isfinite(result.iw_nll)


def test_the_standard_error_of_the_split_is_the_scatter_over_seeds() -> None:
    model = forget(text_model())
    figures = [
        evaluate(model, text_batches(), WORDS, iw_samples=40, seed=seed) for seed in range(40)
    ]
    scatter = np.std([result.iw_nll for result in figures], ddof=1)
    told = np.mean([result.iw_nll_stderr for result in figures])
    assert told == pytest.approx(scatter, rel=0.3)  # 40 seeds tell it to 11 %
    assert figures[0].iw_samples == 40


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


@pytest.mark.parametrize("latent_dim", [1, 2])
def test_the_weighted_likelihood_of_a_split_is_the_evidence(latent_dim: int) -> None:
    known = worth(latent_dim)
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
