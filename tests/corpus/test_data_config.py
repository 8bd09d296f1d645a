"""The settings of the data: one way of naming them, and shares that leave something to train on."""

from pathlib import Path
from typing import Any

import pytest

from seqvae.corpus.config import DataConfig, as_texts
from seqvae.errors import InputError
from seqvae.training.config import Config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "a", "table": "b"}, "data.table and data.source are both set; give one"),
        (
            {"train": "a", "valid": "b", "test": "c", "source": "d"},
            "data.source and data.train are both set; give one of the two",
        ),
        ({"train": "a", "test": "c"}, "data.train is set but data.valid is not; give all three"),
        ({"valid": "b"}, "data.valid is set but data.train is not; give all three"),
        ({"train": "a", "valid": "b"}, "data.train is set but data.test is not; give all three"),
        ({"valid_share": 1.0}, "valid_share is 1.0; it must lie in [0, 1)"),
        ({"test_share": -0.1}, "test_share is -0.1; it must lie in [0, 1)"),
        ({"valid_share": 0.5, "test_share": 0.5}, "valid_share and test_share leave nothing"),
        ({"split_seed": -1}, "split_seed is -1; it must be 0 or more"),
        ({"num_workers": -1}, "num_workers is -1; it must be 0 or more"),
        ({"tokenizer": {"kind": "tunes"}}, "tokenizer kind is 'tunes'"),
    ],
    ids=str,
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        DataConfig(**settings)
    assert str(caught.value).startswith(message)


def test_settings_of_the_tokenizer_are_completed() -> None:
    assert DataConfig(tokenizer={"kind": "words"}).tokenizer == {
        "kind": "words", "vocab_size": 10_000, "max_steps": 100,
    }  # fmt: skip


@pytest.mark.parametrize("tracks", ["melody: all", ["melody: all"], {"melody": "all"}])
def test_rules_for_tracks_go_to_the_tokenizer(tracks: Any) -> None:
    data = DataConfig(tokenizer={"kind": "melody", "tracks": ["melody: lowest"]}, tracks=tracks)
    assert data.tokenizer["tracks"] == ["melody: all"]
    assert data.tracks is None
    assert DataConfig(tokenizer=data.tokenizer).tokenizer == data.tokenizer
    assert DataConfig(tokenizer={"kind": "melody", "tracks": tracks}).tokenizer == data.tokenizer
    with pytest.raises(InputError, match=r"data\.tracks is for music"):
        DataConfig(tokenizer={"kind": "words"}, tracks=tracks)
    with pytest.raises(InputError, match="names no role"):
        DataConfig(tokenizer={"kind": "melody"}, tracks="loud")


def test_no_workers_and_no_held_out_share_are_allowed() -> None:
    DataConfig(num_workers=0, valid_share=0.0, test_share=0.0)


@pytest.mark.parametrize(
    ("corpus", "folder"),
    [(None, "corpora/x"), ("my/corpus", "my/corpus"), ("~/corpus", "HOME/corpus")],
)
def test_the_folder_of_the_corpus(
    monkeypatch: pytest.MonkeyPatch, corpus: str | None, folder: str
) -> None:
    monkeypatch.setenv("HOME", "HOME")
    assert Config(name="x", data=DataConfig(corpus=corpus)).corpus_folder == Path(folder)


@pytest.mark.parametrize(
    ("place", "named"),
    [
        (Path("a"), "a"),
        ([Path("a")], "a"),
        (["a"], "a"),
        (("a", Path("b")), ["a", "b"]),
        (["a", "b"], ["a", "b"]),
    ],
)
def test_places_may_be_paths(place: Any, named: Any) -> None:
    assert as_texts(place) == named  # the settings themselves are checked for types in the tests


def test_one_place_is_no_list() -> None:
    assert DataConfig(source=["a"]).source == "a"
    assert DataConfig(train=["a"], valid=["b", "c"], test="d").valid == ["b", "c"]
