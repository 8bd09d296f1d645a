"""Names of files, for any inputs."""

from pathlib import Path

import pretty_midi
import pytest

from seqvae.inference.outputs import output_names


@pytest.mark.parametrize(
    ("verb", "inputs", "num_outputs", "names"),
    [
        ("sample", [], 2, ["sample_00", "sample_01"]),
        ("sample", [], 1, ["sample_00"]),
        ("reconstruct", ["my_tune_0.mid"], 1, ["reconstruct_my_tune_0"]),
        ("reconstruct", ["a/x.mid", Path("b/x.mid"), "c/x_2.mid"], 3,
         ["reconstruct_x", "reconstruct_x_2", "reconstruct_x_2_2"]),
        ("reconstruct", ["x.mid", "X.mid"], 2, ["reconstruct_x", "reconstruct_X_2"]),
        ("interpolate", ["a.mid", "b.mid"], 3,
         ["interpolate_a_b_00", "interpolate_a_b_01", "interpolate_a_b_02"]),
        ("analogy", ["a.mid", "b.mid", "c.mid"], 1, ["analogy_a_b_c"]),
        ("vary", ["My Song (final).v2.mid"], 1, ["vary_My_Song_final_.v2"]),
        ("shift", ["..mid"], 1, ["shift_clip"]),
        ("shift", ["Été/夜.mid"], 1, ["shift_夜"]),
    ],
)  # fmt: skip
def test_outputs_are_named_for_their_inputs(
    verb: str, inputs: list[str | Path], num_outputs: int, names: list[str]
) -> None:
    assert output_names(verb, inputs, num_outputs) == names


def test_numbers_sort_beyond_a_hundred() -> None:
    names = output_names("sample", [], 101)
    assert names == sorted(names)
    assert names[7] == "sample_007"


@pytest.mark.parametrize("stem", ["x" * 200, "夜" * 80, "a b" * 70])
def test_names_are_short(stem: str) -> None:
    (name,) = output_names("interpolate", [f"{stem}.mid"] * 4, 1)
    assert len(name.encode()) <= 140
    (name,) = output_names("reconstruct", [f"{stem}.mid"], 1)
    assert len(name.encode()) <= 140


def test_objects_have_no_names() -> None:
    names = output_names("reconstruct", [pretty_midi.PrettyMIDI()] * 2, 2)
    assert names == ["reconstruct_00", "reconstruct_01"]
