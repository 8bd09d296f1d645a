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
    file: str | Path, preset: str | Path | None = None, tracks: str | None = None
) -> "Look | TextLook":
    """What a file holds, and how a model of a preset, or of any kind, hears its tracks."""
    from seqvae.corpus.look import look_at

    return look_at(file, preset, tracks)


def load(folder: str | Path, device: "str | torch.device | None" = None) -> "TrainedVAE":
    """The trained model of a run, a bundle or a name that ships; by default on CUDA if it is there.

    `seqvae models` lists the names.
    """
    from seqvae.inference.trained import TrainedVAE  # here, so that `import seqvae` stays fast

    return TrainedVAE.load(folder, device)
