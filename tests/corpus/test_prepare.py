"""From sources to a corpus: what is found, split, left out, and survives."""

import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvae import tokenizers
from seqvae.corpus import scores
from seqvae.corpus.config import DataConfig
from seqvae.corpus.prepare import prepare, summary
from seqvae.corpus.scores import FileResult, extract_file
from seqvae.corpus.sources import assign_splits, find_sources
from seqvae.corpus.store import SPLITS, Corpus, SourceRow
from seqvae.errors import InputError
from seqvae.music.midi import to_pretty_midi
from seqvae.music.notes import Metre, Piece, make_notes
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.text import SubwordTokenizer
from seqvae.tokenizers.windows import long_rest
from seqvae.training.config import Config

MELODY = {"kind": "melody", "num_bars": 1}
WORDS = {"kind": "words"}


def config_of(folder: Path, tokenizer: dict[str, Any], **settings: Any) -> Config:
    data = DataConfig(tokenizer=tokenizer, corpus=str(folder / "corpus"), **settings)
    return Config(name="test", data=data)


def write_lines(path: Path, lines: list[str]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="")
    return str(path)


def write_tune(path: Path, seed: int, num_bars: int = 4, metre: str = "4/4") -> Path:
    """A tune with a note on each quarter, different for each seed."""
    numerator, denominator = map(int, metre.split("/"))
    starts = np.arange(num_bars * numerator * 16 // denominator // 4) * 4
    pitches = np.random.default_rng(seed).integers(40, 90, len(starts))
    piece = Piece(make_notes(starts, starts + 4, pitches), 4, (Metre(0, numerator, denominator),))
    path.parent.mkdir(parents=True, exist_ok=True)
    to_pretty_midi(piece).write(str(path))
    return path


def write_tunes(folder: Path, num_tunes: int) -> list[Path]:
    return [write_tune(folder / f"{i:03d}.mid", i) for i in range(num_tunes)]


def lines_of(corpus: Corpus) -> dict[str, list[str]]:
    return {
        name: [corpus.tokenizer.decode(split[i]) for i in range(len(split))]
        for name, split in corpus.splits.items()
    }


def rows_of(corpus: Corpus) -> dict[str, SourceRow]:
    return {Path(row.source).name: row for row in corpus.manifest()}


def assert_adds_up(corpus: Corpus, num_sources: int) -> None:
    """Each source has a row, used or with a reason, and each sequence a source."""
    manifest = corpus.manifest()
    assert len({row.source for row in manifest}) == len(manifest) == num_sources
    for row in manifest:
        assert (sum(row.taken.values()) > 0) == (row.reason is None)
    for name in SPLITS:
        total = sum(row.taken.get(name, 0) for row in manifest)
        leaked = corpus.num_leaked[name] if corpus.deduped else 0
        assert len(corpus.splits[name]) == total - leaked
    report = summary(manifest)
    used = sum(row.reason is None for row in manifest)
    assert report[0] == f"sources used: {used}"
    refused = [line for line in report if line.startswith("sources that gave nothing: ")]
    assert sum(int(line.split(": ")[1]) for line in refused) == num_sources - used


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads files here: starting workers takes a second."""

    def read_here(
        paths: list[Path],
        tokenizer: MelodyTokenizer,
        num_workers: int | None,
        *beside: None,
        take: Callable[[int, FileResult], None],
    ) -> None:
        for number in reversed(range(len(paths))):  # workers end in any order
            take(number, extract_file(paths[number], tokenizer))

    monkeypatch.setattr(scores, "extract_files", read_here)


# Sources


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ["b.txt", "a.TXT", "sub/c.md", "sub/deep/d.tsv", "e.py", "f.mid", "sub/g.midi"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("source", "tokenizer", "found"),
    [
        (".", WORDS, ["a.TXT", "b.txt", "sub/c.md", "sub/deep/d.tsv"]),
        (".", MELODY, ["f.mid", "sub/g.midi"]),
        ("sub", WORDS, ["sub/c.md", "sub/deep/d.tsv"]),
        ("~/sub", MELODY, ["sub/g.midi"]),
        ("e.py", WORDS, ["e.py"]),  # a file is taken whatever its name
        ("*.txt", WORDS, ["b.txt"]),
        ("**/*.m*", WORDS, ["f.mid", "sub/c.md", "sub/g.midi"]),
        ("s*", WORDS, None),  # a folder, no file
        (["sub", "b.txt"], WORDS, ["sub/c.md", "sub/deep/d.tsv", "b.txt"]),
        (["b.txt", "*.txt", "."], WORDS, ["b.txt", "a.TXT", "sub/c.md", "sub/deep/d.tsv"]),
        ("absent", WORDS, None),
        ("*.absent", WORDS, None),
        (["b.txt", "absent"], WORDS, None),
    ],
)
def test_sources_are_found(
    tree: Path, source: str | list[str], tokenizer: dict[str, Any], found: list[str] | None
) -> None:
    data = DataConfig(source=source, tokenizer=tokenizer)
    made = tokenizers.make_tokenizer(data.tokenizer)
    if found is None:
        with pytest.raises(InputError, match="no such file or folder, and no file matches"):
            find_sources(data, made)
        return
    paths = find_sources(data, made)["source"]
    assert [path.resolve().relative_to(tree).as_posix() for path in paths] == found


def test_no_data_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"no data: give data\.source"):
        prepare(Config(name="test", data=DataConfig(tokenizer=WORDS)))


@pytest.mark.parametrize(("tokenizer", "kind"), [(WORDS, "text"), (MELODY, "MIDI")])
def test_an_empty_folder_is_an_input_error(
    tmp_path: Path, tokenizer: dict[str, Any], kind: str
) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(InputError, match=f"data: the folder holds no {kind} files"):
        prepare(config_of(tmp_path, tokenizer, source=str(tmp_path / "data")))
    assert not (tmp_path / "corpus").exists()


def test_a_folder_named_like_a_text_is_walked_and_a_dead_link_passed_over(tmp_path: Path) -> None:
    write_lines(tmp_path / "data" / "folder.txt" / "a.txt", [f"line {i}" for i in range(9)])
    (tmp_path / "data" / "dead.txt").symlink_to(tmp_path / "absent")
    corpus = prepare(config_of(tmp_path, WORDS, source=str(tmp_path / "data")))
    assert_adds_up(corpus, 1)


# Splits


def test_splits_are_seeded() -> None:
    data = DataConfig(valid_share=0.2, test_share=0.1)
    splits = assign_splits(50, data)
    assert Counter(splits) == {"train": 35, "valid": 10, "test": 5}
    assert assign_splits(50, data) == splits
    other = assign_splits(50, DataConfig(valid_share=0.2, test_share=0.1, split_seed=1))
    assert Counter(other) == Counter(splits)
    assert other != splits


@pytest.mark.parametrize("num_items", range(3, 30))
@pytest.mark.parametrize("shares", [(0.0, 0.0), (0.01, 0.01), (0.1, 0.1), (0.5, 0.4), (0.33, 0.33)])
def test_each_split_has_an_item(num_items: int, shares: tuple[float, float]) -> None:
    splits = assign_splits(num_items, DataConfig(valid_share=shares[0], test_share=shares[1]))
    assert len(splits) == num_items
    assert set(splits) == set(SPLITS)


@pytest.mark.parametrize("num_items", [0, 1, 2])
def test_too_few_items_are_for_training(num_items: int) -> None:
    assert assign_splits(num_items, DataConfig()) == ["train"] * num_items


def test_several_text_files_are_split_by_file(tmp_path: Path) -> None:
    for i in range(20):
        write_lines(tmp_path / "data" / f"{i:02d}.txt", [f"file{i} line{j}" for j in range(i + 1)])
    corpus = prepare(config_of(tmp_path, WORDS, source=str(tmp_path / "data"), valid_share=0.2))
    assert_adds_up(corpus, 20)
    assert Counter(tuple(row.taken) for row in corpus.manifest()) == {
        ("train",): 14,
        ("valid",): 4,
        ("test",): 2,
    }
    assert [sum(row.taken.values()) for row in corpus.manifest()] == list(range(1, 21))
    # only training lines are learned from
    learned = set(corpus.tokenizer.words[2:])
    trained = {f"file{i}" for i, row in enumerate(corpus.manifest()) if "train" in row.taken}
    assert {word for word in learned if word.startswith("file")} == trained


@pytest.mark.parametrize("num_files", [1, 2])
def test_one_or_two_texts_are_split_by_distinct_line(tmp_path: Path, num_files: int) -> None:
    rng = np.random.default_rng(0)
    for i in range(num_files):
        lines = [f"line number {n}" for n in rng.integers(0, 60, 300)]
        write_lines(tmp_path / "data" / f"{i}.txt", lines)
    text = {"kind": "text", "vocab_size": 300}
    corpus = prepare(config_of(tmp_path, text, source=str(tmp_path / "data")))
    assert_adds_up(corpus, num_files)
    found = {name: set(lines) for name, lines in lines_of(corpus).items()}
    assert not found["train"] & found["valid"]
    assert not (found["train"] | found["valid"]) & found["test"]
    assert [len(found[name]) for name in SPLITS] == [48, 6, 6]
    assert sum(len(split) for split in corpus.splits.values()) == 300 * num_files
    assert corpus.num_leaked == {"train": 0, "valid": 0, "test": 0}


def test_the_seed_changes_the_split_of_lines(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.txt", [f"line {i}" for i in range(100)])
    found = []
    for seed in (0, 0, 1):
        shutil.rmtree(tmp_path / "corpus", ignore_errors=True)
        text = {"kind": "text", "vocab_size": 280}
        corpus = prepare(config_of(tmp_path, text, source=source, split_seed=seed))
        found.append(lines_of(corpus))
    assert found[0] == found[1]
    assert found[0] != found[2]
    # the order within a split is that of the file
    assert found[0]["train"] == sorted(found[0]["train"], key=lambda line: int(line.split()[1]))


def test_given_splits_are_kept(tmp_path: Path) -> None:
    lines = {"train": ["a b", "c d", "a b"], "valid": ["a c", "a b"], "test": ["x", "c d"]}
    given = {name: write_lines(tmp_path / f"{name}.txt", lines[name]) for name in SPLITS}
    corpus = prepare(config_of(tmp_path, WORDS, **given))
    assert lines_of(corpus) == lines | {"test": ["<unk>", "c d"]}
    assert corpus.num_leaked == {"train": 0, "valid": 1, "test": 1}
    assert_adds_up(corpus, 3)
    assert rows_of(corpus)["valid.txt"] == SourceRow(given["valid"], {"valid": 2})


def test_leaks_are_dropped_on_request(tmp_path: Path) -> None:
    lines = {"train": ["a b", "c d"], "valid": ["a c", "a b"], "test": ["x", "c d", "a c"]}
    given = {name: write_lines(tmp_path / f"{name}.txt", lines[name]) for name in SPLITS}
    corpus = prepare(config_of(tmp_path, WORDS, dedupe=True, **given))
    assert lines_of(corpus) == {"train": ["a b", "c d"], "valid": ["a c"], "test": ["<unk>"]}
    assert corpus.num_leaked == {"train": 0, "valid": 1, "test": 2}
    assert_adds_up(corpus, 3)


@pytest.mark.usefixtures("in_process")
def test_tunes_are_split_by_file(tmp_path: Path) -> None:
    write_tunes(tmp_path / "data", 30)
    corpus = prepare(config_of(tmp_path, MELODY, source=str(tmp_path / "data"), test_share=0.2))
    assert_adds_up(corpus, 30)
    assert Counter(tuple(row.taken) for row in corpus.manifest()) == {
        ("train",): 21,
        ("valid",): 3,
        ("test",): 6,
    }
    assert {name: len(split) for name, split in corpus.splits.items()} == {
        "train": 84,
        "valid": 12,
        "test": 24,
    }


@pytest.mark.usefixtures("in_process")
def test_tunes_of_given_splits(tmp_path: Path) -> None:
    for number, name in enumerate(SPLITS):
        for i in range(3):
            write_tune(tmp_path / name / f"{i}.mid", 3 * number + i)
    shutil.copy(tmp_path / "train" / "1.mid", tmp_path / "valid" / "copy.mid")
    corpus = prepare(config_of(tmp_path, MELODY, **{n: str(tmp_path / n) for n in SPLITS}))
    assert_adds_up(corpus, 10)
    for row in corpus.manifest():
        folder = Path(row.source).parent.name
        if Path(row.source).name == "copy.mid":
            assert row.reason == "a copy of another file"
        else:
            assert row.taken == {folder: 4}


# What is left out, and why


@pytest.mark.usefixtures("in_process")
def test_reasons_and_counts_of_tunes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "data"
    write_tunes(folder, 8)
    shutil.copy(folder / "003.mid", folder / "z_copy.mid")
    shutil.copy(folder / "003.mid", folder / "z_copy_2.mid")
    write_tune(folder / "waltz.mid", 100, metre="3/4")
    (folder / "broken.mid").write_bytes(b"no music")
    (folder / "empty.mid").write_bytes(b"")
    to_pretty_midi(Piece(make_notes([], [], []), 4)).write(str(folder / "silent.mid"))
    drums = make_notes([0, 4], [1, 5], [36, 38], is_drum=True)
    to_pretty_midi(Piece(drums, 4)).write(str(folder / "drums.mid"))
    chords = make_notes([0, 0, 8, 8], [8, 8, 16, 16], [60, 64, 60, 65])
    to_pretty_midi(Piece(chords, 4)).write(str(folder / "chords.mid"))
    gap = make_notes([0, 60], [4, 64], [60, 62])
    to_pretty_midi(Piece(gap, 4)).write(str(folder / "gap.mid"))
    with caplog.at_level(logging.INFO):
        corpus = prepare(config_of(tmp_path, MELODY, source=str(folder)))
    assert_adds_up(corpus, 17)
    rows = rows_of(corpus)
    reasons = {name: row.reason for name, row in rows.items() if row.reason is not None}
    assert reasons == {
        "z_copy.mid": "a copy of another file",
        "z_copy_2.mid": "a copy of another file",
        "waltz.mid": "3/4, model expects 4/4 or 2/2 or 2/4",
        "broken.mid": "not a MIDI file (no MThd header)",
        "empty.mid": "the file is empty",
        "silent.mid": "no notes",
        "drums.mid": "a drum track",
        "chords.mid": "a track of chords",
    }
    # used, but not the whole of it: two bars of silence between two with a note
    assert rows["gap.mid"].dropped == {long_rest(1): 2}
    assert sum(rows["gap.mid"].taken.values()) == 2
    report = summary(corpus.manifest())
    assert report[:2] == [
        "sources used: 9",
        "sources that gave nothing: 2: a copy of another file",
    ]
    assert f"left out: 2 times: {long_rest(1)}" in report
    assert report == [r.getMessage() for r in caplog.records][: len(report)]


@pytest.mark.usefixtures("in_process")
def test_too_few_usable_tunes_name_the_reasons(tmp_path: Path) -> None:
    for i in range(5):
        write_tune(tmp_path / "data" / f"{i}.mid", i, metre="3/4")
    with pytest.raises(InputError) as caught:
        prepare(config_of(tmp_path, MELODY, source=str(tmp_path / "data")))
    message = str(caught.value)
    assert message.startswith("no sequences for train, valid, test: 5 sources gave 0 (")
    assert "sources that gave nothing: 5: 3/4, model expects 4/4 or 2/2 or 2/4" in message
    assert "\n" not in message
    assert not (tmp_path / "corpus").exists()


# Text files as they come


def test_crlf_bom_and_empty_lines(tmp_path: Path) -> None:
    raw = b"\xef\xbb\xbfone\r\n\r\ntwo \r\n  \r\n three\r\nfour\nfive\n\n"
    (tmp_path / "a.txt").write_bytes(raw)
    text = {"kind": "text", "vocab_size": 280}
    corpus = prepare(config_of(tmp_path, text, source=str(tmp_path / "a.txt")))
    lines = [line for found in lines_of(corpus).values() for line in found]
    assert sorted(lines) == [" three", "five", "four", "one", "two "]
    (row,) = corpus.manifest()
    assert row.dropped == {"an empty line": 3}
    assert_adds_up(corpus, 1)


def test_separators_within_a_line_do_not_end_it(tmp_path: Path) -> None:
    odd = ["a\u2028b", "a\x0bb", "a\x0cb", "a\x1cb", "a\x85b", "plain"]
    source = write_lines(tmp_path / "a.txt", odd)
    text = {"kind": "text", "vocab_size": 280}
    corpus = prepare(config_of(tmp_path, text, source=source))
    assert sorted(line for found in lines_of(corpus).values() for line in found) == sorted(odd)


def test_invalid_utf8_is_replaced_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Latin-1, a byte that is never UTF-8 and NUL; the third line may hold its U+FFFD
    raw = b"good\n\xe9t\xe9\nfine \xef\xbf\xbd\n\nb\xffd\nn\x00l\nlast\n"
    (tmp_path / "a.txt").write_bytes(raw)
    text = {"kind": "text", "vocab_size": 280}
    with caplog.at_level(logging.WARNING):
        corpus = prepare(config_of(tmp_path, text, source=str(tmp_path / "a.txt")))
    lines = sorted(line for found in lines_of(corpus).values() for line in found)
    assert lines == ["b\ufffdd", "fine \ufffd", "good", "last", "n\ufffdl", "\ufffdt\ufffd"]
    (message,) = [r.getMessage() for r in caplog.records if "UTF-8" in r.getMessage()]
    assert message.startswith(f"{tmp_path / 'a.txt'}: invalid UTF-8 or NUL in 3 lines, ")
    assert "the first is line 2;" in message


@pytest.mark.parametrize("tokenizer", [WORDS, {"kind": "text", "vocab_size": 300}])
@pytest.mark.parametrize("raw", [b"", b"\n\n \r\n\t\n", b"\xef\xbb\xbf"])
def test_a_file_without_lines_is_an_input_error(
    tmp_path: Path, tokenizer: dict[str, Any], raw: bytes
) -> None:
    (tmp_path / "a.txt").write_bytes(raw)
    with pytest.raises(InputError, match=r"a\.txt: no lines to train on"):
        prepare(config_of(tmp_path, tokenizer, source=str(tmp_path / "a.txt")))


def test_an_empty_file_among_others_has_a_reason(tmp_path: Path) -> None:
    for i in range(12):
        write_lines(tmp_path / "data" / f"{i:02d}.txt", [f"line {i}", f"more {i}"])
    (tmp_path / "data" / "05.txt").write_bytes(b"")
    write_lines(tmp_path / "data" / "06.txt", ["", " "])
    corpus = prepare(config_of(tmp_path, WORDS, source=str(tmp_path / "data")))
    assert_adds_up(corpus, 12)
    assert rows_of(corpus)["05.txt"].reason == "no usable line (empty file)"
    assert rows_of(corpus)["06.txt"].reason == "no usable line (an empty line)"


@pytest.mark.parametrize("lines", [["one"], ["one a", "two b"], ["one"] * 10])
def test_too_few_distinct_lines_are_an_input_error(tmp_path: Path, lines: list[str]) -> None:
    source = write_lines(tmp_path / "a.txt", lines)
    with pytest.raises(InputError, match=r"no sequences for valid, test: 1 sources gave \d+"):
        prepare(config_of(tmp_path, WORDS, source=source))


@pytest.mark.parametrize("tokenizer", [WORDS, {"kind": "text"}])
def test_three_lines_are_a_corpus(tmp_path: Path, tokenizer: dict[str, Any]) -> None:
    source = write_lines(tmp_path / "a.txt", ["one two", "three", "four five"])
    corpus = prepare(config_of(tmp_path, tokenizer, source=source))
    assert [len(corpus.splits[name]) for name in SPLITS] == [1, 1, 1]
    assert_adds_up(corpus, 1)


def test_lines_that_are_too_long_are_counted(tmp_path: Path) -> None:
    lines = [f"w{i} " * (i % 5 + 1) for i in range(50)]
    source = write_lines(tmp_path / "a.txt", lines)
    corpus = prepare(config_of(tmp_path, {"kind": "words", "max_steps": 4}, source=source))
    (row,) = corpus.manifest()
    assert row.dropped == {
        "longer than 4 tokens (data.tokenizer.max_steps)": 20
    }  # four words and the end are five
    assert sum(row.taken.values()) == 30
    assert max(len(split[i]) for split in corpus.splits.values() for i in range(len(split))) == 4
    assert_adds_up(corpus, 1)


def test_lines_that_are_all_too_long_are_an_input_error(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.txt", [f"a b c {i}" for i in range(9)])
    with pytest.raises(InputError, match="left out: 9 times: longer than 3 tokens"):
        prepare(config_of(tmp_path, {"kind": "words", "max_steps": 3}, source=source))


def test_subwords_are_learned_from_training_lines_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    train = SubwordTokenizer.train

    def spy(self: SubwordTokenizer, lines: Any) -> SubwordTokenizer:
        seen.extend(lines)
        return train(self, list(seen))

    monkeypatch.setattr(SubwordTokenizer, "train", spy)
    source = write_lines(tmp_path / "a.txt", [f"line number {i}" for i in range(50)])
    text = {"kind": "text", "vocab_size": 280}
    corpus = prepare(config_of(tmp_path, text, source=source))
    assert seen == lines_of(corpus)["train"]
    assert len(seen) == 40


# Prepared once


def stamp(corpus: Corpus) -> tuple[int, int]:
    stat = (corpus.folder / "corpus.json").stat()
    return stat.st_ino, stat.st_mtime_ns


def test_what_is_unchanged_is_not_prepared_again(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "data" / "a.txt", [f"line {i}" for i in range(30)])
    settings: dict[str, Any] = {"source": str(tmp_path / "data")}
    config = config_of(tmp_path, WORDS, **settings)
    first = stamp(prepare(config))
    assert stamp(prepare(config)) == first
    # what changes no sequence changes nothing
    os.utime(source, ns=(1, 1))
    assert stamp(prepare(config)) == first
    assert stamp(prepare(config_of(tmp_path, WORDS, num_workers=1, **settings))) == first
    complete = {"kind": "words", "vocab_size": 10_000, "max_steps": 100}
    assert stamp(prepare(config_of(tmp_path, complete, **settings))) == first

    seen = {first}
    for tokenizer, more in [
        ({"kind": "words", "vocab_size": 20}, {}),
        ({"kind": "words", "max_steps": 20}, {}),
        ({"kind": "text", "vocab_size": 280}, {}),
        (WORDS, {"split_seed": 1}),
        (WORDS, {"valid_share": 0.3}),
        (WORDS, {"test_share": 0.3}),
        ({"kind": "text", "vocab_size": 280}, {"dedupe": True}),
        (WORDS, {"source": source}),
    ]:
        now = stamp(prepare(config_of(tmp_path, tokenizer, **(settings | more))))
        assert now not in seen, (tokenizer, more)
        seen.add(now)


def test_a_changed_source_is_prepared_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "data" / "a.txt"
    write_lines(file, [f"line {i}" for i in range(30)])
    config = config_of(tmp_path, WORDS, source=str(tmp_path / "data"))
    assert sum(prepare(config).num_sequences.values()) == 30
    assert "replaced" not in caplog.text
    write_lines(file, [f"line {i}" for i in range(40)])
    assert sum(prepare(config).num_sequences.values()) == 40
    assert "made from another source or settings; it is replaced" in caplog.text
    write_lines(tmp_path / "data" / "b.txt", ["another file"])
    assert sum(prepare(config).num_sequences.values()) == 41
    (tmp_path / "data" / "b.txt").unlink()
    assert sum(prepare(config).num_sequences.values()) == 40
    # as long as before, and of the same time
    then = file.stat().st_mtime_ns
    write_lines(file, [f"LINE {i}" for i in range(40)])
    os.utime(file, ns=(then, then))
    assert "LINE" in prepare(config).tokenizer.words


def test_a_damaged_corpus_is_prepared_again(tmp_path: Path) -> None:
    """As the error of a damaged corpus advises."""
    source = write_lines(tmp_path / "a.txt", [f"line {i}" for i in range(30)])
    config = config_of(tmp_path, WORDS, source=source)
    corpus = prepare(config)
    (corpus.folder / "tokens.npy").write_bytes(b"")
    assert sum(prepare(config).num_sequences.values()) == 30


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.txt", [f"line {i}" for i in range(30)])
    thesis = Path(write_lines(tmp_path / "corpus" / "thesis.tex", ["years of work"]))
    with pytest.raises(InputError, match="holds other files; name another folder"):
        prepare(config_of(tmp_path, WORDS, source=source))
    assert thesis.read_text() == "years of work\n"


def test_a_file_in_the_place_of_the_corpus_is_an_input_error(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.txt", [f"line {i}" for i in range(30)])
    write_lines(tmp_path / "corpus", ["years of work"])
    with pytest.raises(InputError):
        prepare(config_of(tmp_path, WORDS, source=source))


def test_the_nasty_folder_is_prepared(data_folder: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path, MELODY, source=str(data_folder / "midi_nasty"))
    corpus = prepare(config)
    assert_adds_up(corpus, 73)
    used = [row for row in corpus.manifest() if row.reason is None]
    assert len(used) >= 10
    for row in corpus.manifest():
        assert row.reason is None or (row.reason and "\n" not in row.reason)
        assert row.reason is None or not row.reason.startswith("/")
