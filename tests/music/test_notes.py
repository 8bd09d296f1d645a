"""Notes, metres and bars on the grid of steps."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from seqvae.errors import InputError
from seqvae.music.notes import (
    Metre,
    Notes,
    Piece,
    Tempo,
    bar_length,
    bars,
    bin_velocities,
    chord_share,
    join,
    make_notes,
    melody_line,
    nearest_steps,
    parse_metre,
    steps_per_bar,
    stretches,
    uncovered,
    velocity_bins,
)

Row = tuple[int, int, int]  # start, end, pitch


def notes_of(*rows: Row) -> Notes:
    start, end, pitch = (list(column) for column in zip(*rows, strict=True))
    return make_notes(start, end, pitch)


def rows_of(notes: Notes) -> list[Row]:
    return list(notes[["start", "end", "pitch"]].tolist())


def piece_of(*rows: Row, metres: tuple[Metre, ...] = (Metre(0, 4, 4),), length: int = 0) -> Piece:
    notes = notes_of(*rows) if rows else make_notes([], [], [])
    return Piece(notes, 4, metres, num_steps=length)


def test_make_notes_sorts_by_start_then_pitch() -> None:
    notes = make_notes([8, 0, 0], 12, [60, 64, 55], velocity=[1, 2, 3], program=7, is_drum=True)
    assert rows_of(notes) == [(0, 12, 55), (0, 12, 64), (8, 12, 60)]
    assert notes["velocity"].tolist() == [3, 2, 1]
    assert notes["program"].tolist() == [7, 7, 7]
    assert notes["is_drum"].all()
    assert notes["track"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("text", "steps_per_quarter", "steps"),
    [
        ("4/4", 4, 16),
        ("2/4", 4, 8),
        ("3/4", 4, 12),
        ("6/8", 4, 12),
        ("2/2", 4, 16),
        ("12/8", 4, 24),
        ("7/8", 4, 14),
        ("3/16", 4, 3),
        ("7/8", 2, 7),
        ("7/8", 1, None),
        ("3/32", 4, None),
        ("4/4", 24, 96),
        ("6/8", 12, 36),
    ],
)
def test_steps_per_bar(text: str, steps_per_quarter: int, steps: int | None) -> None:
    assert steps_per_bar(parse_metre(text), steps_per_quarter) == steps


def test_metres_are_read_and_written() -> None:
    assert parse_metre("6/8") == Metre(0, 6, 8)
    assert str(Metre(16, 6, 8)) == "6/8"


@pytest.mark.parametrize("text", ["3/3", "0/4", "300/4", "4/128"])
def test_parse_metre_refuses_what_midi_cannot_write(text: str) -> None:
    with pytest.raises(InputError, match=f"metre '{text}': use 1 to 255 over 1, 2, 4"):
        parse_metre(text)


@pytest.mark.parametrize(
    "text", ["", "4", "4/", "/4", "4:4", "4/4/4", "-4/4", "four/4", "4.0/4", "04/4"]
)
def test_parse_metre_refuses(text: str) -> None:
    with pytest.raises(InputError, match=r"write it as 4/4") as caught:
        parse_metre(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("metres", "end_step", "starts"),
    [
        ([(0, 4, 4)], 32, [0, 16]),
        ([(0, 4, 4)], 33, [0, 16, 32]),
        ([(0, 4, 4)], 0, [0]),
        ([(0, 2, 4)], 32, [0, 8, 16, 24]),
        ([(0, 6, 8)], 36, [0, 12, 24]),
        # the grid restarts at a change, here on a bar line, ...
        ([(0, 4, 4), (16, 3, 4), (40, 4, 4)], 72, [0, 16, 28, 40, 56]),
        # ... and here within a bar
        ([(0, 4, 4), (20, 6, 8)], 44, [0, 16, 20, 32]),
        # a pickup: one beat, then the same metre again
        ([(0, 1, 4), (4, 4, 4)], 36, [0, 4, 20]),
        # a bar that is no whole number of steps: the stretch counts as one
        ([(0, 4, 4), (16, 3, 32), (19, 4, 4)], 35, [0, 16, 19]),
        # a change after the last note
        ([(0, 4, 4), (64, 3, 4)], 10, [0]),
        ([(0, 4, 4), (8, 3, 4)], 4, [0]),
    ],
)
def test_bars(metres: list[Row], end_step: int, starts: list[int]) -> None:
    piece = piece_of(metres=tuple(Metre(*metre) for metre in metres), length=end_step)
    all_bars = list(bars(piece))
    assert [bar.start_step for bar in all_bars] == starts
    assert [bar.number for bar in all_bars] == list(range(1, len(starts) + 1))
    assert all(bar.stretch.start_step <= bar.start_step < bar.stretch.end_step for bar in all_bars)


def test_stretches_cover_the_piece_without_overlap() -> None:
    metres = (Metre(0, 4, 4), Metre(20, 3, 4), Metre(44, 6, 8))
    parts = list(stretches(piece_of((0, 50, 60), metres=metres)))
    assert [(s.metre, s.start_step, s.end_step) for s in parts] == [
        (metres[0], 0, 20),
        (metres[1], 20, 44),
        (metres[2], 44, 50),
    ]


def test_a_metre_after_the_end_is_no_stretch() -> None:
    metres = (Metre(0, 4, 4), Metre(16, 3, 4))
    parts = list(stretches(piece_of((0, 16, 60), metres=metres)))
    assert [(s.start_step, s.end_step) for s in parts] == [(0, 16)]


@pytest.mark.parametrize(("length", "end_step"), [(0, 6), (4, 6), (16, 16)])
def test_end_step_counts_the_silence_after_the_last_note(length: int, end_step: int) -> None:
    assert piece_of((0, 6, 60), (2, 3, 70), length=length).end_step == end_step


def test_qpm_at() -> None:
    piece = Piece(notes_of((0, 4, 60)), 4, tempos=(Tempo(0, 100.0), Tempo(8, 50.0)))
    assert [piece.qpm_at(step) for step in (0, 7, 8, 100)] == [100, 100, 50, 50]


def test_join_puts_silence_between_the_pieces() -> None:
    first = Piece(notes_of((0, 4, 60)), 4, tempos=(Tempo(0, 90.0),), num_steps=16)
    second = Piece(notes_of((2, 40, 62)), 4, (Metre(0, 3, 4),), num_steps=40)
    third = Piece(notes_of((0, 1, 64)), 4)
    whole = join([first, second, third])
    assert rows_of(whole.notes) == [(0, 4, 60), (18, 56, 62), (56, 57, 64)]
    assert whole.metres == (Metre(0, 4, 4), Metre(16, 3, 4), Metre(56, 4, 4))
    assert whole.tempos == (Tempo(0, 90.0), Tempo(16, 120.0))
    assert whole.end_step == 57
    assert rows_of(second.notes) == [(2, 40, 62)]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([], []),
        ([(0, 4, 60)], [(0, 4, 60)]),
        ([(0, 4, 60), (0, 4, 64), (0, 4, 67)], [(0, 4, 67)]),
        # the highest wins even where another lasts longer
        ([(0, 2, 72), (0, 16, 48), (8, 12, 60)], [(0, 2, 72), (8, 12, 60)]),
        # an onset ends the note before it, higher or lower
        ([(0, 8, 72), (4, 8, 60)], [(0, 4, 72), (4, 8, 60)]),
        # a rest stays a rest
        ([(0, 2, 60), (6, 8, 62)], [(0, 2, 60), (6, 8, 62)]),
        # the same pitch struck again
        ([(0, 8, 60), (4, 6, 60)], [(0, 4, 60), (4, 6, 60)]),
    ],
)
def test_melody_line(rows: list[Row], line: list[Row]) -> None:
    notes = notes_of(*rows) if rows else make_notes([], [], [])
    before = notes.copy()
    assert rows_of(melody_line(notes)) == line
    assert (notes == before).all()


def test_melody_line_against_a_slow_definition() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        start = rng.integers(0, 30, 20)
        notes = make_notes(start, start + rng.integers(1, 12, 20), rng.integers(50, 70, 20))
        line = rows_of(melody_line(notes))
        onsets = sorted(set(notes["start"].tolist()))
        assert [row[0] for row in line] == onsets
        for onset, following, row in zip(onsets, [*onsets[1:], math.inf], line, strict=True):
            struck = notes[notes["start"] == onset]
            highest = struck["pitch"].max()
            ends = struck["end"][struck["pitch"] == highest]
            assert row[2] == highest
            assert row[1] in {min(end, following) for end in ends}
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(line))


@pytest.mark.parametrize(
    ("rows", "highest", "lowest"),
    [
        ([], [], []),
        # inner notes under a held one, and one above it
        ([(0, 8, 72), (2, 4, 60), (4, 6, 74)], [0, 4], [0, 2]),
        # as soon as it ends
        ([(0, 4, 72), (4, 8, 60)], [0, 4], [0, 4]),
        # the same pitch struck again
        ([(0, 8, 60), (4, 6, 60)], [0, 4], [0, 4]),
        # one that is covered covers others
        ([(0, 3, 72), (2, 8, 65), (4, 6, 60)], [0], [0, 2, 4]),
    ],
)
def test_the_notes_that_are_outermost_where_they_are_struck(
    rows: list[Row], highest: list[int], lowest: list[int]
) -> None:
    notes = notes_of(*rows) if rows else make_notes([], [], [])
    assert uncovered(notes)["start"].tolist() == highest
    assert uncovered(notes, lowest=True)["start"].tolist() == lowest


@pytest.mark.parametrize(
    ("starts", "share"), [([0, 4, 8, 12], 0.0), ([0, 0, 4, 4], 1.0), ([0, 0, 0, 4], 0.5)]
)
def test_chord_share_counts_onsets(starts: list[int], share: float) -> None:
    notes = make_notes(starts, [s + 4 for s in starts], [60 + i for i in range(len(starts))])
    assert chord_share(notes, Piece(notes, 4)) == share


@pytest.mark.parametrize(
    ("apart", "qpm", "share"),
    [
        (0.0, 120.0, 1.0),
        (0.2, 120.0, 1.0),  # 25 ms: a chord struck by hand
        (0.3, 120.0, 0.0),  # 38 ms
        (0.2, 60.0, 0.0),  # 50 ms
        (0.5, 480.0, 0.0),  # 16 ms, but a run of 32nds
        (0.24, 480.0, 1.0),
    ],
)
def test_a_chord_is_what_is_struck_within_30_ms(apart: float, qpm: float, share: float) -> None:
    """Whatever steps its notes are rounded to."""
    played = np.array([0.4, 0.4 + apart, 8.4, 8.4 + apart])
    start = np.floor(played + 0.5).astype(int)
    notes = make_notes(start, start + 1, [60, 64, 62, 65], offset=played - start)
    assert chord_share(notes, Piece(notes, 4, tempos=(Tempo(0, qpm),))) == share
    finer = make_notes(3 * start, 3 * start + 1, [60, 64, 62, 65], offset=3 * (played - start))
    assert chord_share(finer, Piece(finer, 12, tempos=(Tempo(0, qpm),))) == share


def test_chords_are_judged_at_their_own_tempo() -> None:
    notes = make_notes([0, 0, 8, 8], [4, 4, 12, 12], 60, offset=[0.0, 0.2, 0.0, 0.2])
    assert chord_share(notes, Piece(notes, 4, tempos=(Tempo(0, 120.0), Tempo(6, 60.0)))) == 1 / 3


def test_chord_share_of_nothing_is_undefined() -> None:
    nothing = make_notes([], [], [])
    assert math.isnan(chord_share(nothing, Piece(nothing, 4)))


def test_the_lowest_line() -> None:
    notes = make_notes([0, 0, 4, 4], [8, 4, 8, 12], [64, 40, 41, 60])
    assert rows_of(melody_line(notes, lowest=True)) == [(0, 4, 40), (4, 8, 41)]


def test_a_note_may_last_beyond_the_piece_that_it_begins_in() -> None:
    held = Piece(notes_of((8, 24, 60)), 4, num_steps=16)
    assert rows_of(join([held, held]).notes) == [(8, 24, 60), (24, 40, 60)]


def test_join_repeats_no_metre_and_no_tempo() -> None:
    first = Piece(make_notes([0, 4], [4, 6], [60, 62]), 4, tempos=(Tempo(0, 90.0),), num_steps=16)
    second = Piece(make_notes([2], [20], [64]), 4, tempos=(Tempo(0, 140.0),), num_steps=20)
    joined = join([first, second, first])
    assert joined.notes["start"].tolist() == [0, 4, 18, 36, 40]
    assert joined.notes["end"].tolist() == [4, 6, 36, 40, 42]
    assert joined.end_step == 52
    assert joined.metres == (Metre(0, 4, 4), Metre(36, 4, 4))  # not on a bar line
    assert join([first, first]).metres == first.metres
    assert [(t.start_step, t.qpm) for t in joined.tempos] == [(0, 90), (16, 140), (36, 90)]
    odd = join([replace(first, num_steps=9), first])  # its bars begin anew
    assert odd.metres == (Metre(0, 4, 4), Metre(9, 4, 4))
    sung = join([replace(first, chords=((0, 1), (4, 2))), replace(first, chords=((2, 3),))])
    assert sung.chords == ((0, 1), (4, 2), (18, 3))
    assert second.notes["start"].tolist() == [2]  # the parts stay as they were


def test_join_keeps_a_metre_that_comes_back() -> None:
    four = Piece(make_notes([0], [4], [60]), 4, num_steps=16)
    three = Piece(make_notes([0], [4], [60]), 4, (Metre(0, 3, 4),), num_steps=48)
    assert join([four, three, four]).metres == (Metre(0, 4, 4), Metre(16, 3, 4), Metre(64, 4, 4))


def test_bar_length_is_that_of_the_first_metre() -> None:
    assert bar_length(piece_of(metres=(Metre(0, 3, 4), Metre(12, 4, 4)))) == 12
    assert bar_length(piece_of(metres=(Metre(0, 1, 32),))) == 16


def test_positions_go_to_the_nearest_step_and_halves_go_up() -> None:
    positions = np.array([0, 0.49, 0.5, 1.5, 2.5, 7.99, -0.4, -0.5])
    assert nearest_steps(positions).tolist() == [0, 0, 1, 2, 3, 8, 0, 0]


@pytest.mark.parametrize("num_bins", [1, 2, 4, 8, 32, 127])
def test_a_bin_has_the_velocity_in_its_middle(num_bins: int) -> None:
    velocities = np.arange(1, 128)
    bins = velocity_bins(make_notes(velocities, 200, 60, velocity=velocities), num_bins)
    assert bins[[0, -1]].tolist() == [0, num_bins - 1]
    sizes = np.bincount(bins)
    assert sizes.max() - sizes.min() <= 1
    means = np.array([velocities[bins == n].mean() for n in range(num_bins)])
    middles = bin_velocities(np.arange(num_bins), num_bins)
    assert (np.abs(middles - means) <= 0.5).all()


def test_the_mean_tempo_of_a_span_keeps_how_long_it_lasts() -> None:
    piece = Piece(make_notes([0], [1], [60]), 4, tempos=(Tempo(0, 60.0), Tempo(8, 120.0)))
    starts = np.array([0, 4, 6, 8, 20])
    assert piece.mean_qpm(starts, 4).tolist() == pytest.approx([60, 60, 80, 120, 120])
    assert piece.mean_qpm(starts, 4)[0] == 60.0  # exactly
