"""Corpora on disk: written in one stroke, read by memory map, refused where damaged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvae.corpus import spool as spool_file
from seqvae.corpus import store
from seqvae.corpus.spool import Chosen, Spool, write_corpus
from seqvae.corpus.store import SPLITS, Corpus, SourceRow
from seqvae.disk import replaced_folder
from seqvae.errors import InputError
from seqvae.reasons import Dropped, Reason
from seqvae.tokenizers import AnyTokenizer
from seqvae.tokenizers.contract import Ids
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.trio import TrioTokenizer
from seqvae.tokenizers.words import WordTokenizer

FILES = {"corpus.json", "manifest.jsonl", "offsets.npy", "tokenizer.json", "tokens.npy"}
MANIFEST = [
    SourceRow("a.txt", {"train": 3, "valid": 1}, None, Dropped({Reason("line", "empty"): 2})),
    SourceRow("ä b.txt", {}, "the file is empty"),
]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def ids(*tokens: int) -> Ids:
    return np.array(tokens, np.int64)[:, None]


def random_sequences(seed: int, vocab_size: int) -> dict[str, list[Ids]]:
    rng = np.random.default_rng(seed)
    return {
        name: [rng.integers(0, vocab_size, (rng.integers(1, 9), 1)) for _ in range(size)]
        for name, size in zip(SPLITS, (7, 3, 2), strict=True)
    }


def words(vocab_size: int) -> WordTokenizer:
    return WordTokenizer(vocab_size=max(3, vocab_size), words=tuple(map(str, range(vocab_size))))


def write(
    folder: Path,
    sequences: dict[str, list[Ids]],
    tokenizer: AnyTokenizer | None = None,
    fingerprint: str = "f",
) -> None:
    with replaced_folder(folder) as beside:
        spool = Spool(beside, tokenizer or words(10))
        # They come in another order than they are kept.
        numbers = {name: spool.add(sequences[name]) for name in reversed(SPLITS)}
        write_corpus(
            beside,
            splits={name: Chosen(spool, own) for name, own in numbers.items()},
            manifest=MANIFEST,
            fingerprint=fingerprint,
            num_leaked={"train": 0, "valid": 1, "test": 0},
            deduped=True,
        )


def assert_same(corpus: Corpus, sequences: dict[str, list[Ids]]) -> None:
    for name in SPLITS:
        split = corpus.splits[name]
        assert len(split) == len(sequences[name]) == corpus.num_sequences[name]
        assert split.lengths.tolist() == [len(s) for s in sequences[name]]
        for index, expected in enumerate(sequences[name]):
            assert split[index].dtype == np.int64
            assert split[index].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("vocab_size", "dtype"),
    [(3, "u1"), (256, "u1"), (257, "u2"), (65_536, "u2"), (65_537, "u4")],
)
def test_a_written_corpus_is_read_as_it_was(tmp_path: Path, vocab_size: int, dtype: str) -> None:
    sequences = random_sequences(vocab_size, vocab_size)
    sequences["train"].append(ids(vocab_size - 1, 0))  # the largest token
    write(tmp_path / "sub" / "corpus", sequences, words(vocab_size))
    corpus = Corpus(tmp_path / "sub" / "corpus")
    assert_same(corpus, sequences)
    assert corpus.splits["train"].tokens.dtype == np.dtype(dtype)
    assert corpus.tokenizer == words(vocab_size)
    assert corpus.manifest() == MANIFEST
    assert corpus.fingerprint == "f"
    assert corpus.num_leaked == {"train": 0, "valid": 1, "test": 0}
    assert corpus.deduped is True
    assert names(corpus.folder) == FILES
    assert names(tmp_path / "sub") == {"corpus"}


def test_tokens_are_memory_mapped(tmp_path: Path) -> None:
    write(tmp_path / "corpus", random_sequences(0, 10))
    assert isinstance(Corpus(tmp_path / "corpus").splits["test"].tokens, np.memmap)


def test_several_channels_keep_their_place(tmp_path: Path) -> None:
    sequences = {name: [np.arange(12).reshape(4, 3) + i] for i, name in enumerate(SPLITS)}
    write(tmp_path / "corpus", sequences, TrioTokenizer())
    corpus = Corpus(tmp_path / "corpus")
    assert_same(corpus, sequences)
    assert corpus.splits["valid"].padded([0]).shape == (1, 4, 3)


def test_a_melody_tokenizer_survives_the_store(tmp_path: Path) -> None:
    tokenizer = MelodyTokenizer(num_bars=1, metres=("3/4",))
    write(tmp_path / "corpus", {name: [np.zeros((12, 1), np.int64)] for name in SPLITS}, tokenizer)
    corpus = Corpus(tmp_path / "corpus")
    assert corpus.tokenizer == tokenizer


def test_padded(tmp_path: Path) -> None:
    sequences = {
        "train": [ids(1, 2, 3), ids(4), ids(5, 6)],
        "valid": [ids(7, 8)],
        "test": [ids(9), ids(1, 2, 3, 4)],
    }
    write(tmp_path / "corpus", sequences)
    splits = Corpus(tmp_path / "corpus").splits
    padded = splits["train"].padded([2, 0, 1, 2])
    assert padded.dtype == np.int64
    assert padded.shape == (4, 3, 1)
    assert padded[..., 0].tolist() == [[5, 6, 0], [1, 2, 3], [4, 0, 0], [5, 6, 0]]
    # as long as the longest of those asked for, not of the split
    assert splits["train"].padded(np.array([1]))[..., 0].tolist() == [[4]]
    # no step of a neighbour leaks in, also at the end of the file
    assert splits["test"].padded([0, 1])[..., 0].tolist() == [[9, 0, 0, 0], [1, 2, 3, 4]]
    assert splits["valid"].padded([0])[..., 0].tolist() == [[7, 8]]


def test_padded_agrees_with_single_sequences(tmp_path: Path) -> None:
    write(tmp_path / "corpus", random_sequences(3, 10))
    split = Corpus(tmp_path / "corpus").splits["train"]
    order = np.random.default_rng(0).permutation(len(split))
    padded = split.padded(order)
    for row, index in zip(padded, order.tolist(), strict=True):
        length = split.lengths[index]
        assert (row[:length] == split[index]).all()
        assert (row[length:] == 0).all()


# Writing in one stroke


def test_a_corpus_replaces_the_one_before(tmp_path: Path) -> None:
    old, new = random_sequences(1, 10), random_sequences(2, 10)
    write(tmp_path / "corpus", old)
    opened = Corpus(tmp_path / "corpus")
    write(tmp_path / "corpus", new, fingerprint="new")
    assert_same(Corpus(tmp_path / "corpus"), new)
    assert Corpus(tmp_path / "corpus").fingerprint == "new"
    assert_same(opened, old)  # what is mapped stays until it is closed


class Interrupt(BaseException):
    """Ctrl-C, a full disk, a bug."""


def interrupted(*arguments: object, **settings: object) -> None:
    raise Interrupt


@pytest.mark.parametrize(
    "target",
    [
        "numpy.lib.format.write_array_header_1_0",
        "seqvae.corpus.spool.save_tokenizer",
        "seqvae.corpus.store.write_file",
        "seqvae.corpus.spool.write_file",
        "pathlib.Path.rename",
    ],
)
def test_an_interrupted_write_leaves_the_old_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    old, new = random_sequences(1, 10), random_sequences(2, 10)
    write(tmp_path / "corpus", old)
    with monkeypatch.context() as patch:
        patch.setattr(target, interrupted)
        with pytest.raises(Interrupt):
            write(tmp_path / "corpus", new)
    assert_same(Corpus(tmp_path / "corpus"), old)
    assert names(tmp_path) == {"corpus"}


def test_an_interrupted_first_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqvae.corpus.spool.save_tokenizer", interrupted)
    with pytest.raises(Interrupt):
        write(tmp_path / "corpus", random_sequences(2, 10))
    assert names(tmp_path) == set()


# Damage


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-2])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def remove(file: Path) -> None:
    file.unlink()


def scramble(file: Path) -> None:
    file.write_bytes(b"\xff\xfe" + bytes(range(256)))


def make_list(file: Path) -> None:
    file.write_text("[]\n", encoding="utf-8")


def open_header(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"}", b" "))


@pytest.mark.parametrize("damage", [truncate, empty, remove, scramble, open_header])
@pytest.mark.parametrize("name", ["tokens.npy", "offsets.npy", "tokenizer.json"])
def test_a_damaged_file_is_an_input_error(
    tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    write(tmp_path / "corpus", random_sequences(1, 10))
    damage(tmp_path / "corpus" / name)
    with pytest.raises(InputError) as caught:
        Corpus(tmp_path / "corpus")
    assert str(caught.value).startswith(str(tmp_path / "corpus"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [empty, remove, scramble, make_list])
def test_a_damaged_corpus_json_is_an_input_error(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    write(tmp_path / "corpus", random_sequences(1, 10))
    damage(tmp_path / "corpus" / "corpus.json")
    with pytest.raises(InputError) as caught:
        Corpus(tmp_path / "corpus")
    assert str(caught.value).startswith(str(tmp_path / "corpus"))


@pytest.mark.parametrize("key", ["num_sequences", "fingerprint", "num_leaked", "deduped"])
def test_a_missing_key_is_an_input_error(tmp_path: Path, key: str) -> None:
    write(tmp_path / "corpus", random_sequences(1, 10))
    file = tmp_path / "corpus" / "corpus.json"
    about = json.loads(file.read_text())
    del about[key]
    file.write_text(json.dumps(about))
    with pytest.raises(InputError, match=r"corpus\.json: damaged \(.+\); prepare the corpus again"):
        Corpus(tmp_path / "corpus")


def test_a_missing_split_is_an_input_error(tmp_path: Path) -> None:
    write(tmp_path / "corpus", random_sequences(1, 10))
    file = tmp_path / "corpus" / "corpus.json"
    about = json.loads(file.read_text())
    del about["num_sequences"]["valid"]
    file.write_text(json.dumps(about))
    with pytest.raises(InputError, match=r"corpus\.json: damaged \(.+\); prepare the corpus again"):
        Corpus(tmp_path / "corpus")


def of_arrays(**changes: Callable[[Any], Any]) -> Callable[[Path], None]:
    """A damage of arrays, which stay arrays."""

    def damage(folder: Path) -> None:
        for name, change in changes.items():
            np.save(folder / f"{name}.npy", change(np.load(folder / f"{name}.npy")))

    return damage


def of_about(**changes: Any) -> Callable[[Path], None]:
    """Other values in corpus.json."""

    def damage(folder: Path) -> None:
        file = folder / "corpus.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return damage


COUNTS = {"train": 7, "valid": 3, "test": 2}
DISAGREEING = {
    "a token beyond the vocabulary": (of_arrays(tokens=lambda t: t | 128), "tokens.npy"),
    "another width": (of_arrays(tokens=lambda t: np.repeat(t, 2, 1)), "tokens.npy"),
    "a line of tokens": (of_arrays(tokens=lambda t: t[:, 0]), "tokens.npy"),
    "fewer tokens": (of_arrays(tokens=lambda t: t[:-1]), "tokens.npy"),
    "another type of tokens": (of_arrays(tokens=lambda t: t.astype("i8")), "tokens.npy"),
    "tokens that are fractions": (of_arrays(tokens=lambda t: t / 2), "tokens.npy"),
    "offsets that fall": (of_arrays(offsets=lambda o: o[::-1].copy()), "offsets.npy"),
    "offsets that stand still": (of_arrays(offsets=lambda o: o * 0), "offsets.npy"),
    "offsets that begin late": (of_arrays(offsets=lambda o: o + 1), "offsets.npy"),
    "one offset too few": (of_arrays(offsets=lambda o: o[:-1]), "offsets.npy"),
    "offsets that are fractions": (of_arrays(offsets=lambda o: o * 1.0), "offsets.npy"),
    "a sequence that is too long": (of_arrays(offsets=lambda o: o * 200), "offsets.npy"),
    "a table of offsets": (of_arrays(offsets=lambda o: o[:, None]), "offsets.npy"),
    "more sequences": (of_about(num_sequences=COUNTS | {"test": 3}), "offsets.npy"),
    "fewer sequences": (of_about(num_sequences=COUNTS | {"test": 1}), "offsets.npy"),
    "10^12 sequences": (of_about(num_sequences=COUNTS | {"test": 10**12}), "offsets.npy"),
    "a number below 0": (of_about(num_sequences=COUNTS | {"test": -1}), "corpus.json"),
    "a number that is text": (of_about(num_sequences=COUNTS | {"test": "2"}), "corpus.json"),
    "numbers in a list": (of_about(num_sequences=[7, 3, 2]), "corpus.json"),
    "a fingerprint that is none": (of_about(fingerprint=None), "corpus.json"),
    "a flag that is a number": (of_about(deduped=1), "corpus.json"),
}


@pytest.mark.parametrize("which", DISAGREEING)
def test_files_that_disagree_are_refused_by_name(tmp_path: Path, which: str) -> None:
    damage, file = DISAGREEING[which]
    folder = tmp_path / "corpus"
    write(folder, random_sequences(1, 10))
    damage(folder)
    with pytest.raises(InputError) as caught:
        Corpus(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder / file}: damaged (")
    assert message.endswith("; prepare the corpus again")
    assert len(message) - len(str(folder)) < 200


def test_a_header_alone_asks_for_no_memory(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    write(folder, random_sequences(1, 10))
    for name in ("tokens.npy", "offsets.npy"):
        content = (folder / name).read_bytes()
        start = content.index(b"(") + 1
        end = content.index(b",", start)
        huge = content[:start] + b"9" * 13 + content[end:]
        (folder / name).write_bytes(huge)
        with pytest.raises(InputError, match=rf"{name}: damaged"):
            Corpus(folder)
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("damage", [scramble, remove])
def test_a_damaged_manifest_is_an_input_error(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    write(tmp_path / "corpus", random_sequences(1, 10))
    damage(tmp_path / "corpus" / "manifest.jsonl")
    with pytest.raises(InputError):
        Corpus(tmp_path / "corpus").manifest()


def test_no_corpus_at_all_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no prepared corpus \(corpus\.json is missing\)"):
        Corpus(tmp_path / "absent")


def test_a_corpus_is_written_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_file, "CHUNK", 3)
    sequences = random_sequences(3, 10)
    write(tmp_path / "corpus", sequences)
    assert_same(Corpus(tmp_path / "corpus"), sequences)
    assert names(tmp_path / "corpus") == FILES


def test_an_open_corpus_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ROWS_CHECKED", 5)
    sequences = random_sequences(3, 10)
    write(tmp_path / "corpus", sequences)
    assert_same(Corpus(tmp_path / "corpus"), sequences)
    offsets = np.load(tmp_path / "corpus" / "offsets.npy")
    for place in (4, 5, 6, len(offsets) - 1):  # beside the border of two parts, and at the end
        wrong = offsets.copy()
        wrong[place] = wrong[place - 1]
        np.save(tmp_path / "corpus" / "offsets.npy", wrong)
        with pytest.raises(InputError, match=r"offsets\.npy: damaged"):
            Corpus(tmp_path / "corpus")
    np.save(tmp_path / "corpus" / "offsets.npy", offsets)
    tokens = np.load(tmp_path / "corpus" / "tokens.npy")
    tokens[-1] = 10
    np.save(tmp_path / "corpus" / "tokens.npy", tokens)
    with pytest.raises(InputError, match=r"tokens\.npy: damaged \(tokens up to \[10\]"):
        Corpus(tmp_path / "corpus")
