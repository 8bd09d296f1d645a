"""Subwords: nothing of a text is lost, whatever it holds."""

import json
import logging
import random
from pathlib import Path

import numpy as np
import pytest

from seqvae.errors import InputError
from seqvae.tokenizers import load_tokenizer, save_tokenizer, text
from seqvae.tokenizers.text import NUM_RESERVED, SubwordTokenizer, sample_lines

LINES = [
    "A man in a blue shirt is standing on a ladder cleaning a window.",
    "Two young, White males are outside near many bushes.",
    "A little girl climbing into a wooden playhouse.",
    "Several men in hard hats are operating a giant pulley system.",
    "A boy in front of the television wearing headphones.",
    "Une fille déguste un café à côté d'un château.",
    "Ein Mädchen übt Flöte, während ihr Bruder Öl prüft.",
] * 3

HARD = [
    "",
    " ",
    "    ",
    "word",
    " a leading space",
    "   three leading spaces",
    "a trailing space ",
    "trailing spaces   ",
    "two  double  spaces",
    "a\ttab\t\tand two",
    "\t",
    "café naïve Ångström œuvre",
    "cafe\u0301 with a combining accent",
    "你好\uff0c世界",
    "日本語とカタカナ",
    "Привет, мир",
    "שלום עולם",
    "😀 and 👨‍👩‍👧‍👦 and 🏳️‍🌈",
    "½ ² ™ ﬁ \uff11\uff12 \u2126",  # what NFKC would fold
    "no\u00a0break, ideographic\u3000space, zero\u200bwidth, line\u2028separator",
    "</s> <s> <unk> <0x41> <pad>",
    "control \x01\x02 \x0b \x0c \x1f",
    "\ufeffbom and \ufffd",
    "private \ue000 and astral \U000e0001",
    "x" * 3000,
    "never-seen ŽŠČ ψ ☂ ☃ \U0001d518\U0001d52b\U0001d526\U0001d520\U0001d52c\U0001d521\U0001d522",
    "0123456789 !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
]


@pytest.fixture(scope="module")
def subwords() -> SubwordTokenizer:
    return SubwordTokenizer(vocab_size=350).train(LINES)


def ids_of(tokenizer: SubwordTokenizer, text: str) -> list[int]:
    ids = tokenizer.encode(text)
    assert ids.shape == (len(ids), 1)
    assert ids.dtype == np.int64
    return ids[:, 0].tolist()


@pytest.mark.parametrize("line", HARD, ids=lambda line: ascii(line)[:30])
def test_hard_lines_are_lossless(subwords: SubwordTokenizer, line: str) -> None:
    ids = ids_of(subwords, line)
    assert subwords.decode(np.array(ids)[:, None]) == line
    assert ids[-1] == subwords.eos_id
    assert ids.count(subwords.eos_id) == 1
    assert max(ids) < subwords.vocab_sizes[0]


def test_the_one_exception_is_the_mark_for_spaces(subwords: SubwordTokenizer) -> None:
    """U+2581, by which SentencePiece itself writes a space."""
    assert subwords.decode(subwords.encode("a\u2581b")) == "a b"


def test_captions_are_lossless(data_folder: Path) -> None:
    file = data_folder / "text" / "multi30k_en" / "val.en"
    lines = file.read_text(encoding="utf-8").splitlines()
    tokenizer = SubwordTokenizer(vocab_size=1000).train(lines[:500])
    assert len(lines) == 1014
    assert tokenizer.vocab_sizes == (1000,)
    for line in lines:
        assert tokenizer.decode(tokenizer.encode(line)) == line
    lengths = [len(tokenizer.encode(line)) for line in lines]
    assert np.mean(lengths) < 30  # subwords, not bytes


def test_random_text_is_lossless(subwords: SubwordTokenizer) -> None:
    rng = random.Random(0)
    alphabets = ["ab \t", " éàü", "你好世界 ", "😀👍🏽\u200d ", "".join(map(chr, range(1, 0x250)))]
    for _ in range(300):
        alphabet = rng.choice(alphabets)
        line = "".join(rng.choice(alphabet) for _ in range(rng.randrange(40)))
        assert subwords.decode(subwords.encode(line)) == line


def test_what_follows_eos_is_ignored(subwords: SubwordTokenizer) -> None:
    ids = subwords.encode("Two young males")
    longer = np.concatenate([ids, subwords.encode("more")])
    assert subwords.decode(longer) == "Two young males"
    assert subwords.decode(ids[:-1]) == "Two young males"  # a model may never end a line
    assert subwords.decode(ids[-1:]) == ""
    assert subwords.show(ids) == "Two young males"


def test_the_vocabulary_is_lowered_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        tokenizer = SubwordTokenizer(vocab_size=4000).train(["a b", "c d", "e"])
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    size = tokenizer.vocab_size
    assert record.getMessage() == (
        f"vocab_size lowered from 4000 to {size}: the corpus has no more subwords"
    )
    assert tokenizer.vocab_sizes == (size,)
    assert NUM_RESERVED < size < 300
    assert max(ids_of(tokenizer, "a b c d e ~ é")) < size
    assert tokenizer.decode(tokenizer.encode("hello, wörld")) == "hello, wörld"


def test_a_vocabulary_that_fits_gives_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        SubwordTokenizer(vocab_size=300).train(LINES)
    assert caplog.records == []


@pytest.mark.parametrize("lines", [[], [""], ["", ""]])
def test_nothing_to_learn_from_is_an_input_error(lines: list[str]) -> None:
    with pytest.raises(InputError, match="no vocabulary of 4000 subwords can be learned"):
        SubwordTokenizer(vocab_size=4000).train(lines)


def test_training_is_deterministic(subwords: SubwordTokenizer) -> None:
    again = SubwordTokenizer(vocab_size=350).train(iter(LINES))
    assert again == subwords
    assert again.proto == subwords.proto


def test_training_leaves_the_settings_alone() -> None:
    settings = SubwordTokenizer(vocab_size=300, max_steps=10)
    trained = settings.train(LINES)
    assert settings.proto == b""
    assert (trained.vocab_size, trained.max_steps) == (300, 10)


def test_subwords_survive_json(subwords: SubwordTokenizer, tmp_path: Path) -> None:
    again = SubwordTokenizer.from_json(json.loads(json.dumps(subwords.to_json())))
    assert again == subwords
    for line in [*HARD, *LINES]:
        assert ids_of(again, line) == ids_of(subwords, line)
    save_tokenizer(subwords, tmp_path)
    assert load_tokenizer(tmp_path) == subwords


def test_text_is_not_augmented(subwords: SubwordTokenizer) -> None:
    ids = subwords.encode("Two young")[None]
    assert (subwords.augment(ids, np.random.default_rng(0)) == ids).all()


def test_a_vocabulary_is_learned_from_a_sample_of_too_many_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a sorted corpus the first lines would say nothing of the last ones."""
    latin = [f"{a}{b} cab" for a in "abcd" for b in "efgh"] * 20
    greek = [f"{a}{b} \u03b2\u03b1\u03b3" for a in "\u03b1\u03b2\u03b3\u03b4" for b in "efgh"] * 20
    monkeypatch.setattr(text, "MAX_LINES", 200)
    trained = SubwordTokenizer(vocab_size=275).train(iter(latin + greek))
    assert SubwordTokenizer(vocab_size=275).train(iter(latin + greek)) == trained
    assert (
        SubwordTokenizer(vocab_size=275).train(sample_lines(latin + greek, 200, 10**6)) == trained
    )
    assert SubwordTokenizer(vocab_size=275).train(latin[:200]) != trained
    for word in ("cab", "\u03b2\u03b1\u03b3"):
        assert min(ids_of(trained, word)[:-1]) >= NUM_RESERVED  # not spelled in bytes


def test_samples_of_lines_are_uniform() -> None:
    lines = [str(number) for number in range(1000)]
    assert sample_lines(lines, 1000, 10**6) == lines
    assert sample_lines(lines, 2000, 10**6) == lines
    sample = sample_lines(iter(lines), 200, 10**6)
    assert sample == sample_lines(lines, 200, 10**6)
    assert len(sample) == len(set(sample)) == 200
    assert sample == sorted(sample, key=int)
    counts = np.bincount([int(line) // 200 for line in sample], minlength=5)
    # Binomial with mean 40 and deviation 5 in each fifth, of which 4 are allowed.
    assert (np.abs(counts - 40) < 20).all()


def test_samples_of_lines_are_bounded_in_characters() -> None:
    lines = [f"{number:010}" for number in range(1000)]
    sample = sample_lines(lines, 1000, 2000)
    assert sample == sample_lines(lines, 200, 10**6)
    # a line that is too long by itself leaves room for no other, but no corpus without a line
    assert sample_lines(["long" * 100], 1000, 10) == ["long" * 100]
