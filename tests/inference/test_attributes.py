"""Attributes of a trained model, from a corpus or from labels."""

import shutil
from pathlib import Path

import pytest
import torch
from trained import Trained

import seqvae
from seqvae.errors import InputError
from seqvae.inference.attributes import NUM_MOVED, Movement, measure_movement, varies
from seqvae.inference.trained import TrainedVAE


@pytest.fixture
def copy(sentences: Trained, tmp_path: Path) -> TrainedVAE:
    """The model of sentences with a bundle of its own."""
    shutil.copytree(sentences.run, tmp_path / "run")
    return seqvae.load(tmp_path / "run")


def test_attributes_are_fitted_measured_and_kept(copy: TrainedVAE, sentences: Trained) -> None:
    moved = copy.attributes(sentences.corpus, method="probe")
    assert moved.names == ("length", "word_length")  # no sentence asks, none is of the past
    assert moved.measured == moved.names
    assert moved.change.shape == (2, 2)
    assert ((moved.rising >= 0) & (moved.rising <= 1)).all()
    assert (moved.able >= moved.rising).all()
    assert copy.bundle is not None
    again = seqvae.load(copy.bundle)
    assert again.directions.names == moved.names
    assert again.movement is not None
    torch.testing.assert_close(again.movement.change, moved.change)
    assert again.movement.table() == moved.table()
    assert f"{NUM_MOVED} samples go 1 along a row" in moved.table()
    assert again.shift("A man likes the sea.", attribute="length", amount=-1.0, seed=0)


def test_a_fit_says_which_attributes_it_drops(
    copy: TrainedVAE, sentences: Trained, caplog: pytest.LogCaptureFixture
) -> None:
    copy.attributes(sentences.corpus, method="means")
    assert not caplog.records
    copy.attributes(sentences.corpus, ["length"], method="means")
    assert "fitted before, and gone now: word_length;" in caplog.text
    assert copy.bundle is not None
    assert seqvae.load(copy.bundle).directions.names == ("length",)


def test_what_hardly_ever_varies_is_left_out() -> None:
    assert varies(torch.arange(300.0))
    assert varies(torch.tensor([0.0] * 98 + [1.0] * 2))
    assert not varies(torch.tensor([0.0] * 998 + [1.0] * 2))
    assert not varies(torch.tensor([1.0] * 998 + [0.0] * 2))
    assert not varies(torch.ones(5))


def test_changes_are_in_units_of_the_spread_and_wanted_the_way_they_go(
    copy: TrainedVAE, sentences: Trained
) -> None:
    """Against moving by hand."""
    copy.attributes(sentences.corpus, ["length"], method="means")
    moved = measure_movement(copy, copy.directions, amount=-2.0)
    z = copy.prior.sample(NUM_MOVED, torch.Generator().manual_seed(0))
    before, after = (
        torch.tensor([float(len(text.split())) for text in copy.decode(code)])
        for code in (z, copy.directions.shift(z, "length", -2.0))
    )
    expected = (after - before).mean() / copy.directions.spread[0]
    assert float(moved.change[0, 0]) == pytest.approx(float(expected), abs=1e-5)
    assert float(moved.rising[0]) == pytest.approx(float((after < before).double().mean()))


def test_labels_are_one_attribute_more(copy: TrainedVAE, tmp_path: Path) -> None:
    file = tmp_path / "animals.tsv"
    rows = ["people\tA man likes the sea.", "dogs\tTwo dogs draw trees."] * 20
    file.write_text("\n".join(rows) + "\n")
    moved = copy.attributes(labels=file, method="probe")
    assert moved.names == ("animals", "length", "word_length")
    assert moved.measured == ("length", "word_length")
    assert moved.rising[0].isnan()
    people, dogs = (
        copy.directions.score(copy.encode(r.split("\t")[1]).mean)[0, 0] for r in rows[:2]
    )
    assert people > dogs  # the later in the alphabet is the more
    file.write_text("\n".join(f"{i}\t{row.split(chr(9))[1]}" for i, row in enumerate(rows)))
    assert copy.attributes(names=["length"], labels=file).names == ("animals", "length")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["1\tA man.", "A man.", "0 A man."], r"2 of 3 lines cannot be used: 2 \(no tab\), 3 \(no"),
        (["1\tA man.", "0\t" + "A man likes " * 20], r"1 of 2 lines .* 2 \(.*takes at most 24"),
        (["a\tA man.", "b\tA dog.", "c\tIt."], "numbers or two words; these are 3: a, b, c"),
        (["1\tA man.", "1\tA dog."], "attribute joy: it is 1 in the whole corpus"),
    ],
)
def test_labels_that_do_not_match_are_named(
    copy: TrainedVAE, tmp_path: Path, lines: list[str], reason: str
) -> None:
    (tmp_path / "joy.tsv").write_text("\n".join(lines))
    with pytest.raises(InputError, match=reason):
        copy.attributes(labels=tmp_path / "joy.tsv")


def test_labels_of_music_name_files_beside_them(melodies: Trained, tmp_path: Path) -> None:
    shutil.copytree(melodies.run, tmp_path / "run")
    for number in range(4):
        shutil.copy(melodies.source / f"tune_{number:04d}.mid", tmp_path)
    (tmp_path / "mood.tsv").write_text(
        "".join(f"{number % 2}\ttune_{number:04d}.mid\n" for number in range(4))
    )
    vae = seqvae.load(tmp_path / "run")
    moved = vae.attributes(names=["note_density"], labels=tmp_path / "mood.tsv")
    assert moved.names == ("mood", "note_density")
    (tmp_path / "mood.tsv").write_text("1\ttune_0000.mid\n0\tgone.mid\n")
    with pytest.raises(InputError, match=r"1 of 2 lines .* 2 \(.*gone.mid"):
        vae.attributes(labels=tmp_path / "mood.tsv")


def test_unusable_settings_name_the_reason(
    copy: TrainedVAE, sentences: Trained, melodies: Trained
) -> None:
    with pytest.raises(InputError, match="attribute is 'joy'; there are length"):
        copy.attributes(sentences.corpus, ["joy"])
    with pytest.raises(InputError, match="attribute question: it is 0 in the whole corpus"):
        copy.attributes(sentences.corpus, ["question"])
    with pytest.raises(InputError, match="on a corpus or on labels"):
        copy.attributes()
    with pytest.raises(InputError, match="amount is nan"):
        copy.attributes(sentences.corpus, amount=float("nan"))
    with pytest.raises(InputError, match="another tokenizer"):
        copy.attributes(melodies.corpus)
    assert copy.movement is None
    assert copy.bundle is not None
    (copy.bundle / "movement.json").write_text("{}")
    with pytest.raises(InputError, match=r"movement.json: damaged"):
        Movement.load(copy.bundle)
