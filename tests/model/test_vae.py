import itertools

import pytest
import torch
from make_golden import COMMAND, GOLDEN_FILE, NUM_STEPS, golden_losses
from tiny import random_ids, tiny_decoder, tiny_encoder, tiny_vae

from seqvae.model.config import Sampling
from seqvae.model.decoding import decode
from seqvae.model.objective import sequence_nll, training_loss
from seqvae.model.remedies import Objective
from seqvae.model.stepper import Stepper

LENGTHS = torch.tensor([6, 2, 1, 5])

VARIANTS = pytest.mark.parametrize(
    "changes",
    [
        {},
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
WITHOUT_CODE = {"latent_dim": 0, "vocab_sizes": (3,), "decoder_layers": 2}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@VARIANTS
@torch.no_grad()
def test_the_bound_is_made_of_encoder_and_decoder(changes: dict[str, object]) -> None:
    model = tiny_vae(**changes)
    ids = random_ids(model.steps.vocab_sizes, 4, 6)
    bound = model(ids, LENGTHS, seeded(0))
    posterior = model.encode(ids, LENGTHS)
    noise = torch.empty(4, model.config.latent_dim).normal_(generator=seeded(0))
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
        bn_gamma=0.6, z_wiring=("input", "output"), **decoding,
    ).train()  # fmt: skip
    encoder, decoder = (
        make(
            encoder_layers=2, decoder_layers=3, encoder_pooling="max", encoder_dropout=0.1,
            bn_gamma=0.6, z_wiring=("input", "output"), **decoding,
        ).train()
        for make in (tiny_encoder, tiny_decoder)
    )  # fmt: skip
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
    ids = random_ids(model.steps.vocab_sizes, 4, 6)

    def nll(index: torch.Tensor) -> torch.Tensor:
        z = model.encode(ids[index], LENGTHS[index]).mean
        return sequence_nll(model.decoder(z, ids[index]), ids[index], LENGTHS[index])

    in_order, permutation = nll(torch.arange(4)), torch.tensor([3, 0, 2, 1])
    torch.testing.assert_close(nll(permutation), in_order[permutation], rtol=1e-5, atol=1e-5)


@VARIANTS
@torch.no_grad()
def test_padding_changes_neither_term(changes: dict[str, object]) -> None:
    model = tiny_vae(**changes)
    ids, more = (random_ids(model.steps.vocab_sizes, 4, 6, seed=seed) for seed in (0, 1))
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
    bound = model(random_ids(model.steps.vocab_sizes, 4, 6), LENGTHS, seeded(0))
    training_loss(Objective(), bound, 1.0).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@torch.no_grad()
def test_decoding_is_greedy_by_default_and_bounded_by_max_steps() -> None:
    model, z = tiny_vae(eos_id=1, max_steps=6), torch.randn(30, 3, generator=seeded(0))
    decoded, again = model.decode(z), model.decode(z)
    assert torch.equal(decoded.ids, again.ids)
    assert decoded.ids.shape[1] <= 6
    expected = decode(Stepper(model.decoder), z, num_steps=6, eos_id=1)
    assert torch.equal(decoded.ids, expected.ids)
    assert torch.equal(decoded.lengths, expected.lengths)


# With latent_dim 0: a language model


@torch.no_grad()
def test_without_a_code_there_is_no_encoder_and_no_kl() -> None:
    model, ids = tiny_vae(**WITHOUT_CODE), random_ids((3,), 4, 6)
    for lm in (model,):
        assert lm.encoder is None
        assert lm.config.latent_dim == 0
        assert all(name.startswith("decoder.") for name, _ in lm.named_parameters())
        q = lm.encode(ids, LENGTHS)
        assert q.mean.shape == q.log_stddev.shape == q.sample(seeded(0)).shape == (4, 0)
        bound = lm(ids, LENGTHS, seeded(0))
        assert bound.kl_per_dim.shape == (4, 0)
        assert torch.equal(bound.kl, torch.zeros(4))
        assert torch.equal(bound.total(), bound.nll)
        expected = model(ids, LENGTHS, seeded(1))  # z has no noise
        assert torch.equal(bound.nll, expected.nll)
        state = lm.decoder.begin(q.mean)
        for part in (state.hidden, state.cell):
            assert torch.equal(part, torch.zeros(2, 4, 6))


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
    steps = list(itertools.product(*map(range, model.steps.vocab_sizes)))
    lengths_of: dict[tuple[tuple[int, ...], ...], int] = {}
    for sequence in itertools.product(steps, repeat=model.steps.max_steps):
        ends = [step + 1 for step, tokens in enumerate(sequence) if tokens[0] == eos_id]
        length = min(ends, default=model.steps.max_steps)
        padding = (steps[0],) * (model.steps.max_steps - length)
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
        loss = training_loss(Objective(), model(ids, LENGTHS), 1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    decoded = model.eval().decode(torch.zeros(50, 0), Sampling(), range(50))
    assert decoded.ids.shape == (50, 6, 1)
    assert len(decoded.ids.unique(dim=0)) > 3


# Batch-normalised means


def test_a_batch_of_one_trains_with_normalised_means() -> None:
    model = tiny_vae(bn_gamma=0.6).train()
    ids, lengths = random_ids((5,), 1, 6), torch.tensor([6])
    bound = model(ids, lengths, seeded(0))
    training_loss(Objective(), bound, 1.0).backward()
    assert bound.total().isfinite().all()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name


def test_golden_losses() -> None:
    first, *lines = GOLDEN_FILE.read_text().splitlines()
    assert first == f"# {COMMAND}"
    assert len(lines) == NUM_STEPS
    assert golden_losses() == pytest.approx([float(line) for line in lines], rel=1e-5)


# Wiring


@torch.no_grad()
def test_the_encoder_reads_what_it_is_shown_and_the_decoder_writes_the_ids() -> None:
    model, ids, other = tiny_vae(), *(random_ids((5,), 4, 6, seed=seed) for seed in (0, 1))
    shown = model(ids, LENGTHS, seeded(0), encoder_input=other)
    assert torch.equal(shown.kl, model.encode(other, LENGTHS).kl())
    z = model.encode(other, LENGTHS).sample(seeded(0))
    torch.testing.assert_close(shown.nll, sequence_nll(model.decoder(z, ids), ids, LENGTHS))


@torch.no_grad()
def test_a_model_samples_as_it_is_told() -> None:
    model, z = tiny_vae(), torch.randn(40, 3, generator=seeded(0))
    greedy, drawn = model.decode(z).ids, model.decode(z, Sampling(), range(40)).ids
    assert not torch.equal(greedy, drawn)
    expected = decode(Stepper(model.decoder), z, num_steps=6, sampling=Sampling(), seeds=range(40))
    assert torch.equal(drawn, expected.ids)


@pytest.mark.parametrize("decoder", ["flat", "hierarchical"])
@torch.no_grad()
def test_conditions_reach_encoder_and_decoder_and_are_zero_by_default(decoder: str) -> None:
    sizes = {"decoder": decoder, "segment_length": 4, "max_steps": 6, "latent_dim": 4}
    model = tiny_vae(condition_sizes=(3,), **sizes)
    ids = random_ids((5, 3), 4, 6)
    changed = ids.clone()
    changed[..., 1] = (ids[..., 1] + 1) % 3
    assert not torch.equal(model.encode(ids, LENGTHS).mean, model.encode(changed, LENGTHS).mean)
    z = torch.randn(40, 4, generator=seeded(0))
    free, zeros = model.decode(z), torch.zeros(40, 6, 1, dtype=torch.long)
    assert torch.equal(free.ids, model.decode(z, conditions=zeros).ids)
    assert not torch.equal(free.ids[..., :1], model.decode(z, conditions=zeros + 2).ids[..., :1])


@pytest.mark.parametrize(
    ("num_rows", "training", "expected"), [(4, False, 1), (64, False, 3), (4, True, 3)]
)
def test_few_rows_are_encoded_by_one_thread(num_rows: int, training: bool, expected: int) -> None:
    model, before, seen = tiny_vae(encoder_layers=2), torch.get_num_threads(), list[int]()
    assert model.encoder is not None
    model.encoder.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    torch.set_num_threads(3)
    try:
        with torch.set_grad_enabled(training):
            model.encode(random_ids((5,), num_rows, 6), torch.full((num_rows,), 6))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert seen == [expected]
