"""Models as checkpoints of magenta.js: read back, and run by @magenta/music in Node."""

import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from magenta_js import Reading
from tiny import randomised, settings

from seqvae.errors import InputError
from seqvae.exchange.magenta.files import read_checkpoint, write_checkpoint
from seqvae.exchange.magenta.reading import read_model
from seqvae.exchange.magenta.writing import as_checkpoint
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers.contract import MusicTokenizer
from seqvae.tokenizers.drums import DrumsTokenizer
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.trio import TrioTokenizer

KINDS: dict[str, tuple[MusicTokenizer, dict[str, Any]]] = {
    "melody": (MelodyTokenizer(), {"decoder_layers": 2}),
    "melody over chords": (MelodyTokenizer(chords=True), {"stddev": "softplus"}),
    "drums": (DrumsTokenizer(), {"bn_gamma": 0.6}),
    "tied": (MelodyTokenizer(num_bars=1), {"tied_embeddings": True}),
}
CLIENT = """
const { MusicVAE } = require("@magenta/music/node/music_vae");
const tf = require("@tensorflow/tfjs");
(async () => {
  const { url, depth, ids, z, chords, chord } = JSON.parse(require("fs").readFileSync(0, "utf8"));
  const model = new MusicVAE(url);
  await model.initialize();
  const x = tf.oneHot(tf.tensor2d(ids, undefined, "int32"), depth).toFloat();
  const given = chords ? { chordProgression: chord } : undefined;
  const means = await model.encodeTensors(x, given);
  const y = await model.decodeTensors(tf.tensor2d(z), undefined, given);
  const answer = { means: await means.array(), written: await y.argMax(-1).array() };
  console.log("\\n" + JSON.stringify(answer));
  process.exit(0);
})().catch((error) => { console.error(error); process.exit(1); });
"""


def model_of(kind: str) -> tuple[SequenceVAE, MusicTokenizer]:
    """A model with random weights."""
    tokenizer, changes = KINDS[kind]
    steps = {name: getattr(tokenizer.steps, name) for name in tokenizer.steps.__dataclass_fields__}
    model = randomised(SequenceVAE(*settings(**steps, **changes)), seed=5, std=0.9)
    with torch.no_grad():  # so that more than one token is ever the most probable
        model.decoder.heads.logits[0].bias.mul_(0.1)  # type: ignore[operator, union-attr]
    if "bn_gamma" in changes:
        model.encoder.normalise.running_mean.fill_(0.3)  # type: ignore[union-attr, operator]
        model.encoder.normalise.running_var.fill_(2.0)  # type: ignore[union-attr, operator]
    return model, tokenizer


@torch.no_grad()
def expected(model: SequenceVAE, num_chords: int) -> dict[str, Any]:
    """Inputs, and what the model makes of them."""
    steps, rng = model.steps, np.random.default_rng(0)
    ids = rng.integers(0, steps.vocab_sizes, (3, steps.max_steps, 1))
    z = torch.randn(3, model.config.latent_dim, generator=torch.Generator().manual_seed(1))
    chords = np.zeros((3, steps.max_steps, len(steps.condition_sizes)), np.int64)
    chords[:] = num_chords  # the same at every step
    both = torch.from_numpy(np.concatenate([ids, chords], axis=-1))
    means = model.encode(both, torch.full((3,), steps.max_steps)).mean
    conditions = torch.from_numpy(chords) if chords.shape[-1] else None
    written = model.decode(z, conditions=conditions).ids[..., 0]
    return {"ids": ids, "z": z, "means": means, "written": written, "both": both}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_exported_is_the_same_function(kind: str, tmp_path: Path) -> None:
    model, tokenizer = model_of(kind)
    write_checkpoint(tmp_path / "out", as_checkpoint(model, tokenizer))
    checkpoint = read_checkpoint(tmp_path / "out")
    told, reading = expected(model, 15), Reading(checkpoint)
    x = np.eye(model.steps.vocab_sizes[0])[told["ids"][..., 0]]
    controls = [np.eye(49)[told["both"][..., 1]]] if "chords" in kind else []
    means = reading.mean(np.concatenate([x, *controls], axis=-1))
    np.testing.assert_allclose(means, told["means"], atol=1e-5)
    written = reading.decode(told["z"].numpy(), *controls)
    np.testing.assert_array_equal(written[..., 0], told["written"])
    assert len(np.unique(written)) > 2
    again, same = read_model(tmp_path, checkpoint)
    assert same.max_steps == tokenizer.max_steps
    assert again.config.latent_dim == model.config.latent_dim


@pytest.mark.parametrize(
    ("tokenizer", "changes", "message"),
    [
        (TrioTokenizer(), {}, "a model of trio; only melody and drums"),
        (MelodyTokenizer(metres=("4/4", "3/4")), {}, "bars of one length"),
        (MelodyTokenizer(num_velocity_bins=8), {}, "num_velocity_bins is 8.*no loudness"),
        (MelodyTokenizer(), {"encoder_layers": 2}, "model.encoder_layers is 2.*has 1"),
        (MelodyTokenizer(), {"z_wiring": ("state",)}, "z_wiring.*has state, input"),
        (MelodyTokenizer(), {"latent_dim": 0}, "a language model"),
        (MelodyTokenizer(), {"decoder": "musicvae"}, "model.decoder is musicvae.*has flat"),
    ],
)
def test_what_magenta_has_not_is_refused(
    tokenizer: MusicTokenizer, changes: dict[str, Any], message: str
) -> None:
    steps = {name: getattr(tokenizer.steps, name) for name in tokenizer.steps.__dataclass_fields__}
    model = SequenceVAE(*settings(**steps, **changes))
    with pytest.raises(InputError, match=message):
        as_checkpoint(model, tokenizer)


# In Node


@pytest.fixture
def node() -> str:
    """Node, where it finds @magenta/music and tone (NODE_PATH names their folder)."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("no Node")
    look = [found, "-e", "require.resolve('@magenta/music/node/music_vae')"]
    if subprocess.run(look, capture_output=True).returncode:
        pytest.skip("Node has no @magenta/music; set NODE_PATH to its folder")
    return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address at which a folder is served."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{served.server_port}"
        finally:
            served.shutdown()
            thread.join()


@pytest.mark.parametrize("kind", KINDS)
def test_magenta_in_node_gives_the_same(kind: str, node: str, server: str, tmp_path: Path) -> None:
    model, tokenizer = model_of(kind)
    write_checkpoint(tmp_path / "model", as_checkpoint(model, tokenizer))
    told = expected(model, 15)  # D minor
    given = {
        "url": f"{server}/model", "depth": model.steps.vocab_sizes[0], "chord": ["Dm"],
        "ids": told["ids"][..., 0].tolist(), "z": told["z"].tolist(), "chords": "chords" in kind,
    }  # fmt: skip
    environment = os.environ | {"NODE_NO_WARNINGS": "1"}
    answer = subprocess.run(
        [node, "-e", CLIENT], input=json.dumps(given), text=True, capture_output=True,
        env=environment, timeout=120,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    made = json.loads(answer.stdout.splitlines()[-1])
    np.testing.assert_allclose(made["means"], told["means"], atol=1e-5)
    np.testing.assert_array_equal(made["written"], told["written"])
