"""Figures are what they say: each carries its origin, and its command would write it today."""

import json
import re
import shlex
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import benchmark_music
import benchmark_text
import pytest
import tables
from benchmarking import PROVENANCE, Row, measured_row

from seqvae import cli
from seqvae.inference.evaluation import Evaluation

FILES = sorted(tables.RESULTS.glob("*.json"))
EVALUATED = {field.name for field in fields(Evaluation)} | {"split"}
WRITTEN = {  # by script: the fields of a row beside its name and its origin
    "seqvae": EVALUATED,
    "scripts/benchmark_music.py": EVALUATED | {"kl_bits", "published", "device"},
    "scripts/benchmark_text.py": {
        "split", "neg_elbo", "iw_nll", "iw_nll_stderr", "iw_ppl", "kl", "mi", "mi_estimator",
        "active_units", "device",
    },
    "scripts/benchmark_latent.py": {"corpus", "interpolation", "auroc", "attributes"},
    "scripts/benchmark_complete.py": {
        "corpus", "num_windows", "temperature", "kept", "real", "completed", "sampled",
    },
    "scripts/benchmark_prior.py": {
        "corpus", "windows", "data", "reconstructions", "n01", "mixture", "slices",
        "slices, full spread",
    },
    "scripts/benchmark_where.py": {"num_lines", "found", "auroc"},
    "scripts/benchmark_symbols.py": {
        "temperature", "num_samples", "exact", "valid", "unique", "new", "similarity",
        "similarity_of_pairs", "moved_of_valid", "moved_of_all", "valid_after_shift", "rdkit",
        "composition_distance", "composition_distance_of_test", "mean_length",
        "mean_length_of_train",
    },
    "scripts/benchmark_personal.py": {
        "clips", "held_out", "base", "prior_alone", "personal", "scratch", "likelier", "moved",
        "active_units", "midpoints", "cpu_seconds",
    },
    "scripts/fuzz.py": {"about", "tried", "one_line", "unharmed", "fell"},
    "scripts/benchmark_corpus.py": {"cores", "rows"},
    "scripts/benchmark_gpu.py": {"machine", "rows"},
    "scripts/benchmark_humanise.py": {"files", "hits", "velocity_error", "timing_error_ms"},
    "scripts/benchmark_ingest.py": {
        "memory", "melodies", "songs", "workers", "starts", "rows",
    },
    "scripts/benchmark_page.py": {"machine", "rows"},
    "scripts/page_against_torch.py": {"rows"},
    "scripts/benchmark_refine.py": {"corpus", "windows", "nats_per_note", "0", "10", "40"},
    "scripts/benchmark_scale.py": {
        "corpus", "samples", "temperature", "of_key", "data", "key", "scale",
    },
    "scripts/benchmark_speed.py": {"machine", "rows"},
    "scripts/benchmark_start.py": {"machine", "rows"},
    "scripts/profile_decoding.py": {"rows"},
    "scripts/load_app.py": {"machine", "rows"},
    "scripts/measure_osc.py": {"machine", "rows"},
    "scripts/profile_training.py": {"device", "rows"},
    "scripts/benchmark_sentiment.py": {
        "num_sentences", "probe_accuracy", "judge_accuracy", "shift",
    },
}  # fmt: skip
PUBLISHED = {"102.54", "107.64", "102.10", "105.48"}  # texar's, in the text on the Penn Treebank


def rows_in(file: Path) -> list[Row]:
    content = json.loads(file.read_text(encoding="utf-8"))
    return content if isinstance(content, list) else [content]


def script_of(row: Row) -> str:
    first, second, *_ = shlex.split(row["command"])
    return first if first == "seqvae" else second


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_row_carries_its_origin(file: Path) -> None:
    for row in rows_in(file):
        assert set(PROVENANCE) <= set(row)
        assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", row["commit"])
        assert set(row["versions"]) == {"python", "torch", "lightning", "seqvae"}
        assert row["seconds"] is None or row["seconds"] > 0


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_command_of_every_row_would_write_its_fields_today(file: Path) -> None:
    for row in rows_in(file):
        written = WRITTEN[script_of(row)] | {"name", *PROVENANCE}
        assert set(row) <= written, row["command"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_command_of_every_row_names_the_row(file: Path) -> None:
    for row in rows_in(file):
        words = shlex.split(row["command"])
        if script_of(row) == "seqvae":
            assert words[1] in cli.VERBS
            assert words[-2:] == ["--json", f"scripts/results/{file.name}"]
        elif "name" in row:
            assert row["name"] in [Path(word).name for word in words]
            known = {"scripts/benchmark_music.py": benchmark_music.ROWS,
                     "scripts/benchmark_text.py": benchmark_text.ROWS}  # fmt: skip
            assert row["name"] in known.get(script_of(row), [row["name"]])


def test_every_file_is_shown_in_the_page_of_results() -> None:
    text = (tables.RESULTS / "README.md").read_text()
    evaluated = {file for files in tables.EVALUATIONS.values() for file in files}
    assert {file.name for file in FILES} == evaluated | {
        "app.json", "complete.json", "corpus.json", "fuzz.json", "gpu.json", "humanise.json",
        "ingest.json", "latent.json", "music.json", "osc.json", "page.json",
        "page_engine.json", "personal.json", "prior.json", "profile.json",
        "profile_decoding.json", "ptb.json", "refine.json", "scale.json", "sentiment.json",
        "speed.json", "start.json", "symbols.json", "where.json",
    }  # fmt: skip
    for file in evaluated:
        command = json.loads((tables.RESULTS / file).read_text())["command"]
        assert command in " ".join(text.replace("\\\n", " ").split())


def figures(content: Any) -> Iterable[float]:
    """All numbers of a file of results."""
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        for each in content:
            yield from figures(each)
    elif isinstance(content, float | int):
        yield content


@pytest.mark.parametrize("readme", [tables.ROOT / "README.md", tables.RESULTS / "README.md"])
def test_decimals_in_the_text_are_figures_of_the_results(readme: Path) -> None:
    text = tables.BLOCK.sub("", readme.read_text(encoding="utf-8"))
    text = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", "", text, flags=re.S)
    text = re.sub(r"(Python|TensorFlow) [\d.]+", "", text)  # versions
    shown = set(re.findall(r"(?<![\w.+])\d+\.\d+(?![\w.])", text))
    known = [value for file in FILES for value in figures(json.loads(file.read_text()))]
    for number in shown - PUBLISHED - set(" ".join(benchmark_music.PUBLISHED.values()).split()):
        digits = len(number.partition(".")[2])
        assert number in {f"{value:.{digits}f}" for value in known}, number


def test_a_row_that_is_measured_carries_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["scripts/x.py", "runs/a b", "--seed", "3"])
    row = measured_row("a", 3, lambda: {"kl": 1.5})
    assert list(row) == ["name", "kl", *PROVENANCE]
    assert row["kl"] == 1.5
    assert row["command"] == "python scripts/x.py 'runs/a b' --seed 3"
    assert row["seed"] == 3
    assert row["seconds"] == 0
    assert row["versions"]["torch"].startswith("2.")
