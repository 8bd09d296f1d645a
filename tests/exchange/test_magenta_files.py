"""Checkpoints of magenta.js on disk: joined shards, rounded weights, and what may be wrong."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvae.errors import InputError
from seqvae.exchange.magenta import files
from seqvae.exchange.magenta.files import Checkpoint, read_checkpoint, write_checkpoint

SPEC = {"type": "MusicVAE", "dataConverter": {"type": "MelodyConverter", "args": {}}}


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Checkpoint]:
    """A checkpoint with shards of 64 bytes, which cut through its weights."""
    monkeypatch.setattr(files, "SHARD_BYTES", 64)
    rng = np.random.default_rng(0)
    shapes = {"b/kernel": (3, 7), "a/bias": (5,), "c": ()}
    weights = {k: rng.normal(size=s).astype(np.float32) for k, s in shapes.items()}
    made = Checkpoint(SPEC, {name: np.asarray(weight) for name, weight in weights.items()})
    write_checkpoint(tmp_path / "model", made)
    return tmp_path / "model", made


def test_what_is_written_is_read(checkpoint: tuple[Path, Checkpoint]) -> None:
    folder, made = checkpoint
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json", "group1-shard1of2", "group1-shard2of2", "weights_manifest.json",
    ]  # fmt: skip
    read = read_checkpoint(folder)
    assert read.spec == SPEC
    assert [*read.weights] == [*made.weights]
    for name, weight in made.weights.items():
        np.testing.assert_array_equal(read.weights[name], weight)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float16"])
def test_each_weight_has_a_scale_of_its_own(tmp_path: Path, kind: str) -> None:
    entries, content, expected = [], b"", []
    for number in range(2):
        codes = np.array([[0, 3], [7, 255]]).astype(kind)
        rounding: dict[str, Any] = {"dtype": kind}
        if kind != "float16":
            rounding |= {"scale": 0.1 + number, "min": -5.0}
        shape = {"name": f"w{number}", "shape": [2, 2], "dtype": "float32"}
        entries.append(shape | {"quantization": rounding})
        content += codes.tobytes()
        scale, low = rounding.get("scale", 1), rounding.get("min", 0)
        expected.append(codes.astype(float) * scale + low)
    other = {"name": "step", "shape": [1], "dtype": "int32"}
    manifest = [{"paths": ["all"], "weights": [other, *entries]}]
    (tmp_path / "config.json").write_text(json.dumps(SPEC))
    (tmp_path / "weights_manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "all").write_bytes(bytes(4) + content)
    weights = read_checkpoint(tmp_path).weights
    for number in range(2):
        np.testing.assert_allclose(weights[f"w{number}"], expected[number], rtol=1e-6)
        assert weights[f"w{number}"].dtype == np.float32


def test_the_older_format_has_a_file_for_each_weight_that_is_there(tmp_path: Path) -> None:
    converter = {"type": "MelodyConverter", "args": {"numSteps": 32}}
    (tmp_path / "converter.json").write_text(json.dumps(converter))
    names = {"here": "here_file", "absent": "absent_file"}
    manifest = {name: {"filename": file, "shape": [2, 1]} for name, file in names.items()}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    np.array([1, 2], "<f4").tofile(tmp_path / "here_file")
    read = read_checkpoint(tmp_path)
    assert read.spec == {"dataConverter": converter}
    assert {name: w.tolist() for name, w in read.weights.items()} == {"here": [[1], [2]]}
    (tmp_path / "here_file").write_bytes(b"123")
    with pytest.raises(InputError, match=r"manifest.json: damaged"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", None, "config.json is missing; is this a checkpoint of magenta.js"),
        ("config.json", '{"type": "MusicRNN"}', "a 'MusicRNN'; seqvae imports MusicVAE alone"),
        ("config.json", '{"type": "MusicVAE"}', "config.json: damaged (no 'dataConverter')"),
        ("weights_manifest.json", "[{}]", "weights_manifest.json: damaged (no 'weights')"),
        ("weights_manifest.json", "{", "weights_manifest.json: damaged"),
        ("group1-shard2of2", None, "group1-shard2of2: missing; it is one of 2 shards"),
        ("group1-shard1of2", b"short", "group1-shard1of2: the shards hold 49 bytes and not 108"),
        ("group1-shard2of2", b"", "group1-shard2of2: the shards hold 64 bytes and not 108"),
    ],
)
def test_what_is_missing_or_short_is_named(
    checkpoint: tuple[Path, Checkpoint], file: str, content: str | bytes | None, message: str
) -> None:
    folder, _ = checkpoint
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=re.escape(message)):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"paths": ["../model/group1-shard1of2"]}, "no plain name of a file"),
        ({"weights": [{"name": "a", "shape": [-1], "dtype": "float32"}]}, "has the shape"),
        ({"weights": [{"name": "a", "shape": [1], "dtype": "string"}]}, "no 'string'"),
        ({"weights": [{"name": "a", "shape": [10**15], "dtype": "float32"}]}, "bytes and not"),
        ({"weights": [{"name": "a", "shape": "x", "dtype": "float32"}]}, "damaged"),
    ],
)
def test_a_manifest_is_not_trusted(
    checkpoint: tuple[Path, Checkpoint], changes: dict[str, Any], message: str
) -> None:
    file = checkpoint[0] / "weights_manifest.json"
    (group,) = json.loads(file.read_text())
    file.write_text(json.dumps([group | changes]))
    with pytest.raises(InputError, match=message):
        read_checkpoint(checkpoint[0])


def test_a_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder; name that of a checkpoint"):
        read_checkpoint(tmp_path / "absent")
