"""Rules for tracks: how they are written, and which tracks they fit."""

import pytest

from seqvae.errors import InputError
from seqvae.music.notes import Track
from seqvae.music.track_rules import as_rules, parse_rules

LEAD = Track("Lead Vox", 3, 80)


def test_rules_are_read_as_they_are_written() -> None:
    texts = ["drums: name=drum*, channel=9-10; melody: highest\nbass: lowest", " none : file=x "]
    rules = parse_rules(texts)
    assert [str(rule) for rule in rules] == [
        "drums: name=drum*", "drums: channel=9-10", "melody: highest", "bass: lowest",
        "none: file=x",
    ]  # fmt: skip
    assert [str(rule) for rule in parse_rules(["all", "drums: all"])] == [
        "melody: all", "drums: all",
    ]  # fmt: skip
    assert parse_rules([]) == parse_rules(["", " ; "]) == ()


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ("name=lead*", True), ("name=LEAD vox", True), ("name=vox", False), ("name=*vox*", True),
        ("file=*beat*", True), ("file=my beat", True), ("file=my beat.mid", True),
        ("file=beat", False),
        ("channel=3", True), ("channel=1-3", True), ("channel=4-16", False),
        ("program=80-87", True), ("program=81", False),
        ("track=2", True), ("track=1", False),
        ("highest", False), ("lowest", False), ("all", False),
    ],
)  # fmt: skip
def test_a_rule_fits_by_what_is_known_of_a_track(rule: str, fits: bool) -> None:
    (parsed,) = parse_rules([f"melody: {rule}"])
    assert parsed.fits(1, LEAD, "My Beat.mid") is fits


def test_all_tracks_may_be_drums_or_left_out() -> None:
    for role in ("drums", "none"):
        (rule,) = parse_rules([f"{role}: all"])
        assert rule.fits(0, LEAD, "")


def test_a_track_of_unknown_channel_fits_no_channel() -> None:
    (rule,) = parse_rules(["melody: channel=1-16"])
    assert not rule.fits(0, Track("Lead"), "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drums", "names no role"),
        ("lead: highest", "names no role"),
        ("melody: loudest", "use one of name="),
        ("melody:", "use one of name="),
        ("melody: name=", "use one of name="),
        ("melody: highest=3", "use one of name="),
        ("melody: channel=0", "a number from 1 to 16"),
        ("melody: channel=17", "a number from 1 to 16"),
        ("melody: program=40-32", "a number from 0 to 127"),
        ("melody: program=-1", "a number from 0 to 127"),
        ("melody: track=x", "a number from 1 to"),
        ("drums: highest", "drums are no line"),
        ("none: lowest", "none are no line"),
    ],
)
def test_other_words_are_refused_in_a_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_rules([text])
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "value",
    [
        "drums: name=drum*; melody: highest",
        ["drums: name=drum*", "melody: highest"],
        ("drums: name=drum*", "melody: highest"),
        {"drums": "name=drum*", "melody": "highest"},
    ],
)
def test_a_config_writes_rules_as_text_list_or_table(value: object) -> None:
    assert [str(rule) for rule in parse_rules(as_rules(value))] == [
        "drums: name=drum*", "melody: highest",
    ]  # fmt: skip


@pytest.mark.parametrize("value", [3, None, [3], {"melody": 3}, [["melody: all"]], {3: "all"}])
def test_a_config_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="tracks"):
        as_rules(value)
