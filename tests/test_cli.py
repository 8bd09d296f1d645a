"""The command line as a user meets it: results, one-line errors, exit codes, Ctrl-C."""

import contextlib
import inspect
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from command import run
from full_disk import full_disk
from trained import Trained, write_tunes

import seqvae
from seqvae import cli, verb_flags
from seqvae.corpus.store import Corpus
from seqvae.errors import InputError
from seqvae.inference import options
from seqvae.inference.bundle import open_corpus
from seqvae.inference.inputs import Opened, sentence
from seqvae.inference.provenance import commit
from seqvae.music.midi import read_midi, to_pretty_midi
from seqvae.music.notes import Piece, make_notes
from seqvae.shipped import models
from seqvae.training.flags import parse_config

ROOT = Path(__file__).parents[1]
TINY_TEXT = """\
name: tiny
data:
  tokenizer: {kind: text, vocab_size: 300, max_steps: 24}
model: {latent_dim: 4, embedding_dim: 8, encoder_dim: 8, decoder_dim: 8}
trainer: {max_epochs: 2, batch_size: 8, precision: fp32, accelerator: cpu}
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a config and a corpus, which is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY_TEXT)
    lines = [f"the {a} {b} it" for a in "abcdefgh" for b in ("sees", "likes", "eats", "has")]
    (tmp_path / "lines.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_the_whole_way_of_text(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    assert run(monkeypatch, "prepare", "tiny.yaml", "--data.source", "lines.txt") == 0
    assert "sequences 26 train, 3 valid, 3 test" in caplog.text
    assert run(monkeypatch, "train", "tiny.yaml", "--data.source", "lines.txt") == 0
    assert sorted(p.name for p in (tiny / "runs/tiny").iterdir()) == [
        "bundle", "config.yaml", "corpus.json", "last.ckpt", "metrics.csv",
    ]  # fmt: skip
    capsys.readouterr()
    assert run(monkeypatch, "evaluate", "runs/tiny", "--json", "figures.json") == 0
    figures = json.loads((tiny / "figures.json").read_text())
    assert figures["iw_samples"] == 500
    assert figures["iw_word_perplexity"] > 1
    assert figures["command"] == "seqvae evaluate runs/tiny --json figures.json"
    assert (figures["split"], figures["seed"]) == ("test", 0)
    assert figures["commit"] == commit()
    assert figures["seconds"] > 0
    assert figures["versions"]["seqvae"] == seqvae.__version__
    assert f"{figures['neg_elbo']:.4f}" in capsys.readouterr().out
    outputs = []
    for _ in range(2):
        assert run(monkeypatch, "sample", "runs/tiny", "-n", 3, "--seed", 1, "--out", "o") == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
    assert (tiny / "o/sample.txt").read_text() == outputs[0]
    ends = ["the a sees it", "the b likes it"]
    assert run(monkeypatch, "reconstruct", "runs/tiny", *ends) == 0
    reconstructions = capsys.readouterr().out.splitlines()
    assert run(monkeypatch, "interpolate", "runs/tiny", *ends, "--num_steps", 4) == 0
    path = capsys.readouterr().out.splitlines()
    assert [path[0], path[-1]] == reconstructions
    assert len(path) == 4
    capsys.readouterr()
    assert run(monkeypatch, "report", "runs/tiny") == 0
    assert capsys.readouterr().out == "runs/tiny/report.html\n"
    assert (tiny / "runs/tiny/report.html").read_text().startswith("<!DOCTYPE html>")


def test_the_verbs_write_midi_that_can_be_read(
    melodies: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    one, two = sorted(melodies.source.glob("*.mid"))[:2]
    common = ("--bar", 1, "--out", "out")
    assert run(monkeypatch, "sample", melodies.run, "-n", 2, "--seed", 1, "--qpm", 90) == 0
    assert run(monkeypatch, "reconstruct", melodies.run, one, two, *common) == 0
    assert run(monkeypatch, "interpolate", melodies.run, one, two, "--num_steps", 3, *common) == 0
    names = [Path(line).name for line in capsys.readouterr().out.splitlines()]
    assert names == [
        "sample_00.mid", "sample_01.mid",
        f"reconstruct_{one.stem}.mid", f"reconstruct_{two.stem}.mid",
        *(f"interpolate_{one.stem}_{two.stem}_{i:02d}.mid" for i in range(3)),
    ]  # fmt: skip
    assert read_midi(tmp_path / "out/sample_00.mid", 4).qpm_at(0) == pytest.approx(90, rel=1e-4)
    (tmp_path / "clips").mkdir()
    for path in (one, two):
        shutil.copy(path, tmp_path / "clips")
    assert run(monkeypatch, "reconstruct", melodies.run, "clips", *common) == 0
    again = [Path(line).name for line in capsys.readouterr().out.splitlines()]
    assert again == names[2:4]
    (tmp_path / "clips/0.mid").write_bytes(b"no MIDI")
    assert run(monkeypatch, "reconstruct", melodies.run, "clips", *common) == 0
    again = [Path(line).name for line in capsys.readouterr().out.splitlines()]
    assert again == names[2:4]
    assert run(monkeypatch, "reconstruct", melodies.run, "clips/0.mid", *common) == 2
    assert "clips/0.mid" in capsys.readouterr().err
    few = ("--iw_samples", 3, "--json", "valid.json")
    assert run(monkeypatch, "evaluate", melodies.run, "--split", "valid", *few) == 0
    assert "onset_f1" in capsys.readouterr().out
    valid = json.loads((tmp_path / "valid.json").read_text())
    assert (valid["split"], valid["iw_samples"]) == ("valid", 3)
    assert valid["num_sequences"] == len(melodies.corpus.splits["valid"])
    assert run(monkeypatch, "report", melodies.run, "--out", "r/page.html") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("frobnicate", "no verb 'frobnicate'; there are"),
        ("humanize", "no verb 'humanize'; did you mean humanise?; there are"),
        ("sample nowhere", "nowhere: no such folder"),
        ("sample .", "is this a seqvae bundle?"),
        ("sample", "required: run"),
        ("train", "give a preset or a config, such as"),
        ("report . --out report.pdf", "is missing"),
        ("train tiny.yaml --data.source lines.txt --trainer.accelerator gpu", "no GPU"),
        ("sample . -n two", "invalid int value: 'two'"),
        ("sample . --temprature 1", "unrecognized arguments: --temprature"),
        ("evaluate .", "is missing"),
        ("train missing.yaml", "missing.yaml: no such config file"),
        ("train tiny.yaml", "no data: give data.source"),
        ("train tiny.yaml --resume --data.source lines.txt", "no last.ckpt to resume from"),
        ("train tiny.yaml --data.source nothing", "nothing: no such file or folder"),
        ("train tiny.yaml --data.source empty", "holds no text files"),
        ("train tiny.yaml --data.source lines.txt --trainer.max_epoch 3", "--trainer.max_epoch"),
        ("train tiny.yaml --data.source lines.txt --trainer.max_epochs x", "trainer.max_epochs"),
        ("train tiny.yaml --data.source lines.txt --trainer.max_epochs 0", "max_epochs is 0"),
        ("train tiny.yaml --data.source lines.txt --model.dropout 1", "dropout is 1"),
        ("train tiny.yaml --data.source lines.txt --objective.beta.shape cubic", "cubic"),
        ("train tiny.yaml --data.source lines.txt --objective.target_kl 1000", "target_kl is 1000"),
        (
            "train tiny.yaml --data.source lines.txt --objective.target_kl 8 "
            "--objective.free_nats 2",
            "target_kl and free_nats are both set",
        ),
        ("train tiny.yaml --data.source lines.txt --model.z_wiring []", "z_wiring is empty"),
        ("train tiny.yaml --data.source lines.txt --trainer.seed 4294967296", "seed is 4294967296"),
        ("train tiny.yaml --data.source lines.txt --data.split_seed -1", "split_seed is -1"),
        (
            "train tiny.yaml --data.source lines.txt --objective.free_nats 1e9",
            "free_nats is 1e+09, but latent_dim",
        ),
        (
            "train tiny.yaml --data.source lines.txt --objective.free_nats_per_dim 10",
            "the KL would never cost anything",
        ),
        (
            "train tiny.yaml --data.source lines.txt --objective.beta.shape cyclical "
            "--objective.beta.beta_warmup_steps 0",
            "beta_warmup_steps 0 makes no cycles",
        ),
        (
            "train tiny.yaml --data.source lines.txt --model.bn_gamma 0.6 --trainer.batch_size 1",
            "give batch_size 2 or more",
        ),
        ("train tiny.yaml --data.source lines.txt --model.z_wiring [skip]", "z_wiring has 'skip'"),
        (
            "train tiny.yaml --data.source lines.txt --model.encoder_pooling sum",
            "choose one of last",
        ),
        ("train tiny.yaml --data.source lines.txt --trainer.pretrain_epochs 2", "max_epochs 2"),
        ("train tiny.yaml --data.source lines.txt --trainer.ema_decay 1", "ema_decay is 1"),
        ("train tiny.yaml --data.source lines.txt --data.train a", "data.source and data.train"),
        ("train tiny.yaml --data.train lines.txt", "data.valid is not; give all three"),
        ("train tiny.yaml --data.source lines.txt --name a/b", "plain folder name"),
        ("train unknown.yaml --data.source lines.txt", "frob"),
        ("train broken.yaml --data.source lines.txt", "broken.yaml"),
        (
            "train kind.yaml --data.source lines.txt",
            "'chords'; choose one of text, words, symbols, melody",
        ),
        ("train setting.yaml --data.source lines.txt", "no 'num_bars'"),
        ("train type.yaml --data.source lines.txt", "vocab_size is 'big'"),
        ("prepare tiny.yaml --data.source one.txt", "the only line is 'only one line'"),
        ("prepare tiny.yaml --data.source blank.txt", "no lines to train on"),
        (
            "prepare tiny.yaml --data.source nospace.txt --data.tokenizer.kind words",
            "are a single word that no other line has",
        ),
        (
            "train tiny.yaml --data.source nospace.txt --data.tokenizer.kind words",
            "take data.tokenizer.kind text",
        ),
        ("prepare tiny.yaml --data.source lines.txt --data.corpus empty/../full", "other files"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: str, message: str,
) -> None:  # fmt: skip
    config = yaml.safe_load(TINY_TEXT)
    tokenizers = {
        "kind": {"kind": "chords"},
        "setting": {"kind": "text", "num_bars": 2},
        "type": {"kind": "text", "vocab_size": "big"},
    }
    for name, tokenizer in tokenizers.items():
        changed = config | {"data": {"tokenizer": tokenizer}}
        (tiny / f"{name}.yaml").write_text(yaml.safe_dump(changed))
    (tiny / "unknown.yaml").write_text(TINY_TEXT + "frob: 1\n")
    (tiny / "broken.yaml").write_text("name: [\n")
    (tiny / "one.txt").write_text("only one line\n")
    (tiny / "blank.txt").write_text("\n\n \n")
    (tiny / "nospace.txt").write_text("".join(f"{a}你好世界{b}\n" for a in "abcd" for b in "efgh"))
    (tiny / "empty").mkdir()
    (tiny / "full").mkdir()
    (tiny / "full/own.txt").write_text("mine")
    before = {*tiny.rglob("*")}
    assert run(monkeypatch, *arguments.split()) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("seqvae: error: ")
    assert len(printed.err.splitlines()) == 1
    assert message in printed.err
    written = {path.relative_to(tiny).as_posix() for path in {*tiny.rglob("*")} - before}
    # Nothing half-written: but the manifest says what is wrong with the sources.
    assert written in (set(), {"corpora", "corpora/tiny", "corpora/tiny/manifest.jsonl"})


def test_an_output_folder_that_cannot_be_written_is_one_line(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "file").write_text("")
    code = run(monkeypatch, "sample", sentences.run, "--out", tmp_path / "file" / "out")
    assert code == 2
    assert capsys.readouterr().err == (
        f"seqvae: error: {tmp_path}/file/out: cannot be written to (Not a directory); "
        "name another place with --out\n"
    )
    for verb, flag, words in (
        ("encode", "--out", ("A man sleeps.",)), ("report", "--out", ()),
        ("play", "--out", ("--no_open",)), ("score", "--json", ("A man sleeps.",)),
        ("app", "--space", ()),
    ):  # fmt: skip
        file = tmp_path / "file" / {"encode": "a.npz", "score": "a.json"}.get(verb, "a.html")
        assert run(monkeypatch, verb, sentences.run, *words, flag, file) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"seqvae: error: {tmp_path}/file")
        assert ": cannot be written to (Not a directory); name another " in said
        assert said.endswith(f" with {flag}\n")
    assert run(monkeypatch, "export", "onnx", sentences.run, tmp_path / "file" / "x") == 2
    assert (
        "cannot be written to (Not a directory); name another folder\n" in capsys.readouterr().err
    )
    sources = ("--data.source", sentences.source)
    for verb, flag in (
        ("prepare", "--data.corpus"),
        ("train", "--data.corpus"),
        ("train", "--runs"),
    ):
        config = ("--init_from", sentences.run, *sources, "--name", "x", flag, tmp_path / "file/x")
        monkeypatch.chdir(tmp_path)
        assert run(monkeypatch, verb, *config) == 2
        said = capsys.readouterr().err
        assert f"(Not a directory); name another folder with {flag}\n" in said
    assert run(monkeypatch, "personal", sentences.run, sentences.source, "--name", "file/x") == 2
    assert "(Not a directory); give another --name\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample", "--qpm", 0], "qpm is 0; MIDI takes"),
        (["sample", "--qpm", "nan"], "qpm is nan; "),
        (["sample", "--seed", 10**30], "seed is"),
        (["sample", "--temperature", "inf"], "temperature is inf"),
        (["report", "--out", "picture.xyz"], "ends in .html"),
        (["play", "--out", "picture.xyz"], "ends in .html"),
        (["evaluate", "--iw_samples", 0], "iw_samples is 0; it must be 1 or more"),
        (["evaluate", "--iw_samples", -1, "--json", "f.json"], "iw_samples is -1; it must"),
        (["evaluate", "--iw_samples", "many"], "invalid int value: 'many'"),
        (["evaluate", "--precision", "fp8"], "precision is 'fp8'; choose one of fp32, bf16"),
        (["evaluate", "--json", "."], "--json .: a folder; name a file"),
    ],
)
def test_impossible_values_are_refused(
    melodies: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], arguments: list[object], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, arguments[0], melodies.run, *arguments[1:]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1
    assert printed.out == ""
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_reader_that_has_gone_ends_a_verb_in_silence(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert run(monkeypatch, "sample", sentences.run, "-n", 2, "--out", tmp_path) == 141
        monkeypatch.undo()
    assert capsys.readouterr().err == ""
    assert len((tmp_path / "sample.txt").read_text().splitlines()) == 2  # which was written before


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["sample", "--out"], "{}/sample.txt"),
        (["evaluate", "--iw_samples", 1, "--json"], "{}/f.json"),
        (["report", "--out"], "{}/page.html"),
        (["attributes", "length", "--method", "means", "--out"], None),
    ],
    ids=lambda words: words[0] if isinstance(words, list) else "",
)
def test_a_full_disk_is_one_line_with_the_path(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
    arguments: list[object], file: str | None,
) -> None:  # fmt: skip
    verb, *flags = arguments
    out = tmp_path if file is None or verb == "sample" else file.format(tmp_path)
    with full_disk():
        code = run(monkeypatch, verb, sentences.run, *flags, out)
    assert [*tmp_path.iterdir()] == []
    printed = capsys.readouterr()
    if file is None:  # what took minutes to find is shown all the same
        assert code == 0
        assert "1 length" in printed.out
        message = f"{tmp_path}: the attributes are not kept (File too large); name another folder"
        assert message in caplog.text
    else:
        assert code == 2
        place = file.format(tmp_path)
        assert printed.err.startswith(
            f"seqvae: error: {place}: cannot be written to (File too large); name another "
        )
        assert printed.err.endswith(f" with {flags[-1]}\n")


@pytest.mark.parametrize("arguments", [["sample"], ["report"], ["evaluate"]], ids=str)
def test_a_place_that_cannot_be_written_to_is_refused_before_the_work(
    melodies: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], arguments: list[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(os, "access", lambda path, how: False)
    monkeypatch.setattr("seqvae.inference.codec.Codec.tokens", None)  # nothing is decoded
    flag, file = {"sample": ("--out", "out"), "report": ("--out", "page.html"),
                  "evaluate": ("--json", "f.json")}[arguments[0]]  # fmt: skip
    assert run(monkeypatch, *arguments, melodies.run, flag, tmp_path / file) == 2
    folder = tmp_path / "out" if arguments == ["sample"] else tmp_path
    said = capsys.readouterr().err
    assert said.startswith(f"seqvae: error: {folder}: cannot be written to (Permission denied); ")
    assert said.endswith(f" with {flag}\n")


def test_bad_midi_for_interpolate_names_file_and_reason(
    melodies: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.mid").write_text("not music")
    good = next(melodies.source.glob("*.mid"))
    assert run(monkeypatch, "interpolate", melodies.run, good, "bad.mid") == 2
    assert "bad.mid: not a MIDI file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample", "m", "--bars", "8"], "arguments: --bars 8; it is a flag of complete (see"),
        (
            ["sample", "m", "--bar", "8"],
            "it is a flag of encode, reconstruct, humanise and others",
        ),
        (["sample", "m", "--zzz", "8"], "arguments: --zzz 8 (see seqvae sample --help)"),
        (
            ["interpolate", "m", "a.mid"],
            "end missing; interpolate takes two inputs: start, end (see",
        ),
        (["analogy", "m", "a.mid"], "b, c missing; analogy takes three inputs: a, b, c (see"),
        (["vary", "m"], "source missing; vary takes one input (see seqvae vary --help)"),
        (["analogy"], "the following arguments are required: run, a, b, c (see"),
        (["blend", "m", "a.mid"], "1 input; blend takes two to four"),
    ],
)
def test_flags_of_other_verbs_and_missing_inputs_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], message: str,
) -> None:  # fmt: skip
    assert run(monkeypatch, *arguments) == 2
    assert message in capsys.readouterr().err


def test_the_verbs_that_are_named_for_a_flag_are_verbs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb_flags, "MAX_VERBS", 99)
    for kind in vars(options).values():
        for field in fields(kind) if is_dataclass(kind) else ():
            named = verb_flags._verbs_that_know(field.name).removeprefix("; it is a flag of ")
            assert {*named.split(", ")} - {""} <= {*cli.VERBS}


@pytest.mark.parametrize(
    ("arguments", "guess"),
    [
        (["train", "tiny.yaml", "--max_epochs", "3"], "--trainer.max_epochs"),
        (["train", "tiny.yaml", "--epochs", "3"], "--trainer.max_epochs"),
        (["train", "tiny.yaml", "--data.sourc", "x"], "--data.source"),
        (["sample", "run", "--temp", "0.5"], "--temperature"),
        (["sample", "run", "--n", "4"], "-n"),
        (["sample", "run", "--e", "4"], None),
        (["sample", "run", "--zzz", "1"], None),
    ],
)
def test_an_unknown_flag_is_answered_with_the_one_that_it_resembles(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], guess: str | None,
) -> None:  # fmt: skip
    assert run(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert arguments[2] in error
    assert (f"did you mean {guess}?" in error) if guess else ("did you mean" not in error)


def test_help_and_import_do_not_load_the_heavy_libraries() -> None:
    code = (
        "import sys, seqvae, seqvae.cli\n"
        "sys.argv = ['seqvae', *sys.argv[1:]]\n"
        "try:\n"
        "    seqvae.cli.main()\n"
        "except SystemExit:\n"
        "    pass\n"
        "heavy = {'torch', 'lightning', 'matplotlib', 'symusic', 'sentencepiece', 'pretty_midi'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))"
    )

    def printed(*arguments: str) -> str:
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    out = printed("--help")
    assert "loaded: []" in out
    for verb, function in cli.VERBS.items():
        assert verb in out
        assert function.__doc__ in out
    assert "loaded: []" in printed("interpolate", "--help")
    assert "loaded: []" in printed("vary", "run", "source", "--distance", "2")  # refused at once


def test_ctrl_c_during_the_imports_is_one_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"seqvae": "seqvae.__main__:main"}
    code = (
        "import runpy, sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *others):\n"
        "        if name == 'seqvae.inference.options':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "runpy.run_module('seqvae', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


@pytest.mark.parametrize(("own", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_sleep_unless_the_user_says_otherwise(
    own: str | None, expected: str
) -> None:
    code = (
        "import os, sys, atexit, seqvae.cli\n"
        "atexit.register(lambda: print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules))\n"
        "sys.argv = ['seqvae', '--help']\n"
        "seqvae.cli.main()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env=environment | ({"OMP_WAIT_POLICY": own} if own else {}),
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == f"{expected} False"  # torch reads it when it is loaded


def test_sampling_does_not_load_lightning(sentences: Trained) -> None:
    code = f"import sys, seqvae; seqvae.load({str(sentences.run)!r}).sample(1); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(out.stdout.split())
    assert "torch" in modules
    assert not {"lightning", "matplotlib"} & modules


def test_the_flags_of_train_reach_the_training(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    train = ("train", "tiny.yaml", "--data.source", "lines.txt", "--trainer.max_epochs", 1)
    train = (*train, "--runs", "elsewhere", "--dedupe")
    assert run(monkeypatch, *train) == 0
    assert (tiny / "elsewhere/tiny/bundle/model.safetensors").is_file()
    assert yaml.safe_load((tiny / "elsewhere/tiny/config.yaml").read_text())["data"]["dedupe"]
    assert not (tiny / "runs").exists()
    assert run(monkeypatch, *train) == 2
    assert "this run exists" in capsys.readouterr().err
    assert run(monkeypatch, *train, "--resume") == 0
    assert "the training is complete" in caplog.text
    assert run(monkeypatch, *train[:-1], "--resume") == 2
    assert "data.dedupe is True, here False" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [(), ("--corpus", "elsewhere", "--out", "page.html")])
def test_the_flags_of_report_reach_the_page(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(sentences.corpus.folder, tmp_path / "elsewhere")
    calls: list[tuple[Path, Path, Path]] = []

    def spy(run: Path, corpus: Corpus, out: Path) -> None:
        calls.append((run, corpus.folder, out))

    monkeypatch.setattr("seqvae.pages.report.write_report", spy)
    assert run(monkeypatch, "report", sentences.run, *flags) == 0
    expected = (Path("elsewhere"), Path("page.html")) if flags else (
        sentences.corpus.folder, sentences.run / "report.html",
    )  # fmt: skip
    assert calls == [(sentences.run, *expected)]


@pytest.mark.parametrize(
    ("model", "flags", "out", "is_opened"),
    [
        ("", (), "{run}/play.html", True),
        ("", ("--no_open",), "{run}/play.html", False),
        ("bundle", ("--no_open",), "play.html", False),
        ("", ("--out", "page.html"), "page.html", True),
    ],
)
def test_play_writes_its_page_beside_the_run_and_opens_it(
    melodies: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], model: str, flags: tuple[str, ...], out: str,
    is_opened: bool,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    written: list[tuple[Path, Path]] = []
    opened: list[str] = []
    monkeypatch.setattr("seqvae.pages.play.write_play", lambda *given: written.append(given))
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert run(monkeypatch, "play", melodies.run / model, *flags) == 0
    file = Path(out.format(run=melodies.run))
    assert written == [(melodies.run / model, file)]
    assert capsys.readouterr().out == f"{file}\n"
    assert opened == [file.resolve().as_uri()] * is_opened


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), ("127.0.0.1", None, True)),
        (("--host", "0.0.0.0", "--port", 80, "--no_open"), ("0.0.0.0", 80, False)),
    ],
)
def test_app_is_shown_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[object, ...],
    expected: tuple[str, int | None, bool],
) -> None:  # fmt: skip
    served: list[tuple[object, ...]] = []
    monkeypatch.setattr(
        "seqvae.serving.app.serve", lambda *given, browser: served.append((*given, browser))
    )
    assert run(monkeypatch, "app", "runs/tiny", *flags) == 0
    assert served == [(Path("runs/tiny"), *expected)]


class Recorder:
    """A model that keeps what its verbs are called with."""

    tokenizer = SimpleNamespace(modality="music")
    codec = SimpleNamespace(sources=list, opened=lambda inputs, how: list(inputs))

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        def called(**keywords: Any) -> Any:
            self.calls.append((verb, keywords))
            raise InputError("enough")

        return called


KINDS = (
    options.Sample, options.Reconstruct, options.Interpolate, options.Blend, options.Vary,
    options.Complete, options.Analogy, options.Shift, options.Attributes, options.Score,
    options.Evaluate,
)  # fmt: skip
VALUES = {  # another than the default of each field
    "n": 3, "num_steps": 4, "method": {"Interpolate": "lerp", "Attributes": "probe"},
    "distance": 0.5, "attribute": "x", "amount": -0.5, "keep_others": True, "iw_samples": 9,
    "max_sequences": 5, "refine": 6,
    "split": "valid", "precision": "bf16", "corpus": "corpora/x", "labels": "l.tsv", "out": "o",
    "names": ["p", "q"], "qpm": 90.0, "temperature": 0.7, "top_k": 5, "top_p": 0.5, "seed": 11,
    "chords": "C F", "bar": 2, "beats": "b.txt", "chord_file": "c.txt", "tracks": "melody: all",
    "column": "text", "label_column": "mood", "beats_metre": "3/4", "metre": "3/4",
    "key": "E minor", "input_key": "Bb", "keep": "1-2", "fill": "3", "bars": 9, "choose": 12,
    "scale": "D dorian", "prefix": "The man", "where": True, "by": "importance",
    "inputs": ["u", "v"], "start": "s", "end": "e", "source": "s", "a": "a", "b": "b", "c": "c",
}  # fmt: skip


def words_of(name: str, value: Any) -> list[str]:
    flag = f"-{name}" if len(name) == 1 else f"--{name}"
    return [flag] if value is True else [flag, str(value)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_flag_of_a_verb_reaches_its_method(
    kind: type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    vae, verb = Recorder(), kind.__name__.lower()
    loaded: list[object] = []
    monkeypatch.setattr(seqvae, "load", lambda run: loaded.append(run) or vae)
    plain, inputs = [], {}
    for field in fields(kind):
        if field.default is MISSING:
            value = VALUES[field.name]
            inputs[field.name] = value
            if field.kw_only:
                plain += words_of(field.name, value)
            else:
                plain += value if isinstance(value, list) else [value]
    assert run(monkeypatch, verb, "the/run", *plain) == 2
    defaults = {f.name: f.default for f in fields(kind) if f.default is not MISSING}
    assert loaded == ["the/run"]
    assert vae.calls == [(verb, defaults | inputs)]  # what Python has by default
    for name in defaults:
        value = VALUES[name][kind.__name__] if isinstance(VALUES[name], dict) else VALUES[name]
        assert value != defaults[name]
        words = value if name == "names" else words_of(name, value)
        if name == "source":  # which has no dashes, and may be missing
            words = [value]
        if name == "names":  # after the run, and before the flags
            assert run(monkeypatch, verb, "the/run", *words, *plain) == 2
        else:
            assert run(monkeypatch, verb, "the/run", *plain, *words) == 2
        assert vae.calls[-1] == (verb, defaults | inputs | {name: value})


@pytest.mark.parametrize("kind", KINDS)
def test_the_help_of_a_flag_is_the_docstring_of_its_field(
    kind: type, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    assert run(monkeypatch, kind.__name__.lower(), "--help") == 0
    text = capsys.readouterr().out
    assert inspect.getdoc(kind) in text
    for field in fields(kind):
        doc = options.field_docs(kind)[field.name]
        default = field.default
        told = f" (default {default})" if isinstance(default, int | float | str) else ""
        told = "" if isinstance(default, bool) else told
        assert f"{doc}{told}\n" in text
        if default is not MISSING and default != () and field.name != "source":
            assert words_of(field.name, True)[0] in text


def test_settings_of_music_are_refused_for_text_each_by_name(
    sentences: Trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sample, reconstruct = ["sample", sentences.run], ["reconstruct", sentences.run, "A man."]
    for command, flag in (
        (sample, ["--qpm", 90]), (sample, ["--chords", "C"]), (sample, ["--audio"]),
        (sample, ["--metre", "3/4"]),
        (reconstruct, ["--bar", 1]), (reconstruct, ["--beats", "x"]),
        (["score", *reconstruct[1:]], ["--chord_file", "x"]),
    ):  # fmt: skip
        assert run(monkeypatch, *command, *flag) == 2
        assert f"{flag[0]} is for music; this model takes text" in capsys.readouterr().err


def test_attributes_are_fitted_and_kept_by_the_command_line(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    copied = tmp_path / "run"
    shutil.copytree(sentences.run, copied)
    few = ("length", "--method", "means")
    assert run(monkeypatch, "attributes", copied, *few) == 0
    assert "1 length" in capsys.readouterr().out
    shift = ("shift", copied, "A man.", "--attribute", "length", "--keep_others")
    assert run(monkeypatch, *shift) == 0
    assert run(monkeypatch, "attributes", copied / "bundle", *few) == 2
    assert "seqvae prepare --init_from this model" in capsys.readouterr().err
    corpus = ("--corpus", sentences.corpus.folder)
    assert run(monkeypatch, "attributes", copied / "bundle", *few, *corpus) == 0
    assert not (copied / "bundle/attributes.json").exists()


def test_the_least_likely_input_is_printed_first(
    sentences: Trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["A man likes the sea.", "zzqx vvkj", "Two dogs draw old trees."]
    assert run(monkeypatch, "score", sentences.run, *texts, "--seed", 4) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header == "nats/token"  # a step is a token
    scores = dict(zip(texts, sentences.vae.score(texts, seed=4), strict=True))
    expected = sorted(texts, key=lambda text: -scores[text].per_event)
    assert [line.split(maxsplit=1)[1] for line in lines] == expected
    assert float(lines[0].split()[0]) == pytest.approx(scores[expected[0]].per_event, abs=1e-3)


def test_lines_on_standard_input_are_inputs_of_a_model_of_text(
    sentences: Trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["A man likes the sea.", "Two dogs draw old trees."]
    for verb, words in (("score", ("--where",)), ("reconstruct", ())):
        assert run(monkeypatch, verb, sentences.run, *lines, "A boat.", *words) == 0
        named = capsys.readouterr().out
        piped = SimpleNamespace(buffer=io.BytesIO("\n\n".join(lines).encode()))
        monkeypatch.setattr(sys, "stdin", piped)
        assert run(monkeypatch, verb, sentences.run, "-", "A boat.", *words) == 0
        assert capsys.readouterr().out == named
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
    assert run(monkeypatch, "score", sentences.run, "-") == 2
    assert "no inputs" in capsys.readouterr().err


def test_lines_on_standard_input_that_do_not_fit_are_left_out(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def piped(*lines: str, encoding: str = "utf-8") -> None:
        text = "\n".join(lines).encode(encoding)
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))

    monkeypatch.chdir(tmp_path)
    (tmp_path / "note.txt").touch()  # a line is no name of a file
    fine, long = ["A man likes the sea.", "note.txt"], "long " * 40
    piped(fine[0], "", long, fine[1], *[long] * 11)
    assert run(monkeypatch, "reconstruct", sentences.run, "-") == 0
    assert capsys.readouterr().out.splitlines() == sentences.vae.reconstruct(
        [fine[0], Opened(fine[1], [sentence(sentences.vae.tokenizer, fine[1])])]
    )
    first, second, *others = caplog.messages
    assert first == "standard input: 12 of 14 lines left out"
    assert second.startswith("  line 3: 'long long")
    assert len(others) == 10
    assert others[-1] == "  and 2 others"
    piped(fine[0], long)
    assert run(monkeypatch, "score", sentences.run, "-", "--json", "s.json") == 0
    (row,) = json.loads(Path("s.json").read_text(encoding="utf-8"))
    assert row["input"] == fine[0]
    piped(long)
    assert run(monkeypatch, "reconstruct", sentences.run, "-") == 2
    assert "standard input: none of 1 line fits: line 1: 'long" in capsys.readouterr().err
    piped("Une caf\u00e9 d\u00e9j\u00e0 l\u00e0.", encoding="latin-1")
    assert run(monkeypatch, "reconstruct", sentences.run, "-") == 2
    assert "they look like cp1252: convert them to UTF-8" in capsys.readouterr().err
    assert run(monkeypatch, "reconstruct", sentences.run, "note.txt") == 2
    assert "or those of a file, a line each, by - < note.txt" in capsys.readouterr().err


def test_what_cannot_be_read_has_no_rank(
    melodies: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    file, junk = min(melodies.source.glob("*.mid")), tmp_path / "junk.mid"
    junk.write_bytes(b"no music")
    assert run(monkeypatch, "score", melodies.run, junk, file) == 0
    _, first, last = capsys.readouterr().out.splitlines()
    assert first.endswith(str(file))
    assert last.split() == ["-", "-", str(junk)]


def test_figures_do_not_take_the_place_of_what_is_read(
    melodies: Trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, corpus = melodies.run / "bundle/config.json", melodies.corpus.folder
    about = min(corpus.glob("*.json"))
    for file in (bundle, about):
        before = file.read_bytes()
        words = ("--corpus", corpus, "--json", file)
        assert run(monkeypatch, "evaluate", melodies.run, *words) == 2
        assert f"--json {file}: one of the inputs" in capsys.readouterr().err
        assert file.read_bytes() == before


def test_json_knows_no_infinity(
    melodies: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    file, junk = min(melodies.source.glob("*.mid")), tmp_path / "junk.mid"
    junk.write_bytes(b"no music")
    out = tmp_path / "scores.json"
    assert run(monkeypatch, "score", melodies.run, junk, file, "--json", out) == 0
    text = out.read_text()
    fine, broken = json.loads(text, parse_constant=pytest.fail)
    assert fine["per_event"] > 0
    assert fine["reason"] is None
    assert (broken["per_event"], broken["per_step"]) == (None, None)
    assert broken["reason"].startswith(f"{junk}: not a MIDI file")
    (tmp_path / "link.json").symlink_to(junk)
    for name in (junk, tmp_path / "link.json"):
        assert run(monkeypatch, "score", melodies.run, tmp_path, "--json", name) == 2
        assert f"--json {name}: one of the inputs" in capsys.readouterr().err
    assert junk.read_bytes() == b"no music"
    assert run(monkeypatch, "score", melodies.run, file, "--json", "-") == 2
    assert "--json -: name a file; standard output has the table" in capsys.readouterr().err


def test_nats_per_note_stand_before_nats_per_step(
    melodies: Trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(min(melodies.source.glob("*.mid")))
    assert run(monkeypatch, "score", melodies.run, file) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header.split() == ["nats/note", "nats/step"]
    (score,) = melodies.vae.score(file)
    shown = [float(word) for word in line.split()[:2]]
    assert shown == pytest.approx([score.per_event, score.per_step], abs=1e-3)
    assert score.per_event > 1.1 * score.per_step


def test_a_corpus_that_was_prepared_again_is_told(
    sentences: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copied = tmp_path / "run"
    shutil.copytree(sentences.run, copied)
    assert open_corpus(copied).folder == sentences.corpus.folder
    assert not caplog.records
    about = json.loads((copied / "corpus.json").read_text())
    (copied / "corpus.json").write_text(json.dumps(about | {"fingerprint": "before"}))
    assert open_corpus(copied).folder == sentences.corpus.folder
    assert "was prepared again after" in caplog.text
    caplog.clear()
    other = tmp_path / "other"
    shutil.copytree(sentences.corpus.folder, other)
    assert open_corpus(copied, other).folder == other  # a corpus that is named comes first
    assert not caplog.records
    (copied / "config.yaml").unlink()
    with pytest.raises(InputError, match=r"run: a model without its run has no data; .*--corpus$"):
        open_corpus(copied)
    with pytest.raises(InputError, match=r"nowhere: no such folder; name a run"):
        open_corpus(Path("nowhere"))


def test_a_report_of_a_model_that_ships_says_that_it_has_no_run(
    melodies: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A corpus that is named does not help."""
    monkeypatch.chdir(tmp_path)
    for model in ("melody_2bar", melodies.run / "bundle"):
        for words in ((), ("--corpus", melodies.corpus.folder)):
            assert run(monkeypatch, "report", model, *words) == 2
            said = capsys.readouterr().err
            assert said.startswith(f"seqvae: error: {model}: a model without its run (metrics.csv)")
            assert "seqvae evaluate --corpus" in said
    assert run(monkeypatch, "report", "melody_2bars") == 2
    assert "no such folder; did you mean melody_2bar?" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_look_shows_the_tracks_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    to_pretty_midi(Piece(make_notes([0, 8], [8, 16], [60, 62]), 4)).write(str(tmp_path / "a.mid"))
    (tmp_path / "b.mid").write_bytes(b"no music")
    words = ["look", str(tmp_path), "--preset", "melody", "--tracks", "melody: track=1"]
    monkeypatch.setattr(sys, "argv", ["seqvae", *words])
    cli.main()
    header, _, row, verdict, _, refusal = capsys.readouterr().out.splitlines()
    assert header.startswith(f"{tmp_path / 'a.mid'}: 1 bar of 4/4")
    assert row.endswith("melody    by the rule 'melody: track=1'")
    assert verdict == "melody: 1 window for training; a loop of 1 bar, repeated to fill a window"
    assert refusal == f"{tmp_path / 'b.mid'}: not a MIDI file (no MThd header)"
    monkeypatch.setattr(sys, "argv", ["seqvae", "look", str(tmp_path / "b.mid")])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    assert capsys.readouterr().err == f"seqvae: error: {refusal}\n"


def test_look_at_models_lists_their_attributes(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run = tmp_path / "mine"
    shutil.copytree(sentences.run / "bundle", run / "bundle")
    monkeypatch.setattr(sys, "argv", ["seqvae", "look", "drums_2bar", str(run)])
    cli.main()
    shipped, _, own = capsys.readouterr().out.splitlines()
    names = json.loads((models()["drums_2bar"] / "attributes.json").read_text())["names"]
    assert shipped == f"drums_2bar: a model of drums, 64 dimensions; attributes: {', '.join(names)}"
    none = f"none yet; seqvae attributes {run} fits them"
    assert own == f"{run}: a model of text, 4 dimensions; attributes: {none}"
    shutil.copy(models()["drums_2bar"] / "attributes.json", run)
    cli.main()
    assert capsys.readouterr().out.endswith(f"4 dimensions; attributes: {', '.join(names)}\n")


@pytest.mark.parametrize("verb", list(cli.VERBS))
def test_every_verb_has_help(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, verb, "--help") == 0
    assert f"seqvae {verb}" in capsys.readouterr().out


@pytest.mark.parametrize("file", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda f: f.stem)
def test_every_shipped_config_parses(file: Path) -> None:
    config, _ = parse_config("train", [str(file), "--data.source", "x"])
    assert config.name == file.stem


def test_a_signal_ends_with_a_checkpoint_and_resume_goes_on(tiny: Path) -> None:
    """SIGTERM first, then SIGHUP; Ctrl-C goes the same way (tests/training/test_train.py)."""
    command = [
        sys.executable, "-m", "seqvae", "train", "tiny.yaml", "--data.source", "lines.txt",
        "--trainer.max_epochs", "3000", "--trainer.validate_every", "1000",
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=tiny, env=environment, stderr=subprocess.PIPE)
    checkpoint = tiny / "runs/tiny/last.ckpt"
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert b"--resume goes on" in err
    assert b"Traceback" not in err
    assert b"litlogger" not in err.lower()  # nor any other advice of Lightning
    resumed = subprocess.Popen(
        [*command, "--resume"], cwd=tiny, env=environment, stderr=subprocess.PIPE
    )
    before = checkpoint.stat().st_mtime_ns
    while checkpoint.stat().st_mtime_ns == before and time.monotonic() < deadline + 60:
        time.sleep(0.1)
    resumed.send_signal(signal.SIGHUP)
    _, err = resumed.communicate(timeout=60)
    assert resumed.returncode == 129
    assert b"Traceback" not in err


# Readers that send a signal to parent and workers alike, as a terminal does with Ctrl-C and a batch
# system with SIGTERM: while a worker still imports what it needs, or while it reads a file.
CTRL_C_AT_THE_START = """
import multiprocessing, os, signal

if multiprocessing.current_process().name != "MainProcess":
    os.kill(os.getpid(), signal.SIGINT)  # the worker is the first to hear it
    os.killpg(0, signal.SIGINT)

def extract_file(path, **settings):
    signal.pause()
"""
SIGTERM_WHILE_READING = """
import os, signal

def extract_file(path, **settings):
    os.killpg(0, signal.SIGTERM)
    signal.pause()
"""
PREPARE = """
import interrupting
from seqvae import cli
from seqvae.corpus import scores

scores._extract_packed = interrupting.extract_file
cli.main()
"""


@pytest.mark.parametrize(
    ("reader", "code"), [(CTRL_C_AT_THE_START, 130), (SIGTERM_WHILE_READING, 143)],
    ids=["start", "reading"],
)  # fmt: skip
def test_a_signal_ends_workers_at_once_and_leaves_nothing(
    tmp_path: Path, reader: str, code: int
) -> None:
    write_tunes(tmp_path / "tunes", 40)
    (tmp_path / "interrupting.py").write_text(reader)
    process = subprocess.Popen(
        [
            sys.executable, "-c", PREPARE, "prepare", str(ROOT / "configs/melody_2bar.yaml"),
            "--data.source", "tunes", "--data.corpus", "made/corpus", "--data.num_workers", "1",
        ],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        _, err = process.communicate(timeout=60)  # until all that share its output have ended
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == code, err.decode()
    assert err.endswith(b"interrupted\n")
    assert b"Traceback" not in err
    assert not (tmp_path / "made").exists()


def test_a_tokenizer_can_be_set_field_by_field_or_as_a_whole() -> None:
    melody, captions = (str(ROOT / f"configs/{name}.yaml") for name in ("melody_2bar", "text"))
    waltz, _ = parse_config("train", [melody, "--data.tokenizer.metres", "[3/4]"])
    assert waltz.data.tokenizer["metres"] == ["3/4"]
    assert waltz.data.tokenizer["num_bars"] == 2
    words, _ = parse_config("train", [captions, "--data.tokenizer", "{kind: words}"])
    assert words.data.tokenizer == {"kind": "words", "vocab_size": 10000, "max_steps": 100}


def test_a_long_message_keeps_its_beginning_and_its_remedy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        cli._refuse(f"{'a' * 400} bad {'b' * 400}; use --flag")
    (line,) = capsys.readouterr().err.splitlines()
    message = line.removeprefix("seqvae: error: ")
    assert len(message) == 300
    assert message.startswith("aaaa")
    assert message.endswith("; use --flag")
