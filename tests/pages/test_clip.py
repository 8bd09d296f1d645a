"""Clips as JSON."""

from seqvae.music.notes import Piece, Tempo, make_notes
from seqvae.pages.clip import NUM_PROGRAMS, grid_data, pack_clip
from seqvae.tokenizers.kits import CLASS_OF, CLASSES
from seqvae.tokenizers.melody import MelodyTokenizer


def test_notes_become_columns() -> None:
    notes = make_notes(
        [0, 4, 4], [4, 8, 5], [60, 64, 38], program=[33, 33, 0], is_drum=[False, False, True],
        offset=[0, 0.25, -0.5],
    )  # fmt: skip
    piece = Piece(notes, 4, num_steps=16, tempos=(Tempo(0, 90.0),))
    assert pack_clip(piece) == {
        "count": 3, "steps": 16, "qpm": 90.0, "metre": "4/4", "start": [0, 4, 4],
        "length": [4, 1, 4],
        "pitch": [60, 38, 64], "velocity": 80, "sound": [33, 129, 33], "offset": [0, -50, 25],
    }  # fmt: skip


def test_silence_has_empty_columns() -> None:
    clip = pack_clip(Piece(make_notes([], [], []), 4, num_steps=32))
    assert clip["count"] == 0
    assert clip["steps"] == 32
    assert clip["start"] == clip["sound"] == []


def test_the_grid_names_every_drum_that_a_clip_can_have() -> None:
    grid = grid_data(MelodyTokenizer(num_bars=1))
    assert grid["steps_per_quarter"] == 4
    for pitch in range(128):
        clip = pack_clip(Piece(make_notes([0], [1], [pitch], is_drum=[True]), 4))
        name = grid["drums"][clip["sound"] - grid["num_programs"]]
        known = CLASS_OF[pitch] >= 0
        assert name == ([*CLASSES][CLASS_OF[pitch]] if known else "other percussion")
    highest = pack_clip(Piece(make_notes([0], [1], [60], program=[127]), 4))
    assert highest["sound"] == 127 < NUM_PROGRAMS
