"""Requests of visitors: the verbs' own answers, within limits, without places of the server."""

import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from trained import Trained

from seqvae.errors import InputError
from seqvae.inference.trained import TrainedVAE
from seqvae.music.midi import read_midi
from seqvae.serving.desk import Desk, Limits
from seqvae.serving.waiting import Cancelled

TEXTS = ["A man sees the sea.", "Two dogs likes music."]


def notes(clips: list[Any]) -> list[Any]:
    return [read_midi(clip, 4).notes.tolist() for clip in clips]


@pytest.fixture
def tunes(melodies: Trained) -> list[Path]:
    return sorted(melodies.source.glob("*.mid"))[:3]


def test_music_is_what_the_verb_returns(melodies: Trained, tunes: list[Path]) -> None:
    desk, vae = Desk(melodies.vae), melodies.vae
    asked = {"n": 2, "seed": 5, "temperature": 0.8}
    assert notes(desk.call("sample", [], asked)) == notes(vae.sample(2, seed=5, temperature=0.8))
    asked = {"num_steps": "3", "bar": "1"}
    assert notes(desk.call("interpolate", tunes[:2], asked)) == notes(
        vae.interpolate(*tunes[:2], num_steps=3, bar=1)
    )
    assert notes(desk.call("analogy", tunes, {})) == notes(vae.analogy(*tunes))
    assert notes(desk.call("reconstruct", tunes[:2], {})) == notes(vae.reconstruct(tunes[:2]))
    assert notes(desk.call("complete", tunes[:1], {"n": 1, "seed": 2})) == notes(
        vae.complete(tunes[0], n=1, seed=2)
    )


def test_text_is_what_the_verb_returns(sentences: Trained) -> None:
    desk, vae = Desk(sentences.vae), sentences.vae
    assert desk.call("blend", TEXTS, {"num_steps": 3}) == vae.blend(TEXTS, num_steps=3)
    assert desk.call("score", TEXTS, {"iw_samples": 2}) == vae.score(
        TEXTS, iw_samples=2, where=True
    )


def test_a_text_is_never_looked_for_among_the_files(
    sentences: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a visitor would learn which files there are."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("secret")
    desk, vae = Desk(sentences.vae), sentences.vae
    with pytest.raises(InputError, match="a file"):
        vae.reconstruct("a.txt")
    (text,) = desk.call("reconstruct", ["a.txt"], {})
    (completed,) = desk.call("complete", ["a.txt ___"], {"n": 1, "seed": 1})
    assert text != "secret"
    assert completed.startswith("a.txt")


def test_requests_have_limits(sentences: Trained, melodies: Trained, tunes: list[Path]) -> None:
    desk = Desk(sentences.vae, Limits(inputs=3, characters=20))
    for verb, inputs, values, message in (
        ("sample", [], {"n": 33}, "n is 33; here it must lie between 1 and 32"),
        ("vary", [], {}, "vary takes 1 sentence; there are 0"),
        ("interpolate", ["one"], {}, "interpolate takes 2 sentences; there is 1"),
        ("blend", ["one"], {}, "blend takes 2 to 4 sentences; there is 1"),
        ("reconstruct", ["one"] * 4, {}, "reconstruct takes 1 to 3 sentences; there are 4"),
        ("reconstruct", ["x" * 21], {}, "a text of 21 characters; here they have at most 20"),
    ):
        with pytest.raises(InputError, match=message):
            desk.call(verb, inputs, values)
    with pytest.raises(InputError, match="windows; here they are at most 1: choose one by bar"):
        Desk(melodies.vae, Limits(windows=1)).call("reconstruct", tunes[:1], {})
    with pytest.raises(InputError, match="not done after 0 seconds; ask for fewer outputs"):
        Desk(melodies.vae, Limits(seconds=0)).call("sample", [], {"n": 1})


def test_no_message_tells_a_place(melodies: Trained, tmp_path: Path) -> None:
    broken = tmp_path / "upload" / "mine.mid"
    broken.parent.mkdir()
    broken.write_bytes(b"no music")
    desk = Desk(melodies.vae)
    for verb in ("reconstruct", "complete"):
        with pytest.raises(InputError, match=r"^mine\.mid: ") as caught:
            desk.call(verb, [broken], {})
        assert str(tmp_path) not in str(caught.value)
    assert desk._without_places(f"{melodies.vae.bundle}: no attributes yet", []) == (
        "no attributes yet"
    )


def test_a_visitor_sees_progress_and_cancels(melodies: Trained) -> None:
    desk = Desk(melodies.vae)
    steps: list[tuple[int, int]] = []

    def watcher(step: int, num_steps: int) -> None:
        steps.append((step, num_steps))
        assert desk.cancel("another") == 0
        if step == 5:
            assert desk.cancel("me") == 1

    with pytest.raises(Cancelled):
        desk.call("sample", [], {"n": 1}, visitor="me", watcher=watcher)
    assert steps == [(step, 32) for step in range(6)]
    assert desk.cancel("me") == 0


def test_warnings_reach_the_visitor_alone_and_name_no_flag(
    melodies: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = tmp_path / "mine.mid"
    log = logging.getLogger("seqvae.inference.trained")

    def sample(self: TrainedVAE, **asked: Any) -> list[Any]:
        other = threading.Thread(target=log.warning, args=("of another",))
        other.start()
        other.join()
        log.warning("%s: not heard; --tracks says which", upload)
        return []

    monkeypatch.setattr(TrainedVAE, "sample", sample)
    told: list[str] = []
    Desk(melodies.vae).call("sample", [upload], {}, tell=told.append)
    assert told == ["mine.mid: not heard; tracks says which"]
