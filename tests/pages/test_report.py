"""What the report gathers: the verbs of the same model, on the same split, say the same."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import EVIL, Page, write
from tiny import randomised, tiny_vae
from trained import Trained

import seqvae
from seqvae.corpus.store import Corpus, Split
from seqvae.errors import InputError
from seqvae.inference.attributes import Movement
from seqvae.inference.codec import Codec
from seqvae.inference.measures import ATTRIBUTES
from seqvae.inference.trained import TrainedVAE
from seqvae.model.latent import slerp
from seqvae.pages import report
from seqvae.pages.clip import pack_clip
from seqvae.pages.page import fill
from seqvae.pages.plane import Plane, principal_plane
from seqvae.tokenizers.contract import Example
from seqvae.tokenizers.melody import MelodyTokenizer

HISTORY = [
    {"epoch": 5.0, "step": 50.0, "neg_elbo": 9.0, "nll": 8.0, "kl": 1.0,
     "accuracy_teacher_forced": 0.5, "accuracy_free_running": 0.25},
    {"epoch": 10.0, "step": 100.0, "neg_elbo": 7.0, "nll": 4.0, "kl": 3.0,
     "accuracy_teacher_forced": 0.75, "accuracy_free_running": float("nan")},
]  # fmt: skip


@dataclass(frozen=True)
class Gathered:
    """A model of text whose every code says something else, and its report."""

    vae: TrainedVAE
    corpus: Corpus
    data: dict[str, Any]


@pytest.fixture(scope="module")
def gathered(sentences: Trained) -> Gathered:
    vae = seqvae.load(sentences.run)
    randomised(vae.model, std=0.7)
    corpus = Corpus(sentences.corpus.folder)
    test = corpus.splits["test"]
    corpus.splits["test"] = Split(test.tokens, test.offsets[:4])  # fewer than are in valid
    data = report.gather(vae, corpus, history=HISTORY, title="planted")
    return Gathered(vae, corpus, data)


def valid_texts(gathered: Gathered) -> list[str]:
    split = gathered.corpus.splits["valid"]
    return [gathered.vae.tokenizer.decode(split[i]) for i in range(len(split))]


def same_up_to_signs(points: list[list[float]], expected: torch.Tensor) -> bool:
    """Principal axes have no sign of their own."""
    return torch.allclose(torch.tensor(points).abs(), expected.abs(), rtol=1e-3, atol=1e-3)


def test_curves_are_the_columns_of_the_history(gathered: Gathered) -> None:
    assert gathered.data["curves"] == {
        "epoch": [5.0, 10.0], "neg_elbo": [9.0, 7.0], "kl": [1.0, 3.0],
        "accuracy_free_running": [0.25, None],
    }  # fmt: skip


def test_metrics_are_those_of_the_validation_split(gathered: Gathered) -> None:
    evaluation = gathered.vae.evaluate(gathered.corpus, split="valid", iw_samples=report.IW_SAMPLES)
    shown = {row["name"]: row for row in gathered.data["metrics"]}
    for name in ("neg_elbo", "kl", "iw_nll", "mi_aggregate", "accuracy_free_running"):
        assert shown[name]["values"][0] == pytest.approx(getattr(evaluation, name), rel=1e-4), name
    assert gathered.data["iw_samples"] == evaluation.iw_samples
    assert sum(gathered.data["kl_per_dim"]) == pytest.approx(evaluation.kl, rel=1e-3)
    assert gathered.data["kl_per_dim"] == sorted(gathered.data["kl_per_dim"], reverse=True)


def test_some_sequences_stand_for_a_large_split(
    gathered: Gathered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MAX_EVALUATED", 3)
    monkeypatch.setattr(report, "MAX_POINTS", 4)
    data = report.gather(gathered.vae, gathered.corpus, history=HISTORY, title="planted")
    shown = {row["name"]: row["values"][0] for row in data["metrics"]}
    some, whole = (
        gathered.vae.evaluate(gathered.corpus, split="valid", iw_samples=1, max_sequences=most)
        for most in (3, None)
    )
    assert shown["kl"] == pytest.approx(some.kl, rel=1e-4)
    assert shown["kl"] != pytest.approx(whole.kl, rel=1e-4)
    assert len(data["map"]["points"]) == 4


def test_samples_are_those_of_the_prior_at_temperature_1(gathered: Gathered) -> None:
    samples = gathered.data["samples"]
    assert samples == gathered.vae.sample(8, seed=0)
    assert samples != gathered.vae.sample(8, seed=0, temperature=0)


def test_a_listening_test_hides_samples_among_sequences_of_the_test_split(
    melodies: Trained, melody_page: Page
) -> None:
    vae, split = melodies.vae, melodies.corpus.splits["test"]
    number = min(report.NUM_LISTENED, len(split))
    heard = melody_page.data["listening"]
    assert [each["isSample"] for each in heard].count(True) == number == len(heard) // 2
    order = [each["isSample"] for each in heard]
    assert order not in (sorted(order), sorted(order)[::-1])
    windows = [pack_clip(vae.codec.piece(split[i])) for i in range(len(split))]
    real = [each["clip"] for each in heard if not each["isSample"]]
    assert all(clip in windows for clip in real)
    assert real != windows[:number]  # not the first of the split
    generator = vae.codec.generator(report.LISTENING_SEED)
    z = vae.prior.sample(number, generator)
    drawn = vae.codec.tokens(z, report.SAMPLING, generator)
    samples = [pack_clip(vae.codec.piece(ids)) for ids in drawn]
    written = [each["clip"] for each in heard if each["isSample"]]
    assert sorted(map(str, written)) == sorted(map(str, samples))
    assert not [clip for clip in written if clip in melody_page.data["samples"]]


def test_text_has_no_listening_test(gathered: Gathered) -> None:
    assert gathered.data["listening"] == []


def test_the_interpolation_leads_from_its_start_to_its_end(gathered: Gathered) -> None:
    interpolation = gathered.data["interpolation"]
    start, end = interpolation["start"], interpolation["end"]
    assert interpolation["steps"] == gathered.vae.interpolate(start, end, num_steps=7)
    assert interpolation["steps"][0] != interpolation["steps"][-1]
    ends = gathered.vae.encode([start, end]).mean
    plane = principal_plane(gathered.vae.encode(gathered.data["map"]["contents"]).mean)
    path = slerp(ends[0], ends[1], torch.linspace(0, 1, 7))
    assert same_up_to_signs(interpolation["points"], plane.place(path))


def test_the_interpolation_is_between_sequences_of_middling_length(gathered: Gathered) -> None:
    split = gathered.corpus.splits["valid"]
    steps = {text: len(split[i]) for i, text in enumerate(valid_texts(gathered))}
    lengths = sorted(steps.values())
    interpolation = gathered.data["interpolation"]
    ends = [steps[interpolation["start"]], steps[interpolation["end"]]]
    assert ends == [lengths[len(lengths) // 3], lengths[2 * len(lengths) // 3]]
    assert interpolation["start"] != interpolation["end"]


def test_each_point_of_the_map_stands_for_its_own_sequence(gathered: Gathered) -> None:
    data = gathered.data["map"]
    assert sorted(data["contents"]) == sorted(valid_texts(gathered))
    assert data["total"] == len(gathered.corpus.splits["valid"])
    means = gathered.vae.encode(data["contents"]).mean
    plane = principal_plane(means)
    assert same_up_to_signs(data["points"], plane.place(means))
    assert data["plane"] == plane.caption
    attributes = {attribute["name"]: attribute for attribute in data["attributes"]}
    assert {"length", "word_length"} <= attributes.keys()
    assert "question" not in attributes  # the same for all
    for name, attribute in attributes.items():
        expected = [ATTRIBUTES["text"][name](text) for text in data["contents"]]
        assert attribute["values"] == pytest.approx(expected, rel=1e-4)
    assert attributes["length"]["definition"] == "Number of words."


def test_the_map_takes_sequences_at_random_and_no_more_than_it_shows(
    gathered: Gathered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MAX_POINTS", 4)
    encoded = report._encode(gathered.vae, gathered.corpus)
    assert len(encoded.examples) == len(encoded.means) == 4
    texts = [gathered.vae.tokenizer.decode(example.ids) for example in encoded.examples]
    valid = valid_texts(gathered)
    assert {*texts} < {*valid}
    assert texts != valid[:4]
    posterior = gathered.vae.encode(texts)
    torch.testing.assert_close(encoded.means, posterior.mean)
    torch.testing.assert_close(encoded.kl_per_dim, posterior.kl_per_dim().mean(0))


def test_what_is_played_has_the_chords_of_its_own_sequence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Example i lies under chord i; samples take them in turn, steps those of the nearer end."""
    tokenizer = MelodyTokenizer(num_bars=1, chords=True)
    model = tiny_vae(
        vocab_sizes=tokenizer.vocab_sizes, condition_sizes=tokenizer.condition_sizes, max_steps=16
    )
    vae = TrainedVAE(Codec(model, tokenizer))
    decode, chords = model.decode, []

    def recorded(*args: Any, conditions: torch.Tensor, **more: Any) -> Any:
        chords.append(conditions[:, 0, 0].tolist())
        return decode(*args, conditions=conditions, **more)

    monkeypatch.setattr(model, "decode", recorded)
    examples = [
        Example(np.stack([np.zeros(16, np.int64), np.full(16, i)], axis=1)) for i in range(6)
    ]
    encoded = report.Encoded(examples, torch.randn(6, 3), torch.ones(3))
    plane = Plane("", lambda z: z[:, :2])
    report._samples(vae, encoded)
    report._interpolation(vae, encoded, plane)
    assert chords == [[0, 1, 2, 3, 4, 5, 0, 1], [2, 2, 2, 2, 4, 4, 4]]


def test_the_matrix_is_that_of_the_model(
    gathered: Gathered, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert report._movement(None) is None
    assert gathered.data["movement"] is None
    movement = Movement(
        -0.5, ("length", "mine"), ("length",), torch.tensor([[0.9], [-0.2]]),
        torch.tensor([0.75, float("nan")]), torch.tensor([0.8, float("nan")]),
    )  # fmt: skip
    assert report._movement(movement) == {
        "amount": -0.5, "names": ("length", "mine"), "measured": ("length",),
        "change": [[0.9], [-0.2]], "success": [0.75, None], "success_of_movable": [0.8, None],
    }  # fmt: skip


# The written page


def test_a_page_of_melodies_says_what_the_model_is(melodies: Trained, melody_page: Page) -> None:
    data = melody_page.data
    assert data["title"] == "tiny"
    assert data["modality"] == "music"
    assert len(data["findings"]) >= 3
    assert isinstance(data["warnings"], list)
    facts = data["facts"]
    assert facts["tokenizer"] == "melody"
    assert facts["latent dimensions"] == 4
    assert facts["parameters"] == sum(weight.numel() for weight in melodies.vae.model.parameters())
    for split in ("train", "valid", "test"):
        assert facts[f"{split} sequences"] == len(melodies.corpus.splits[split])
    assert data["curves"]["epoch"] == [1, 2]
    assert not data["over_chords"]
    assert len(data["samples"]) == 8
    assert len(data["interpolation"]["steps"]) == len(data["interpolation"]["points"]) == 7
    attributes = {attribute["name"] for attribute in data["map"]["attributes"]}
    assert {"note_density", "average_pitch"} <= attributes
    assert "mean_velocity" not in attributes  # the same for all


def test_a_page_of_text_has_no_grid_and_stays_text(evil_page: Page) -> None:
    page = evil_page.file.read_text()
    assert EVIL not in page
    assert "<img" not in page
    assert page.count("</script>") == fill(report.TEMPLATE, {}).count("</script>")
    data = evil_page.data
    assert data["modality"] == "text"
    assert data["grid"] is None
    assert all(content.endswith(EVIL) for content in data["map"]["contents"])
    assert data["movement"]["success"] == [0.75, None]


def test_a_page_that_would_be_too_large_shows_fewer_points(gathered: Gathered) -> None:
    data = gathered.data
    whole = len(report.page_within(10**9, data).encode())
    assert report.page_within(whole, data) == fill(report.TEMPLATE, data)
    page = report.page_within(whole - 20, data)
    assert len(page.encode()) <= whole - 20
    count = len(data["map"]["points"]) * 4 // 5
    cut = report._first_points(data["map"], count)
    assert page == fill(report.TEMPLATE, data | {"map": cut})
    assert cut["total"] == data["map"]["total"]
    assert cut["points"] == data["map"]["points"][:count]
    assert cut["contents"] == data["map"]["contents"][:count]
    for attribute, full in zip(cut["attributes"], data["map"]["attributes"], strict=True):
        assert attribute["values"] == full["values"][:count]


def test_a_report_links_to_the_instrument_beside_it(sentences: Trained, tmp_path: Path) -> None:
    assert write(sentences, tmp_path).data["instrument"] is None
    (tmp_path / "play.html").touch()
    assert write(sentences, tmp_path).data["instrument"] == "play.html"


def test_a_report_is_the_same_each_time(sentences: Trained, tmp_path: Path) -> None:
    first = write(sentences, tmp_path).file.read_text()
    assert write(sentences, tmp_path).file.read_text() == first


def test_what_cannot_be_reported_on_is_refused(
    melodies: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report.html"
    with pytest.raises(InputError, match=r"ends in \.html"):
        report.write_report(melodies.run, melodies.corpus, tmp_path / "report.png")
    run = tmp_path / "run"
    shutil.copytree(melodies.run, run)
    (run / "metrics.csv").unlink()
    with pytest.raises(InputError, match=r"no run \(metrics.csv is missing\)"):
        report.write_report(run, melodies.corpus, out)
    language_model = TrainedVAE(Codec(tiny_vae(latent_dim=0), melodies.vae.tokenizer))
    monkeypatch.setattr(TrainedVAE, "load", lambda run: language_model)
    with pytest.raises(InputError, match="a language model"):
        report.write_report(melodies.run, melodies.corpus, out)
    assert not out.exists()
