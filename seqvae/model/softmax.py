"""Softmaxes: features -> a distribution over one vocabulary, and its negative log-likelihood.

Axes: B sequences, T steps, N sequences and steps flattened, V vocabulary, H features, K components.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from seqvae.model.embedding import TokenEmbedding, members_of

Logits: TypeAlias = Callable[[Tensor], Tensor]  # of features (*B, H): (*B, V)
MAX_LOGITS = 2**21  # held at a time where no gradient is needed: 8 MiB


class _SoftmaxNLL(torch.autograd.Function):
    """-log softmax(x W' + b)[token], with one pass over the vocabulary for value and gradient.

    The gradient d nll / d logits = softmax - onehot(token) is computed in the forward pass and kept
    in the precision of autocast. On a CPU, autograd takes three times as long for the same.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, tokens: Tensor
    ) -> Float[Tensor, " N"]:
        kind = hidden.device.type
        autocast = torch.is_autocast_enabled(kind)
        dtype = torch.get_autocast_dtype(kind) if autocast else weight.dtype
        x, w = hidden.to(dtype), weight.to(dtype)
        # On a GPU autocast makes softmax float32; the products below need a single type.
        gradient = linear(x, w, bias.to(dtype)).softmax(-1).to(dtype)
        index = torch.arange(len(tokens), device=tokens.device)
        probability = gradient[index, tokens]
        gradient[index, tokens] = probability - 1
        ctx.save_for_backward(x, w, gradient)
        ctx.dtypes = hidden.dtype, weight.dtype
        # The value is capped at 87 nats, the smallest normal number; the gradient is not.
        probability = probability.to(weight.dtype)
        return -probability.clamp(min=torch.finfo(weight.dtype).tiny).log()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, w, gradient = ctx.saved_tensors
        hidden_dtype, weight_dtype = ctx.dtypes
        scale = upstream[:, None].to(gradient.dtype)
        for_hidden = (gradient @ w * scale).to(hidden_dtype)
        for_weight = (gradient.t() @ (x * scale)).to(weight_dtype)
        for_bias = (scale.t() @ gradient)[0].to(weight_dtype)
        return for_hidden, for_weight, for_bias, None


class Softmax(nn.Linear):
    """Logits as a linear function of the features."""

    def __init__(self, hidden_dim: int, vocab_size: int, num_members: int = 0) -> None:
        """Weights of tokens that are subsets include the weights of their members."""
        super().__init__(hidden_dim, vocab_size)
        self.members = members_of(num_members, hidden_dim, hidden_dim**-0.5)

    def tie(self, embedding: TokenEmbedding) -> None:
        """Share the output weights, (V, H)."""
        self.weight, self.members = embedding.weight, embedding.members

    def output_weight(self) -> Float[Tensor, "V H"]:
        """The weights of all tokens, those of their members included."""
        weight: Tensor = self.members(self.weight)
        return weight

    def forward(self, hidden: Float[Tensor, "*B H"]) -> Float[Tensor, "*B V"]:
        """W hidden + b."""
        return linear(hidden, self.output_weight(), self.bias)

    def prepared(self) -> Logits:
        """The same, with the weights of all tokens made once."""
        # In memory they are (H, V), which is faster for few rows.
        weight = self.output_weight().t().contiguous().t()
        return partial(linear, weight=weight, bias=self.bias)

    def nll(self, hidden: Float[Tensor, "B T H"], tokens: Int[Tensor, "B T"]) -> Tensor:
        """-log p(token) at each step, in nats: (B, T)."""
        if not torch.is_grad_enabled():
            return _sliced_nll(self, hidden, tokens, MAX_LOGITS // self.out_features)
        flat: Tensor = _SoftmaxNLL.apply(  # type: ignore[no-untyped-call]  # of torch
            hidden.flatten(0, 1), self.output_weight(), self.bias, tokens.flatten()
        )
        return flat.view(tokens.shape)


class SoftmaxMixture(nn.Module):
    """A mixture of softmaxes: log-probabilities of a higher rank than H (Yang et al. 2018)."""

    def __init__(
        self, hidden_dim: int, vocab_size: int, num_softmaxes: int, num_members: int = 0
    ) -> None:
        """The components share the output weights."""
        super().__init__()
        self.num_softmaxes = num_softmaxes
        self.contexts = nn.Linear(hidden_dim, num_softmaxes * hidden_dim)
        self.priors = nn.Linear(hidden_dim, num_softmaxes)
        self.output = Softmax(hidden_dim, vocab_size, num_members)

    def tie(self, embedding: TokenEmbedding) -> None:
        """Share the output weights, (V, H)."""
        self.output.tie(embedding)

    def forward(self, hidden: Float[Tensor, "*B H"]) -> Float[Tensor, "*B V"]:
        """Log sum_k pi_k softmax(W tanh(P_k hidden)): normalised, so they are logits too."""
        return self._mixed(hidden, self.output)

    def prepared(self) -> Logits:
        """The same, with the weights of all tokens made once."""
        return partial(self._mixed, output=self.output.prepared())

    def _mixed(self, hidden: Float[Tensor, "*B H"], output: Logits) -> Float[Tensor, "*B V"]:
        contexts = torch.tanh(self.contexts(hidden))
        contexts = torch.unflatten(contexts, -1, (self.num_softmaxes, -1))  # (*B, K, H)
        components = in_float32(output(contexts)).log_softmax(-1)  # (*B, K, V)
        priors = in_float32(self.priors(hidden)).log_softmax(-1)  # (*B, K)
        return torch.logsumexp(components + priors[..., None], dim=-2)

    def nll(self, hidden: Float[Tensor, "B T H"], tokens: Int[Tensor, "B T"]) -> Tensor:
        """-log p(token) at each step, in nats: (B, T)."""
        if not torch.is_grad_enabled():
            num_logits = self.num_softmaxes * self.output.out_features
            return _sliced_nll(self, hidden, tokens, MAX_LOGITS // num_logits)
        return negative_log_probability(self(hidden), tokens)


def _sliced_nll(
    head: nn.Module, hidden: Float[Tensor, "B T H"], tokens: Int[Tensor, "B T"], num_rows: int
) -> Float[Tensor, "B T"]:
    """-log p(token) at each step, a few at a time: memory is bounded, and a CPU is faster."""
    slices = zip(
        torch.split(hidden.flatten(0, 1), max(1, num_rows)),
        torch.split(tokens.flatten(), max(1, num_rows)),
        strict=True,
    )
    return torch.cat([_nll_in_place(in_float32(head(x)), y) for x, y in slices]).view(tokens.shape)


def _nll_in_place(logits: Float[Tensor, "N V"], tokens: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
    """-log softmax(logits)[token]; overwrites the logits. Twice as fast as cross_entropy."""
    top = logits.amax(-1, keepdim=True)
    target = logits.gather(1, tokens[:, None]) - top
    return logits.sub_(top).exp_().sum(-1).log() - target[:, 0]


def negative_log_probability(
    logits: Float[Tensor, "B T V"], tokens: Int[Tensor, "B T"]
) -> Float[Tensor, "B T"]:
    """-log softmax(logits)[token], in nats."""
    flat = cross_entropy(in_float32(logits).flatten(0, 1), tokens.flatten(), reduction="none")
    return flat.view(tokens.shape)


def in_float32(x: Tensor) -> Tensor:
    """The same numbers in float32, or in float64 where they were."""
    return x if x.dtype == torch.float64 else x.float()
