"""Sets of notes one step at a time: what `stepper` needs of their embedding and their heads.

Axes: B sequences, S slots, W channels of a slot, C = S W channels, P tokens of a pitch, E
embedding, H features, G gates.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import linear

from seqvae.model.decoding import Draw
from seqvae.model.note_sets import NoteHeads, Notes, NoteSetEmbedding, are_notes, note_slots


class NoteTables:
    """The vector of a note by lookups, relu and sum."""

    def __init__(self, notes: Notes) -> None:
        """Made of weights as they are."""
        self.tables = notes.tables()

    def __call__(self, slots: Int[Tensor, "*B W"]) -> Float[Tensor, "*B E"]:
        """The vectors of these slots; of slots without a note they have no meaning."""
        total = self.tables[0][slots[..., 0]]
        for channel, table in enumerate(self.tables[1:], start=1):
            total = total + table[slots[..., channel]]
        return total.relu_()


class NoteInputTables:
    """What the notes of a step, and those that go on to sound, add to the gates."""

    def __init__(self, embedding: NoteSetEmbedding, weight: Float[Tensor, "G E"]) -> None:
        """`weight` is the part of the input weights that reads the embedding."""
        self.weight, self.slot_size = weight, embedding.slot_size
        self.notes = NoteTables(embedding.notes)
        self.sounding = embedding.sounding

    def silence(self, num_rows: int) -> Int[Tensor, "B P"]:
        """Of a sequence that begins: nothing sounds."""
        device = self.weight.device
        return torch.zeros(num_rows, self.sounding.num_pitches, dtype=torch.long, device=device)

    def __call__(
        self, ids: Int[Tensor, "B C"], sounding: Int[Tensor, "B P"]
    ) -> Float[Tensor, "B G"]:
        """The share of the gates.

        `sounding` says for how many steps each pitch goes on to sound, and goes one step on.
        """
        slots = note_slots(ids, self.slot_size)
        sounding.sub_(1).clamp_(min=0)
        torch.maximum(sounding, self.sounding.struck(slots), out=sounding)
        notes = self.notes(slots) * are_notes(slots)[..., None]
        return linear(notes.sum(-2) + self.sounding(sounding), self.weight)


class NoteHeadTables:
    """The loop over the notes of a step."""

    def __init__(self, heads: NoteHeads) -> None:
        """Made of weights as they are."""
        self.heads = heads
        self.notes = NoteTables(heads.notes)
        self.logits = [head.prepared() for head in heads.logits]  # type: ignore[operator]  # of a list

    def draw(self, features: Float[Tensor, "B H"], draw: Draw) -> Int[Tensor, "B C"]:
        """Draw note after note, from low to high, until the set of every row is complete."""
        heads, size = self.heads, self.heads.slot_size
        from_step = heads.from_step(features)
        below = features.new_zeros(len(features), heads.from_below.in_features)
        last = torch.zeros(len(features), dtype=torch.long, device=features.device)
        goes_on = torch.ones_like(last, dtype=torch.bool)
        slots = last.new_zeros(len(last), heads.num_slots, size)
        for slot in range(heads.num_slots):
            loop = heads.begin(from_step, below, last)
            pitch = draw(heads.rising(self.logits[0](loop), last), slot * size)
            goes_on = goes_on & (pitch > 0)
            if _all_done(goes_on):
                break
            tokens = [pitch]
            for channel, logits_of in enumerate(self.logits[1:], start=1):
                loop = heads.go_on(loop, channel - 1, tokens[-1])
                tokens.append(draw(logits_of(loop), slot * size + channel))
            last = pitch * goes_on
            slots[:, slot] = note = torch.stack(tokens, dim=1) * goes_on[:, None]
            below = below + self.notes(note) * goes_on[:, None]
        return slots.flatten(1)


def _all_done(goes_on: Bool[Tensor, " B"]) -> bool:
    """Whether no row goes on; on a GPU nobody asks, since the answer costs more than the loop."""
    return goes_on.device.type == "cpu" and not goes_on.any()
