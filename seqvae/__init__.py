"""Train variational autoencoders of sequences, text or music, and use what they learned.

vae = seqvae.load("drums_2bar")  # a model that ships, or a run such as "runs/my_beats"
vae.sample(8, seed=1)
vae.interpolate("a.mid", "b.mid", num_steps=9)
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from seqvae.corpus.look import Look, TextLook
    from seqvae.inference.trained import TrainedVAE

__version__ = "0.1.0"


def look(
    file: str | Path,
    preset: str | Path | None = None,
    tracks: str | None = None,
    *,
    column: str | None = None,
    encoding: str | None = None,
) -> "Look | TextLook":
    """What a file holds, and how a model of a preset, or of any kind, hears its tracks.

    Of a table it shows the text in a column.
    """
    from seqvae.corpus.look import look_at

    return look_at(file, preset, tracks, column=column, encoding=encoding)


def load(
    folder: str | Path,
    device: "str | torch.device | None" = None,
    *,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> "TrainedVAE":
    """The trained model of a run, a bundle, a name that ships, or owner/name on the hub.

    By default it goes to CUDA if that is there. `seqvae models` lists the names that ship. The
    other arguments are for the Hugging Face Hub: a copy in the cache is taken without asking the
    network, unless a revision is named.
    """
    from seqvae.hub import Hub
    from seqvae.inference.trained import TrainedVAE  # here, so that `import seqvae` stays fast

    how = Hub(
        revision=revision, token=token, cache_dir=cache_dir, local_files_only=local_files_only
    )
    return TrainedVAE.load(folder, device, how)
