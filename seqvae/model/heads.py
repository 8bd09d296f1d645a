"""Heads: a decoder's features -> a distribution over the tokens of each channel.

Axes: B sequences, T steps, C channels, V vocabulary of a channel, H features.

The channels of a step are predicted in order, each conditioned on the ones before it, so the
likelihood of a step is exact (chain rule).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqvae.model.embedding import TokenEmbedding
from seqvae.model.nade import Nade
from seqvae.model.softmax import Softmax, SoftmaxMixture


def make_softmax(
    hidden_dim: int, vocab_size: int, num_softmaxes: int, num_members: int = 0, nade_dim: int = 0
) -> Softmax | SoftmaxMixture | Nade:
    """One softmax, or a mixture of several, or a NADE where tokens are subsets."""
    if nade_dim and num_members:
        return Nade(hidden_dim, num_members, nade_dim)
    if num_softmaxes == 1:
        return Softmax(hidden_dim, vocab_size, num_members)
    return SoftmaxMixture(hidden_dim, vocab_size, num_softmaxes, num_members)


class ChannelHeads(nn.Module):
    """Distributions of a step's channels, each conditioned on the channels before it."""

    def __init__(
        self,
        vocab_sizes: tuple[int, ...],
        hidden_dim: int,
        num_softmaxes: int,
        num_members: tuple[int, ...] = (),
        nade_dim: int = 0,
    ) -> None:
        """Each channel has one softmax, or a mixture of `num_softmaxes`, or a NADE."""
        super().__init__()
        channels = list(zip(vocab_sizes, num_members or (0,) * len(vocab_sizes), strict=True))
        self.logits = nn.ModuleList(
            make_softmax(hidden_dim, size, num_softmaxes, members, nade_dim)
            for size, members in channels
        )
        self.embeddings = nn.ModuleList(
            TokenEmbedding(size, hidden_dim, members) for size, members in channels[:-1]
        )
        self.mixers = nn.ModuleList(nn.Linear(2 * hidden_dim, hidden_dim) for _ in channels[:-1])

    def condition(
        self, hidden: Float[Tensor, "*B H"], channel: int, tokens: Int[Tensor, "*B"]
    ) -> Float[Tensor, "*B H"]:
        """Features for the next channel, given the token of this one; the last has no next."""
        if channel + 1 == len(self.logits):
            return hidden
        token = self.embeddings[channel](tokens).to(hidden.dtype)
        return hidden + torch.tanh(self.mixers[channel](torch.cat([hidden, token], dim=-1)))

    def forward(
        self, hidden: Float[Tensor, "B T H"], ids: Int[Tensor, "B T C"]
    ) -> list[Float[Tensor, "B T _"]]:
        """Logits of all channels under teacher forcing."""
        logits = []
        for channel, head in enumerate(self.logits):
            logits.append(head(hidden))
            hidden = self.condition(hidden, channel, ids[..., channel])
        return logits

    def nll(self, hidden: Float[Tensor, "B T H"], ids: Int[Tensor, "B T C"]) -> Tensor:
        """-log p(step) summed over its channels, in nats: (B, T)."""
        nll = []
        for channel, head in enumerate(self.logits):
            nll.append(head.nll(hidden, ids[..., channel]))  # type: ignore[operator]  # of a list
            hidden = self.condition(hidden, channel, ids[..., channel])
        return torch.stack(nll).sum(0)
