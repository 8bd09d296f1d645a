"""Sample from a density of one's own: here a kernel density of the codes of some lines.

    seqvae encode runs/my_sentences questions.txt --out codes.npz
    python scripts/cookbook/own_prior.py runs/my_sentences codes.npz

A prior is anything with `sample(n, generator)` and `log_prob(z)`.
"""

import argparse
from pathlib import Path

import torch
from sklearn.neighbors import KernelDensity
from torch import Tensor

import seqvae
from seqvae.errors import InputError, in_one_line
from seqvae.inference.bundle import fingerprint
from seqvae.inference.code_table import read_means
from seqvae.reasons import amount


class KernelPrior:
    """A Gaussian around each code that was seen."""

    def __init__(self, codes: Tensor, width: float) -> None:
        """`width` is the standard deviation of the Gaussians."""
        self.codes, self.width = codes, width
        self.density = KernelDensity(bandwidth=width).fit(codes.numpy())

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Codes near those that were seen (n, Z)."""
        rows = torch.randint(len(self.codes), (n,), generator=generator)
        noise = torch.randn((n, self.codes.shape[1]), generator=generator)
        return self.codes[rows] + self.width * noise

    def log_prob(self, z: Tensor) -> Tensor:
        """The log density of each code, in nats."""
        return torch.from_numpy(self.density.score_samples(z.numpy()))


@in_one_line()
def main() -> None:
    """Fit the density and sample from it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="a run or a bundle")
    parser.add_argument("codes", help="what seqvae encode wrote")
    parser.add_argument("-n", type=int, default=5, help="number of samples")
    parser.add_argument("--width", type=float, default=0.3, help="of the Gaussians")
    chosen = parser.parse_args()
    if not 0 < chosen.width < float("inf"):
        raise InputError(f"--width {chosen.width}: it must be above 0")
    vae = seqvae.load(chosen.run, device="cpu")
    means = read_means(Path(chosen.codes), vae.model.config.latent_dim, fingerprint(vae.model))
    vae.prior = prior = KernelPrior(torch.from_numpy(means), chosen.width)
    texts = vae.sample(chosen.n, seed=0)
    nats = -prior.log_prob(prior.sample(100, torch.Generator().manual_seed(0))).mean()
    of = f"{amount(len(means), 'code')} ({nats:.1f} nats)"
    print(f"{amount(len(texts), 'sample')} from a density of {of}:")
    for text in texts:
        print("  " + " ".join(text.splitlines()))


if __name__ == "__main__":
    main()
