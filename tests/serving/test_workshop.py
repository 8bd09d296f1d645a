"""Models of visitors' own: what goes in, what comes out, and what is left behind."""

import multiprocessing
import shutil
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest
from trained import Trained

import seqvae
from seqvae.errors import InputError
from seqvae.inference.codec import AS_IS
from seqvae.serving import workshop
from seqvae.serving.desk import Desk
from seqvae.serving.waiting import Cancelled
from seqvae.serving.workshop import Made, Most, Order, Workshop
from seqvae.training import adaptation, personal
from seqvae.training.few_clips import read_clips

LINES = [f"{who} sees the {what}." for who in ("The girl", "A man") for what in ("sea", "moon")]


def ignore(step: int, num_steps: int) -> None:
    """A watcher that does nothing."""


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps, in this process."""
    for name in ("DECODER_STEPS", "PRIOR_STEPS", "SCRATCH_STEPS"):
        for module in (adaptation, personal):
            monkeypatch.setattr(module, name, (1, 2), raising=False)
    monkeypatch.setattr(
        workshop,
        "in_a_process",
        lambda order, stop, watcher, seconds: workshop.made(order, watcher),
    )


@pytest.mark.usefixtures("brief")
def test_clips_become_a_bundle_with_samples_and_are_gone(melodies: Trained, tmp_path: Path) -> None:
    shop = Workshop(Desk(melodies.vae), "tiny", tmp_path / "page")
    shop.folder.mkdir()
    tunes = sorted(melodies.source.glob("*.mid"))[:3]
    uploads = [tmp_path / str(number) / "mine.mid" for number in range(3)]  # of one name
    for tune, upload in zip(tunes, uploads, strict=True):
        upload.parent.mkdir()
        shutil.copyfile(tune, upload)
    steps: list[tuple[int, int]] = []
    made = shop.make(
        "tiny", [str(each) for each in uploads], visitor="me",
        watcher=lambda *step: steps.append(step),
    )  # fmt: skip
    assert steps == [(number, len(steps)) for number in range(len(steps))]
    assert len(steps) == 4 * 5  # turns; decoders and fresh models of each
    kept = [each for each in shop.folder.rglob("*") if each.is_file()]
    assert {*kept} == {made.archive, *made.files}
    assert [file.suffix for file in made.files] == [".mid"] * workshop.NUM_SAMPLES
    assert "<iframe" in made.samples
    with zipfile.ZipFile(made.archive) as archive:
        archive.extractall(tmp_path)
    clips = read_clips(melodies.vae.codec, [*map(str, tunes)], AS_IS, None)
    card = (tmp_path / "my_tiny/README.md").read_text(encoding="utf-8")
    assert f"adapted to {len(clips)} clips" in " ".join(card.split())
    ours = seqvae.load(tmp_path / "my_tiny", "cpu")
    assert [
        [note.pitch for note in clip.instruments[0].notes] for clip in ours.sample(1, seed=0)
    ] == [[note["pitch"] for note in read(made.files[0])]]
    for place in (melodies.run, tmp_path):
        for file in (tmp_path / "my_tiny").glob("*.[jm]*[nd]"):
            assert str(place) not in file.read_text(encoding="utf-8")
    assert "| tiny |" in made.told
    assert "| my_tiny |" in made.told
    assert "-log p(x), each clip held out in turn" in made.told


def read(file: Path) -> Any:
    from seqvae.music.midi import read_midi

    return read_midi(file, 4).notes


@pytest.mark.usefixtures("brief")
def test_sentences_become_a_model_too_and_warnings_name_no_place(
    sentences: Trained, tmp_path: Path
) -> None:
    shop = Workshop(Desk(sentences.vae), "tiny", tmp_path)
    made = shop.make("tiny", LINES, visitor="me", watcher=ignore)
    assert len(made.samples.splitlines()) == workshop.NUM_SAMPLES
    assert made.files == []
    assert made.warnings == ["4 different sentences: few; 12 or more show better what helps"]
    with pytest.raises(InputError, match=r"^what you gave: 1 different sentence of 3; give 3 or"):
        shop.make("tiny", LINES[:1] * 3, visitor="me", watcher=ignore)
    assert not [*tmp_path.glob("clips_*")]


def test_requests_have_limits(melodies: Trained, sentences: Trained, tmp_path: Path) -> None:
    shop = Workshop(Desk(sentences.vae), "tiny", tmp_path, Most(clips=2, bytes=20))
    for base, given, message in (
        ("other", LINES, "no model 'other'; there are tiny"),
        ("tiny", [], "give 1 to 2 sentences; there are 0"),
        ("tiny", LINES, "give 1 to 2 sentences; there are 4"),
        ("tiny", ["x" * 21], r"0.0 MB in all; here they are at most 2e-05 MB"),
    ):
        with pytest.raises(InputError, match=message):
            shop.make(base, given, visitor="me", watcher=ignore)
    assert not [*tmp_path.iterdir()]
    assert [*Workshop(Desk(melodies.vae), "tiny", tmp_path).bases][:2] == ["tiny", "chorale_4bar"]


# The process


def test_what_the_process_sends_is_heard(tmp_path: Path) -> None:
    here, there = multiprocessing.Pipe(duplex=False)
    made, steps = Made("", "", [], tmp_path, []), list[Any]()
    for message in ((0, 2), (1, 2), made):
        there.send(message)

    def watcher(*step: int) -> None:
        steps.append(step)

    go_on = threading.Event()
    assert workshop.heard(here, go_on, watcher, 60) == made
    assert steps == [(0, 2), (1, 2)]
    there.send(InputError("too few"))
    with pytest.raises(InputError, match="too few"):
        workshop.heard(here, go_on, watcher, 60)
    with pytest.raises(InputError, match="not done after 0 seconds; give fewer"):
        workshop.heard(here, go_on, watcher, 0)
    there.close()
    with pytest.raises(InputError, match="ended before it was done"):
        workshop.heard(here, go_on, watcher, 60)
    go_on.set()
    with pytest.raises(Cancelled):
        workshop.heard(here, go_on, watcher, 60)


def test_a_process_tells_mistakes_and_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    order = Order(tmp_path / "none", "none", tmp_path, tmp_path)
    stop = threading.Event()
    with pytest.raises(InputError, match="no such folder"):
        workshop.in_a_process(order, stop, ignore, 300)
    stop.set()
    with pytest.raises(Cancelled):
        workshop.in_a_process(order, stop, ignore, 300)
    assert not multiprocessing.active_children()
