"""Import: the weights of a MusicVAE as those of a `SequenceVAE`.

The networks are the same function, laid out differently. A vector that Magenta reads beside another
is a set of columns of an embedding here. Several decoders, as a trio has, become one with as many
units as they have together, which hear their own alone. What one of them has less units of than
another is filled up with units that stay 0.

Axes: E embedding, H hidden units of a cell, N those of all decoders, L layers, S width of a code.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqvae.errors import InputError
from seqvae.exchange.magenta.cells import Array, Cell, Layer
from seqvae.exchange.magenta.converters import Converter, converter_of
from seqvae.exchange.magenta.files import Checkpoint, door_of
from seqvae.model.config import ModelConfig
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers.contract import MusicTokenizer
from seqvae.tokenizers.kits import NUM_CLASSES

CELL = "multi_rnn_cell/cell_{}/lstm_cell"
CONDUCTOR = "decoder/hierarchical_level_0/cell_{}/lstm_cell"
CONDUCTOR_STATE = "decoder/hierarchical_level_0/initial_state"
DIRECTIONS = {"fw": ("forward_layers", ""), "bw": ("backward_layers", "_reverse")}

logger = logging.getLogger(__name__)

State = dict[str, Tensor]


def read_model(folder: Path, checkpoint: Checkpoint) -> tuple[SequenceVAE, MusicTokenizer]:
    """The model of a checkpoint, and the tokenizer that goes with it.

    Raises:
        InputError: seqvae has no such model, or weights are missing or of other shapes.
    """
    with door_of(folder):
        for name in checkpoint.weights:
            if name.startswith("control_preprocessing"):
                raise InputError(f"{folder}: it preprocesses its controls, which seqvae does not")
        converter = converter_of(checkpoint.spec)
        layout = Layout(checkpoint.weights, converter)
        model = SequenceVAE(layout.config(), converter.tokenizer.steps)
        state = layout.decoder() | (layout.encoder() if layout.has_encoder else {})
        if layout.has_encoder and "encoder/sigma/kernel" not in checkpoint.weights:
            logger.warning("no encoder/sigma: nothing that needs the posterior's spread means much")
        fill(model, state)
        if not all(weight.isfinite().all() for weight in state.values()):
            raise ValueError("a weight is not finite")
    if not layout.has_encoder:
        logger.warning("there is no encoder: the model decodes and samples, and reads no input")
    return model.eval(), converter.tokenizer


@torch.no_grad()
def fill(model: SequenceVAE, state: Mapping[str, Tensor]) -> None:
    """Set all weights of a model; those that have no counterpart are 0.

    Raises:
        ValueError: a weight is not the model's, or has another shape.
    """
    parameters = dict(model.named_parameters())
    for parameter in parameters.values():
        parameter.zero_()
    for name, weight in state.items():
        if name not in parameters or parameters[name].shape != weight.shape:
            raise ValueError(f"{name} of shape {tuple(weight.shape)} is not of this model")
        parameters[name].copy_(weight)


class Layout:
    """Where the weights of a checkpoint go, by the sizes of its networks."""

    def __init__(self, weights: Mapping[str, Array], converter: Converter) -> None:
        """All sizes are read from the shapes."""
        self.weights, self.converter = weights, converter
        self.is_flat = converter.num_segments == 1
        names = [f"core_decoder_{i}/decoder" for i in range(len(converter.decoders))]
        names = names if len(names) > 1 else ["decoder" if self.is_flat else "core_decoder/decoder"]
        if len(names) > 1 and not self.is_flat:
            names = [f"core_decoder/{name}" for name in names]
        self.cells = [self._cells(f"{name}/{CELL}") for name in names]
        self.names = names
        self.num_layers = len(self.cells[0])
        self.num_units = [cells[0].num_units for cells in self.cells]
        self.first_units = np.cumsum([0, *self.num_units]).tolist()
        self.conductor = [] if self.is_flat else self._cells(CONDUCTOR)
        first = CONDUCTOR_STATE if self.conductor else f"{names[0]}/z_to_initial_state"
        self.latent_dim = len(weights[f"{first}/kernel"])
        self.code_dim = self.conductor[0].num_units if self.conductor else self.latent_dim
        self.code_room = self.code_dim + (self.code_dim % 2 if self.conductor else 0)
        """The width of a code in the model, where that of a conductor is even."""
        self.has_encoder = f"{self._reader(0, 'fw')}/kernel" in weights
        self.nade = {
            part: weights[f"{names[0]}/nade/{part}"]
            for part in ("w_enc", "w_dec_t") if f"{names[0]}/nade/{part}" in weights
        }  # fmt: skip
        widths = [tables[0].fed_back.shape[1] for tables in converter.decoders]
        self.columns = np.cumsum([0, *widths]).tolist()  # of what each decoder is fed back
        self.num_read = max(converter.read[0].shape[1], self.columns[-1])
        self.num_controls = 0 if converter.chords is None else converter.chords.shape[1]
        self.embedding_dim = self.num_read + self.num_controls

    def _cells(self, pattern: str) -> list[Cell]:
        """The cells of a stack; the number of its layers is not written anywhere."""
        count = 0
        while f"{pattern.format(count)}/kernel" in self.weights:
            count += 1
        return [Cell.read(self.weights, pattern.format(i)) for i in range(max(count, 1))]

    def _reader(self, level: int, direction: str) -> str:
        place = "encoder" if self.is_flat else f"encoder/hierarchical_level_{level}"
        return f"{place}/cell_0/bidirectional_rnn/{direction}/{CELL.format(0)}"

    def _readers(self) -> list[dict[str, Cell]]:
        """The cells of the encoder: for each level, those of both directions."""
        return [
            {way: Cell.read(self.weights, self._reader(level, way)) for way in DIRECTIONS}
            for level in range(1 if self.is_flat else 2)
        ]

    @property
    def encoder_dim(self) -> int:
        """The most hidden units of any cell of the encoder."""
        return max(cell.num_units for level in self._readers() for cell in level.values())

    def config(self) -> ModelConfig:
        """The network that holds the weights."""
        reading = {"encoder_dim": self.encoder_dim} if self.has_encoder else {"encoder_layers": 0}
        conducting = {} if self.is_flat else {
            "conductor_dim": self.code_room,
            "conductor_layers": len(self.conductor),
            "segment_length": self.converter.tokenizer.max_steps // self.converter.num_segments,
        }  # fmt: skip
        return ModelConfig(
            latent_dim=self.latent_dim,
            embedding_dim=self.embedding_dim,
            decoder="flat" if self.is_flat else "musicvae",
            decoder_dim=self.first_units[-1],
            decoder_layers=self.num_layers,
            stddev="softplus",
            nade_dim=self.nade["w_enc"].shape[-1] if self.nade else 0,
            **reading,  # type: ignore[arg-type]  # whose values are numbers
            **conducting,  # type: ignore[arg-type]  # the same
        )

    def _table(self, table: Array, first: int) -> Tensor:
        """A table in the columns of the embedding from `first`."""
        wide = np.zeros((len(table), self.embedding_dim), np.float32)
        wide[:, first : first + table.shape[1]] = table
        return torch.from_numpy(wide)

    @property
    def _control_columns(self) -> NDArray[np.int64]:
        return np.arange(self.num_read, self.embedding_dim)

    def _chords(self, name: str) -> State:
        if self.converter.chords is None:
            return {}
        return {name: self._table(self.converter.chords, self.num_read)}

    # The encoder

    def encoder(self) -> State:
        """The weights of the encoder."""
        levels, size = self._readers(), self.encoder_dim
        tables = self.converter.read
        name = "encoder.embedding.channels.{}.weight"
        state = {name.format(i): self._table(table, 0) for i, table in enumerate(tables)}
        state |= self._chords(name.format(len(tables)))
        columns = np.concatenate([np.arange(tables[0].shape[1]), self._control_columns])
        both = self._both(levels[0]["fw"].num_units)
        for way, (layers, suffix) in DIRECTIONS.items():
            reader = Layer(self.embedding_dim, size).put(levels[0][way], columns)
            if self.is_flat:
                state |= reader.tensors(f"encoder.{layers}.0")
                continue
            state |= reader.tensors("encoder.reader", f"l0{suffix}")
            overview = Layer(2 * size, size).put(levels[1][way], both)
            state |= overview.tensors("encoder.overview", f"l0{suffix}")
        return state | self._posterior(self._both(levels[-1]["fw"].num_units))

    def _both(self, num_units: int) -> NDArray[np.int64]:
        """Where the states of both directions stand, of which each may be filled up."""
        units = np.arange(num_units)
        return np.concatenate([units, self.encoder_dim + units])

    def _posterior(self, columns: NDArray[np.int64]) -> State:
        weight = np.zeros((2, self.latent_dim, 2 * self.encoder_dim), np.float32)
        bias = np.zeros((2, self.latent_dim), np.float32)
        for half, name in enumerate(("mu", "sigma")):
            if f"encoder/{name}/kernel" in self.weights or name == "mu":
                weight[half][:, columns] = self.weights[f"encoder/{name}/kernel"].T
                bias[half] = self.weights[f"encoder/{name}/bias"]
        return {
            "encoder.posterior.weight": torch.from_numpy(weight).flatten(0, 1),
            "encoder.posterior.bias": torch.from_numpy(bias).flatten(),
        }

    # The decoder

    def decoder(self) -> State:
        """The weights of the decoder."""
        state = self._chords("decoder.conditions.channels.0.weight")
        state |= self._first_layer() | self._layers_above() | self._conductor()
        channel = 0
        for i, channels in enumerate(self.converter.decoders):
            for each in channels:
                name = f"decoder.embedding.channels.{channel}.weight"
                state[name] = self._table(each.fed_back, self.columns[i])
                state |= self._head(i, channel)
                channel += 1
        begun = [self._begun(f"{name}/z_to_initial_state") for name in self.names]
        kernel, bias = (np.concatenate(parts, axis=-1) for parts in zip(*begun, strict=True))
        weight = np.zeros((*kernel.shape[1:], self.code_room), np.float32)  # (2, L, N, S)
        weight[..., : self.code_dim] = np.moveaxis(kernel, 0, -1)
        state["decoder.initial_state.weight"] = torch.from_numpy(weight).flatten(0, 2)
        state["decoder.initial_state.bias"] = torch.from_numpy(bias).flatten()
        return state

    def _begun(self, name: str) -> tuple[Array, Array]:
        """What a code is projected to, as hidden states and cells: (S, 2, L, H), (2, L, H)."""
        kernel, bias = self.weights[f"{name}/kernel"], self.weights[f"{name}/bias"]
        num_layers = len(self.conductor) if name == CONDUCTOR_STATE else self.num_layers
        kernel = kernel.reshape(len(kernel), num_layers, 2, -1)[:, :, ::-1]  # the cells come first
        return kernel.swapaxes(1, 2), bias.reshape(num_layers, 2, -1)[:, ::-1].swapaxes(0, 1)

    def _first_layer(self) -> State:
        layer = Layer(self.embedding_dim + self.code_room, self.first_units[-1])
        for i, cells in enumerate(self.cells):
            fed_back = np.arange(self.columns[i], self.columns[i + 1])
            of_code = self.embedding_dim + np.arange(self.code_dim)
            columns = np.concatenate([fed_back, of_code, self._control_columns])
            layer.put(cells[0], columns, self.first_units[i])
        return layer.tensors("decoder.layers.0")

    def _layers_above(self) -> State:
        state: State = {}
        for number in range(1, self.num_layers):
            layer = Layer(self.first_units[-1], self.first_units[-1])
            for first, cells in zip(self.first_units, self.cells, strict=False):
                below = np.arange(first, first + cells[number].num_units)
                layer.put(cells[number], below, first)
            state |= layer.tensors(f"decoder.layers.{number}")
        return state

    def _head(self, decoder: int, channel: int) -> State:
        name = f"{self.names[decoder]}/output_projection"
        kernel, bias = self.weights[f"{name}/kernel"], self.weights[f"{name}/bias"]
        if self.nade:
            return self._nade_head(kernel, bias)
        channels = self.converter.decoders[decoder]
        here = channels[channel if len(self.converter.decoders) == 1 else 0]
        weight = np.zeros((self.first_units[-1], here.weight.shape[1]), np.float32)
        weight[self.first_units[decoder] : self.first_units[decoder + 1]] = kernel @ here.weight
        return {
            f"decoder.heads.logits.{channel}.weight": torch.from_numpy(weight.T.copy()),
            f"decoder.heads.logits.{channel}.bias": torch.from_numpy(
                bias @ here.weight + here.bias
            ),
        }

    def _nade_head(self, kernel: Array, bias: Array) -> State:
        """Magenta's order is that of `Nade`: biases of the hidden units, then of the drums."""
        weights = {"biases.weight": kernel.T.copy(), "biases.bias": bias}
        for ours, theirs in (("vectors", "w_enc"), ("weights", "w_dec_t")):
            weights[ours] = self.nade[theirs].reshape(NUM_CLASSES, -1)
        return {
            f"decoder.heads.logits.0.{name}": torch.from_numpy(weight)
            for name, weight in weights.items()
        }

    def _conductor(self) -> State:
        if not self.conductor:
            return {}
        dim = self.code_room
        state: State = {}
        for number, cell in enumerate(self.conductor):
            layer = Layer(dim if number else 1, dim).put(cell, np.arange(cell.num_inputs))
            state |= layer.tensors("decoder.conductor", f"l{number}")
        kernel, bias = self._begun(CONDUCTOR_STATE)
        weight = np.zeros((*kernel.shape[1:3], dim, self.latent_dim), np.float32)
        weight[:, :, : self.code_dim] = np.moveaxis(kernel, 0, -1)
        biases = np.zeros((*bias.shape[:2], dim), np.float32)
        biases[..., : self.code_dim] = bias
        state["decoder.conductor_state.weight"] = torch.from_numpy(weight).flatten(0, 2)
        state["decoder.conductor_state.bias"] = torch.from_numpy(biases).flatten()
        return state
