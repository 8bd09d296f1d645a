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


def test_both_checkouts_prepare_whole_collections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tmp_path / "said"
    for name in ("other", "this"):
        package = tmp_path / name / "seqvae"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "cli.py").write_text(
            "import sys\n\ndef main():\n"
            f"    print({name!r}, *sys.argv[1:6:2], file=open({str(said)!r}, 'a'))\n"
        )
    monkeypatch.setattr(benchmark_ingest, "ROUNDS", 1)
    monkeypatch.setattr(benchmark_ingest, "CONFIGS", tmp_path / "this" / "configs")
    row = benchmark_ingest.prepare_compared(tmp_path / "other", tmp_path / "tunes", "waltz.yaml")
    other, this = said.read_text().splitlines()
    assert other.split()[:3] == ["other", "prepare", "--data.source"]
    assert this.split()[:3] == ["this", "prepare", "--data.source"]
    assert row["name"] == "seqvae prepare, tunes"
    assert row["ratio"] == pytest.approx(row["after"] / row["before"], abs=0.01)


def test_a_corpus_is_begun_twice(tmp_path: Path) -> None:
    write_tunes(tmp_path / "tunes", 4)
    figures = benchmark_ingest.starts(tmp_path / "tunes", "melody_2bar.yaml")
    assert figures["files"] == 4
    assert {"first", "second"} < figures.keys()
