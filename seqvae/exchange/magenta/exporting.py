"""`seqvae export magenta`: a model becomes a checkpoint of magenta.js."""

from pathlib import Path

from seqvae.disk import check_replaceable
from seqvae.exchange.magenta.files import MANIFEST, SPEC, write_checkpoint
from seqvae.exchange.magenta.writing import as_checkpoint
from seqvae.inference.bundle import bundle_in, load_bundle


def export_magenta(model: Path, folder: Path) -> None:
    """Write the model of a run or a bundle to a folder, in place of an older export.

    Raises:
        InputError: there is no such model, magenta.js has none of its kind, or the folder holds
            something else.
    """
    check_replaceable(folder, SPEC, MANIFEST)
    write_checkpoint(folder, as_checkpoint(*load_bundle(bundle_in(model))))
