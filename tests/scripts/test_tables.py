"""Tables of the READMEs, on small examples."""

import math
import re
from dataclasses import dataclass
from typing import Any

import benchmark_music
import pytest
import tables
from benchmarking import markdown


@dataclass(frozen=True)
class Base:
    size: int = 3
    """Number of things
    at once."""
    shape: str = "round"
    """As seen from above."""


@dataclass(frozen=True)
class Derived(Base):
    shape: str = "square"
    """As seen from the side."""
    sides: tuple[str, ...] = ("left", "right")
    """Both."""
    name: str | None = None
    """Optional."""


def test_docstrings_of_fields_are_inherited_and_replaced() -> None:
    assert tables.docstrings(Derived) == {
        "size": "Number of things at once.",
        "shape": "As seen from the side.",
        "sides": "Both.",
        "name": "Optional.",
    }


def test_defaults_are_shown_as_yaml_has_them() -> None:
    shown = [tables.default_of(field) for field in Derived.__dataclass_fields__.values()]
    assert shown == ["`3`", "`square`", "`[left, right]`", "`null`"]


def test_only_the_text_between_the_marks_is_replaced() -> None:
    text = "before\n<!-- table: settings -->\nold\n<!-- end -->\nafter\n"
    made = tables.fill(text)
    assert made == f"before\n<!-- table: settings -->\n{tables.settings('')}\n<!-- end -->\nafter\n"
    assert "| `name` | required |" in made
    assert tables.fill(made) == made


def test_a_setting_of_several_kinds_stands_once() -> None:
    lines = tables.tokenizer_settings().splitlines()
    (bars,) = (line for line in lines if line.startswith("| `num_bars` |"))
    assert "melody `2`" in bars
    assert "trio `16`" in bars
    assert sum(line.startswith("| `hop_bars` |") for line in lines) == 1


def test_figures_are_rounded_by_kind() -> None:
    assert tables.figure("num_sequences", [1942]) == "1942"
    assert tables.figure("exact_match", [0.77085]) == "0.771"
    assert tables.figure("iw_word_perplexity", [53.99]) == "54.0"
    assert tables.figure("kl", [36.6173]) == "36.62"
    assert tables.figure("scale_share", [[0.5, 0.75]]) == "0.500 of 0.750"
    assert tables.figure("iw_nll", [None]) == "-"


def test_figures_of_several_seeds_show_how_far_they_differ() -> None:
    assert tables.figure("num_sequences", [1942, 1942]) == "1942"
    assert tables.figure("active_units", [30, 33, 31]) == "31.3 (30.0 to 33.0)"
    assert tables.figure("kl", [36.0, 35.0]) == "35.50 (35.00 to 36.00)"
    shares = [[0.5, 0.75], [0.25, 0.75]]
    assert tables.figure("scale_share", shares) == "0.375 (0.250 to 0.500) of 0.750"


def test_columns_of_dashes_are_left_out() -> None:
    made = markdown(["a", "b", "c"], [["1", "-", "-"], ["2", "-", "3"]])
    assert made == "| a | c |\n|---|---|\n| 1 | - |\n| 2 | 3 |"


def test_every_part_of_a_figure_has_a_line_and_unknown_figures_have_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planted: dict[str, Any] = {"a": {"kl": 1.0}, "a1": {"kl": 0.5}, "b": {"overlap": {}}}
    planted["b"]["overlap"] = {"intervals": [0.25, 0.5], "durations": [0.75, 1.0]}
    monkeypatch.setattr(tables, "EVALUATIONS", {"`A`": ["a", "a1"], "B": ["b"]})
    monkeypatch.setattr(tables, "read", planted.__getitem__)
    head, _, *lines = tables.evaluations().splitlines()
    assert head == "| figure | `A`, seeds [0](a), [1](a1) | [B](b) |"
    assert lines == [
        "| `kl` | 0.750 (0.500 to 1.000) | - |",
        "| `overlap`, intervals | - | 0.250 of 0.500 |",
        "| `overlap`, durations | - | 0.750 of 1.000 |",
    ]


def path(halfway: float) -> dict[str, list[float]]:
    return {"nats": [9.0, 9.0, 9.0, 9.0, halfway, 9.0, 9.0, 9.0, 9.0]}


PLANTED = {
    **{file: {"kl": math.log(2) * bits, "accuracy_free_running": bits / 100,
              "accuracy_constant": bits / 160}
       for file, bits in zip(tables.EVALUATIONS["`melody_2bar`"], (5, 10, 18), strict=True)},
    "music.json": [
        {"name": "melody_16bar", "seed": 1, "accuracy_free_running": 0.999, "kl_bits": 999.0},
        {"name": "melody_16bar", "seed": 0, "accuracy_free_running": 0.222, "kl_bits": 20.0},
        {"name": "melody_16bar_flat", "seed": 0, "accuracy_free_running": 0.333},
        {"name": "drums_2bar_high", "seed": 0, "accuracy_free_running": 0.444, "kl_bits": 40.0},
    ],
    "ptb.json": [
        {"name": "lm", "seed": 0, "iw_ppl": 77.7},
        {"name": "best", "seed": 0, "iw_ppl": 44.4, "kl": 4.0},
        {"name": "big_lm", "seed": 0, "iw_ppl": 66.6},
        {"name": "big", "seed": 1, "iw_ppl": 44.4, "kl": 4.0},
        {"name": "big", "seed": 0, "iw_ppl": 55.5, "kl": 5.05},
    ],
    "latent.json": [{
        "name": "melody_2bar", "seed": 0, "interpolation": {
            "nats_of_originals": 0.66, "slerp": path(1.66), "mixing tokens": path(2.66),
        },
    }],
}  # fmt: skip


def test_the_headline_takes_each_figure_from_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "read", PLANTED.__getitem__)
    melody, bars, drums, halfway, ptb = tables.headline().splitlines()[2:]
    assert "0.110 of the tokens right (constant: 0.069) at 11.0 bits" in melody
    assert "0.222 of the tokens right at 20.0 bits" in bars
    assert bars.endswith("without the hierarchy: 0.333 |")
    assert "0.444 of the tokens right at 40.0 bits" in drums
    assert re.findall(r"\d\.\d\d", halfway) == ["1.66", "0.66", "2.66"]
    assert "perplexity 55.5, with 5.0 nats" in ptb
    assert ptb.endswith("a language model of its size: 66.6 |")


def test_the_remedy_of_a_preset() -> None:
    assert tables.remedy({}, {"target_kl": 43.5}) == "held at 43.5 nats"
    assert tables.remedy({"bn_gamma": 0.6}, {"beta": {"beta_warmup_steps": 9}}) == "`bn_gamma` 0.6"
    assert tables.remedy({}, {"beta": {"max_beta": 0.2}}) == "`beta` 0.2"
    assert tables.remedy({}, {}) == "`beta` 1"


def test_overlap_is_the_mean_of_samples_and_of_what_training_data_reach() -> None:
    row = {"overlap": {"intervals": [0.2, 0.9], "durations": [0.4, 1.0]}}
    assert benchmark_music.overlap(row) == "0.30 of 0.95"
    assert benchmark_music.overlap({}) == "-"


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ({"melody": 0.1, "bass": 0.2, "drums": 0.3}, "0.100, 0.200, 0.300"),
        ({"hits": 0.4, "kick velocity": 0.5}, "0.400"),
        ({"onset": 0.1, "pitch": 0.2}, "0.900"),
        (None, "0.900"),
    ],
)
def test_accuracy_is_that_of_voices_of_hits_or_of_all_tokens(
    channels: dict[str, float] | None, expected: str
) -> None:
    row = {"whole": 0.9, "by_channel": channels}
    assert benchmark_music.accuracies(row, "whole", "by_channel") == expected
    assert benchmark_music.accuracies(row, "other", "by_channel") == "-"


def test_a_constant_answer_stands_beside_the_accuracy() -> None:
    row = {
        "name": "a", "seed": 0, "kl": 1.0, "kl_bits": 2.0, "onset_f1": 0.5, "seconds": 120,
        "published": None, "accuracy_free_running": 0.75, "accuracy_constant": 0.25,
        "scale_share": [0.875, 0.9375],
    }  # fmt: skip
    header, _, line = benchmark_music.table([row]).splitlines()
    shown = dict(zip(header.split(" | "), line.split(" | "), strict=True))
    assert shown["accuracy, free running"] == "0.750"
    assert shown["constant"] == "0.250"
    assert shown["in scale"] == "0.875 of 0.938"
    assert "published" not in header
