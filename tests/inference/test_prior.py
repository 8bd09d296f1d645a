"""Which prior is fitted to which codes, and the file that keeps it."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from tiny import tiny_vae

from seqvae.corpus.store import Split
from seqvae.errors import InputError
from seqvae.inference import prior as prior_module
from seqvae.inference.codec import Codec
from seqvae.inference.mixture import Mixture, fit_mixture
from seqvae.inference.prior import as_mixture, augmented, fit_prior_of, load_prior, save_prior
from seqvae.inference.slices import SlicePrior
from seqvae.inference.trained import TrainedVAE
from seqvae.model.latent import DiagonalGaussian
from seqvae.tokenizers.contract import Example
from seqvae.tokenizers.melody import MelodyTokenizer


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class PlantedCodec(Codec):
    """Posteriors N(first token, 2^2)."""

    def __init__(self, tokenizer: object) -> None:
        """Nothing is loaded."""
        self.tokenizer = tokenizer
        self.model = tiny_vae(latent_dim=1)
        self.read: list[NDArray[np.int64]] = []

    device = torch.device("cpu")
    width = 1

    def posterior(self, examples: Sequence[Example]) -> DiagonalGaussian:
        self.read = [example.ids for example in examples]
        mean = torch.tensor([[float(ids[0, 0])] * self.width for ids in self.read])
        return DiagonalGaussian(mean, torch.full_like(mean, 2.0).log())


class Augmenting(MelodyTokenizer):
    """Adds 10 to every token, padding included."""

    def augment(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        return ids + 10


def split_of(tokens: list[list[int]]) -> Split:
    offsets = np.cumsum([0, *map(len, tokens)])
    return Split(np.concatenate(tokens)[:, None].astype(np.uint8), offsets)


def test_a_prior_is_fitted_to_draws_of_augmented_sequences() -> None:
    codec = PlantedCodec(Augmenting())
    split = split_of([[7, 1, 2], [7], [7, 5]] * 200)
    prior = fit_prior_of(codec, split, split)
    lengths = sorted(len(ids) for ids in codec.read)
    assert lengths == [1] * 200 + [2] * 200 + [3] * 200
    assert {int(ids[0, 0]) for ids in codec.read} == {17}
    z = prior.sample(5000, generator())
    assert float(z.mean()) == pytest.approx(17, abs=0.3)
    assert float(z.std()) == pytest.approx(2, abs=0.2)  # means alone have no spread
    again = fit_prior_of(codec, split, split)
    assert torch.equal(again.scales, prior.scales)
    assert not torch.equal(fit_prior_of(codec, split, split, seed=1).scales, prior.scales)


def test_a_mixture_is_stored_without_zeros_and_comes_back(tmp_path: Path) -> None:
    mixed = torch.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 4.0], [0.0, 0.0, 1.0]])
    prior = fit_mixture(torch.randn(500, 3, generator=generator()) @ mixed)
    save_prior(prior, tmp_path)
    assert load_file(tmp_path / "prior.safetensors")["scales"].shape == (2, 6)
    again = load_prior(tmp_path, 3)
    assert isinstance(again, Mixture)
    for name, value in vars(prior).items():
        assert torch.equal(getattr(again, name), value)


def test_whole_factors_of_older_files_are_read(tmp_path: Path) -> None:
    prior = fit_mixture(torch.randn(500, 3, generator=generator()))
    save_file(vars(prior), tmp_path / "prior.safetensors", {"kind": "mixture"})
    again = load_prior(tmp_path, 3)
    assert isinstance(again, Mixture)
    assert torch.equal(again.scales, prior.scales)
    with pytest.raises(InputError, match=r"of shape \(2, 3.*\), not \(2, 2"):
        load_prior(tmp_path, 2)


def test_a_large_split_is_sampled() -> None:
    split = split_of([[n] for n in range(100)])
    chosen = [int(e.ids[0, 0]) for e in augmented(split, Augmenting(), 20, seed=0)]
    assert len({*chosen}) == 20
    assert max(chosen) > 60  # not the first of the split
    assert chosen == [int(e.ids[0, 0]) for e in augmented(split, Augmenting(), 20, seed=0)]
    assert chosen != [int(e.ids[0, 0]) for e in augmented(split, Augmenting(), 20, seed=1)]


def test_no_prior_yet_is_not_the_standard_one(tmp_path: Path) -> None:
    assert load_prior(tmp_path, 2) is None
    save_prior(Mixture.standard(2), tmp_path)
    loaded = load_prior(tmp_path, 2)
    assert loaded is not None
    torch.testing.assert_close(loaded.scales, torch.eye(2)[None])


def test_it_comes_back_from_disk(tmp_path: Path) -> None:
    prior = fit_mixture(torch.randn(500, 2, generator=generator()))
    save_prior(prior, tmp_path)
    again = load_prior(tmp_path, 2)
    assert again is not None
    torch.testing.assert_close(again.sample(9, generator()), prior.sample(9, generator()))
    (tmp_path / "prior.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match=r"prior.safetensors: damaged"):
        load_prior(tmp_path, 2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"means": torch.zeros(1, 3)}, r"means of shape \(1, 3\), not \(1, 2\)"),
        ({"means": torch.zeros(2, 2)}, r"means of shape \(2, 2\), not \(1, 2\)"),
        ({"scales": torch.eye(2)}, r"scales of shape \(2, 2\)"),
        ({"means": torch.full((1, 2), math.nan)}, "means are not finite"),
        ({"scales": torch.full((1, 2, 2), math.inf)}, "scales are not finite"),
        ({"means": torch.zeros(1, 2).double()}, "means of type torch.float64"),
        ({"weights": -torch.ones(1)}, "weights below 0"),
        ({"weights": torch.zeros(1)}, "weights below 0"),
        ({"more": torch.zeros(1)}, "no 'more'"),
    ],
)
def test_a_prior_of_another_model_or_of_nonsense_is_refused(
    tmp_path: Path, change: dict[str, torch.Tensor], reason: str
) -> None:
    save_file(vars(Mixture.standard(2)) | change, tmp_path / "prior.safetensors")
    with pytest.raises(InputError, match=rf"prior\.safetensors: damaged \(.*{reason}.*\); copy it"):
        load_prior(tmp_path, 2)


def slice_codec() -> PlantedCodec:
    """A hierarchical model with two slices of two dimensions."""
    codec = PlantedCodec(Augmenting())
    codec.model = tiny_vae(decoder="hierarchical", segment_length=3, latent_dim=4)
    codec.width = 4
    return codec


def test_codes_of_slices_get_a_prior_of_slices_that_stops_by_the_held_out_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handed = []

    def spy(*given: object, **keywords: object) -> SlicePrior:
        handed.append((given, keywords))
        return SlicePrior(2, 2)

    monkeypatch.setattr(prior_module, "fit_slices", spy)
    monkeypatch.setattr(prior_module, "NUM_HELD_OUT", 5)
    train, held_out = split_of([[7]] * 9), split_of([[30]] * 7)
    fitted = fit_prior_of(slice_codec(), train, held_out, hidden_dim=7, seed=3)
    assert isinstance(fitted, SlicePrior)
    (((of_train, of_held_out, num_slices), keywords),) = handed
    assert num_slices == 2
    assert keywords == {"base": None, "hidden_dim": 7, "seed": 3}
    assert of_train.mean.tolist() == [[17] * 4] * 9
    assert of_held_out.mean.tolist() == [[40] * 4] * 5


def test_a_prior_is_of_the_kind_of_its_base() -> None:
    split = split_of([[7]] * 9)
    base = Mixture(torch.ones(1), torch.zeros(1, 4), 3 * torch.eye(4)[None])
    with_base = fit_prior_of(slice_codec(), split, split, base=base)
    assert isinstance(with_base, Mixture)
    assert float(with_base.covariance.diagonal().min()) > 1.5
    slices = SlicePrior(2, 2).eval()
    assert isinstance(fit_prior_of(slice_codec(), split, split, base=slices), SlicePrior)


@pytest.mark.parametrize("hidden_dim", [None, 5])
def test_a_prior_of_slices_comes_back_from_disk(tmp_path: Path, hidden_dim: int | None) -> None:
    prior = SlicePrior(3, 2, hidden_dim).eval()
    save_prior(prior, tmp_path)
    again = load_prior(tmp_path, 6)
    assert isinstance(again, SlicePrior)
    z = prior.sample(5, generator())
    assert torch.equal(again.sample(5, generator()), z)
    assert torch.equal(again.log_prob(z), prior.log_prob(z))
    assert not any(weight.requires_grad for weight in again.parameters())
    for latent_dim in (4, 5, 12):
        with pytest.raises(InputError, match=r"prior\.safetensors: damaged \(.*of shape"):
            load_prior(tmp_path, latent_dim)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"centre": None}, "no 'centre'"),
        ({"hidden.bias": None}, "no 'hidden.bias'"),
        ({"axes": torch.eye(3)}, "axes of shape"),
        ({"axes": torch.full((2, 2), math.nan)}, "axes are not finite"),
        ({"centre": torch.zeros(0)}, "of shape"),
        ({"more": torch.zeros(1)}, "more"),
    ],
)
def test_slices_of_nonsense_are_refused(
    tmp_path: Path, change: dict[str, torch.Tensor | None], reason: str
) -> None:
    parts = {**SlicePrior(3, 2).parts(), **change}
    written = {name: value for name, value in parts.items() if value is not None}
    save_file(written, tmp_path / "prior.safetensors", {"kind": "slices"})
    with pytest.raises(InputError, match=rf"prior\.safetensors: damaged \(.*{reason}") as caught:
        load_prior(tmp_path, 6)
    assert len(str(caught.value)) <= 300
    assert "\n" not in str(caught.value)


def test_a_kind_of_later_versions_is_named(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "prior.safetensors", {"kind": "flow"})
    with pytest.raises(InputError, match=r"prior of kind 'flow', but .* reads mixture, slices"):
        load_prior(tmp_path, 2)


class Uniform:
    """A density that is no mixture."""

    def sample(self, num_codes: int, generator: torch.Generator, /) -> torch.Tensor:
        return torch.rand(num_codes, 2, generator=generator)

    def log_prob(self, z: torch.Tensor, /) -> torch.Tensor:
        return torch.zeros(len(z))


def test_what_is_no_mixture_has_one_of_its_draws() -> None:
    plain = Mixture.standard(4)
    assert as_mixture(plain) is plain
    slices = SlicePrior(2, 2).eval()
    z = slices.draw(3000, 1.0, generator(1))
    drawn = as_mixture(slices).sample(3000, generator(2))
    torch.testing.assert_close(drawn.mean(0), z.mean(0), atol=0.1, rtol=0)
    torch.testing.assert_close(torch.cov(drawn.mT), torch.cov(z.mT), atol=0.1, rtol=0)


def test_a_mixture_stands_for_a_prior_until_there_is_another() -> None:
    vae = TrainedVAE(Codec(tiny_vae(latent_dim=2), MelodyTokenizer(num_bars=1)), prior=Uniform())
    assert vae.mixture is vae.mixture  # fitted once
    assert vae.mixture.means.mean().item() == pytest.approx(0.5, abs=0.1)
    vae.prior = Mixture.standard(2)
    assert vae.mixture is vae.prior
