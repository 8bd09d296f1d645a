"""The free-running loop: its draws, its ends and its noise."""

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from tiny import random_ids, tiny_decoder

from seqvae.errors import InputError
from seqvae.model import cuda_graph
from seqvae.model.config import Sampling
from seqvae.model.decoding import (
    GREEDY,
    decode,
    decode_steps,
    draw_tokens,
)
from seqvae.model.noise import GumbelNoise
from seqvae.model.stepper import Stepper

CPU = torch.device("cpu")
DECODERS = pytest.mark.parametrize(
    "changes",
    [
        {"vocab_sizes": (7, 3, 5), "decoder_layers": 2},
        {"vocab_sizes": (7, 3), "decoder": "hierarchical", "segment_length": 2},
    ],
)


def codes(num_rows: int) -> torch.Tensor:
    return torch.randn(num_rows, 3, generator=torch.Generator().manual_seed(0))


@DECODERS
def test_a_row_does_not_depend_on_the_rows_beside_it(changes: dict[str, object]) -> None:
    decoder, z, seeds = tiny_decoder(**changes), codes(6), [5, 8, 1, 9, 8, 3]
    together = decode(Stepper(decoder), z, num_steps=6, sampling=Sampling(), seeds=seeds).ids
    for row in range(6):
        alone = decode(
            Stepper(decoder),
            z[row : row + 1],
            num_steps=6,
            sampling=Sampling(),
            seeds=seeds[row : row + 1],
        )
        assert torch.equal(alone.ids[0], together[row])
    turned = decode(
        Stepper(decoder), z.flip(0), num_steps=6, sampling=Sampling(), seeds=seeds[::-1]
    ).ids
    assert torch.equal(turned.flip(0), together)


@DECODERS
def test_the_seed_of_a_row_is_all_its_randomness(changes: dict[str, object]) -> None:
    decoder, z = tiny_decoder(**changes), codes(1).expand(3, -1)
    before = torch.get_rng_state()
    ids = decode(Stepper(decoder), z, num_steps=6, sampling=Sampling(), seeds=[4, 4, 5]).ids
    assert torch.equal(ids[0], ids[1])
    assert not torch.equal(ids[0], ids[2])
    assert torch.equal(torch.get_rng_state(), before)


@DECODERS
def test_steps_are_yielded_as_they_are_made(changes: dict[str, object]) -> None:
    decoder, z = tiny_decoder(**changes), codes(4)
    whole = decode(Stepper(decoder), z, num_steps=6, sampling=Sampling(), seeds=range(4)).ids
    steps = decode_steps(Stepper(decoder), z, num_steps=6, sampling=Sampling(), seeds=range(4))
    assert torch.equal(next(steps), whole[:, 0])
    assert torch.equal(next(steps), whole[:, 1])
    assert torch.equal(torch.stack(list(steps), dim=1), whole[:, 2:])


class Count:
    """The state of `Countdown`: a number per row."""

    def __init__(self, left: torch.Tensor) -> None:
        self.left = left

    def keep(self, rows: torch.Tensor) -> "Count":
        return Count(self.left[rows])

    def copy_(self, other: "Count") -> "Count":
        return other


class Countdown:
    """A network of the loop's contract that never saw torch.nn: it counts down from its code."""

    segment_length = 2

    def codes(self, z: torch.Tensor) -> torch.Tensor:
        return torch.stack([z, z + 10], dim=1)

    def begin(self, code: torch.Tensor) -> Count:
        return Count(code[:, 0])

    def step(
        self, tokens: torch.Tensor | None, conditions: torch.Tensor | None, state: Count
    ) -> torch.Tensor:
        last = torch.zeros(len(state.left)) if tokens is None else tokens[:, 0]
        condition = torch.zeros(len(state.left)) if conditions is None else conditions[:, 0]
        features = torch.stack([state.left, last, condition], dim=1)
        state.left = state.left - 1
        return features

    def draw(self, features: torch.Tensor, draw: Callable[..., torch.Tensor]) -> torch.Tensor:
        return features.long()


def test_the_loop_knows_no_network() -> None:
    conditions = torch.arange(100, 108).view(2, 4, 1)
    decoded = decode(
        Countdown(), torch.tensor([[5.0], [7.0]]), num_steps=4, eos_id=6, conditions=conditions
    )
    # State, the token before, the condition of this step; and the condition again, as a column.
    assert decoded.ids[0].tolist() == [
        [5, 0, 100, 100], [4, 5, 101, 101], [15, 4, 102, 102], [14, 15, 103, 103]
    ]  # fmt: skip
    assert decoded.lengths.tolist() == [4, 2]  # 7, 6


def noise_for(logits: torch.Tensor) -> torch.Tensor:
    return GumbelNoise(range(len(logits)), CPU).at(0, 0, logits.shape[1])


@DECODERS
@pytest.mark.parametrize("sampling", [GREEDY, Sampling(temperature=1.5)])
def test_rows_that_leave_the_batch_change_no_other(
    changes: dict[str, object], sampling: Sampling
) -> None:
    decoder, z = tiny_decoder(**changes), codes(60)
    whole = decode(Stepper(decoder), z, num_steps=6, sampling=sampling, seeds=range(60))
    ended = decode(Stepper(decoder), z, num_steps=6, eos_id=2, sampling=sampling, seeds=range(60))
    assert sampling is GREEDY or len(ended.lengths.unique()) > 2
    for row, length in enumerate(ended.lengths.tolist()):
        assert torch.equal(ended.ids[row, :length], whole.ids[row, :length])
        assert 2 not in whole.ids[row, : length - 1, 0]


class Counted:
    """A decoder that counts the rows of every step."""

    def __init__(self, decoder: Stepper) -> None:
        self.decoder, self.sizes = decoder, list[int]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.decoder, name)

    def step(self, tokens: Any, conditions: Any, state: Any) -> Any:
        self.sizes.append(len(state.gates))
        return self.decoder.step(tokens, conditions, state)


def test_rows_that_have_ended_are_not_decoded() -> None:
    decoder = Counted(Stepper(tiny_decoder(vocab_sizes=(7,))))
    sampling = Sampling(temperature=1.5)
    list(
        decode_steps(decoder, codes(60), num_steps=6, eos_id=2, sampling=sampling, seeds=range(60))
    )
    assert decoder.sizes[0] == 60
    assert decoder.sizes[-1] < 45
    assert decoder.sizes == sorted(decoder.sizes, reverse=True)


class Threads(Stepper):
    """A decoder that notes the number of threads."""

    seen: ClassVar[set[int]] = set()

    def step(self, *inputs: Any) -> Any:
        self.seen.add(torch.get_num_threads())
        return super().step(*inputs)


@pytest.mark.parametrize(
    ("num_rows", "policy", "expected"),
    [(2, "PASSIVE", {1}), (2, None, {1}), (2, "active", {3}), (64, "PASSIVE", {3})],
)
def test_few_rows_are_decoded_by_one_thread(
    num_rows: int, policy: str | None, expected: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if policy is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    decoder, before = Threads(tiny_decoder(vocab_sizes=(7,))), torch.get_num_threads()
    decoder.seen.clear()
    torch.set_num_threads(3)
    try:
        for _ in decode_steps(decoder, codes(num_rows), num_steps=2):
            assert torch.get_num_threads() == 3  # between the steps
    finally:
        torch.set_num_threads(before)
    assert decoder.seen == expected


@pytest.mark.parametrize("streamed", [True, False])
def test_when_few_rows_go_on_they_go_on_by_one_thread(
    streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    decoder, before = Threads(tiny_decoder(vocab_sizes=(3,))), torch.get_num_threads()
    decoder.seen.clear()
    settings: Any = {
        "num_steps": 9, "eos_id": 2, "sampling": Sampling(), "seeds": range(64),
    }  # fmt: skip
    torch.set_num_threads(3)
    try:
        if streamed:
            for _ in decode_steps(decoder, codes(64), **settings):
                assert torch.get_num_threads() == 3  # between the steps
        else:
            decode(decoder, codes(64), **settings)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert decoder.seen == {3, 1}


# Probabilities out of order, and in another order in each row.
PROBABILITIES = torch.tensor([[0.15, 0.5, 0.1, 0.25], [0.25, 0.1, 0.15, 0.5]])


def renormalised(keep: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """The `keep` largest of a row, the others 0."""

    def apply(row: torch.Tensor) -> torch.Tensor:
        kept = torch.where(row >= row.sort(descending=True).values[keep - 1], row, 0.0)
        return kept / kept.sum()

    return apply


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), renormalised(4)),
        (Sampling(top_k=4), renormalised(4)),
        (Sampling(top_k=9), renormalised(4)),
        (Sampling(top_k=3), renormalised(3)),
        (Sampling(top_k=2), renormalised(2)),
        (Sampling(top_p=0.95), renormalised(4)),
        (Sampling(top_p=0.85), renormalised(3)),
        (Sampling(top_p=0.55), renormalised(2)),
        (Sampling(top_p=0.45), renormalised(1)),
        # Of the three that are kept, the first two have 0.83; of all four they would have 0.75.
        (Sampling(top_k=3, top_p=0.8), renormalised(2)),
        (Sampling(temperature=0.5), lambda row: row**2 / (row**2).sum()),
        (Sampling(temperature=2.0), lambda row: row**0.5 / (row**0.5).sum()),
        # The temperature comes first: p^2 gives the first token 0.72, which reaches 0.7.
        (Sampling(temperature=0.5, top_p=0.7), renormalised(1)),
    ],
)
def test_draws_have_the_exact_frequencies(
    sampling: Sampling, expected: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    num_draws = 20_000
    logits = PROBABILITIES.log().repeat(num_draws, 1) + 3  # logits are not normalised
    drawn = draw_tokens(logits, sampling, noise_for(logits)).view(num_draws, 2)
    for row in range(2):
        exact = expected(PROBABILITIES[row])
        frequency = torch.bincount(drawn[:, row], minlength=4) / num_draws
        assert (frequency[exact == 0] == 0).all()
        five_errors = 5 * (exact * (1 - exact) / num_draws).sqrt()
        assert ((frequency - exact).abs() <= five_errors + 1e-6).all()


@pytest.mark.parametrize(
    "sampling",
    [
        GREEDY,
        Sampling(temperature=0, top_k=3, top_p=0.5),
        Sampling(top_k=1),
        Sampling(top_p=1e-6),
        Sampling(temperature=1e-4),
    ],
)
def test_greedy_in_many_ways(sampling: Sampling) -> None:
    logits = torch.randn(200, 11, generator=torch.Generator().manual_seed(0))
    logits = logits.where(logits < logits.amax(1, keepdim=True), logits + 0.01)  # no near ties
    drawn = draw_tokens(logits, sampling, noise_for(logits))
    assert torch.equal(drawn, logits.argmax(-1))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("top_k", -1),
        ("top_p", 0.0),
        ("top_p", -0.5),
        ("top_p", 1.1),
        ("top_p", float("nan")),
    ],
)
def test_impossible_settings_are_refused(setting: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{setting} is {value}; it (must|takes)"):
        Sampling(**{setting: value})


@pytest.mark.parametrize("sampling", [Sampling(top_k=1), Sampling(temperature=1e-40)])
def test_nearly_greedy_settings_draw_one_token_even_where_it_ties(sampling: Sampling) -> None:
    logits = torch.tensor([[1.0, 3.0, 3.0, 0.0]]).repeat(50, 1)
    drawn = draw_tokens(logits, sampling, noise_for(logits))
    assert set(drawn.tolist()) <= ({1, 2} if sampling.top_k == 0 else {int(drawn[0])})


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(temperature=1.5, top_k=5)])
@DECODERS
def test_recorded_steps_draw_the_same(
    changes: dict[str, Any], sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {**changes, "condition_sizes": (5,)}
    decoder, z = Stepper(tiny_decoder(**changes)), codes(60)
    conditions = random_ids((5,), 60, 6)
    drawn: dict[str, Any] = {
        "num_steps": 6, "eos_id": 2, "sampling": sampling, "seeds": range(60),
        "conditions": conditions,
    }  # fmt: skip
    expected = decode(decoder, z, **drawn)
    recorded: list[Callable[[], None]] = []

    def record(work: Callable[[], None]) -> Callable[[], None]:
        recorded.append(work)
        return work  # to do it again is what a graph does

    monkeypatch.setattr(cuda_graph, "has_graphs", lambda device: True)
    monkeypatch.setattr(cuda_graph, "record", record)
    decoded = decode(decoder, z, **drawn)
    assert torch.equal(decoded.lengths, expected.lengths)
    for row, length in enumerate(expected.lengths):
        assert torch.equal(decoded.ids[row, :length], expected.ids[row, :length])
    assert recorded  # once, and again after rows have left


@DECODERS
def test_recorded_steps_yield_what_is_not_overwritten(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder, z = Stepper(tiny_decoder(**changes)), codes(60)
    drawn: dict[str, Any] = {"num_steps": 6, "sampling": Sampling(), "seeds": range(60)}
    expected = decode(decoder, z, **drawn).ids
    monkeypatch.setattr(cuda_graph, "has_graphs", lambda device: True)
    monkeypatch.setattr(cuda_graph, "record", lambda work: work)
    assert torch.equal(torch.stack(list(decode_steps(decoder, z, **drawn)), dim=1), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@DECODERS
def test_a_gpu_draws_what_a_cpu_draws(changes: dict[str, Any]) -> None:
    decoder, z = tiny_decoder(**changes), codes(60)
    drawn: dict[str, Any] = {
        "num_steps": 6, "eos_id": 2, "sampling": Sampling(temperature=1.5), "seeds": range(60)
    }  # fmt: skip
    expected = decode(Stepper(decoder), z, **drawn)
    decoded = decode(Stepper(decoder.cuda()), z.cuda(), **drawn)
    assert torch.equal(decoded.lengths.cpu(), expected.lengths)
