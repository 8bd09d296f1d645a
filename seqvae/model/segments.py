"""Segments that may end before they are full, such as the tracks of a bar.

Axes: B sequences, T steps, U segments.
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor, unflatten


def segment_lengths(
    tokens: Int[Tensor, "B T"], end: int, segment_length: int
) -> Int[Tensor, "B U"]:
    """The steps of each segment up to its end token, and that too; all where there is none."""
    is_end = unflatten(tokens, 1, (-1, segment_length)) == end
    return torch.where(is_end.any(-1), is_end.int().argmax(-1) + 1, segment_length)


def after_ends(tokens: Int[Tensor, "B T"], end: int, segment_length: int) -> Bool[Tensor, "B T"]:
    """Which steps follow the end of their segment."""
    steps = torch.arange(segment_length, device=tokens.device)
    return (steps >= segment_lengths(tokens, end, segment_length)[..., None]).flatten(1)
