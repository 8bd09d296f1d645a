"""`seqvae export magenta`: a model becomes a checkpoint of magenta.js."""

from pathlib import Path

from seqvae.errors import InputError
from seqvae.exchange.magenta.files import MANIFEST, SPEC, write_checkpoint
from seqvae.exchange.magenta.writing import as_checkpoint
from seqvae.inference.bundle import bundle_in, load_bundle


def export_magenta(model: Path, folder: Path) -> None:
    """Write the model of a run or a bundle to a folder, in place of an older export.

    Raises:
        InputError: there is no such model, magenta.js has none of its kind, or the folder holds
            something else.
    """
    if folder.exists() and not (folder.is_dir() and _is_free(folder)):
        raise InputError(f"{folder}: holds other files; name a new folder")
    write_checkpoint(folder, as_checkpoint(*load_bundle(bundle_in(model))))


def _is_free(folder: Path) -> bool:
    """Whether a folder is empty, or a checkpoint that may be replaced."""
    return not any(folder.iterdir()) or all((folder / name).is_file() for name in (SPEC, MANIFEST))
