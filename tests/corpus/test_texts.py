"""Text: how it is split, what is left out, and files as they come."""

import json
import logging
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import WORDS, assert_adds_up, lines_of, prepare_in, rows_of, write_lines

from seqvae.corpus import encodings, line_split, spool, workers
from seqvae.corpus import lines as lines_file
from seqvae.corpus.digests import KEPT
from seqvae.corpus.lines import EMPTY_LINE
from seqvae.corpus.store import SPLITS, Corpus, SourceRow
from seqvae.corpus.survey import INVALID_BYTES
from seqvae.errors import InputError
from seqvae.reasons import Reason
from seqvae.tokenizers import words
from seqvae.tokenizers.text import SubwordTokenizer
from seqvae.tokenizers.words import WordTokenizer


def test_several_text_files_are_split_by_file(tmp_path: Path) -> None:
    for i in range(20):
        write_lines(tmp_path / "data" / f"{i:02d}.txt", [f"file{i} line{j}" for j in range(i + 1)])
    corpus = prepare_in(tmp_path / "corpus", WORDS, source=str(tmp_path / "data"), valid_share=0.2)
    assert_adds_up(corpus, 20)
    assert {tuple(row.taken) for row in corpus.manifest()} == {("train",), ("valid",), ("test",)}
    # a fifth and a tenth of 210 lines, as nearly as files of 1 to 20 lines allow
    assert corpus.num_sequences == {"train": 148, "valid": 42, "test": 20}
    assert [sum(row.taken.values()) for row in corpus.manifest()] == list(range(1, 21))
    # only training lines are learned from
    learned = set(corpus.tokenizer.words[2:])
    trained = {f"file{i}" for i, row in enumerate(corpus.manifest()) if "train" in row.taken}
    assert {word for word in learned if word.startswith("file")} == trained


@pytest.mark.parametrize("num_files", [1, 2])
def test_one_or_two_texts_are_split_by_distinct_line(tmp_path: Path, num_files: int) -> None:
    rng = np.random.default_rng(0)
    for i in range(num_files):
        lines = [f"line number {n}" for n in rng.integers(0, 60, 300)]
        write_lines(tmp_path / "data" / f"{i}.txt", lines)
    text = {"kind": "text", "vocab_size": 300}
    corpus = prepare_in(tmp_path / "corpus", text, source=str(tmp_path / "data"))
    assert_adds_up(corpus, num_files)
    found = {name: set(lines) for name, lines in lines_of(corpus).items()}
    assert not found["train"] & found["valid"]
    assert not (found["train"] | found["valid"]) & found["test"]
    assert [len(found[name]) for name in SPLITS] == [48, 6, 6]
    assert sum(len(split) for split in corpus.splits.values()) == 300 * num_files
    assert corpus.num_leaked == {"train": 0, "valid": 0, "test": 0}


def test_the_seed_changes_the_split_of_lines(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.txt", [f"line {i}" for i in range(100)])
    found = []
    for seed in (0, 0, 1):
        shutil.rmtree(tmp_path / "corpus", ignore_errors=True)
        text = {"kind": "text", "vocab_size": 280}
        corpus = prepare_in(tmp_path / "corpus", text, source=source, split_seed=seed)
        found.append(lines_of(corpus))
    assert found[0] == found[1]
    assert found[0] != found[2]
    # the order within a split is that of the file
    assert found[0]["train"] == sorted(found[0]["train"], key=lambda line: int(line.split()[1]))


def test_given_splits_are_kept(tmp_path: Path) -> None:
    lines = {"train": ["a b", "c d", "a b"], "valid": ["a c", "a b"], "test": ["x", "c d"]}
    given = {name: write_lines(tmp_path / f"{name}.txt", lines[name]) for name in SPLITS}
    corpus = prepare_in(tmp_path / "corpus", WORDS, **given)
    assert lines_of(corpus) == lines | {"test": ["<unk>", "c d"]}
    assert corpus.num_leaked == {"train": 0, "valid": 1, "test": 1}
    assert_adds_up(corpus, 3)
    assert rows_of(corpus)["valid.txt"] == SourceRow(given["valid"], {"valid": 2})


def test_crlf_bom_and_empty_lines(tmp_path: Path) -> None:
    raw = b"\xef\xbb\xbfone\r\n\r\ntwo \r\n  \r\n three\r\nfour\nfive\n\n"
    (tmp_path / "a.txt").write_bytes(raw)
    text = {"kind": "text", "vocab_size": 280}
    corpus = prepare_in(tmp_path / "corpus", text, source=str(tmp_path / "a.txt"))
    lines = [line for found in lines_of(corpus).values() for line in found]
    assert sorted(lines) == [" three", "five", "four", "one", "two "]
    (row,) = corpus.manifest()
    assert row.dropped == {EMPTY_LINE: 3}
    assert_adds_up(corpus, 1)


def test_separators_within_a_line_do_not_end_it(tmp_path: Path) -> None:
    odd = ["a\u2028b", "a\x0bb", "a\x0cb", "a\x1cb", "a\x85b", "plain"]
    source = write_lines(tmp_path / "a.txt", odd)
    text = {"kind": "text", "vocab_size": 280}
    corpus = prepare_in(tmp_path / "corpus", text, source=source)
    assert sorted(line for found in lines_of(corpus).values() for line in found) == sorted(odd)


def test_invalid_utf8_is_replaced_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Latin-1, a byte that is never UTF-8 and NUL; the third line may hold its U+FFFD
    raw = b"good\n\xe9t\xe9\nfine \xef\xbf\xbd\n\nb\xffd\nn\x00l\nlast\n" + b"plain\n" * 30
    (tmp_path / "a.txt").write_bytes(raw)
    text = {"kind": "text", "vocab_size": 280}
    with caplog.at_level(logging.WARNING):
        corpus = prepare_in(tmp_path / "corpus", text, source=str(tmp_path / "a.txt"))
    lines = sorted(line for found in lines_of(corpus).values() for line in found)
    assert lines[:4] == ["b\ufffdd", "fine \ufffd", "good", "last"]
    assert lines[4:] == ["n\ufffdl", *["plain"] * 30, "\ufffdt\ufffd"]
    assert rows_of(corpus)["a.txt"].noted == {INVALID_BYTES: 3}
    (message,) = [r.getMessage() for r in caplog.records if "UTF-8" in r.getMessage()]
    assert message.startswith(f"{tmp_path / 'a.txt'}: invalid UTF-8 or NUL in 3 lines, ")
    assert "the first is line 2;" in message


@pytest.mark.parametrize("tokenizer", [WORDS, {"kind": "text", "vocab_size": 300}])
@pytest.mark.parametrize("raw", [b"", b"\n\n \r\n\t\n", b"\xef\xbb\xbf"])
def test_a_file_without_lines_is_an_input_error(
    tmp_path: Path, tokenizer: dict[str, Any], raw: bytes
) -> None:
    (tmp_path / "a.txt").write_bytes(raw)
    with pytest.raises(InputError, match=r"a\.txt: no lines to train on"):
        prepare_in(tmp_path / "corpus", tokenizer, source=str(tmp_path / "a.txt"))


def test_an_empty_file_among_others_has_a_reason(tmp_path: Path) -> None:
    for i in range(12):
        write_lines(tmp_path / "data" / f"{i:02d}.txt", [f"line {i}", f"more {i}"])
    (tmp_path / "data" / "05.txt").write_bytes(b"")
    write_lines(tmp_path / "data" / "06.txt", ["", " "])
    corpus = prepare_in(tmp_path / "corpus", WORDS, source=str(tmp_path / "data"))
    assert_adds_up(corpus, 12)
    assert rows_of(corpus)["05.txt"].reason == "the file is empty"
    assert rows_of(corpus)["06.txt"].reason == "an empty line"


@pytest.mark.parametrize("empty", range(4))
def test_an_empty_file_makes_up_no_split(tmp_path: Path, empty: int) -> None:
    for i in range(4):
        lines = [] if i == empty else [f"line {i}"]
        write_lines(tmp_path / "data" / f"{i}.txt", lines)
    corpus = prepare_in(tmp_path / "corpus", WORDS, source=str(tmp_path / "data"))
    assert corpus.num_sequences == {"train": 1, "valid": 1, "test": 1}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["one"], "the only line is 'one'"),
        (["one a", "two b"], "all 2 lines are 'one a' or 'two b'"),
        (["one"] * 500, "all 500 lines are 'one'"),
    ],
)
def test_too_few_distinct_lines_are_an_input_error(
    tmp_path: Path, lines: list[str], reason: str
) -> None:
    source = write_lines(tmp_path / "a.txt", lines)
    with pytest.raises(InputError, match=rf"a\.txt: {reason}; give at least 3 different lines"):
        prepare_in(tmp_path / "corpus", WORDS, source=source)
    (row,) = _manifest_in(tmp_path / "corpus")
    assert reason in str(row["reason"])


def _manifest_in(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_what_became_of_each_source_is_said_where_none_is_usable(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "empty.txt").write_bytes(b"\n")
    (tmp_path / "data" / "pdf.txt").write_bytes(b"%PDF-1.4" + bytes(range(256)) * 9)
    with pytest.raises(InputError):
        prepare_in(tmp_path / "corpus", WORDS, source=str(tmp_path / "data"))
    rows = _manifest_in(tmp_path / "corpus")
    assert [Path(str(row["source"])).name for row in rows] == ["empty.txt", "pdf.txt"]
    assert all(row["reason"] for row in rows)
    write_lines(tmp_path / "data" / "more.txt", ["one", "two", "three"])
    corpus = prepare_in(tmp_path / "corpus", WORDS, source=str(tmp_path / "data"))
    assert corpus.num_sequences == {"train": 1, "valid": 1, "test": 1}


@pytest.mark.parametrize("tokenizer", [WORDS, {"kind": "text"}])
def test_three_lines_are_a_corpus(tmp_path: Path, tokenizer: dict[str, Any]) -> None:
    source = write_lines(tmp_path / "a.txt", ["one two", "three", "four five"])
    corpus = prepare_in(tmp_path / "corpus", tokenizer, source=source)
    assert [len(corpus.splits[name]) for name in SPLITS] == [1, 1, 1]
    assert_adds_up(corpus, 1)


def test_lines_that_are_too_long_are_counted(tmp_path: Path) -> None:
    lines = [f"w{i} " * (i % 5 + 1) for i in range(50)]
    source = write_lines(tmp_path / "a.txt", lines)
    corpus = prepare_in(tmp_path / "corpus", {"kind": "words", "max_steps": 4}, source=source)
    (row,) = corpus.manifest()
    too_long = Reason("line", "longer than 4 tokens", "--data.tokenizer.max_steps")
    assert row.dropped == {too_long: 20}  # four words and the end are five
    assert sum(row.taken.values()) == 30
    assert max(len(split[i]) for split in corpus.splits.values() for i in range(len(split))) == 4
    assert_adds_up(corpus, 1)


def test_lines_that_are_all_too_long_are_an_input_error(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.txt", [f"a b c {i}" for i in range(9)])
    with pytest.raises(InputError, match="1 file: longer than 3 tokens"):
        prepare_in(tmp_path / "corpus", {"kind": "words", "max_steps": 3}, source=source)


def test_subwords_are_learned_from_training_lines_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    train = SubwordTokenizer.train

    def spy(self: SubwordTokenizer, lines: Any) -> SubwordTokenizer:
        seen.extend(lines)
        return train(self, list(seen))

    monkeypatch.setattr(SubwordTokenizer, "train", spy)
    source = write_lines(tmp_path / "a.txt", [f"line number {i}" for i in range(50)])
    text = {"kind": "text", "vocab_size": 280}
    corpus = prepare_in(tmp_path / "corpus", text, source=source)
    assert seen == lines_of(corpus)["train"]
    assert len(seen) == 40


# A block at a time

SUBWORDS = {"kind": "text", "vocab_size": 280}


def in_small_blocks(monkeypatch: pytest.MonkeyPatch, size: int = 50) -> None:
    monkeypatch.setattr(encodings, "BLOCK_CHARACTERS", size)
    monkeypatch.setattr(lines_file, "BLOCK_CHARACTERS", size)


def arrays_of(corpus: Corpus) -> dict[str, bytes]:
    files = [path for path in corpus.folder.glob("*.npy") if path.name != KEPT]
    return {path.name: path.read_bytes() for path in files}


@pytest.mark.parametrize("name", ["a.txt", "a.tsv"])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_blocks_and_workers_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, num_workers: int
) -> None:
    columns = {} if name == "a.txt" else {"column": "text", "label_column": "label"}
    between = " " if name == "a.txt" else "\t"
    texts = ["", f"text{between}label", *(f"line {i % 70}{between}{i % 7}" for i in range(90))]
    settings: dict[str, Any] = {"source": write_lines(tmp_path / name, texts), **columns}
    whole = prepare_in(tmp_path / "whole", SUBWORDS, **settings)
    in_small_blocks(monkeypatch)
    monkeypatch.setattr(workers, "NUM_AT_HOME", 1)
    parts = prepare_in(tmp_path / "parts", SUBWORDS, num_workers=num_workers, **settings)
    assert arrays_of(parts) == arrays_of(whole)
    assert len(arrays_of(parts)) == 2 + ("label_column" in columns)
    assert parts.manifest() == whole.manifest()


def test_memory_does_not_grow_with_the_number_of_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_blocks(monkeypatch, 2000)
    monkeypatch.setattr(line_split, "NUM_RANKED", 100)
    monkeypatch.setattr(spool, "CHUNK", 200)
    monkeypatch.setattr(spool, "STEPS_WAITING", 200)
    monkeypatch.setattr(spool, "MAX_COMPARED", 1000)
    peaks = []
    for num_lines in (1000, 5000):
        texts = [f"a line of {i % 50} words and {i}" for i in range(num_lines)]
        source = write_lines(tmp_path / f"{num_lines}.txt", texts)
        tokenizer = {"kind": "words", "vocab_size": 30}
        monkeypatch.setattr(words, "MAX_TYPES", 100)
        tracemalloc.start()
        prepare_in(tmp_path / str(num_lines), tokenizer, source=source)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 10_000  # a byte of each line that is held out


def test_a_source_that_changes_meanwhile_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(write_lines(tmp_path / "a.txt", [f"line {i}" for i in range(30)]))
    train = WordTokenizer.train

    def spy(self: WordTokenizer, lines: Any) -> WordTokenizer:
        trained = train(self, lines)
        write_lines(source, ["only"])
        return trained

    monkeypatch.setattr(WordTokenizer, "train", spy)
    with pytest.raises(InputError, match=r"a\.txt: changed while it was read; start again"):
        prepare_in(tmp_path / "corpus", WORDS, source=str(source))
    (row,) = _manifest_in(tmp_path / "corpus")
    assert "changed while it was read" in str(row["reason"])


def test_labels_that_change_meanwhile_are_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ["text,label", *(f"line {i},{'yes' if i % 2 else 'no'}" for i in range(30))]
    source = Path(write_lines(tmp_path / "a.csv", rows))
    train = WordTokenizer.train

    def spy(self: WordTokenizer, lines: Any) -> WordTokenizer:
        trained = train(self, lines)
        write_lines(source, [row.replace("yes", "never") for row in rows])
        return trained

    monkeypatch.setattr(WordTokenizer, "train", spy)
    with pytest.raises(InputError, match=r"a\.csv: changed while it was read"):
        prepare_in(
            tmp_path / "corpus", WORDS, source=str(source), column="text", label_column="label"
        )


def test_copies_are_told_whatever_their_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_blocks(monkeypatch)
    for i in range(3):
        write_lines(tmp_path / "data" / f"{i}.txt", [f"file {i} line {j}" for j in range(20)])
    copy = "\r\n\r\n".join(f"file 1 line {j}" for j in range(20))
    (tmp_path / "data" / "3.txt").write_text(copy, encoding="utf-16", newline="")
    corpus = prepare_in(tmp_path / "corpus", WORDS, source=str(tmp_path / "data"))
    assert rows_of(corpus)["3.txt"].reason == "a copy of another file"
    assert_adds_up(corpus, 4)
