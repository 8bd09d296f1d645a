"""Sentences of which a part is kept, letter for letter."""

import pytest
from tiny import tiny_vae
from trained import Trained

from seqvae.errors import InputError
from seqvae.inference import gaps
from seqvae.inference.codec import Codec
from seqvae.inference.mixture import Mixture
from seqvae.inference.trained import TrainedVAE
from seqvae.tokenizers import make_tokenizer
from seqvae.tokenizers.symbols import SymbolTokenizer


@pytest.fixture(autouse=True)
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaps, "NUM_SAMPLES", 32)
    monkeypatch.setattr(gaps, "MAX_GAP", 5)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("A man ___ a boat.", "A man", " a boat."),
        ("A man likes ___.", "A man likes", "."),
        ("___ the moon.", "", " the moon."),
        ("Two dogs ___", "Two dogs", ""),
        ("A zebra ___ a b\u00f6at.", "A zebra", " a b\u00f6at."),
    ],
)
def test_what_is_given_is_kept(sentences: Trained, text: str, start: str, end: str) -> None:
    found = sentences.vae.complete(text, n=4, seed=1)
    assert 1 <= len(found) <= 4
    assert len({*found}) == len(found)
    for sentence in found:
        assert sentence.startswith(start)
        assert sentence.endswith(end)
        assert len(sentence) > len(start) + len(end)
        assert "___" not in sentence
    assert found == sentences.vae.complete(text, n=4, seed=1)


def test_words_that_the_model_does_not_know_are_kept() -> None:
    tokenizer = make_tokenizer({"kind": "words"}).train(["dogs see boats", "dogs see cats"] * 2)
    ids = tokenizer.encode("zebras see boats")
    assert tokenizer.decode(ids) != "zebras see boats"
    frame = gaps.Frame("zebras", " boats", ids[:1, 0].tolist(), ids[2:, 0].tolist())
    assert frame.text(tokenizer, ids) == "zebras see boats"


@pytest.mark.parametrize(
    ("text", "start", "end"), [("O=C___=O", "O=C", "=O"), ("C ___", "C ", ""), ("___O ", "", "O ")]
)
def test_symbols_are_kept_with_the_spaces_beside_them(text: str, start: str, end: str) -> None:
    tokenizer = SymbolTokenizer(max_steps=8).train(["C=O ", "OC"])  # no letter a
    model = tiny_vae(latent_dim=2, vocab_sizes=(5,), max_steps=8, eos_id=0)
    vae = TrainedVAE(Codec(model, tokenizer), prior=Mixture.standard(2))
    found = vae.complete(text, n=3, seed=1)
    assert all(line.startswith(start) and line.endswith(end) for line in found)
    assert vae.complete(prefix=start, n=3, seed=1) == vae.complete(f"{start}___", n=3, seed=1)


def vae_of_words() -> TrainedVAE:
    """A model whose symbols are words with the space before them, and no lone space or letter."""
    tokenizer = SymbolTokenizer(pattern=" ?[A-Za-z']+", max_steps=8)
    tokenizer = tokenizer.train(["The man sees the boat.", "He sees the man."])
    model = tiny_vae(latent_dim=2, vocab_sizes=tokenizer.vocab_sizes, max_steps=8, eos_id=0)
    return TrainedVAE(Codec(model, tokenizer), prior=Mixture.standard(2))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("The man ___ the boat.", "The man", " the boat."),
        ("He ___ the man.", "He", " the man."),
        ("The man ___", "The man", ""),
        ("___ the man.", "", " the man."),
        ("He___.", "He", "."),
    ],
)
def test_symbols_that_are_words_are_kept(text: str, start: str, end: str) -> None:
    vae = vae_of_words()
    found = vae.complete(text, n=3, seed=1)
    assert found
    assert all(line.startswith(start) and line.endswith(end) for line in found)
    if not end:
        assert found == vae.complete(prefix=start, n=3, seed=1)
        assert found == vae.complete(prefix=f"{start} ", n=3, seed=1)


@pytest.mark.parametrize("text", ["He zigzags ___.", "He ___ zigzags.", "zigzags___"])
def test_a_word_that_is_no_symbol_is_named_as_it_is_written(text: str) -> None:
    with pytest.raises(InputError, match=r": 'zigzags' is not in the vocabulary"):
        vae_of_words().complete(text)


def test_a_prefix_is_a_gap_at_the_end(sentences: Trained) -> None:
    vae = sentences.vae
    assert vae.complete(prefix="The girl", n=3, seed=2) == vae.complete("The girl ___", n=3, seed=2)


def test_what_is_likely_is_chosen(sentences: Trained) -> None:
    vae = sentences.vae
    text = "A man ___ a boat."
    chosen = vae.complete(text, n=2, choose=12, temperature=1.5, seed=3)
    nats = [score.per_step for score in vae.score(chosen, iw_samples=50)]
    others = vae.complete(text, n=12, temperature=1.5, seed=3)
    mean = sum(score.per_step for score in vae.score(others, iw_samples=50)) / len(others)
    assert max(nats) < mean


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"source": "A man sleeps."}, "no gap: mark it with ___, or give .* --prefix"),
        ({"source": "A ___ sees ___."}, "more than one gap"),
        ({"source": "word " * 40 + "___"}, "tokens"),
        ({"prefix": "A man", "keep": "1-4"}, "keep is '1-4'; it is for music"),
        ({"prefix": "A man", "bars": 4}, "bars is 4; it is for music"),
        ({}, "no sentence: give one with ___ for a gap, or --prefix"),
        ({"source": "A ___", "prefix": "A"}, "prefix and an input are both given"),
        ({"prefix": "A", "n": 4, "choose": 3}, "choose is 3; it must be 4 or more"),
    ],
)
def test_what_is_impossible_is_refused(
    sentences: Trained, wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        sentences.vae.complete(**wrong)  # type: ignore[arg-type]
