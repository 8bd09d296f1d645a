"""The chord of each step, beside its tokens."""

from dataclasses import replace

import numpy as np
from chords import named, notes

from seqvae.music.chord_names import NO_CHORD, NUM_CHORDS, parse_chord
from seqvae.music.notes import Metre, Piece, make_notes
from seqvae.tokenizers.contract import Example
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.trio import TrioTokenizer

MELODY = MelodyTokenizer(num_bars=1, chords=True)


def test_a_step_is_given_its_chord() -> None:
    piece = notes((0, [60]), (4, [64]), (8, [69]), (12, [57]))
    known = Piece(piece.notes, 4, chords=((0, parse_chord("C")), (6, parse_chord("F"))))
    assert MELODY.condition_sizes == (NUM_CHORDS,)
    assert MelodyTokenizer().condition_sizes == ()
    (example,) = MELODY.encode(known)
    assert named(example.ids[:, 1]) == ["C"] * 6 + ["F"] * 10
    (bare,) = MelodyTokenizer(num_bars=1).encode(known)
    assert (example.ids[:, :1] == bare.ids).all()
    assert (MELODY.decode(example).notes == MelodyTokenizer().decode(bare).notes).all()
    # where no file tells them, the half bars suggest their own
    chord = notes((0, [48, 52, 55, 60]), (8, [45, 48, 52, 69]))
    (example,) = MelodyTokenizer(num_bars=1, chords=True, max_chord_share=1).encode(chord)
    assert named(example.ids[:, 1]) == ["C"] * 8 + ["Am"] * 4 + ["N"] * 4


def test_chords_are_transposed_with_their_notes() -> None:
    piece = Piece(notes((0, [60]), (4, [64])).notes, 4, chords=((0, parse_chord("C")),))
    (example,) = MELODY.encode(piece)
    ids = np.stack([example.ids] * 100)
    moved = MELODY.augment(ids, np.random.default_rng(0))
    interval = moved[:, 0, 0] - ids[:, 0, 0]
    assert len(set(interval.tolist())) == 11
    assert ((moved[:, 0, 1] - 1) % 12 == interval % 12).all()
    trio = TrioTokenizer(num_bars=1, chords=True)
    ids = np.concatenate([ids[..., :1]] * 2 + [ids[..., :1] * 0, ids[..., 1:]], axis=2)
    moved = trio.augment(ids, np.random.default_rng(0))
    assert ((moved[:, 0, 3] - 1) % 12 == (moved[:, 0, 0] - ids[:, 0, 0]) % 12).all()
    assert trio.decode(Example(ids[0])).num_steps == 16


def test_after_the_end_of_a_piece_or_a_metre_there_is_no_chord() -> None:
    chords = ((0, 1), (8, 2), (40, 3))
    piece = replace(Piece(make_notes([0, 8], [8, 16], [60, 62]), 4), chords=chords)
    (example,) = MelodyTokenizer(num_bars=2, chords=True).encode(piece)
    assert example.ids[:, 1].tolist() == [1] * 8 + [2] * 8 + [NO_CHORD] * 16
    changing = replace(piece, metres=(Metre(0, 4, 4), Metre(8, 3, 4)))
    first = MelodyTokenizer(num_bars=2, chords=True).encode(changing, bar=1)[0]
    assert first.ids[:, 1].tolist() == [1] * 8 + [NO_CHORD] * 24
