"""What ships with seqvae, by name: presets and trained models.

The build puts them inside the package; a checkout has them beside it.
"""

import difflib
import logging
from pathlib import Path

from seqvae.errors import InputError
from seqvae.files import expanded, is_file, is_folder
from seqvae.hub import Hub, fetched, is_repository

PACKAGE = Path(__file__).parent
INSTALLED = PACKAGE / "data"

logger = logging.getLogger(__name__)


def presets_folder() -> Path:
    """The folder of the presets, one YAML file each."""
    return _folder(INSTALLED / "configs", PACKAGE.parent / "configs")


def models_folder() -> Path:
    """The folder of the trained models, one bundle each."""
    return _folder(INSTALLED / "models", PACKAGE.parent / "data" / "models")


def presets() -> dict[str, Path]:
    """The file of each preset."""
    return {file.stem: file for file in sorted(presets_folder().glob("*.yaml"))}


def models() -> dict[str, Path]:
    """The bundle of each model that ships."""
    files = sorted(models_folder().glob("*/config.json"))
    return {file.parent.name: file.parent for file in files}


def find_preset(place: str | Path) -> Path:
    """A file of settings: the one at a place, or else the preset of that name.

    Raises:
        InputError: there is neither.
    """
    path, shipped = expanded(place), presets().get(str(place))
    if is_file(path):
        if shipped is not None:
            logger.info("%s: taking the file here, not the preset that ships", place)
        return path
    if is_folder(path):
        raise InputError(f"{place}: a folder; name a preset here, and data by --data.source")
    if shipped is None:
        close = difflib.get_close_matches(path.stem, presets(), n=1)
        guess = f"; did you mean {close[0]}?" if close else ""
        raise InputError(
            f"{place}: no such config file, and no preset (seqvae presets lists them){guess}"
        )
    return shipped


def find_model(place: Path, how: Hub | None = None) -> Path:
    """The folder of a run or a bundle: at a place, or of a model that ships, or from the hub.

    Raises:
        InputError: there is none of these.
    """
    if is_folder(place):
        return place
    shipped = models().get(str(place))
    if shipped is not None:
        return shipped
    if is_repository(place.as_posix()):
        return fetched(place.as_posix(), how or Hub())
    name = str(place)
    if name in presets():
        raise InputError(f"{name}: a preset, and no model yet; seqvae train {name} trains one")
    run = Path("runs", place)
    close = [str(run)] if is_folder(run) else difflib.get_close_matches(name, models(), n=1)
    guess = f"; did you mean {close[0]}?" if close else ""
    raise InputError(
        f"{place}: no such folder{guess}; name a run, a bundle, owner/name on the hub, or a model "
        "that ships (seqvae models lists them)"
    )


def is_model(place: Path) -> bool:
    """Whether a place is a run or a bundle, or else the name of a model that ships."""
    if not place.exists():
        return str(place) in models()
    return any((place / file).is_file() for file in ("config.json", "bundle/config.json"))


def tell_which_model(place: Path) -> None:
    """Say so where a folder has the name of a model that ships: the folder is taken."""
    if is_folder(place) and str(place) in models():
        logger.info("%s: taking the folder here, not the model that ships", place)


def _folder(installed: Path, beside: Path) -> Path:
    return installed if installed.is_dir() else beside
