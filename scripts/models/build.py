"""Build the models that ship: prepare, train, round, measure, and write cards.

    python scripts/models/build.py --sources SOURCES --work WORK [MODEL ...]

SOURCES holds a folder for each source of models.toml; nothing is fetched. A missing folder is named
with its address, commit and licence. Scores must be MIDI files by then (scores_to_midi.py or
chorales_to_midi.py SCORES MIDI) and sentences one text file (sentences_of.py). What is trained
already is not trained again.
A model goes to data/models/NAME, and its sources to data/models/SOURCES.tsv. Its card has figures
of the test split and of clips in data/clips, which no model was trained on.
"""

import argparse
import csv
import hashlib
import json
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import card
import torch
from safetensors.torch import load_file
from safetensors.torch import save as serialized

import seqvae
from seqvae.corpus.store import MANIFEST, Corpus
from seqvae.disk import write_file
from seqvae.inference.attributes import fit_attributes, measure_movement
from seqvae.inference.bundle import load_bundle, save_weights
from seqvae.inference.codec import Codec
from seqvae.inference.directions import HIDDEN_DIM, WEIGHTS
from seqvae.inference.evaluation import Evaluation
from seqvae.inference.mixture import Mixture
from seqvae.inference.prior import as_mixture, fit_prior_of, load_prior, save_prior
from seqvae.inference.slices import SlicePrior
from seqvae.tokenizers import save_tokenizer

ROOT = Path(__file__).parents[2]
MODELS, CLIPS = ROOT / "data" / "models", ROOT / "data" / "clips"
RECIPES = Path(__file__).with_name("models.toml")
COLUMNS = ("model", "source", "address", "commit", "licence", "files", "windows", "sha256")
HELD_OUT = 20  # of 256: the share of the files that go to validation, and again to the test
MAX_MEGABYTES = 8.0

Recipe = dict[str, Any]


def main() -> None:
    """Build the models that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=Path, required=True, help="folder of the sources")
    parser.add_argument("--work", type=Path, required=True, help="folder of corpora and runs")
    parser.add_argument("models", nargs="*")
    options = parser.parse_args()
    recipes = tomllib.loads(RECIPES.read_text(encoding="utf-8"))
    names = options.models or list(recipes["models"])
    wanted = {name for model in names for name in recipes["models"][model]["sources"]}
    if missing := [name for name in sorted(wanted) if not (options.sources / name).is_dir()]:
        for name in missing:
            source = recipes["sources"][name]
            print(f"{options.sources / name}: {source['what']}, {source['licence']}")
            print(f"    {source['address']} at {source['commit']}: {source['files']}")
        sys.exit("fetch these folders first")
    for name in names:
        build(name, recipes, options.sources.resolve(), options.work.resolve())


def build(name: str, recipes: Recipe, sources: Path, work: Path) -> None:
    """Train a model, round it, measure it, and put it where it ships from."""
    recipe = recipes["models"][name]
    train(name, recipe, sources, work)
    corpus = Corpus(work / "corpora" / name)
    bundle = MODELS / name
    shutil.rmtree(bundle, ignore_errors=True)
    bundle.mkdir(parents=True)
    trained = work / "runs" / name / "bundle"
    round_weights(trained, bundle)
    save_prior(prior_of(trained, recipe, corpus), bundle, torch.float16)
    vae = seqvae.load(bundle, "cpu")
    add_attributes(vae, bundle, corpus, recipe.get("attributes_dim", HIDDEN_DIM))
    figures = {"test": vae.evaluate(corpus, iw_samples=card.IW_SAMPLES)}
    if recipe.get("clips"):
        figures[recipe["clips"]] = on_clips(vae, bundle, recipe, work / "clips" / name)
    rows = list(source_rows(name, recipes, corpus, sources, work))
    card.write(bundle, name, recipes, figures, rows)
    record(rows)
    size = sum(file.stat().st_size for file in bundle.iterdir()) / 1e6
    assert size <= MAX_MEGABYTES, f"{name} has {size:.1f} MB"
    print(f"{bundle}: {size:.1f} MB")


def train(name: str, recipe: Recipe, sources: Path, work: Path) -> None:
    """Run `seqvae train` in the folder of all runs, unless that is done."""
    if (work / "runs" / name / "bundle" / "prior.safetensors").is_file():
        return
    splits = work / "splits" / name
    if "{splits}" in recipe["flags"]:
        split(recipe["sources"], sources, splits)
    places = " ".join(f"--data.{part} {splits}/{part}" for part in ("train", "valid", "test"))
    settings = recipe["flags"].replace("{sources}", str(sources)).replace("{splits}", places)
    command = [sys.executable, "-m", "seqvae", "train", recipe["preset"], "--name", name]
    subprocess.run(command + shlex.split(settings), cwd=work, check=True)


def split(names: list[str], sources: Path, splits: Path) -> None:
    """Links to the files of sources, by the hash of their names: so all models hold out the same.

    Of sentences, lines are split.
    """
    shutil.rmtree(splits, ignore_errors=True)
    for file in (file for name in names for file in sorted((sources / name).rglob("*"))):
        if file.suffix == ".mid":
            name = str(Path(*file.relative_to(sources).parts[1:]))
            link = splits / part_of(name) / file.relative_to(sources)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
        elif file.suffix == ".txt":
            for line in file.read_text(encoding="utf-8").splitlines():
                out = splits / part_of(line) / file.name
                out.parent.mkdir(parents=True, exist_ok=True)
                with out.open("a", encoding="utf-8") as opened:
                    opened.write(line + "\n")


def part_of(name: str) -> str:
    """The split of a file or line of this name."""
    first = hashlib.sha256(name.encode()).digest()[0]
    return "test" if first < HELD_OUT else "valid" if first < 2 * HELD_OUT else "train"


def round_weights(trained: Path, bundle: Path) -> None:
    """Copy a bundle with weights in float16, and without the paths of this machine."""
    model, tokenizer = load_bundle(trained)
    settings = json.loads((trained / "config.json").read_text(encoding="utf-8"))["training"]
    settings["data"] = {
        key: value if key == "tokenizer" else None for key, value in settings["data"].items()
    }
    save_weights(bundle, model.half(), settings)
    save_tokenizer(tokenizer, bundle)


def prior_of(trained: Path, recipe: Recipe, corpus: Corpus) -> Mixture | SlicePrior:
    """The prior of a bundle, in the size that the recipe wants.

    `components` keeps the heaviest ones of a mixture; `prior_dim` is the width of a new network.
    """
    codec = Codec.load(trained)
    if "prior_dim" in recipe:
        train, valid = corpus.splits["train"], corpus.splits["valid"]
        return fit_prior_of(codec, train, valid, hidden_dim=recipe["prior_dim"])
    prior = load_prior(trained, codec.model.config.latent_dim)
    assert prior is not None
    if "components" not in recipe:
        return prior
    mixture = as_mixture(prior)
    kept = mixture.weights.argsort(descending=True)[: recipe["components"]]
    weights = mixture.weights[kept] / mixture.weights[kept].sum()
    return Mixture(weights, mixture.means[kept], mixture.scales[kept])


def add_attributes(vae: Any, bundle: Path, corpus: Corpus, hidden_dim: int) -> None:
    """Fit the directions of attributes, so that `shift` works at once; in float16, too.

    `hidden_dim` is the width of their network.
    """
    directions = fit_attributes(vae.codec, corpus, hidden_dim=hidden_dim)
    directions.save(bundle)
    measure_movement(vae.codec, vae.prior, directions).save(bundle)
    weights = load_file(bundle / WEIGHTS)
    rounded = {name: weight.half() for name, weight in weights.items()}
    write_file(bundle / WEIGHTS, serialized(rounded))


def on_clips(vae: Any, bundle: Path, recipe: Recipe, corpus: Path) -> Evaluation:
    """The figures on the clips that ship; a test makes them again."""
    card.prepare_clips(bundle, CLIPS / recipe["clips"], corpus)
    figures: Evaluation = vae.evaluate(corpus, **card.measured_on_clips(recipe))
    return figures


def source_rows(
    name: str, recipes: Recipe, corpus: Corpus, sources: Path, work: Path
) -> Iterator[dict[str, str]]:
    """A row for each source of a model: what was taken of it, and the hash of that list."""
    lines = (corpus.folder / MANIFEST).read_text(encoding="utf-8").splitlines()
    taken = [row for row in map(json.loads, lines) if sum(row["taken"].values())]
    for source in recipes["models"][name]["sources"]:
        about = recipes["sources"][source]
        rows = [
            row for row in taken if f"/{source}/" in row["source"] or row["source"].endswith(".txt")
        ]
        files = sorted(row["source"] for row in rows)
        listed = "".join(
            f"{hashlib.sha256(Path(file).read_bytes()).hexdigest()}  "
            f"{file.split(f'/{source}/')[-1]}\n" for file in files
        )  # fmt: skip
        yield {
            "model": name, "source": source, "address": about["address"],
            "commit": about["commit"], "licence": about["licence"], "files": str(len(files)),
            "windows": str(sum(sum(row["taken"].values()) for row in rows)),
            "sha256": hashlib.sha256(listed.encode()).hexdigest(),
        }  # fmt: skip


def record(rows: list[dict[str, str]]) -> None:
    """Put the rows of a model into SOURCES.tsv, in place of those that it had."""
    file = MODELS / "SOURCES.tsv"
    kept = []
    if file.is_file():
        with file.open(encoding="utf-8", newline="") as opened:
            kept = [
                row for row in csv.DictReader(opened, delimiter="\t")
                if row["model"] != rows[0]["model"]
            ]  # fmt: skip
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted([*kept, *rows], key=lambda row: (row["model"], row["source"])))


if __name__ == "__main__":
    main()
