"""Where a line is odd: swapped tokens, and made logs with planted anomalies."""

import json
import re
import shutil
import sys
from pathlib import Path
from random import Random

import benchmark_where
import made_logs
import numpy as np
import pytest
from trained import Trained


def test_a_swap_is_one_token_that_is_read_as_it_was_written(sentences: Trained) -> None:
    tokenizer, rng = sentences.vae.tokenizer, np.random.default_rng(0)
    assert tokenizer.modality == "text"
    ids = tokenizer.encode("A man sees the sea.")
    types = np.arange(2 + 256, tokenizer.vocab_sizes[0])
    swaps = [
        pair for _ in range(200) for pair in benchmark_where.swapped(tokenizer, ids, types, rng)
    ]
    assert len(swaps) > 10
    for changed, place in swaps:
        assert np.flatnonzero((changed != ids).any(1)).tolist() == [place]
        assert np.array_equal(tokenizer.encode(tokenizer.decode(changed)), changed)
    assert {place for _, place in swaps} <= {*range(len(ids) - 1)}  # never the end
    assert benchmark_where.swapped(tokenizer, ids[-2:], types, rng) == []


def test_shares_and_areas_by_hand() -> None:
    assert benchmark_where.share_found([[1, 3, 2], [4, 1], [4, 1]], [1, 0, 1]) == 2 / 3
    kinds = np.array(["normal", "normal", "a", "b"])
    found = benchmark_where.by_kind(np.array([1.0, 3.0, 2.0, 4.0]), kinds)
    assert found == {"all": 0.75, "a": 0.5, "b": 1.0}


def test_every_anomaly_is_none_of_the_events() -> None:
    draw = Random(0)
    values = {"{B}": r"blk_\d{10}", "{A}": r"10\.25[01]\.\d+\.\d+:50010", "{S}": r"\d{7,8}",
              "{N}": r"\d{1,2}"}  # fmt: skip
    patterns = []
    for _, event in made_logs.EVENTS:
        pattern = re.escape(event)
        for field, value in values.items():
            pattern = pattern.replace(re.escape(field), value)
        patterns.append(re.compile(pattern))
    for _ in range(400):  # so many have an event without a block
        line = made_logs.filled(made_logs.event(draw), draw)
        assert any(pattern.fullmatch(line) for pattern in patterns), line
        for kind, plant in made_logs.PLANTED.items():
            line = plant(draw)
            assert "{" not in line
            assert not any(pattern.fullmatch(line) for pattern in patterns), (kind, line)


def test_rows_are_made(sentences: Trained, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(sentences.run, tmp_path / "tiny")
    results = ["--results", str(tmp_path / "where.json")]
    run = str(tmp_path / "tiny")
    monkeypatch.setattr(sys, "argv", ["benchmark_where.py", run, "--lines", "5", *results])
    benchmark_where.main()
    (row,) = json.loads((tmp_path / "where.json").read_text())
    assert row["found"].keys() == {"mean", "importance", "repair", "ngram"}
    assert row["num_lines"] == 5
    assert "| 5 |" in benchmark_where.swap_table([row])
    planted = tmp_path / "planted.tsv"
    planted.write_text("normal\tA man sees the sea.\nodd\tsea the sees man\n")
    arguments = ["benchmark_where.py", run, "--planted", str(planted), *results]
    monkeypatch.setattr(sys, "argv", arguments)
    benchmark_where.main()
    (row,) = json.loads((tmp_path / "where.json").read_text())
    assert row["auroc"]["line"].keys() == {"all", "odd"}
    assert "| line, ngram | " in benchmark_where.anomaly_table([row])
    assert row["auroc"]["line, ngram"]["odd"] == 1.0


def test_logs_are_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sizes = ["--lines", "20", "--planted", "7"]
    monkeypatch.setattr(sys, "argv", ["made_logs.py", str(tmp_path / "logs"), *sizes])
    made_logs.main()
    assert len((tmp_path / "logs/normal.txt").read_text().splitlines()) == 20
    rows = [row.split("\t") for row in (tmp_path / "logs/planted.tsv").read_text().splitlines()]
    assert [kind for kind, _ in rows] == ["normal"] * 7 + [*made_logs.PLANTED, "unseen"]
