import itertools
from typing import Any

import pytest
import tiny
import torch
from tiny import random_ids
from torch import nn

from seqvae.model.config import Z_WIRINGS, Sampling
from seqvae.model.decoder import FlatDecoder
from seqvae.model.decoding import decode, draw_tokens
from seqvae.model.noise import GumbelNoise
from seqvae.model.objective import over_sequence, sequence_nll
from seqvae.model.stepper import Stepper

LAYERS = pytest.mark.parametrize("num_layers", [1, 2])
CHANNELS = pytest.mark.parametrize("vocab_sizes", [(7,), (7, 3, 5)])
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}  # float32, a recurrence of a few steps


SETTINGS = pytest.mark.parametrize(
    "settings",
    [
        {},
        {"latent_dim": 0},
        *({"z_wiring": (way,)} for way in Z_WIRINGS),
        {"z_wiring": Z_WIRINGS},
        {"tied_embeddings": True},
        {"embedding_dim": 6, "tied_embeddings": True},
        {"num_softmaxes": 3},
        {"z_wiring": Z_WIRINGS, "tied_embeddings": True, "num_softmaxes": 2},
    ],
)


def tiny_decoder(
    vocab_sizes: tuple[int, ...] = (7,), num_layers: int = 1, **changes: Any
) -> FlatDecoder:
    return tiny.tiny_decoder(vocab_sizes=vocab_sizes, decoder_layers=num_layers, **changes)


def codes(num_sequences: int, latent_dim: int = 3, *, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num_sequences, latent_dim, generator=generator)


def slow_head(head: nn.Module, features: torch.Tensor) -> torch.Tensor:
    """Logits (V,) of one state, a mixture component by component."""
    if isinstance(head, nn.Linear):
        return head.weight @ features + head.bias
    contexts = torch.tanh(head.contexts(features)).chunk(head.num_softmaxes)
    parts = [(head.output.weight @ context + head.output.bias).softmax(0) for context in contexts]
    priors = head.priors(features).softmax(0)
    return sum(prior * part for prior, part in zip(priors, parts, strict=True)).log()


def slow_logits(decoder: FlatDecoder, z: torch.Tensor, ids: torch.Tensor) -> list[torch.Tensor]:
    """The decoder step by step, layer by layer, one sequence at a time."""
    tables, layers, heads = decoder.embedding.channels, decoder.layers, decoder.heads
    logits = [torch.zeros(*ids.shape[:2], table.num_embeddings) for table in tables]
    for b in range(len(ids)):
        state = torch.zeros(2, len(layers), 6)
        if decoder.initial_state is not None:
            state = torch.tanh(decoder.initial_state(z[b])).view(2, len(layers), 6)
        hidden, cell = list(state[0][:, None]), list(state[1][:, None])
        for t in range(ids.shape[1]):
            tokens = decoder.start
            if t > 0:
                tokens = sum(table.weight[ids[b, t - 1, c]] for c, table in enumerate(tables))
            x = torch.cat([tokens, z[b]] if decoder.code_beside_input else [tokens])[None]
            for k, lstm in enumerate(layers):
                weights = (lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, lstm.bias_hh_l0)
                hidden[k], cell[k] = torch.lstm_cell(x, (hidden[k], cell[k]), *weights)
                x = hidden[k]
            features = x[0]
            if isinstance(decoder.project, nn.Linear):
                features = decoder.project.weight @ features + decoder.project.bias
            if decoder.skip is not None:
                features = features + decoder.skip.weight @ z[b] + decoder.skip.bias
            for c, head in enumerate(heads.logits):
                logits[c][b, t] = slow_head(head, features)
                if c + 1 < len(heads.logits):
                    told = torch.cat([features, heads.embeddings[c].weight[ids[b, t, c]]])
                    features = features + torch.tanh(heads.mixers[c](told))
    return logits


@LAYERS
@CHANNELS
@SETTINGS
@torch.no_grad()
def test_equals_a_slow_loop(
    settings: dict[str, Any], vocab_sizes: tuple[int, ...], num_layers: int
) -> None:
    decoder = tiny_decoder(vocab_sizes, num_layers, **settings)
    z, ids = codes(3, settings.get("latent_dim", 3)), random_ids(vocab_sizes, 3, 5)
    for logits, expected in zip(decoder(z, ids), slow_logits(decoder, z, ids), strict=True):
        assert expected.std(1).min() > 0.001  # the steps do differ
        torch.testing.assert_close(logits, expected, **TOLERANCE)


@LAYERS
@CHANNELS
@SETTINGS
def test_the_quick_likelihood_is_that_of_the_logits(
    settings: dict[str, Any], vocab_sizes: tuple[int, ...], num_layers: int
) -> None:
    decoder = tiny_decoder(vocab_sizes, num_layers, **settings)
    z, ids = codes(4, settings.get("latent_dim", 3)), random_ids(vocab_sizes, 4, 5)
    lengths, leaves = torch.tensor([5, 2, 1, 4]), tuple(decoder.parameters())
    upstream = torch.tensor([1.0, -0.5, 2.0, 0.3])
    quick = over_sequence(decoder.token_nll(z, ids), lengths)
    slow = sequence_nll(decoder(z, ids), ids, lengths)
    torch.testing.assert_close(quick, slow, **TOLERANCE)
    gradients = [torch.autograd.grad((nll * upstream).sum(), leaves) for nll in (quick, slow)]
    for ours, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        without = over_sequence(decoder.token_nll(z, ids), lengths)
    torch.testing.assert_close(without, slow, **TOLERANCE)


@LAYERS
@CHANNELS
@torch.no_grad()
def test_a_token_is_seen_by_what_follows_it_alone(
    vocab_sizes: tuple[int, ...], num_layers: int
) -> None:
    decoder, z = tiny_decoder(vocab_sizes, num_layers), codes(2)
    ids = random_ids(vocab_sizes, 2, 5)
    before = decoder(z, ids)
    for step, channel in itertools.product(range(5), range(len(vocab_sizes))):
        changed = ids.clone()
        changed[:, step, channel] = (ids[:, step, channel] + 1) % vocab_sizes[channel]
        for c, (old, new) in enumerate(zip(before, decoder(z, changed), strict=True)):
            moved = (new - old).abs().amax(2)  # (B, T)
            assert (moved[:, :step] == 0).all()
            if c <= channel:
                assert (moved[:, step] == 0).all()
            else:
                assert (moved[:, step] > 1e-4).all()
            assert (moved[:, step + 1 : step + 2] > 1e-4).all()


@LAYERS
@CHANNELS
@torch.no_grad()
def test_greedy_decoding_repeats_itself_under_teacher_forcing(
    vocab_sizes: tuple[int, ...], num_layers: int
) -> None:
    decoder, z = tiny_decoder(vocab_sizes, num_layers, std=1.5), codes(20)
    decoded = decode(Stepper(decoder), z, num_steps=12)
    assert decoded.ids.shape == (20, 12, len(vocab_sizes))
    assert len(decoded.ids.unique(dim=0)) > 5  # the codes do matter
    assert len(decoded.ids.flatten(0, 1).unique(dim=0)) > 3
    for c, logits in enumerate(decoder(z, decoded.ids)):
        assert torch.equal(logits.argmax(-1), decoded.ids[..., c])


@LAYERS
@CHANNELS
@SETTINGS
@torch.no_grad()
def test_sampling_draws_from_the_teacher_forced_logits(
    settings: dict[str, Any], vocab_sizes: tuple[int, ...], num_layers: int
) -> None:
    decoder = tiny_decoder(vocab_sizes, num_layers, **settings)
    z = codes(20, settings.get("latent_dim", 3))
    sampling = Sampling(temperature=0.8, top_p=0.95)
    decoded = decode(Stepper(decoder), z, num_steps=8, sampling=sampling, seeds=range(20))
    noise, ids = GumbelNoise(range(20), z.device), torch.zeros_like(decoded.ids)
    for step, channel in itertools.product(range(8), range(len(vocab_sizes))):
        logits = decoder(z, ids)[channel][:, step]
        values = noise.at(step, channel, vocab_sizes[channel])
        ids[:, step, channel] = draw_tokens(logits, sampling, values)
    assert torch.equal(decoded.ids, ids)


def first_eos(row: torch.Tensor, eos_id: int) -> int:
    """Length of a sequence by a loop."""
    for step, tokens in enumerate(row.tolist()):
        if tokens[0] == eos_id:
            return step + 1
    return len(row)


@CHANNELS
@pytest.mark.parametrize("eos_id", [0, 2])
def test_eos_ends_a_sequence_and_is_counted(vocab_sizes: tuple[int, ...], eos_id: int) -> None:
    decoder = tiny_decoder(vocab_sizes)
    whole = decode(
        Stepper(decoder),
        codes(300),
        num_steps=9,
        eos_id=eos_id,
        sampling=Sampling(temperature=2),
        seeds=range(300),
    )
    expected = [first_eos(row, eos_id) for row in whole.ids]
    assert whole.lengths.tolist() == expected
    assert {1, 9} < set(expected)  # short, unfinished and others
    assert ((whole.ids[:, 8, 0] == eos_id) & (whole.lengths == 9)).any()  # ended by the last step


@torch.no_grad()
def test_decoding_stops_when_all_have_ended() -> None:
    decoder = tiny_decoder()
    decoder.heads.logits[0].bias[4] = 100.0
    decoded = decode(Stepper(decoder), codes(3), num_steps=9, eos_id=4)
    assert decoded.ids.tolist() == [[[4]]] * 3
    assert decoded.lengths.tolist() == [1, 1, 1]


@torch.no_grad()
def test_without_eos_all_have_the_full_length() -> None:
    decoder = tiny_decoder()
    decoder.heads.logits[0].bias[4] = 100.0
    decoded = decode(Stepper(decoder), codes(3), num_steps=9)
    assert decoded.ids.shape == (3, 9, 1)
    assert decoded.lengths.tolist() == [9, 9, 9]


@pytest.mark.parametrize("eos_id", [None, 2])
def test_a_batch_of_one_and_rows_of_a_batch_decode_alike(eos_id: int | None) -> None:
    decoder, z = tiny_decoder((7, 3, 5), 2), codes(4)
    together = decode(Stepper(decoder), z, num_steps=6, eos_id=eos_id)
    for row in range(4):
        alone = decode(Stepper(decoder), z[row : row + 1], num_steps=6, eos_id=eos_id)
        length = int(alone.lengths[0])
        assert length == together.lengths[row]
        assert torch.equal(alone.ids[0, :length], together.ids[row, :length])


@LAYERS
@torch.no_grad()
def test_the_state_of_every_layer_comes_from_its_own_row_of_z(num_layers: int) -> None:
    decoder, z = tiny_decoder(num_layers=num_layers), codes(4)
    before = decoder.begin(z)
    assert torch.equal(before.code, z)
    for state in (before.hidden, before.cell):
        assert state.shape == (num_layers, 4, 6)
    for row in range(4):
        alone = decoder.begin(z[row : row + 1])
        changed = z.clone()
        changed[row] += 1
        after = decoder.begin(changed)
        for name in ("hidden", "cell"):
            old, new, one = (getattr(state, name) for state in (before, after, alone))
            torch.testing.assert_close(one[:, 0], old[:, row], **TOLERANCE)
            moved = (new - old).abs().amax(2)  # (L, B)
            assert (moved[:, row] > 1e-3).all()
            moved[:, row] = 0
            assert (moved == 0).all()


@LAYERS
@torch.no_grad()
def test_logits_of_a_row_do_not_depend_on_its_batch(num_layers: int) -> None:
    decoder, z = tiny_decoder((7, 3, 5), num_layers), codes(4)
    ids = random_ids((7, 3, 5), 4, 5)
    permutation = torch.tensor([2, 0, 3, 1])
    for together, permuted in zip(
        decoder(z, ids), decoder(z[permutation], ids[permutation]), strict=True
    ):
        torch.testing.assert_close(permuted, together[permutation], **TOLERANCE)
    for row in range(4):
        alone = decoder(z[row : row + 1], ids[row : row + 1])
        for one, together in zip(alone, decoder(z, ids), strict=True):
            torch.testing.assert_close(one[0], together[row], **TOLERANCE)


@torch.no_grad()
def test_z_stands_beside_every_step() -> None:
    decoder, z, ids = tiny_decoder(), codes(2), random_ids((7,), 2, 5)
    decoder.initial_state.weight.zero_()  # z can act through the inputs alone
    decoder.layers[0].weight_hh_l0.zero_()
    decoder.layers[0].bias_ih_l0[6:12] = -30.0  # and the cell forgets
    moved = (decoder(z + 1, ids)[0] - decoder(z, ids)[0]).abs().amax(2)
    assert (moved > 1e-3).all()


WIRINGS = pytest.mark.parametrize(
    "wiring", [ways for size in range(1, 4) for ways in itertools.combinations(Z_WIRINGS, size)]
)


@LAYERS
@WIRINGS
def test_a_way_of_z_that_is_not_wired_has_no_parameters(
    wiring: tuple[str, ...], num_layers: int
) -> None:
    shapes, expected = (
        {name: tuple(parameter.shape) for name, parameter in decoder.named_parameters()}
        for decoder in (
            tiny_decoder(num_layers=num_layers, z_wiring=wiring),
            tiny_decoder(num_layers=num_layers, latent_dim=0),
        )
    )
    assert not any(name.startswith(("initial_state", "skip")) for name in expected)
    assert expected["layers.0.weight_ih_l0"] == (24, 4)
    size = 2 * num_layers * 6  # hidden and cell of every layer
    own = {
        "state": {"initial_state.weight": (size, 3), "initial_state.bias": (size,)},
        "input": {"layers.0.weight_ih_l0": (24, 4 + 3)},
        "output": {"skip.weight": (6, 3), "skip.bias": (6,)},
    }
    for way in wiring:
        expected |= own[way]
    assert shapes == expected


@LAYERS
@WIRINGS
@torch.no_grad()
def test_each_way_alone_brings_z_to_the_output(wiring: tuple[str, ...], num_layers: int) -> None:
    decoder, z = tiny_decoder(num_layers=num_layers, z_wiring=wiring), codes(4)
    ids = random_ids((7,), 4, 5)
    before = decoder.token_nll(z, ids)
    for dimension in range(3):
        changed = z.clone()
        changed[1, dimension] += 1
        moved = (decoder.token_nll(changed, ids) - before).abs()
        assert (moved[[0, 2, 3]] < 1e-6).all()
        assert (moved[1] > 1e-5).all()


@torch.no_grad()
def test_z_passes_the_layers_on_its_way_to_the_output() -> None:
    decoder, z = tiny_decoder(num_layers=2, z_wiring=("output",)), codes(2)
    for parameter in decoder.layers.parameters():
        parameter.zero_()
    ids, head = random_ids((7,), 2, 5), decoder.heads.logits[0]
    expected = decoder.skip(z) @ head.weight.T + head.bias
    torch.testing.assert_close(decoder(z, ids)[0], expected[:, None].expand(-1, 5, -1), **TOLERANCE)


@LAYERS
@pytest.mark.parametrize("settings", [{"latent_dim": 0}, {"z_wiring": ("input", "output")}])
def test_without_z_the_state_begins_at_zero(settings: dict[str, Any], num_layers: int) -> None:
    decoder = tiny_decoder(num_layers=num_layers, **settings)
    state = decoder.begin(codes(4, settings.get("latent_dim", 3)))
    for part in (state.hidden, state.cell):
        assert torch.equal(part, torch.zeros(num_layers, 4, 6))


DROPOUTS = ("dropout", "embedding_dropout", "weight_dropout", "token_dropout")


@LAYERS
@pytest.mark.parametrize("locked", [True, False])
@torch.no_grad()
def test_dropout_is_inactive_in_evaluation(locked: bool, num_layers: int) -> None:
    z, ids = codes(3), random_ids((7, 3), 3, 6)
    plain = tiny_decoder((7, 3), num_layers)
    shares = dict.fromkeys(DROPOUTS, 0.5)
    dropping = tiny_decoder((7, 3), num_layers, locked_dropout=locked, **shares)
    for _ in range(2):
        for logits, expected in zip(dropping(z, ids), plain(z, ids), strict=True):
            assert torch.equal(logits, expected)
    ours, expected = (decode(Stepper(decoder), z, num_steps=6) for decoder in (dropping, plain))
    assert torch.equal(ours.ids, expected.ids)


@pytest.mark.parametrize("locked", [True, False])
@pytest.mark.parametrize("setting", [*DROPOUTS, None])
@torch.no_grad()
def test_dropout_is_active_in_training(setting: str | None, locked: bool) -> None:
    torch.manual_seed(0)
    shares = {} if setting is None else {setting: 0.5}
    decoder = tiny_decoder(locked_dropout=locked, **shares).train()
    z, ids = codes(3), random_ids((7,), 3, 6)
    same = torch.equal(decoder(z, ids)[0], decoder(z, ids)[0])
    assert same == (setting is None)


@torch.no_grad()
def test_token_dropout_blanks_its_share_of_tokens_and_never_the_start() -> None:
    torch.manual_seed(0)
    decoder, inputs = tiny_decoder(token_dropout=0.3).train(), []
    decoder.layers[0].register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    z, ids = codes(100), random_ids((7,), 100, 101)
    decoder(z, ids)
    assert torch.equal(inputs[0][:, 0, :4], decoder.start.expand(100, -1))
    assert torch.equal(inputs[0][..., 4:], z[:, None].expand(-1, 101, -1))
    blank = (inputs[0][:, 1:, :4] == 0).all(2)
    assert blank.double().mean().item() == pytest.approx(0.3, abs=0.023)  # 5 standard errors
    assert len(blank.unique(dim=0)) == 100  # each sequence has a mask of its own
    kept = decoder.embedding(ids[:, :-1])[~blank]
    assert torch.equal(inputs[0][:, 1:, :4][~blank], kept)
