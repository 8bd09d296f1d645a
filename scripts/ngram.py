"""A small n-gram model of tokens, to judge the output of a network by something that is not one.

Witten-Bell smoothing (Witten & Bell 1991; Chen & Goodman 1999, sec. 2.6): a context that occurred N
times, followed by T different tokens, leaves T / (N + T) to the next shorter context. Below the
empty context all tokens are equally likely.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

Tokens = Sequence[int]


class NGram:
    """Probabilities of a token given the `order - 1` before it."""

    def __init__(self, sequences: Iterable[Tokens], num_tokens: int, order: int = 5) -> None:
        """Count all contexts of up to `order - 1` tokens."""
        self.order, self.num_tokens = order, num_tokens
        self.counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for sequence in sequences:
            for place, token in enumerate(sequence):
                for length in range(min(order, place + 1)):
                    self.counts[tuple(sequence[place - length : place])][token] += 1

    def nats(self, sequence: Tokens) -> float:
        """-log p of a sequence, in nats per token."""
        return sum(self.nats_of_each(sequence)) / max(len(sequence), 1)

    def nats_of_each(self, sequence: Tokens) -> list[float]:
        """-log p of each token of a sequence, given those before it."""
        contexts = (tuple(sequence[max(0, i - self.order + 1) : i]) for i in range(len(sequence)))
        return [
            -math.log(self.probability(token, context))
            for token, context in zip(sequence, contexts, strict=True)
        ]

    def probability(self, token: int, context: tuple[int, ...]) -> float:
        """Probability of a token after a context."""
        shorter = self.probability(token, context[1:]) if context else 1 / self.num_tokens
        counts = self.counts.get(context)
        if not counts:
            return shorter
        total, kinds = counts.total(), len(counts)
        return (counts[token] + kinds * shorter) / (total + kinds)
