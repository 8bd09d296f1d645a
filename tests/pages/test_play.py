"""What the page of `play` holds."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from conftest import DATA, Instrument
from trained import Trained

from seqvae.errors import InputError
from seqvae.inference.measures import ATTRIBUTES
from seqvae.inference.mixture import Mixture
from seqvae.inference.trained import TrainedVAE
from seqvae.pages import play
from seqvae.pages.play import write_play
from seqvae.tokenizers.contract import Example


def test_its_map_has_held_out_sequences_with_their_names(
    melodies: Trained, melody_instrument: Instrument
) -> None:
    data = melody_instrument.data
    count = min(len(melodies.corpus.splits["valid"]), play.NUM_POINTS)
    shown = data["map"]
    assert len(shown["points"]) == len(shown["names"]) == count
    assert data["model"]["shapes"]["points"] == [count, melodies.vae.model.config.latent_dim]
    assert all(name.startswith("tune_") for name in shown["names"])
    assert shown["attributes"]
    assert all(len(attribute["values"]) == count for attribute in shown["attributes"])
    assert data["title"] == "tiny"
    assert re.fullmatch(r"Play it music .*, and \d of 10 notes come back\.", data["quality"])
    assert all(isinstance(warning, str) for warning in data["warnings"])
    assert data["licence"] is None


def test_the_page_draws_from_the_mixture(
    melodies: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Mixture.standard(melodies.vae.model.config.latent_dim)
    monkeypatch.setattr(melodies.vae, "_mixture", other)
    seen = {}
    monkeypatch.setattr(play, "model_data", lambda _, weights: seen.update(weights) or {})
    play.gather(melodies.vae, "tiny")
    for name, value in other.parts().items():
        assert torch.equal(seen[f"prior.{name}"], value)


def test_a_bundle_alone_is_enough(melodies: Trained, tmp_path: Path) -> None:
    bundle = tmp_path / "mine"
    shutil.copytree(melodies.run / "bundle", bundle)
    card = bundle / "README.md"
    card.write_text(card.read_text().replace("---\n", "---\nlicense: cc-by-4.0\n", 1))
    write_play(bundle, tmp_path / "page.html")
    (text,) = DATA.findall((tmp_path / "page.html").read_text())
    data = json.loads(text)
    assert data["title"] == "mine"
    assert data["licence"] == "cc-by-4.0"
    assert data["map"]["names"] == []
    assert len(data["map"]["points"]) == play.NUM_POINTS


def test_names_belong_to_their_points(melodies: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    split = melodies.corpus.splits["valid"]
    assert len(play._sources(melodies.corpus)) == len(split)
    monkeypatch.setattr(play, "_sources", lambda corpus: [str(i) for i in range(len(split))])
    points, names = play.map_points(melodies.vae)
    examples = [Example(split[int(name)]) for name in names]
    torch.testing.assert_close(points, melodies.vae.codec.posterior(examples).mean)
    assert names != sorted(names, key=int)


def test_a_name_says_which_window_of_its_file_it_is(melodies: Trained) -> None:
    counts = {
        Path(row.source).stem: row.taken["valid"]
        for row in melodies.corpus.manifest() if row.taken.get("valid")
    }  # fmt: skip
    expected = [
        name if count == 1 else f"{name}, window {number} of {count}"
        for name, count in counts.items() for number in range(1, count + 1)
    ]  # fmt: skip
    assert play._sources(melodies.corpus) == expected
    assert max(counts.values()) > 1


@pytest.mark.parametrize(
    "head", ["", "---\nlicense: [\n---\n", "---\n- a\n---\n", "---\nx: 1\n---\n"]
)
def test_a_card_without_a_licence_states_none(melodies: Trained, tmp_path: Path, head: str) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(melodies.run / "bundle", bundle)
    (bundle / "README.md").write_text(head + "# model\n")
    assert play.gather(TrainedVAE.load(bundle, "cpu"), "mine")["licence"] is None


def test_what_cannot_be_played_is_refused(sentences: Trained, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.html"):
        write_play(sentences.run, tmp_path / "a.pdf")
    assert not list(tmp_path.iterdir())


def test_every_attribute_has_words_for_less_and_more() -> None:
    script = (Path(play.__file__).parent / "shaping.js").read_text(encoding="utf-8")
    (words,) = re.findall(r"const WORDS = \{\n(.*?)\n\};", script, flags=re.S)
    assert {*re.findall(r"(\w+): \[", words)} == {
        name for measures in ATTRIBUTES.values() for name in measures
    }
