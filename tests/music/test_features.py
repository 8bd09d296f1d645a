"""Features of music by hand, and the overlap of collections."""

import numpy as np
import pytest

from seqvae.music.features import FEATURES, overlap
from seqvae.music.notes import Metre, Piece, make_notes, sort_notes


def piece_of(*rows: tuple[int, int, int], is_drum: bool = False, length: int = 0) -> Piece:
    start, end, pitch = (list(column) for column in zip(*rows, strict=True))
    return Piece(make_notes(start, end, pitch, is_drum=is_drum), 4, num_steps=length)


# C major in quarters, a chord, and a note off the beat that is held over the next
TUNE = piece_of((0, 4, 60), (4, 8, 64), (8, 12, 67), (8, 12, 60), (14, 20, 59), (24, 32, 60))


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ("pitch_classes", [0, 4, 0, 7, 11, 0]),
        ("drum_pitches", []),
        ("note_density", [5, 1]),
        ("intervals", [24 + 4, 24 + 3, 24 - 8, 24 + 1]),  # of the upper line
        ("durations", [4, 4, 4, 4, 6, 8]),
        ("syncopation", [2]),  # one of five onsets
        ("polyphony", [1] * 8 + [2] * 4 + [0] * 2 + [1] * 6 + [0] * 4 + [1] * 8),
        ("self_similarity", [2]),  # one of five is in both bars: 60 at the third quarter
    ],
)
def test_a_feature_by_hand(feature: str, expected: list[int]) -> None:
    assert FEATURES[feature](TUNE).tolist() == expected


def test_drums_have_no_pitch_classes_intervals_and_durations() -> None:
    drums = piece_of((0, 1, 36), (4, 5, 38), (16, 17, 36), is_drum=True)
    assert FEATURES["drum_pitches"](drums).tolist() == [36, 38, 36]
    for name in ("pitch_classes", "intervals", "durations"):
        assert FEATURES[name](drums).tolist() == []
    assert FEATURES["self_similarity"](drums).tolist() == [5]


def test_a_piece_that_repeats_its_bar_is_like_itself() -> None:
    bars = piece_of((0, 2, 60), (6, 8, 62), (16, 20, 60), (22, 24, 62), length=48)
    assert FEATURES["self_similarity"](bars).tolist() == [9, 0]  # the last bar is silent


def test_bars_are_those_of_the_metre() -> None:
    notes = make_notes([0, 12, 13], [4, 16, 16], [60, 62, 64])
    waltz = Piece(notes, 4, (Metre(0, 3, 4),))
    assert FEATURES["note_density"](waltz).tolist() == [1, 2]
    odd = Piece(notes, 4, (Metre(0, 1, 32),))
    assert FEATURES["note_density"](odd).tolist() == [3]


def test_silence_has_few_features() -> None:
    silence = Piece(make_notes([], [], []), 4, num_steps=32)
    values = {name: feature(silence).tolist() for name, feature in FEATURES.items()}
    assert values.pop("note_density") == [0, 0]
    assert values.pop("polyphony") == [0] * 32
    assert set(map(tuple, values.values())) == {()}


def test_overlap_of_itself_is_one_and_of_strangers_nothing() -> None:
    low = [piece_of((0, 16, 60), (16, 17, 60))] * 3
    high = [piece_of((0, 2, 61), (6, 14, 66), (9, 11, 68), (11, 15, 70))]
    assert overlap(low, low * 2) == pytest.approx(
        {name: 1.0 for name in FEATURES if name != "drum_pitches"}
    )
    areas = overlap(low, high)
    assert areas["pitch_classes"] == areas["durations"] == areas["note_density"] == 0.0
    assert "drum_pitches" not in areas
    assert overlap([], low) == {}


def test_overlap_is_the_common_area() -> None:
    first = [piece_of((0, 1, 60), (1, 2, 62), (2, 3, 62), (3, 4, 62))]
    second = [piece_of((0, 1, 60), (1, 2, 62), (2, 3, 64), (3, 4, 64))]
    assert overlap(first, second)["pitch_classes"] == pytest.approx(0.25 + 0.25)
    assert overlap(second, first) == pytest.approx(overlap(first, second))


def test_halves_of_one_collection_nearly_overlap_and_noise_does_not() -> None:
    rng = np.random.default_rng(0)

    def pieces(num: int, scale: list[int], lengths: list[int]) -> list[Piece]:
        found = []
        for _ in range(num):
            starts = np.cumsum(rng.choice(lengths, 12))
            ends = starts + rng.choice(lengths, 12)
            notes = make_notes(starts, ends, 60 + rng.choice(scale, 12))
            found.append(Piece(sort_notes(notes), 4))
        return found

    scale, chromatic = [0, 2, 4, 5, 7, 9, 11], list(range(12))
    music = pieces(600, scale, [2, 2, 4])
    ceiling = overlap(music[:300], music[300:])
    noise = overlap(pieces(300, chromatic, [1, 2, 3, 4, 5]), music[300:])
    assert min(ceiling.values()) > 0.9
    for name in ("pitch_classes", "durations", "intervals"):
        assert noise[name] < ceiling[name] - 0.2
