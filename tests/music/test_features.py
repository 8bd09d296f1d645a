"""Measures of music by hand, on real files and on random notes; the overlap of collections."""

import math
from pathlib import Path

import numpy as np
import pytest

from seqvae.music import features
from seqvae.music.features import (
    FEATURES,
    MEASURES,
    bar_similarities,
    melody_bass_consonance,
    overlap,
    scale_share,
    voice_crossing,
)
from seqvae.music.midi import find_midi, read_midi
from seqvae.music.notes import Metre, Piece, make_notes, pitched_notes, sort_notes


def piece_of(
    *rows: tuple[int, int, int], is_drum: bool = False, track: object = 0, length: int = 0
) -> Piece:
    start, end, pitch = (list(column) for column in zip(*rows, strict=True))
    notes = make_notes(start, end, pitch, is_drum=is_drum, track=track)
    return Piece(notes, 4, num_steps=length)


# C major in quarters, a chord, and a note on an off-beat eighth
TUNE = piece_of((0, 4, 60), (4, 8, 64), (8, 12, 67), (8, 12, 60), (14, 20, 59), (24, 32, 60))
SILENCE = Piece(make_notes([], [], []), 4, num_steps=32)

# Two bars. C E on quarters, G A on off-beat eighths; then F# on a quarter and G on the sixteenth
# after it.
LINE = Piece(
    make_notes(
        [0, 4, 10, 14, 16, 17], [4, 8, 12, 16, 17, 20], [60, 64, 67, 69, 66, 67],
        velocity=[80, 80, 80, 80, 100, 120],
    ),
    4, num_steps=32,
)  # fmt: skip


# Measures


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("note_density", 3.0),
        ("average_pitch", (60 + 64 + 67 + 69 + 66 + 67) / 6),
        ("pitch_range", 9.0),
        ("average_interval", (4 + 3 + 2 + 3 + 1) / 5),
        ("average_duration", (4 + 4 + 2 + 2 + 1 + 3) / 6),
        ("scale_membership", 5 / 6),
        ("eighth_syncopation", 2 / 6),
        ("sixteenth_syncopation", 0.0),
        ("repetition", 1 / 5),  # of the positions 0 4 10 14 and 0 1
        ("mean_velocity", 90.0),
        ("swing", 0.0),
    ],
)
def test_a_measure_by_hand(name: str, expected: float) -> None:
    assert MEASURES[name](LINE) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("starts", "eighth", "sixteenth"),
    [
        ([2], 1.0, 0.0),  # nothing before the off-beat eighth
        ([0, 2], 0.0, 0.0),  # its quarter is struck
        ([1, 2], 0.0, 0.5),  # the sixteenth before it is struck
        ([6, 10, 12], 2 / 3, 0.0),
        ([0, 3], 0.0, 0.5),  # nothing on the eighth before the off-beat sixteenth
        ([0, 2, 3], 0.0, 0.0),
        ([1, 5, 7, 8], 0.0, 3 / 4),
        ([0, 4, 8], 0.0, 0.0),
    ],
)
def test_syncopation_wants_silence_before_it(
    starts: list[int], eighth: float, sixteenth: float
) -> None:
    for scale in (1, 3):  # steps of sixteenths, and finer ones
        onsets = np.array(starts) * scale
        piece = Piece(make_notes(onsets, onsets + scale, 60), 4 * scale)
        assert MEASURES["eighth_syncopation"](piece) == pytest.approx(eighth)
        assert MEASURES["sixteenth_syncopation"](piece) == pytest.approx(sixteenth)


def test_a_grid_without_sixteenths_has_no_sixteenth_syncopation() -> None:
    piece = Piece(make_notes([1, 3], [2, 4], 60), 2)
    assert MEASURES["sixteenth_syncopation"](piece) == 0
    assert MEASURES["eighth_syncopation"](piece) == 1


def test_density_counts_a_chord_once_and_tracks_apart() -> None:
    chord = piece_of((0, 4, 60), (0, 4, 64), (8, 9, 60), length=32)
    assert MEASURES["note_density"](chord) == 1
    voices = piece_of((0, 4, 60), (0, 4, 64), (8, 9, 60), track=[0, 1, 0], length=32)
    assert MEASURES["note_density"](voices) == 1.5


def test_intervals_are_those_of_the_upper_line_of_each_track() -> None:
    assert features.intervals(TUNE).tolist() == [4, 3, -8, 1]
    crossing = piece_of((0, 1, 60), (4, 5, 40), (8, 9, 62), (12, 13, 45), track=[0, 1, 0, 1])
    assert sorted(features.intervals(crossing).tolist()) == [2, 5]
    assert MEASURES["average_interval"](crossing) == 3.5
    assert MEASURES["average_interval"](TUNE) == 4


def test_swing_is_the_delay_of_the_weak_sixteenths() -> None:
    steps = np.arange(8)
    late = np.where(steps % 2, 0.3, 0.1)
    hats = make_notes(steps, steps + 1, np.full(8, 42), is_drum=True, offset=late)
    assert MEASURES["swing"](Piece(hats, 4)) == pytest.approx(0.3)


def test_drums_count_as_onsets_and_repeat_drum_by_drum() -> None:
    drums = piece_of((0, 1, 36), (8, 9, 38), (16, 17, 36), (24, 25, 36), is_drum=True, length=32)
    assert MEASURES["note_density"](drums) == 2
    assert MEASURES["repetition"](drums) == pytest.approx(1 / 3)
    for name in ("average_pitch", "pitch_range", "average_interval", "scale_membership"):
        assert MEASURES[name](drums) == 0


def test_a_bar_is_similar_to_another_with_its_rhythm() -> None:
    rhythm = piece_of((0, 2, 60), (6, 8, 62), (16, 20, 72), (22, 24, 59), length=64)
    assert bar_similarities(rhythm).tolist() == [1, 0]  # the fourth bar is silent as the third
    assert MEASURES["repetition"](rhythm) == 0.5


def test_every_measure_of_silence_and_of_odd_metres_is_finite() -> None:
    odd = Piece(LINE.notes, 4, (Metre(0, 1, 32),))
    for measure in MEASURES.values():
        assert np.isfinite([measure(SILENCE), measure(odd)]).all()


def test_scale_membership_is_that_of_c_major() -> None:
    assert MEASURES["scale_membership"](piece_of((0, 1, 60), (1, 2, 65), (2, 3, 66))) == 2 / 3


def test_mean_velocity_is_that_of_drums_too() -> None:
    notes = make_notes([0, 4], [1, 5], 60, velocity=[50, 100], is_drum=[False, True])
    assert MEASURES["mean_velocity"](Piece(notes, 4)) == 75


# Harmony


MAJOR, MINOR = [0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10]


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize("scale", [MAJOR, MINOR])
def test_a_scale_fits_itself_in_every_key(tonic: int, scale: list[int]) -> None:
    pitches = np.array([*scale, 12]) + 48 + tonic
    steps = np.arange(len(pitches))
    assert scale_share(Piece(make_notes(steps, steps + 1, pitches), 4)) == 1


@pytest.mark.parametrize(
    ("pitches", "expected"),
    [
        (list(range(60, 72)), 7 / 12),  # all twelve notes
        ([60, 61, 62, 63], 3 / 4),  # three of four neighbours: C Db Eb, or C# D ...
        ([57, 59, 60, 62, 64, 65, 68, 69], 7 / 8),  # harmonic minor: G# is outside
        ([60, 60, 60, 61, 62], 4 / 5),  # by count of notes
        ([], math.nan),
    ],
)
def test_scale_share_by_hand(pitches: list[int], expected: float) -> None:
    steps = np.arange(len(pitches))
    piece = Piece(make_notes(steps, steps + 1, pitches), 4)
    assert scale_share(piece) == pytest.approx(expected, nan_ok=True)


def test_scale_share_does_not_hear_drums() -> None:
    notes = make_notes([0, 1, 2, 3], [1, 2, 3, 4], [60, 37, 62, 39], is_drum=[False, True] * 2)
    assert scale_share(Piece(notes, 4)) == 1
    assert math.isnan(scale_share(Piece(notes[notes["is_drum"]], 4)))


@pytest.mark.parametrize(
    ("interval", "is_consonant"),
    [
        (0, True), (1, False), (2, False), (3, True), (4, True), (5, False), (6, False), (7, True),
        (8, True), (9, True), (10, False), (11, False), (12, True), (16, True), (17, False),
        (19, True), (24, True), (25, False),
    ],
)  # fmt: skip
def test_an_interval_above_the_bass_is_consonant_or_not(interval: int, is_consonant: bool) -> None:
    piece = piece_of((0, 4, 48), (0, 4, 48 + interval), track=[0, 1])
    assert melody_bass_consonance(piece) == is_consonant


@pytest.mark.parametrize(
    ("upper", "lower", "share"),
    [
        ([(0, 8, 67), (8, 16, 65)], [(0, 8, 60), (8, 16, 62)], 0.0),
        ([(0, 12, 67), (12, 16, 60)], [(0, 16, 62)], 0.25),
        ([(0, 12, 67), (12, 16, 62)], [(0, 16, 62)], 0.0),  # a unison is no crossing
        ([(0, 8, 67), (12, 16, 60)], [(0, 16, 62)], 4 / 12),  # of the steps with both
    ],
)
def test_voices_cross_where_the_lower_sounds_above(
    upper: list[tuple[int, int, int]], lower: list[tuple[int, int, int]], share: float
) -> None:
    for first, second in ((0, 1), (1, 0)):
        notes = [piece_of(*upper, track=first).notes, piece_of(*lower, track=second).notes]
        assert voice_crossing(Piece(sort_notes(np.concatenate(notes)), 4)) == share


def test_voices_that_are_not_neighbours_cross_too() -> None:
    """While the one between them rests."""
    starts, tracks = np.array([0, 0, 0, 4, 4]), [0, 1, 2, 0, 2]
    notes = make_notes(starts, starts + 4, [72, 60, 48, 50, 53], track=tracks)
    assert voice_crossing(Piece(sort_notes(notes), 4)) == 0.5
    assert math.isnan(voice_crossing(SILENCE))
    assert math.isnan(voice_crossing(piece_of((0, 4, 60), (0, 4, 64))))  # one track


def test_consonance_is_that_of_the_outer_voices_where_two_sound() -> None:
    # C below G for 2 steps, then below F for 6, then F alone; D between them is no outer voice
    voices = piece_of((0, 8, 48), (0, 2, 67), (2, 12, 65), (0, 8, 62), track=[0, 1, 1, 2])
    assert melody_bass_consonance(voices) == 2 / 8
    drums = make_notes([0, 8], [8, 16], [35, 90], is_drum=True, track=3)
    both = Piece(sort_notes(np.concatenate([voices.notes, drums])), 4)
    assert melody_bass_consonance(both) == 2 / 8
    assert math.isnan(melody_bass_consonance(piece_of((0, 4, 60), (4, 8, 64))))
    assert math.isnan(melody_bass_consonance(SILENCE))
    assert math.isnan(melody_bass_consonance(Piece(drums, 4)))


def with_random_pitches(piece: Piece, rng: np.random.Generator) -> Piece:
    notes = piece.notes.copy()
    pitches = rng.integers(48, 84, len(notes))
    notes["pitch"] = np.where(notes["is_drum"], notes["pitch"], pitches)
    return Piece(sort_notes(notes), piece.steps_per_quarter)


def test_random_notes_fit_no_scale_and_are_consonant_by_chance() -> None:
    rng = np.random.default_rng(0)
    steps = np.arange(1000)
    voices = [make_notes(steps, steps + 1, 0, track=track) for track in (0, 1)]
    piece = with_random_pitches(Piece(sort_notes(np.concatenate(voices)), 4), rng)
    assert 7 / 12 <= scale_share(piece) < 0.63
    # |a - b| modulo 12 of two random pitches of three octaves: 0.4992
    pitches = np.arange(36)
    chance = np.isin(np.abs(pitches[:, None] - pitches) % 12, [0, 3, 4, 7, 8, 9]).mean()
    assert melody_bass_consonance(piece) == pytest.approx(chance, abs=0.04)


@pytest.mark.parametrize(
    ("folder", "every", "in_scale", "consonant"),
    [
        ("jsb_chorales", 50, 0.9, 0.8),
        ("freedoom", 12, 0.88, 0.65),
        ("pop909", 60, 0.9, 0.7),
    ],
)
def test_real_music_is_told_from_random_notes(
    data_folder: Path, folder: str, every: int, in_scale: float, consonant: float
) -> None:
    pieces = [read_midi(file, 4) for file in find_midi(data_folder / "midi" / folder)[::every]]
    assert len(pieces) >= 5
    rng = np.random.default_rng(0)
    noise = [with_random_pitches(piece, rng) for piece in pieces]
    assert np.mean([scale_share(piece) for piece in pieces]) > in_scale
    assert np.mean([scale_share(piece) for piece in noise]) < 0.68
    assert np.mean([melody_bass_consonance(piece) for piece in pieces]) > consonant
    assert np.mean([melody_bass_consonance(piece) for piece in noise]) < 0.55


# Features and their overlap


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pitch_classes", [0, 4, 0, 7, 11, 0]),
        ("drum_pitches", []),
        ("note_density", [4, 1]),
        ("intervals", [4, 3, -8, 1]),
        ("durations", [4, 4, 4, 4, 6, 8]),
        ("eighth_syncopation", [1 / 5]),
        ("sixteenth_syncopation", [0]),
        ("polyphony", [1] * 8 + [2] * 4 + [0] * 2 + [1] * 6 + [0] * 4 + [1] * 8),
        ("repetition", [1 / 4]),  # of the positions 0 4 8 14 and 8
    ],
)
def test_a_feature_by_hand(name: str, expected: list[float]) -> None:
    assert FEATURES[name].values(TUNE).tolist() == expected


@pytest.mark.parametrize(
    ("feature", "measure"),
    [
        ("note_density", "note_density"),
        ("durations", "average_duration"),
        ("eighth_syncopation", "eighth_syncopation"),
        ("sixteenth_syncopation", "sixteenth_syncopation"),
        ("repetition", "repetition"),
    ],
)
@pytest.mark.parametrize("piece", [TUNE, LINE])
def test_a_measure_is_the_mean_of_its_feature(piece: Piece, feature: str, measure: str) -> None:
    assert FEATURES[feature].values(piece).mean() == pytest.approx(MEASURES[measure](piece))


def test_drums_have_no_pitch_classes_intervals_and_durations() -> None:
    drums = piece_of((0, 1, 36), (4, 5, 38), (16, 17, 36), is_drum=True)
    assert FEATURES["drum_pitches"].values(drums).tolist() == [36, 38, 36]
    for name in ("pitch_classes", "intervals", "durations"):
        assert FEATURES[name].values(drums).tolist() == []
    assert FEATURES["repetition"].values(drums).tolist() == [0.5]


def test_bars_are_those_of_the_metre() -> None:
    notes = make_notes([0, 12, 13], [4, 16, 16], [60, 62, 64])
    waltz = Piece(notes, 4, (Metre(0, 3, 4),))
    assert FEATURES["note_density"].values(waltz).tolist() == [1, 2]
    odd = Piece(notes, 4, (Metre(0, 1, 32),))
    assert FEATURES["note_density"].values(odd).tolist() == [3]


def test_silence_has_few_features() -> None:
    values = {name: feature.values(SILENCE).tolist() for name, feature in FEATURES.items()}
    assert values.pop("note_density") == [0, 0]
    assert values.pop("polyphony") == [0] * 32
    assert set(map(tuple, values.values())) == {()}


@pytest.mark.parametrize(
    ("name", "values", "bins"),
    [
        ("durations", [0, 1, 1, 64, 1000], {0: 1, 1: 2, 64: 2}),
        ("intervals", [-99, -24, -1, 0, 1, 24, 25], {0: 2, 23: 1, 24: 1, 25: 1, 48: 2}),
        ("repetition", [0, 0.05, 0.1, 0.3, 0.7, 0.95, 1], {0: 2, 1: 1, 3: 1, 7: 1, 9: 2}),
        ("pitch_classes", [0, 11], {0: 1, 11: 1}),
        ("drum_pitches", [0, 36, 127], {0: 1, 36: 1, 127: 1}),
    ],
)
def test_values_are_counted_in_their_bins(
    name: str, values: list[float], bins: dict[int, int]
) -> None:
    feature = features.Feature(lambda piece: np.array(values), FEATURES[name].edges)
    counts = feature.histogram([TUNE])
    assert {int(b): int(counts[b]) for b in np.flatnonzero(counts)} == bins
    assert (feature.histogram([TUNE, TUNE]) == 2 * counts).all()


def test_overlap_of_itself_is_one_and_of_strangers_nothing() -> None:
    low = [piece_of((0, 16, 60), (16, 17, 60))] * 3
    high = [piece_of((0, 2, 61), (6, 14, 66), (9, 11, 68), (11, 15, 70))]
    assert overlap(low, low * 2) == pytest.approx(
        {name: 1.0 for name in FEATURES if name != "drum_pitches"}
    )
    assert overlap(low * 2, low) == overlap(low, low * 2)
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
        made = []
        for _ in range(num):
            starts = np.cumsum(rng.choice(lengths, 12))
            ends = starts + rng.choice(lengths, 12)
            notes = make_notes(starts, ends, 60 + rng.choice(scale, 12))
            made.append(Piece(sort_notes(notes), 4))
        return made

    music = pieces(600, MAJOR, [2, 2, 4])
    ceiling = overlap(music[:300], music[300:])
    noise = overlap(pieces(300, list(range(12)), [1, 2, 3, 4, 5]), music[300:])
    assert min(ceiling.values()) > 0.9
    for name in ("pitch_classes", "durations", "intervals", "sixteenth_syncopation"):
        assert noise[name] < ceiling[name] - 0.2


def test_pitched_notes_are_all_but_the_drums() -> None:
    notes = make_notes([0, 0, 4], [1, 1, 5], [36, 60, 62], is_drum=[True, False, False])
    assert pitched_notes(Piece(notes, 4))["pitch"].tolist() == [60, 62]


@pytest.mark.parametrize("semitones", [-5, 0, 2, 6])
def test_mode_and_register_are_relative_to_the_key(semitones: int) -> None:
    """C major and its parallel minor, whose third, sixth and seventh are lower."""
    major = (60, 64, 67, 65, 69, 72, 71, 67, 64, 62, 59, 60)
    minor = (60, 63, 67, 65, 68, 72, 70, 67, 63, 62, 58, 60)
    of_major, of_minor = (
        piece_of(*((i, i + 1, pitch + semitones) for i, pitch in enumerate(line)))
        for line in (major, minor)
    )
    assert MEASURES["minorness"](of_minor) > 0 > MEASURES["minorness"](of_major)
    plain = piece_of(*((i, i + 1, pitch) for i, pitch in enumerate(major)))
    assert (MEASURES["register"](of_major) - MEASURES["register"](plain)) % 12 == pytest.approx(0)
    assert MEASURES["minorness"](of_major) == pytest.approx(MEASURES["minorness"](plain))
    up = piece_of(*((i, i + 1, pitch + 12 + semitones) for i, pitch in enumerate(major)))
    assert MEASURES["register"](up) == MEASURES["register"](of_major) + 12
