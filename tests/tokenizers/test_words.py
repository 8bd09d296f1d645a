"""Words, counted as the Penn Treebank literature does."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from seqvae.errors import InputError
from seqvae.tokenizers import load_tokenizer, save_tokenizer, words
from seqvae.tokenizers.words import WordTokenizer


def ids_of(tokenizer: WordTokenizer, text: str) -> list[int]:
    ids = tokenizer.encode(text)
    assert ids.shape == (len(ids), 1)
    assert ids.dtype == np.int64
    return ids[:, 0].tolist()


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


def test_rare_words_are_forgotten_where_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(words, "MAX_TYPES", 20)
    lines = [f"often a{i} b{i} b{i} often" for i in range(200)]
    trained = WordTokenizer(vocab_size=4).train([*lines, "late late late late late"])
    assert trained.words[2:] == ("often", "late")
    # and those without spaces are refused as soon as it shows
    with pytest.raises(InputError, match="21 of 21 training lines are a single word"):
        WordTokenizer(vocab_size=4).train(f"word{i}" for i in range(1000))


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
    tokenizer = WordTokenizer(vocab_size=20, max_steps=7).train(
        ["A man in a blue shirt", "Une fille d\u00e9guste un caf\u00e9"]
    )
    assert WordTokenizer.from_json(json.loads(json.dumps(tokenizer.to_json()))) == tokenizer
    save_tokenizer(tokenizer, tmp_path)
    assert load_tokenizer(tmp_path) == tokenizer
