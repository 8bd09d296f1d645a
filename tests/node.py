"""Runs scripts of the pages in Node, outside a browser."""

import json
import shutil
import subprocess
from typing import Any

import pytest

from seqvae.pages.page import FOLDER

ENGINE = (
    "tensors.js", "lstm.js", "step_vectors.js", "encoder.js", "nade.js", "heads.js", "noise.js",
    "decoder.js",
)  # fmt: skip
HEARING = (
    "tensors.js", "chords.js", "tokens.js", "keys.js", "midi_reader.js", "hearing.js", "worker.js",
    "music_worker.js",
)  # fmt: skip


def in_node(files: tuple[str, ...], body: str, given: Any) -> Any:
    """What a function body of JavaScript returns after these files; `given` is its argument."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    sources = "\n".join((FOLDER / file).read_text(encoding="utf-8") for file in files)
    script = f"""{sources}
    const given = JSON.parse(require("fs").readFileSync(0, "utf8"));
    const answer = ((given) => {{ {body} }})(given);
    process.stdout.write(JSON.stringify(answer));"""
    ran = subprocess.run(
        [node, "-e", script], input=json.dumps(given), capture_output=True, text=True,
        encoding="utf-8", check=False, timeout=600,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout)
