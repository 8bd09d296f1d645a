"""Options: one dataclass per verb makes signatures, defaults, checks and help."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from seqvae.errors import InputError
from seqvae.inference import options
from seqvae.inference.options import field_docs
from seqvae.inference.trained import TrainedVAE
from seqvae.model.latent import INTERPOLATIONS

VERBS = {
    kind.__name__.lower(): kind
    for kind in (
        options.Encode, options.Decode, options.Stream, options.Sample, options.Reconstruct,
        options.Humanise, options.Interpolate, options.Blend, options.Vary, options.Complete,
        options.Analogy, options.Shift, options.Attributes, options.Score, options.Evaluate,
    )
}  # fmt: skip
ANY = {
    "inputs": ["x", "y"], "start": "x", "end": "y", "source": "x", "a": "x", "b": "y", "c": "z",
    "attribute": "length", "z": [[0.0]],
}  # fmt: skip


def required(kind: type) -> dict[str, Any]:
    parameters = inspect.signature(kind).parameters.values()
    return {p.name: ANY[p.name] for p in parameters if p.default is inspect.Parameter.empty}


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_takes_the_fields_of_its_dataclass(name: str) -> None:
    parameters = inspect.signature(getattr(TrainedVAE, name)).parameters
    expected = inspect.signature(VERBS[name]).parameters
    assert list(parameters) == ["self", *expected]
    assert all(parameters[own].default == expected[own].default for own in expected)
    assert all(parameters[own].kind == expected[own].kind for own in expected)


@pytest.mark.parametrize("name", VERBS)
def test_every_field_is_explained_by_the_help_of_the_verb(name: str) -> None:
    docs = field_docs(VERBS[name])
    assert docs.keys() == {field.name for field in fields(VERBS[name])}
    text = inspect.getdoc(getattr(TrainedVAE, name))
    assert text is not None
    for field, doc in docs.items():
        assert doc.endswith(".")
        assert f"{field}: {doc}" in text


@pytest.mark.parametrize("name", VERBS)
def test_unknown_keywords_are_refused_in_the_name_of_the_verb(name: str) -> None:
    method: Callable[..., object] = getattr(TrainedVAE, name)
    with pytest.raises(TypeError, match=rf"{name}\(\) got an unexpected keyword argument 'temp'"):
        method(None, **required(VERBS[name]), temp=1)
    if required(VERBS[name]):
        with pytest.raises(TypeError, match=rf"{name}\(\) missing a required"):
            method(None)


def test_the_public_names_of_the_facade_are_the_verbs_and_its_parts() -> None:
    names = {name for name in dir(TrainedVAE) if not name.startswith("_")}
    # And `codec`, `bundle` and `run`, which an instance has.
    of_scikit_learn = {
        "fit", "transform", "fit_transform", "inverse_transform", "get_params", "set_params",
    }  # fmt: skip
    assert names - of_scikit_learn == {
        *VERBS, "load", "model", "tokenizer", "prior", "mixture", "directions"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (options.Sample, {"n": 0}, "n is 0; it must be 1 or more"),
        (options.Sample, {"temperature": -1.0}, "temperature is -1"),
        (options.Sample, {"top_k": -1}, "top_k is -1"),
        (options.Sample, {"top_p": 0.0}, "top_p is 0"),
        (options.Sample, {"seed": -1}, "seed is -1; it must be 0 or more"),
        (options.Decode, {"seed": 2**63}, "seed is"),
        (options.Reconstruct, {"top_p": 1.5}, "top_p is 1.5"),
        (options.Interpolate, {"num_steps": 1}, "num_steps is 1; it must be 2 or more"),
        (options.Interpolate, {"method": "cubic"}, "method is 'cubic'; choose one of slerp, lerp"),
        (options.Interpolate, {"seed": -1}, "seed is -1"),
        (options.Blend, {"num_steps": 1}, "num_steps is 1"),
        (options.Blend, {"inputs": ["x"]}, "1 input; blend takes two to four"),
        (options.Blend, {"inputs": ["x"] * 5}, "5 inputs; blend takes two to four"),
        (options.Blend, {"temperature": -1.0}, "temperature is -1"),
        (options.Vary, {"n": 0}, "n is 0"),
        (options.Vary, {"distance": 1.1}, "distance is 1.1; it must lie in"),
        (options.Vary, {"distance": -0.1}, "distance is -0.1"),
        (options.Vary, {"seed": -1}, "seed is -1"),
        (options.Shift, {"amount": float("inf")}, "amount is inf"),
        (options.Shift, {"temperature": -1.0}, "temperature is -1"),
        (options.Attributes, {"amount": 0.0}, "amount is 0.0; it must be finite, and not 0"),
        (options.Attributes, {"method": "magic"}, "method is 'magic'; choose one of network"),
        (options.Attributes, {"seed": -1}, "seed is -1"),
        (options.Score, {"iw_samples": 0}, "iw_samples is 0; it must be 1 or more"),
        (options.Score, {"seed": -1}, "seed is -1"),
        (options.Evaluate, {"iw_samples": 0}, "iw_samples is 0"),
        (options.Evaluate, {"split": "dev"}, "split is 'dev'; choose one of train, valid, test"),
        (options.Evaluate, {"precision": "fp8"}, "precision is 'fp8'; choose one of fp32, bf16"),
        (options.Evaluate, {"seed": -1}, "seed is -1"),
    ],
)
def test_values_out_of_range_are_refused(kind: type, changes: dict[str, Any], message: str) -> None:
    kind(**required(kind))
    with pytest.raises(InputError, match=message) as caught:
        kind(**required(kind) | changes)
    assert "\n" not in str(caught.value)


def test_the_ends_of_the_ranges_are_taken() -> None:
    options.Vary(source="x", distance=0.0, n=1)
    options.Vary(source="x", distance=1.0)
    options.Sample(1, seed=2**63 - 1, top_p=1e-9)
    options.Shift(inputs="x", attribute="y", amount=-0.1)
    options.Shift(inputs="x", attribute="y", amount=0.0)
    for method in INTERPOLATIONS:
        options.Interpolate(start="x", end="y", method=method, num_steps=2)


def test_only_samples_are_random_by_default() -> None:
    """The temperature is 1 where codes are drawn from the prior, and less where a part is given;
    all other verbs are greedy."""
    random = {n for n, kind in VERBS.items() if getattr(kind(**required(kind)), "temperature", 0)}
    assert random == {"sample", "complete"}
    assert options.Sample().temperature == 1
