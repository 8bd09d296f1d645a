"""Outputs while they are decoded: the bars of a clip, the words of a text.

A tokenizer decodes the first steps of a sequence as it does all of them. What it makes of them is
final, but for notes that end where these steps do: those may be held on. So a bar is complete once
every note that begins in it has ended, and a word once a space follows.

Axes: B sequences, T steps, C channels, K conditions.
"""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from seqvae.inference.clips import in_style_of
from seqvae.music.notes import Piece, bar_length
from seqvae.tokenizers.contract import Example, Ids, MusicTokenizer, TextTokenizer


class Drawn:
    """The steps of several sequences. Each is drawn when it is first asked for."""

    def __init__(self, steps: Iterator[Int[Tensor, "B _"]], eos_id: int | None) -> None:
        """`steps` are those of `SequenceVAE.stream`."""
        self.source, self.eos_id = steps, eos_id
        self.steps: list[NDArray[np.int64]] = []

    def row(self, number: int) -> Iterator[NDArray[np.int64]]:
        """The steps (C + K,) of one sequence, its end token included."""
        for step in itertools.count():
            if step == len(self.steps):
                following = next(self.source, None)
                if following is None:
                    return
                self.steps.append(following.cpu().numpy())
            tokens = self.steps[step][number]
            yield tokens
            if tokens[0] == self.eos_id:
                return


def prefixes(steps: Iterator[NDArray[np.int64]], max_steps: int) -> Iterator[Ids]:
    """The first step, the first two, and so on: views (1, C + K), (2, C + K), ..."""
    ids = np.empty((max_steps, 0), np.int64)
    for number, tokens in enumerate(steps):
        if number == 0:
            ids = np.empty((max_steps, len(tokens)), np.int64)
        ids[number] = tokens
        yield ids[: number + 1]


def words(tokenizer: TextTokenizer, steps: Iterator[NDArray[np.int64]]) -> Iterator[str]:
    """Each word with the space after it; joined they are the text."""
    text, said = "", 0
    for ids in prefixes(steps, tokenizer.max_steps):
        text = tokenizer.decode(ids)
        complete = text.rfind(" ") + 1
        if complete > said:
            yield text[said:complete]
            said = complete
    if text[said:]:
        yield text[said:]


def bars(
    tokenizer: MusicTokenizer, window: Example, steps: Iterator[NDArray[np.int64]]
) -> Iterator[Piece]:
    """A piece for each bar of a window, with the notes that begin in it.

    Such a note may last beyond the end of its piece.
    """

    def decoded(ids: Ids) -> Piece:
        piece = in_style_of(window, tokenizer.decode(replace(window, ids=ids)))
        return replace(piece, key=window.key)

    begin, bar = 0, None
    for ids in prefixes(steps, tokenizer.max_steps):
        bar = bar or bar_length(decoded(ids))
        reached = tokenizer.reached(ids)
        while begin + bar <= reached:
            piece = bar_of(decoded(ids), begin, bar)
            if begin + piece.notes["end"].max(initial=0) >= reached:
                break
            yield piece
            begin += bar
    assert bar is not None
    whole = decoded(ids)
    for start in range(begin, whole.num_steps, bar):
        yield bar_of(whole, start, bar)


def bar_of(piece: Piece, begin: int, length: int) -> Piece:
    """The notes that begin in a bar, counted from its start."""
    starts = piece.notes["start"]
    notes = piece.notes[(starts >= begin) & (starts < begin + length)]
    notes["start"] -= begin
    notes["end"] -= begin
    return replace(piece, notes=notes, num_steps=length)
