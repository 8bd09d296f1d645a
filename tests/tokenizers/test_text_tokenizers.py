"""Subwords, which lose nothing, and words, counted as the Penn Treebank literature does."""

import json
import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvae.errors import InputError
from seqvae.tokenizers import load_tokenizer, make_tokenizer, save_tokenizer
from seqvae.tokenizers.text import NUM_RESERVED, SubwordTokenizer
from seqvae.tokenizers.words import WordTokenizer

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


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def subwords(request: pytest.FixtureRequest) -> SubwordTokenizer:
    return SubwordTokenizer(vocab_size=350, model_type=request.param).train(LINES)


def ids_of(tokenizer: SubwordTokenizer | WordTokenizer, text: str) -> list[int]:
    ids = tokenizer.encode(text)
    assert ids.shape == (len(ids), 1)
    assert ids.dtype == np.int64
    return ids[:, 0].tolist()


# Subwords


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


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_captions_are_lossless(data_folder: Path, model_type: Any) -> None:
    file = data_folder / "text" / "multi30k_en" / "val.en"
    lines = file.read_text(encoding="utf-8").splitlines()
    tokenizer = SubwordTokenizer(vocab_size=1000, model_type=model_type).train(lines[:500])
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


def test_normalising_folds_variants_and_spaces() -> None:
    tokenizer = SubwordTokenizer(vocab_size=350, normalize=True).train(LINES)
    for line, folded in [
        ("  two   spaces ", "two spaces"),
        ("ﬁ \uff11\uff12 ²", "fi 12 2"),
        ("cafe\u0301", "café"),
        ("a\ttab", "a tab"),
    ]:
        assert tokenizer.decode(tokenizer.encode(line)) == folded


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
    again = SubwordTokenizer(vocab_size=350, model_type=subwords.model_type).train(iter(LINES))
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


# Words


def test_words_of_a_tiny_corpus() -> None:
    tokenizer = WordTokenizer().train(["the cat sat", "the cat", "the dog"])
    assert tokenizer.words == ("<eos>", "<unk>", "the", "cat", "dog", "sat")
    assert tokenizer.vocab_sizes == (6,)
    assert ids_of(tokenizer, "the dog sat") == [2, 4, 5, 0]
    assert ids_of(tokenizer, "") == [0]
    assert tokenizer.decode(tokenizer.encode("the dog sat")) == "the dog sat"
    assert tokenizer.decode(tokenizer.encode("  the   dog ")) == "the dog"
    assert tokenizer.show(tokenizer.encode("a cat")) == "<unk> cat"


def test_what_follows_eos_is_no_word() -> None:
    tokenizer = WordTokenizer().train(["a b"])
    assert tokenizer.decode(np.array([[2], [0], [3]])) == "a"
    assert tokenizer.decode(np.array([[2], [3]])) == "a b"


def test_unknown_words_are_one_id_each() -> None:
    tokenizer = WordTokenizer().train(["the cat <unk>", "<unk> sat <unk> <unk> <unk>"])
    assert tokenizer.words == ("<eos>", "<unk>", "cat", "sat", "the")
    assert ids_of(tokenizer, "the big fat <unk> cat") == [4, 1, 1, 1, 2, 0]
    assert tokenizer.decode(tokenizer.encode("big fat cat")) == "<unk> <unk> cat"


def test_an_end_written_in_the_text_ends_nothing() -> None:
    tokenizer = WordTokenizer().train(["a b <eos> c"])
    ids = ids_of(tokenizer, "a <eos> b")
    assert ids.count(tokenizer.eos_id) == 1
    assert ids[-1] == tokenizer.eos_id
    assert len(ids) == 4


def test_ties_do_not_depend_on_the_order_of_lines() -> None:
    lines = [f"w{i % 50:02d} x{i % 30:02d}" for i in range(200)]
    expected = WordTokenizer(vocab_size=20).train(lines)
    for seed in range(5):
        shuffled = random.Random(seed).sample(lines, len(lines))
        assert WordTokenizer(vocab_size=20).train(shuffled) == expected
    assert WordTokenizer(vocab_size=4).train(["b a d c"]).words[2:] == ("a", "b")


def test_the_most_frequent_words_are_kept() -> None:
    lines = ["a a a b b c"]
    assert WordTokenizer(vocab_size=4).train(lines).words == ("<eos>", "<unk>", "a", "b")
    assert WordTokenizer(vocab_size=3).train(lines).words == ("<eos>", "<unk>", "a")


def test_no_words_are_an_input_error() -> None:
    with pytest.raises(InputError, match="hold no words"):
        WordTokenizer().train(["", "  ", "<unk> <eos>"])


@pytest.mark.parametrize(
    "lines",
    [
        ["hello", "world", "again"],
        ["日本語とカタカナの長い文がここにあります。" * 20, "你好世界"],
        ["", "  word  ", "\tother\n"],
        [f"第{chr(0x4E00 + i)}句很长的话" for i in range(50)] + ["hello 世界"],
    ],
    ids=ascii,
)
def test_a_corpus_without_spaces_is_no_corpus_of_words(lines: list[str]) -> None:
    with pytest.raises(
        InputError, match=r"training lines are a single word that no other line has"
    ) as no:
        WordTokenizer().train(iter(lines))
    assert "data.tokenizer.kind text" in str(no.value)
    assert "\n" not in str(no.value)
    assert len(str(no.value)) < 200
    WordTokenizer().train([*lines, *["two words"] * len(lines)])  # some such lines are no harm


def test_the_treebank_is_counted_as_in_the_literature(data_folder: Path) -> None:
    lines = {
        name: (data_folder / "text" / "ptb" / f"{name}.txt").read_text().splitlines()
        for name in ("train", "valid", "test")
    }
    tokenizer = WordTokenizer(vocab_size=10_000, max_steps=100).train(lines["train"])
    assert tokenizer.vocab_sizes == (10_000,)
    # 929,589 / 73,760 / 82,430 with an end a line (Mikolov et al. 2010)
    counts = {name: sum(len(tokenizer.encode(line)) for line in lines[name]) for name in lines}
    assert counts == {"train": 929_589, "valid": 73_760, "test": 82_430}
    # every type is in the vocabulary, so that each <unk> was one in the file
    unknown = sum(line.split().count("<unk>") for line in lines["test"])
    encoded = sum(int((tokenizer.encode(line) == 1).sum()) for line in lines["test"])
    assert encoded == unknown == 4794
    for line in lines["test"][:200]:
        assert tokenizer.decode(tokenizer.encode(line)) == " ".join(line.split())


def test_words_survive_json(tmp_path: Path) -> None:
    tokenizer = WordTokenizer(vocab_size=20, max_steps=7).train(LINES)
    assert WordTokenizer.from_json(json.loads(json.dumps(tokenizer.to_json()))) == tokenizer
    save_tokenizer(tokenizer, tmp_path)
    assert load_tokenizer(tmp_path) == tokenizer


# Settings


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"kind": "text", "vocab_size": 258}, "vocab_size is 258; 258 are reserved"),
        ({"kind": "text", "vocab_size": "4000"}, "vocab_size is '4000'"),
        ({"kind": "text", "max_steps": 1}, "max_steps is 1; it must be 2 or more"),
        ({"kind": "text", "normalize": "yes"}, "normalize is 'yes'"),
        ({"kind": "text", "model_type": "words"}, "words"),
        ({"kind": "text", "model_type": 1}, "model_type is 1"),
        ({"kind": "text", "proto": "abc"}, "text tokenizer has no 'proto'"),
        ({"kind": "text", "num_bars": 2}, "text tokenizer has no 'num_bars'"),
        ({"kind": "words", "vocab_size": 2}, "vocab_size is 2; it must be 3 or more"),
        ({"kind": "words", "max_steps": 0}, "max_steps is 0"),
        ({"kind": "words", "max_steps": 9.5}, "max_steps is 9.5"),
        ({"kind": "words", "words": ["a"]}, "words tokenizer has no 'words'"),
        ({}, "tokenizer kind is None"),
    ],
    ids=str,
)
def test_impossible_settings_are_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError) as caught:
        make_tokenizer(settings)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"kind": "text"}',
        '{"kind": "nothing"}',
        '{"vocab_size": 4000}',
        '{"kind": "text", "proto": "AAAA", "size": 3}',
        '{"kind": "text", "proto": "not base 64!"}',
        '{"kind": "text", "proto": "AAAA"}',
        '{"kind": "words", "vocab_size": 1}',
        '{"kind": "melody", "metres": ["5/0"]}',
    ],
)
def test_a_damaged_tokenizer_file_is_an_input_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(InputError, match=r"tokenizer\.json: damaged") as caught:
        load_tokenizer(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_missing_tokenizer_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tokenizer\.json is missing"):
        load_tokenizer(tmp_path)
