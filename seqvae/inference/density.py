"""What may stand for the prior: any density of codes that can be drawn from.

Axes: N codes, Z latent.
"""

from typing import Any

import torch
from torch import Tensor

from seqvae.errors import InputError

TRIED = 2  # codes that are drawn once, to see that they are codes of the model


def check_density(density: Any, latent_dim: int, generator: torch.Generator) -> None:
    """Refuse what gives no codes of a model.

    Raises:
        InputError: a method is missing, or what it returns is of another shape or not finite.
    """
    for method in ("sample", "log_prob"):
        if not callable(getattr(density, method, None)):
            raise InputError(
                f"the prior is of type {type(density).__name__}, without {method}; it needs "
                "sample(n, generator) and log_prob(z)"
            )
    z = density.sample(TRIED, generator)
    told: Any = density.log_prob(z) if _has_shape(z, TRIED, latent_dim) else None
    for name, value, shape in (("sample", z, (TRIED, latent_dim)), ("log_prob", told, (TRIED,))):
        if not _has_shape(value, *shape):
            found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise InputError(f"the prior's {name} gave {found} for {TRIED} codes, not {shape}")
        if not value.isfinite().all():
            raise InputError(f"the prior's {name} gave a number that is not finite")


def _has_shape(value: Any, *shape: int) -> bool:
    return isinstance(value, Tensor) and tuple(value.shape) == shape
