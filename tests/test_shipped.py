"""Presets and trained models that ship: found by name, installed, and as good as they say."""

import csv
import json
import logging
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from statistics import mean

import card
import pretty_midi
import pytest
import torch
import yaml
from benchmark_humanise import sixteenth_of
from safetensors.torch import load_file

import seqvae
from seqvae import cli, shipped
from seqvae.errors import InputError
from seqvae.inference import cards, catalogue
from seqvae.inference.directions import HIDDEN_DIM
from seqvae.model.config import ModelConfig
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers import make_tokenizer
from seqvae.tokenizers.kits import CLASS_OF
from seqvae.training.flags import parse_config

ROOT = Path(__file__).parents[1]
MODELS = shipped.models()
RECIPES = tomllib.loads((ROOT / "scripts/models/models.toml").read_text(encoding="utf-8"))
FREE = {"cc-by-4.0", "cc-by-2.0", "cc0-1.0", "bsd-3-clause", "cc-by-sa-4.0"}
MEGABYTE = 1e6
MAJOR = 0, 2, 4, 5, 7, 9, 11


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("elsewhere")
def test_names_of_presets_and_models_work_in_any_folder() -> None:
    config, _ = parse_config("prepare", ["drums_2bar", "--data.source", "x"])
    assert config.data.tokenizer["kind"] == "drums"
    assert parse_config("prepare", ["--config", "piano_2bar"])[0].name == "piano_2bar"
    vae = seqvae.load("drums_2bar", "cpu")
    assert vae.bundle == MODELS["drums_2bar"]
    assert len(vae.sample(2, seed=1)) == 2


@pytest.mark.parametrize("preset", shipped.presets())
def test_no_two_names_share_a_corpus(preset: str) -> None:
    """Another run of the same preset must not replace the corpus of the first."""
    folders = {parse_config("prepare", [preset, "--name", n])[0].corpus_folder for n in ("a", "b")}
    assert folders == {Path("corpora/a"), Path("corpora/b")}


def test_a_file_or_folder_of_that_name_wins_and_says_so(
    elsewhere: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (elsewhere / "drums_2bar").write_text("name: ours\n")
    assert parse_config("prepare", ["drums_2bar"])[0].name == "ours"
    assert "drums_2bar: taking the file here, not the preset" in caplog.text
    (elsewhere / "drums_2bar").unlink()
    (elsewhere / "drums_2bar").mkdir()
    with pytest.raises(InputError, match="is this a seqvae bundle"):
        seqvae.load("drums_2bar")
    assert caplog.text.count("drums_2bar: taking the folder here, not the model") == 1


@pytest.mark.usefixtures("elsewhere")
def test_an_unknown_name_is_refused_with_the_command_that_lists_names() -> None:
    with pytest.raises(InputError, match=r"folder; did you mean drums_2bar\?.*seqvae models lists"):
        seqvae.load("drums_3bar")
    with pytest.raises(InputError, match="text: a preset, and no model yet; seqvae train text"):
        seqvae.load("text")
    with pytest.raises(InputError, match="xyz: no such folder; name a run"):
        seqvae.load("xyz")
    Path("runs/xyz").mkdir(parents=True)
    with pytest.raises(InputError, match=r"xyz: no such folder; did you mean runs.xyz\?"):
        seqvae.load("xyz")
    for name, guess in {"drums_3bar": "drums_2bar", "texxt": "text", "c/text.yaml": "text"}.items():
        message = rf"{name}: .*seqvae presets lists them.*; did you mean {guess}\?"
        with pytest.raises(InputError, match=message):
            parse_config("train", [name])
    Path("songs").mkdir()
    with pytest.raises(InputError, match="songs: a folder; name a preset here, and data by --data"):
        parse_config("train", ["songs"])


def test_look_takes_the_names_too(elsewhere: Path) -> None:
    from seqvae.corpus.look import tokenizers_of

    assert tokenizers_of("groove_2bar")["groove_2bar"].kind == "groove"
    (elsewhere / "groove_2bar").write_text("data: {tokenizer: {kind: melody}}\n")
    assert tokenizers_of("groove_2bar")["groove_2bar"].kind == "melody"


def test_an_installed_package_has_them_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    inside = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert {ROOT / place for place in inside} == {shipped.presets_folder(), shipped.models_folder()}
    for place, target in inside.items():
        (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / target).symlink_to(ROOT / place)
    monkeypatch.setattr(shipped, "INSTALLED", tmp_path / "seqvae/data")
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "nowhere/seqvae")
    assert shipped.presets().keys() == {file.stem for file in (ROOT / "configs").glob("*.yaml")}
    assert shipped.models().keys() == MODELS.keys()


def test_the_list_of_presets_has_their_weights(capsys: pytest.CaptureFixture[str]) -> None:
    cli.presets([])
    listed = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert listed.keys() == {"preset", *shipped.presets()}
    assert "23 " in listed["drums_2bar"]
    assert "MusicVAE" in listed["drums_2bar"]
    with (ROOT / "configs" / catalogue.TRAINED).open(encoding="utf-8") as opened:
        rows = {row["preset"]: row for row in csv.DictReader(opened, delimiter="\t")}
    assert rows.keys() <= shipped.presets().keys()
    for name in ("drums_2bar", "groove_2bar", "piano_2bar"):
        settings = yaml.safe_load(shipped.presets()[name].read_text(encoding="utf-8"))
        steps = make_tokenizer(settings["data"]["tokenizer"]).steps
        with torch.device("meta"):
            model = SequenceVAE(ModelConfig(**settings["model"]), steps)
        count = sum(weight.numel() for weight in model.parameters())
        assert float(rows[name]["million_weights"]) == round(count / 1e6, 1), name


def test_the_list_of_models_says_size_licence_and_figures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cli.models([])
    listed = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert listed.keys() == {"model", *MODELS}
    assert "cc-by-4.0" in listed["drums_2bar"]
    assert "of the tokens right" in listed["drums_2bar"]


def test_lists_are_printed_without_torch() -> None:
    code = (
        "import sys; from seqvae import cli; cli.models([]); cli.presets([]); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_models_are_small_and_carry_licence_and_sources() -> None:
    with (ROOT / "data/models/SOURCES.tsv").open(encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened, delimiter="\t"))
    assert {row["model"] for row in rows} == MODELS.keys()
    sizes = []
    for name, bundle in MODELS.items():
        sizes.append(sum(file.stat().st_size for file in bundle.iterdir()) / MEGABYTE)
        head, body = cards.read_card(bundle / "README.md")
        assert head["license"] in FREE
        for row in rows:
            if row["model"] == name:
                assert row["licence"] in body
                assert row["address"] in body
                assert len(row["sha256"]) == 64
                assert int(row["windows"]) > 0
        written = json.loads((bundle / "config.json").read_text(encoding="utf-8"))
        assert not any(written["training"]["data"][place] for place in ("source", "train", "table"))
        recipe = RECIPES["models"][name]
        assert recipe["listening"].strip() in body
        scores = load_file(bundle / "attributes.safetensors")
        assert len(scores["0.bias"]) == recipe.get("attributes_dim", HIDDEN_DIM)
        assert (
            cards.usage(name, is_text=recipe["preset"] == "text", use=recipe.get("use", "").strip())
            in body
        )
    assert max(sizes) <= 8
    assert sum(sizes) <= 30


@pytest.mark.parametrize("name", MODELS)
def test_a_model_moves_along_attributes_at_once(name: str) -> None:
    vae = seqvae.load(name, "cpu")
    body = cards.read_card(MODELS[name] / "README.md")[1]
    assert all(f"`{attribute}`" in body for attribute in vae.directions.names)
    z = torch.zeros(1, vae.model.config.latent_dim)
    assert not torch.equal(vae.directions.shift(z, vae.directions.names[0], 1.0), z)


@pytest.mark.parametrize("name", MODELS)
def test_the_figures_on_a_card_are_those_of_evaluate(name: str, tmp_path: Path) -> None:
    head, body = cards.read_card(MODELS[name] / "README.md")
    for entry in head["model-index"][0]["results"]:
        for metric in entry["metrics"]:
            assert f"`{metric['type']}`" in body
    clips = ROOT / "data/clips" / str(RECIPES["models"][name].get("clips"))
    if not clips.is_dir():
        pytest.skip("no clips of its test split ship")
    (entry,) = (
        entry for entry in head["model-index"][0]["results"]
        if entry["dataset"]["name"] == f"data/clips/{clips.name}"
    )  # fmt: skip
    stated = {metric["type"]: metric["value"] for metric in entry["metrics"]}
    card.prepare_clips(MODELS[name], clips, tmp_path / "corpus")
    vae = seqvae.load(name, "cpu")
    how = card.measured_on_clips(RECIPES["models"][name])
    measured = card.shown(vae.evaluate(tmp_path / "corpus", **how))
    assert measured == pytest.approx(stated, rel=0.01)


@pytest.mark.parametrize("name", ["humanize_2bar", "sentences", "tap_2bar"])
def test_the_code_on_a_card_runs(name: str, elsewhere: Path) -> None:
    clip = sorted((ROOT / "data/clips/drums").glob("*.mid"))[0]
    for read in ("drums.mid", "taps.mid"):
        shutil.copyfile(clip, elsewhere / read)
    card_text = (MODELS[name] / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", card_text, re.DOTALL)
    exec(block, {})
    written = {file.name for file in elsewhere.iterdir()} - {"drums.mid", "taps.mid"}
    assert written == {"humanize_2bar": {"played.mid"}, "tap_2bar": {"beat.mid"}}.get(name, set())


def test_the_accents_that_the_card_of_humanize_2bar_names_are_in_its_examples() -> None:
    snare, cymbals, pedal = (1,), (2, 8), 44
    files = sorted((ROOT / "data/examples/humanize_2bar").glob("played_*.mid"))
    assert len(files) == 16
    for file in files:
        song = pretty_midi.PrettyMIDI(str(file))
        notes = [note for drums in song.instruments for note in drums.notes if note.pitch != pedal]
        steps = [round(note.start / sixteenth_of(song)) % 16 for note in notes]
        for classes, accents in ((snare, (4, 12)), (cymbals, (0, 4, 8, 12))):
            loud: dict[bool, list[int]] = {True: [], False: []}
            for note, step in zip(notes, steps, strict=True):
                if CLASS_OF[note.pitch] in classes:
                    loud[step in accents].append(note.velocity)
            if loud[True] and loud[False]:
                assert mean(loud[True]) > mean(loud[False]), file.name


def keeps_to_a_scale(notes: list[pretty_midi.Note]) -> bool:
    """Whether at least 85 of 100 notes are of one major scale."""
    classes = Counter(note.pitch % 12 for note in notes)
    most = max(sum(classes[(tonic + step) % 12] for step in MAJOR) for tonic in range(12))
    return most >= 0.85 * len(notes)


def test_what_the_card_of_piano_2bar_says_of_its_samples_is_so_in_its_examples() -> None:
    files = sorted((ROOT / "data/examples/piano_2bar").glob("sample_*.mid"))
    songs = [pretty_midi.PrettyMIDI(str(file)) for file in files]
    assert [keeps_to_a_scale(song.instruments[0].notes) for song in songs].count(True) == 12


def test_what_the_card_of_melody_16bar_says_of_its_samples_is_so_in_its_examples() -> None:
    in_scale, resting = 0, 0
    for file in sorted((ROOT / "data/examples/melody_16bar").glob("sample_*.mid")):
        song = pretty_midi.PrettyMIDI(str(file))
        (line,) = song.instruments
        in_scale += keeps_to_a_scale(line.notes)
        bars: dict[int, list[tuple[int, int]]] = {number: [] for number in range(16)}
        for note in line.notes:
            step = round(note.start / sixteenth_of(song))
            bars[step // 16].append((step % 16, note.pitch))
        resting += [] in bars.values()
        assert max(Counter(tuple(bar) for bar in bars.values() if len(bar) > 1).values()) == 1
    assert (in_scale, resting) == (14, 6)
