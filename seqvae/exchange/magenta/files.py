"""Checkpoints of magenta.js: a spec and named arrays, in a folder.

`config.json` is the spec. `weights_manifest.json` lists the weights, whose bytes stand one after
the other in shards: files of 4 MiB, cut without regard to the weights. Each weight may be rounded
to integers, with a scale of its own. An older format, `manifest.json`, has a file for each weight.
"""

import contextlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqvae.disk import door, fields_of, read_json, replaced_folder, write_file
from seqvae.errors import InputError, shown

SPEC, MANIFEST = "config.json", "weights_manifest.json"
OLDER_SPEC, OLDER_MANIFEST = "converter.json", "manifest.json"
SHARD_BYTES = 4 * 2**20
AGAIN = "download the checkpoint again"
TYPES = {"float32": "<f4", "float16": "<f2", "int32": "<i4", "bool": "?"}
ROUNDED = {"uint8": "<u1", "uint16": "<u2", "float16": "<f2"}

Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a folder holds."""

    spec: dict[str, Any]
    weights: Weights


@contextlib.contextmanager
def door_of(place: Path) -> Iterator[None]:
    """The door of a checkpoint, which leaves a refusal as it is.

    Raises:
        InputError: what is made of the checkpoint is not as it must be, or is refused.
    """
    refusal: InputError | None = None
    with door(place, AGAIN):
        try:
            yield
        except InputError as error:
            refusal = error
    if refusal is not None:
        raise refusal


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a folder in either format.

    Raises:
        InputError: it is no MusicVAE, or a file is missing, short or damaged.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name that of a checkpoint of magenta.js")
    if (folder / OLDER_MANIFEST).is_file() and not (folder / MANIFEST).is_file():
        converter = read_json(folder / OLDER_SPEC, AGAIN, type=str)
        return Checkpoint({"dataConverter": converter}, dict(_older_weights(folder)))
    for name in (SPEC, MANIFEST):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: {name} is missing; is this a checkpoint of magenta.js?")
    spec = read_json(folder / SPEC, AGAIN, type=str)
    if spec["type"] != "MusicVAE":
        raise InputError(f"{folder}: a {shown(spec['type'])}; seqvae imports MusicVAE alone")
    with door(folder / SPEC, AGAIN):
        fields_of(spec, {"dataConverter": dict[str, Any]})
    with door_of(folder / MANIFEST):
        groups = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        weights = {name: weight for group in groups for name, weight in _weights(folder, group)}
    return Checkpoint(spec, weights)


def _weights(folder: Path, group: Any) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The weights of a group of shards, in the order of their bytes."""
    wanted = [_Wanted.of(entry) for entry in group["weights"]]
    content = _joined(folder, group["paths"], sum(each.num_bytes for each in wanted))
    start = 0
    for each in wanted:
        yield each.name, each.values(content[start : start + each.num_bytes])
        start += each.num_bytes


def _joined(folder: Path, names: Sequence[str], num_bytes: int) -> memoryview:
    """The bytes of all shards."""
    parts = []
    for name in names:
        if Path(name).name != name:
            raise ValueError(f"{name!r} is no plain name of a file")
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: missing; it is one of {len(names)} shards: {AGAIN}")
        parts.append((folder / name).read_bytes())
    if (found := sum(map(len, parts))) != num_bytes:
        largest = max(map(len, parts), default=0)
        odd = (name for name, part in zip(names, parts, strict=True) if len(part) < largest)
        raise InputError(
            f"{folder / next(odd, names[-1])}: the shards hold {found} bytes and not "
            f"{num_bytes}, and this one may be cut off: {AGAIN}"
        )
    return memoryview(b"".join(parts))


@dataclass(frozen=True)
class _Wanted:
    """A weight as a manifest describes it."""

    name: str
    shape: tuple[int, ...]
    stored_as: np.dtype[Any]
    scale: float = 1.0
    low: float = 0.0

    @classmethod
    def of(cls, entry: Any) -> "_Wanted":
        """Read an entry."""
        fields_of(entry, {"name": str, "shape": list[int], "dtype": str})
        name, shape = entry["name"], tuple(entry["shape"])
        if min(shape, default=0) < 0:
            raise ValueError(f"{name} has the shape {shape}")
        rounding = entry.get("quantization")
        if not rounding:
            return cls(name, shape, np.dtype(TYPES[entry["dtype"]]))
        stored_as = np.dtype(ROUNDED[rounding["dtype"]])
        scale, low = float(rounding.get("scale", 1.0)), float(rounding.get("min", 0.0))
        return cls(name, shape, stored_as, scale, low)

    @property
    def num_bytes(self) -> int:
        """Bytes in the shards."""
        return math.prod(self.shape) * self.stored_as.itemsize

    def values(self, content: memoryview) -> NDArray[np.float32]:
        """The numbers; each was rounded to a multiple of its scale."""
        stored = np.frombuffer(content, self.stored_as)
        if self.stored_as.kind == "u":
            stored = stored.astype(np.float64) * self.scale + self.low
        return stored.astype(np.float32).reshape(self.shape)


def _older_weights(folder: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The weights whose files are there: a model may come without its encoder."""
    file = folder / OLDER_MANIFEST
    with door(file, AGAIN):
        for name, entry in read_json(file, AGAIN).items():
            place = folder / str(entry["filename"])
            if Path(entry["filename"]).name != entry["filename"]:
                raise ValueError(f"{entry['filename']!r} is no plain name of a file")
            if place.is_file():
                shape = tuple(entry["shape"])
                yield name, np.frombuffer(place.read_bytes(), "<f4").reshape(shape)


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a folder in the newer format, as float32, whole or not at all."""
    entries = [
        {"name": name, "shape": list(weight.shape), "dtype": "float32"}
        for name, weight in checkpoint.weights.items()
    ]
    content = b"".join(weight.astype("<f4").tobytes() for weight in checkpoint.weights.values())
    shards = [content[i : i + SHARD_BYTES] for i in range(0, len(content), SHARD_BYTES)]
    names = [f"group1-shard{number}of{len(shards)}" for number in range(1, len(shards) + 1)]
    with replaced_folder(folder) as beside:
        write_file(beside / SPEC, json.dumps(checkpoint.spec, indent=2) + "\n")
        manifest = [{"paths": names, "weights": entries}]
        write_file(beside / MANIFEST, json.dumps(manifest) + "\n")
        for name, shard in zip(names, shards, strict=True):
            write_file(beside / name, shard)
