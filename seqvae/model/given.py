"""Tokens that are given: a decoder that draws the others reads them as if it had drawn them.

Axes: B sequences, T steps, C channels, V vocabulary.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqvae.model.note_sets import are_asked, are_notes, note_slots


@dataclass(frozen=True, eq=False)
class Given:
    """Which tokens of sequences are given, and which they are."""

    ids: Int[Tensor, "B T C"]
    """What stands where nothing is given has no meaning."""
    where: Bool[Tensor, "B T C"]

    @classmethod
    def of_slots(
        cls, ids: Int[Tensor, "B T C"], where: Bool[Tensor, "B T C"], slot_size: int
    ) -> "Given":
        """Of sets of notes, those tokens alone that are asked for: none after the last note."""
        if not slot_size:
            return cls(ids, where)
        notes = are_notes(note_slots(ids, slot_size))
        asked = notes[..., None].repeat_interleave(slot_size, dim=-1)
        asked[..., 0] = are_asked(notes)
        return cls(ids, where & asked.flatten(-2))


class GivenStep:
    """What is given of one step after another, at addresses that do not change."""

    def __init__(self, given: Given, eos_id: int | None) -> None:
        """`eos_id` ends a sequence, which it may not do before the last step that is given."""
        self.given, self.eos_id = given, eos_id
        steps = given.where.any(-1).int()
        self._goes_on = steps.flip(1).cumsum(1).flip(1) > steps  # (B, T): another step is given
        self.ids, self.where = given.ids[:, 0].clone(), given.where[:, 0].clone()
        self.goes_on = self._goes_on[:, 0].clone()
        self.nats = torch.zeros(len(given.ids), device=given.ids.device)

    def go_to(self, step: int) -> None:
        """Give the tokens of this step from now on."""
        self.ids.copy_(self.given.ids[:, step])
        self.where.copy_(self.given.where[:, step])
        self.goes_on.copy_(self._goes_on[:, step])

    def without_end(self, logits: Float[Tensor, "B V"], channel: int) -> Float[Tensor, "B V"]:
        """Logits by which no sequence ends before what is given of it."""
        if self.eos_id is None or channel > 0:
            return logits
        is_end = torch.arange(logits.shape[-1], device=logits.device) == self.eos_id
        return logits.masked_fill(self.goes_on[:, None] & is_end, -torch.inf)

    def instead_of(
        self, drawn: Int[Tensor, " B"], logits: Float[Tensor, "B V"], channel: int
    ) -> Int[Tensor, " B"]:
        """What is given of a channel, and what was drawn where nothing is."""
        token, is_given = self.ids[:, channel], self.where[:, channel]
        token = torch.where(is_given, token, drawn)
        nats = -logits.float().log_softmax(-1).gather(1, token[:, None])[:, 0]
        self.nats.add_(torch.where(is_given, nats, 0.0))
        return token
