"""README is true: its commands and its Python run, its tree and its figures are those on disk."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from benchmarking import split_at_dashes
from trained import band, load_script, write_tunes

from seqvae import cli
from seqvae.inference import directions
from seqvae.inference import trained as generation
from seqvae.music.midi import to_pretty_midi

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TINY = shlex.split(
    "--trainer.max_epochs 1 --trainer.batch_size 32 --trainer.accelerator cpu "
    "--model.latent_dim 192 --model.conductor_dim 8 "
    "--model.embedding_dim 8 --model.encoder_dim 8 --model.decoder_dim 8 --data.num_workers 1 "
    "--trainer.min_epoch_steps 1"
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


def commands(text: str) -> list[str]:
    lines = text.replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in lines if line.startswith(("seqvae ", "python "))]


def test_every_command_and_the_python_of_the_readme_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "scripts/results").mkdir(parents=True)
    write_tunes(tmp_path / "nottingham-dataset/MIDI/melody", 8)
    for place in ("my_midis/{}.mid", "groove/{}.mid", "songs/{0}/{0}.mid"):
        for seed, name in enumerate(("a", "b", "001", "002", "003", "004")):
            file = tmp_path / place.format(name)
            file.parent.mkdir(parents=True, exist_ok=True)
            to_pretty_midi(band(seed, num_bars=6)).write(str(file))
            beats = (f"{beat * 60 / 90} {1 + beat % 4}\n" for beat in range(25))
            (file.parent / "beat_midi.txt").write_text("".join(beats))
    splits = ("train", "validation", "test") * 2
    files = sorted((tmp_path / "groove").glob("*.mid"))
    rows = [f"{file.name},{split}\n" for file, split in zip(files, splits, strict=True)]
    (tmp_path / "groove/info.csv").write_text("midi_filename,split\n" + "".join(rows))
    words = ("A man", "Two dogs", "A child"), ("sees", "likes"), ("the snow.", "a boat.", "music.")
    lines = "".join(f"{a} {b} {c}\n" for a in words[0] for b in words[1] for c in words[2])
    for folder in ("multi30k", "short_yelp"):
        (tmp_path / folder).mkdir()
    for name in ("short_yelp/train.txt", "short_yelp/valid.txt", "short_yelp/test.txt",
                 "my_sentences.txt", "multi30k/train.en", "multi30k/val.en",
                 "multi30k/test_2016_flickr.en"):  # fmt: skip
        (tmp_path / name).write_text(lines)
    labels = "".join(f"{number % 2}\t{line}\n" for number, line in enumerate(lines.splitlines()))
    (tmp_path / "my_labels.tsv").write_text(labels)
    demo = commands((ROOT / "scripts/demo").read_text())
    examples = load_script(ROOT / "scripts/make_examples.py")
    benchmarks = {
        name: load_script(ROOT / name)
        for name in ("scripts/benchmark_text.py", "scripts/benchmark_music.py")
    }
    parsers = {
        f"scripts/{name}.py": load_script(ROOT / f"scripts/{name}.py").make_parser
        for name in ("benchmark_latent", "benchmark_sentiment", "teaching_picture")
    }
    monkeypatch.setattr(generation, "MUSIC_SAMPLES", 40)
    monkeypatch.setattr(directions, "STEPS", 20)
    monkeypatch.setattr(examples, "EXAMPLES", tmp_path / "examples")
    for command in (line for block in blocks("bash") for line in commands(block)):
        arguments = shlex.split(command)
        if arguments[1] in parsers:  # which run in tests of their own, too
            parsers[arguments[1]]().parse_args(split_at_dashes(arguments[2:])[0])
        elif "demo/" in command:
            assert command in demo
        elif arguments[1] in benchmarks:  # which run in tests of their own
            assert set(arguments[4:]) <= {"all", *benchmarks[arguments[1]].ROWS}
        elif arguments[0] == "python":
            assert arguments[1] == "scripts/make_examples.py"
            for run in arguments[2:]:
                examples.make_examples(Path(run))
        else:
            monkeypatch.setattr(sys, "argv", arguments + TINY * (arguments[1] == "train"))
            cli.main()
    assert len(list((tmp_path / "examples").rglob("*.mid"))) == 15
    for block in blocks("python"):
        exec(block, {})
    assert (tmp_path / "halfway.mid").is_file()


def test_the_results_table_shows_the_figures_on_disk() -> None:
    table = re.search(r"^\| figure \|.+?\n\n", README, flags=re.M | re.S)
    assert table is not None
    files = re.findall(r"\(([^()]+\.json)\)", table[0])
    columns = [json.loads((ROOT / file).read_text()) for file in files]
    shown = re.findall(r"^\| `(\w+)` \|(.+)\|$", table[0], flags=re.M)
    assert {"neg_elbo", "kl", "active_units", "accuracy_free_running"} <= {row[0] for row in shown}
    for name, row in shown:
        for cell, figures in zip(row.split("|"), columns, strict=True):
            if cell.strip() == "-":
                assert name not in figures
                continue
            digits = len(cell.strip().partition(".")[2])
            assert f"{figures[name]:.{digits}f}" == cell.strip(), name
    for file, figures in zip(files, columns, strict=True):
        assert figures["command"] in [line for block in blocks("bash") for line in commands(block)]
        assert file in figures["command"]


def test_no_module_is_larger_than_one_concept() -> None:
    for file in (ROOT / "seqvae").rglob("*.py"):
        assert len(file.read_text().splitlines()) < 400, file
