import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import random_ids, tiny_vae

from seqvae.data import Batch
from seqvae.decoder import Sampling, Sequences
from seqvae.metrics import (
    Tally,
    active_units,
    evaluate,
    hits,
    onset_f1,
    rows,
    text_figures,
)
from seqvae.model import SequenceVAE
from seqvae.objective import sequence_nll
from seqvae.tokenizers.contract import Ids
from seqvae.tokenizers.melody import FIRST_PITCH, NOTE_OFF, MelodyTokenizer
from seqvae.tokenizers.words import WordTokenizer

LINES = ["the cat sat", "the naïve cat", "sat", "a cat sat a cat"]
WORDS = WordTokenizer().train(LINES)
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
    model.encoder.posterior.weight[model.latent_dim :] = 0
    model.encoder.posterior.bias[model.latent_dim :] = -30
    return model


class Scripted(SequenceVAE):
    """A model whose free-running decodings are given, one batch after the other."""

    script: list[Sequences]

    def decode(
        self,
        z: torch.Tensor,
        sampling: Sampling | None = None,
        generator: torch.Generator | None = None,
    ) -> Sequences:
        return self.script.pop(0)


def scripted(script: list[Sequences], vocab_sizes: tuple[int, ...]) -> Scripted:
    model = Scripted(**tiny_vae(vocab_sizes=vocab_sizes).settings).eval()
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
        q = model.encode(*batch)
        logits = model.decoder(q.mean, batch.ids)
        nll.append(sequence_nll(logits, *batch).item())
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
    num_bytes = 11 + 14 + 3 + 15  # without line ends; the i of naïve takes two
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
    assert result.bits_per_byte == pytest.approx(nats / math.log(2) / 43, rel=1e-6)


def test_text_figures_by_hand() -> None:
    originals = [WORDS.encode(line) for line in LINES[:2]]  # 3 + 1 and 3 + 1 words, 25 bytes
    figures = text_figures(originals, originals, WORDS, total_nats=40.0)
    assert figures["word_perplexity"] == pytest.approx(math.exp(5))
    assert figures["bits_per_byte"] == pytest.approx(40 / math.log(2) / 25)


def test_bleu_of_equal_and_of_other_lines() -> None:
    originals = [WORDS.encode(line) for line in ("a cat sat a cat", "the cat sat a cat")]
    others = [WORDS.encode(line) for line in ("the the the the", "the the the")]
    assert text_figures(originals, originals, WORDS, 1.0)["bleu"] == pytest.approx(100)
    assert text_figures(originals, others, WORDS, 1.0)["bleu"] < 10


def test_perplexity_of_a_diverged_model_is_finite() -> None:
    ids = [WORDS.encode("sat")]
    assert math.isfinite(text_figures(ids, ids, WORDS, total_nats=1e6)["word_perplexity"])


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
    means = torch.cat([model.encode(*batch).mean for batch in text_batches(1)])
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
    assert onset_f1(*pairs, MELODY) == pytest.approx(expected)


def test_onset_f1_heeds_onsets_and_not_ends() -> None:
    held = melody({0: 60})
    held[1] = 0
    assert onset_f1([melody({0: 60})], [held], MELODY) == 1


def test_music_has_onsets_and_no_words() -> None:
    model = tiny_vae(vocab_sizes=MELODY.vocab_sizes, max_steps=16)
    batch = batch_of([melody(TUNE), melody({2: 50})])
    result = evaluate(model, [batch], MELODY)
    decodings = rows(model.decode(model.encode(*batch).mean))
    assert result.onset_f1 == onset_f1(rows(batch), decodings, MELODY)
    assert result.word_perplexity is result.bits_per_byte is result.bleu is None


def test_rows_leave_out_the_padding() -> None:
    batch = Batch(column([[5, 6, 7], [8, 0, 0]]), torch.tensor([3, 1]))
    assert [ids.tolist() for ids in rows(batch)] == [[[5], [6], [7]], [[8]]]
