"""Bundles: what is saved comes back to the bit, and nothing else is read."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import random_ids, tiny_vae

import seqvae
from seqvae.errors import InputError, shown
from seqvae.inference import bundle
from seqvae.inference.bundle import load_weights, save_weights
from seqvae.model.config import ModelConfig, Sampling, Steps
from seqvae.model.vae import SequenceVAE

LENGTHS = torch.tensor([6, 2, 1, 5])
FILES = ("config.json", "model.safetensors")

VARIANTS = pytest.mark.parametrize(
    "changes",
    [
        {},
        {"vocab_sizes": (8, 3), "num_members": (3, 0)},
        {"latent_dim": 0, "vocab_sizes": (3,), "decoder_layers": 2},
        {"condition_sizes": (4,)},
        {"decoder": "hierarchical", "segment_length": 2},
        {"vocab_sizes": (5, 3, 4), "encoder_layers": 2, "decoder_layers": 2},
        {"eos_id": 1, "dropout": 0.3, "token_dropout": 0.5},
        {"eos_id": 1, "latent_dim": 0, "decoder_layers": 2, "tied_embeddings": True},
        {"vocab_sizes": (5, 3), "tied_embeddings": True, "num_softmaxes": 2},
        {"tied_embeddings": True, "embedding_dim": 6, "z_wiring": ("state", "input", "output")},
        {
            "bn_gamma": 0.6,
            "encoder_pooling": "max",
            "z_wiring": ("output",),
            "embedding_dropout": 0.2,
        },
        {"encoder_pooling": "mean", "encoder_dropout": 0.3, "weight_dropout": 0.5},
    ],
)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@VARIANTS
@torch.no_grad()
def test_a_saved_model_comes_back_to_the_bit(tmp_path: Path, changes: dict[str, object]) -> None:
    model = tiny_vae(**changes)
    save_weights(tmp_path, model, {})
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(FILES)
    again = load_weights(tmp_path)
    assert not again.training
    assert (again.config, again.steps) == (model.config, model.steps)
    ids = random_ids(model.steps.vocab_sizes + model.steps.condition_sizes, 4, 6)
    old, new = model(ids, LENGTHS, seeded(0)), again(ids, LENGTHS, seeded(0))
    assert torch.equal(new.nll, old.nll)
    assert torch.equal(new.kl, old.kl)
    z = torch.randn(4, model.config.latent_dim, generator=seeded(1))
    decoded, expected = (m.decode(z, Sampling(), range(4)) for m in (again, model))
    assert torch.equal(decoded.ids, expected.ids)
    assert torch.equal(decoded.lengths, expected.lengths)


# Of several tied channels, safetensors writes the names in any order.
@pytest.mark.parametrize("changes", [{"vocab_sizes": (5, 3)}, {"tied_embeddings": True}])
def test_a_model_saved_again_gives_the_same_files(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    save_weights(folders[0], tiny_vae(**changes), {})
    save_weights(folders[1], load_weights(folders[0]), {})
    for name in FILES:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


@pytest.mark.parametrize("num_softmaxes", [1, 2])
@pytest.mark.parametrize("embedding_dim", [4, 6])
@torch.no_grad()
def test_tied_weights_are_saved_once_and_come_back_tied(
    tmp_path: Path, embedding_dim: int, num_softmaxes: int
) -> None:
    settings = {"embedding_dim": embedding_dim, "num_softmaxes": num_softmaxes}
    model = tiny_vae(vocab_sizes=(5, 3), tied_embeddings=True, **settings)
    save_weights(tmp_path, model, {})
    decoder = load_weights(tmp_path).decoder
    stored = load_file(tmp_path / "model.safetensors")
    expected = dict(model.named_parameters())
    assert sum(tensor.numel() for tensor in stored.values()) == sum(
        parameter.numel() for parameter in expected.values()
    )
    for channel, table in enumerate(decoder.embedding.channels):
        head = decoder.heads.logits[channel]
        output = head if num_softmaxes == 1 else head.output
        assert output.weight.data_ptr() == table.weight.data_ptr()
        name = f"decoder.embedding.channels.{channel}.weight"
        assert torch.equal(table.weight, expected[name])


def test_the_config_is_plain_json_with_a_format_number(tmp_path: Path) -> None:
    model = tiny_vae(vocab_sizes=(5, 3), eos_id=1)
    save_weights(tmp_path, model, {"name": "x", "trainer": {"seed": 3}, "model": "not twice"})
    saved = json.loads((tmp_path / "config.json").read_text())
    assert list(saved) == ["format", "seqvae", "model", "steps", "training"]
    assert saved["format"] == 1
    assert saved["seqvae"] == seqvae.__version__
    assert saved["model"] == asdict(model.config) | {"z_wiring": ["state", "input"]}
    assert saved["steps"] == {
        "vocab_sizes": [5, 3],
        "max_steps": 6,
        "eos_id": 1,
        "num_members": [0, 0],
        "condition_sizes": [],
        "slot_size": 0,
        "unison": False,
        "segment_eos_id": None,
    }
    assert saved["training"] == {"name": "x", "trainer": {"seed": 3}}


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda saved: saved.pop("format"), "config.json: made before format 1: train again$"),
        (lambda saved: saved.update(format=2), "config.json: format 2, but .* reads format 1$"),
    ],
)
def test_bundles_of_other_formats_are_refused_in_one_line(
    tmp_path: Path, edit: Callable[[dict[str, Any]], Any], reason: str
) -> None:
    save_weights(tmp_path, tiny_vae(), {})
    saved = json.loads((tmp_path / "config.json").read_text())
    edit(saved)
    (tmp_path / "config.json").write_text(json.dumps(saved))
    with pytest.raises(InputError, match=reason):
        load_weights(tmp_path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "swapped", "noise"])
def test_a_damaged_bundle_is_refused_by_the_name_of_its_file(
    tmp_path: Path, name: str, damage: str
) -> None:
    save_weights(tmp_path, tiny_vae(), {})
    file = tmp_path / name
    other = {"config.json": "model.safetensors", "model.safetensors": "config.json"}[name]
    if damage == "missing":
        file.unlink()
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "truncated":
        file.write_bytes(file.read_bytes()[:-40])
    elif damage == "swapped":
        file.write_bytes((tmp_path / other).read_bytes())
    else:
        file.write_bytes(bytes(range(256)))
    with pytest.raises(InputError) as caught:
        load_weights(tmp_path)
    assert name in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes", [{"decoder_dim": 7}, {"vocab_sizes": (6,)}, {"decoder_layers": 2}, {"latent_dim": 2}]
)
def test_weights_of_another_model_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    (tmp_path / "other").mkdir()
    save_weights(tmp_path, tiny_vae(), {})
    save_weights(tmp_path / "other", tiny_vae(**changes), {})
    (tmp_path / "other" / "model.safetensors").replace(tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"model\.safetensors: damaged \(not of this model"):
        load_weights(tmp_path)


@pytest.mark.parametrize(
    ("section", "edit"),
    [
        ("model", {"decoder": "unheard of"}),
        ("model", {"no_such_setting": 1}),
        ("model", {"latent_dim": "many"}),
        ("steps", {"vocab_sizes": None}),
        ("steps", {"num_members": [1, 2, 3]}),
        ("model", {"embedding_dim": 10**12}),
        ("model", {"encoder_layers": 10**12}),
        ("model", {"dropout": float("nan")}),
        ("model", {"locked_dropout": 1}),
        ("steps", {"max_steps": 10**12}),
        ("steps", {"vocab_sizes": [10**12]}),
        ("steps", {"vocab_sizes": []}),
        ("steps", {"vocab_sizes": [1] * 2000}),
    ],
)
def test_settings_of_no_model_are_refused(
    tmp_path: Path, section: str, edit: dict[str, object]
) -> None:
    save_weights(tmp_path, tiny_vae(), {})
    file = tmp_path / "config.json"
    saved = json.loads(file.read_text())
    saved[section] |= edit
    file.write_text(json.dumps(saved))
    with pytest.raises(InputError, match=r"config\.json: damaged \(.+\); copy the bundle again"):
        load_weights(tmp_path)


def test_no_file_asks_for_more_memory_than_its_weights_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_weights(tmp_path, tiny_vae(decoder="hierarchical", segment_length=2), {})
    saved = json.loads((tmp_path / "config.json").read_text())
    made: list[torch.device] = []
    inner = bundle.SequenceVAE

    def watched(config: ModelConfig, steps: Steps) -> SequenceVAE:
        model = inner(config, steps)
        made.append(model.device)
        return model

    monkeypatch.setattr(bundle, "SequenceVAE", watched)
    sizes = ("embedding_dim", "encoder_dim", "decoder_dim", "conductor_dim", "latent_dim")
    for name, value in [*((size, 60_000) for size in sizes), ("conductor_layers", 2)]:
        changed = saved | {"model": saved["model"] | {name: value}}
        (tmp_path / "config.json").write_text(json.dumps(changed))
        with pytest.raises(InputError, match=r"model\.safetensors: damaged \(not of this model"):
            load_weights(tmp_path)
    assert {device.type for device in made} == {"meta"}


@pytest.mark.parametrize(
    "text", ["3", "null", "[]", '"x"', "[" * 9_000, '{"format": ' + "9" * 9_000]
)
def test_a_config_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    save_weights(tmp_path, tiny_vae(), {})
    (tmp_path / "config.json").write_text(text)
    message = r"config\.json: damaged \((.+)\); copy the bundle again"
    with pytest.raises(InputError, match=message) as caught:
        load_weights(tmp_path)
    if len(text) < 9:  # it is JSON
        assert f"({shown(json.loads(text))} is no object with names and values)" in str(
            caught.value
        )


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = tiny_vae()
    with torch.no_grad():
        next(model.parameters())[0, 0] = torch.nan
    save_weights(tmp_path, model, {})
    with pytest.raises(InputError, match=r"safetensors: damaged \(a weight is not finite\)"):
        load_weights(tmp_path)


@torch.no_grad()
def test_the_running_statistics_are_saved(tmp_path: Path) -> None:
    model, ids = tiny_vae(bn_gamma=0.6), random_ids((5,), 4, 6)
    before = model.encode(ids, LENGTHS).mean
    model.train().encode(ids, LENGTHS)
    save_weights(tmp_path, model.eval(), {})
    after = model.encode(ids, LENGTHS).mean
    assert (after - before).abs().max() > 0.01
    assert torch.equal(load_weights(tmp_path).encode(ids, LENGTHS).mean, after)


@VARIANTS
def test_weights_that_lie_in_one_block_are_saved_apart(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    model = tiny_vae(**changes)
    expected = {name: value.clone() for name, value in model.state_dict().items()}
    for lstm in [part for part in model.modules() if isinstance(part, torch.nn.LSTM)]:
        weights = list(lstm.parameters(recurse=False))  # as cuDNN lays them out
        block, begin = torch.cat([weight.detach().flatten() for weight in weights]), 0
        for weight in weights:
            weight.data = block[begin : begin + weight.numel()].view_as(weight)
            begin += weight.numel()
    save_weights(tmp_path, model, {})
    for name, value in load_weights(tmp_path).state_dict().items():
        assert torch.equal(value, expected[name])
