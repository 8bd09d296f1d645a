"""Labels that attributes are fitted on: files beside the model, and those of the corpus."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from trained import Trained

from seqvae.corpus.store import Corpus
from seqvae.errors import InputError
from seqvae.inference.attributes import fit_attributes
from seqvae.inference.codec import Codec
from seqvae.inference.labels import Labelled, draw_labelled, read_labels
from seqvae.inference.prior import augmented
from seqvae.inference.trained import TrainedVAE

ROWS = [("pos", "A man likes the sea."), ("neg", "Two dogs draw trees."), ("pos", "The girl.")]


@pytest.fixture
def codec(sentences: Trained) -> Codec:
    return sentences.vae.codec


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("a.tsv", "".join(f"{label}\t{text}\n" for label, text in ROWS), ()),
        ("a.tsv", "\ufeff" + "\r\n".join("\t".join(row) for row in ROWS) + "\r\n\r\n", ()),
        ("a.csv", "mood,text\n" + "".join(f'{a},"{b}"\n' for a, b in ROWS), ("text", "mood")),
        ("a.csv", "".join(f'"{b}";{a}\n' for a, b in ROWS), ("1", "2")),
        ("a.tsv", "mood\ttext\n" + "".join(f"{a}\t{b}\n" for a, b in ROWS), ("text", "mood")),
        (
            "a.jsonl",
            "".join(f'{{"t": "{b}", "l": "{a}"}}\n' for a, b in ROWS),
            ("t", "l"),
        ),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_lines_and_tables_have_labels(
    codec: Codec, tmp_path: Path, name: str, content: str, columns: tuple[str, ...], encoding: str
) -> None:
    (tmp_path / name).write_bytes(content.encode(encoding))
    read = read_labels(codec, tmp_path / name, *columns)
    assert read.name == "a"
    assert read.values is not None
    assert read.values.tolist() == [1, 0, 1]
    assert [codec.content(example.ids) for example in read.examples] == [text for _, text in ROWS]


@pytest.mark.parametrize(
    ("name", "content", "columns", "reason"),
    [
        ("a.tsv", "1\tA man.\nnan\tA dog.\n0\tA.\n", (), r"line 2: the label is missing \('nan'\)"),
        ("a.tsv", "1\tA man.\n\tA dog.\n", (), r"line 2: the label is missing \(''\)"),
        ("a.tsv", "1\tA man.\n\n0\tA dog.\ninf\tA.\n", (), "line 4: the label is inf; it must be"),
        ("a.tsv", "label\ttext\n1\tA man.\n0\tA dog.\n", (), "line 1: the label is 'label', but o"),
        ("a.tsv", "1\tA man.\n1\tA dog.\n", (), "line 1: all 2 labels are '1'; they tell nothing"),
        ("a.tsv", "", (), "no labels; a line has a label, a tab, and"),
        ("a.tsv", "A man.\n", (), r"1 of 1 line cannot be used: line 1 \(no tab\)"),
        ("a.csv", "text,mood\nA man.,1\n", (), "a CSV table with the columns text, mood; name"),
        ("a.csv", "text,mood\nA man.,1\n", ("text", "joy"), "no column 'joy'; it is a CSV table"),
        (
            "a.csv",
            "text,mood\nA man.,1\nA,dog,0\n",
            ("text", "mood"),
            r"line 3 \(more or fewer cells",
        ),
        ("a.txt", "A man.\n", ("text", "mood"), "no CSV, TSV, JSONL, JSON or Parquet table"),
        ("a.tsv", "%PDF-1.4\n", (), "a PDF, no text"),
    ],
)
def test_other_labels_are_an_input_error(
    codec: Codec, tmp_path: Path, name: str, content: str, columns: tuple[str, ...], reason: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=rf"{name}: .*{reason}|{name}: {reason}"):
        read_labels(codec, tmp_path / name, *columns)


def test_invalid_bytes_are_named_by_their_line(codec: Codec, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"1\tA man.\n0\tcaf\xe9\n")
    with pytest.raises(InputError, match=r"1 of 2 lines .*: line 2 \(not UTF-8\)"):
        read_labels(codec, tmp_path / "a.tsv")


def test_a_few_lines_that_cannot_be_used_are_left_out(
    codec: Codec, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [f"{n}\tA man likes the sea." for n in range(14)]
    for n in range(3, 9):
        lines[n] = f"{n}\t" + "Two dogs draw trees. " * 20
    (tmp_path / "a.tsv").write_text("\n".join(lines), encoding="utf-8")
    read = read_labels(codec, tmp_path / "a.tsv")
    assert read.values is not None
    assert read.values.tolist() == [0, 1, 2, *range(9, 14)]
    assert len(read.examples) == 8
    assert "a.tsv: 6 of 14 lines cannot be used: line 4 (" in caplog.text
    assert "), and line 5, line 6, line 7, line 8, ...; they are left out" in caplog.text
    (tmp_path / "a.tsv").write_text("\n".join(lines[2:]), encoding="utf-8")
    with pytest.raises(InputError, match=r"6 of 12 lines .*; mend them, or leave them out"):
        read_labels(codec, tmp_path / "a.tsv")


def test_columns_come_in_pairs_and_with_a_table(sentences: Trained, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="column and label_column go together; give both"):
        sentences.vae.attributes(labels=tmp_path / "a.csv", column="text")
    with pytest.raises(InputError, match="column and label_column are of a table; give it by lab"):
        sentences.vae.attributes(column="text", label_column="mood")


def labelled(corpus: Corpus, name: str, labels: list[float] | None) -> Corpus:
    """A corpus whose training split has labels."""
    copy = Corpus(corpus.folder)
    train = copy.splits["train"]
    values = None if labels is None else np.array(labels, np.float32)
    copy.splits = copy.splits | {"train": dataclasses.replace(train, labels=values)}
    copy.label = name
    return copy


def test_labels_of_a_corpus_belong_to_the_sequences_that_are_drawn(sentences: Trained) -> None:
    train = sentences.corpus.splits["train"]
    corpus = labelled(sentences.corpus, "size", [float(len(train[i])) for i in range(len(train))])
    drawn = draw_labelled(corpus, sentences.vae.tokenizer, seed=3)
    assert drawn.name == "size"
    assert drawn.values is not None
    assert drawn.values.tolist() == [len(example.ids) for example in drawn.examples]
    same = augmented(train, sentences.vae.tokenizer, seed=3)
    for one, other in zip(drawn.examples, same, strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)
    assert draw_labelled(sentences.corpus, sentences.vae.tokenizer, seed=3).values is None


def test_the_labels_of_a_corpus_are_one_attribute_more(sentences: Trained) -> None:
    codec, num = sentences.vae.codec, len(sentences.corpus.splits["train"])
    corpus = labelled(sentences.corpus, "mood", [float(i % 2) for i in range(num)])

    def names(*asked: str, of: Corpus = corpus) -> tuple[str, ...]:
        return fit_attributes(codec, of, asked, method="means").names

    assert names() == ("mood", "length", "word_length")
    assert names("length") == ("length",)
    assert names("length", "mood") == ("mood", "length")
    with pytest.raises(InputError, match="attribute is 'joy'; there are mood, length"):
        names("joy")
    with pytest.raises(InputError, match="the labels are named length, as an attribute is; ren"):
        names(of=labelled(sentences.corpus, "length", [0.0] * num))
    assert names(of=labelled(sentences.corpus, "mood", [1.0] * num)) == ("length", "word_length")


def test_attributes_that_do_not_vary_are_one_line(sentences: Trained) -> None:
    codec = sentences.vae.codec
    (example,) = codec.windows("A man likes the sea.")
    same = Labelled("mood", [example] * 3, None)
    with pytest.raises(InputError, match="no attribute varies in 3 sequences; give others"):
        fit_attributes(codec, None, labelled=same)
    constant = dataclasses.replace(same, values=torch.ones(3))
    with pytest.raises(InputError, match="attribute mood: it is 1 in the whole corpus"):
        fit_attributes(codec, None, ["length"], labelled=constant)
    with pytest.raises(InputError, match="no attribute varies"):
        fit_attributes(codec, None, labelled=constant)


def test_labels_of_files_are_those_of_the_verb(sentences: Trained, tmp_path: Path) -> None:
    rows = "".join(f'{a},"{b}"\n' for a, b in ROWS * 9)
    (tmp_path / "moods.csv").write_text(f"mood,text\n{rows}", encoding="utf-8")
    vae = TrainedVAE(sentences.vae.codec)
    columns = {"column": "text", "label_column": "mood"}
    moved = vae.attributes(labels=tmp_path / "moods.csv", method="means", **columns)
    assert moved.names[0] == "moods"
