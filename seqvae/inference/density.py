"""What may stand for the prior: any density of codes that can be drawn from.

Axes: N codes, Z latent.
"""

import contextlib
import inspect
from typing import Any

import torch
from torch import Tensor

from seqvae.errors import InputError

TRIED = 2  # codes that are drawn once, to see that they are codes of the model


def check_density(density: Any, latent_dim: int, generator: torch.Generator) -> None:
    """Refuse what gives no codes of a model.

    Raises:
        InputError: a method is missing or takes something else, or what it returns is no tensor of
            float32 of the right shape, on the device of the generator, or not finite.
    """
    called = {"sample(n, generator)": (TRIED, generator), "log_prob(z)": (None,)}
    for call, given in called.items():
        if not _takes(getattr(density, call.partition("(")[0], None), *given):
            if density is None:
                raise InputError(
                    "the prior is None; seqvae.load(...).prior is the one that belongs to a model"
                )
            raise InputError(
                f"the prior, of type {type(density).__name__}, cannot be called as {call}; "
                f"it needs {' and '.join(called)}"
            )
    z = _tensor(density.sample(TRIED, generator), "sample", TRIED, latent_dim)
    found, wanted = (z.dtype, z.device.type), (torch.float32, generator.device.type)
    if found != wanted:
        gave, needed = (" on ".join(map(str, each)) for each in (found, wanted))
        raise InputError(f"the prior's sample gave {gave}; it must be {needed}")
    _tensor(density.log_prob(z), "log_prob", TRIED)


def _takes(method: Any, *given: Any) -> bool:
    """Whether a method can be called with such arguments; of some, only the call itself tells."""
    if not callable(method):
        return False
    with contextlib.suppress(ValueError):  # it has no signature
        try:
            inspect.signature(method).bind(*given)
        except TypeError:
            return False
    return True


def _tensor(value: Any, method: str, *shape: int) -> Tensor:
    """What a method returned, if it is a finite tensor of the shape."""
    if not isinstance(value, Tensor) or tuple(value.shape) != shape:
        found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise InputError(
            f"the prior's {method} gave {found} for {TRIED} codes; it must be a tensor of shape "
            f"{shape}"
        )
    if not value.isfinite().all():
        raise InputError(f"the prior's {method} gave a number that is not finite")
    return value
