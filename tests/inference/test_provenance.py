"""What stands beside a figure."""

import json
import subprocess
from pathlib import Path

import pytest
import torch

import seqvae
from seqvae.inference import provenance as module
from seqvae.inference.provenance import commit, provenance


def git(folder: Path, *words: str) -> str:
    names = ("-c", "user.name=a", "-c", "user.email=a@b")
    command = ["git", *names, *words]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_it_is_plain_and_complete() -> None:
    made = provenance("seqvae evaluate x", seed=3, seconds=1.26)
    assert json.loads(json.dumps(made)) == made
    assert made["command"] == "seqvae evaluate x"
    assert (made["seed"], made["seconds"]) == (3, 1.3)
    assert made["commit"] == commit()
    assert made["versions"]["torch"] == torch.__version__
    assert {"python", "seqvae", "torch", "lightning"} == made["versions"].keys()


def test_the_commit_is_that_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "__file__", str(tmp_path / "seqvae/inference/provenance.py"))
    assert commit() == seqvae.__version__  # installed, not checked out
    git(tmp_path, "init", "-q")
    assert commit() == seqvae.__version__  # nothing is committed yet
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    assert commit() == git(tmp_path, "rev-parse", "HEAD")
    git(tmp_path, "tag", "-am", "first", "v1")
    assert commit() == git(tmp_path, "rev-parse", "HEAD")  # whatever the tags
    (tmp_path / "file").write_text("two")
    assert commit() == git(tmp_path, "rev-parse", "HEAD") + "-dirty"
