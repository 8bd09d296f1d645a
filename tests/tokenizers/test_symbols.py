"""Symbols: how a line is cut, and what becomes of what is outside the alphabet."""

import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvae.corpus.config import DataConfig
from seqvae.corpus.prepare import prepare
from seqvae.corpus.store import Corpus
from seqvae.errors import InputError
from seqvae.inference.figures import TextPairs
from seqvae.inference.measures import measures_of
from seqvae.tokenizers import load_tokenizer, save_tokenizer, symbols
from seqvae.tokenizers.symbols import FASTA_HEADER, WHITE_SPACE, SymbolTokenizer
from seqvae.tokenizers.words import WordTokenizer

SMILES = r"\[[^\]]*\]|Br|Cl|%\d\d"


def cut(pattern: str, line: str) -> list[str]:
    return SymbolTokenizer(pattern=pattern).train([line]).spellings(line)


@pytest.mark.parametrize(
    ("pattern", "line", "expected"),
    [
        ("characters", "C c\t", ["C", " ", "c", "\t"]),
        ("brackets", "[C][=Ring1].[N", ["[C]", "[=Ring1]", ".", "[", "N"]),
        (SMILES, "CCl[nH]%12B", ["C", "Cl", "[nH]", "%12", "B"]),
        (r"[a-z]+|(\d)\1", "ab 1122x", ["ab", " ", "11", "22", "x"]),
        (r"(?=b)|b*", "abb", ["a", "bb"]),  # it matches nothing, too: that is no symbol
        ("a.c", "abcd\n", ["abc", "d", "\n"]),
    ],
    ids=str,
)
def test_how_a_line_is_cut(pattern: str, line: str, expected: list[str]) -> None:
    assert cut(pattern, line) == expected


def test_no_character_is_ever_lost() -> None:
    draw = random.Random(0)
    for pattern in ("characters", "brackets", SMILES, r"\w+", r"x*", r"(?=a)", "a|ab"):
        lines = ["".join(draw.choices("aAbx[]= \u00e9\u4e16\t%1", k=12)) for _ in range(50)]
        tokenizer = SymbolTokenizer(pattern=pattern).train(lines)
        assert [tokenizer.decode(tokenizer.encode(line)) for line in lines] == lines


def test_the_alphabet_is_that_of_the_lines_the_most_frequent_first() -> None:
    tokenizer = SymbolTokenizer().train(["CCO", "CNO"])
    assert tokenizer.alphabet == ("C", "O", "N")
    assert tokenizer.vocab_sizes == (4,)
    assert tokenizer.encode("NO").tolist() == [[3], [2], [0]]
    assert tokenizer.decode(np.array([[1], [0], [2]])) == "C"
    assert SymbolTokenizer().train(["CNO", "CCO"]) == tokenizer
    assert SymbolTokenizer().train(["b", "a"]).alphabet == ("a", "b")


def test_unknown_symbols_are_refused_by_name() -> None:
    tokenizer = SymbolTokenizer().train(["CCO"])
    assert tokenizer.encode_lines(["CO", "CN", ""]) == [[1, 2, 0], [], [0]]
    with pytest.raises(InputError, match=r"'CN': 'N' is not in the vocabulary .* \(2 symbols\)"):
        tokenizer.encode("CN")


def test_unknown_symbols_are_kept_as_one() -> None:
    tokenizer = SymbolTokenizer(unknown="keep", vocab_size=4).train(["CCC", "OO", "N", "\ufffd"])
    assert tokenizer.alphabet == ("\ufffd", "C", "O")
    assert tokenizer.encode_lines(["CNO", "\ufffd"]) == [[2, 1, 3, 0], [1, 0]]
    assert tokenizer.decode(tokenizer.encode("CNS")) == "C\ufffd\ufffd"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"pattern": "("}, r"symbols: pattern is '\(', which is neither .* regular expression"),
        ({"pattern": "a|(?i)b"}, "nor a regular expression: global flags"),
        ({"unknown": "drop"}, "unknown is 'drop'"),
        ({"vocab_size": 2}, "vocab_size is 2; it must be 3 or more"),
        ({"max_steps": 1}, "max_steps is 1; it must be 2 or more"),
    ],
    ids=str,
)
def test_impossible_settings(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        SymbolTokenizer(**settings)


def test_an_alphabet_that_is_too_large_or_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["abc", "abd"]
    assert SymbolTokenizer(vocab_size=5).train(lines).vocab_sizes == (5,)
    with pytest.raises(InputError, match=r"4 symbols or more.*vocab_size is 4; raise it"):
        SymbolTokenizer(vocab_size=4).train(lines)
    kept = SymbolTokenizer(vocab_size=4, unknown="keep").train(lines)
    assert kept.alphabet == ("\ufffd", "a", "b")
    assert kept.vocab_sizes == (4,)
    with pytest.raises(InputError, match="hold no symbols"):
        SymbolTokenizer().train([""])
    monkeypatch.setattr(symbols, "MAX_TYPES", 8)
    many = ["".join(chr(0x4E00 + i + k) for k in range(9)) + "aaa" for i in range(0, 99, 9)]
    assert SymbolTokenizer(vocab_size=3, unknown="keep").train(many).alphabet[1] == "a"
    with pytest.raises(InputError, match="10 symbols or more"):
        SymbolTokenizer(vocab_size=3).train(many)


def test_symbols_survive_json(tmp_path: Path) -> None:
    tokenizer = SymbolTokenizer(pattern="brackets", unknown="keep").train(["[C][=O]", "\u00e9\t"])
    assert SymbolTokenizer.from_json(json.loads(json.dumps(tokenizer.to_json()))) == tokenizer
    save_tokenizer(tokenizer, tmp_path)
    assert load_tokenizer(tmp_path) == tokenizer


@pytest.mark.parametrize(
    "change", [{"alphabet": []}, {"alphabet": ["a", "a"]}, {"unknown": "keep"}, {"pattern": "("}]
)
def test_a_damaged_alphabet_is_an_input_error(tmp_path: Path, change: dict[str, Any]) -> None:
    saved = SymbolTokenizer().train(["ab"]).to_json() | change
    (tmp_path / "tokenizer.json").write_text(json.dumps(saved))
    with pytest.raises(InputError, match=r"tokenizer\.json: damaged"):
        load_tokenizer(tmp_path)


def test_held_out_lines_with_unknown_symbols_are_counted(tmp_path: Path) -> None:
    for split, text in {"train": "CO\nCC\n", "valid": "CN\nCOC\nCCO\nC\n", "test": "C\n"}.items():
        (tmp_path / f"{split}.txt").write_text(text)

    def prepared(unknown: str) -> Corpus:
        data = DataConfig(
            **{split: str(tmp_path / f"{split}.txt") for split in ("train", "valid", "test")},
            tokenizer={"kind": "symbols", "max_steps": 3, "unknown": unknown}, num_workers=0,
        )  # fmt: skip
        return prepare(data, tmp_path / unknown)

    refused = prepared("refuse")
    assert refused.num_sequences == {"train": 2, "valid": 1, "test": 1}
    manifest = (refused.folder / "manifest.jsonl").read_text()
    assert prepared("keep").num_sequences == {"train": 2, "valid": 2, "test": 1}
    (row,) = [row for row in map(json.loads, manifest.splitlines()) if "valid" in row["source"]]
    assert [(each["count"], each["text"], each["remedy"]) for each in row["dropped"]] == [
        (2, "longer than 3 tokens", "--data.tokenizer.max_steps"),
        (1, "a symbol that no training line has", "--data.tokenizer.unknown keep"),
    ]


def test_no_figure_counts_words_of_symbols() -> None:
    tokenizer = SymbolTokenizer().train(["CO"])
    pairs = TextPairs(tokenizer)
    ids = [tokenizer.encode("CO")]
    pairs.add(ids, ids)
    assert pairs.figures({"neg_elbo": 3 * np.log(2), "iw_nll": 1.0}) == {"bits_per_byte": 1.0}
    assert [*measures_of(tokenizer)] == ["length"]
    assert measures_of(tokenizer)["length"]("C O") == 3
    assert "past_tense" in measures_of(WordTokenizer())


@pytest.mark.parametrize("preset", ["smiles", "peptides", "logs"])
def test_presets_cut_as_they_say(preset: str) -> None:
    import yaml

    file = Path(__file__).parents[2] / "configs" / f"{preset}.yaml"
    settings = yaml.safe_load(file.read_text())["data"]["tokenizer"]
    pattern = settings["pattern"]
    lines = {
        "smiles": ("C[C@@H](Br)Cl", ["C", "[C@@H]", "(", "Br", ")", "Cl"]),
        "peptides": ("GIGK", ["G", "I", "G", "K"]),
        "logs": ("blk_-16 to /10", ["blk_", "-", "1", "6", " ", "to", " ", "/", "1", "0"]),
    }
    line, expected = lines[preset]
    assert cut(pattern, line) == expected
    assert re.compile(pattern)


def test_what_may_be_no_sequence_is_noted(tmp_path: Path) -> None:
    smiles = ["C" * n for n in range(1, 40)]
    named = [f"{line} mol{n}" for n, line in enumerate(smiles[:5])]
    files = {"a.fasta": [">seq1", *smiles, ">seq2 of two"], "b.smi": [*smiles, *named]}
    for pattern, expected in (
        (SMILES, {"a.fasta": {FASTA_HEADER: 2}, "b.smi": {WHITE_SPACE: 5}}),
        ("characters", {"a.fasta": {FASTA_HEADER: 2}, "b.smi": {}}),
        (r"\S*|\s", {"a.fasta": {FASTA_HEADER: 2}, "b.smi": {WHITE_SPACE: 5}}),
        (r"\s|\S*", {"a.fasta": {FASTA_HEADER: 2}, "b.smi": {}}),
    ):
        for name, lines in files.items():
            (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
            settings = {"kind": "symbols", "pattern": pattern, "unknown": "keep"}
            data = DataConfig(source=str(tmp_path / name), tokenizer=settings)
            (row,) = prepare(data, tmp_path / "corpus").manifest()
            assert row.noted == expected[name], (pattern, name)


def test_a_word_that_is_known_at_another_place_is_shown_with_its_space() -> None:
    words = SymbolTokenizer(pattern=r" ?\w+").train(["I like the book", "We like it"])
    for line, told in {
        "book it": r"'book' is not in the vocabulary of the model \(6 words\), which knows ' book' "
        "after a space; one",
        "I like We": r"' We' is .* \(6 words\), which knows 'We' at the beginning; one",
        "I see it": r"'see' is .* \(6 words\); one trained with data.tokenizer.unknown keep",
    }.items():
        with pytest.raises(InputError, match=told):
            words.encode(line)
