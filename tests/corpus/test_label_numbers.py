"""Labels: numbers that are finite, or two words."""

import pytest

from seqvae.corpus import labels as labels_file
from seqvae.corpus.labels import Labels, as_numbers
from seqvae.errors import InputError


def at(index: int) -> str:
    return f"a.tsv: line {index + 1}"


@pytest.mark.parametrize(
    ("labels", "numbers"),
    [
        (["1", "0", " 2.5", "-1e3"], [1, 0, 2.5, -1000]),
        (["pos", "neg", "pos"], [1, 0, 1]),
        (["True", "False"], [1, 0]),
        (["1", "one"], [0, 1]),
    ],
)
def test_labels_are_numbers_or_two_words(labels: list[str], numbers: list[float]) -> None:
    assert as_numbers(labels, at) == numbers


@pytest.mark.parametrize("missing", ["", " ", "nan", "NaN", "NA", "n/a", "None", "null", "<NA>"])
@pytest.mark.parametrize("others", [["1", "2"], ["yes", "no"]])
def test_a_missing_label_is_an_input_error(missing: str, others: list[str]) -> None:
    with pytest.raises(InputError, match=rf"line 2: the label is missing \('{missing}'\)"):
        as_numbers([others[0], missing, others[1]], at)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (["1", "2", "inf"], "line 3: the label is inf; it must be a finite number"),
        (["1", "2", "-Infinity"], "line 3: the label is -Infinity"),
        (["1", "2", "3", "label"], "line 4: the label is 'label', but others are numbers"),
        (["label", "1", "2", "3"], "line 1: the label is 'label', but others are numbers"),
        (["a", "b", "c"], "labels are numbers or two words; these are 3: a, b, c"),
        (["a", "a"], "all 2 labels are 'a'; they tell nothing"),
        (["1", "1", "1"], "all 3 labels are '1'; they tell nothing"),
    ],
)
def test_other_labels_are_an_input_error(labels: list[str], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        as_numbers(labels, at)


def known_of(*sources: list[str]) -> Labels:
    known = Labels()
    for number, labels in enumerate(sources):
        later = Labels()
        later.add(labels, lambda index, number=number: f"{number}.tsv: line {index + 1}")
        known.add_all(later)
    return known


def test_labels_of_several_sources_are_known_together() -> None:
    assert [*map(known_of(["b"], [], ["a", "b"]).scale(), "ab")] == [0, 1]
    with pytest.raises(InputError, match=r"1\.tsv: line 2: the label is 'x', but others are"):
        known_of(["1", "2"], ["3", "x"]).scale()
    with pytest.raises(InputError, match=r"0\.tsv: line 1: all 3 labels are 'a'"):
        known_of(["a"], ["a", "a"]).scale()
    with pytest.raises(InputError, match=r"0\.tsv: line 2: the label is missing \('na'\)"):
        known_of(["1", "na"], ["None"]).scale()


def test_no_more_kinds_are_kept_than_tell_words_from_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(labels_file, "MAX_KINDS", 10)
    known = known_of([f"{i}.5" for i in range(30)], ["1", "2"])
    assert len(known.kinds) == 10
    assert known.scale()("7.5") == 7.5
    with pytest.raises(InputError, match=r"two words; these are 10 or more: w0, w1, w2, w3"):
        known_of([f"w{i}" for i in range(20)]).scale()
