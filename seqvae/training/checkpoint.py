"""A run on disk.

A folder with config.yaml, corpus.json (what it is trained on), metrics.csv (one row per
validation), last.ckpt (to resume) and bundle/ (the best epoch by validation).
"""

import csv
import io
import json
import pickle
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml

from seqvae.corpus.digests import Digests
from seqvae.corpus.sources import find_sources, fingerprint_of, has_sources
from seqvae.corpus.store import ABOUT, Corpus
from seqvae.disk import door, fields_of, read_json, remove_leftovers, write_file
from seqvae.errors import InputError, shown
from seqvae.inference.bundle import BUNDLE
from seqvae.inference.prior import FILE as PRIOR
from seqvae.tokenizers import make_tokenizer
from seqvae.training.config import Config

CONFIG, METRICS, CHECKPOINT = "config.yaml", "metrics.csv", "last.ckpt"
FORMAT = 2  # of last.ckpt
FREE = {  # settings that a resumed run may change: they change no sequence and no objective
    "data": ("source", "train", "valid", "test", "table", "corpus", "num_workers"),
    "trainer": (
        "accelerator", "devices", "num_nodes", "strategy", "accumulate", "loggers",
        "checkpoint_minutes",
    ),
}  # fmt: skip
NEW_NAME = "give another --name"
MAX_SHOWN = 2  # settings that differ, in a message


def begin_run(run: Path, config: Config, corpus: Corpus) -> None:
    """Write what is trained on what."""
    write_file(run / CONFIG, yaml.safe_dump(asdict(config), sort_keys=False))
    record_corpus(run, corpus)


def record_corpus(run: Path, corpus: Corpus) -> None:
    """Write what a run is trained on, and where that lies."""
    about = json.loads((corpus.folder / ABOUT).read_text(encoding="utf-8"))
    about["folder"] = str(corpus.folder.resolve())
    write_file(run / ABOUT, json.dumps(about, indent=2) + "\n")


def tidy(run: Path) -> None:
    """Remove what a training that was killed has left half-written in its run."""
    for name in (CONFIG, METRICS, CHECKPOINT, ABOUT, BUNDLE, f"{BUNDLE}/{PRIOR}"):
        remove_leftovers(run / name)


def write_metrics(run: Path, history: list[dict[str, float]]) -> None:
    """Write one row per validation; a figure that one of them did not have is nan there."""
    table = io.StringIO(newline="")
    names = dict.fromkeys(name for row in history for name in row)
    writer = csv.DictWriter(table, fieldnames=list(names), restval="nan")
    writer.writeheader()
    writer.writerows(history)
    write_file(run / METRICS, table.getvalue())


def read_metrics(run: Path, columns: Sequence[str] = ()) -> list[dict[str, float]]:
    """Read the rows that `write_metrics` wrote; some of the columns may be required.

    Raises:
        InputError: there are none, or they are damaged.
    """
    file = run / METRICS
    if not file.is_file():
        raise InputError(f"{run}: no run ({METRICS} is missing)")
    with (
        door(file, "train with --resume, or copy the run again", csv.Error),
        file.open(newline="", encoding="utf-8") as opened,
    ):
        header, *rows = csv.reader(opened)
        if missing := {*columns} - {*header}:
            raise ValueError(f"no column {min(missing)}")
        return [dict(zip(header, map(float, row), strict=True)) for row in rows]


def write_checkpoint(run: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values, whole or not at all."""
    content = io.BytesIO()  # torch itself would not name the file if the disk is full
    torch.save({"format": FORMAT} | state, content)
    write_file(run / CHECKPOINT, content.getvalue())


def read_checkpoint(run: Path, config: Config) -> dict[str, Any]:
    """The state to resume from, if it is one of this very config and of these data.

    Raises:
        InputError: there is none, it is damaged or of another version, or config or data differ.
    """
    file = run / CHECKPOINT
    if not file.is_file():
        raise InputError(f"{run}: no {CHECKPOINT} to resume from; start it without --resume")
    check_unchanged(run, config)
    with door(file, NEW_NAME, pickle.UnpicklingError):
        state = fields_of(torch.load(file, map_location="cpu", weights_only=True), {})
    if state.get("format") != FORMAT:
        raise InputError(f"{file}: written by another version of seqvae; give another --name")
    return state


def check_unchanged(run: Path, config: Config) -> None:
    """Refuse to resume a run with other settings or on other data.

    Raises:
        InputError: a setting or the data differ, or the run's record of them is damaged.
    """
    with door(run / CONFIG, NEW_NAME, yaml.YAMLError):
        content = yaml.safe_load((run / CONFIG).read_text(encoding="utf-8"))
        saved = fields_of(content, dict.fromkeys(FREE, dict[str, Any]))
    fingerprint = read_json(run / ABOUT, NEW_NAME, fingerprint=str)["fingerprint"]
    wanted = json.loads(json.dumps(asdict(config)))  # tuples become lists, as in the file
    for settings in (saved, wanted):
        for section, names in FREE.items():
            settings[section] = {k: v for k, v in settings[section].items() if k not in names}
    if changes := differences(saved, wanted):
        raise InputError(
            f"{run}: {'; '.join(changes[:MAX_SHOWN])}{'; ...' if changes[MAX_SHOWN:] else ''}; "
            f"resume with {run / CONFIG} or give another --name"
        )
    if fingerprint_now(config) != fingerprint:
        raise InputError(
            f"{run}: the data have changed since this run began; give another --name, "
            "or put them back as they were"
        )


def fingerprint_now(config: Config) -> str:
    """The fingerprint of the data, or of the prepared corpus where no data are named.

    Raises:
        InputError: there is neither.
    """
    data, folder = config.data, config.corpus_folder
    if not has_sources(data) and (folder / ABOUT).is_file():
        return Corpus(folder).fingerprint
    try:
        sources = find_sources(data, make_tokenizer(data.tokenizer))
    except InputError as error:
        raise InputError(
            f"{error}; if the data have moved, name their place with --data.source"
        ) from error
    return fingerprint_of(data, sources, Digests(folder))


def differences(saved: Any, wanted: Any, name: str = "") -> list[str]:
    """The settings in which two configs differ, and how."""
    if isinstance(saved, dict) and isinstance(wanted, dict):
        return [
            change
            for key in wanted | saved
            for change in differences(saved.get(key), wanted.get(key), f"{name}.{key}".strip("."))
        ]
    return [] if saved == wanted else [f"{name} is {shown(saved)}, here {shown(wanted)}"]
