import itertools
import json
from pathlib import Path

import pytest
import torch
from make_golden import COMMAND, GOLDEN_FILE, NUM_STEPS, golden_losses
from safetensors.torch import load_file
from tiny import random_ids, tiny_vae

from seqvae.errors import InputError
from seqvae.model.decoder import FlatDecoder, Sampling
from seqvae.model.encoder import Encoder
from seqvae.model.objective import Objective, sequence_nll
from seqvae.model.vae import SequenceVAE

LENGTHS = torch.tensor([6, 2, 1, 5])
FILES = ("config.json", "model.safetensors")

VARIANTS = pytest.mark.parametrize(
    "changes",
    [
        {},
        {"vocab_sizes": (5, 3, 4), "encoder_layers": 2, "decoder_layers": 2},
        {"eos_id": 1, "dropout": 0.3, "token_dropout": 0.5},
        {"eos_id": 1, "latent_dim": 0, "decoder_layers": 2, "tied_embeddings": True},
        {"vocab_sizes": (5, 3), "tied_embeddings": True, "num_softmaxes": 2},
        {"tied_embeddings": True, "embedding_dim": 6, "z_wiring": ["state", "input", "output"]},
        {
            "bn_gamma": 0.6,
            "encoder_pooling": "max",
            "z_wiring": ["output"],
            "embedding_dropout": 0.2,
        },
        {"encoder_pooling": "mean", "encoder_dropout": 0.3, "weight_dropout": 0.5},
    ],
)
WITHOUT_CODE = {"latent_dim": 0, "vocab_sizes": (3,), "decoder_layers": 2}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@VARIANTS
@torch.no_grad()
def test_the_bound_is_made_of_encoder_and_decoder(changes: dict[str, object]) -> None:
    model = tiny_vae(**changes)
    ids = random_ids(model.vocab_sizes, 4, 6)
    bound = model(ids, LENGTHS, seeded(0))
    posterior = model.encode(ids, LENGTHS)
    noise = torch.empty(4, model.latent_dim).normal_(generator=seeded(0))
    z = posterior.mean + posterior.log_stddev.exp() * noise
    assert torch.equal(bound.kl, posterior.kl())
    torch.testing.assert_close(bound.nll, sequence_nll(model.decoder(z, ids), ids, LENGTHS))


@pytest.mark.parametrize("locked", [True, False])
@torch.no_grad()
def test_each_setting_reaches_the_encoder_or_the_decoder(locked: bool) -> None:
    decoding = {
        "tied_embeddings": True, "num_softmaxes": 2,
        "dropout": 0.2, "locked_dropout": locked, "embedding_dropout": 0.3, "weight_dropout": 0.4,
        "token_dropout": 0.5,
    }  # fmt: skip
    model = tiny_vae(
        encoder_layers=2, decoder_layers=3, encoder_pooling="max", encoder_dropout=0.1,
        bn_gamma=0.6, z_wiring=["input", "output"], **decoding,
    ).train()  # fmt: skip
    encoder = Encoder(
        vocab_sizes=(5,), embedding_dim=4, hidden_dim=5, num_layers=2, latent_dim=3,
        pooling="max", dropout=0.1, bn_gamma=0.6,
    ).train()  # fmt: skip
    decoder = FlatDecoder(
        vocab_sizes=(5,), embedding_dim=4, hidden_dim=6, num_layers=3, latent_dim=3,
        z_wiring=("input", "output"), **decoding,
    ).train()  # fmt: skip
    encoder.load_state_dict(model.encoder.state_dict())
    decoder.load_state_dict(model.decoder.state_dict())
    ids, z = random_ids((5,), 4, 6), torch.randn(4, 3, generator=seeded(0))
    results = []
    for reader, writer in ((model.encoder, model.decoder), (encoder, decoder)):
        torch.manual_seed(0)  # of the dropout
        results.append((reader(ids, LENGTHS).mean, writer.token_nll(z, ids)))
    for ours, expected in zip(*results, strict=True):
        assert torch.equal(ours, expected)


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


@VARIANTS
def test_every_parameter_gets_a_gradient(changes: dict[str, object]) -> None:
    torch.manual_seed(0)  # of the dropout
    model = tiny_vae(**changes).train()
    bound = model(random_ids(model.vocab_sizes, 4, 6), LENGTHS, seeded(0))
    Objective().loss(bound, 1.0).backward()
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
    z = torch.randn(4, model.latent_dim, generator=seeded(1))
    decoded, expected = (m.decode(z, Sampling(), seeded(2)) for m in (again, model))
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
    tiny_vae(**changes).save(folders[0])
    SequenceVAE.load(folders[0]).save(folders[1])
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
    model.save(tmp_path)
    decoder = SequenceVAE.load(tmp_path).decoder
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


def test_settings_are_plain_json(tmp_path: Path) -> None:
    model = tiny_vae(vocab_sizes=(5, 3))
    model.save(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved == model.settings | {
        "vocab_sizes": [5, 3],
        "given_sizes": [],
        "num_members": [],
    }


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


# With latent_dim 0: a language model


@torch.no_grad()
def test_without_a_code_there_is_no_encoder_and_no_kl(tmp_path: Path) -> None:
    model, ids = tiny_vae(**WITHOUT_CODE), random_ids((3,), 4, 6)
    model.save(tmp_path)
    for lm in (model, SequenceVAE.load(tmp_path)):
        assert lm.encoder is None
        assert lm.latent_dim == 0
        assert all(name.startswith("decoder.") for name, _ in lm.named_parameters())
        q = lm.encode(ids, LENGTHS)
        assert q.mean.shape == q.log_stddev.shape == q.sample(seeded(0)).shape == (4, 0)
        bound = lm(ids, LENGTHS, seeded(0))
        assert bound.kl_per_dim.shape == (4, 0)
        assert torch.equal(bound.kl, torch.zeros(4))
        assert torch.equal(bound.total(), bound.nll)
        expected = model(ids, LENGTHS, seeded(1))  # z has no noise
        assert torch.equal(bound.nll, expected.nll)
        for state in lm.decoder.begin(q.mean):
            assert torch.equal(state, torch.zeros(2, 4, 6))


@pytest.mark.parametrize("eos_id", [None, 1])
@pytest.mark.parametrize(
    "changes",
    [{}, {"tied_embeddings": True}, {"num_softmaxes": 3}, {"vocab_sizes": (3, 2), "max_steps": 3}],
)
@torch.no_grad()
def test_the_likelihoods_of_all_sequences_sum_to_one(
    changes: dict[str, object], eos_id: int | None
) -> None:
    model = tiny_vae(**{"max_steps": 4} | WITHOUT_CODE | changes, eos_id=eos_id)
    steps = list(itertools.product(*map(range, model.vocab_sizes)))
    lengths_of: dict[tuple[tuple[int, ...], ...], int] = {}
    for sequence in itertools.product(steps, repeat=model.max_steps):
        ends = [step + 1 for step, tokens in enumerate(sequence) if tokens[0] == eos_id]
        length = min(ends, default=model.max_steps)
        padding = (steps[0],) * (model.max_steps - length)
        lengths_of[sequence[:length] + padding] = length
    ids, lengths = torch.tensor(list(lengths_of)), torch.tensor(list(lengths_of.values()))
    bound = model(ids, lengths)
    assert bound.total().std() > 0.1  # not a uniform distribution
    assert bound.total().double().neg().exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_a_language_model_trains_and_decodes() -> None:
    model, ids = tiny_vae(**WITHOUT_CODE, eos_id=1), random_ids((3,), 4, 6)
    optimizer = torch.optim.Adam(model.train().parameters(), lr=0.03)
    losses = []
    for _ in range(30):
        loss = Objective().loss(model(ids, LENGTHS), 1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    decoded = model.eval().decode(torch.zeros(50, 0), Sampling(), seeded(0))
    assert decoded.ids.shape == (50, 6, 1)
    assert len(decoded.ids.unique(dim=0)) > 3


# Batch-normalised means


def test_a_batch_of_one_trains_with_normalised_means() -> None:
    model = tiny_vae(bn_gamma=0.6).train()
    ids, lengths = random_ids((5,), 1, 6), torch.tensor([6])
    bound = model(ids, lengths, seeded(0))
    Objective().loss(bound, 1.0).backward()
    assert bound.total().isfinite().all()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name


@torch.no_grad()
def test_the_running_statistics_are_saved(tmp_path: Path) -> None:
    model, ids = tiny_vae(bn_gamma=0.6), random_ids((5,), 4, 6)
    before = model.encode(ids, LENGTHS).mean
    model.train().encode(ids, LENGTHS)
    model.eval().save(tmp_path)
    after = model.encode(ids, LENGTHS).mean
    assert (after - before).abs().max() > 0.01
    assert torch.equal(SequenceVAE.load(tmp_path).encode(ids, LENGTHS).mean, after)


def test_golden_losses() -> None:
    first, *lines = GOLDEN_FILE.read_text().splitlines()
    assert first == f"# {COMMAND}"
    assert len(lines) == NUM_STEPS
    assert golden_losses() == pytest.approx([float(line) for line in lines], rel=1e-5)
