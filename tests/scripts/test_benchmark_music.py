"""The music benchmarks, with models that see a few bars."""

import json
import shlex
import sys
from pathlib import Path
from types import ModuleType

import benchmarking
import pytest
from trained import band, choir, load_script

from seqvae import cli
from seqvae.inference import trained as generation
from seqvae.model.config import ModelConfig
from seqvae.model.vae import SequenceVAE
from seqvae.music.midi import to_pretty_midi
from seqvae.tokenizers import make_tokenizer
from seqvae.training.flags import parse_config

ROOT = Path(__file__).parents[2]
TINY = shlex.split(
    "--model.embedding_dim 8 --model.encoder_dim 8 --model.decoder_dim 8 --model.latent_dim 192 "
    "--model.conductor_dim 8 --trainer.max_epochs 1 --trainer.precision fp32 --data.num_workers 1"
)


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    def in_this_process(*arguments: str) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "argv", ["seqvae", *arguments])
            cli.main()

    monkeypatch.setattr(benchmarking, "seqvae", in_this_process)
    monkeypatch.setattr(generation, "MAX_MUSIC_WINDOWS", 20)
    return load_script(ROOT / "scripts" / "benchmark_music.py")


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collections in small."""
    folder = tmp_path_factory.mktemp("collections")
    names = [f"{number:03d}" for number in range(6)]
    for place in ("nottingham/MIDI/melody/{0}", "groove/{0}", "pop909/{0}/{0}", "ultimate/{0}"):
        for seed, name in enumerate(names):
            file = folder / (place.format(name) + ".mid")
            file.parent.mkdir(parents=True, exist_ok=True)
            to_pretty_midi(band(seed, num_bars=17)).write(str(file))
            beats = (f"{beat * 60 / 90} {1 + beat % 4}\n" for beat in range(69))
            (file.parent / "beat_midi.txt").write_text("".join(beats))
    splits = ("train", "train", "train", "train", "validation", "test")
    rows = (f"{name}.mid,{split}\n" for name, split in zip(names, splits, strict=True))
    (folder / "groove/info.csv").write_text("midi_filename,split\n" + "".join(rows))
    (folder / "jsb_chorales").mkdir()
    for seed, name in enumerate(names):
        to_pretty_midi(choir(seed, 6)).write(str(folder / f"jsb_chorales/{name}.mid"))
    return folder


@pytest.mark.parametrize(
    "name", ["melody_16bar", "groove_2bar_hits", "trio_4bar", "chorale_4bar", "piano_4bar"]
)
def test_a_row_is_made_and_shown(
    benchmark: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    collections: Path,
    tmp_path: Path,
    name: str,
) -> None:
    results = tmp_path / "music.json"
    arguments = [name, "--data", collections, "--runs", tmp_path / "runs"]
    arguments += ["--corpora", tmp_path / "corpora", "--results", results, "--", *TINY]
    monkeypatch.setattr(sys, "argv", ["benchmark_music.py", *map(str, arguments)])
    benchmark.BENCHMARK.main()
    (row,) = json.loads(results.read_text())
    assert row["name"] == name
    assert row["kl_bits"] == pytest.approx(row["kl"] / 0.6931, rel=1e-3)
    command = f"python scripts/benchmark_music.py --data MIDI_FOLDER {name} -- {shlex.join(TINY)}"
    assert row["command"] == command
    assert set(benchmarking.PROVENANCE) <= set(row)
    assert row["seconds"] >= 0
    cells = benchmark.table([row]).splitlines()[2].split(" | ")
    assert cells[0] == f"| `{name}`"
    assert len(cells[1].split(", ")) == {"trio_4bar": 3, "chorale_4bar": 4}.get(name, 1)


def test_every_row_can_be_trained(benchmark: ModuleType, tmp_path: Path) -> None:
    for flags in benchmark.ROWS.values():
        config, *rest = shlex.split(flags.format(data=tmp_path))
        parse_config("train", [str(ROOT / "configs" / config), *rest])


def test_flat_and_hierarchical_rows_have_as_many_weights(benchmark: ModuleType) -> None:
    for kind in ("melody_16bar", "drums_16bar"):
        sizes = []
        for name in (kind, f"{kind}_flat"):
            config, *rest = benchmark.ROWS[name].format(data="x").split()
            parsed, _ = parse_config("train", [str(ROOT / "configs" / config), *rest])
            tokenizer = make_tokenizer(parsed.data.tokenizer)
            model = SequenceVAE(ModelConfig(**vars(parsed.model)), tokenizer.steps)
            sizes.append(sum(weights.numel() for weights in model.parameters()))
        assert sizes[0] == pytest.approx(sizes[1], rel=0.01)


def test_ingest_is_measured(
    collections: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = load_script(ROOT / "scripts" / "benchmark_ingest.py")
    folders = [collections / "nottingham", collections / "pop909"]
    arguments = ["--melodies", str(folders[0]), "--songs", str(folders[1])]
    monkeypatch.setattr(sys, "argv", ["benchmark_ingest.py", *arguments])
    script.main()
    figures = json.loads(capsys.readouterr().out)
    for part in ("melodies", "songs"):
        assert figures[part]["files"] == 6
        assert figures[part]["files_per_second"] > 0
        assert (
            figures[part]["sequences_of_comparison"]
            == figures[part]["sequences_by_pretty_midi"]
            > 0
        )
    assert figures["memory"]["peak_mib"] > 0
