"""What outputs keep of the clips that they come from."""

from dataclasses import replace

import numpy as np
import pytest

from seqvae.inference.clips import as_long_as_clip, in_style_of
from seqvae.music.midi import to_pretty_midi
from seqvae.music.notes import Key, Metre, Notes, Piece, Track, before, make_notes
from seqvae.tokenizers import AnyTokenizer, make_tokenizer
from seqvae.tokenizers.contract import Example


def track(number: int, pitch: int, program: int = 0, *, is_drum: bool = False) -> Notes:
    starts = np.arange(0, 32, 4)
    return make_notes(starts, starts + 4, pitch, program=program, is_drum=is_drum, track=number)


BAND = Piece(
    np.concatenate([track(0, 74, 5), track(1, 40, 38), track(2, 36, is_drum=True)]),
    4,
    (Metre(0, 2, 2),),
    tracks=(Track("Flute", 1, 5), Track("Deep", 2, 38), Track("Kit", 10)),
    key=Key(2),
)


@pytest.mark.parametrize(
    ("kind", "tracks"),
    [
        ("melody", [("Flute", 5)]),
        ("drums", [("Kit", 0)]),
        ("groove", [("Kit", 0)]),
        ("trio", [("Flute", 5), ("Deep", 38), ("Kit", 0)]),
        ("voices", [("Flute", 5), ("Deep", 38)]),
        ("polyphony", [("Flute", 5)]),
        ("score", [("Flute", 5), ("Deep", 38), ("Kit", 0)]),
    ],
)
def test_names_programs_and_metre_of_a_clip_are_kept(
    kind: str, tracks: list[tuple[str, int]]
) -> None:
    settings = {"kind": "polyphony", "programs": True} if kind == "score" else {"kind": kind}
    tokenizer: AnyTokenizer = make_tokenizer({"num_bars": 2} | settings)
    assert tokenizer.modality == "music"
    (example,) = tokenizer.encode(BAND)
    assert example.key == Key(2)
    midi = to_pretty_midi(in_style_of(example, tokenizer.decode(example)))
    assert [(i.name, i.program) for i in midi.instruments] == tracks
    (metre,) = midi.time_signature_changes
    assert (metre.numerator, metre.denominator) == (2, 2)


def test_a_window_that_comes_from_no_clip_stays_as_it_is() -> None:
    tokenizer = make_tokenizer({"kind": "trio", "num_bars": 1})
    assert tokenizer.modality == "music"
    blank = make_tokenizer({"kind": "melody", "num_bars": 1})
    assert blank.modality == "music"
    (example,) = blank.encode(Piece(make_notes([], [], []), 4))
    piece = in_style_of(example, blank.decode(example))
    assert (piece.tracks, piece.end_step) == ((), 16)


@pytest.mark.parametrize("kind", ["melody", "drums", "trio", "voices", "polyphony"])
def test_what_lies_beyond_the_end_of_a_clip_is_cut(kind: str) -> None:
    tokenizer = make_tokenizer({"kind": kind, "num_bars": 2})
    assert tokenizer.modality == "music"
    three = replace(BAND, metres=(Metre(0, 4, 4),), notes=before(BAND.notes, 40), num_steps=48)
    examples = tokenizer.encode(three)
    assert [as_long_as_clip(e, tokenizer.decode(e)).end_step for e in examples] == [32, 16]
    full, half = (replace(each, ids=examples[0].ids) for each in examples)
    decoded = tokenizer.decode(full)
    assert as_long_as_clip(full, decoded) is decoded
    shorter = as_long_as_clip(half, replace(decoded, chords=((0, 3), (16, 5))))
    assert shorter.num_steps == 16
    assert shorter.notes["start"].max() < 16
    assert shorter.notes["end"].max() <= 16
    assert len(shorter.notes) == (decoded.notes["start"] < 16).sum()
    assert shorter.chords == ((0, 3),)


def test_a_note_that_sounds_at_the_end_of_a_clip_ends_there() -> None:
    piece = Piece(make_notes([0, 8], [20, 24], 60), 4, num_steps=32)
    example = Example(np.zeros((32, 1), np.int64), start_step=32, end_step=48)
    assert as_long_as_clip(example, piece).notes["end"].tolist() == [16, 16]
    assert piece.notes["end"].tolist() == [20, 24]
