"""Each script of the cookbook on a tiny model."""

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Normal
from trained import Trained, load_script

from seqvae import cli
from seqvae.errors import InputError
from seqvae.inference.code_table import new_table

COOKBOOK = Path(__file__).parents[2] / "scripts" / "cookbook"
THINGS = ("the sea.", "a boat.", "red apples.", "old trees.", "the moon.", "music.")
LINES = [f"{who} {thing}" for who in ("Two dogs draw", "The girl wants") for thing in THINGS]


@pytest.fixture
def codes(sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Codes of two files of six lines each, in the working folder."""
    monkeypatch.chdir(tmp_path)
    for name, lines in {"dogs.txt": LINES[:6], "girls.txt": LINES[6:]}.items():
        Path(name).write_text("\n".join(lines), encoding="utf-8")
    encode(monkeypatch, sentences, "dogs.txt", "girls.txt", "--out", "codes.npz")
    return Path("codes.npz")


def encode(monkeypatch: pytest.MonkeyPatch, trained: Trained, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["seqvae", "encode", str(trained.run), *words])
    cli.main()


@contextlib.contextmanager
def refusal(capsys: pytest.CaptureFixture[str], reason: str) -> Iterator[None]:
    """A mistake of the user ends as one line and exit code 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        yield
    assert left.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert ": error: " in line
    assert reason in line


def run(monkeypatch: pytest.MonkeyPatch, name: str, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
    load_script(COOKBOOK / f"{name}.py").main()


def test_a_map_is_drawn(
    codes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "map_of_codes", codes, "map.png")
    assert "map.png: 12 of 12 codes, from 2 sources" in capsys.readouterr().out
    assert Path("map.png").read_bytes().startswith(b"\x89PNG")


def test_labels_are_told_from_codes(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    file = tmp_path / "labels.tsv"
    file.write_text("".join(f"{line.split()[1]}\t{line}\n" for line in LINES), encoding="utf-8")
    run(monkeypatch, "classify", sentences.run, file, "--folds", 3)
    out = capsys.readouterr().out
    assert float(out.split()[0]) > 0.6
    assert out.endswith("from codes of 4 numbers; the most frequent label alone: 0.500\n")
    with file.open("a", encoding="utf-8") as more:
        more.write(f"dogs\t{'long ' * 40}\n")
    run(monkeypatch, "classify", sentences.run, file, "--folds", 3)
    told, again = capsys.readouterr().out.splitlines()
    assert told.startswith("1 line left out, such as line 13: 'long long")
    assert again == out.strip()
    with refusal(capsys, "of each label as many lines as folds (7); "):
        run(monkeypatch, "classify", sentences.run, file, "--folds", 7)
    file.write_text("dogs Two dogs\n", encoding="utf-8")
    with refusal(capsys, "line 1 has no tab"):
        run(monkeypatch, "classify", sentences.run, file)
    with refusal(capsys, "none.tsv: cannot be read (No such file or directory)"):
        run(monkeypatch, "classify", sentences.run, "none.tsv")


def test_a_line_is_nearest_to_itself(
    sentences: Trained, codes: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    capsys.readouterr()
    run(monkeypatch, "neighbours", sentences.run, codes, LINES[8], "-n", 3)
    header, first, *others = capsys.readouterr().out.splitlines()
    assert header == f"of 12 lines the 3 nearest to {LINES[8]!r}:"
    assert first == f" 1.000  girls.txt:3  {LINES[8]}"
    assert len(others) == 2


def test_copies_are_taken_out_and_the_first_stays(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    rows = np.array([[0, 0], [5, 5], [0, 0.01], [5, 5], [9, 0]], np.float32)
    with new_table(Path("codes.npz"), 2, "m") as table:
        table.add("other.txt", np.array([1, 7, 8]), rows[:3], rows[:3])
        table.add("text.txt", np.array([1, 2, 4, 5, 6]), rows, rows)
    Path("text.txt").write_text("a\nb\n\na!\nb\nc\u2028d\nlong\n", encoding="utf-8")
    run(monkeypatch, "deduplicate", "codes.npz", "text.txt", "kept.txt")
    assert Path("kept.txt").read_text(encoding="utf-8") == "a\nb\nc\u2028d\nlong\n"
    assert capsys.readouterr().out == (
        "kept.txt: 4 of 6 lines; 2 were like others, such as\n"
        "  line 4: a!\n  line 1: a\n  line 5: b\n  line 2: b\n"
    )
    run(monkeypatch, "deduplicate", "codes.npz", "text.txt", "kept.txt", "--distance", 0)
    assert Path("kept.txt").read_text(encoding="utf-8") == "a\nb\na!\nc\u2028d\nlong\n"
    assert "5 of 6 lines; 1 was like another, such as\n" in capsys.readouterr().out
    with refusal(capsys, "codes.npz has codes of other.txt, text.txt, not of kept.txt"):
        run(monkeypatch, "deduplicate", "codes.npz", "kept.txt", "kept.txt")


def test_codes_in_other_formats_or_of_nothing(
    sentences: Trained, codes: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    encode(monkeypatch, sentences, "dogs.txt", "girls.txt", "--out", "codes.csv")
    run(monkeypatch, "map_of_codes", "codes.csv", "map.png")
    assert "map.png: 12 of 12 codes, from 2 sources" in capsys.readouterr().out
    Path("one.txt").write_text(LINES[0], encoding="utf-8")
    encode(monkeypatch, sentences, "one.txt", "--out", "one.npz")
    with refusal(capsys, "one.npz has 1 code, and --max_points is 5000; a map takes 4 or more"):
        run(monkeypatch, "map_of_codes", "one.npz", "map.png")
    for name in ("map_of_codes", "deduplicate"):
        with refusal(capsys, "none.npz: no such file"):
            run(monkeypatch, name, "none.npz", *["x.png", "y.txt"][: 1 + (name == "deduplicate")])


def test_codes_of_standard_input_have_no_lines_to_show(
    sentences: Trained, codes: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    piped = SimpleNamespace(buffer=io.BytesIO("\n".join(LINES).encode()))
    monkeypatch.setattr(sys, "stdin", piped)
    encode(monkeypatch, sentences, "-", "--out", "codes.npz")
    with refusal(capsys, "standard input: cannot be read"):
        run(monkeypatch, "neighbours", sentences.run, codes, LINES[8])
    with refusal(capsys, "codes.npz has codes of standard input, not of dogs.txt"):
        run(monkeypatch, "deduplicate", codes, "dogs.txt", "kept.txt")


def test_codes_of_another_model_are_refused(
    sentences: Trained, melodies: Trained, codes: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with refusal(capsys, "codes.npz: codes of another model"):
        run(monkeypatch, "neighbours", melodies.run, codes, LINES[8])
    with refusal(capsys, "codes.npz: codes of another model"):
        run(monkeypatch, "own_prior", melodies.run, codes)


def test_samples_come_from_a_prior_of_ones_own(
    sentences: Trained, codes: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    capsys.readouterr()
    run(monkeypatch, "own_prior", sentences.run, codes, "-n", 3, "--width", 0.01)
    header, *samples = capsys.readouterr().out.splitlines()
    assert header.startswith("3 samples from a density of 12 codes (")
    assert len(samples) == 3


def fixed(sample: Any, log_prob: Any) -> SimpleNamespace:
    return SimpleNamespace(sample=lambda n, generator: sample, log_prob=lambda z: log_prob)


@pytest.mark.parametrize(
    ("density", "reason"),
    [
        (None, r"the prior is None; seqvae\.load\(\.\.\.\)\.prior is the one that belongs"),
        (object(), r"the prior, of type object, cannot be called as sample\(n, gen"),
        (Normal(torch.zeros(4), torch.ones(4)), r"of type Normal, cannot be called as sample\(n"),
        (fixed(torch.zeros(2, 3), torch.zeros(2)), r"gave \(2, 3\) for 2 .* of shape \(2, 4\)"),
        (fixed(torch.zeros(2, 4).double(), torch.zeros(2)), "gave torch.float64 on cpu; it must"),
        (fixed([0.0], torch.zeros(2)), "sample gave list for 2 codes"),
        (fixed(torch.full((2, 4), torch.nan), torch.zeros(2)), "sample gave a number that is not"),
        (fixed(torch.zeros(2, 4), torch.zeros(())), r"log_prob gave \(\) for 2 .* shape \(2,\)"),
    ],
    ids=["none", "object", "distribution", "shape", "double", "list", "nan", "scalar"],
)  # fmt: skip
def test_what_is_no_prior(sentences: Trained, density: Any, reason: str) -> None:
    before = sentences.vae.prior
    with pytest.raises(InputError, match=reason):
        sentences.vae.prior = density
    assert sentences.vae.prior is before


def test_a_prior_is_drawn_from_by_seed(sentences: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    vae, asked = sentences.vae, []
    monkeypatch.setattr(vae, "_prior", vae.prior)  # which comes back at the end

    def sample(n: int, generator: torch.Generator) -> torch.Tensor:
        asked.append((n, generator.initial_seed()))
        return torch.zeros(n, 4)

    vae.prior = SimpleNamespace(sample=sample, log_prob=lambda z: z.sum(1))
    texts = vae.sample(3, temperature=0.0, seed=7)
    assert asked[1:] == [(3, 7)]
    assert texts == vae.decode(np.zeros((3, 4)))
