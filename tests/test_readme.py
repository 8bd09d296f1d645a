"""The READMEs are true: commands and Python run; tables, links and the tree match the files."""

import io
import re
import shlex
import sys
import tomllib
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import benchmark_music
import benchmark_text
import huggingface_hub
import make_examples
import mutation
import pytest
import tables
from benchmarking import split_at_dashes
from magenta_js import make_checkpoint
from trained import band, choir, load_script, write_tunes

from seqvae import cli
from seqvae.exchange.magenta.files import write_checkpoint
from seqvae.inference import directions, filling, slices
from seqvae.inference import trained as generation
from seqvae.music.midi import to_pretty_midi
from seqvae.music.notes import Metre
from seqvae.training import adaptation

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
READMES = {str(file.relative_to(ROOT)): file.read_text() for file in tables.readmes()}
TINY = shlex.split(
    "--trainer.max_epochs 1 --trainer.batch_size 32 --trainer.accelerator cpu --trainer.devices 1 "
    "--model.latent_dim 192 --model.conductor_dim 8 "
    "--model.embedding_dim 8 --model.encoder_dim 8 --model.decoder_dim 8 --data.num_workers 1 "
    "--trainer.min_epoch_steps 1"
)


TINY_TRAINER = [
    word for flag, value in zip(TINY[::2], TINY[1::2], strict=True)
    if not flag.startswith("--model") for word in (flag, value)
]  # fmt: skip


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)


def commands(script: str) -> list[str]:
    """Those of seqvae and Python in a shell script."""
    lines = script.replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in lines if line.startswith(("seqvae ", "python "))]


def commands_of(text: str) -> list[str]:
    """All commands of a README in order: of its blocks, and those in the text and its tables."""
    pattern = r"```bash\n(.*?)```|`((?:seqvae|python) [^`\s]+\s[^`]+)`"
    written = re.findall(pattern, text, flags=re.S)
    return [command for block, inline in written for command in commands(block or as_line(inline))]


def as_line(inline: str) -> str:
    """A command that the text breaks anywhere; one with a placeholder is no command."""
    return "" if re.search(r"\b[A-Z]{4,}\b", inline) else " ".join(inline.split())


def test_commands_are_found_in_blocks_tables_and_text() -> None:
    text = "```bash\nseqvae a \\\n  b\npip c\n```\n| `seqvae d 1` | not `seqvae VERB f`"
    assert commands_of(text) == ["seqvae a b", "seqvae d 1"]
    assert commands_of("after `seqvae d`, `python e\n2`") == ["python e 2"]


@pytest.fixture
def playground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all files that the READMEs name, where small models are quick."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "scripts/results").mkdir(parents=True)
    write_tunes(tmp_path / "nottingham-dataset/MIDI/melody", 8)
    for place in ("my_midis/{}.mid", "groove/{}.mid", "songs/{0}/{0}.mid", "waltzes/{}.mid"):
        metre = Metre(0, 3 if place.startswith("waltzes") else 4, 4)
        for seed, name in enumerate(("a", "b", "c", "001", "002", "003")):
            file = tmp_path / place.format(name)
            file.parent.mkdir(parents=True, exist_ok=True)
            piece = replace(band(seed, num_bars=6), metres=(metre,))
            to_pretty_midi(piece).write(str(file))
            beats = (f"{beat * 60 / 90} {1 + beat % 4}\n" for beat in range(25))
            (file.parent / "beat_midi.txt").write_text("".join(beats))
    (tmp_path / "checkpoints").mkdir()
    checkpoint = make_checkpoint("MelodyConverter")
    write_checkpoint(tmp_path / "checkpoints/mel_2bar_small", checkpoint)
    to_pretty_midi(band(7)).write(str(tmp_path / "my_midis/drums.mid"))
    to_pretty_midi(choir(7)).write(str(tmp_path / "my_midis/claps.mid"))
    (tmp_path / "my_chorales").mkdir()
    for seed in range(6):
        to_pretty_midi(choir(seed)).write(str(tmp_path / f"my_chorales/{seed}.mid"))
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
    molecules = (f"c1ccccc1{'C' * number}({end})=O" for number in range(9) for end in "CNO")
    (tmp_path / "molecules.csv").write_text("\n".join(["smiles", *molecules]))
    rows = "".join(f'{number % 2},"{line}"\n' for number, line in enumerate(lines.splitlines()))
    for name, label in (("reviews.csv", "sentiment"), ("moods.csv", "mood")):
        (tmp_path / name).write_text(f"{label},text\n{rows}", encoding="utf-8")
    monkeypatch.setattr(generation, "MAX_MUSIC_WINDOWS", 40)
    monkeypatch.setattr(directions, "STEPS", 20)
    monkeypatch.setattr(slices, "MAX_STEPS", 20)
    for name in ("DECODER_STEPS", "PRIOR_STEPS", "SCRATCH_STEPS"):
        monkeypatch.setattr(adaptation, name, (1,))
    monkeypatch.setattr(filling, "MIN_SAMPLES", 20)
    monkeypatch.setattr(filling, "PER_DIM", 1)
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda token: Mock())
    for server in ("app", "osc"):
        monkeypatch.setattr(f"seqvae.serving.{server}.serve", lambda *given, **more: None)
    monkeypatch.setattr(make_examples, "EXAMPLES", tmp_path / "examples")
    return tmp_path


def test_every_command_and_the_python_of_the_readmes_run(
    playground: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = commands((ROOT / "scripts/demo").read_text())
    known_rows = {
        "scripts/benchmark_text.py": benchmark_text.ROWS,
        "scripts/benchmark_music.py": benchmark_music.ROWS,
    }
    parsers = {
        f"scripts/{name}.py": load_script(ROOT / f"scripts/{name}.py").make_parser
        for name in (
            "benchmark_complete",
            "benchmark_latent",
            "benchmark_prior",
            "benchmark_refine",
            "benchmark_scale",
            "benchmark_sentiment",
            "benchmark_speed",
            "benchmark_gpu",
            "benchmark_start",
            "benchmark_page",
            "load_app",
            "measure_osc",
            "page_against_torch",
            "benchmark_personal",
            "benchmark_corpus",
            "benchmark_humanise",
            "benchmark_ingest",
            "benchmark_symbols",
            "benchmark_where",
            "made_logs",
            "profile_decoding",
            "profile_training",
            "fuzz",
        )
    }
    without_arguments = "scripts/tables.py", "scripts/rolls_picture.py"
    built = tomllib.loads((ROOT / "scripts/models/models.toml").read_text(encoding="utf-8"))
    every = [command for text in READMES.values() for command in commands_of(text)]
    # Examples come last: another README trains the models.
    for command in sorted(dict.fromkeys(every), key=lambda command: "make_examples" in command):
        arguments = shlex.split(command)
        if arguments[1] in parsers:  # a row is made in the tests of the script
            parsers[arguments[1]]().parse_args(split_at_dashes(arguments[2:])[0])
        elif arguments[1] in known_rows:
            assert set(arguments[4:]) <= {"all", *known_rows[arguments[1]]}
        elif arguments[1] == "scripts/mutate.py":
            mutation.choose(mutation.read_lists(ROOT / "scripts/mutations"), arguments[2:])
        elif arguments[1] == "scripts/models/build.py":
            assert {*arguments[6:]} <= {*built["models"]}
        elif arguments[1] in without_arguments:
            assert arguments[2:] == []
        elif "demo/" in command:
            assert command in demo
        elif arguments[1] == "scripts/make_examples.py":
            for run in arguments[2:]:
                make_examples.make_examples(Path(run))
        else:
            assert arguments[0] == "seqvae", command
            small = TINY_TRAINER if "--init_from" in arguments else TINY
            monkeypatch.setattr(sys, "argv", arguments + small * (arguments[1] == "train"))
            cli.main()
    assert len(list((playground / "examples").rglob("*.mid"))) == 23
    for block in blocks(README, "python"):
        exec(block, {})
    assert (playground / "halfway.mid").is_file()


def test_the_readme_is_short_and_shows_every_command_and_preset() -> None:
    assert len(README.splitlines()) < 200
    shown = {shlex.split(command)[1] for command in commands_of(README)}
    assert shown >= set(cli.VERBS)
    for preset in (ROOT / "configs").glob("*.yaml"):
        if not preset.stem.startswith("demo_"):
            assert f"`{preset.stem}`" in README


@pytest.mark.parametrize("name", READMES)
def test_tables_are_made_from_the_results_and_the_settings(name: str) -> None:
    assert tables.fill(READMES[name]) == READMES[name], "run python scripts/tables.py"


def test_every_table_is_shown() -> None:
    assert {block[1] for text in READMES.values() for block in tables.BLOCK.findall(text)} == set(
        tables.TABLES
    )


def flags_of(verb: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The flags that the help of a verb lists."""
    monkeypatch.setattr(sys, "argv", ["seqvae", verb, "--help"])
    out = io.StringIO()
    with redirect_stdout(out), pytest.raises(SystemExit):
        cli.main()
    return set(re.findall(r"--[a-z_.]+", out.getvalue()))


def test_the_text_names_flags_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = set().union(*(flags_of(verb, monkeypatch) for verb in cli.VERBS))
    for name, text in READMES.items():
        for code in re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.S)):
            if not code.startswith(("python ", "pip ")):
                unknown = set(re.findall(r"(?<!\S)--[a-z_.]+", code)) - flags
                assert not unknown, (name, unknown)


@pytest.mark.parametrize("name", READMES)
def test_links_lead_to_files_and_headings(name: str) -> None:
    prose = re.sub(r"```.*?```", "", READMES[name], flags=re.S)
    for link in re.findall(r"\]\(([^)]+)\)", prose):
        place, _, anchor = link.partition("#")
        if place.startswith("https://"):
            continue
        file = (ROOT / name).parent / place if place else ROOT / name
        assert file.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), flags=re.M)
            assert anchor in [heading.lower().replace(" ", "-") for heading in headings], link


def test_the_tree_is_what_is_on_disk() -> None:
    (tree,) = blocks(READMES["seqvae/README.md"], "")
    shown = [line.split()[0] for line in tree.splitlines()]
    inside = [name for name, line in zip(shown, tree.splitlines(), strict=True) if line[0] == " "]
    outside = [name for name in shown if name not in inside]
    rooms = [
        f"{file.name}/" if file.is_dir() else file.name
        for file in (ROOT / "seqvae").iterdir()
        if file.name not in ("__init__.py", "__pycache__", "py.typed", "README.md")
    ]
    assert sorted(inside) == sorted(rooms)
    ignored = (ROOT / ".gitignore").read_text().split()
    folders = {f"{file.name}/" for file in ROOT.iterdir() if file.is_dir() and file.name[0] != "."}
    folders -= set(ignored)
    assert sorted(outside) == sorted(folders)


def test_files_that_the_guide_to_the_tests_names_exist() -> None:
    for block in blocks(READMES["tests/README.md"], "bash"):
        for word in block.split():
            assert not word.startswith(("tests/", "scripts/")) or (ROOT / word).exists(), word


def test_the_example_of_an_interpolation_is_one_of_the_examples() -> None:
    (block,) = blocks(READMES["data/README.md"], "text")
    assert block in (ROOT / "data/examples/captions/interpolations.txt").read_text()
