"""The steps of a model as they are drawn: those of `decode`."""

from typing import Any

import pytest
import torch
from tiny import random_ids, tiny_vae

from seqvae.model import vae as module
from seqvae.model.config import Sampling

SAMPLED = Sampling(temperature=1.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"vocab_sizes": (5, 3)},
        {"eos_id": 1},
        {"decoder": "hierarchical", "segment_length": 2},
        {"condition_sizes": (4, 2), "decoder_layers": 2},
    ],
)
def test_steps_stacked_are_what_is_decoded(changes: dict[str, Any]) -> None:
    model = tiny_vae(std=1.0, **changes)
    z = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    sizes = model.steps.condition_sizes
    conditions = random_ids(sizes, 7, model.steps.max_steps) if sizes else None
    for how in ({}, {"sampling": SAMPLED, "seeds": [*range(7)]}):
        whole = model.decode(z, conditions=conditions, **how)
        steps = torch.stack([*model.stream(z, conditions=conditions, **how)], dim=1)
        assert steps.shape[2] == whole.ids.shape[2]
        for row, (ids, length) in enumerate(zip(whole.ids, whole.lengths, strict=True)):
            assert torch.equal(steps[row, :length], ids[:length])


def test_a_model_with_conditions_reads_zeros_where_none_are_passed() -> None:
    model = tiny_vae(condition_sizes=(4,))
    (first, *_) = model.stream(torch.ones(2, 3))
    assert first.shape == (2, 2)
    assert first[:, 1].tolist() == [0, 0]


def test_steps_are_made_in_the_precision_of_autocast_and_callers_run_in_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, z = tiny_vae(std=1.0, decoder_dim=32, max_steps=20), torch.randn(9, 3)
    asked: list[torch.dtype | None] = []
    stepper = model.stepper
    monkeypatch.setattr(model, "stepper", lambda p=None: (asked.append(p), stepper(p))[1])
    inside: list[bool] = []
    decode_steps = module.decode_steps

    def watched(*args: Any, **settings: Any) -> Any:
        for tokens in decode_steps(*args, **settings):
            inside.append(torch.is_autocast_enabled("cpu"))
            yield tokens

    monkeypatch.setattr(module, "decode_steps", watched)
    with torch.autocast("cpu", torch.bfloat16):
        for tokens in model.stream(z):
            assert torch.is_autocast_enabled("cpu")
            assert not tokens.is_floating_point()
    assert asked == [torch.bfloat16]
    assert inside == [False] * 20
