"""Sets of notes as the tokens of a step: their embedding, and a loop that predicts note after note.

The channels of such a step are S slots of W channels, one slot a note, from low to high. The first
channel of a slot is a pitch, where 0 means that the set is complete and what follows in the step
has no meaning; the second is the duration, whose token d stands for d + 1 steps; there may be more.
All slots share their weights. Pitches rise within a step, and the probability of other pitches is
0. So each set can be written in one way only, and its likelihood is exact by the chain rule.

Axes: B sequences, T steps, S slots, W channels of a slot, C = S W channels, M rows of a table, N
of them, P tokens of a pitch, V vocabulary, E embedding, H features.
"""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn.functional import embedding, linear, pad, relu

from seqvae.model.config import Steps
from seqvae.model.embedding import TokenEmbedding
from seqvae.model.heads import make_softmax
from seqvae.model.softmax import in_float32, negative_log_probability

ROW_BLOCK = 512
LONGEST_TOLD = 16  # steps for which a note goes on to sound; longer ones are told as so many


def note_slots(ids: Int[Tensor, "*B C"], slot_size: int) -> Int[Tensor, "*B S W"]:
    """The channels of a step, slot by slot."""
    return ids.view(*ids.shape[:-1], -1, slot_size)


def are_notes(slots: Int[Tensor, "*B S W"]) -> Bool[Tensor, "*B S"]:
    """Which slots hold a note: those before the first pitch 0."""
    return (slots[..., 0] != 0).cumprod(-1).bool()


def are_asked(notes: Bool[Tensor, "*B S"]) -> Bool[Tensor, "*B S"]:
    """Of which slots the pitch is asked: those of the notes, and the one after them."""
    return pad(notes[..., :-1], (1, 0), value=True)


class Rows:
    """Those rows of a table that matter.

    On a CPU they are picked, and as many others as make their number a multiple of `ROW_BLOCK`:
    the library of products keeps memory for each shape that it has met. On a GPU the host does not
    know how many they are, and to ask would be to wait; there all rows are taken. What is computed
    of the others is blanked at the end.
    """

    def __init__(self, mask: Bool[Tensor, " M"]) -> None:
        """`mask` marks the rows that matter."""
        self.mask = mask
        self.picked = _picked(mask) if mask.device.type == "cpu" else None

    def of(self, table: Shaped[Tensor, "M ..."]) -> Shaped[Tensor, "N ..."]:
        """The rows of a table."""
        return table if self.picked is None else table.index_select(0, self.picked)

    def of_groups(self, table: Shaped[Tensor, "G ..."]) -> Shaped[Tensor, "N ..."]:
        """The rows of a table that has one row for so many of the others: all slots of a step."""
        size = len(self.mask) // len(table)
        if self.picked is None:
            return table.repeat_interleave(size, dim=0)
        return table.index_select(0, self.picked // size)

    def spread(self, rows: Float[Tensor, "N ..."]) -> Float[Tensor, "M ..."]:
        """The rows in their places, and 0 in those that do not matter."""
        mask = self.of(self.mask).view(-1, *[1] * (rows.ndim - 1))
        rows = rows.masked_fill(~mask, 0.0)
        if self.picked is None:
            return rows
        zeros = rows.new_zeros(len(self.mask), *rows.shape[1:])
        return zeros.index_copy(0, self.picked, rows)


def _picked(mask: Bool[Tensor, " M"]) -> Int[Tensor, " N"]:
    """The numbers of the rows that are marked, then of some that are not."""
    marked, others = mask.nonzero()[:, 0], (~mask).nonzero()[:, 0]
    return torch.cat([marked, others[: -len(marked) % ROW_BLOCK]])


class Notes(nn.Module):
    """A vector for each note: relu(W (the sum of its embedded tokens) + b)."""

    def __init__(self, slot_sizes: tuple[int, ...], dim: int, type_dropout: float = 0.0) -> None:
        """`slot_sizes` are the vocabularies of the channels of a slot."""
        super().__init__()
        self.channels = nn.ModuleList(
            TokenEmbedding(size, dim, type_dropout=type_dropout) for size in slot_sizes
        )
        self.mix = nn.Linear(dim, dim)

    def tables(self) -> list[Float[Tensor, "V E"]]:
        """What each token adds before the relu; the first channel adds the bias, too."""
        vectors = [channel.seen() for channel in self.channels]  # type: ignore[operator]  # of a list
        biases = [self.mix.bias] + [None] * (len(vectors) - 1)
        return [
            in_float32(linear(vector, self.mix.weight, bias))
            for vector, bias in zip(vectors, biases, strict=True)
        ]

    def forward(self, notes: Int[Tensor, "N W"]) -> Float[Tensor, "N E"]:
        """Look notes up."""
        added = [embedding(notes[:, c], table) for c, table in enumerate(self.tables())]
        return relu(torch.stack(added).sum(0))

    def spread(self, slots: Int[Tensor, "B T S W"]) -> Float[Tensor, "B T S E"]:
        """The vector of each slot, 0 where there is no note."""
        are = are_notes(slots)
        notes = Rows(are.flatten())
        vectors = notes.spread(self(notes.of(slots.flatten(0, 2))))
        return vectors.view(*are.shape, -1)


class Sounding(nn.Module):
    """A vector of what goes on to sound after a step, pitch by pitch, and for how long."""

    def __init__(self, num_pitches: int, dim: int) -> None:
        """`num_pitches` are the tokens of a pitch."""
        super().__init__()
        self.num_pitches = num_pitches
        self.pitches = nn.Linear(2 * num_pitches, dim, bias=False)

    def struck(self, slots: Int[Tensor, "*B S W"]) -> Int[Tensor, "*B P"]:
        """For how many steps after this one each pitch sounds that is struck at it."""
        pitch, duration = slots[..., 0], slots[..., 1]
        steps = torch.where(are_notes(slots), duration, 0)
        none = steps.new_zeros(*pitch.shape[:-1], self.num_pitches)
        return none.scatter_reduce(-1, pitch, steps, "amax")

    def remaining(self, slots: Int[Tensor, "B T S W"]) -> Int[Tensor, "B T P"]:
        """For how many steps after each one each pitch sounds, whenever it was struck."""
        step = torch.arange(slots.shape[1], device=slots.device)[:, None]
        last = torch.cummax(self.struck(slots) + step, dim=1).values
        return last - step

    def forward(self, remaining: Int[Tensor, "*B P"]) -> Float[Tensor, "*B E"]:
        """One vector of all pitches."""
        told = remaining.clamp(max=LONGEST_TOLD) / LONGEST_TOLD
        planes = torch.cat([(remaining > 0).to(told.dtype), told], dim=-1)
        vector: Tensor = self.pitches(planes.to(self.pitches.weight.dtype))
        return vector


class NoteSetEmbedding(nn.Module):
    """One vector per step: the sum of its notes, and of what goes on to sound after it."""

    def __init__(self, steps: Steps, dim: int, type_dropout: float = 0.0) -> None:
        """In training each token type embeds as 0 with probability `type_dropout`."""
        super().__init__()
        self.slot_size = steps.slot_size
        self.notes = Notes(steps.slot_sizes, dim, type_dropout)
        self.sounding = Sounding(steps.slot_sizes[0], dim)

    @property
    def channels(self) -> nn.ModuleList:
        """The embeddings of the channels of a note."""
        return self.notes.channels

    def forward(self, ids: Int[Tensor, "B T C"]) -> Float[Tensor, "B T E"]:
        """Embed every step."""
        slots = note_slots(ids, self.slot_size)
        notes = self.notes.spread(slots).sum(-2)
        return notes + in_float32(self.sounding(self.sounding.remaining(slots)))


class NoteHeads(nn.Module):
    """Distributions of the notes of a step, each given those below it."""

    def __init__(self, steps: Steps, note_dim: int, hidden_dim: int, num_softmaxes: int) -> None:
        """`note_dim` is the width of a note's vector, `hidden_dim` that of the features."""
        super().__init__()
        sizes = steps.slot_sizes
        self.slot_size, self.num_slots = steps.slot_size, steps.num_slots
        self.unison = steps.unison
        self.logits = nn.ModuleList(make_softmax(hidden_dim, size, num_softmaxes) for size in sizes)
        self.notes = Notes(sizes, note_dim)
        self.from_step = nn.Linear(hidden_dim, hidden_dim)
        self.from_below = nn.Linear(note_dim, hidden_dim, bias=False)
        self.from_last = TokenEmbedding(sizes[0], hidden_dim, std=0.1)
        self.embeddings = nn.ModuleList(TokenEmbedding(n, hidden_dim, std=0.1) for n in sizes[:-1])
        self.mixers = nn.ModuleList(nn.Linear(hidden_dim, hidden_dim) for _ in sizes[:-1])

    def forward(
        self, hidden: Float[Tensor, "B T H"], ids: Int[Tensor, "B T C"]
    ) -> list[Float[Tensor, "B T _"]]:
        """Logits of all channels under teacher forcing; after the last note, 0 is certain."""
        slots = note_slots(ids, self.slot_size)
        notes = are_notes(slots)
        asked = are_asked(notes)
        from_step, below, last = self.from_step(hidden), self._below(slots), lasts(slots)
        logits = []
        for slot in range(self.num_slots):
            features = self.begin(from_step, below[:, :, slot], last[:, :, slot])
            pitches = self.rising(self.logits[0](features), last[:, :, slot])
            logits.append(_else_0(pitches, asked[:, :, slot]))
            for channel, head in enumerate(self.logits[1:]):
                features = self.go_on(features, channel, slots[:, :, slot, channel])
                logits.append(_else_0(head(features), notes[:, :, slot]))
        return logits

    def nll(self, hidden: Float[Tensor, "B T H"], ids: Int[Tensor, "B T C"]) -> Tensor:
        """-log p(step) summed over its channels, in nats: (B, T)."""
        slots = note_slots(ids, self.slot_size)
        notes = are_notes(slots)
        asked = Rows(are_asked(notes).flatten())
        is_note = Rows(asked.of(notes.flatten()))
        tokens = asked.of(slots.flatten(0, 2))
        last = asked.of(lasts(slots).flatten())
        below = asked.of(self._below(slots).flatten(0, 2))
        from_step = asked.of_groups(self.from_step(hidden).flatten(0, 1))
        features = self.begin(from_step, below, last)
        nll = _nll(self.rising(self.logits[0](features), last), tokens[:, 0])
        features, tokens = is_note.of(features), is_note.of(tokens)
        for channel, head in enumerate(self.logits[1:]):
            features = self.go_on(features, channel, tokens[:, channel])
            nll = nll + is_note.spread(_nll(head(features), tokens[:, channel + 1]))
        return asked.spread(nll).view(notes.shape).sum(-1)

    def _below(self, slots: Int[Tensor, "B T S W"]) -> Float[Tensor, "B T S E"]:
        """The sum of the notes below each slot."""
        vectors = self.notes.spread(slots)
        return pad(vectors.cumsum(2)[:, :, :-1], (0, 0, 1, 0))

    def begin(
        self,
        from_step: Float[Tensor, "*B H"],
        below: Float[Tensor, "*B E"],
        last: Int[Tensor, "*B"],
    ) -> Float[Tensor, "*B H"]:
        """Features of a pitch, given the sum of the notes below it and the last pitch of them."""
        total: Tensor = from_step + self.from_below(below) + self.from_last(last)
        return relu(total)

    def go_on(
        self, features: Float[Tensor, "*B H"], channel: int, tokens: Int[Tensor, "*B"]
    ) -> Float[Tensor, "*B H"]:
        """Features of the next channel of a note, given the token of this one."""
        return relu(self.mixers[channel](features) + self.embeddings[channel](tokens))

    def rising(self, logits: Float[Tensor, "*B P"], last: Int[Tensor, "*B"]) -> Tensor:
        """Logits of pitches with -inf at those that may not follow the last one; 0 always may."""
        pitch = torch.arange(logits.shape[-1], device=logits.device)
        lowest = last[..., None] + (0 if self.unison else 1)
        return logits.masked_fill((pitch < lowest) & (pitch > 0), -torch.inf)


def lasts(slots: Int[Tensor, "B T S W"]) -> Int[Tensor, "B T S"]:
    """The pitch below each slot, 0 below the first."""
    return pad(slots[:, :, :-1, 0], (1, 0))


def _else_0(logits: Float[Tensor, "B T V"], is_free: Bool[Tensor, "B T"]) -> Tensor:
    """Logits (B, T, V) by which token 0 is certain where nothing is to be chosen."""
    is_token = torch.arange(logits.shape[-1], device=logits.device) > 0
    return logits.masked_fill(~is_free[..., None] & is_token, -torch.inf)


def _nll(logits: Float[Tensor, "N V"], tokens: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
    return negative_log_probability(logits[None], tokens[None])[0]
