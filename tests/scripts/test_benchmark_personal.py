"""The benchmark of personal models: a row is made and shown."""

import json
import sys
from pathlib import Path

import benchmark_personal
import numpy as np
import pytest
from trained import train_tiny

from seqvae.music.midi import to_pretty_midi
from seqvae.music.notes import Piece, Tempo, Track, make_notes
from seqvae.training import adaptation


@pytest.fixture
def groove(tmp_path: Path) -> Path:
    """Performances of a drummer, and a table of them."""
    rows = ["drummer,midi_filename,beat_type,split"]
    (tmp_path / "groove").mkdir()
    rng = np.random.default_rng(0)
    for seed in range(6):
        steps = np.flatnonzero(rng.random(128) < 0.4)
        hits = make_notes(steps, steps + 1, rng.choice([36, 38, 42], len(steps)), is_drum=True)
        kit = Piece(hits, 4, tempos=(Tempo(0, 90.0),), tracks=(Track("drums", 9),))
        to_pretty_midi(kit).write(str(tmp_path / f"groove/{seed}.mid"))
        rows.append(f"drummer2,{seed}.mid,beat,train")
    (tmp_path / "groove/info.csv").write_text("\n".join([*rows, "drummer1,gone.mid,beat,train"]))
    return tmp_path / "groove"


def test_a_row_is_made_and_shown(
    groove: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name in ("DECODER_STEPS", "PRIOR_STEPS", "SCRATCH_STEPS"):
        monkeypatch.setattr(adaptation, name, (1, 3))
    base = train_tiny(tmp_path, groove, {"kind": "drums", "num_bars": 1})
    monkeypatch.setattr(benchmark_personal, "base_without", lambda *given: base.run)
    results = tmp_path / "personal.json"
    arguments = ["x", str(groove), "drummer2", "--work", str(tmp_path), "--results", str(results)]
    monkeypatch.setattr(sys, "argv", arguments)
    benchmark_personal.main()
    (row,) = json.loads(results.read_text(encoding="utf-8"))
    assert row["name"] == "drummer2"
    assert 3 <= row["clips"] <= 12
    assert row["base"] < row["scratch"]
    assert row["likelier"] <= row["held_out"]
    assert 0 <= row["active_units"] <= 4
    monkeypatch.setattr(sys, "argv", ["x", "--table", "--results", str(results)])
    benchmark_personal.main()
    assert capsys.readouterr().out.splitlines()[-1].startswith("| 2 | ")
    monkeypatch.setattr(sys, "argv", ["x", str(groove), "drummer11", "--work", str(tmp_path)])
    with pytest.raises(SystemExit, match="drummer1 to drummer10"):
        benchmark_personal.main()


def test_a_base_is_trained_without_its_drummers(
    groove: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(benchmark_personal, "seqvae", lambda *words: commands.append(words))
    run = benchmark_personal.base_without("drummer3", groove, tmp_path)
    assert run == tmp_path / "runs/without_2"
    (words,) = commands
    table = Path(words[words.index("--data.table") + 1])
    assert len(table.read_text(encoding="utf-8").splitlines()) == 1 + 6
    benchmark_personal.base_without("drummer1", groove, tmp_path)
    table = Path(commands[-1][commands[-1].index("--data.table") + 1])
    assert len(table.read_text(encoding="utf-8").splitlines()) == 1
