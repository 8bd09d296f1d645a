"""Commands start fast because they import little: which modules each of them loads."""

import subprocess
import sys
from pathlib import Path

import pytest
from tiny import randomised
from trained import write_tunes

from seqvae.inference.bundle import save_bundle
from seqvae.inference.mixture import Mixture
from seqvae.inference.prior import save_prior
from seqvae.model.config import ModelConfig
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers import AnyTokenizer
from seqvae.tokenizers.trio import TrioTokenizer
from seqvae.tokenizers.words import WordTokenizer

TRAINING = {"lightning", "jsonargparse"}
DRAWING = {"matplotlib", "scipy", "sklearn", "umap", "pandas", "pyarrow"}
COMPILER = {"torch._dynamo", "torch._inductor", "sympy"}
MIDI = {"pretty_midi", "fluidsynth", "mido", "symusic"}
WITHOUT_TORCH = {"torch", "sentencepiece", "yaml"} | TRAINING | DRAWING | MIDI

RUN = """
import sys
from seqvae import cli
try:
    cli.main()
finally:
    with open("modules", "w", encoding="utf-8") as file:
        print(*sys.modules, file=file)
"""


def modules_of(code: str, arguments: list[str], folder: Path) -> set[str]:
    """What is loaded in a process that runs the code, which writes it."""
    subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, check=True, capture_output=True
    )
    return {*(folder / "modules").read_text(encoding="utf-8").split()}


def write_bundle(folder: Path, tokenizer: AnyTokenizer) -> None:
    """A tiny model with random weights."""
    config = ModelConfig(
        latent_dim=16, embedding_dim=4, encoder_dim=5, decoder_dim=6, conductor_dim=6
    )
    model = randomised(SequenceVAE(config, tokenizer.steps))
    save_bundle(folder, model, tokenizer, {"name": "tiny"}, "")
    save_prior(Mixture.standard(config.latent_dim), folder)


def test_the_package_itself_imports_nothing_else(tmp_path: Path) -> None:
    code = (
        "import sys; before = set(sys.modules); import seqvae; "
        "print(*set(sys.modules) - before, file=open('modules', 'w', encoding='utf-8'))"
    )
    third_party = modules_of(code, [], tmp_path) - sys.stdlib_module_names
    assert {name for name in third_party if "." not in name} == {"seqvae"}
    assert not {name for name in third_party if name.startswith("seqvae.")}


@pytest.mark.parametrize("verb", [[], ["sample"]])
def test_help_needs_no_heavy_library(verb: list[str], tmp_path: Path) -> None:
    run = RUN.replace(
        "cli.main()", "cli.main()\nexcept SystemExit as end:\n    assert not end.code"
    )
    loaded = modules_of(run, [*verb, "--help"], tmp_path)
    assert "seqvae.cli" in loaded
    assert not loaded & WITHOUT_TORCH


def test_samples_of_text_need_torch_alone(tmp_path: Path) -> None:
    tokenizer = WordTokenizer(max_steps=9).train(["two dogs see the sea", "the girl likes boats"])
    write_bundle(tmp_path / "bundle", tokenizer)
    loaded = modules_of(RUN, ["sample", "bundle", "-n", "2"], tmp_path)
    assert "torch" in loaded
    assert not loaded & (TRAINING | DRAWING | COMPILER | MIDI)


def test_samples_of_music_need_what_writes_midi_too(tmp_path: Path) -> None:
    """Of a trio, whose drums are sets: to plan their embedding takes arithmetic."""
    write_bundle(tmp_path / "bundle", TrioTokenizer(num_bars=2))
    loaded = modules_of(RUN, ["sample", "bundle", "-n", "2"], tmp_path)
    assert {"torch", "pretty_midi"} <= loaded
    assert not loaded & (TRAINING | DRAWING | COMPILER)
    assert len([*(tmp_path / "out").glob("*.mid")]) == 2


@pytest.mark.parametrize("kind", ["words", "melody"])
def test_a_corpus_is_prepared_without_torch(kind: str, tmp_path: Path) -> None:
    settings = f"name: tiny\ndata: {{source: mine, num_workers: 0, tokenizer: {{kind: {kind}}}}}\n"
    (tmp_path / "tiny.yaml").write_text(settings, encoding="utf-8")
    if kind == "words":
        lines = "".join(f"line {number}\n" for number in range(50))
        (tmp_path / "mine").write_text(lines, encoding="utf-8")
    else:
        write_tunes(tmp_path / "mine", 10)
    loaded = modules_of(RUN, ["prepare", "tiny.yaml"], tmp_path)
    assert (tmp_path / "corpora" / "tiny" / "tokens.npy").is_file()
    assert not loaded & ({"torch", "lightning"} | DRAWING)


def test_a_library_prints_nothing(tmp_path: Path) -> None:
    (tmp_path / "fluidsynth.py").write_text("print('was found')", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", "import seqvae.music.midi"], cwd=tmp_path, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == done.stderr == ""
