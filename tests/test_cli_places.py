"""Places on the command line: many of them, odd names, homes, other locales, other folders."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from trained import Trained

from seqvae import cli
from seqvae.corpus.prepare import prepare
from seqvae.errors import InputError
from seqvae.inference.bundle import open_corpus
from seqvae.training.config import Config
from seqvae.training.flags import parse_config

ROOT = Path(__file__).parents[1]
CONFIG = "name: tiny\ndata: {source: mine, tokenizer: {kind: words}}\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "a.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--data.source", "a.mid"], {"source": "a.mid"}),
        (["--data.source", "a.mid", "b c.mid", "d/"], {"source": ["a.mid", "b c.mid", "d/"]}),
        (["--data.source=a.mid", "b.mid", "--dedupe"], {"source": ["a.mid", "b.mid"]}),
        (["--dedupe", "--data.source", "[draft]"], {"source": "[draft]"}),
        (["--data.source", "&anchor", "*.mid"], {"source": ["&anchor", "*.mid"]}),
        (["--data.source", "caf\u00e9", "{a: 1}"], {"source": ["caf\u00e9", "{a: 1}"]}),
        ([], {"source": "mine"}),
        (
            [
                "--data.source",
                "null",
                "--data.train",
                "a",
                "b",
                "--data.valid=c",
                "--data.test",
                "d",
            ],
            {"source": None, "train": ["a", "b"], "valid": "c", "test": "d"},
        ),
    ],
)
def test_places_are_as_many_as_a_shell_makes(
    here: Path, words: list[str], expected: dict[str, object]
) -> None:
    config, _ = parse_config("train", ["a.yaml", *words])
    assert {name: getattr(config.data, name) for name in expected} == expected
    assert config.data.dedupe == ("--dedupe" in words)
    saved = yaml.safe_load((here / "a.yaml").read_text(encoding="utf-8"))
    assert config.name == saved["name"]


def test_null_is_a_place_if_there_is_one(here: Path) -> None:
    (here / "null").mkdir()
    config, _ = parse_config("prepare", ["a.yaml", "--data.source", "null"])
    assert config.data.source == "null"


def test_a_place_must_be_named(here: Path) -> None:
    for words in (["--data.source"], ["--data.source", "--dedupe"]):
        with pytest.raises(InputError, match=r"--data\.source names nothing; give files"):
            parse_config("prepare", ["a.yaml", *words])


def test_a_config_is_read_where_its_name_stands(here: Path) -> None:
    (here / "home").mkdir()
    (here / "home" / "b.yaml").write_text(
        "name: \u00e9\ndata: {tokenizer: {kind: words}}\n", "utf-8"
    )
    for words in (["--config", "~/b.yaml"], ["--config=~/b.yaml"], ["~/b.yaml"]):
        assert parse_config("prepare", words)[0].name == "\u00e9"


def test_what_the_locale_cannot_show_is_spelt_out() -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="latin-1", errors="spelt_out") as stream:
        stream.write("caf\u00e9 \u4f60 \udce9 \ud83d.mid")
        stream.flush()
        assert raw.getvalue() == b"caf\xe9 \\u4f60 \xe9 \\ud83d.mid"


def test_names_of_runs_may_have_any_letters_in_any_locale(here: Path) -> None:
    (here / "mine").write_text("".join(f"line {i}\n" for i in range(50)), encoding="utf-8")
    (here / "b.yaml").write_text(CONFIG.replace("tiny", "caf\u00e9"), encoding="utf-8")
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONUTF8": "0",
    }
    words = [sys.executable, "-m", "seqvae", "prepare"]

    def told(*arguments: str) -> tuple[int, str]:
        ran = subprocess.run(
            [*words, *arguments], env=environment, capture_output=True, check=False
        )
        return ran.returncode, ran.stderr.decode(errors="replace")

    code, _ = told("a.yaml", "--name", "caf\u00e9")
    assert code == 0
    assert (here / "corpora/caf\u00e9/tokens.npy").is_file()
    code, error = told("b.yaml")
    assert code == 2
    assert error.count("\n") == 1
    assert error.startswith("seqvae: error: 'corpora/caf\\xe9': the locale has no such characters")


@pytest.mark.parametrize("name", ["", ".a", "a/b", "a\nb", "\ud83d", "\u00e9" * 101])
def test_a_run_has_a_plain_name(name: str) -> None:
    with pytest.raises(InputError, match="it must be a plain folder name"):
        Config(name=name)
    assert Config(name="caf\udcc3\udca9").name  # bytes, where the locale is not UTF-8


def test_runs_may_lie_at_home(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("seqvae.training.train.train", lambda _, runs, **__: runs / "tiny")
    cli.train(["a.yaml", "--runs=~/runs"])
    assert capsys.readouterr().out.startswith(f"{here}/home/runs/tiny: done")


@pytest.fixture
def project(sentences: Trained, tmp_path: Path) -> Path:
    """A project whose config names its corpus from the project's folder."""
    shutil.copytree(sentences.run, tmp_path / "project" / "runs" / "tiny")
    shutil.copytree(sentences.corpus.folder, tmp_path / "project" / "corpora" / "tiny")
    run = tmp_path / "project" / "runs" / "tiny"
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    config["data"]["corpus"] = None
    (run / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    about = json.loads((run / "corpus.json").read_text(encoding="utf-8"))
    assert about.pop("folder") == str(sentences.corpus.folder.resolve())
    (run / "corpus.json").write_text(json.dumps(about), encoding="utf-8")
    return tmp_path / "project"


def test_a_run_finds_its_corpus_from_any_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for folder in (project, project.parent, project / "runs"):
        monkeypatch.chdir(folder)
        assert open_corpus(project / "runs" / "tiny").folder.resolve() == project / "corpora/tiny"
    monkeypatch.chdir(project / "runs" / "tiny")
    assert open_corpus(Path()).folder == project / "corpora/tiny"
    # another project has a corpus of that name
    other = project.parent / "other"
    shutil.copytree(project / "corpora", other / "corpora")
    about = json.loads((other / "corpora/tiny/corpus.json").read_text(encoding="utf-8"))
    about["fingerprint"] = "another"
    (other / "corpora/tiny/corpus.json").write_text(json.dumps(about), encoding="utf-8")
    monkeypatch.chdir(other)
    assert open_corpus(project / "runs" / "tiny").folder == project / "corpora/tiny"
    assert not caplog.records
    shutil.rmtree(project / "corpora")
    assert open_corpus(project / "runs" / "tiny").folder == Path("corpora/tiny")
    assert "was prepared again" in caplog.text
    shutil.rmtree(other / "corpora")
    with pytest.raises(InputError, match=r"its corpus corpora/tiny is not there; .* with --corpus"):
        open_corpus(project / "runs" / "tiny")


def test_a_run_that_moved_alone_finds_its_corpus(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "moved"
    shutil.copytree(sentences.run, run)
    config = (run / "config.yaml").read_text(encoding="utf-8")
    folder = sentences.corpus.folder
    config = config.replace(f"corpus: {folder}", f"corpus: {folder.name}")
    (run / "config.yaml").write_text(config, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert open_corpus(run).folder == folder.resolve()


def test_a_corpus_of_data_that_moved_is_unchanged(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "a.txt").write_text("a b\nc d\ne f\n", encoding="utf-8")
    config, _ = parse_config("prepare", ["a.yaml"])
    prepare(config.data, config.corpus_folder)
    (here / "mine").rename(here / "yours")
    config, _ = parse_config("prepare", ["a.yaml", "--data.source", "yours"])
    caplog.set_level("INFO")
    prepare(config.data, config.corpus_folder)
    assert "unchanged" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "\u0412\u0435\u0440\u0441\u0438\u044f 1.0 " * 3,
        "A man likes song.mid",
        "see a/b",
        "caf\u00e9",
        "A man.",
    ],
)
def test_a_sentence_is_a_sentence_unless_it_is_a_file(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    tokenizer = sentences.vae.tokenizer
    if len(tokenizer.encode(text)) <= tokenizer.max_steps:
        assert len(sentences.vae.encode([text]).mean) == 1
    else:
        with pytest.raises(InputError, match="the model takes at most 24"):
            sentences.vae.encode([text])


def test_texts_that_are_files_or_no_unicode_are_refused(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "song.mid").touch()
    (tmp_path / "word").touch()
    with pytest.raises(InputError, match=r"song\.mid: a file; this model takes sentences"):
        sentences.vae.encode(["song.mid"])
    assert len(sentences.vae.encode(["word"]).mean) == 1
    for text in ("caf\udce9", "a \ud83d b"):
        with pytest.raises(InputError, match=r"\\ud.*: not text in UTF-8"):
            sentences.vae.encode([text])
    # the bytes of an argument, where the locale is not UTF-8
    given, meant = sentences.vae.encode(["caf\udcc3\udca9", "caf\u00e9"]).mean
    assert given.equal(meant)


def test_a_missing_file_is_said_to_be_missing(melodies: Trained) -> None:
    with pytest.raises(InputError, match=r"gone\.mid: cannot be read \(No such file"):
        melodies.vae.encode(["gone.mid"])
    for name in ("a\0b.mid", "\ud83d.mid", "a" * 3000):
        with pytest.raises(InputError, match="cannot be read"):
            melodies.vae.encode([name])
