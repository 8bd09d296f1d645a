"""Embeddings: tokens -> vectors.

Axes: B sequences, T steps, C channels, V vocabulary of a channel, M members, E embedding.

The tokens of a channel may be subsets of M members, such as the drums struck at a step: bit i of a
token stands for member i, so token 5 = 0b101 is kick and hi-hat. A subset's vector is the sum of a
vector for that subset and the vectors of its members. What is learned of a snare therefore holds
for every subset that contains one, even a subset that training never met.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import embedding

from seqvae.model.dropout import drop_types


class Members(nn.Module):
    """Adds the vectors of its members to the vector of each subset."""

    def __init__(self, num_members: int, dim: int, std: float) -> None:
        """`std` is the initial standard deviation of the members' vectors."""
        super().__init__()
        self.vectors = nn.Parameter(nn.init.normal_(torch.empty(num_members, dim), std=std))
        self.membership: Tensor
        # On the CPU, even of a model on the meta device, where arithmetic loads torch's compiler.
        members = torch.arange(num_members, device="cpu")
        subsets = torch.arange(2**num_members, device="cpu")[:, None] >> members & 1
        self.register_buffer("membership", subsets.float(), persistent=False)

    def forward(self, weight: Float[Tensor, "V E"]) -> Float[Tensor, "V E"]:
        """Complete vectors of all subsets, from the vectors that no two subsets share."""
        return weight + self.membership @ self.vectors


def members_of(num_members: int, dim: int, std: float) -> nn.Module:
    """`Members`, or the identity where `num_members` is 0: tokens are not subsets."""
    return Members(num_members, dim, std) if num_members else nn.Identity()


class TokenEmbedding(nn.Embedding):
    """A vector for each token of a channel."""

    def __init__(
        self,
        vocab_size: int,
        dim: int,
        num_members: int = 0,
        *,
        std: float = 1.0,
        type_dropout: float = 0.0,
    ) -> None:
        """`std` is initial; training embeds a type as 0 with probability `type_dropout`."""
        super().__init__(vocab_size, dim)
        nn.init.normal_(self.weight, std=std)
        self.members = members_of(num_members, dim, 3 * std)
        self.type_dropout = type_dropout

    def vectors(self) -> Float[Tensor, "V E"]:
        """The vectors of all tokens, those of their members included."""
        vectors: Tensor = self.members(self.weight)
        return vectors

    def seen(self) -> Float[Tensor, "V E"]:
        """The same, in training without the types that are dropped."""
        vectors = self.vectors()
        if self.training and self.type_dropout > 0:
            return drop_types(vectors, self.type_dropout)
        return vectors

    def forward(self, ids: Int[Tensor, "*B"]) -> Float[Tensor, "*B E"]:
        """Look tokens up."""
        return embedding(ids, self.seen())


class StepEmbedding(nn.Module):
    """One vector per step: the sum of the embeddings of its channels' tokens."""

    def __init__(
        self,
        vocab_sizes: tuple[int, ...],
        embedding_dim: int,
        num_members: tuple[int, ...] = (),
        type_dropout: float = 0.0,
    ) -> None:
        """In training each token type embeds as 0 with probability `type_dropout`."""
        super().__init__()
        self.channels = nn.ModuleList(
            TokenEmbedding(size, embedding_dim, members, std=0.1, type_dropout=type_dropout)
            for size, members in zip(
                vocab_sizes, num_members or (0,) * len(vocab_sizes), strict=True
            )
        )

    def forward(self, ids: Int[Tensor, "B T C"]) -> Float[Tensor, "B T E"]:
        """Embed every step."""
        vectors = [table(ids[..., channel]) for channel, table in enumerate(self.channels)]
        return torch.stack(vectors).sum(0) if len(vectors) > 1 else vectors[0]
