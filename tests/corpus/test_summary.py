"""The table at the end of a preparation."""

import logging
from pathlib import Path

import pytest
from corpora import MELODY, prepare_in, write_tune, write_tunes

from seqvae.corpus.store import SourceRow
from seqvae.corpus.summary import MAX_LINES, left_out_of, summary
from seqvae.errors import InputError
from seqvae.reasons import Dropped, Reason, in_words, main_reason

JIG = Reason("window", "metre 6/8", "--data.tokenizer.metres")
WALTZ = Reason("window", "metre 3/4", "--data.tokenizer.metres")
CHORDS = Reason("track", "mostly chords")
NO_BASS = Reason("file", "no bass")
STRUCK_TWICE = Reason("note", "struck twice")


def row(reason: str | None = None, taken: int = 0, **counts: Dropped) -> SourceRow:
    return SourceRow("a.mid", {"train": taken} if taken else {}, reason, **counts)


@pytest.mark.parametrize(
    ("dropped", "main"),
    [
        ({JIG: 3, WALTZ: 4, CHORDS: 9, STRUCK_TWICE: 99}, WALTZ),
        ({CHORDS: 9, NO_BASS: 1, STRUCK_TWICE: 99}, NO_BASS),
        ({STRUCK_TWICE: 99, CHORDS: 1}, CHORDS),
        ({STRUCK_TWICE: 99}, STRUCK_TWICE),
        ({}, None),
    ],
)
def test_the_main_reason_is_the_last_obstacle(
    dropped: dict[Reason, int], main: Reason | None
) -> None:
    assert main_reason(Dropped(dropped)) == main


def test_reasons_in_words() -> None:
    dropped = Dropped({STRUCK_TWICE: 5, JIG: 1, WALTZ: 2})
    assert in_words(dropped) == "2 windows: metre 3/4; 1 window: metre 6/8; 5 notes: struck twice"


def test_a_table_by_reason_and_unit() -> None:
    jig = row("metre 6/8", dropped=Dropped({JIG: 7, CHORDS: 1}))
    half = row(taken=5, dropped=Dropped({WALTZ: 2, STRUCK_TWICE: 1}))
    loop = row(taken=1, noted=Dropped({Reason("file", "a loop"): 1}))
    assert summary([jig, jig, row("no bass", dropped=Dropped({NO_BASS: 1})), half, loop]) == [
        "files used: 2 of 5, 6 sequences",
        "left out:",
        "        2 files    metre 6/8 (--data.tokenizer.metres)",
        "        1 file     no bass",
        "       14 windows  metre 6/8 (--data.tokenizer.metres)",
        "        2 windows  metre 3/4 (--data.tokenizer.metres)",
        "        2 tracks   mostly chords",
        "        1 note     struck twice",
        "used, but:",
        "        1 file     a loop",
    ]


def test_values_of_single_files_make_no_reasons() -> None:
    refusals = ["a note of pitch 200, not 0..127", "a note of pitch -1, not 0..127", "'x' is bad"]
    left_out = left_out_of([row(reason) for reason in refusals])
    assert left_out == {
        Reason("file", "a note of pitch 200, not 0..127 (or another value)"): 2,
        Reason("file", "'x' is bad"): 1,
    }


def test_a_long_table_ends_in_what_the_rest_adds_up_to() -> None:
    refused = [row(f"trouble of kind {chr(65 + i)}") for i in range(20) for _ in range(i + 1)]
    bad = [row(taken=1, dropped=Dropped({Reason("window", f"w{i}"): i + 1 for i in range(9)}))]
    lines = summary(refused + bad)
    assert len(lines) == MAX_LINES
    files = [line.split(maxsplit=2) for line in lines if " file" in line and "used" not in line]
    assert sum(int(count) for count, _, _ in files) == 210
    assert files[0] == ["20", "files", "trouble of kind T"]
    assert files[-1][2] == "15 other reasons"
    windows = [line.split(maxsplit=2) for line in lines if " window" in line]
    assert sum(int(count) for count, _, _ in windows) == 45
    assert windows[-1][2] == "3 other reasons"


def test_the_manifest_of_a_corpus_that_could_not_be_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for i in range(3):
        write_tune(tmp_path / "jigs" / f"{i}.mid", i, metre="6/8")
    write_tunes(tmp_path / "reels", 5)
    folder = tmp_path / "corpora" / "folk"
    with pytest.raises(InputError, match=r"manifest\.jsonl has all reasons"):
        prepare_in(folder, MELODY, source=str(tmp_path / "jigs"))
    assert (folder / "manifest.jsonl").read_text(encoding="utf-8").count(
        '"reason": "metre 6/8"'
    ) == 3
    # it is not in the way of a corpus
    corpus = prepare_in(folder, MELODY, source=str(tmp_path / "reels"))
    assert len(corpus.manifest()) == 5
    # and a corpus that is there stays whole
    with pytest.raises(InputError, match=r"folk\.manifest\.jsonl has all reasons"):
        prepare_in(folder, MELODY, source=str(tmp_path / "jigs"))
    assert len(corpus.manifest()) == 5
    beside = folder.with_name("folk.manifest.jsonl")
    assert beside.read_text(encoding="utf-8").count("\n") == 3
    with caplog.at_level(logging.INFO):
        prepare_in(folder, MELODY | {"num_bars": 2}, source=str(tmp_path / "reels"))
    assert not beside.exists()
    assert "files used: 5 of 5" in caplog.text
