"""What callers of other libraries pass: arrays, columns, iterators, numbers; what is no input."""

import io
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trained import Trained

import seqvae
from seqvae.errors import InputError
from seqvae.inference.bundle import as_path
from seqvae.inference.trained import TrainedVAE

ONE, TWO = "A man likes the sea.", "Two dogs draw old trees."


def without_address(value: object) -> str:
    """The name of a case, which must be the same in every process."""
    return str(value).split(" at 0x")[0]


class Column:
    """As a column of pandas: it iterates over its values, and has no truth value."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def __bool__(self) -> bool:
        raise ValueError("the truth value is ambiguous")


SEQUENCES: dict[str, Callable[[], Any]] = {
    "tuple": lambda: (ONE, TWO), "array": lambda: np.array([ONE, TWO]),
    "array of objects": lambda: np.array([ONE, TWO], object), "column": lambda: Column(ONE, TWO),
    "generator": lambda: (text for text in (ONE, TWO)), "map": lambda: map(str, (ONE, TWO)),
    "keys": lambda: [*{ONE: 1, TWO: 2}], "numpy's texts": lambda: [np.str_(ONE), np.str_(TWO)],
}  # fmt: skip


@pytest.mark.parametrize("kind", SEQUENCES)
def test_inputs_come_in_any_sequence(sentences: Trained, kind: str) -> None:
    vae = sentences.vae
    assert vae.reconstruct(SEQUENCES[kind]()) == vae.reconstruct([ONE, TWO])
    assert torch.equal(vae.encode(SEQUENCES[kind]()).mean, vae.encode([ONE, TWO]).mean)
    assert vae.score(SEQUENCES[kind]()) == vae.score([ONE, TWO])
    assert vae.blend(SEQUENCES[kind](), num_steps=3) == vae.blend([ONE, TWO], num_steps=3)


@pytest.mark.parametrize("number", [np.int64, np.uint8, np.array, torch.tensor])
def test_numbers_come_from_any_library(sentences: Trained, number: Callable[[int], Any]) -> None:
    vae = sentences.vae
    assert vae.sample(number(2), seed=number(1), top_k=number(3)) == vae.sample(2, seed=1, top_k=3)
    half = number(1) / 2
    assert vae.vary(ONE, n=1, distance=half, seed=0) == vae.vary(ONE, n=1, distance=0.5, seed=0)


def test_paths_are_inputs_in_any_form(melodies: Trained) -> None:
    files = sorted(melodies.source.glob("*.mid"))[:2]
    expected = melodies.vae.encode(files).mean
    for inputs in (map(str, files), np.array([str(file) for file in files]), iter(files)):
        assert torch.equal(melodies.vae.encode(inputs).mean, expected)
    assert torch.equal(
        melodies.vae.encode(np.str_(files[0])).mean, melodies.vae.encode(files[0]).mean
    )


@pytest.mark.parametrize(
    "inputs",
    [
        b"bytes", io.BytesIO(b"x"), io.StringIO("x"), None, 3, math.nan, {ONE: 1}, {ONE}, object(),
        [ONE, None], [ONE, math.nan], [b"x"], [[ONE]], np.array([[ONE]]), [ONE, 3], np.array(ONE),
    ],
    ids=without_address,
)  # fmt: skip
def test_what_is_no_input_is_a_type_error_that_says_what_is(
    sentences: Trained, melodies: Trained, inputs: Any
) -> None:
    for vae in (sentences.vae, melodies.vae):
        with pytest.raises(TypeError, match=r"give sentences, paths of MIDI files, or") as caught:
            vae.reconstruct(inputs)
        assert "\n" not in str(caught.value)


def test_no_inputs_and_several_for_one_are_refused(sentences: Trained) -> None:
    for empty in ([], (), np.array([]), iter(())):
        with pytest.raises(InputError, match="no inputs"):
            sentences.vae.reconstruct(empty)
    for call in (sentences.vae.vary, lambda two: sentences.vae.interpolate(two, ONE)):
        with pytest.raises(TypeError, match=r"the input is \['A man .*; give sentences"):
            call([ONE, TWO])


CODES: dict[str, Callable[[torch.Tensor], Any]] = {
    "lists": torch.Tensor.tolist, "array": torch.Tensor.numpy, "rows": lambda z: [*z.numpy()],
    "halves": lambda z: z.double(), "with gradients": lambda z: z.clone().requires_grad_(),
    "tuple": lambda z: tuple(map(tuple, z.tolist())),
}  # fmt: skip


@pytest.mark.parametrize("kind", CODES)
def test_codes_come_in_any_form(sentences: Trained, kind: str) -> None:
    z = sentences.vae.encode([ONE, TWO]).mean.cpu()
    assert sentences.vae.decode(CODES[kind](z)) == sentences.vae.decode(z)


@pytest.mark.parametrize(
    ("z", "reason"),
    [
        (np.full((1, 4), np.nan), "code 0 of 1, counted from 0, holds a number that is not finite"),
        ([[0.0] * 4, [0, 1e300, 0, 0]], "code 1 of 2, counted from 0, holds a number that is not"),
        (np.zeros((0, 4)), r"codes of shape \(0, 4\); this model takes \(N, 4\)"),
        (np.zeros(4), r"codes of shape \(4,\)"), (np.zeros((2, 3)), r"codes of shape \(2, 3\)"),
        ([], r"codes of shape \(0,\)"), (3, r"codes of shape \(\)"), (None, "codes"),
        ("x", r"codes are 'x'; this model takes numbers of shape \(N, 4\)"),
        ([[1, 2], [3]], r"codes are \[\[1, 2\], \[3\]\]; this model takes numbers"),
        (np.ones((1, 4), complex), "codes are .*; this model takes numbers"),
        (torch.ones((1, 4), dtype=torch.complex64), "codes are .*; this model takes numbers"),
    ],
    ids=without_address,
)  # fmt: skip
def test_codes_that_are_none_are_refused(sentences: Trained, z: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        sentences.vae.decode(z)


@pytest.mark.parametrize("place", [None, 3, b"runs", [], object()], ids=without_address)
def test_what_is_no_path_is_a_type_error(sentences: Trained, place: Any) -> None:
    with pytest.raises(TypeError, match="is no path; name a folder"):
        as_path(place)
    if place is not None:
        with pytest.raises(TypeError, match="is no path; name a folder"):
            sentences.vae.evaluate(place)


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        ("sample", {"n": "8"}, "n is '8'; it takes a whole number"),
        ("sample", {"n": 2.5}, "n is 2.5; it takes a whole number"),
        ("sample", {"n": 10**12}, "n is 1000000000000; it must be 1,000,000 or less"),
        ("sample", {"temperature": math.nan}, "temperature is nan; it takes a finite number"),
        ("sample", {"seed": "1"}, "seed is '1'; it takes a whole number or null"),
        ("sample", {"qpm": [90]}, r"qpm is \[90\]; it takes a finite number"),
        ("shift", {"inputs": ONE, "attribute": 3}, "attribute is 3; it takes text"),
        ("shift", {"inputs": ONE, "attribute": "x", "keep_others": 1}, "keep_others is 1; it "),
        ("evaluate", {"split": None}, "split is None; it takes text"),
        ("attributes", {"names": "length", "method": 3}, "names is 'length'; it takes a list of"),
    ],
)  # fmt: skip
def test_options_of_another_type_are_one_line(
    sentences: Trained, verb: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        getattr(sentences.vae, verb)(**arguments)


def test_unknown_keywords_are_type_errors(sentences: Trained) -> None:
    vae: TrainedVAE = sentences.vae
    for verb, arguments in (("sample", (1,)), ("reconstruct", (ONE,)), ("decode", ([[0.0] * 4],))):
        with pytest.raises(
            TypeError, match=rf"{verb}\(\) got an unexpected keyword .*'temprature'"
        ):
            getattr(vae, verb)(*arguments, temprature=0)


def test_folders_come_as_texts_of_any_kind(sentences: Trained) -> None:
    for folder in (str(sentences.run), np.str_(sentences.run), Path(sentences.run)):
        assert seqvae.load(folder).sample(1, seed=0) == sentences.vae.sample(1, seed=0)
