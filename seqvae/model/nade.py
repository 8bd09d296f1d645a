"""NADE: a distribution over subsets, one member after the other (Larochelle & Murray 2011).

Whether a member is in the subset is decided given the members before it: with a = features A + the
vectors of those that are in, its logit is b + sigmoid(a) w. Bit i of a token stands for member i.
MusicVAE's models of drums have such an output.

Axes: B sequences, T steps, V = 2^M subsets, M members, D hidden units, H features.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from seqvae.model.softmax import Logits


class Nade(nn.Module):
    """Logits of all subsets, which are log-probabilities: they need no normalisation."""

    def __init__(self, hidden_dim: int, num_members: int, nade_dim: int) -> None:
        """`nade_dim` is D."""
        super().__init__()
        self.num_members, self.nade_dim = num_members, nade_dim
        self.out_features = 2**num_members
        self.biases = nn.Linear(hidden_dim, nade_dim + num_members)
        self.vectors = nn.Parameter(nn.init.normal_(torch.empty(num_members, nade_dim), std=0.1))
        self.weights = nn.Parameter(nn.init.normal_(torch.empty(num_members, nade_dim), std=0.1))

    def logits(self, hidden: Float[Tensor, "*B H"]) -> Tensor:
        """Log p of all subsets, (*B, V): those without member i stand before those with it."""
        units, bias = self._begin(hidden)
        units, logits = units[..., None, :], bias[..., :1] * 0.0
        for member in range(self.num_members):
            one = bias[..., member, None] + units.sigmoid() @ self.weights[member]
            logits = torch.cat([logits + logsigmoid(-one), logits + logsigmoid(one)], dim=-1)
            units = torch.cat([units, units + self.vectors[member]], dim=-2)
        return logits

    def forward(self, hidden: Float[Tensor, "*B H"]) -> Tensor:
        """The same."""
        return self.logits(hidden)

    def prepared(self) -> Logits:
        """The same, as of other heads; there is nothing to be made once."""
        return self.logits

    def mode(self, hidden: Float[Tensor, "B H"]) -> Int[Tensor, " B"]:
        """The subset of members that are each more likely in than out, given those before it.

        It is what MusicVAE writes, and not always the most probable subset.
        """
        units, bias = self._begin(hidden)
        token = torch.zeros(hidden.shape[0], dtype=torch.long, device=hidden.device)
        for member in range(self.num_members):
            is_in = bias[:, member] + units.sigmoid() @ self.weights[member] >= 0
            units = units + is_in[:, None] * self.vectors[member]
            token = token + (is_in.long() << member)
        return token

    def nll(self, hidden: Float[Tensor, "B T H"], tokens: Int[Tensor, "B T"]) -> Tensor:
        """-log p(token) at each step, in nats: (B, T)."""
        units, bias = self._begin(hidden)
        members = torch.arange(self.num_members, device=tokens.device)
        bits = (tokens[..., None] >> members & 1).to(bias.dtype)  # (B, T, M)
        added = bits[..., None] * self.vectors
        before = added.cumsum(-2) - added
        one = bias + ((units[..., None, :] + before).sigmoid() * self.weights).sum(-1)
        return (softplus(one) - bits * one).sum(-1)

    def _begin(self, hidden: Float[Tensor, "*B H"]) -> tuple[Tensor, Tensor]:
        """The hidden units before any member, (*B, D), and the members' biases, (*B, M)."""
        units, bias = self.biases(hidden).split([self.nade_dim, self.num_members], dim=-1)
        return units, bias
