"""CSV, TSV, JSONL, JSON and Parquet as sources of text."""

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from seqvae.corpus.tables import Table, is_table, open_table
from seqvae.errors import InputError

BOTH = ("text", "label")


def table(path: Path, content: str | bytes) -> Table:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    opened = open_table(path)
    assert opened is not None
    return opened


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'id,text,label\n0,"a, b",x\n1,"c ""d""",y\n'),
        ("a.csv", '\ufeffid;text;label\r\n0;a, b;x\r\n1;"c ""d""";y\r\n'),
        ("a.csv", 'id, text, label\n0, "a, b", x\n\n1, "c ""d""", y\n'),
        ("a.csv", "id|text|label\n0|a, b|x\n1|'c'|y\n".replace("'c'", '"c ""d"""')),
        ("a.tsv", 'id\ttext\tlabel\n0\ta, b\tx\n1\tc "d"\ty\n'),
        ("a.tsv", 'id\ttext\tlabel\n0\t"a, b"\tx\n1\t"c ""d"""\ty\n'),
        ("a.txt", 'id\ttext\tlabel\n0\ta, b\tx\n1\tc "d"\ty\n'),
        ("a.txt", 'id,text,label\n0,"a, b",x\n1,"c ""d""",y\n'),
        ("a.jsonl", '{"text": "a, b", "label": "x"}\n\n{"label": "y", "text": "c \\"d\\""}\n'),
        ("a.txt", '{"text": "a, b", "label": "x"}\n{"label": "y", "text": "c \\"d\\""}\n'),
        ("a.json", '[{"text": "a, b", "label": "x"}, {"label": "y", "text": "c \\"d\\""}]'),
    ],
)
def test_each_kind_is_read_by_the_names_of_columns(tmp_path: Path, name: str, content: str) -> None:
    opened = table(tmp_path / name, content)
    assert {*BOTH} <= {*opened.names}
    rows = list(opened.read(BOTH))
    assert [cells for _, cells in rows] == [["a, b", "x"], ['c "d"', "y"]]
    wide = table(tmp_path / f"wide_{name}", content.encode("utf-16"))
    assert list(wide.read(BOTH)) == rows
    packed = table(tmp_path / f"{name}.gz", gzip.compress(content.encode()))
    assert list(packed.read(BOTH)) == rows


def test_rows_know_their_lines_and_cells_are_one_line_each(tmp_path: Path) -> None:
    opened = table(tmp_path / "a.csv", 'text,label\n"a\r\nb",1\nc,2,3\n\nd,\n')
    assert list(opened.read(BOTH)) == [(3, ["a b", "1"]), (4, None), (6, ["d", ""])]


def test_columns_have_numbers_where_there_is_no_header(tmp_path: Path) -> None:
    content = '"2","Great, food"\n"1","bad"\n'
    assert [c for _, c in table(tmp_path / "a.csv", content).read(("2", "1"))] == [
        ["Great, food", "2"],
        ["bad", "1"],
    ]
    headed = table(tmp_path / "b.csv", "label,text\n" + content)
    assert [c for _, c in headed.read(("2",))] == [["Great, food"], ["bad"]]
    one = table(tmp_path / "c.csv", "just one\nof two\n")
    assert [c for _, c in one.read(("1",))] == [["just one"], ["of two"]]


def test_values_without_text_are_named_or_empty(tmp_path: Path) -> None:
    opened = table(tmp_path / "a.jsonl", '{"text": 1.5}\n{"text": null}\n{"other": true}\n')
    assert [c for _, c in opened.read(("text", "other"))] == [["1.5", ""], ["", ""], ["", "True"]]
    odd = table(tmp_path / "b.json", '[{"text": "a"}, {"text": ["b"]}]')
    with pytest.raises(InputError, match=r"b\.json: row 2 has a list where text is expected"):
        list(odd.read(("text",)))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", "a,b\n1,2\n", "no column 'text'; it is a CSV table with the columns a, b"),
        ("a.csv", "text,text\n1,2\n", "more than one column 'text'"),
        ("a.csv", 'text,b\n1,2\n"3,4\n', "line 3: not CSV"),
        ("a.csv", 'text,b\n"a "b" c",2\n', "line 2: not CSV"),
        ("a.csv", "", "an empty table"),
        ("a.jsonl", '{"text": 1}\n{"text"\n', "line 2: not JSON"),
        ("a.jsonl", '{"text": 1}\n[1]\n', "line 2 is no JSON object"),
        ("a.jsonl", "[" * 100_000, "line 1: not JSON"),
        ("a.json", '{"text": {"0": "a"}}', "no list of JSON objects; save it as JSONL"),
        ("a.json", "[", "not JSON"),
        ("a.parquet", "PAR1", "a Parquet table; save it as CSV, or install pyarrow"),
    ],
)
def test_a_table_that_cannot_be_used_is_an_input_error(
    tmp_path: Path, name: str, content: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=rf"{name}: {reason}"):
        list(table(tmp_path / name, content).read(("text",)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x\n",
        "one, two\nthree, four\n",
        "a plain, text\nwith commas, too\n",
        "a\tb\nc\n",
        "id\n1\n",
        "{not json}\n{nor this}\n",
        "red,green\nblue,red\n",
    ],
)
def test_plain_text_is_no_table(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    assert open_table(tmp_path / "a.txt") is None


def test_a_name_says_what_is_a_table(tmp_path: Path) -> None:
    for name, expected in (("a.csv", True), ("a.JSONL.gz", True), ("a.txt", False), ("a", False)):
        assert is_table(tmp_path / name) == expected
    (tmp_path / "a.tsv").write_text("x\ny\n", encoding="utf-8")
    assert not is_table(tmp_path / "a.tsv")
    assert open_table(tmp_path / "a.tsv") is None
    (tmp_path / "a.tsv").write_text("x\ny\tz\n", encoding="utf-8")
    assert is_table(tmp_path / "a.tsv")
    (tmp_path / "a.tsv").write_bytes(b"%PDF-")
    assert is_table(tmp_path / "a.tsv")  # reading it says what is wrong


def test_parquet_is_read_in_batches_of_the_columns_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a stand-in: pyarrow is optional."""
    columns = {"id": [1, 2, 3], "text": ["a", None, "c"], "label": [True, False, True]}

    class Column(list[object]):
        def to_pylist(self) -> list[object]:
            return list(self)

    class Batch:
        def __init__(self, part: slice, names: list[str]) -> None:
            self.part, self.names = part, names

        def column(self, name: str) -> Column:
            assert name in self.names
            return Column(columns[name][self.part])

    class ParquetFile:
        def __init__(self, path: Path) -> None:
            self.damaged = path.stem == "damaged"
            if path.read_bytes() != b"PAR1":
                raise ArrowException("no magic\nat all")
            self.schema_arrow = ModuleType("schema")
            self.schema_arrow.names = list(columns)

        def iter_batches(self, columns: list[str]) -> Iterator[Batch]:
            yield Batch(slice(0, 2), columns)
            if self.damaged:
                raise ArrowException("a page\nof it")
            yield Batch(slice(2, 3), columns)

        def __enter__(self) -> "ParquetFile":
            return self

        def __exit__(self, *_: object) -> None:
            pass

    class ArrowException(Exception):
        pass

    pyarrow, parquet = ModuleType("pyarrow"), ModuleType("pyarrow.parquet")
    pyarrow.ArrowException, parquet.ParquetFile = ArrowException, ParquetFile
    pyarrow.parquet = parquet
    monkeypatch.setitem(sys.modules, "pyarrow", pyarrow)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)
    opened = table(tmp_path / "a.parquet", b"PAR1")
    assert str(opened) == "a Parquet table with the columns id, text, label"
    rows = [(1, ["a", "True"]), (2, ["", "False"]), (3, ["c", "True"])]
    assert list(opened.read(BOTH)) == rows
    with pytest.raises(InputError, match=r"b\.parquet: cannot be read \(no magic\)"):
        table(tmp_path / "b.parquet", b"?")
    damaged = table(tmp_path / "damaged.parquet", b"PAR1")
    with pytest.raises(InputError, match=r"damaged\.parquet: damaged after row 2 \(a page\)"):
        list(damaged.read(BOTH))
