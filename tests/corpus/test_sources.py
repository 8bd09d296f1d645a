"""Sources: which files are found, their splits, and what makes a corpus another one."""

import itertools
import os
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from corpora import MELODY, WORDS, assert_adds_up, prepare_in, write_lines, write_tune

from seqvae.corpus import sources
from seqvae.corpus.config import DataConfig
from seqvae.corpus.digests import Digests
from seqvae.corpus.sources import assign_splits, find_sources, fingerprint_of, read_table
from seqvae.corpus.store import SPLITS
from seqvae.errors import InputError
from seqvae.tokenizers import make_tokenizer


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ["b.txt", "a.TXT", "sub/c.md", "sub/deep/d.tsv", "e.py", "f.mid", "sub/g.midi"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("source", "tokenizer", "expected"),
    [
        (".", WORDS, ["a.TXT", "b.txt", "sub/c.md", "sub/deep/d.tsv"]),
        (".", MELODY, ["f.mid", "sub/g.midi"]),
        ("sub", WORDS, ["sub/c.md", "sub/deep/d.tsv"]),
        ("~/sub", MELODY, ["sub/g.midi"]),
        ("e.py", WORDS, ["e.py"]),  # a file is taken whatever its name
        ("*.txt", WORDS, ["b.txt"]),
        ("**/*.m*", WORDS, ["f.mid", "sub/c.md", "sub/g.midi"]),
        ("s*", WORDS, ["sub/c.md", "sub/deep/d.tsv"]),  # a folder, as a shell would name it
        (["sub", "b.txt"], WORDS, ["sub/c.md", "sub/deep/d.tsv", "b.txt"]),
        (["b.txt", "*.txt", "."], WORDS, ["b.txt", "a.TXT", "sub/c.md", "sub/deep/d.tsv"]),
        ("absent", WORDS, None),
        ("*.absent", WORDS, None),
        (["b.txt", "absent"], WORDS, None),
    ],
)
def test_sources_are_found(
    tree: Path, source: str | list[str], tokenizer: dict[str, Any], expected: list[str] | None
) -> None:
    data = DataConfig(source=source, tokenizer=tokenizer)
    tokens = make_tokenizer(data.tokenizer)
    if expected is None:
        with pytest.raises(InputError, match="no such file or folder, and no file matches"):
            find_sources(data, tokens)
        return
    paths = find_sources(data, tokens).splits["source"]
    assert [path.resolve().relative_to(tree).as_posix() for path in paths] == expected


def test_no_data_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"no data: give data\.source"):
        find_sources(DataConfig(tokenizer=WORDS), make_tokenizer(WORDS))


@pytest.mark.parametrize(("tokenizer", "kind"), [(WORDS, "text"), (MELODY, "MIDI")])
def test_an_empty_folder_is_an_input_error(
    tmp_path: Path, tokenizer: dict[str, Any], kind: str
) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(InputError, match=f"data: holds no {kind} files"):
        prepare_in(tmp_path / "corpus", tokenizer, source=str(tmp_path / "data"))
    assert not (tmp_path / "corpus").exists()


def test_a_folder_named_like_a_text_is_walked_and_a_dead_link_passed_over(tmp_path: Path) -> None:
    write_lines(tmp_path / "data" / "folder.txt" / "a.txt", [f"line {i}" for i in range(9)])
    (tmp_path / "data" / "dead.txt").symlink_to(tmp_path / "absent")
    corpus = prepare_in(tmp_path / "corpus", WORDS, source=str(tmp_path / "data"))
    assert_adds_up(corpus, 1)


def test_each_split_that_is_named_has_its_own_place(tree: Path) -> None:
    data = DataConfig(train="a.TXT", valid="b.txt", test="sub", tokenizer=WORDS)
    assert find_sources(data, make_tokenizer(WORDS)).splits == {
        "train": [Path("a.TXT")],
        "valid": [Path("b.txt")],
        "test": [Path("sub/c.md"), Path("sub/deep/d.tsv")],
    }


# Tables


def write_table(file: Path, rows: str, encoding: str = "utf-8") -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(rows, encoding=encoding)
    return file


def test_a_table_gives_each_file_its_split(tmp_path: Path) -> None:
    file = write_table(
        tmp_path / "maestro" / "maestro.csv",
        "split,midi_filename,title\n"
        'train,2004/a.mid,"one, two"\n'
        "validation,2004/b.mid,\n"
        "test,c.mid,\n"
        "valid,d.mid,\n"
        "train,e.mid,\n",
    )
    folder = tmp_path / "maestro"
    expected = {
        "train": [folder / "2004/a.mid", folder / "e.mid"],
        "valid": [folder / "2004/b.mid", folder / "d.mid"],
        "test": [folder / "c.mid"],
    }
    assert read_table(file) == expected
    data = DataConfig(table=str(file), tokenizer=MELODY)
    assert find_sources(data, make_tokenizer(MELODY)).splits == expected


def test_a_table_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = write_table(tmp_path / "t.csv", "midi_filename,split\na.mid,test\n", "utf-8-sig")
    assert read_table(file) == {"train": [], "valid": [], "test": [tmp_path / "a.mid"]}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("midi_filename,split\na.mid,train\nb.mid,\n", "line 3 has no split"),
        ("midi_filename,split\n,train\n", "line 2 has no midi_filename"),
        ("file,split\na.mid,train\n", "no column 'midi_filename'; it is a CSV table with the"),
        (
            "midi_filename,split\na.mid,dev\n",
            "line 2 has the split 'dev'; choose one of train, validation, valid, test",
        ),
    ],
)
def test_a_table_that_is_not_complete_is_an_input_error(
    tmp_path: Path, rows: str, message: str
) -> None:
    with pytest.raises(InputError, match=rf"t\.csv: {message}"):
        read_table(write_table(tmp_path / "t.csv", rows))


def test_a_table_that_cannot_be_read_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"%PDF-1.4\n")
    for name, reason in (("t.csv", "a PDF, no text"), ("absent.csv", "cannot be read")):
        file = tmp_path / name
        with pytest.raises(InputError, match=reason):
            read_table(file)


# Splits


def test_splits_are_seeded() -> None:
    data = DataConfig(valid_share=0.2, test_share=0.1)
    splits = assign_splits([1] * 50, data)
    assert Counter(splits) == {"train": 35, "valid": 10, "test": 5}
    assert assign_splits([1] * 50, data) == splits
    other = assign_splits([1] * 50, DataConfig(valid_share=0.2, test_share=0.1, split_seed=1))
    assert Counter(other) == Counter(splits)
    assert other != splits


@pytest.mark.parametrize("num_items", range(3, 30))
@pytest.mark.parametrize("shares", [(0.0, 0.0), (0.01, 0.01), (0.1, 0.1), (0.5, 0.4), (0.33, 0.33)])
def test_each_split_has_an_item(num_items: int, shares: tuple[float, float]) -> None:
    splits = assign_splits([1] * num_items, DataConfig(valid_share=shares[0], test_share=shares[1]))
    assert len(splits) == num_items
    assert set(splits) == set(SPLITS)


@pytest.mark.parametrize("num_items", [0, 1, 2])
def test_too_few_items_are_for_training(num_items: int) -> None:
    assert assign_splits([1] * num_items, DataConfig()) == ["train"] * num_items


# Fingerprints


def fingerprint(
    source: Path | list[Path], tokenizer: dict[str, Any] = WORDS, **settings: Any
) -> str:
    places = [str(place) for place in ([source] if isinstance(source, Path) else source)]
    data = DataConfig(source=places, tokenizer=tokenizer, **settings)
    return fingerprint_of(data, find_sources(data, make_tokenizer(data.tokenizer)), Digests())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("a.txt", "sub/b.txt", "sub/deep/c.txt"):
        write_lines(tmp_path / "data" / name, [f"in {name}"])
    return tmp_path / "data"


def test_data_are_known_by_their_bytes_wherever_and_whenever(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fingerprint(data)
    copy = tmp_path / "elsewhere" / "copied"
    shutil.copytree(data, copy, copy_function=shutil.copyfile)
    os.utime(copy / "a.txt", ns=(1, 1))
    assert fingerprint(copy) == first
    monkeypatch.chdir(copy)
    assert fingerprint(Path()) == first
    data.rename(tmp_path / "moved")
    assert fingerprint(tmp_path / "moved") == first


@pytest.mark.parametrize(
    ("old", "new"), [("a.txt", "z.txt"), ("a.txt", "sub/a.txt"), ("sub", "bus")]
)
def test_names_and_folders_within_the_data_count(data: Path, old: str, new: str) -> None:
    first = fingerprint(data)
    (data / old).rename(data / new)
    assert fingerprint(data) != first


@pytest.mark.parametrize(("tokenizer", "counts"), [(MELODY, True), ({"kind": "drums"}, False)])
def test_a_corpus_that_was_split_by_file_is_not_one_by_tune(
    tree: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: dict[str, Any], *, counts: bool
) -> None:
    by_tune = fingerprint(tree, tokenizer)
    monkeypatch.setattr(sources, "KeySettings", ())
    assert (fingerprint(tree, tokenizer) != by_tune) == counts


def test_the_order_of_the_files_counts(data: Path) -> None:
    one, two = data / "a.txt", data / "sub"
    assert fingerprint([one, two]) == fingerprint(data) != fingerprint([two, one])


def test_which_split_holds_a_file_counts(data: Path) -> None:
    places = [str(data / name) for name in ("a.txt", "sub/b.txt", "sub/deep/c.txt")]
    prints = set()
    for train, valid, test in itertools.permutations(places):
        config = DataConfig(train=train, valid=valid, test=test, tokenizer=WORDS)
        sources = find_sources(config, make_tokenizer(WORDS))
        prints.add(fingerprint_of(config, sources, Digests()))
    assert len(prints) == 6


def test_bytes_count_even_if_their_number_and_time_stay(data: Path) -> None:
    first, file = fingerprint(data), data / "a.txt"
    then = file.stat().st_mtime_ns
    file.write_text(file.read_text().upper())
    os.utime(file, ns=(then, then))
    assert fingerprint(data) != first


def test_every_setting_that_changes_tokens_counts(data: Path) -> None:
    settings: list[dict[str, Any]] = [
        {},
        {"split_seed": 1},
        {"valid_share": 0.2},
        {"test_share": 0.2},
        {"dedupe": True},
        {"column": "text"},
        {"column": "text", "label_column": "mood"},
        {"encoding": "cp1252"},
        {"tokenizer": {"kind": "words", "vocab_size": 20}},
        {"tokenizer": {"kind": "words", "max_steps": 20}},
        {"tokenizer": {"kind": "text", "vocab_size": 280}},
    ]
    assert len({fingerprint(data, **one) for one in settings}) == len(settings)
    assert fingerprint(data, num_workers=7, corpus="elsewhere") == fingerprint(data)


@pytest.mark.parametrize("name", ["beats", "chords"])
def test_the_files_beside_the_midi_files_count(tmp_path: Path, name: str) -> None:
    for stem in "ab":
        write_tune(tmp_path / f"{stem}.mid", seed=1)
        (tmp_path / f"{stem}_{name}.txt").write_text("0.5 1\n")
    beside = {name: f"{{stem}}_{name}.txt"}
    first, without = fingerprint(tmp_path, MELODY, **beside), fingerprint(tmp_path, MELODY)
    assert first != without
    (tmp_path / f"b_{name}.txt").write_text("0.6 1\n")
    changed = fingerprint(tmp_path, MELODY, **beside)
    (tmp_path / f"b_{name}.txt").unlink()
    absent = fingerprint(tmp_path, MELODY, **beside)
    assert len({first, without, changed, absent}) == 4
    assert fingerprint(tmp_path, MELODY) == without


@pytest.mark.parametrize("name", ["lg/a.log", "lg/deep/a.log"])
def test_a_folder_of_texts_by_other_names_is_told_by_the_glob_that_reads_them(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / name, ["a line"])
    tokenizer = make_tokenizer(WORDS)
    with pytest.raises(InputError, match=r"it holds \*\.log \(1\); if that is text") as refused:
        find_sources(DataConfig(train="lg", valid="lg", test="lg", tokenizer=WORDS), tokenizer)
    glob = re.search("--data.train '(.*)' reads it", str(refused.value))
    assert glob is not None
    found = find_sources(DataConfig(source=glob[1], tokenizer=WORDS), tokenizer)
    assert found.files == [Path(name)]
