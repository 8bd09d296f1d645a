"""Codes of files as a table, and the way back."""

import csv
import io
import logging
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import tiny_vae
from trained import Trained

from seqvae import cli
from seqvae.corpus import encodings
from seqvae.corpus.lines import read_stream
from seqvae.errors import InputError
from seqvae.inference import encoding
from seqvae.inference.code_table import new_table, read_codes, read_means
from seqvae.inference.codec import Codec
from seqvae.inference.encoding import encode_in_order, encode_places
from seqvae.inference.options import Coding
from seqvae.model.latent import DiagonalGaussian
from seqvae.tokenizers.contract import Ids
from seqvae.tokenizers.symbols import SymbolTokenizer
from seqvae.tokenizers.words import WordTokenizer

LINES = ["A man sees a boat.", "The girl wants music.", "Two dogs draw old trees."]


def called(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["seqvae", *map(str, words)])
    cli.main()


def test_rows_are_in_the_order_of_the_lines_and_name_them(
    sentences: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "a.txt").write_text(f"{LINES[1]}\n\n{'long ' * 30}\n{LINES[0]}\n")
    (texts / "b.txt").write_text(f"{LINES[2]}\r\n")
    out = tmp_path / "codes.npz"
    with caplog.at_level(logging.WARNING):
        number = encode_places(sentences.vae.codec, [str(texts)], out, Coding())
    expected = sentences.vae.encode([LINES[1], LINES[0], LINES[2]])
    with np.load(out) as arrays:
        assert number == 3
        np.testing.assert_allclose(arrays["means"], expected.mean, atol=1e-6)
        np.testing.assert_allclose(arrays["log_stddevs"], expected.log_stddev, atol=1e-6)
        assert arrays["means"].dtype == np.float32
        assert arrays["ids"].tolist() == [1, 4, 1]
        assert arrays["sources"][arrays["source"]].tolist() == [
            str(texts / name) for name in ("a.txt", "a.txt", "b.txt")
        ]
    (message,) = caplog.messages
    assert message.startswith(f"{texts / 'a.txt'}: 1 line: ")
    assert "an empty line" in message
    assert "longer than 24 tokens" in message


@pytest.mark.parametrize("half", [False, True])
def test_threads_encode_blocks_and_rows_stay_in_order(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: bool
) -> None:
    monkeypatch.setattr(encodings, "BLOCK_CHARACTERS", 40)  # a line or two
    source = tmp_path / "lines.txt"
    source.write_text("\n".join([line for line in LINES for _ in range(4)]))
    threads, means, before = set[str](), {}, torch.get_num_threads()

    def noted(codec: Codec, sequences: list[Ids], refine: int) -> DiagonalGaussian:
        if len(threads) < together.parties:  # the first blocks wait for each other
            threads.add(threading.current_thread().name)
            together.wait(timeout=10)
        return encode_in_order(codec, sequences, refine)

    monkeypatch.setattr(encoding, "encode_in_order", noted)
    for number in (1, 2):
        threads.clear()
        together = threading.Barrier(number)
        torch.set_num_threads(number)
        try:
            out = tmp_path / f"{number}.npz"
            encode_places(sentences.vae.codec, [str(source)], out, Coding(), half=half)
        finally:
            torch.set_num_threads(before)
        means[number] = read_means(out, 4)
        assert len(threads) == number
    np.testing.assert_allclose(means[2], means[1], atol=1e-6)
    exact = np.abs(means[2] - sentences.vae.encode([*np.repeat(LINES, 4)]).mean.numpy()).max()
    assert (exact > 1e-4) == half


def test_a_csv_file_has_the_same_numbers(sentences: Trained, tmp_path: Path) -> None:
    source = tmp_path / "a, b.txt"
    source.write_text("\n".join(LINES))
    for name in ("codes.npz", "codes.csv"):
        encode_places(sentences.vae.codec, [str(source)], tmp_path / name, Coding())
    means = read_means(tmp_path / "codes.npz", 4)
    assert (read_means(tmp_path / "codes.csv", 4) == means).all()
    with (tmp_path / "codes.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["source"], row["id"]) for row in rows] == [
        (str(source), str(number)) for number in (1, 2, 3)
    ]
    assert np.float32(rows[2]["mean_1"]) == means[2, 1]
    assert {"log_stddev_0", "log_stddev_3"} <= rows[0].keys()


def test_tables_that_were_written_are_read_in_parts(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts = rng.standard_normal((3, 700, 2)).astype(np.float32)
    for ending in ("npz", "csv"):
        with new_table(tmp_path / f"codes.{ending}", 2, "m") as table:
            for part in parts:
                table.add("x", np.arange(700), part, -part)
        assert (read_means(tmp_path / f"codes.{ending}", 2) == parts.reshape(-1, 2)).all()
    assert {file.name for file in tmp_path.iterdir()} == {"codes.npz", "codes.csv"}


def test_a_table_that_is_not_finished_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_table(tmp_path / "codes.npz", 2, "m"):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_a_table_of_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    codes = np.arange(6, dtype=np.float32).reshape(3, 2)
    with new_table(tmp_path / "codes.parquet", 2, "m") as table:
        table.add("x", np.arange(3), codes, -codes)
    assert (read_means(tmp_path / "codes.parquet", 2, "m") == codes).all()
    with pytest.raises(InputError, match="codes of another model"):
        read_means(tmp_path / "codes.parquet", 2, "other")


def test_parquet_without_pyarrow_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with (
        pytest.raises(InputError, match="Parquet needs pyarrow"),
        new_table(tmp_path / "codes.parquet", 2, "m"),
    ):
        pass


def test_a_corpus_gives_its_sequences_split_by_split(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "SEQUENCES_TOGETHER", 5)
    vae, corpus = sentences.vae, sentences.corpus
    for place in (f"{corpus.folder}:test", str(corpus.folder)):
        encode_places(vae.codec, [place], tmp_path / "codes.npz", Coding())
        with np.load(tmp_path / "codes.npz") as arrays:
            means, ids = arrays["means"], arrays["ids"]
            names = arrays["sources"][arrays["source"]]
        test = names == f"{corpus.folder}:test"
        split = corpus.splits["test"]
        assert ids[test].tolist() == [*range(1, len(split) + 1)]
        texts = [vae.tokenizer.decode(split[number]) for number in range(len(split))]
        np.testing.assert_allclose(means[test], vae.encode(texts).mean, atol=1e-6)
    assert len(means) == sum(corpus.num_sequences.values())
    with pytest.raises(InputError, match="no split 'tests'; there are train, valid and test"):
        encode_places(vae.codec, [f"{corpus.folder}:tests"], tmp_path / "x.npz", Coding())


def test_music_gives_a_row_per_window(
    melodies: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = sorted(melodies.source.glob("*.mid"))[:2]
    folder = tmp_path / "midi"
    folder.mkdir()
    for file in files:
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "no.mid").write_bytes(b"no music")
    encode_places(melodies.vae.codec, [str(folder)], tmp_path / "codes.npz", Coding())
    expected = melodies.vae.encode(files)
    with np.load(tmp_path / "codes.npz") as arrays:
        np.testing.assert_allclose(arrays["means"], expected.mean, atol=1e-6)
        assert arrays["ids"][:2].tolist() == [1, 2]
        assert arrays["sources"].tolist() == [str(folder / file.name) for file in files]
    assert "no.mid: not a MIDI file" in caplog.text
    encode_places(melodies.vae.codec, [str(files[0])], tmp_path / "codes.npz", Coding(bar=2))
    np.testing.assert_allclose(
        read_means(tmp_path / "codes.npz", 4), melodies.vae.encode(files[0], bar=2).mean, atol=1e-6
    )
    with pytest.raises(InputError, match="this model takes MIDI files"):
        encode_places(melodies.vae.codec, ["-"], tmp_path / "codes.npz", Coding())


def test_codes_go_through_the_command_line_and_back(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    piped = SimpleNamespace(buffer=io.BytesIO("\n".join(LINES).encode()))
    monkeypatch.setattr(sys, "stdin", piped)
    out = tmp_path / "codes.npz"
    called(monkeypatch, "encode", sentences.run, "-", "--out", out)
    assert capsys.readouterr().out == f"{out}: 3 codes of 4 dimensions\n"
    called(monkeypatch, "decode", sentences.run, out)
    assert capsys.readouterr().out.splitlines() == sentences.vae.reconstruct(LINES)
    np.save(tmp_path / "z.npy", np.load(out)["means"])
    called(monkeypatch, "decode", sentences.run, tmp_path / "z.npy", "--seed", "1")
    assert capsys.readouterr().out.splitlines() == sentences.vae.reconstruct(LINES)
    table = tmp_path / "lines.csv"
    table.write_text("text,n\n" + "".join(f'"{line}",1\n' for line in LINES))
    called(
        monkeypatch, "encode", sentences.run, table, "--column", "text", "--out", out,
        "--precision", "bf16",
    )  # fmt: skip
    half = read_means(out, 4)
    assert 0 < np.abs(half - sentences.vae.encode(LINES).mean.numpy()).max() < 0.05


def test_a_stream_is_read_block_by_block() -> None:
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:
            buffer[:] = b"a line\n" * (len(buffer) // 7) + b"\n" * (len(buffer) % 7)
            return len(buffer)

    blocks = read_stream(io.TextIOWrapper(io.BufferedReader(Endless()), "utf-8"))
    first, second = next(blocks), next(blocks)
    assert first.lines[0] == "a line"
    assert second.numbers[0] == first.num_lines + 1


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("codes.npz", None, "no such file"),
        ("codes.txt", b"1 2", "must end in .npz, .npy, .csv, .parquet"),
        ("codes.npz", b"PK", "damaged"),
        ("codes.npy", b"", "damaged"),
        ("codes.csv", b"", "damaged"),
        ("codes.csv", b"mean_0,mean_2\n1,2\n", "damaged (no column 'mean_1')"),
        ("codes.csv", b"x,y\n1,2\n", "damaged (no column 'mean_0')"),
        ("codes.csv", b"mean_0,mean_1\n1,b\n", "line 2: mean_1 is 'b', which is no number"),
        ("codes.csv", b"mean_0,mean_1\n1\n", "damaged (line 2 ends before its means do)"),
        ("codes.csv", b"mean_0,mean_1\n1,1e300\n", "row 0, counted from 0, holds a number that"),
        ("codes.csv", b"mean_0,mean_1\n", "codes of shape (0, 2); this model takes (N, 2)"),
        ("codes.csv", b"mean_0\n1\n", "codes of shape (1, 1); this model takes (N, 2)"),
        ("codes.csv", b"mean_0,mean_1\n1,2\n3,nan\n", "row 1, counted from 0, holds a number that"),
    ],
    ids=str,
)
def test_what_is_no_table_of_codes(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_means(file, 2)
    assert str(caught.value).startswith(f"{file}: ")
    assert reason in str(caught.value)
    assert len(str(caught.value)) <= 300


def test_a_folder_is_no_table_of_codes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a folder; name a file in it"):
        read_means(tmp_path, 2)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"ids": [1, 2, 3]}, r"means of shape \(2, 2\), but ids of shape \(3,\)"),
        ({"source": [0]}, r"means of shape \(2, 2\), but source of shape \(1,\)"),
        ({"source": [0, 2]}, "source holds numbers outside of the 2 of sources"),
    ],
    ids=str,
)
def test_arrays_that_do_not_fit_together(
    tmp_path: Path, changed: dict[str, list[int]], reason: str
) -> None:
    arrays = {"ids": [1, 2], "source": [0, 1], "sources": ["a", "b"]} | changed
    np.savez(tmp_path / "codes.npz", means=np.zeros((2, 2)), **arrays)  # type: ignore[arg-type]  # allow_pickle is a keyword, too
    with pytest.raises(InputError, match=reason):
        read_means(tmp_path / "codes.npz", 2)


@pytest.mark.parametrize("ending", ["npz", "csv", "parquet"])
def test_a_table_says_what_its_codes_are_of(tmp_path: Path, ending: str) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    file, codes = tmp_path / f"codes.{ending}", np.ones((2, 2), np.float32)
    with new_table(file, 2, "m") as table:
        table.add("b, c", np.array([3, 7]), codes, codes)
        table.add("a", np.array([1, 2]), 2 * codes, codes)
    means, of = read_codes(file)
    assert means[:, 0].tolist() == [1, 1, 2, 2]
    assert of.ids.tolist() == [3, 7, 1, 2]
    assert [of.sources[number] for number in of.source] == ["b, c", "b, c", "a", "a"]
    with pytest.raises(InputError, match=r"codes of shape \(4, 2\); this model takes \(N, 3\)"):
        read_codes(file, 3)


def test_a_table_that_does_not_say_what_its_codes_are_of(tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", np.zeros((2, 2)))
    with pytest.raises(InputError, match="does not say what its codes are of"):
        read_codes(tmp_path / "z.npy")
    (tmp_path / "z.csv").write_text("source,id,mean_0\na,1.5,0\n")
    assert read_means(tmp_path / "z.csv", 1).tolist() == [[0]]
    with pytest.raises(InputError, match="an id is no whole number"):
        read_codes(tmp_path / "z.csv")


def test_codes_of_another_model_are_refused(
    sentences: Trained, melodies: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    lines = tmp_path / "lines.txt"
    lines.write_text("\n".join(LINES))
    out = tmp_path / "codes.npz"
    encode_places(sentences.vae.codec, [str(lines)], out, Coding())
    with pytest.raises(SystemExit) as left:  # both codes have four dimensions
        called(monkeypatch, "decode", melodies.run, out, "--out", tmp_path / "clips")
    assert left.value.code == 2
    assert f"{out}: codes of another model, or of this one before" in capsys.readouterr().err
    assert not (tmp_path / "clips").exists()


def test_several_arrays_without_means_are_ambiguous(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((1, 2)), y=np.zeros((1, 2)))
    with pytest.raises(InputError, match="damaged \\(no 'means'\\)"):
        read_means(tmp_path / "a.npz", 2)
    np.savez(tmp_path / "b.npz", x=np.ones((1, 2)))
    assert read_means(tmp_path / "b.npz", 2).tolist() == [[1, 1]]


@pytest.mark.parametrize(
    "array", [np.array([{}]), np.array([["1", "2"]]), np.ones((1, 2), complex)], ids=str
)
def test_arrays_of_other_things_than_real_numbers(tmp_path: Path, array: NDArray[Any]) -> None:
    np.save(tmp_path / "c.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match="damaged"):
        read_means(tmp_path / "c.npy", 2)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("nope.txt", "--out", "c.npz"), "nope.txt: no such file or folder"),
        (("lines.txt", "--out", "c.txt"), "--out c.txt: it must end in .npz, .csv, .parquet"),
        (("lines.txt",), "the following arguments are required: --out"),
        (("lines.txt", "--out", "c.npz", "--bar", "2"), "--bar is for music"),
        (("empty.txt", "--out", "c.npz"), "empty.txt: nothing in it can be encoded"),
    ],
    ids=str,
)
def test_mistakes_are_one_line(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], reason: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lines.txt").write_text(LINES[0])
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(SystemExit) as left:
        called(monkeypatch, "encode", sentences.run, *words)
    assert left.value.code == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "c.npz").exists()


def test_an_input_is_not_written_over(sentences: Trained, tmp_path: Path) -> None:
    folder, codec = tmp_path / "texts", sentences.vae.codec
    folder.mkdir()
    table = folder / "rev.csv"
    table.write_text("text,n\n" + "".join(f"{line},1\n" for line in LINES))
    link = tmp_path / "link.csv"
    link.symlink_to(table)
    before = table.read_bytes()
    for place, out in (
        (table, table), (table, folder / ".." / "texts" / "rev.csv"), (table, link),
        (folder, table), (folder / "*.csv", table), (link, table),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"--out {out}: one of the inputs"):
            encode_places(codec, ["-", str(place)], out, Coding(), column="text")
    assert table.read_bytes() == before
    assert encode_places(codec, [str(table)], tmp_path / "b.csv", Coding(), column="text") == 3
    assert encode_places(codec, [str(table)], tmp_path / "b.csv", Coding(), column="text") == 3


def test_a_text_of_another_encoding_is_refused(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    file, out = tmp_path / "latin.txt", tmp_path / "codes.npz"
    text = "\n".join(f"La ma\u00f1ana {number}." for number in range(4)).encode("latin-1")
    file.write_bytes(text)
    for place in (str(file), "-"):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))
        with pytest.raises(SystemExit) as left:
            called(monkeypatch, "encode", sentences.run, place, "--out", out)
        assert left.value.code == 2
        told = "4 of 4 lines are not UTF-8, or have NUL; they look like cp1252: give --encoding"
        assert told in capsys.readouterr().err
        assert not out.exists()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))
        words = ("encode", sentences.run, place, "--out", out, "--encoding", "latin-1")
        called(monkeypatch, *words)
        lines = text.decode("latin-1").split("\n")
        expected = sentences.vae.encode(lines).mean.numpy()
        np.testing.assert_allclose(read_means(out, 4), expected, atol=1e-6)
        out.unlink()


def test_what_does_not_fit_in_a_folder_is_left_out(
    sentences: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    codec, folder, out = sentences.vae.codec, tmp_path / "mixed", tmp_path / "codes.npz"
    folder.mkdir()
    (folder / "a.txt").write_text(LINES[0])
    (folder / "bin.txt").write_bytes(bytes(range(256)))
    (folder / "empty.txt").touch()
    (folder / "rev.csv").write_text(f'n,text\n1,"{LINES[1]}"\n')
    for place in (str(folder), str(folder / "*")):
        caplog.clear()
        assert encode_places(codec, [place], out, Coding()) == 1
        first, *reasons = caplog.messages
        assert first == f"{place}: 3 of 4 files left out"
        assert len(reasons) == 3
        assert "bin.txt: no text" in reasons[0]
        assert reasons[1] == f"  {folder / 'empty.txt'}: no line of text"
        assert "name the column of the text by --column" in reasons[2]
        assert encode_places(codec, [place], out, Coding(), column="text") == 2
        expected = sentences.vae.encode(LINES[:2]).mean.numpy()
        np.testing.assert_allclose(read_means(out, 4), expected, atol=1e-6)
    with pytest.raises(InputError, match=r"bin\.txt: no text"):
        encode_places(codec, [str(folder), str(folder / "bin.txt")], out, Coding())
    for name in ("a.txt", "rev.csv"):
        (folder / name).unlink()
    with pytest.raises(InputError, match=r"mixed: none of 2 files fits: .*bin\.txt: no text"):
        encode_places(codec, [str(folder)], out, Coding())


def test_columns_are_not_of_standard_input(sentences: Trained, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without the columns that --column is for"):
        encode_places(sentences.vae.codec, ["-"], tmp_path / "c.npz", Coding(), column="text")


def test_symbols_outside_the_alphabet_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    symbols = SymbolTokenizer().train(["CCO", "CNO"])
    size = len(symbols.alphabet)
    codec = Codec(tiny_vae(vocab_sizes=(size,), eos_id=0), symbols)
    file = tmp_path / "lines.txt"
    file.write_text("CCO\nCXX\nXY\nabdef\n")
    assert encode_places(codec, [str(file)], tmp_path / "c.npz", Coding()) == 1
    first, second = caplog.messages
    assert first == f"{file}: 3 lines: a symbol that no training line has"
    assert second == (
        "  the symbols, and in how many lines: 'X' (2), 'Y' (1), 'a' (1), 'b' (1), 'd' (1), ...; "
        "a model trained with --data.tokenizer.unknown keep would take them"
    )


def test_a_language_model_has_no_codes(tmp_path: Path) -> None:
    words = WordTokenizer().train(["a b c"])
    codec = Codec(tiny_vae(latent_dim=0, vocab_sizes=(5,), eos_id=0), words)
    with pytest.raises(InputError, match="it has no code"):
        encode_places(codec, ["-"], tmp_path / "x.npz", Coding())
