"""A Space for Hugging Face: the page of `seqvae app` with its model, as a folder to be pushed."""

import importlib.metadata
import shutil
import tomllib
from pathlib import Path
from typing import Any

from seqvae.disk import replaced_folder, require_folder, write_file
from seqvae.errors import InputError
from seqvae.inference.bundle import bundle_in, model_name
from seqvae.inference.cards import CARD, as_card, read_card
from seqvae.serving.naming import about_model
from seqvae.shipped import PACKAGE

GRADIO = "6.31.0"  # the tested version, which the Space installs
PORT = 7860  # at which a Space is expected
APP = '''"""The page of this Space."""

import sys

from seqvae.cli import main

if __name__ == "__main__":  # and not in the processes that it starts
    place = ["--host", "0.0.0.0", "--port", "{port}", "--no_open"]
    sys.argv[1:] = ["app", "models/{name}", *place]
    main()
'''


def write_space(model: Path, folder: Path) -> None:
    """Write a Space; other files of the folder, such as those of Git, stay.

    It holds the code of this package, because a Space sees no other.

    Raises:
        InputError: there is no such model, or the folder is a file.
    """
    bundle = bundle_in(model)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: a file; name a folder")
    require_folder(folder)
    name = model_name(model)
    write_file(folder / "README.md", _readme(name, bundle))
    write_file(folder / "requirements.txt", "".join(f"{each}\n" for each in requirements()))
    write_file(folder / "app.py", APP.format(name=name, port=PORT))
    with replaced_folder(folder / "models") as beside:
        shutil.copytree(bundle, beside / name)
    with replaced_folder(folder / "seqvae") as beside:
        left_out = shutil.ignore_patterns("__pycache__", "data")
        shutil.copytree(PACKAGE, beside, ignore=left_out, dirs_exist_ok=True)


def requirements() -> list[str]:
    """What the package needs, without extras: Gradio comes with the Space."""
    try:
        needed = importlib.metadata.requires("seqvae") or []
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
        needed = project["project"]["dependencies"]
    return [each for each in needed if "extra ==" not in each]


def _readme(name: str, bundle: Path) -> str:
    """The head that a Space is made from, and what the model is."""
    card = bundle / CARD
    licence = read_card(card)[0].get("license") if card.is_file() else None
    head: dict[str, Any] = {
        "title": name,
        "emoji": "\N{MUSICAL KEYBOARD}",
        "colorFrom": "blue",
        "colorTo": "gray",
        "sdk": "gradio",
        "sdk_version": GRADIO,
        "app_file": "app.py",
        "pinned": False,
        "tags": ["seqvae", "vae", "midi"],
    }
    if licence is not None:
        head["license"] = str(licence)
    return as_card(head, f"\n# {name}\n\n{about_model(bundle)}\n")
