"""Attributes of a trained model, from a corpus or from labels."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from trained import Trained

import seqvae
from seqvae.errors import InputError
from seqvae.inference import attributes, directions
from seqvae.inference.attributes import (
    NUM_MOVED,
    Movement,
    fit_attributes,
    measure_movement,
    varies,
)
from seqvae.inference.codec import Codec
from seqvae.inference.directions import Directions, make_score
from seqvae.inference.mixture import Mixture
from seqvae.inference.trained import TrainedVAE


@pytest.fixture
def copy(sentences: Trained, tmp_path: Path) -> TrainedVAE:
    """The model of sentences in a copy of its run."""
    shutil.copytree(sentences.run, tmp_path / "run")
    return seqvae.load(tmp_path / "run")


def test_a_network_is_as_wide_as_asked(sentences: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directions, "STEPS", 1)
    made = fit_attributes(sentences.vae.codec, sentences.corpus, hidden_dim=8)
    assert next(made.score.parameters()).shape == (8, 4)


def test_attributes_are_fitted_measured_and_kept(copy: TrainedVAE, sentences: Trained) -> None:
    moved = copy.attributes(sentences.corpus, method="probe")
    assert moved.names == ("length", "word_length")  # no sentence asks, none is of the past
    assert moved.measured == moved.names
    assert moved.change.shape == (2, 2)
    assert ((moved.success >= 0) & (moved.success <= 1)).all()
    assert (moved.success_of_movable >= moved.success).all()
    assert copy.run is not None
    again = seqvae.load(copy.run)
    assert again.directions.names == moved.names
    kept = Movement.load(copy.run)
    assert kept is not None
    torch.testing.assert_close(kept.change, moved.change)
    assert kept.table() == moved.table()
    assert f"{NUM_MOVED} samples, each moved by 1 along" in moved.table()
    assert again.shift("A man likes the sea.", attribute="length", amount=-1.0, seed=0)


def test_a_fit_says_which_attributes_it_drops(
    copy: TrainedVAE, sentences: Trained, caplog: pytest.LogCaptureFixture
) -> None:
    copy.attributes(sentences.corpus, method="means")
    assert not caplog.records
    copy.attributes(sentences.corpus, ["length"], method="means")
    assert "no longer fitted: word_length;" in caplog.text
    assert copy.run is not None
    assert seqvae.load(copy.run).directions.names == ("length",)


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
    moved = measure_movement(copy.codec, copy.prior, copy.directions, amount=-2.0)
    z = copy.prior.sample(NUM_MOVED, torch.Generator().manual_seed(0))
    before, after = (
        torch.tensor([float(len(text.split())) for text in copy.decode(code)])
        for code in (z, copy.directions.shift(z, "length", -2.0))
    )
    expected = (after - before).mean() / copy.directions.spread[0]
    assert float(moved.change[0, 0]) == pytest.approx(float(expected), abs=1e-5)
    assert float(moved.success[0]) == pytest.approx(float((after < before).double().mean()))


def test_labels_are_one_attribute_more(
    copy: TrainedVAE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directions, "STEPS", 100)
    file = tmp_path / "animals.tsv"
    rows = ["people\tA man likes the sea.", "dogs\tTwo dogs draw trees."] * 20
    file.write_text("\n".join(rows) + "\n")
    moved = copy.attributes(labels=file, method="probe")
    assert moved.names == ("animals", "length", "word_length")
    assert moved.measured == ("length", "word_length")
    assert moved.success[0].isnan()
    people, dogs = (
        copy.directions.score(copy.encode(r.split("\t")[1]).mean)[0, 0] for r in rows[:2]
    )
    assert people > dogs  # the later in the alphabet is the more
    file.write_text("\n".join(f"{i}\t{row.split(chr(9))[1]}" for i, row in enumerate(rows)))
    assert copy.attributes(names=["length"], labels=file).names == ("animals", "length")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            ["1\tA man.", "A man.", "0 A man."],
            r"2 of 3 lines cannot be used: line 2 \(no tab\), and line 3; mend",
        ),
        (["1\tA man.", "0\t" + "A man likes " * 20], r"1 of 2 lines .* 2 \(.*takes at most 24"),
        (["a\tA man.", "b\tA dog.", "c\tIt."], "numbers or two words; these are 3: a, b, c"),
        (["1\tA man.", "1\tA dog."], r"joy.tsv: line 1: all 2 labels are '1'; they tell nothing"),
    ],
)
def test_labels_that_do_not_match_are_named(
    copy: TrainedVAE, tmp_path: Path, lines: list[str], reason: str
) -> None:
    (tmp_path / "joy.tsv").write_text("\n".join(lines))
    with pytest.raises(InputError, match=reason):
        copy.attributes(labels=tmp_path / "joy.tsv")


def test_labels_of_music_name_files_beside_them(
    melodies: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directions, "STEPS", 100)
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
    assert copy.bundle is not None
    with pytest.raises(InputError, match=r"a model without its run has no data; .* --corpus"):
        seqvae.load(copy.bundle).attributes()
    with pytest.raises(InputError, match="amount is nan"):
        copy.attributes(sentences.corpus, amount=float("nan"))
    with pytest.raises(InputError, match="another tokenizer"):
        copy.attributes(melodies.corpus)
    assert copy.run is not None
    assert Movement.load(copy.run) is None
    (copy.run / "movement.json").write_text("{}")
    with pytest.raises(InputError, match=r"movement.json: damaged"):
        Movement.load(copy.run)


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def test_a_bundle_is_written_to_only_if_it_is_named(
    copy: TrainedVAE, sentences: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert copy.run is not None
    assert copy.bundle is not None
    before = files(copy.bundle)
    copy.attributes(sentences.corpus, ["length"], method="means")
    assert files(copy.bundle) == before
    assert {"attributes.json", "attributes.safetensors", "movement.json"} <= {*files(copy.run)}
    bundle = seqvae.load(copy.bundle)  # which knows nothing of the run around it
    with pytest.raises(InputError, match="bundle: no attributes yet"):
        bundle.shift("A man likes the sea.", attribute="length")
    bundle.attributes(sentences.corpus, ["word_length"], method="means")
    assert "not kept; name a folder for them with --out" in caplog.text
    assert files(copy.bundle) == before
    assert bundle.shift("A man likes the sea.", attribute="word_length")  # from memory
    bundle.attributes(sentences.corpus, ["word_length"], method="means", out=tmp_path / "a/b")
    assert files(copy.bundle) == before
    assert len(files(tmp_path / "a/b")) == 3
    bundle.attributes(sentences.corpus, ["word_length"], method="means", out=copy.bundle)
    assert seqvae.load(copy.bundle).directions.names == ("word_length",)
    assert seqvae.load(copy.run).directions.names == ("length",)  # the run comes first
    (copy.run / "attributes.json").unlink()
    assert seqvae.load(copy.run).directions.names == ("word_length",)


def test_labels_need_no_corpus_and_a_run_knows_its_own(
    copy: TrainedVAE, sentences: Trained, tmp_path: Path
) -> None:
    labels = tmp_path / "joy.tsv"
    labels.write_text("1\tA man likes the sea.\n0\tTwo dogs draw trees.\n" * 20)
    assert copy.bundle is not None
    moved = seqvae.load(copy.bundle).attributes(names=["length"], labels=labels, method="means")
    assert moved.names == ("joy", "length")
    by_default = copy.attributes(names=["length"], method="means")
    named = copy.attributes(sentences.corpus, ["length"], method="means")
    torch.testing.assert_close(by_default.change, named.change)


class PlantedCodec(Codec):
    """A "text" is its own code, in thousandths."""

    def __init__(self) -> None:
        """Nothing is loaded."""

    tokenizer = SimpleNamespace(modality="planted")  # and no attributes but those planted
    device = torch.device("cpu")

    def tokens(self, z: torch.Tensor, *_: object) -> list[NDArray[np.int64]]:
        return [np.rint(code.numpy() * 1000).astype(np.int64)[:, None] for code in z]

    def content(self, ids: NDArray[np.int64]) -> list[float]:
        return (ids[:, 0] / 1000).tolist()


def planted(monkeypatch: pytest.MonkeyPatch, weights: list[list[float]]) -> Directions:
    """Linear scores of two attributes with spreads 1 and 10: x, at most 0.5, and 10 y."""
    measures = {"small": lambda z: min(z[0], 0.5), "large": lambda z: 10 * z[1]}
    monkeypatch.setattr(attributes, "measures_of", lambda _: measures)
    monkeypatch.setattr(directions, "FARTHEST", 100.0)
    score = make_score(2, 2, "means")
    score.load_state_dict({"0.weight": torch.tensor(weights), "0.bias": torch.zeros(2)})
    gap = tuple(sum(w * w for w in row) for row in weights)  # so that an amount of 1 adds the row
    return Directions(
        ("small", "large"), score.requires_grad_(False), (1.0, 10.0), gap, "means", "planted"
    )


def at(*mean: float) -> Mixture:
    """A prior whose codes all lie at one point."""
    return Mixture(torch.ones(1), torch.tensor([mean]), 1e-4 * torch.eye(2)[None])


def test_every_cell_is_in_the_unit_of_its_column(monkeypatch: pytest.MonkeyPatch) -> None:
    found = planted(monkeypatch, [[1.0, 2.0], [0.0, 3.0]])
    moved = measure_movement(PlantedCodec(), at(-3.0, 0.0), found)
    expected = torch.tensor([[1.0, 2.0], [0.0, 3.0]])  # 2 more of y are 20 of 10 y
    torch.testing.assert_close(moved.change, expected, atol=0.01, rtol=0)
    assert moved.success.tolist() == moved.success_of_movable.tolist() == [1.0, 1.0]
    lessened = measure_movement(PlantedCodec(), at(-3.0, 0.0), found, amount=-1.0)
    torch.testing.assert_close(lessened.change, -expected, atol=0.01, rtol=0)
    assert lessened.success.tolist() == [1.0, 1.0]


def test_samples_at_the_extreme_cannot_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the prior lies beyond 0.5, where the first attribute ends."""
    found = planted(monkeypatch, [[1.0, 0.0], [0.0, 1.0]])
    prior = Mixture(
        torch.tensor([0.25, 0.75]), torch.tensor([[4.0, 0.0], [-4.0, 0.0]]),
        1e-4 * torch.eye(2).expand(2, 2, 2),
    )  # fmt: skip
    moved = measure_movement(PlantedCodec(), prior, found)
    assert float(moved.success[0]) == pytest.approx(0.75, abs=0.1)
    assert float(moved.success_of_movable[0]) == 1.0
    back = measure_movement(PlantedCodec(), at(4.0, 0.0), found)
    assert float(back.success[0]) == 0.0
