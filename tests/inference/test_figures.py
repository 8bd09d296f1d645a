"""Figures of decoded texts and pieces, by hand."""

import math

import numpy as np
import pytest
import sacrebleu
from tiny_split import LINES, MELODY, TUNE, WORDS, melody

from seqvae.inference.figures import MusicPairs, TextPairs, sample_figures
from seqvae.music.features import melody_bass_consonance, overlap, scale_share
from seqvae.music.notes import Piece, make_notes
from seqvae.tokenizers.contract import Example, Ids, MusicTokenizer
from seqvae.tokenizers.groove import GrooveTokenizer
from seqvae.tokenizers.lines import FIRST_PITCH
from seqvae.tokenizers.polyphony import PolyphonyTokenizer
from seqvae.tokenizers.trio import TrioTokenizer
from seqvae.tokenizers.voices import VoicesTokenizer
from seqvae.tokenizers.words import WordTokenizer


def text(
    originals: list[Ids], decodings: list[Ids], tokenizer: WordTokenizer, nats: dict[str, float]
) -> dict[str, float]:
    """The figures of pairs that come one by one."""
    pairs = TextPairs(tokenizer)
    for original, decoding in zip(originals, decodings, strict=True):
        pairs.add([original], [decoding])
    return pairs.figures(nats)


def music(
    originals: list[Ids], decodings: list[Ids], tokenizer: MusicTokenizer
) -> dict[str, float]:
    pairs = MusicPairs(tokenizer)
    for original, decoding in zip(originals, decodings, strict=True):
        pairs.add([original], [decoding])
    return pairs.figures()


def test_text_figures_by_hand() -> None:
    originals = [WORDS.encode(line) for line in LINES[:2]]  # 3 + 1 and 3 + 1 words, 25 + 2 bytes
    figures = text(originals, originals, WORDS, nats={"neg_elbo": 40.0, "iw_nll": 24.0})
    assert figures["word_perplexity"] == pytest.approx(math.exp(5))
    assert figures["iw_word_perplexity"] == pytest.approx(math.exp(3))
    assert figures["bits_per_byte"] == pytest.approx(40 / math.log(2) / 27)


def test_bleu_of_equal_and_of_other_lines() -> None:
    originals = [WORDS.encode(line) for line in ("a cat sat a cat", "the cat sat a cat")]
    others = [WORDS.encode(line) for line in ("the the the the", "the the the")]
    nats = {"neg_elbo": 1.0, "iw_nll": 1.0}
    assert text(originals, originals, WORDS, nats)["bleu"] == pytest.approx(100)
    assert text(originals, others, WORDS, nats)["bleu"] < 10
    # as over the whole corpus, also where no sequence of four words is right
    for guesses in (["a cat sat a the", "the cat sat a cat"], ["a cat the sat a", "cat the a a"]):
        decodings = [WORDS.encode(guess) for guess in guesses]
        texts = [WORDS.decode(ids) for ids in originals]
        expected = sacrebleu.corpus_bleu(guesses, [texts]).score
        assert text(originals, decodings, WORDS, nats)["bleu"] == pytest.approx(expected)


def test_perplexity_of_a_diverged_model_is_finite() -> None:
    ids = [WORDS.encode("sat")]
    figures = text(ids, ids, WORDS, nats={"neg_elbo": 1e6, "iw_nll": 1e6})
    assert math.isfinite(figures["word_perplexity"])
    assert math.isfinite(figures["iw_word_perplexity"])


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
    assert music(*pairs, MELODY)["onset_f1"] == pytest.approx(expected)


def test_onset_f1_heeds_onsets_and_not_ends() -> None:
    held = melody({0: 60})
    held[1] = 0
    assert music([melody({0: 60})], [held], MELODY)["onset_f1"] == 1


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
    figures = music([original], [decoding], groove)
    assert figures["onset_f1"] == pytest.approx(2 * 2 / (3 + 3))
    assert figures["velocity_error"] == pytest.approx((10 + 20) / 2)
    assert figures["velocity_error_constant"] == pytest.approx((0 + 20) / 2)
    assert figures["timing_error_ms"] == pytest.approx((0 + 0.2 * 125) / 2, rel=1e-5)
    assert "duration_within_step" not in figures
    polyphony = PolyphonyTokenizer(num_bars=1, num_velocity_bins=127)
    notes, louder = np.zeros((2, 16, 24), np.int64)
    notes[0, :3], notes[5, :3], notes[8, :3] = (61, 3, 9), (63, 3, 19), (65, 3, 9)
    louder[0, :3], louder[5, :3], louder[9, :3] = (61, 4, 14), (63, 5, 27), (65, 3, 9)
    assert music([notes], [louder], polyphony) == {
        "onset_f1": pytest.approx(2 / 3), "duration_within_step": 0.5, "velocity_error": 6.5,
        "velocity_error_constant": 5.0,
    }  # fmt: skip
    assert music([melody(TUNE)], [melody(TUNE)], MELODY) == {
        "onset_f1": 1, "duration_within_step": 1
    }  # fmt: skip
    assert music([original], [0 * original], groove) == {"onset_f1": 0}


def test_an_onset_of_another_voice_is_no_hit() -> None:
    trio = TrioTokenizer(num_bars=1)
    melody_only, bass_only = np.zeros((2, 16, 3), np.int64)
    melody_only[0, 0] = FIRST_PITCH + 40 - MELODY.min_pitch
    bass_only[0, 1] = FIRST_PITCH + 40 - MELODY.min_pitch
    pitches = [
        trio.decode(Example(ids)).notes["pitch"].tolist() for ids in (melody_only, bass_only)
    ]
    assert pitches == [[40], [40]]
    assert music([melody_only], [bass_only], trio)["onset_f1"] == 0
    assert music([melody_only], [melody_only], trio)["onset_f1"] == 1


def tune(*pitches: int) -> Piece:
    """A quarter per pitch."""
    starts = 4 * np.arange(len(pitches))
    return Piece(make_notes(starts, starts + 4, pitches), 4, num_steps=16)


def duet(melody_pitch: int, bass_pitch: int) -> Piece:
    notes = make_notes([0, 0], [16, 16], [bass_pitch, melody_pitch], track=[1, 0])
    return Piece(notes, 4, num_steps=16)


C_MAJOR = [tune(60, 62, 64, 65), tune(67, 65, 64, 62), tune(72, 71, 69, 67)]
OTHERS = [tune(60, 64, 67, 72), tune(62, 62, 65, 65), tune(59, 60, 59, 60)]
SILENCE = Piece(make_notes([], [], []), 4, num_steps=16)


def test_silence_scores_nothing() -> None:
    figures = sample_figures([SILENCE] * 3, C_MAJOR, OTHERS)
    assert {reached for reached, _ in figures["overlap"].values()} == {0}
    assert min(ceiling for _, ceiling in figures["overlap"].values()) > 0
    assert figures["scale_share"] == (0, 1)
    assert figures["music_windows"] == 3


def test_samples_and_ceiling_are_measured_in_the_same_way() -> None:
    figures = sample_figures(OTHERS, C_MAJOR, OTHERS)
    assert {reached == ceiling for reached, ceiling in figures["overlap"].values()} == {True}
    perfect = sample_figures(C_MAJOR, C_MAJOR, OTHERS)
    expected = overlap(OTHERS, C_MAJOR)
    assert perfect["overlap"] == {name: (pytest.approx(1), area) for name, area in expected.items()}
    assert max(expected.values()) < 1.0 or min(expected.values()) < 0.9


def test_harmony_of_samples_stands_before_that_of_data() -> None:
    chromatic, out_of_key = [tune(60, 61, 62, 63), tune(60, 62, 64, 65)], [tune(60, 61, 60, 62)] * 2
    figures = sample_figures(chromatic, C_MAJOR[:2], out_of_key)
    expected = sum(scale_share(piece) for piece in chromatic) / 2
    assert figures["scale_share"] == (pytest.approx(expected), 1)
    assert expected < 1
    assert "consonance" not in figures  # one voice
    thirds, seconds = [duet(64, 48), duet(67, 48)], [duet(62, 48), duet(64, 48)]
    assert sample_figures(seconds, thirds, thirds)["consonance"] == (0.5, 1)
    assert [melody_bass_consonance(piece) for piece in seconds] == [0, 1]
    assert sample_figures(seconds, thirds, thirds)["crossing"] == (0, 0)
    assert sample_figures(C_MAJOR[:2], thirds, thirds)["consonance"] == (0, 1)
    drums = [Piece(make_notes([0], [1], [36], is_drum=True), 4)]
    assert (
        not {"scale_share", "consonance", "crossing"} & sample_figures(drums, drums, drums).keys()
    )


def test_onsets_of_voices_count_whichever_voice_has_them() -> None:
    voices = VoicesTokenizer(num_bars=1, num_voices=2)
    ids = np.zeros((16, 2), np.int64)
    ids[[0, 8]] = [[29, 41], [31, 41]]
    assert music([ids], [ids[:, ::-1]], voices) == {
        "onset_f1": 1,
        "duration_within_step": 1,
    }
    ids[8] = 0
    assert music([ids], [np.zeros_like(ids)], voices) == {"onset_f1": 0}


def test_bars_of_samples_resemble_each_other_as_measured() -> None:
    def two_bars(*onsets: int) -> Piece:
        return Piece(make_notes(onsets, np.array(onsets) + 1, 60), 4, num_steps=32)

    alike, half = two_bars(0, 8, 16, 24), two_bars(0, 8, 16)  # 2 of 2, and 1 of 2
    figures = sample_figures([half, alike], [alike, alike], [alike, half])
    assert figures["self_similarity"] == (0.75, 1)
    assert "self_similarity" not in sample_figures(C_MAJOR, C_MAJOR, OTHERS)  # single bars
