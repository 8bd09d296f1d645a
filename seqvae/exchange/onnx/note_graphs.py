"""Steps of sets of notes in operations of ONNX: no running product or maximum, no marked rows.

What goes on to sound is handed from step to step, and all slots of a step are computed: what a
slot says after the last note is blanked.

Axes: B sequences, T steps, S slots, W channels of a slot, C = S W channels, P pitches, E embedding,
H features, V vocabulary of a channel.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from seqvae.model.note_sets import NoteHeads, NoteSetEmbedding, note_slots
from seqvae.model.step_parts import NotesOverConditions


class PlainNoteSets(nn.Module):
    """The vectors of steps (B, T, C), as `NoteSetEmbedding` has them."""

    def __init__(self, embedding: NoteSetEmbedding) -> None:
        """Of its weights."""
        super().__init__()
        self.slot_size = embedding.slot_size
        self.notes, self.sounding = embedding.notes, embedding.sounding

    def step(self, tokens: Tensor, sounding: Tensor) -> tuple[Tensor, Tensor]:
        """The vector (B, E) of tokens (B, C), and how many steps each pitch sounds on (B, P)."""
        slots = note_slots(tokens, self.slot_size)
        are = (slots[..., 0] == 0).int().cumsum(-1) == 0
        pitches = one_hot(slots[..., 0], self.sounding.num_pitches)
        struck = (pitches * (slots[..., 1] * are)[..., None]).amax(1)
        sounding = torch.maximum((sounding - 1).clamp(min=0), struck)
        vectors = self.notes(slots.flatten(0, 1))
        vectors = vectors.unflatten(0, (-1, slots.shape[1]))
        return (vectors * are[..., None]).sum(1) + self.sounding(sounding), sounding

    def forward(self, ids: Tensor) -> Tensor:
        """Embed every step."""
        sounding = blank_rows(ids[:, 0], self.sounding.num_pitches)
        vectors = []
        for tokens in ids.unbind(1):
            vector, sounding = self.step(tokens, sounding)
            vectors.append(vector)
        return torch.stack(vectors, dim=1)


def blank_rows(like: Tensor, width: int) -> Tensor:
    """Zeros, of as many rows as another has when the graph runs: (B, width)."""
    return torch.zeros_like(like[:, :1]) * like.new_zeros(1, width)


def plain_embedding(embedding: nn.Module) -> nn.Module:
    """An embedding whose sets of notes are plain; others stay as they are."""
    if isinstance(embedding, NotesOverConditions):
        embedding.notes = plain_embedding(embedding.notes)  # type: ignore[assignment]  # offers the same
    return PlainNoteSets(embedding) if isinstance(embedding, NoteSetEmbedding) else embedding


def draw_notes(heads: NoteHeads, features: Tensor, draw: Callable[[Tensor, int], Tensor]) -> Tensor:
    """The tokens (B, C) of a step, note after note; `draw` takes logits (B, V) and a channel."""
    from_step = heads.from_step(features)
    below = blank_rows(features, heads.from_below.in_features)
    last = torch.zeros_like(features[:, 0], dtype=torch.long)
    goes_on = last == 0
    notes = []
    for slot in range(heads.num_slots):
        loop = heads.begin(from_step, below, last)
        tokens = [draw(heads.rising(heads.logits[0](loop), last), slot * heads.slot_size)]
        goes_on = goes_on & (tokens[0] > 0)
        for channel, head in enumerate(heads.logits[1:], start=1):
            loop = heads.go_on(loop, channel - 1, tokens[-1])
            tokens.append(draw(head(loop), slot * heads.slot_size + channel))
        note = torch.stack(tokens, dim=1) * goes_on[:, None]
        notes.append(note)
        last = note[:, 0]
        below = below + heads.notes(note) * goes_on[:, None]
    return torch.cat(notes, dim=1)
