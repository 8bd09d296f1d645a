import json
from pathlib import Path

import pytest
import torch
from make_golden import COMMAND, GOLDEN_FILE, NUM_STEPS, golden_losses
from tiny import random_ids, tiny_vae

from seqvae.decoder import Sampling
from seqvae.errors import InputError
from seqvae.model import SequenceVAE
from seqvae.objective import sequence_nll

LENGTHS = torch.tensor([6, 2, 1, 5])
FILES = ("config.json", "model.safetensors")

VARIANTS = pytest.mark.parametrize(
    "changes",
    [
        {},
        {"vocab_sizes": (5, 3, 4), "encoder_layers": 2, "decoder_layers": 2},
        {"eos_id": 1, "dropout": 0.3, "token_dropout": 0.5},
    ],
)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@VARIANTS
@torch.no_grad()
def test_the_bound_is_made_of_encoder_and_decoder(changes: dict[str, object]) -> None:
    model = tiny_vae(**changes)
    ids = random_ids(model.vocab_sizes, 4, 6)
    bound = model(ids, LENGTHS, seeded(0))
    posterior = model.encode(ids, LENGTHS)
    noise = torch.empty(4, 3).normal_(generator=seeded(0))
    z = posterior.mean + posterior.log_stddev.exp() * noise
    assert torch.equal(bound.kl, posterior.kl())
    assert torch.equal(bound.nll, sequence_nll(model.decoder(z, ids), ids, LENGTHS))


@torch.no_grad()
def test_only_the_draw_of_z_is_random_and_it_follows_the_generator() -> None:
    model, ids = tiny_vae(dropout=0.5, token_dropout=0.5), random_ids((5,), 4, 6)
    before = torch.get_rng_state()
    bounds = [model(ids, LENGTHS, seeded(seed)) for seed in (1, 1, 2)]
    assert torch.equal(bounds[0].nll, bounds[1].nll)
    assert not torch.equal(bounds[0].nll, bounds[2].nll)
    assert torch.equal(bounds[0].kl, bounds[2].kl)
    assert torch.equal(torch.get_rng_state(), before)


@VARIANTS
@torch.no_grad()
def test_rows_keep_their_order_from_encoder_to_likelihood(changes: dict[str, object]) -> None:
    model = tiny_vae(**changes)
    ids = random_ids(model.vocab_sizes, 4, 6)

    def nll(index: torch.Tensor) -> torch.Tensor:
        z = model.encode(ids[index], LENGTHS[index]).mean
        return sequence_nll(model.decoder(z, ids[index]), ids[index], LENGTHS[index])

    in_order, permutation = nll(torch.arange(4)), torch.tensor([3, 0, 2, 1])
    torch.testing.assert_close(nll(permutation), in_order[permutation], rtol=1e-5, atol=1e-5)


@VARIANTS
@torch.no_grad()
def test_padding_changes_neither_term(changes: dict[str, object]) -> None:
    model = tiny_vae(**changes)
    ids, more = (random_ids(model.vocab_sizes, 4, 6, seed=seed) for seed in (0, 1))
    valid = (torch.arange(6) < LENGTHS[:, None])[..., None]
    bound = model(ids, LENGTHS, seeded(0))
    padded = torch.cat([torch.where(valid, ids, more), more], dim=1)
    again = model(padded, LENGTHS, seeded(0))
    torch.testing.assert_close(again.kl, bound.kl, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(again.nll, bound.nll, rtol=1e-5, atol=1e-5)


def test_every_parameter_gets_a_gradient() -> None:
    model = tiny_vae(vocab_sizes=(5, 3), encoder_layers=2, decoder_layers=2).train()
    model(random_ids((5, 3), 4, 6), LENGTHS, seeded(0)).loss(1.0, 0.0).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@VARIANTS
@torch.no_grad()
def test_a_saved_model_comes_back_to_the_bit(tmp_path: Path, changes: dict[str, object]) -> None:
    model = tiny_vae(**changes)
    model.save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(FILES)
    again = SequenceVAE.load(tmp_path)
    assert not again.training
    assert (again.vocab_sizes, again.max_steps, again.eos_id, again.latent_dim) == (
        model.vocab_sizes,
        model.max_steps,
        model.eos_id,
        model.latent_dim,
    )
    ids = random_ids(model.vocab_sizes, 4, 6)
    old, new = model(ids, LENGTHS, seeded(0)), again(ids, LENGTHS, seeded(0))
    assert torch.equal(new.nll, old.nll)
    assert torch.equal(new.kl, old.kl)
    z = torch.randn(4, 3, generator=seeded(1))
    decoded, expected = (m.decode(z, Sampling(), seeded(2)) for m in (again, model))
    assert torch.equal(decoded.ids, expected.ids)
    assert torch.equal(decoded.lengths, expected.lengths)


def test_a_model_saved_again_gives_the_same_files(tmp_path: Path) -> None:
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    tiny_vae(vocab_sizes=(5, 3)).save(folders[0])
    SequenceVAE.load(folders[0]).save(folders[1])
    for name in FILES:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_settings_are_plain_json(tmp_path: Path) -> None:
    model = tiny_vae(vocab_sizes=(5, 3))
    model.save(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved == model.settings | {"vocab_sizes": [5, 3]}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "swapped", "noise"])
def test_a_damaged_bundle_is_refused_by_the_name_of_its_file(
    tmp_path: Path, name: str, damage: str
) -> None:
    tiny_vae().save(tmp_path)
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
        SequenceVAE.load(tmp_path)
    assert name in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes", [{"decoder_dim": 7}, {"vocab_sizes": (6,)}, {"decoder_layers": 2}, {"latent_dim": 2}]
)
def test_weights_of_another_model_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    (tmp_path / "other").mkdir()
    tiny_vae().save(tmp_path)
    tiny_vae(**changes).save(tmp_path / "other")
    (tmp_path / "other" / "model.safetensors").replace(tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"model\.safetensors: damaged, or not of this model"):
        SequenceVAE.load(tmp_path)


@pytest.mark.parametrize(
    "edit",
    [
        {"decoder": "unheard of"},
        {"no_such_setting": 1},
        {"latent_dim": "many"},
        {"vocab_sizes": None},
    ],
)
def test_settings_of_no_model_are_refused(tmp_path: Path, edit: dict[str, object]) -> None:
    tiny_vae().save(tmp_path)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | edit))
    with pytest.raises(InputError, match=r"config\.json: not the settings of a model"):
        SequenceVAE.load(tmp_path)


@torch.no_grad()
def test_decoding_is_greedy_by_default_and_bounded_by_max_steps() -> None:
    model, z = tiny_vae(eos_id=1, max_steps=6), torch.randn(30, 3, generator=seeded(0))
    decoded, again = model.decode(z), model.decode(z)
    assert torch.equal(decoded.ids, again.ids)
    assert decoded.ids.shape[1] <= 6
    expected = model.decoder.sample(z, num_steps=6, eos_id=1)
    assert torch.equal(decoded.ids, expected.ids)
    assert torch.equal(decoded.lengths, expected.lengths)


def test_golden_losses() -> None:
    first, *lines = GOLDEN_FILE.read_text().splitlines()
    assert first == f"# {COMMAND}"
    assert len(lines) == NUM_STEPS
    assert golden_losses() == pytest.approx([float(line) for line in lines], rel=1e-5)
