"""A model on the hub: with a licence, a card that hubs read, and nothing that is not its own."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
import yaml
from huggingface_hub import ModelCard
from PIL import Image
from trained import Trained

import seqvae
from seqvae import cli
from seqvae.errors import InputError
from seqvae.exchange.publishing import PICTURE, licensed, push
from seqvae.inference.options import Push
from seqvae.shipped import models

REPOSITORY = "ann/beats"


class FakeApi:
    """What is called of the hub, and what lies in the folder that is sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.sent: dict[str, bytes] = {}
        self.refusal: Exception | None = None
        monkeypatch.setattr(huggingface_hub, "HfApi", self.made)

    def made(self, token: str | None = None) -> "FakeApi":
        self.calls.append(("token", {"token": token}))
        return self

    def create_repo(self, repository: str, **settings: Any) -> None:
        if self.refusal:
            raise self.refusal
        self.calls.append(("create_repo", {"repo_id": repository, **settings}))

    def upload_folder(self, *, folder_path: Path, **settings: Any) -> SimpleNamespace:
        self.calls.append(("upload_folder", settings))
        self.sent = {file.name: file.read_bytes() for file in Path(folder_path).iterdir()}
        pull = "pulls/1" if settings["create_pr"] else None
        return SimpleNamespace(pr_url=pull, commit_url="commit/0")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    return FakeApi(monkeypatch)


def card_of(api: FakeApi) -> ModelCard:
    return ModelCard(api.sent["README.md"].decode())


def test_a_run_is_published_with_licence_card_and_picture(
    api: FakeApi, melodies: Trained, tmp_path: Path
) -> None:
    bundle = melodies.run / "bundle"
    before = {file.name: file.read_bytes() for file in bundle.iterdir()}
    assert push(melodies.run, Push(REPOSITORY, license="cc-by-4.0", token="t")) == "commit/0"
    assert {file.name: file.read_bytes() for file in bundle.iterdir()} == before
    assert {name for name in api.sent if name not in before} >= {PICTURE}
    for name in before.keys() - {"README.md"}:
        assert api.sent[name] == before[name]
    assert [name for name, _ in api.calls] == ["token", "create_repo", "upload_folder"]
    assert api.calls[0][1] == {"token": "t"}
    assert api.calls[1][1] == {"repo_id": REPOSITORY, "private": False, "exist_ok": True}
    card = card_of(api)
    assert card.data.library_name == "seqvae"
    assert card.data.license == "cc-by-4.0"
    assert card.data.datasets is None
    assert card.data.tags == ["seqvae", "vae", "midi", "melody"]
    figures = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert figures["kl"] > 0
    assert {result.dataset_name for result in card.data.eval_results} == {"validation split"}
    assert f'seqvae.load("{REPOSITORY}")' in card.text
    assert card.text.count("seqvae.load(") == 1
    assert f"]({PICTURE})" in card.text
    assert "The weights are under cc-by-4.0." in card.text
    assert "not stated" not in card.text
    (tmp_path / PICTURE).write_bytes(api.sent[PICTURE])
    with Image.open(tmp_path / PICTURE) as picture:
        assert picture.size == (960, 120)
    folder = tmp_path / "again"
    folder.mkdir()
    for name, content in api.sent.items():
        (folder / name).write_bytes(content)
    again, first = seqvae.load(folder, "cpu"), melodies.vae
    assert again.tokenizer == first.tokenizer
    notes = [
        [note.pitch for note in vae.sample(1, seed=3)[0].instruments[0].notes]
        for vae in (again, first)
    ]
    assert notes[0] == notes[1]


def test_a_model_of_text_shows_sentences(api: FakeApi, sentences: Trained) -> None:
    how = Push(
        REPOSITORY, license="mit", private=True, commit_message="First", datasets=["ann/lines"]
    )
    push(sentences.run, how)
    card = card_of(api)
    assert card.data.datasets == ["ann/lines"]
    assert card.data.tags == ["seqvae", "vae", "text"]
    quoted = [line for line in card.text.split("\n") if line.startswith("> ")]
    drawn = sentences.vae.sample(4, temperature=0.5, seed=0)
    assert quoted == [f"> {text}" for text in drawn]
    assert "print(vae.sample(8, temperature=0.5, seed=1))" in card.text
    assert PICTURE not in api.sent
    assert api.calls[1][1]["private"] is True
    assert api.calls[2][1]["commit_message"] == "First"


def test_a_model_that_ships_keeps_its_licence_and_what_its_card_says(api: FakeApi) -> None:
    name = "humanize_2bar"
    bundle = models()[name]
    push(bundle, Push(REPOSITORY))
    card, shipped = card_of(api), ModelCard((bundle / "README.md").read_text(encoding="utf-8"))
    assert card.data.license == shipped.data.license
    assert f'seqvae.load("{name}")' not in card.text
    assert f'seqvae.load("{REPOSITORY}")\n(played,) = vae.humanise("drums.mid")' in card.text
    assert "Licence and sources" in card.text
    with pytest.raises(
        InputError, match=r"--license mit: the card of this model states cc-by-4\.0"
    ):
        push(bundle, Push(REPOSITORY, license="mit"))


def test_a_card_without_a_head_gets_what_hubs_find_a_model_by(
    api: FakeApi, melodies: Trained, tmp_path: Path
) -> None:
    bundle = tmp_path / "imported"
    shutil.copytree(melodies.run / "bundle", bundle)
    (bundle / "README.md").write_text("# imported\n\nA model.\n")
    push(bundle, Push(REPOSITORY, license="mit"))
    card = card_of(api)
    assert (card.data.library_name, card.data.tags[2:]) == ("seqvae", ["midi", "melody"])
    assert card.text.count("seqvae.load(") == 1


def test_a_pull_request_makes_no_repository(api: FakeApi, melodies: Trained) -> None:
    how = Push(REPOSITORY, license="mit", create_pr=True)
    assert push(melodies.run, how) == "pulls/1"
    assert [name for name, _ in api.calls] == ["token", "upload_folder"]
    assert api.calls[1][1]["create_pr"] is True


def test_directions_of_a_run_are_published_and_nothing_else_of_it(
    api: FakeApi, melodies: Trained, tmp_path: Path
) -> None:
    (melodies.run / "attributes.json").write_text("{}")
    try:
        push(melodies.run, Push(REPOSITORY, license="mit"))
    finally:
        (melodies.run / "attributes.json").unlink()
    assert "attributes.json" in api.sent
    assert not {"config.yaml", "metrics.csv", "last.ckpt"} & api.sent.keys()


def test_a_licence_of_ones_own_is_written_as_hubs_want_it() -> None:
    how = Push(REPOSITORY, license="house-terms", license_link="https://example.org/terms")
    head = licensed({"tags": []}, how)
    assert yaml.safe_load(yaml.safe_dump(head)) == {
        "tags": [], "license": "other", "license_name": "house-terms",
        "license_link": "https://example.org/terms",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (Push(REPOSITORY), "--license is missing: state the licence of the weights"),
        (Push(REPOSITORY, license="CC BY"), "--license 'CC BY': write its short name"),
        (Push("beats", license="mit"), "'beats' is no repository; name it as owner/name"),
        (Push("a/b@v1", license="mit"), "'a/b@v1' is no repository"),
    ],
)
def test_what_cannot_be_published_is_refused_before_anything_is_sent(
    api: FakeApi, melodies: Trained, how: Push, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        push(melodies.run, how)
    assert api.calls == []


def test_a_refusal_of_the_hub_is_one_line(api: FakeApi, melodies: Trained) -> None:
    api.refusal = Exception("403 Forbidden\nYou have no right")
    with pytest.raises(InputError, match=r"ann/beats: the hub says: 403 Forbidden$"):
        push(melodies.run, Push(REPOSITORY, license="mit"))


def test_flags_reach_the_hub(
    api: FakeApi,
    melodies: Trained,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = [
        "--license",
        "mit",
        "--private",
        "--commit_message",
        "Hi",
        "--create_pr",
        "--token",
        "x",
        "--datasets",
        "ann/beats",
        "ann/fills",
    ]
    cli.VERBS["push"]([str(melodies.run), REPOSITORY, *flags])
    assert capsys.readouterr().out == "pulls/1\n"
    assert api.calls[0][1] == {"token": "x"}
    assert card_of(api).data.datasets == ["ann/beats", "ann/fills"]
    assert api.calls[1][1] == {"repo_id": REPOSITORY, "create_pr": True, "commit_message": "Hi"}
