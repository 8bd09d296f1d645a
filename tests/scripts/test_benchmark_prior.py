"""The comparison of priors: lines of notes by hand, a row and its table on a tiny model."""

import json
import sys
from pathlib import Path
from typing import Any

import benchmark_prior
import numpy as np
import pytest
from benchmark_prior import DRUM, INTERVAL, LENGTH, MAX_INTERVAL, NUM_TOKENS, lines_of
from trained import Trained, choir, train_tiny

from seqvae.inference import slices
from seqvae.music.midi import to_pretty_midi
from seqvae.music.notes import Piece, make_notes


def test_the_notes_of_each_track_by_hand() -> None:
    same = INTERVAL + MAX_INTERVAL
    notes = make_notes(
        [0, 4, 4, 90], [4, 8, 5, 200], [60, 64, 36, 12],
        is_drum=[False, False, True, False], track=[0, 0, 1, 0],
    )  # fmt: skip
    tune, drums = lines_of(Piece(notes, 4))
    assert tune == [
        0, same, LENGTH + 4, 4, same + 4, LENGTH + 4, 63, same - MAX_INTERVAL, LENGTH + 63,
    ]  # fmt: skip
    assert drums == [4, DRUM + 36]
    kinds = [0, DRUM, DRUM + 127, INTERVAL, same + MAX_INTERVAL, LENGTH, NUM_TOKENS - 1]
    assert kinds == sorted({*kinds})


@pytest.fixture
def choirs(tmp_path: Path) -> Trained:
    """A hierarchical model."""
    (tmp_path / "midi").mkdir()
    for seed in range(6):
        to_pretty_midi(choir(seed)).write(str(tmp_path / f"midi/{seed}.mid"))
    return train_tiny(
        tmp_path, tmp_path / "midi", {"kind": "voices", "num_bars": 2, "num_voices": 4},
        decoder="hierarchical", conductor_dim=8,
    )  # fmt: skip


def test_a_row_is_made_and_shown(
    choirs: Trained, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    results = tmp_path / "prior.json"
    spread, spreads, sample = slices.SPREAD, [], slices.SlicePrior.sample

    def spy(*given: Any) -> Any:
        spreads.append(slices.SPREAD)
        return sample(*given)

    monkeypatch.setattr(slices.SlicePrior, "sample", spy)
    arguments = ["benchmark_prior.py", str(choirs.run), "--windows", "3", "--fitted", "40"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--results", str(results)])
    benchmark_prior.main()
    assert spread == slices.SPREAD
    (row,) = json.loads(results.read_text())
    sources = ["reconstructions", "n01", "mixture", "slices", "slices, full spread"]
    assert [name for name in row if name in sources] == sources
    for name in sources:
        for temperature in ("1.0", "0.5"):
            figures = row[name][temperature]
            assert figures["nats_per_note"] > 0
            assert 0 < figures["scale_share"] <= 1
    assert 0.8 < row["data"]["scale_share"] <= 1
    assert row["slices"]["log_density"] == row["slices, full spread"]["log_density"]
    assert spreads == [spread, 1.0]
    for published in json.loads(benchmark_prior.RESULTS.read_text()):
        assert set(published) == set(row)
    monkeypatch.setattr(sys, "argv", ["benchmark_prior.py", "--table", "--results", str(results)])
    benchmark_prior.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 1 + 2 * len(sources)
    assert [line.split(" | ")[1] for line in lines[3::2]] == sources
    monkeypatch.setattr(sys, "argv", ["benchmark_prior.py"])
    with pytest.raises(SystemExit, match="name runs"):
        benchmark_prior.main()


def test_constant_windows_are_drawn_at_random(melodies: Trained) -> None:
    split = melodies.corpus.splits["train"]
    chosen = benchmark_prior.some(split, 5, np.random.default_rng(0))
    assert len(chosen) == 5
    assert any((a != b).any() for a, b in zip(chosen, [split[i] for i in range(5)], strict=True))
