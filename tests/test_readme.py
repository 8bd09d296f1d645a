"""README is true: its commands and its Python run, its tree and its figures are those on disk."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from trained import write_tunes

from seqvae import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TINY = shlex.split(
    "--trainer.max_epochs 1 --trainer.batch_size 32 --trainer.accelerator cpu --model.latent_dim 4 "
    "--model.embedding_dim 8 --model.encoder_dim 8 --model.decoder_dim 8 --data.num_workers 1"
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


def commands(text: str) -> list[str]:
    lines = text.replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in lines if line.startswith("seqvae ")]


def test_every_command_and_the_python_of_the_readme_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "scripts/results").mkdir(parents=True)
    for folder in ("my_midis", "nottingham-dataset/MIDI/melody"):
        write_tunes(tmp_path / folder, 8)
        tunes = sorted((tmp_path / folder).glob("*.mid"))
        for tune, name in zip(tunes, ("a", "b"), strict=False):
            tune.rename(tune.with_stem(name))
    words = ("A man", "Two dogs", "A child"), ("sees", "likes"), ("the snow.", "a boat.", "music.")
    lines = "".join(f"{a} {b} {c}\n" for a in words[0] for b in words[1] for c in words[2])
    (tmp_path / "multi30k").mkdir()
    for name in ("my_sentences.txt", "multi30k/train.en", "multi30k/val.en",
                 "multi30k/test_2016_flickr.en"):  # fmt: skip
        (tmp_path / name).write_text(lines)
    demo = commands((ROOT / "scripts/demo").read_text())
    trained: set[str] = set()
    for command in (line for block in blocks("bash") for line in commands(block)):
        if "demo/" in command:
            assert command in demo
            continue
        arguments = shlex.split(command)
        if arguments[1] == "train":
            if arguments[2] in trained:  # the same config on other data: another run
                arguments += ["--runs", "other_runs"]
            trained.add(arguments[2])
            arguments += TINY
        monkeypatch.setattr(sys, "argv", arguments)
        cli.main()
    for block in blocks("python"):
        exec(block, {})
    assert (tmp_path / "halfway.mid").is_file()


def test_the_tree_names_every_module_in_order_of_import() -> None:
    tree = re.search(r"```\nseqvae/\n(.*?)```", README, flags=re.S)
    assert tree is not None
    named = re.findall(r"^ +(\w+\.py) ", tree[1], flags=re.M)
    on_disk = [p.name for p in (ROOT / "seqvae").rglob("*.py")]
    on_disk.remove("__init__.py")  # that of the package itself: only tokenizers/ lists its own
    assert sorted(named) == sorted(on_disk)
    for name in named:
        path = next(p for p in (ROOT / "seqvae").rglob(name) if name != "__init__.py" or
                    p.parent.name == "tokenizers")  # fmt: skip
        imported = re.findall(r"^ *from seqvae\.([\w.]+) import", path.read_text(), flags=re.M)
        for module in imported:
            file = module.split(".")[-1] + ".py" if module != "tokenizers" else "__init__.py"
            assert named.index(file) < named.index(name), f"{name} imports {file}, which is below"


def test_the_results_table_shows_the_figures_on_disk() -> None:
    for row in re.findall(r"^\| \[`(.+?)`\]\((.+?)\) \|(.+)\|$", README, flags=re.M):
        figures = json.loads((ROOT / row[1]).read_text())
        shown = re.findall(r"(\w+) (\d+(?:\.\d+)?)", row[2])
        assert shown
        for name, value in shown:
            digits = len(value.partition(".")[2])
            assert f"{figures[name]:.{digits}f}" == value, f"{row[0]}: {name}"


def test_no_module_is_larger_than_one_concept() -> None:
    for file in (ROOT / "seqvae").rglob("*.py"):
        assert len(file.read_text().splitlines()) < 400, file
