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
    here = Path(__file__).parents[2]
    row = benchmark_ingest.compared(here, tmp_path / "tunes", "melody_2bar.yaml", None)
    assert row["name"] == "tunes"
    assert row["sequences_before"] == row["sequences_after"] > 0
    assert row["ratio"] == round(row["after"] / row["before"], 2)


def test_a_corpus_is_begun_twice(tmp_path: Path) -> None:
    write_tunes(tmp_path / "tunes", 4)
    figures = benchmark_ingest.starts(tmp_path / "tunes", "melody_2bar.yaml")
    assert figures["files"] == 4
    assert {"first", "second"} < figures.keys()
