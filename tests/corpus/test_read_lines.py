"""Sources of text as lines: tables, encodings, copies, labels."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from corpora import WORDS, assert_adds_up, lines_of, prepare_in, rows_of, write_lines

from seqvae.corpus.config import DataConfig
from seqvae.corpus.lines import ODD_ROW
from seqvae.corpus.prepare import prepare
from seqvae.corpus.store import Corpus
from seqvae.corpus.survey import INVALID_BYTES
from seqvae.errors import InputError

ROWS = [("Good, very good", 1), ("bad", 0), ("not so bad", 0), ("fine", 1), ("awful", 0), ("ok", 1)]


def write_csv(path: Path, rows: list[tuple[str, object]] = ROWS) -> str:
    lines = ["id,text,label", *(f'{i},"{text}",{label}' for i, (text, label) in enumerate(rows))]
    return write_lines(path, lines)


def all_lines(corpus: Corpus) -> list[str]:
    return sorted(line for lines in lines_of(corpus).values() for line in lines)


def test_a_column_of_a_table_is_the_text(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "rows.csv")
    subwords = {"kind": "text", "vocab_size": 300}
    corpus = prepare_in(tmp_path / "corpus", subwords, source=source, column="text")
    assert all_lines(corpus) == sorted(text for text, _ in ROWS)
    assert_adds_up(corpus, 1)
    other = prepare_in(tmp_path / "corpus", subwords, source=source, column="id")
    assert all_lines(other) == ["0", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("name", "line", "kind"),
    [
        ("rows.csv", "id,text", "CSV"),
        ("rows.txt", "id\ttext", "TSV"),
        ("rows.jsonl", '{"id": 1, "text": "a"}', "JSONL"),
    ],
)
def test_a_table_without_a_column_is_an_input_error(
    tmp_path: Path, name: str, line: str, kind: str
) -> None:
    source = write_lines(tmp_path / name, [line] * 3)
    reason = f"{name}: a {kind} table with the columns id, text; name .* by --data.column"
    with pytest.raises(InputError, match=reason):
        prepare_in(tmp_path / "corpus", WORDS, source=source)


def test_sentences_with_tabs_are_no_names_of_columns(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.txt", [f"A man\tsees {n} boats." for n in range(18)])
    message = (
        "a TSV table that begins with the row A man, sees 0 boats.; name the column of the text by "
        "--data.column, by its name or, without a header, by its number, such as 1; in plain text"
    )
    with pytest.raises(InputError, match=message):
        prepare_in(tmp_path / "corpus", WORDS, source=source)
    data = DataConfig(tokenizer=WORDS, source=source, column="2")
    assert sum(prepare(data, tmp_path / "corpus").num_sequences.values()) == 18


def test_a_text_with_a_column_is_an_input_error(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.txt", ["one", "two", "three"])
    with pytest.raises(InputError, match=r"a\.txt: no CSV, TSV, .* which --data\.column is for"):
        prepare_in(tmp_path / "corpus", WORDS, source=source, column="text")


def test_of_texts_and_tables_in_a_folder_the_settings_choose(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_csv(tmp_path / "data" / "rows.csv")
    write_lines(tmp_path / "data" / "a.txt", ["one", "two", "three"])
    caplog.set_level("INFO")
    texts = prepare_in(tmp_path / "corpus", WORDS, source=str(tmp_path / "data"))
    assert {*rows_of(texts)} == {"a.txt"}
    assert "passed over: tables, which need --data.column (1)" in caplog.text
    text = {"kind": "text", "vocab_size": 300}
    tables = prepare_in(tmp_path / "corpus", text, source=str(tmp_path / "data"), column="text")
    assert {*rows_of(tables)} == {"rows.csv"}
    assert "passed over: texts beside tables (1)" in caplog.text


def test_compressed_lines_are_lines(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt.gz").write_bytes(gzip.compress(b"one\ntwo\nthree\n"))
    corpus = prepare_in(tmp_path / "corpus", WORDS, source=str(tmp_path / "data"))
    assert sum(corpus.num_sequences.values()) == 3


def test_odd_rows_are_counted_up_to_a_share(tmp_path: Path) -> None:
    rows = ["text,label", *(f"word {i},1" for i in range(20)), "a, b,1"]
    source = write_lines(tmp_path / "a.csv", rows)
    corpus = prepare_in(tmp_path / "corpus", WORDS, source=source, column="text")
    assert rows_of(corpus)["a.csv"].dropped == {ODD_ROW: 1}
    source = write_lines(tmp_path / "a.csv", [*rows, *["c, d,1"] * 5])
    with pytest.raises(InputError, match=r"6 of 26 rows have more or fewer cells than the first"):
        prepare_in(tmp_path / "corpus", WORDS, source=source, column="text")


def test_another_encoding_is_refused_by_name_and_read_if_it_is_given(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [f"caf\u00e9 num\u00e9ro {i}" for i in range(9)]
    source = tmp_path / "a.txt"
    source.write_bytes("\n".join(lines).encode("cp1252"))
    reason = r"9 of 9 lines are not UTF-8, .* look like cp1252: give --data\.encoding cp1252"
    with pytest.raises(InputError, match=reason):
        prepare_in(tmp_path / "corpus", WORDS, source=str(source))
    with pytest.raises(InputError, match=r"9 of 9 lines are not ascii, .*; give their encoding by"):
        prepare_in(tmp_path / "corpus", WORDS, source=str(source), encoding="ascii")
    corpus = prepare_in(tmp_path / "corpus", WORDS, source=str(source), encoding="cp1252")
    assert {w for w in corpus.tokenizer.words if w.startswith("caf")} == {"caf\u00e9"}
    source.write_bytes("\n".join(lines[:2]).encode("cp1252") + b"\nplain" * 30 + b"\nx\ny")
    corpus = prepare_in(tmp_path / "corpus", WORDS, source=str(source))
    assert rows_of(corpus)["a.txt"].noted == {INVALID_BYTES: 2}
    assert "in 2 lines, the first is line 1" in caplog.text
    assert "they look like cp1252" in caplog.text


def test_a_file_that_cannot_be_used_has_a_reason_among_others(tmp_path: Path) -> None:
    for i in range(4):
        write_lines(tmp_path / "data" / f"{i}.txt", [f"line {i}"])
    (tmp_path / "data" / "4.txt").write_bytes(b"%PDF-1.4")
    (tmp_path / "data" / "5.txt").write_bytes("caf\u00e9".encode("cp1252"))
    write_lines(tmp_path / "data" / "6.txt", ["line 1"])
    corpus = prepare_in(tmp_path / "corpus", WORDS, source=str(tmp_path / "data"))
    assert_adds_up(corpus, 7)
    reasons = {name: row.reason for name, row in rows_of(corpus).items() if row.reason}
    assert reasons["4.txt"] == "a PDF, no text; export or unpack it as text in UTF-8"
    assert reasons["5.txt"] is not None
    assert reasons["5.txt"].startswith("1 of 1 lines are not UTF-8")
    assert reasons["6.txt"] == "a copy of another file"
    assert {*reasons} == {"4.txt", "5.txt", "6.txt"}


@pytest.mark.parametrize("long", range(4))
def test_a_file_of_lines_that_are_too_long_makes_up_no_split(tmp_path: Path, long: int) -> None:
    for i in range(4):
        write_lines(tmp_path / "data" / f"{i}.txt", [f"a b c d e {i}" if i == long else f"a {i}"])
    words = {"kind": "words", "max_steps": 4}
    corpus = prepare_in(tmp_path / "corpus", words, source=str(tmp_path / "data"))
    assert corpus.num_sequences == {"train": 1, "valid": 1, "test": 1}
    assert_adds_up(corpus, 4)
    assert rows_of(corpus)[f"{long}.txt"].reason == "longer than 4 tokens"


def test_labels_stand_beside_their_sequences(tmp_path: Path) -> None:
    rows = [(f"word{i} good" if i % 3 else f"word{i} bad", float(i % 3 > 0)) for i in range(60)]
    long = ("a b c d e f g", 0.5)
    source = write_csv(tmp_path / "a.csv", [*rows, long, *rows[:5]])
    settings = {"source": source, "column": "text", "label_column": "label"}
    words = {"kind": "words", "max_steps": 4}
    corpus = prepare_in(tmp_path / "corpus", words, **settings)
    assert corpus.label == "label"
    for name, split in corpus.splits.items():
        assert split.labels is not None
        assert len(split.labels) == len(split) > 0
        # an unseen word is <unk>; its neighbour tells the label in all splits
        expected = [float(line.endswith("good")) for line in lines_of(corpus)[name]]
        np.testing.assert_array_equal(split.labels, expected)


def test_labels_of_dropped_sequences_are_dropped(tmp_path: Path) -> None:
    rows = {
        "train": [("a b", 1), ("c d", 2)],
        "valid": [("a b", 3), ("b a", 4)],
        "test": [("d", 5)],
    }
    places = {split: write_csv(tmp_path / f"{split}.csv", rows[split]) for split in rows}
    columns = {"column": "text", "label_column": "label"}
    corpus = prepare_in(tmp_path / "corpus", WORDS, **places, **columns, dedupe=True)
    labels = {name: list(split.labels) for name, split in corpus.splits.items()}
    assert labels == {"train": [1, 2], "valid": [4], "test": [5]}


def test_classes_are_the_same_in_all_files(tmp_path: Path) -> None:
    for i, label in enumerate(("neg", "pos", "neg", "pos")):
        write_csv(tmp_path / "data" / f"{i}.csv", [(f"a word {i}", label)])
    settings = {"source": str(tmp_path / "data"), "column": "text"}
    corpus = prepare_in(tmp_path / "corpus", WORDS, **settings, label_column="label")
    labels = [split.labels for split in corpus.splits.values()]
    assert sorted(np.concatenate(labels)) == [0, 0, 1, 1]
    unlabelled = prepare_in(tmp_path / "corpus", WORDS, **settings)
    assert unlabelled.label is None
    assert unlabelled.splits["train"].labels is None
    write_csv(tmp_path / "data" / "0.csv", [("word", "nan")])
    with pytest.raises(InputError, match=r"0\.csv: line 2: the label is missing \('nan'\)"):
        prepare_in(tmp_path / "corpus", WORDS, **settings, label_column="label")
