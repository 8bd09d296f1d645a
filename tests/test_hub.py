"""Models by `owner/name`: from a cache that stays as it is, or from the hub, which is checked."""

import errno
import hashlib
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import OfflineModeIsEnabled
from trained import Trained

import seqvae
from seqvae import hub
from seqvae.errors import InputError
from seqvae.hub import FILES, Hub, fetched, is_repository
from seqvae.inference import attributes, bundle, directions, prior
from seqvae.inference.cards import CARD
from seqvae.shipped import find_model, models
from seqvae.tokenizers import TOKENIZER_FILE

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40


def name_of(content: bytes, *, is_large: bool) -> str:
    if is_large:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def cached(cache: Path, bundle: Path, commit: str = COMMIT, ref: str = "main") -> Path:
    """A cache as the hub's own tools leave it, with the files of a bundle; the snapshot in it."""
    place = cache / "models--ann--beats"
    snapshot = place / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (place / "blobs").mkdir(exist_ok=True)
    (place / "refs").mkdir(exist_ok=True)
    (place / "refs" / ref).write_text(commit)
    for file in bundle.iterdir():
        content = file.read_bytes()
        blob = place / "blobs" / name_of(content, is_large=file.suffix == ".safetensors")
        blob.write_bytes(content)
        (snapshot / file.name).symlink_to(os.path.relpath(blob, snapshot))
    return snapshot


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.fixture
def cache(melodies: Trained, tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    cached(folder, melodies.run / "bundle")
    return folder


class FakeHub:
    """A hub with one repository. It says what it has, and puts it into the cache."""

    def __init__(self, files: dict[str, bytes], cache: Path, monkeypatch: pytest.MonkeyPatch):
        self.files, self.cache, self.asked = files, cache, list[dict[str, Any]]()
        self.refusal: Exception | None = None
        self.sizes: dict[str, int] = {}
        self.damaged: str | None = None
        monkeypatch.setattr(huggingface_hub, "HfApi", self.api)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", self.snapshot)

    def api(self, token: str | None = None) -> SimpleNamespace:
        return SimpleNamespace(model_info=lambda *a, **k: self.listed(*a, token=token, **k))

    def listed(self, *names: str, **settings: Any) -> SimpleNamespace:
        self.asked.append({"id": names[0], **settings})
        if self.refusal:
            raise self.refusal
        siblings = [
            SimpleNamespace(rfilename=name, size=self.sizes.get(name, len(content)))
            for name, content in self.files.items()
        ]
        return SimpleNamespace(siblings=siblings)

    def snapshot(self, *, local_files_only: bool = False, **wanted: Any) -> str:
        place = self.cache / "models--ann--beats"
        if local_files_only:
            if not place.is_dir():
                raise FileNotFoundError
            return str(next((place / "snapshots").iterdir()))
        self.asked.append(wanted)
        if (place / "snapshots" / COMMIT).is_dir():
            return str(place / "snapshots" / COMMIT)
        source = self.cache / "upstream"
        source.mkdir(parents=True)
        for name in set(self.files) & set(wanted["allow_patterns"]):
            (source / name).write_bytes(self.files[name])
        folder = cached(self.cache, source)
        if self.damaged:
            (folder / self.damaged).write_bytes(b"?")  # through the link
        return str(folder)


@pytest.fixture
def make_hub(
    melodies: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], FakeHub]:
    def make() -> FakeHub:
        files = {file.name: file.read_bytes() for file in (melodies.run / "bundle").iterdir()}
        return FakeHub(files | {"run.py": b"raise SystemExit"}, tmp_path / "net", monkeypatch)

    return make


def test_a_cached_model_is_loaded_without_the_network_and_left_as_it_is(cache: Path) -> None:
    before = contents(cache)
    for name in ("ann/beats", "ann/beats@main", f"ann/beats@{COMMIT}"):
        vae = seqvae.load(name, "cpu", cache_dir=cache, local_files_only=True)
        assert vae.sample(2, seed=1)[0].instruments
        assert vae.bundle is not None
        assert vae.bundle.name == COMMIT
    assert seqvae.load("ann/beats", "cpu", cache_dir=cache).run is None
    assert contents(cache) == before


def test_the_cache_is_asked_first_and_a_revision_asks_the_hub(
    make_hub: Callable[[], FakeHub], tmp_path: Path
) -> None:
    fake = make_hub()
    how = Hub(token="secret", cache_dir=tmp_path / "net")
    folder = fetched("ann/beats", how)
    assert {*fake.asked[1]["allow_patterns"]} == {*FILES}
    assert not (folder / "run.py").exists()
    assert [asked.get("id", asked.get("repo_id")) for asked in fake.asked] == ["ann/beats"] * 2
    assert fake.asked[0]["token"] == fake.asked[1]["token"] == "secret"
    assert fake.asked[1]["cache_dir"] == tmp_path / "net"
    assert fetched("ann/beats", how) == folder
    assert len(fake.asked) == 2
    fetched("ann/beats@v2", how)
    assert [asked["revision"] for asked in fake.asked[2:]] == ["v2", "v2"]
    fetched("ann/beats", Hub(revision="v3"))
    assert fake.asked[-1]["revision"] == "v3"


def test_what_load_is_told_reaches_the_hub(make_hub: Callable[[], FakeHub], tmp_path: Path) -> None:
    fake = make_hub()
    vae = seqvae.load("ann/beats", "cpu", revision="v2", token="secret", cache_dir=tmp_path / "net")
    assert vae.sample(1, seed=0)
    assert [(asked["revision"], asked["token"]) for asked in fake.asked] == [("v2", "secret")] * 2
    assert fake.asked[1]["cache_dir"] == tmp_path / "net"


def test_a_revision_that_is_not_in_the_cache_is_not_replaced_by_another(cache: Path) -> None:
    how = Hub(revision="v2", cache_dir=cache, local_files_only=True)
    with pytest.raises(InputError, match="ann/beats: no such folder, and not in the cache"):
        fetched("ann/beats", how)


def test_what_arrives_otherwise_than_the_hub_has_it_is_refused(
    make_hub: Callable[[], FakeHub],
) -> None:
    fake = make_hub()
    fake.damaged = "config.json"
    with pytest.raises(
        InputError, match=r"config\.json: not what the hub has; delete .*models--ann"
    ):
        fetched("ann/beats", Hub())


def test_a_copy_that_is_not_whole_is_fetched_again(
    make_hub: Callable[[], FakeHub], tmp_path: Path
) -> None:
    fake = make_hub()
    snapshot = cached(tmp_path / "net", Path(make_folder(tmp_path / "part", fake.files)), OTHER)
    (snapshot / "model.safetensors").unlink()
    assert fetched("ann/beats", Hub()).name == COMMIT


def make_folder(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name in FILES:
        if name in files:
            (folder / name).write_bytes(files[name])
    return folder


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_of_the_cache_that_was_changed_is_refused(cache: Path, name: str) -> None:
    file = cache / "models--ann--beats" / "snapshots" / COMMIT / name
    blob = file.resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    with pytest.raises(InputError, match=rf"{name}: not what the hub has; delete .*models--ann"):
        seqvae.load("ann/beats", "cpu", cache_dir=cache)


def test_files_without_links_are_taken_as_they_are(cache: Path) -> None:
    snapshot = cache / "models--ann--beats" / "snapshots" / COMMIT
    for file in snapshot.iterdir():
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content)
    assert seqvae.load("ann/beats", "cpu", cache_dir=cache).sample(1, seed=0)


def behind(error: Exception) -> Exception:
    """What a library of the network makes of an error of the system."""
    wrapped = Exception("of a library")
    wrapped.__cause__ = error
    return wrapped


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda fake: fake.files.pop("tokenizer.json"),
            "no model of seqvae; its repository has no",
        ),
        (
            lambda fake: fake.files.update(
                {"pytorch_model.bin": fake.files.pop("model.safetensors")}
            ),
            r"no model of seqvae; its repository has no model\.safetensors",
        ),
        (lambda fake: fake.sizes.update({"model.safetensors": 2**40}), "at most 4294967296 are"),
        (
            lambda fake: setattr(fake, "refusal", ConnectionError("\n  no route\nto host")),
            r"no such folder, and the hub could not be asked \(no connection\)$",
        ),
        (
            lambda fake: setattr(fake, "refusal", behind(socket.gaierror(-2, "not known"))),
            r"no such folder, and the hub could not be asked \(no connection\)$",
        ),
        (
            lambda fake: setattr(fake, "refusal", behind(OSError(errno.ENETUNREACH, "net"))),
            r"no such folder, and the hub could not be asked \(no connection\)$",
        ),
        (
            lambda fake: setattr(fake, "refusal", OSError(errno.ENOSPC, "No space left")),
            r"the hub says: .*No space left$",
        ),
        (
            lambda fake: setattr(fake, "refusal", OfflineModeIsEnabled("unset HF_HUB_OFFLINE")),
            r"the hub says: unset HF_HUB_OFFLINE$",
        ),
        (
            lambda fake: setattr(fake, "refusal", Exception()),
            "no such folder, and the hub says: Exception",
        ),
    ],
)
def test_what_is_no_model_or_cannot_be_had_is_one_line(
    make_hub: Callable[[], FakeHub], change: Callable[[FakeHub], object], message: str
) -> None:
    fake = make_hub()
    change(fake)
    with pytest.raises(InputError, match=message) as caught:
        seqvae.load("ann/beats")
    assert len(str(caught.value).splitlines()) == 1
    assert len(fake.asked) == 1  # nothing was fetched


def test_a_newer_format_is_named(cache: Path) -> None:
    file = cache / "models--ann--beats" / "snapshots" / COMMIT / "config.json"
    text = file.read_text().replace('"format": 1', '"format": 2')
    file.unlink()
    file.write_text(text)
    with pytest.raises(InputError, match="format 2, but this seqvae reads format 1"):
        seqvae.load("ann/beats", cache_dir=cache)


def test_the_files_are_all_that_a_bundle_may_have() -> None:
    written = {
        bundle.CONFIG, bundle.WEIGHTS, TOKENIZER_FILE, prior.FILE, CARD,
        directions.ABOUT, directions.WEIGHTS, attributes.FILE,
    }  # fmt: skip
    assert {*FILES} == written
    assert {*hub.NEEDED} == {bundle.CONFIG, bundle.WEIGHTS, TOKENIZER_FILE}
    for shipped in models().values():
        assert {file.name for file in shipped.iterdir()} <= written


def test_without_the_network_the_cache_is_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ann/beats: no such folder, and not in the cache"):
        seqvae.load("ann/beats", cache_dir=tmp_path, local_files_only=True)


def test_without_the_library_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"Hugging Face Hub, pip install 'seqvae\[hub\]' first"):
        seqvae.load("ann/beats")


def test_names_of_folders_are_no_repositories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    names = ["ann/beats", "ann/beats@v1.2", "runs/x", "a/b/c", "drums", "/ann/beats", "../beats"]
    assert [is_repository(name) for name in names] == [True, True, *[False] * 5]
    with pytest.raises(InputError, match="runs/x: no such folder; name a run, a bundle"):
        seqvae.load("runs/x")
    (tmp_path / "ann" / "beats").mkdir(parents=True)
    assert find_model(Path("ann/beats")) == Path("ann/beats")
    assert hub.MAX_BYTES > 2**30
