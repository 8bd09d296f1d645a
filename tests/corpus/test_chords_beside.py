"""Chord files beside MIDI files."""

from pathlib import Path

import numpy as np
from chords import named

from seqvae.corpus.scores import NO_CHORD_FILE, extract_file
from seqvae.music.midi import to_pretty_midi
from seqvae.music.notes import Piece, make_notes
from seqvae.tokenizers.melody import MelodyTokenizer


def test_a_file_without_chords_beside_it_takes_what_the_notes_suggest(tmp_path: Path) -> None:
    steps = np.arange(0, 16, 2)
    tune = Piece(make_notes(steps, steps + 2, [60, 64, 67, 64] * 2), 4)
    to_pretty_midi(tune).write(str(tmp_path / "a.mid"))
    tokenizer = MelodyTokenizer(num_bars=1, chords=True)
    suggested = extract_file(tmp_path / "a.mid", tokenizer, None, "{stem}.txt").extraction
    assert named(suggested.sequences[0][:, 1]) == ["C"] * 16
    assert suggested.noted == {NO_CHORD_FILE: 1}
    (tmp_path / "a.txt").write_text("0 1 Am\n1 2 F\n")
    told = extract_file(tmp_path / "a.mid", tokenizer, None, "{stem}.txt").extraction
    assert named(told.sequences[0][:, 1]) == ["Am"] * 8 + ["F"] * 8
    # who does not ask for chords needs none
    (tmp_path / "a.txt").write_text("nonsense")
    plain = extract_file(tmp_path / "a.mid", MelodyTokenizer(num_bars=1), None, "{stem}.txt")
    assert plain.refusal is None
    assert not plain.extraction.dropped
    refused = extract_file(tmp_path / "a.mid", tokenizer, None, "{stem}.txt")
    assert refused.refusal is not None
    assert "line 1: 'nonsense'" in refused.refusal
