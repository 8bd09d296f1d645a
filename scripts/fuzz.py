"""Campaigns against seqvae: damaged files, kills, odd settings, two commands at once.

    python scripts/fuzz.py --midi FOLDER            # all campaigns in full: 25 minutes on two cores
    python scripts/fuzz.py --small --results FILE   # a few trials of each
    python scripts/fuzz.py damage --only 17         # one trial again, with all that it printed
    python scripts/fuzz.py --table

A trial is a function of the seed and its number, and runs in a process of its own. It is unharmed,
or ends in one line that a user understands, or it falls: a traceback, a crash, a silent loss, a
resumed run that differs. What is done is kept in `--work`, so that the same command goes on.
"""

import argparse
import json
import shlex
import sys
from collections import Counter
from functools import partial
from pathlib import Path

from benchmarking import ROOT, Row, measured_row, write_row
from fuzz_pool import Outcome, run_trials, table, trial_alone
from fuzz_trials import CAMPAIGNS, make_base

RESULTS = ROOT / "scripts" / "results" / "fuzz.json"
SHOWN = 20  # trials that fell, in the report of a run


def main() -> None:
    """Run campaigns, or print the table."""
    options = make_parser().parse_args()
    if options.table:
        print(table(json.loads(options.results.read_text(encoding="utf-8"))))
        return
    names = options.campaigns or [*CAMPAIGNS]
    if unknown := {*names} - {*CAMPAIGNS}:
        print(f"no campaign {min(unknown)}; there are {', '.join(CAMPAIGNS)}", file=sys.stderr)
        sys.exit(2)
    base = make_base(options.work / "base", options.midi)
    for name in names:
        if options.only is not None:
            print(trial_alone(CAMPAIGNS[name], base, seed=options.seed, number=options.only))
            continue
        row = measured_row(name, options.seed, partial(campaign, name, base, options))
        row["command"] = command_of(name, options)
        write_row(options.results, row, [*CAMPAIGNS])
        print(table([row]))


def campaign(name: str, base: Path, options: argparse.Namespace) -> Row:
    """All trials of a campaign that are not done yet; the counts of all."""
    wanted = CAMPAIGNS[name]
    count = wanted.small if options.small else wanted.count
    log = options.work / f"{name}_{options.seed}.jsonl"
    outcomes = run_trials(
        wanted, base, log, seed=options.seed, count=count, processes=options.processes
    )
    fallen = [outcome for outcome in outcomes if outcome.kind == "fell"]
    for outcome in fallen[:SHOWN]:
        print(f"{name} {outcome.number}: {outcome.about}", file=sys.stderr)
    return counts(wanted.about, outcomes)


def counts(about: str, outcomes: list[Outcome]) -> Row:
    """How many trials ended in which way."""
    kinds = Counter(outcome.kind for outcome in outcomes)
    return {
        "about": about,
        "tried": len(outcomes),
        "one_line": kinds["one line"],
        "unharmed": kinds["unharmed"],
        "fell": kinds["fell"],
    }


def command_of(name: str, options: argparse.Namespace) -> str:
    """The command that makes a row again."""
    words = ["python", "scripts/fuzz.py", name]
    words += ["--midi", "FOLDER"] if options.midi else []
    words += ["--small"] if options.small else []
    return shlex.join([*words, *(["--seed", str(options.seed)] if options.seed else [])])


def make_parser() -> argparse.ArgumentParser:
    """The script's flags."""
    made = argparse.ArgumentParser(description="Campaigns against seqvae.", allow_abbrev=False)
    made.add_argument("campaigns", nargs="*", help=f"all, or some of {', '.join(CAMPAIGNS)}")
    made.add_argument("--midi", type=Path, help="folder of real MIDI files to damage; or made ones")
    made.add_argument("--work", type=Path, default=Path("fuzz"), help="folder of what is done")
    made.add_argument("--results", type=Path, default=RESULTS, help="file of the rows")
    made.add_argument("--seed", type=int, default=0, help="seed of all trials")
    made.add_argument("--small", action="store_true", help="few trials, in less than a minute")
    made.add_argument("--processes", type=int, default=2, help="trials at a time")
    made.add_argument("--only", type=int, metavar="NUMBER", help="run this trial alone, aloud")
    made.add_argument("--table", action="store_true", help="print the results as a table")
    return made


if __name__ == "__main__":
    main()
