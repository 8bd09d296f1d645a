"""Pages that several test files look at, each written once a session."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from trained import Trained, band, train_tiny

from seqvae.inference import trained as generation
from seqvae.inference.attributes import Movement
from seqvae.inference.codec import Codec
from seqvae.music.midi import to_pretty_midi
from seqvae.pages.report import write_report

EVIL = "</script><script>document.title = 'evil'</script><img src=x onerror=\"alert(1)\"><!--"
DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True)
class Page:
    """A written page and the data in it."""

    file: Path

    @property
    def data(self) -> dict[str, Any]:
        (text,) = DATA.findall(self.file.read_text())
        data: dict[str, Any] = json.loads(text)
        return data


def write(trained: Trained, folder: Path) -> Page:
    file = folder / "report.html"
    write_report(trained.run, trained.corpus, file)
    return Page(file)


@pytest.fixture(scope="session", autouse=True)
def _few_samples() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "MAX_MUSIC_WINDOWS", 40)
        yield


@pytest.fixture(scope="session")
def melody_page(melodies: Trained, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return write(melodies, tmp_path_factory.mktemp("melodies"))


@pytest.fixture(scope="session")
def drums_page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("drums")
    (folder / "midi").mkdir()
    for seed in range(6):
        to_pretty_midi(band(seed)).write(str(folder / f"midi/{seed}.mid"))
    trained = train_tiny(folder, folder / "midi", {"kind": "groove", "num_bars": 1})
    return write(trained, folder)


@pytest.fixture(scope="session")
def evil_page(sentences: Trained, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Sentences that would end their script, and a matrix of attributes."""
    movement = Movement(
        1.0, ("length", "mine"), ("length",), torch.tensor([[0.9], [-0.2]]),
        torch.tensor([0.75, float("nan")]), torch.tensor([0.8, float("nan")]),
    )  # fmt: skip
    content = Codec.content
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Movement, "load", lambda folder: movement)
        patch.setattr(Codec, "content", lambda *given: content(*given) + EVIL)
        return write(sentences, tmp_path_factory.mktemp("sentences"))
