"""Figures of samples of symbols."""

import json
import sys
from pathlib import Path

import benchmark_symbols
import pytest
from trained import train_tiny


def test_compositions_differ_by_what_would_have_to_move() -> None:
    assert benchmark_symbols.distance(["aab"], ["ab", "ba", "aaab"]) == pytest.approx(1 / 24)
    assert benchmark_symbols.distance(["aa"], ["b"]) == 1.0
    assert benchmark_symbols.distance(["ab", "c"], ["cab"]) == 0.0


def test_a_row_of_peptides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "peptides.txt"
    source.write_text("".join(f"GI{a}K{b}\n" for a in "GAVLF" for b in "GAVLF"), encoding="utf-8")
    trained = train_tiny(tmp_path, source, {"kind": "symbols", "max_steps": 8})
    file = tmp_path / "symbols.json"
    file.write_text('[{"name": "before", "seed": 0}]', encoding="utf-8")
    words = ["peptides", trained.run, "-n", 6, "--results", file]
    monkeypatch.setattr(sys, "argv", ["benchmark_symbols.py", *map(str, words)])
    benchmark_symbols.main()
    rows = json.loads(file.read_text(encoding="utf-8"))
    assert [row["name"] for row in rows] == ["before", "tiny"]
    assert rows[1]["mean_length_of_train"] == 5.0
    assert 0 <= rows[1]["exact"] <= 1
    assert '"composition_distance"' in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["benchmark_symbols.py", "--table", "--results", str(file)])
    benchmark_symbols.main()
    header, _, _, last = capsys.readouterr().out.splitlines()
    assert "composition" in header
    assert "similarity" not in header  # of molecules
    assert last.startswith("| `tiny` | ")


def test_molecules_are_told_by_rdkit() -> None:
    pytest.importorskip("rdkit")
    assert benchmark_symbols.canonical("OCC") == benchmark_symbols.canonical("CCO") == "CCO"
    assert benchmark_symbols.canonical("C(") is None
    assert benchmark_symbols.canonical("") is None
    assert benchmark_symbols.tanimoto([("CCO", "OCC"), ("C(", "C")]) == 1.0
    assert benchmark_symbols.log_p("CCCC") > benchmark_symbols.log_p("OCCO")
