"""Every kind of music from files to figures: prepare, train, evaluate, generate, draw."""

from pathlib import Path

import pretty_midi
import pytest
from trained import band, choir, train_tiny

from seqvae.corpus.store import Corpus
from seqvae.inference import trained as facade
from seqvae.music.midi import read_midi, to_pretty_midi
from seqvae.pages.report import write_report

KINDS = ("melody", "drums", "groove", "trio", "voices", "polyphony")


@pytest.mark.parametrize("kind", KINDS)
def test_from_files_to_figures(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facade, "MAX_MUSIC_WINDOWS", 40)
    source = tmp_path / "midi"
    source.mkdir()
    for seed in range(6):
        piece = choir(seed) if kind == "voices" else band(seed)
        to_pretty_midi(piece).write(str(source / f"{seed}.mid"))
    trained = train_tiny(tmp_path, source, {"kind": kind, "num_bars": 2})
    vae = trained.vae
    figures = vae.evaluate(trained.corpus, iw_samples=2)
    assert figures.num_sequences == len(trained.corpus.splits["test"]) >= 3
    assert figures.overlap is not None
    assert {"note_density", "eighth_syncopation", "repetition"} <= figures.overlap.keys()
    assert figures.music_windows == min(40, len(trained.corpus.splits["test"]))
    assert max(ceiling for _, ceiling in figures.overlap.values()) > 0.5
    assert (figures.scale_share is None) == (kind in ("drums", "groove"))
    assert (figures.consonance is not None) == (kind in ("trio", "voices", "polyphony"))
    assert (figures.crossing is not None) == (kind in ("trio", "voices"))
    assert figures.accuracy_constant > 1 / max(vae.tokenizer.vocab_sizes)
    assert (figures.accuracy_by_channel is None) == (len(vae.tokenizer.channels) == 1)
    if kind not in ("groove", "polyphony"):
        assert figures.velocity_error is figures.timing_error_ms is None
    clips = vae.sample(3, seed=0)
    files = [source / "0.mid", source / "1.mid"]
    clips += vae.reconstruct([files[0], clips[0]])
    clips += vae.interpolate(*files, num_steps=3)
    for number, clip in enumerate(clips):
        assert isinstance(clip, pretty_midi.PrettyMIDI)
        clip.write(str(tmp_path / f"{number}.mid"))
        read_midi(tmp_path / f"{number}.mid", 4)
    write_report(trained.run, trained.corpus, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert f'"tokenizer":"{kind}"' in page
    assert '"overlap"' in page
    assert Corpus(trained.corpus.folder).tokenizer == vae.tokenizer
