"""Which part a setting or a name stands for: small models with a known answer."""

import torch
from tiny import random_ids, tiny_vae

from seqvae.model.latent import INTERPOLATIONS


def test_slerp_goes_around_and_lerp_goes_through() -> None:
    start, end, middle = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 3.0]), torch.tensor([0.5])
    around = INTERPOLATIONS["slerp"](start, end, middle)
    through = INTERPOLATIONS["lerp"](start, end, middle)
    torch.testing.assert_close(around.norm(), torch.tensor(3.0))
    torch.testing.assert_close(through, torch.tensor([[1.5, 1.5]]))


def test_means_of_both_encoders_are_normalised() -> None:
    ids, lengths = random_ids((5,), 40, 6), torch.full((40,), 6)
    for decoder in ("flat", "hierarchical"):
        vae = tiny_vae(
            decoder=decoder, segment_length=2, conductor_dim=4, bn_gamma=0.7, latent_dim=3
        )
        spread = vae.train().encode(ids, lengths).mean.std(0, correction=0)
        torch.testing.assert_close(spread, torch.full((3,), 0.7), rtol=1e-3, atol=0.0)
