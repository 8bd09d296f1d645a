"""Random checkpoints of magenta.js, and a plain reading of them in NumPy: one step after another.

The reading is in Magenta's own terms, and shares nothing with the code that it is compared with.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqvae.exchange.magenta.files import Checkpoint

Array = NDArray[Any]
BOTH = ("fw", "bw")
CELL = "multi_rnn_cell/cell_{}/lstm_cell"
PITCHES = {"minPitch": 21, "maxPitch": 108}
LATENT, READER, OVERVIEW, CONDUCTOR, UNITS, NADE = 5, 3, 4, 3, 4, 3
ARGS: dict[str, dict[str, Any]] = {
    "MelodyConverter": PITCHES,
    "TrioConverter": {"melArgs": PITCHES, "bassArgs": PITCHES, "drumsArgs": {}},
    "MultitrackConverter": {"stepsPerQuarter": 24, "totalSteps": 96, "numVelocityBins": 8},
}
END_OF_TRACK = 489
READ = {
    "MelodyConverter": 90, "DrumsConverter": 10, "DrumRollConverter": 10,
    "DrumsOneHotConverter": 512, "TrioConverter": 692, "GrooveConverter": 27,
    "MultitrackConverter": 490,
}  # fmt: skip
WRITTEN = {
    "MelodyConverter": [90], "DrumsConverter": [512], "DrumRollConverter": [9],
    "DrumsOneHotConverter": [512], "TrioConverter": [90, 90, 512], "GrooveConverter": [27],
    "MultitrackConverter": [490],
}  # fmt: skip
CHORDS = {"TriadChordEncoder": 49, "MajorMinorChordEncoder": 25, "PitchChordEncoder": 37}


def make_checkpoint(
    converter: str,
    seed: int = 0,
    *,
    num_steps: int = 32,
    num_segments: int = 1,
    num_layers: int = 2,
    chords: str | None = None,
    nade: bool = False,
    scale: float = 1.0,
    **args: Any,
) -> Checkpoint:
    """A checkpoint of a kind, with weights that are large enough for varied outputs."""
    rng, shapes = np.random.default_rng(seed), {}
    controls = CHORDS[chords] if chords else 0

    def cell(name: str, num_inputs: int, num_units: int) -> None:
        shapes[f"{name}/kernel"] = (num_inputs + num_units, 4 * num_units)
        shapes[f"{name}/bias"] = (4 * num_units,)

    def dense(name: str, num_inputs: int, num_outputs: int) -> None:
        shapes[f"{name}/kernel"], shapes[f"{name}/bias"] = (num_inputs, num_outputs), (num_outputs,)

    def stack(name: str, num_inputs: int, num_units: int) -> None:
        for layer in range(num_layers):
            cell(name.format(layer), num_units if layer else num_inputs, num_units)

    is_flat = num_segments == 1
    for level in range(1 if is_flat else 2):
        place = "encoder" if is_flat else f"encoder/hierarchical_level_{level}"
        num_inputs = 2 * READER if level else READ[converter] + controls
        for way in BOTH:
            name = f"{place}/cell_0/bidirectional_rnn/{way}/{CELL.format(0)}"
            cell(name, num_inputs, OVERVIEW if level else READER)
    for name in ("mu", "sigma"):
        dense(f"encoder/{name}", 2 * (READER if is_flat else OVERVIEW), LATENT)
    if not is_flat:
        stack("decoder/hierarchical_level_0/cell_{}/lstm_cell", 1, CONDUCTOR)
        first = "decoder/hierarchical_level_0/initial_state"
        dense(first, LATENT, 2 * num_layers * CONDUCTOR)
    for name, size in zip(decoder_names(converter, is_flat), WRITTEN[converter], strict=True):
        code = LATENT if is_flat else CONDUCTOR
        dense(f"{name}/z_to_initial_state", code, 2 * num_layers * UNITS)
        stack(f"{name}/{CELL}", size + code + controls, UNITS)
        dense(f"{name}/output_projection", UNITS, size + NADE * nade)
        if nade:
            shapes |= {f"{name}/nade/{part}": (9, 1, NADE) for part in ("w_enc", "w_dec_t")}
    weights = {
        name: rng.normal(0, scale if "kernel" in name else 0.1, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    weights["encoder/cell_0/bidirectional_rnn/fw/opaque_kernel"] = np.ones(7, np.float32)
    of_segments = {} if is_flat else {"numSegments": num_segments}
    spec: dict[str, Any] = {
        "type": "MusicVAE",
        "dataConverter": {
            "type": converter,
            "args": {"numSteps": num_steps, **of_segments, **ARGS.get(converter, {}), **args},
        },
    }
    return Checkpoint(spec | ({"chordEncoder": chords} if chords else {}), weights)


def decoder_names(converter: str, is_flat: bool) -> list[str]:
    """Where the weights of each decoder stand."""
    above = "" if is_flat else "core_decoder/"
    if converter != "TrioConverter":
        return [f"{above}decoder"]
    return [f"{above}core_decoder_{i}/decoder" for i in range(3)]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


class Reading:
    """A checkpoint that encodes and decodes B sequences."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.weights = {k: w.astype(np.float64) for k, w in checkpoint.weights.items()}
        chosen = checkpoint.spec["dataConverter"]
        self.converter, self.num_segments = chosen["type"], chosen["args"].get("numSegments", 1)
        self.num_steps = chosen["args"]["numSteps"]
        self.names = decoder_names(self.converter, self.num_segments == 1)

    def dense(self, name: str, x: Array) -> Array:
        return x @ self.weights[f"{name}/kernel"] + self.weights[f"{name}/bias"]

    def cell(self, name: str, x: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        c, h = state
        i, j, f, o = np.split(self.dense(name, beside(x, h)), 4, axis=-1)
        c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(j)
        return c, sigmoid(o) * np.tanh(c)

    def both_ways(self, place: str, x: Array) -> Array:
        """The last states of both directions over (B, T, D)."""
        ends = []
        for way in BOTH:
            name = f"{place}/cell_0/bidirectional_rnn/{way}/{CELL.format(0)}"
            size = len(self.weights[f"{name}/bias"]) // 4
            state = np.zeros((len(x), size)), np.zeros((len(x), size))
            steps = range(x.shape[1])
            for step in steps if way == "fw" else reversed(steps):
                state = self.cell(name, x[:, step], state)
            ends.append(state[1])
        return beside(*ends)

    def mean(self, x: Array) -> Array:
        """The posterior means of what is read (B, T, D + K)."""
        if self.num_segments == 1:
            return self.dense("encoder/mu", self.both_ways("encoder", x))
        place = "encoder/hierarchical_level_{}"
        segments = np.split(x, self.num_segments, axis=1)
        parts = [self.segment(place.format(0), segment) for segment in segments]
        return self.dense("encoder/mu", self.both_ways(place.format(1), np.stack(parts, axis=1)))

    def segment(self, place: str, x: Array) -> Array:
        """The last states over a segment; over a track, up to its end."""
        if self.converter != "MultitrackConverter":
            return self.both_ways(place, x)
        is_end = x[..., END_OF_TRACK] > 0
        ends = np.where(is_end.any(1), is_end.argmax(1) + 1, x.shape[1])
        rows = zip(x, ends, strict=True)
        return np.concatenate([self.both_ways(place, row[None, :end]) for row, end in rows])

    def begin(self, name: str, code: Array, pattern: str) -> list[tuple[Array, Array]]:
        """The states of a stack."""
        count = sum(f"{pattern.format(i)}/kernel" in self.weights for i in range(9))
        parts = np.split(np.tanh(self.dense(name, code)), 2 * count, axis=-1)
        return [*zip(parts[::2], parts[1::2], strict=True)]

    def run(self, pattern: str, x: Array, states: list[tuple[Array, Array]]) -> Array:
        for i, state in enumerate(states):
            states[i] = self.cell(pattern.format(i), x, state)
            x = states[i][1]
        return x

    def codes(self, z: Array) -> list[Array]:
        if self.num_segments == 1:
            return [z]
        place = "decoder/hierarchical_level_0"
        pattern, silence = f"{place}/cell_{{}}/lstm_cell", np.zeros((len(z), 1))
        states = self.begin(f"{place}/initial_state", z, pattern)
        return [self.run(pattern, silence, states) for _ in range(self.num_segments)]

    def decode(self, z: Array, controls: Array | None = None) -> Array:
        """What is written of codes (B, Z): numbers of classes, or what each step holds."""
        rows, length = [], self.num_steps // self.num_segments
        back = [np.zeros((len(z), size)) for size in WRITTEN[self.converter]]
        codes = self.codes(z)
        for step in range(self.num_steps):
            code = codes[step // length]
            if step % length == 0:
                begun = [
                    self.begin(f"{name}/z_to_initial_state", code, f"{name}/{CELL}")
                    for name in self.names
                ]
            row = []
            for i, name in enumerate(self.names):
                x = beside(back[i], code, *([] if controls is None else [controls[:, step]]))
                features = self.run(f"{name}/{CELL}", x, begun[i])
                logits = self.dense(f"{name}/output_projection", features)
                written, back[i] = self.written(name, logits)
                row.append(written)
            rows.append(beside(*row))
        return np.stack(rows, axis=1)

    def written(self, name: str, logits: Array) -> tuple[Array, Array]:
        if f"{name}/nade/w_enc" in self.weights:
            bits = self.nade(name, logits)
            return bits, bits
        if self.converter == "DrumRollConverter":
            return (logits >= 0) * 1.0, (logits >= 0) * 1.0
        if self.converter == "GrooveConverter":
            hits, velocities, offsets = np.split(logits, 3, axis=-1)
            values = beside(sigmoid(hits) > 0.5, sigmoid(velocities), np.tanh(offsets))
            return values, values
        tokens = logits.argmax(-1)
        return tokens[:, None], np.eye(logits.shape[-1])[tokens]

    def nade(self, name: str, logits: Array) -> Array:
        units, bias = logits[:, :-9], logits[:, -9:]
        inside, outside = (self.weights[f"{name}/nade/{part}"] for part in ("w_enc", "w_dec_t"))
        bits = np.zeros((len(logits), 9))
        for i in range(9):
            bits[:, i] = sigmoid(bias[:, i] + sigmoid(units) @ outside[i, 0]) >= 0.5
            units = units + bits[:, i, None] * inside[i]
        return bits


def beside(*parts: Array) -> Array:
    return np.concatenate(parts, axis=-1)
