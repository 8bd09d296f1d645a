"""LSTM cells: TensorFlow's kernels <-> torch's weights.

A kernel (I + H, 4 H) has a row for each input, then one for each unit's own state before. Its
columns are the blocks of four gates: input, candidate, forget, output. One is added to the forget
gate when the cell runs, and not in the file. Torch has the gates as rows, in the order input,
forget, candidate, output.

Axes: I inputs, H hidden units, U units of a layer that holds several cells side by side.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ORDER = [0, 2, 1, 3]  # of one library's gates in the other's, either way
FORGET = 1  # among torch's

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell with its gates in torch's order: those of the input, of its own state, and biases."""

    of_input: Array
    """(4, H, I)."""
    of_own: Array
    """(4, H, H)."""
    bias: Array
    """(4, H)."""

    @classmethod
    def read(cls, weights: Mapping[str, Array], name: str) -> "Cell":
        """The cell whose kernel and bias have this name before them."""
        kernel, bias = weights[f"{name}/kernel"], weights[f"{name}/bias"]
        num_units = len(bias) // 4
        gates = kernel.reshape(len(kernel), 4, num_units)[:, ORDER].transpose(1, 2, 0)
        biases = bias.reshape(4, num_units)[ORDER]
        biases[FORGET] += 1
        num_inputs = len(kernel) - num_units
        return cls(gates[..., :num_inputs], gates[..., num_inputs:], biases)

    def write(self, name: str) -> dict[str, Array]:
        """Its kernel and bias by their names."""
        gates = np.concatenate([self.of_input, self.of_own], axis=2)[ORDER]
        biases = self.bias.copy()
        biases[FORGET] -= 1
        kernel = gates.transpose(2, 0, 1).reshape(gates.shape[2], -1)
        return {f"{name}/kernel": kernel, f"{name}/bias": biases[ORDER].reshape(-1)}

    @property
    def num_units(self) -> int:
        """H."""
        return int(self.bias.shape[1])

    @property
    def num_inputs(self) -> int:
        """I."""
        return int(self.of_input.shape[2])


class Layer:
    """A layer of torch's that holds one cell, or several side by side that do not hear each other.

    A unit that no cell fills has no weights, and is 0 at every step.
    """

    def __init__(self, num_inputs: int, num_units: int) -> None:
        """Without any cell."""
        self.of_input = np.zeros((4, num_units, num_inputs), np.float32)
        self.of_own = np.zeros((4, num_units, num_units), np.float32)
        self.bias = np.zeros((4, num_units), np.float32)

    def put(self, cell: Cell, columns: NDArray[np.int64], first_unit: int = 0) -> "Layer":
        """Put in a cell that reads these of the layer's inputs, in its own order."""
        units = slice(first_unit, first_unit + cell.num_units)
        assert len(columns) == cell.num_inputs, (len(columns), cell.num_inputs)
        self.of_input[:, units, columns] = cell.of_input
        self.of_own[:, units, units] = cell.of_own
        self.bias[:, units] = cell.bias
        return self

    def tensors(self, name: str, suffix: str = "l0") -> dict[str, Tensor]:
        """The weights by their names in a state of torch's."""
        arrays = {
            "weight_ih": self.of_input, "weight_hh": self.of_own,
            "bias_ih": self.bias, "bias_hh": np.zeros_like(self.bias),
        }  # fmt: skip
        return {
            f"{name}.{kind}_{suffix}": torch.from_numpy(array.reshape(-1, *array.shape[2:]))
            for kind, array in arrays.items()
        }


def cell_of(state: Mapping[str, Tensor], name: str) -> Cell:
    """The cell of a layer of torch's."""
    parts = {
        kind: state[f"{name}.{kind}_l0"].numpy(force=True)
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }
    by_gate = {kind: part.reshape(4, -1, *part.shape[1:]) for kind, part in parts.items()}
    bias = by_gate["bias_ih"] + by_gate["bias_hh"]
    return Cell(by_gate["weight_ih"], by_gate["weight_hh"], bias)
