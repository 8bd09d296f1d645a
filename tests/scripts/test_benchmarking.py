"""Rows of results, from a planted run and a planted script."""

import json
import sys
from argparse import Namespace
from pathlib import Path

import benchmarking
import pytest
from benchmarking import Benchmark, Row, figures_of

TRAIN, EVALUATE = ["a.yaml", "--trainer.seed", "1"], ["--iw_samples", "3"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A complete run of two validations, as `figures_of` leaves it."""
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "test.json").write_text(json.dumps({"kl": 4.0, "seconds": 7, "commit": "evaluated"}))
    made = {"train": TRAIN, "evaluate": EVALUATE, "device": "abacus"}
    (folder / "row.json").write_text(json.dumps(made))
    (folder / "metrics.csv").write_text("epoch,minutes\n1,0.5\n2,2.5\n")
    return folder


def test_a_complete_run_gives_its_figures_and_the_seconds_of_its_training(run: Path) -> None:
    assert figures_of(run, TRAIN, EVALUATE) == {
        "kl": 4.0, "seconds": 150, "commit": "evaluated", "device": "abacus",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("training", "evaluation"),
    [(["b.yaml", *TRAIN[1:]], EVALUATE), (TRAIN, ["--iw_samples", "4"])],
)
def test_a_run_of_other_flags_is_refused(
    run: Path, capsys: pytest.CaptureFixture[str], training: list[str], evaluation: list[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        figures_of(run, training, evaluation)
    assert stop.value.code == 2
    assert f"{run}: made by" in capsys.readouterr().err


@pytest.mark.parametrize("begun", [False, True])
def test_an_unfinished_run_is_trained_and_then_evaluated(
    run: Path, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    calls = []

    def seqvae(*arguments: str) -> None:
        calls.append(arguments)
        if arguments[0] == "evaluate":
            (run / "test.json").write_text('{"kl": 5.0}')

    monkeypatch.setattr(benchmarking, "seqvae", seqvae)
    (run / "test.json").unlink()
    (run / "row.json").unlink()
    if begun:
        (run / "last.ckpt").touch()
    assert figures_of(run, TRAIN, EVALUATE)["kl"] == 5.0
    train = ("train", *TRAIN, "--name", "a", "--runs", str(run.parent))
    assert calls == [
        (*train, "--resume") if begun else train,
        ("evaluate", str(run), "--json", str(run / "test.json"), *EVALUATE),
    ]
    made = json.loads((run / "row.json").read_text())
    assert (made["train"], made["evaluate"]) == (TRAIN, EVALUATE)


def benchmark(results: Path) -> Benchmark:
    def make_row(name: str, options: Namespace, for_train: list[str]) -> Row:
        return {"figure": f"{name} {options.iw_samples} {for_train}"}

    return Benchmark(
        script="benchmark_x.py",
        about="Planted.",
        rows=["a", "b", "c"],
        not_in_all=["c"],
        place="FOLDER",
        results=results,
        iw_samples=5,
        make_row=make_row,
        table=lambda rows: " ".join(row["name"] for row in rows),
    )


def call(planted: Benchmark, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark_x.py", *arguments])
    planted.main()


def test_a_row_keeps_the_seed_and_the_command_that_make_it_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    planted = benchmark(tmp_path / "x.json")
    call(planted, monkeypatch, "b", "--data", "d", "--seed", "3", "--", "--model.latent_dim", "2")
    (row,) = json.loads((tmp_path / "x.json").read_text())
    assert row == {
        "name": "b",
        "figure": "b 5 ['--model.latent_dim', '2']",
        "seed": 3,
        "command": "python scripts/benchmark_x.py --data FOLDER b --seed 3 -- --model.latent_dim 2",
    }


def test_all_means_the_rows_of_the_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planted = benchmark(tmp_path / "x.json")
    call(planted, monkeypatch, "all", "--data", "d")
    call(planted, monkeypatch, "--table")
    assert capsys.readouterr().out == "a b\n"
    call(planted, monkeypatch, "c", "--data", "d", "--iw_samples", "2")
    assert "c 2 []" in (tmp_path / "x.json").read_text()
