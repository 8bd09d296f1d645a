"""The small form of the campaigns, and the pool that runs their trials."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fuzz_pool import Campaign, Ended, Fell, Outcome, run_trials
from fuzz_trials import CAMPAIGNS

ROOT = Path(__file__).parents[1]


def test_no_trial_of_the_small_form_falls(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, str(ROOT / "scripts/fuzz.py"), "--small", "--work", str(tmp_path),
            "--results", str(tmp_path / "fuzz.json"),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads((tmp_path / "fuzz.json").read_text())}
    assert {name: row["fell"] for name, row in rows.items()} == dict.fromkeys(CAMPAIGNS, 0), (
        done.stderr
    )
    for name, row in rows.items():
        assert row["tried"] == row["one_line"] + row["unharmed"] == CAMPAIGNS[name].small
    assert rows["damage"]["one_line"] > 0
    assert rows["settings"]["one_line"] > 0


def toy(rng: random.Random, base: Path, folder: Path) -> str:
    """What the base says of a number that is drawn."""
    number = len([*base.iterdir()])
    (base / f"{number}").write_text(str(rng.random()))
    (folder / "own").touch()
    match number:
        case 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        case 2:
            time.sleep(60)
        case 3:
            raise Fell("it differs")
        case 4:
            return str(1 / 0)
        case 5:
            return "one line"
    return ""


def test_a_trial_that_kills_its_process_or_hangs_costs_itself_alone(tmp_path: Path) -> None:
    campaign = Campaign(about="", count=9, small=9, seconds=1.5, trial=toy)
    (tmp_path / "base").mkdir()
    log = tmp_path / "log.jsonl"
    outcomes = run_trials(campaign, tmp_path / "base", log, seed=0, count=8, processes=1)
    kinds = [outcome.kind for outcome in outcomes]
    assert kinds == ["unharmed", *["fell"] * 4, "one line", "unharmed", "unharmed"]
    assert [outcome.about for outcome in outcomes[1:4]] == [
        "ended with signal SIGSEGV", "ended with signal SIGKILL", "it differs",
    ]  # fmt: skip
    assert "ZeroDivisionError" in outcomes[4].about
    drawn = {path.read_text() for path in (tmp_path / "base").iterdir()}
    assert len(drawn) == 8  # each trial draws from a seed of its own
    again = run_trials(campaign, tmp_path / "base", log, seed=0, count=8, processes=1)
    assert again == outcomes
    assert len([*(tmp_path / "base").iterdir()]) == 8  # nothing is run twice
    more = run_trials(campaign, tmp_path / "base", log, seed=0, count=9, processes=1)
    assert more == [*outcomes, Outcome(8, "unharmed", "")]


@pytest.mark.parametrize(
    ("code", "err", "expected"),
    [
        (0, "a warning\n", ""), (2, "x\nseqvae: error: y\n", "seqvae: error: y"),
        (1, "Traceback (most recent call last):\n", None), (2, "no line\n", None),
        (2, "seqvae: error: y\nseqvae: error: z\n", None), (0, "seqvae: error: y\n", None),
        (2, f"seqvae: error: {'x' * 400}\n", None), (139, "", None),
        (2, "seqvae: error: Unable to allocate 7 TiB\n", None),
    ],
)  # fmt: skip
def test_a_command_ends_well_or_in_one_short_line(
    code: int, err: str, expected: str | None
) -> None:
    ended = Ended(code, "", err)
    if expected is None:
        with pytest.raises(Fell):
            ended.judged()
    else:
        assert ended.judged() == expected
