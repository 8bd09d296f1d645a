"""The benchmark of corpora, tried out on some hundred lines."""

import json
from pathlib import Path

import benchmark_corpus
import pytest


@pytest.fixture(autouse=True)
def few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_corpus, "NUM_WORDS", 1000)


def test_lines_are_random_words_as_many_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_corpus, "LINES_AT_A_TIME", 40)
    lines = [*benchmark_corpus.random_lines(100)]
    assert len(lines) == 100
    assert all(line.endswith("\n") and line.count(" ") == 10 for line in lines)
    assert lines == [*benchmark_corpus.random_lines(100)]


def test_a_corpus_is_measured_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark_corpus, "SECONDS_BETWEEN_LOOKS", 0.01)
    row = benchmark_corpus.measure(300, tmp_path)
    assert row["lines"] == 300
    assert row["peak_mib"] > 10
    assert row["lines_per_second"] == pytest.approx(300 / row["seconds"], rel=0.2)
    assert row["sentencepiece_lines_per_second"] > 0
    assert {path.name for path in tmp_path.iterdir()} == {"lines.txt", "corpus"}


def test_the_figures_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark_corpus, "measure", lambda lines, place: {"lines": lines})
    monkeypatch.setattr("sys.argv", ["script", "--lines", "50", "--out", f"{tmp_path}/a.json"])
    benchmark_corpus.main()
    figures = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "a.json").read_text()) == figures
    rows = [{"name": "text_tenth", "lines": 5}, {"name": "text_whole", "lines": 50}]
    assert figures["rows"] == rows
