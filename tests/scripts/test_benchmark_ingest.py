"""The benchmark of reading, on a few tunes."""

from pathlib import Path

import benchmark_ingest
import pytest
from corpora import write_tunes


def test_another_checkout_reads_the_same_files_by_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tunes(tmp_path / "tunes", 4)
    monkeypatch.setattr(benchmark_ingest, "ROUNDS", 1)
    monkeypatch.setenv("CI", "true")  # lets a library print where it was found
    here = Path(__file__).parents[2]
    row = benchmark_ingest.compared(here, tmp_path / "tunes", "melody_2bar.yaml", None)
    assert row["name"] == "tunes"
    assert row["sequences_before"] == row["sequences_after"] > 0
    assert row["ratio"] == round(row["after"] / row["before"], 2)


def test_the_other_checkout_is_not_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tunes(tmp_path / "tunes", 4)
    stubs = {
        "__init__": "",
        "corpus/__init__": "",
        "corpus/config": "DataConfig = None",
        "corpus/prepare": "prepare = None",
        "corpus/scores": "class Result:\n    sequences = range(99)\n    extraction = None\n\n"
        "Result.extraction = Result\nextract_file = lambda *_: Result",
        "tokenizers": "make_tokenizer = dict",
    }
    for module, content in stubs.items():
        file = tmp_path / "other/seqvae" / f"{module}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    monkeypatch.chdir(Path(__file__).parents[2])  # whose seqvae comes first in `python -c`
    monkeypatch.setattr(benchmark_ingest, "ROUNDS", 1)
    row = benchmark_ingest.compared(
        tmp_path / "other", tmp_path / "tunes", "melody_2bar.yaml", None
    )
    assert row["sequences_before"] == 4 * 99
    assert 0 < row["sequences_after"] != 4 * 99


def test_a_corpus_is_begun_twice(tmp_path: Path) -> None:
    write_tunes(tmp_path / "tunes", 4)
    figures = benchmark_ingest.starts(tmp_path / "tunes", "melody_2bar.yaml")
    assert figures["files"] == 4
    assert {"first", "second"} < figures.keys()
