"""Decodes codes with onnxruntime and NumPy alone, in a folder that `seqvae export onnx` wrote.

python decode.py [TEMPERATURE]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime


def decode(folder: Path, z: Any, temperature: float = 0.0, seed: int = 0) -> Any:
    """Tokens (B, T, C) of codes (B, Z); conditions, such as chords, are 0: none."""
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    begin, step = (onnxruntime.InferenceSession(folder / f"{n}.onnx") for n in ("begin", "step"))
    rng, num_rows = np.random.default_rng(seed), len(z)
    tokens = np.zeros((num_rows, len(about["vocab_sizes"])), np.int64)
    conditions = np.zeros((num_rows, len(about["condition_sizes"])), np.int64)
    sounding, rows = np.zeros((num_rows, about["vocab_sizes"][0]), np.int64), []
    for number in range(about["max_steps"]):
        segment, place = divmod(number, about["segment_length"])
        if place == 0:
            code, hidden, cell = begin.run(None, {"z": z, "segment": np.array(segment)})
        inputs = {
            "tokens": tokens, "is_first": np.array(number == 0),
            "code": code, "hidden": hidden, "cell": cell,
            "temperature": np.array(temperature, np.float32),
            "noise": rng.gumbel(size=(num_rows, sum(about["vocab_sizes"]))).astype(np.float32),
            "conditions": conditions, "sounding": sounding,
        }  # fmt: skip
        wanted = {each.name for each in step.get_inputs()}
        given = {name: value for name, value in inputs.items() if name in wanted}
        tokens, hidden, cell, *rest = step.run(None, given)
        sounding = rest[0] if rest else sounding  # of notes
        rows.append(tokens)
        if (
            about["eos_id"] is not None
            and (np.stack(rows)[:, :, 0] == about["eos_id"]).any(0).all()
        ):
            break
    return np.stack(rows, axis=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print the tokens of four random codes.")
    parser.add_argument(
        "temperature", nargs="?", type=float, default=0.0,
        help="0, the default, takes the likeliest token each time; 1 draws as the model says",
    )  # fmt: skip
    asked = parser.parse_args().temperature
    if not 0 <= asked < float("inf"):
        parser.error(f"temperature is {asked}; it must be 0 or more, and finite")
    here = Path(__file__).parent
    size = json.loads((here / "model.json").read_text(encoding="utf-8"))["latent_dim"]
    codes = np.random.default_rng(0).normal(size=(4, size)).astype(np.float32)
    for row in decode(here, codes, asked):
        print(*row[:, 0])
