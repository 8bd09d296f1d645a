"""A decoder one step at a time, by plain products and tables that are made once per weights.

What a token adds to the gates of the first LSTM layer is a row of a table: its embedding times the
input weights. What the code adds is the same at every step of a segment. So a step of one layer is
two lookups, one product with the recurrent weights and the gates' arithmetic. `nn.LSTM` would pack
its weights again at each step.

Axes: B sequences, C channels, K conditions, V vocabulary, E embedding, L layers, H hidden, S width
of a code, W features, P pitches, G = 4 H gates in the order input, forget, output, candidate.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear

from seqvae.model.decoder import FlatDecoder
from seqvae.model.decoding import Draw
from seqvae.model.embedding import StepEmbedding
from seqvae.model.heads import ChannelHeads
from seqvae.model.nade import Nade
from seqvae.model.note_sets import NoteHeads, NoteSetEmbedding
from seqvae.model.note_tables import NoteHeadTables, NoteInputTables

HAS_BF16 = torch.backends.mkldnn.enabled and torch.ops.mkldnn._is_mkldnn_bf16_supported()
# FBGEMM multiplies float32 rows by weights in float16, and adds up in float32.
HAS_HALF_WEIGHTS = torch.backends.quantized.engine in ("x86", "fbgemm")
CACHE = 5 * 2**18  # bytes of weights that a core's cache holds from step to step
MAX_HALF_ROWS = 16  # with more rows the arithmetic counts, not the way of the weights to the core
MAX_TABLE_ROWS = 1024  # above, a product of one embedding costs less than a table of them all


class StepState:
    """Where the LSTM is, with room for its arithmetic. A step changes it in place."""

    def __init__(
        self,
        hidden: Float[Tensor, "B L H"],
        cell: Float[Tensor, "B L H"],
        from_code: Float[Tensor, "B G"],
        skip: Float[Tensor, "B W"] | None,
        sounding: Int[Tensor, "B P"] | None = None,
    ) -> None:
        """`from_code` goes into the gates of the first layer, `skip` into the features.

        `sounding` says for how many steps each pitch goes on to sound, where steps hold notes.
        """
        # Without a code both begin as the same zeros, and each is written to.
        self.hidden = hidden.clone(memory_format=torch.contiguous_format)
        self.cell = cell.contiguous()
        self.from_code, self.skip = from_code.contiguous(), skip
        self.sounding = sounding
        size = hidden.shape[2]
        self.gates = hidden.new_empty(len(hidden), 4 * size)
        # Views are made once: at a batch of one each costs as much as the arithmetic.
        self.sigmoids, self.candidate = self.gates[:, : 3 * size], self.gates[:, 3 * size :]
        self.let_in, self.forget, self.let_out = self.sigmoids.chunk(3, dim=1)
        self.outputs, self.cells = self.hidden.unbind(1), self.cell.unbind(1)
        flat = self.hidden.flatten(1)
        self.pairs = [flat[:, i * size : (i + 2) * size] for i in range(hidden.shape[1] - 1)]
        """For each layer but the first: the output of the layer below, then its own, (B, 2 H)."""

    def keep(self, rows: Int[Tensor, " R"]) -> "StepState":
        """Go on with these rows alone."""
        skip = None if self.skip is None else self.skip[rows]
        sounding = None if self.sounding is None else self.sounding[rows]
        return StepState(self.hidden[rows], self.cell[rows], self.from_code[rows], skip, sounding)

    def copy_(self, other: "StepState") -> "StepState":
        """Take the values of another state of as many rows; notes sound on between segments."""
        self.hidden.copy_(other.hidden)
        self.cell.copy_(other.cell)
        self.from_code.copy_(other.from_code)
        if self.skip is not None:
            self.skip.copy_(other.skip)  # type: ignore[arg-type]  # both have one, or neither
        return self


class Product:
    """x -> addend + W x."""

    def __init__(self, weight: Float[Tensor, "G K"], precision: torch.dtype | None) -> None:
        """Made in this precision; None is that of the weights."""
        self.precision = precision
        self.half: Any = None
        # With weights (K, G), exact products of few rows are faster.
        self.weight = weight.t().contiguous() if precision is None else weight.to(precision)
        # On a CPU, rough products are faster with weights in the layout that oneDNN chooses.
        self.packed = self.weight.is_cpu and precision is torch.bfloat16 and HAS_BF16
        if self.packed:
            self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight)

    def halve(self) -> None:
        """For few rows keep the weights in float16, too, where that holds them exactly.

        Bundles in float16 have such weights. Most of a step's time is the weights' way to the core,
        and half of the bytes take half of it.
        """
        weight = self.weight.t().contiguous()
        if torch.equal(weight.half().float(), weight):
            self.half = torch.ops.quantized.linear_prepack_fp16(weight, None)

    def __call__(
        self, addend: Float[Tensor, "*#B G"], x: Float[Tensor, "B K"], out: Float[Tensor, "B G"]
    ) -> None:
        """Write the sum to `out`, which may be the addend."""
        if self.half is not None and len(x) <= MAX_HALF_ROWS:
            torch.add(addend, torch.ops.quantized.linear_dynamic_fp16(x, self.half), out=out)
            return
        if self.precision is None:
            torch.addmm(addend, x, self.weight, out=out)
            return
        x = x.to(self.precision)
        if self.packed:
            product = torch.ops.mkldnn._linear_pointwise(x, self.weight, None, "none", [], "")
        else:
            product = linear(x, self.weight)
        torch.add(addend, product, out=out)


class Layer:
    """An LSTM layer, one step at a time."""

    def __init__(self, lstm: nn.Module, number: int, precision: torch.dtype | None) -> None:
        """Made of the weights of one `nn.LSTM` layer; layers are numbered from below."""
        self.number = number
        weights = {name: _reordered(weight) for name, weight in lstm.named_parameters()}
        self.input_weight, own = weights["weight_ih_l0"], weights["weight_hh_l0"]
        self.bias = weights["bias_ih_l0"] + weights["bias_hh_l0"]
        read = own if number == 0 else torch.cat([self.input_weight, own], dim=1)
        self.product = Product(read, precision)

    def step(self, state: StepState) -> None:
        """Go one step on. The first layer finds its input's share in `state.gates`."""
        hidden, cell = state.outputs[self.number], state.cells[self.number]
        if self.number == 0:
            self.product(state.gates, hidden, state.gates)
        else:
            self.product(self.bias, state.pairs[self.number - 1], state.gates)
        state.sigmoids.sigmoid_()
        state.candidate.tanh_()
        cell.mul_(state.forget).addcmul_(state.let_in, state.candidate)
        torch.tanh(cell, out=hidden)
        hidden.mul_(state.let_out)


class InputTables:
    """What the tokens of a step add to the gates of the first layer."""

    def __init__(self, embedding: StepEmbedding, weight: Float[Tensor, "G E"]) -> None:
        """`weight` is the part of the input weights that reads the embedding."""
        vectors = [channel.vectors() for channel in embedding.channels]  # type: ignore[operator]  # of a list
        self.weight = weight if sum(map(len, vectors)) > MAX_TABLE_ROWS else None
        self.tables = vectors if self.weight is not None else [v @ weight.t() for v in vectors]

    def __call__(self, ids: Int[Tensor, "B C"]) -> Float[Tensor, "B G"]:
        """Look the tokens up, and add what is found."""
        total = self.tables[0].index_select(0, ids[:, 0])
        for channel, table in enumerate(self.tables[1:], start=1):
            total = total + table.index_select(0, ids[:, channel])
        return total if self.weight is None else linear(total, self.weight)


class HeadTables:
    """The heads of a step, with the output weights of all tokens at hand."""

    def __init__(self, heads: ChannelHeads) -> None:
        """Made of weights as they are."""
        self.logits = [head.prepared() for head in heads.logits]  # type: ignore[operator]  # of a list
        self.modes = [head.mode if isinstance(head, Nade) else None for head in heads.logits]
        self.mixers = []
        for embedding, mixer in zip(heads.embeddings, heads.mixers, strict=True):
            weight, bias = mixer.parameters()
            from_features, from_token = weight.chunk(2, dim=1)
            table = linear(embedding.vectors(), from_token, bias)  # type: ignore[operator]  # of a list
            self.mixers.append((from_features, table))

    def draw(self, features: Float[Tensor, "B W"], draw: Draw) -> Int[Tensor, "B C"]:
        """Draw the channels of a step in order, each given the ones before it."""
        tokens: list[Tensor] = []
        for channel, logits_of in enumerate(self.logits):
            if channel > 0:
                from_features, table = self.mixers[channel - 1]
                token = table.index_select(0, tokens[-1])
                features = features + torch.addmm(token, features, from_features.t()).tanh()
            mode_of = self.modes[channel]
            mode = () if mode_of is None else (mode_of(features),)
            tokens.append(draw(logits_of(features), channel, *mode))
        return torch.stack(tokens, dim=1) if len(tokens) > 1 else tokens[0][:, None]


def input_tables(
    embedding: StepEmbedding | NoteSetEmbedding, weight: Float[Tensor, "G E"]
) -> InputTables | NoteInputTables:
    """The tables of an embedding."""
    if isinstance(embedding, NoteSetEmbedding):
        return NoteInputTables(embedding, weight)
    return InputTables(embedding, weight)


def head_tables(heads: ChannelHeads | NoteHeads) -> HeadTables | NoteHeadTables:
    """The tables of heads."""
    return NoteHeadTables(heads) if isinstance(heads, NoteHeads) else HeadTables(heads)


class Stepper:
    """The free-running half of a decoder, as `decoding` needs it. Made of weights as they are."""

    @torch.no_grad()
    def __init__(self, decoder: FlatDecoder, precision: torch.dtype | None = None) -> None:
        """`precision` is that of the LSTM's products, most of the work; None is the weights'."""
        self.decoder = decoder
        self.segment_length = decoder.segment_length
        self.layers = [Layer(lstm, i, precision) for i, lstm in enumerate(decoder.layers)]
        if precision is None and decoder.start.is_cpu and decoder.start.dtype == torch.float32:
            self._halve()
        weight, embedding_dim = self.layers[0].input_weight, len(decoder.start)
        from_embedding, self.from_code = weight[:, :embedding_dim], weight[:, embedding_dim:]
        self.start = linear(decoder.start, from_embedding)
        self.tokens = input_tables(decoder.embedding, from_embedding)
        self.conditions = (
            None if decoder.conditions is None else InputTables(decoder.conditions, from_embedding)
        )
        self.heads = head_tables(decoder.heads)
        self.project = None if isinstance(decoder.project, nn.Identity) else decoder.project

    def _halve(self) -> None:
        """Keep the layers' weights in float16, too, if they are more than a core's cache holds."""
        if HAS_HALF_WEIGHTS and sum(layer.product.weight.nbytes for layer in self.layers) > CACHE:
            for layer in self.layers:
                layer.product.halve()

    def codes(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B U S"]:
        """The code of each segment."""
        return self.decoder.codes(z)

    def begin(self, code: Float[Tensor, "B S"]) -> StepState:
        """The state before the first step of a segment."""
        decoder, first = self.decoder, self.layers[0]
        state = decoder.begin(code)
        gates = first.bias.expand(len(code), -1)
        if decoder.code_beside_input:
            gates = gates + linear(code, self.from_code)
        skip = None if decoder.skip is None else decoder.skip(code)
        sounding = (
            self.tokens.silence(len(code)) if isinstance(self.tokens, NoteInputTables) else None
        )
        hidden, cell = state.hidden.transpose(0, 1), state.cell.transpose(0, 1)
        return StepState(hidden, cell, gates, skip, sounding)

    def step(
        self,
        tokens: Int[Tensor, "B C"] | None,
        conditions: Int[Tensor, "B K"] | None,
        state: StepState,
    ) -> Float[Tensor, "B W"]:
        """What the heads read after the tokens of the step before; None before the first step."""
        inputs = self.start if tokens is None else self._from_tokens(tokens, state)
        if self.conditions is not None:
            assert conditions is not None
            inputs = inputs + self.conditions(conditions)
        torch.add(state.from_code, inputs, out=state.gates)
        for layer in self.layers:
            layer.step(state)
        features: Tensor = state.outputs[-1]
        if self.project is not None:
            features = self.project(features)
        return features if state.skip is None else features + state.skip

    def _from_tokens(self, tokens: Int[Tensor, "B C"], state: StepState) -> Tensor:
        """What the tokens of the step before add to the gates, (B, G)."""
        if isinstance(self.tokens, NoteInputTables):
            assert state.sounding is not None
            return self.tokens(tokens, state.sounding)
        return self.tokens(tokens)

    def draw(self, features: Float[Tensor, "B W"], draw: Draw) -> Int[Tensor, "B C"]:
        """Draw the tokens of a step."""
        return self.heads.draw(features, draw)


def _reordered(weight: Tensor) -> Tensor:
    """Rows (G, ...) in our order of gates: torch has the candidate before the output gate."""
    let_in, forget, candidate, out = weight.chunk(4)
    return torch.cat([let_in, forget, out, candidate])
