"""How near humanised drums come to a drummer: hits, constant answers, and a row."""

import json
import sys
from pathlib import Path
from typing import Any

import benchmark_humanise
import pytest
from benchmark_humanise import files_of, hits_of, make_stiff, means_of
from pretty_midi import Instrument, Note, PrettyMIDI

KICK, SNARE, OTHER = 36, 38, 20
HITS = ((KICK, 0.01, 100), (SNARE, 0.49, 40), (KICK, 2.01, 60), (OTHER, 0.5, 9), (SNARE, 0.99, 20),
        (SNARE, 1.0, 80))  # fmt: skip


def song(louder: int = 0) -> PrettyMIDI:
    """A bar and a hit at 120 quarters per minute; two snares fall on one sixteenth."""
    made = PrettyMIDI(initial_tempo=120)
    made.instruments.append(Instrument(0, is_drum=True))
    made.instruments[0].notes = [Note(v + louder, pitch, t, t + 0.1) for pitch, t, v in HITS]
    return made


@pytest.fixture
def groove(tmp_path: Path) -> Path:
    """Three songs in a folder; one is a fill."""
    head = "midi_filename,split,beat_type,time_signature"
    rows = ["a.mid,train,beat,4-4", "b.mid,test,beat,4-4", "c.mid,test,fill,4-4"]
    (tmp_path / "info.csv").write_text("\n".join([head, *rows]), encoding="utf-8")
    for name in "abc":
        song(7 * (name == "b")).write(str(tmp_path / f"{name}.mid"))
    return tmp_path


def test_hits_have_a_place_a_velocity_and_milliseconds() -> None:
    assert {place: (v, round(late)) for place, (v, late) in hits_of(song()).items()} == {
        (0, 0): (100, 10), (4, 1): (40, -10), (16, 0): (60, 10),
    }  # fmt: skip


def test_stiff_hits_are_on_time_and_alike() -> None:
    stiff = song()
    make_stiff(stiff)
    velocities, late = zip(*hits_of(stiff).values(), strict=True)
    assert set(velocities) == {benchmark_humanise.STIFF_VELOCITY}
    assert max(map(abs, late)) < 1e-6


def test_constant_answers_are_means_of_the_training_split(groove: Path) -> None:
    means = means_of(files_of(groove, "train"))
    assert means[-1, 0] == pytest.approx([80, 10], abs=1)  # of both kicks
    assert means[4, 1] == pytest.approx([40, -10], abs=1)
    assert means[3, 0] == pytest.approx(means[-1, 0])  # no kick is struck there
    assert [file.name for file in files_of(groove, "test")] == ["b.mid"]


class Echo:
    """A model that leaves hits stiff."""

    @staticmethod
    def humanise(songs: list[Any]) -> list[Any]:
        return songs


def test_a_row_is_made_and_shown(
    groove: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark_humanise.TrainedVAE, "load", lambda model: Echo())
    results = groove / "humanise.json"
    words = ["benchmark_humanise.py", "stiff", "--groove", str(groove), "--results", str(results)]
    monkeypatch.setattr(sys, "argv", words)
    benchmark_humanise.main()
    (row,) = json.loads(results.read_text(encoding="utf-8"))
    assert row["hits"] == 3
    of_stiff = (abs(107 - 80) + abs(47 - 80) + abs(67 - 80)) / 3
    assert row["velocity_error"] == pytest.approx(
        {"model": of_stiff, "of_drums": 47 / 3, "of_steps": 47 / 3}, abs=0.01
    )
    assert row["timing_error_ms"]["model"] == pytest.approx(10, abs=1)
    assert row["timing_error_ms"]["of_drums"] < 1
    assert "| `stiff` | 3 | timing, ms |" in capsys.readouterr().out
