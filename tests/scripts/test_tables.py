"""Tables of the READMEs, on small examples."""

from dataclasses import dataclass

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
    assert tables.figure("num_sequences", 1942) == "1942"
    assert tables.figure("exact_match", 0.77085) == "0.771"
    assert tables.figure("iw_word_perplexity", 53.99) == "54.0"
    assert tables.figure("kl", 36.6173) == "36.62"
    assert tables.figure("overlap", {"a": [0.5, 0.75]}) == "a 0.500 of 0.750"
    assert tables.figure("iw_nll", None) == "-"


def test_columns_of_dashes_are_left_out() -> None:
    made = markdown(["a", "b", "c"], [["1", "-", "-"], ["2", "-", "3"]])
    assert made == "| a | c |\n|---|---|\n| 1 | - |\n| 2 | 3 |"
