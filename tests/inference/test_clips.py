"""What outputs keep of the clips that they come from."""

import numpy as np
import pytest

from seqvae.inference.clips import in_style_of
from seqvae.music.midi import to_pretty_midi
from seqvae.music.notes import Key, Metre, Notes, Piece, Track, make_notes
from seqvae.tokenizers import AnyTokenizer, make_tokenizer


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
