"""The first look at a source of text, block by block."""

from pathlib import Path

import pytest
from corpora import write_lines

from seqvae.corpus import encodings
from seqvae.corpus import lines as lines_file
from seqvae.corpus.config import DataConfig
from seqvae.corpus.lines import EMPTY_LINE, read_blocks
from seqvae.corpus.survey import INVALID_BYTES, survey

LABELLED = DataConfig(column="text", label_column="label", tokenizer={"kind": "words"})


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (encodings, lines_file):
        monkeypatch.setattr(module, "BLOCK_CHARACTERS", 10)


def test_what_a_survey_knows_is_of_all_blocks(tmp_path: Path) -> None:
    lines = [*(f"line {i}" for i in range(30)), "", "the longest", "", "x"]
    found = survey(Path(write_lines(tmp_path / "a.txt", lines)), DataConfig())
    assert found.num_lines == 32
    assert found.lengths == (1, 11)
    assert found.head[:3] == ["line 0", "line 1", "line 2"]
    assert found.dropped == {EMPTY_LINE: 2}
    (tmp_path / "a.txt").write_bytes(b"")
    nothing = survey(tmp_path / "a.txt", DataConfig())
    assert (nothing.num_lines, nothing.lengths, nothing.head) == (0, (0, 0), [])


def test_invalid_bytes_are_counted_over_all_blocks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [b"plain"] * 100
    for place in (41, 60, 99):
        lines[place] = b"caf\xe9"
    (tmp_path / "a.txt").write_bytes(b"\n".join(lines))
    found = survey(tmp_path / "a.txt", DataConfig())
    assert found.noted == {INVALID_BYTES: 3}
    assert "in 3 lines, the first is line 42" in caplog.text


def test_labels_keep_their_lines_among_empty_ones(tmp_path: Path) -> None:
    rows = ["text,label", "one,1", ",2", "three,3", '" ",4', "five,5", "six,6"]
    path = Path(write_lines(tmp_path / "a.csv", rows))
    blocks = [*read_blocks(path, LABELLED)]
    assert len(blocks) > 1
    found = [(b.lines, b.labels, b.numbers) for b in blocks]
    lines, labels, places = (
        [x for each in part for x in each] for part in zip(*found, strict=True)
    )
    assert lines == ["one", "three", "five", "six"]
    assert labels == ["1", "3", "5", "6"]
    assert places == [2, 4, 6, 7]


def test_a_digest_is_of_lines_and_labels(tmp_path: Path) -> None:
    def digest(name: str, *rows: str) -> bytes:
        path = Path(write_lines(tmp_path / name, ["text,label", *rows]))
        return survey(path, LABELLED, digested=True).digest

    first = digest("a.csv", *(f"line {i},{i}" for i in range(20)))
    assert digest("b.csv", ",7", *(f'"line {i}",{i}' for i in range(20))) == first
    assert digest("c.csv", *(f"line {i},{i + 1}" for i in range(20))) != first
    assert digest("d.csv", *(f"line {i},{i}" for i in range(19)), "line 0,19") != first
