"""The benchmark script, with models that see a few sentences."""

import json
import math
import shlex
import sys
from pathlib import Path
from types import ModuleType

import benchmarking
import pytest
from trained import load_script

from seqvae import cli
from seqvae.training.flags import parse_config

ROOT = Path(__file__).parents[2]
COLUMNS = {
    "name", "split", "neg_elbo", "iw_nll", "iw_nll_stderr", "iw_ppl", "kl", "mi", "mi_estimator",
    "active_units", "device", *benchmarking.PROVENANCE,
}  # fmt: skip
TINY = shlex.split(
    "--model.embedding_dim 8 --model.encoder_dim 8 --model.decoder_dim 8 --model.latent_dim 4 "
    "--trainer.max_epochs 1 --trainer.min_epoch_steps 1 --trainer.precision fp32"
)


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load_script(ROOT / "scripts" / "benchmark_text.py")

    def in_this_process(*arguments: str) -> None:
        module.calls.append(arguments)
        with monkeypatch.context() as patched:
            patched.setattr(sys, "argv", ["seqvae", *arguments])
            cli.main()

    monkeypatch.setattr(benchmarking, "seqvae", in_this_process)
    monkeypatch.setattr(module, "calls", [], raising=False)
    return module


@pytest.fixture
def sentences_folder(tmp_path: Path) -> Path:
    words = ("a", "b", "c", "d")
    lines = [f"{x} {y} {z}" for x in words for y in words for z in words]
    for split, some in (("train", lines), ("valid", lines[:9]), ("test", lines[5:21])):
        (tmp_path / f"{split}.txt").write_text("\n".join(some) + "\n")
    return tmp_path


def call(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str
) -> list[dict[str, object]]:
    results = folder / "results.json"
    own = [
        *arguments,
        "--data",
        folder,
        "--runs",
        folder / "runs",
        "--corpora",
        folder / "corpora",
        "--results",
        results,
    ]
    own += ["--iw_samples", "3", "--", *TINY]
    monkeypatch.setattr(sys, "argv", ["benchmark_text.py", *map(str, own)])
    benchmark.BENCHMARK.main()
    rows: list[dict[str, object]] = json.loads(results.read_text())
    return rows


@pytest.mark.parametrize("name", ["target_4", "best", "big"])
def test_a_row_is_trained_once_and_has_every_column(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, sentences_folder: Path, name: str
) -> None:
    call(benchmark, monkeypatch, sentences_folder, name)
    assert [arguments[0] for arguments in benchmark.calls] == ["train", "evaluate"]
    row = call(benchmark, monkeypatch, sentences_folder, name)[0]
    assert len(benchmark.calls) == 2
    assert set(row) == COLUMNS
    assert row["split"] == "test"
    assert row["mi_estimator"] == "aggregate posterior of 16 sentences, ceiling 2.77 nats"
    # Three words and the end of the line.
    assert row["iw_ppl"] == pytest.approx(math.exp(row["iw_nll"] / 4), rel=1e-6)  # type: ignore[operator]


def test_a_run_of_other_flags_is_no_such_row(
    benchmark: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    sentences_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (row,) = call(benchmark, monkeypatch, sentences_folder, "lm")
    made = "python scripts/benchmark_text.py --data PTB_FOLDER lm --iw_samples 3 -- "
    assert row["command"] == made + shlex.join(TINY)
    monkeypatch.setitem(globals(), "TINY", [*TINY, "--trainer.batch_size", "16"])
    with pytest.raises(SystemExit) as stop:
        call(benchmark, monkeypatch, sentences_folder, "lm")
    assert stop.value.code == 2
    assert "ptb_lm: made by train" in capsys.readouterr().err


def test_an_interrupted_row_goes_on(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, sentences_folder: Path
) -> None:
    call(benchmark, monkeypatch, sentences_folder, "lm")
    (sentences_folder / "runs" / "ptb_lm" / "test.json").unlink()
    call(benchmark, monkeypatch, sentences_folder, "lm")
    assert [a[0] for a in benchmark.calls if "--resume" in a] == ["train"]


def test_every_row_of_the_benchmark_can_be_trained(benchmark: ModuleType) -> None:
    for flags in benchmark.ROWS.values():
        config, *rest = flags.split()
        data = ["--data.source", "x.txt"]
        parse_config("train", [str(ROOT / "configs" / config), *rest, *data])


def test_rows_stand_in_order_and_a_newer_one_takes_the_place_of_the_older(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    file = tmp_path / "deep" / "results.json"
    for name, seed, kl in (("best", 0, 1), ("lm", 0, 2), ("best", 1, 3), ("best", 0, 4)):
        row = {"name": name, "seed": seed, "kl": kl}
        benchmarking.write_row(file, row, list(benchmark.ROWS))
    rows = [(row["name"], row["seed"], row["kl"]) for row in json.loads(file.read_text())]
    assert rows == [("lm", 0, 2), ("best", 0, 4), ("best", 1, 3)]


def test_seeds_are_a_mean_between_the_lowest_and_the_highest(benchmark: ModuleType) -> None:
    rows = json.loads(benchmark.RESULTS.read_text())
    (row,) = (row for row in rows if row["name"] == "target_8")
    others = [row | {"seed": seed, "iw_ppl": ppl} for seed, ppl in ((1, 100), (2, 104), (3, 102))]
    others[0] |= {"active_units": 9, "mi": -0.001}
    (line,) = benchmark.table(others).splitlines()[2:]
    cells = line.strip("| ").split(" | ")
    assert cells[0] == "`target_8`, 3 seeds"
    assert cells[3] == "102.0 (100.0 to 104.0)"
    assert cells[5] == "4.43 (0.00 to 6.64)"
    assert cells[6] == "9.67 (9 to 10)"
    assert cells[4] == "8.02"
    assert len(benchmark.table(rows).splitlines()) == 2 + len({row["name"] for row in rows})


def test_all_rows_have_every_column(benchmark: ModuleType) -> None:
    for row in json.loads(benchmark.RESULTS.read_text()):
        assert set(row) == COLUMNS


@pytest.mark.parametrize("arguments", [["nonsense"], []])
def test_unknown_rows_are_refused(
    benchmark: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark_text.py", "--data", "x", *arguments])
    with pytest.raises(SystemExit) as stop:
        benchmark.BENCHMARK.main()
    assert stop.value.code == 2
    assert "annealing" in capsys.readouterr().err
