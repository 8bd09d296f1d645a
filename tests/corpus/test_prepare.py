"""A corpus is prepared once, and again only when something that matters has changed."""

import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from corpora import MELODY, WORDS, assert_adds_up, lines_of, prepare_in, write_lines, write_tunes

from seqvae.corpus import digests
from seqvae.corpus import prepare as prepare_file
from seqvae.corpus.config import DataConfig
from seqvae.corpus.prepare import prepare
from seqvae.corpus.store import SPLITS, Corpus
from seqvae.disk import only_writer
from seqvae.errors import InputError


def test_leaks_are_dropped_on_request(tmp_path: Path) -> None:
    lines = {"train": ["a b", "c d"], "valid": ["a c", "a b"], "test": ["x", "c d", "a c"]}
    given = {name: write_lines(tmp_path / f"{name}.txt", lines[name]) for name in SPLITS}
    corpus = prepare_in(tmp_path / "corpus", WORDS, dedupe=True, **given)
    assert lines_of(corpus) == {"train": ["a b", "c d"], "valid": ["a c"], "test": ["<unk>"]}
    assert corpus.num_leaked == {"train": 0, "valid": 1, "test": 2}
    assert_adds_up(corpus, 3)


def test_a_worker_that_runs_the_script_of_its_parent_does_not_wait_for_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(tmp_path / "data" / "a.txt", [f"line {i}" for i in range(30)])
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    monkeypatch.setattr(prepare_file, "only_writer", None)  # which cannot be called
    with pytest.raises(SystemExit) as ended:
        prepare_in(tmp_path / "corpus", WORDS, source=str(tmp_path / "data"))
    assert ended.value.code == 1


def stamp(corpus: Corpus) -> tuple[int, int]:
    stat = (corpus.folder / "corpus.json").stat()
    return stat.st_ino, stat.st_mtime_ns


def test_what_is_unchanged_is_not_prepared_again(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "data" / "a.txt", [f"line {i}" for i in range(30)])
    settings: dict[str, Any] = {"source": str(tmp_path / "data")}
    first = stamp(prepare_in(tmp_path / "corpus", WORDS, **settings))
    (tmp_path / ".corpus.lock").touch()  # of a process that was killed
    assert stamp(prepare_in(tmp_path / "corpus", WORDS, **settings)) == first
    assert not (tmp_path / ".corpus.lock").exists()
    # what changes no sequence changes nothing
    os.utime(source, ns=(1, 1))
    assert stamp(prepare_in(tmp_path / "corpus", WORDS, **settings)) == first
    assert stamp(prepare_in(tmp_path / "corpus", WORDS, num_workers=1, **settings)) == first
    shutil.copytree(tmp_path / "data", tmp_path / "copy" / "data")
    moved = {"source": str(tmp_path / "copy" / "data")}
    assert stamp(prepare_in(tmp_path / "corpus", WORDS, **moved)) == first
    complete = {"kind": "words", "vocab_size": 10_000, "max_steps": 100}
    assert stamp(prepare_in(tmp_path / "corpus", complete, **settings)) == first
    for settings["split_seed"] in (1, 2):
        now = stamp(prepare_in(tmp_path / "corpus", WORDS, **settings))
        assert now != first
        assert stamp(prepare_in(tmp_path / "corpus", WORDS, **settings)) == now


def test_a_second_start_reads_no_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    digest, now = digests._digest, time.time()
    monkeypatch.setattr(digests, "_digest", lambda path: (read.append(path.name), digest(path))[1])
    monkeypatch.setattr(digests.time, "time", lambda: now + 86_400)
    write_lines(tmp_path / "data" / "a.txt", [f"line {i}" for i in range(30)])
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    for place, num_read in (("data", 1), ("data", 1), ("copy", 2), ("copy", 2), ("data", 2)):
        prepare_in(tmp_path / "corpus", WORDS, source=str(tmp_path / place))
        assert len(read) == num_read


def test_a_corpus_without_its_sources_is_taken_as_it_is(tmp_path: Path) -> None:
    write_tunes(tmp_path / "tunes", 12)
    settings: dict[str, Any] = {"source": str(tmp_path / "tunes")}
    made = prepare_in(tmp_path / "corpus", MELODY, **settings)
    shutil.rmtree(tmp_path / "tunes")
    elsewhere = (tmp_path / "corpus").rename(tmp_path / "elsewhere")
    taken = prepare_in(elsewhere, MELODY | {"max_transpose": 3})
    assert (taken.fingerprint, taken.num_sequences) == (made.fingerprint, made.num_sequences)
    assert taken.tokenizer.max_transpose == 3  # a setting of batches, not of tokens
    with pytest.raises(InputError, match=r"elsewhere: prepared with min_pitch 21, here it is 40;"):
        prepare_in(elsewhere, MELODY | {"min_pitch": 40})
    with pytest.raises(InputError, match=r"prepared with kind 'melody', here it is 'words'"):
        prepare_in(elsewhere, WORDS)
    with pytest.raises(InputError, match=r"no data: give .* as data\.corpus"):
        prepare_in(tmp_path / "nowhere", MELODY)


def test_a_changed_source_is_prepared_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "data" / "a.txt"
    write_lines(file, [f"line {i}" for i in range(30)])
    config = DataConfig(tokenizer=WORDS, source=str(tmp_path / "data"))
    assert sum(prepare(config, tmp_path / "corpus").num_sequences.values()) == 30
    assert "replaced" not in caplog.text
    write_lines(file, [f"line {i}" for i in range(40)])
    assert sum(prepare(config, tmp_path / "corpus").num_sequences.values()) == 40
    assert "a corpus of other sources or settings was replaced" in caplog.text
    write_lines(tmp_path / "data" / "b.txt", ["another file"])
    assert sum(prepare(config, tmp_path / "corpus").num_sequences.values()) == 41
    (tmp_path / "data" / "b.txt").unlink()
    assert sum(prepare(config, tmp_path / "corpus").num_sequences.values()) == 40
    # as long as before, and of the same time
    then = file.stat().st_mtime_ns
    write_lines(file, [f"LINE {i}" for i in range(40)])
    os.utime(file, ns=(then, then))
    assert "LINE" in prepare(config, tmp_path / "corpus").tokenizer.words


def test_what_fails_replaces_nothing_and_does_not_say_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_lines(tmp_path / "a.txt", [f"line {i}" for i in range(30)])
    prepare_in(tmp_path / "corpus", WORDS, source=source)
    (tmp_path / "b.txt").write_bytes(bytes(range(256)) * 40)
    with pytest.raises(InputError):
        prepare_in(tmp_path / "corpus", WORDS, source=str(tmp_path / "b.txt"))
    assert "replaced" not in caplog.text
    assert sum(Corpus(tmp_path / "corpus").num_sequences.values()) == 30


def test_a_damaged_corpus_is_prepared_again(tmp_path: Path) -> None:
    """As the error of a damaged corpus advises."""
    source = write_lines(tmp_path / "a.txt", [f"line {i}" for i in range(30)])
    config = DataConfig(tokenizer=WORDS, source=source)
    corpus = prepare(config, tmp_path / "corpus")
    (corpus.folder / "tokens.npy").write_bytes(b"")
    assert sum(prepare(config, tmp_path / "corpus").num_sequences.values()) == 30


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.txt", [f"line {i}" for i in range(30)])
    thesis = Path(write_lines(tmp_path / "corpus" / "thesis.tex", ["years of work"]))
    with pytest.raises(InputError, match="holds other files; name another folder"):
        prepare_in(tmp_path / "corpus", WORDS, source=source)
    assert thesis.read_text(encoding="utf-8") == "years of work\n"


def test_a_file_in_the_place_of_the_corpus_is_an_input_error(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.txt", [f"line {i}" for i in range(30)])
    write_lines(tmp_path / "corpus", ["years of work"])
    with pytest.raises(InputError):
        prepare_in(tmp_path / "corpus", WORDS, source=source)


def test_of_processes_that_prepare_one_corpus_at_once_one_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(tmp_path / "data" / "a.txt", [f"line {i}" for i in range(30)])
    settings: dict[str, Any] = {"source": str(tmp_path / "data")}
    children, folder = [], tmp_path / "made" / "corpus"
    with only_writer(folder):  # so that all of them have to wait
        for _ in range(4):
            begun, tell = os.pipe()
            if not (pid := os.fork()):
                try:
                    monkeypatch.setattr(prepare_file, "only_writer", telling(tell))
                    os.write(tell, f"{stamp(prepare_in(folder, WORDS, **settings))}".encode())
                    os._exit(0)
                finally:
                    os._exit(1)
            os.close(tell)
            assert os.read(begun, 1) == b"w"
            children.append((pid, begun))
    stamps = [os.read(begun, 100) for _, begun in children]
    assert [os.waitpid(pid, 0)[1] for pid, _ in children] == [0] * 4
    assert stamps == [f"{stamp(Corpus(folder))}".encode()] * 4
    assert [path.name for path in folder.parent.iterdir()] == ["corpus"]


def telling(pipe: int) -> Callable[..., Any]:
    """`only_writer`, which says when a process comes to it."""

    def wrapped(folder: Path, **how: Any) -> Any:
        os.write(pipe, b"w")
        return only_writer(folder, **how)

    return wrapped


def test_settings_that_change_no_token_prepare_nothing_anew(tmp_path: Path) -> None:
    write_tunes(tmp_path / "data", 4)
    source = {"source": str(tmp_path / "data")}
    before = stamp(prepare_in(tmp_path / "corpus", MELODY, **source))
    corpus = prepare_in(tmp_path / "corpus", MELODY | {"max_transpose": 2}, **source)
    assert stamp(corpus) == before
    assert corpus.tokenizer.to_json()["max_transpose"] == 2
    other = prepare_in(tmp_path / "corpus", MELODY | {"min_pitch": 20}, **source)
    assert stamp(other) != before


def test_splits_far_from_their_shares_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, num_lines in (("a", 1500), ("b", 20), ("c", 200)):
        write_lines(tmp_path / "data" / f"{name}.txt", [f"{name} {i}" for i in range(num_lines)])
    corpus = prepare_in(tmp_path / "corpus", WORDS, source=str(tmp_path / "data"), split_seed=1)
    assert sorted(corpus.num_sequences.values()) == [20, 200, 1500]
    (told,) = [r.getMessage() for r in caplog.records if "split whole" in r.getMessage()]
    split = next(name for name, count in corpus.num_sequences.items() if count == 20)
    assert told.startswith(
        f"20 of 1720 sequences are for {split}, not a share of 0.1 (data.{split}"
    )
