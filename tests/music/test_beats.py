"""Beat files: a performance of a known score comes back as that score."""

from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest

from seqvae.errors import InputError
from seqvae.music.beat_files import file_beside, read_beats
from seqvae.music.beats import BeatTrack
from seqvae.music.midi import find_midi, read_midi
from seqvae.music.midi.read import IMPOSSIBLE_BAR


def write_beats(path: Path, times: list[float], in_bar: list[int]) -> Path:
    path.write_text(
        "".join(f"{t:.4f}\t{n}\n" for t, n in zip(times, in_bar, strict=True)), encoding="utf-8"
    )
    return path


def performed(notes: list[tuple[float, float]]) -> pretty_midi.PrettyMIDI:
    song = pretty_midi.PrettyMIDI(initial_tempo=77)
    instrument = pretty_midi.Instrument(0)
    for number, (start, end) in enumerate(notes):
        instrument.notes.append(pretty_midi.Note(80, 60 + number, start, end))
    song.instruments.append(instrument)
    return song


SWAYING = [1.0, 1.6, 2.0, 2.7, 3.1, 3.6, 4.2, 4.5, 5.0]  # seconds of nine beats
TRACK = BeatTrack(np.array(SWAYING), np.array([True, False, False, False] * 2 + [True]))


def test_places_between_beats_and_beyond() -> None:
    seconds = np.array([1.0, 1.3, 1.6, 2.35, 5.0, 5.5, 0.4, -0.2])
    assert TRACK.quarters(seconds) == pytest.approx([0, 0.5, 1, 2.5, 8, 9, -1, -2])


def test_a_performance_comes_back_as_its_score(tmp_path: Path) -> None:
    notes = [(1.0, 1.6), (1.3, 1.5), (2.02, 2.7), (4.35, 5.0)]
    path = tmp_path / "a.mid"
    performed(notes).write(str(path))
    for source in (path, performed(notes)):
        piece = read_midi(source, 4, TRACK)
        assert piece.notes["start"].tolist() == [0, 2, 8, 26]
        assert piece.notes["end"].tolist() == [4, 3, 12, 32]
        assert piece.notes["offset"] == pytest.approx([0, 0, 4 * 0.02 / 0.7, 0], abs=0.02)
        assert [str(metre) for metre in piece.metres] == ["4/4"]
        assert [tempo.start_step for tempo in piece.tempos] == [0, 16]
        assert [tempo.qpm for tempo in piece.tempos] == pytest.approx([240 / 2.1, 240 / 1.9])


def test_a_pickup_stands_in_the_bar_before() -> None:
    piece = read_midi(performed([(0.4, 1.0), (1.0, 1.6)]), 4, TRACK)
    assert piece.notes["start"].tolist() == [12, 16]
    assert [metre.start_step for metre in piece.metres] == [0]  # the first reaches back
    assert [tempo.start_step for tempo in piece.tempos] == [0, 32]
    # beats before the first downbeat, too
    track = BeatTrack(TRACK.times, np.array([False, True, *[False] * 3, True, *[False] * 3]))
    piece = read_midi(performed([(1.0, 1.6), (1.6, 2.0)]), 4, track)
    assert piece.notes["start"].tolist() == [12, 16]


def test_a_note_just_before_the_first_beat_is_that_beat() -> None:
    piece = read_midi(performed([(0.97, 1.6)]), 4, TRACK)
    assert piece.notes["start"].tolist() == [0]


def test_bars_of_other_lengths_are_other_metres() -> None:
    is_downbeat = np.array([1, 0, 0, 1, 0, 0, 1, 0, 1], bool)
    piece = read_midi(performed([(1.0, 1.6)]), 4, BeatTrack(np.array(SWAYING), is_downbeat))
    assert [(m.start_step, str(m)) for m in piece.metres] == [(0, "3/4"), (24, "2/4")]


@pytest.mark.parametrize("note", [(0.5, 1.0), (120.0, 121.0)])
def test_beats_of_another_piece_are_refused(note: tuple[float, float]) -> None:
    late = BeatTrack(TRACK.times + 60, TRACK.is_downbeat)
    assert len(read_midi(performed([(61.0, 61.6)]), 4, late).notes) == 1
    with pytest.raises(InputError, match="beats outside the beat file; is it of another piece"):
        read_midi(performed([(61.0, 61.6), note]), 4, late)


@pytest.mark.parametrize("seconds", [0.02, 20.0])
def test_beats_too_fast_or_too_slow_for_midi_are_refused(seconds: float) -> None:
    track = BeatTrack(np.arange(9) * seconds, np.arange(9) % 4 == 0)
    with pytest.raises(
        InputError, match=f"tempo of {60 / seconds:g} quarters per minute in the beat"
    ):
        read_midi(performed([(0.0, 0.1)]), 4, track)


def test_one_bar_at_an_impossible_tempo_costs_itself() -> None:
    times = np.arange(17) * 0.5
    times[5:9] = 2 + np.array([0.001, 0.002, 0.003, 0.004])
    times[9:] -= times[9] - 2.5
    for first, steps in ((0, [0, 32, 48]), (4, [0, 32])):
        track = BeatTrack(times[first:], np.arange(17)[first:] % 4 == 0)
        piece = read_midi(performed([(2.0, 2.5)]), 4, track)
        assert [tempo.start_step for tempo in piece.tempos] == steps
        assert all(100 < tempo.qpm < 140 for tempo in piece.tempos)
        assert piece.noted == {IMPOSSIBLE_BAR: 1}


def test_a_beat_may_be_no_quarter() -> None:
    jig = np.array([[3, 8]] * 9)
    track = BeatTrack(np.arange(9) * 0.5, np.arange(9) % 2 == 0, jig)
    piece = read_midi(performed([(0.0, 0.5), (0.5, 0.667), (1.0, 1.5)]), 2, track)
    assert piece.notes["start"].tolist() == [0, 3, 6]
    assert piece.notes["end"].tolist() == [3, 4, 9]
    assert [str(metre) for metre in piece.metres] == ["6/8"]
    assert piece.qpm_at(0) == pytest.approx(180)  # quarters, of dotted ones 120
    pickup = BeatTrack(1 + track.times, track.is_downbeat, jig)
    assert read_midi(performed([(0.5, 1.0)]), 2, pickup).notes["start"].tolist() == [3]
    eighths = BeatTrack(pickup.times, np.arange(9) % 3 == 0, np.array([[1, 8]] * 9))
    assert read_midi(performed([(0.5, 1.0)]), 2, eighths).notes["start"].tolist() == [2]


def test_beats_before_the_first_downbeat_lie_before_the_start() -> None:
    is_downbeat = np.array([False, True, False, True, False])
    quarters = BeatTrack(np.arange(5.0), is_downbeat)
    assert quarters.positions.tolist() == [-1, 0, 1, 2, 3]
    dotted = BeatTrack(np.arange(5.0), is_downbeat, np.array([[3, 8]] * 5))
    assert dotted.positions.tolist() == [-1.5, 0, 1.5, 3, 4.5]


def test_a_bar_of_unlike_beats_counts_the_smaller() -> None:
    units = np.array([[1, 4], [1, 4], [3, 8], [1, 4], [1, 4], [3, 8], [1, 4]])
    track = BeatTrack(np.arange(7.0), np.arange(7) % 3 == 0, units)
    assert [str(metre) for metre in track.metres(4, 0)] == ["7/8"]
    assert track.bars()[0].tolist() == [0, 3.5, 7]


def test_beats_are_seconds_whatever_the_tempos_of_the_file(tmp_path: Path) -> None:
    song = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    song.tracks.append(track)
    for tempo in (500_000, 1_000_000, 250_000):  # microseconds per quarter, for two quarters each
        track.append(mido.MetaMessage("set_tempo", tempo=tempo))
        for _ in range(2):
            track.append(mido.Message("note_on", note=60, velocity=80))
            track.append(mido.Message("note_off", note=60, time=480))
    song.save(tmp_path / "a.mid")
    beats = BeatTrack(np.arange(17) * 0.25, np.arange(17) % 4 == 0)
    starts = [0, 0.5, 1, 2, 3, 3.25]  # seconds
    for source in (tmp_path / "a.mid", pretty_midi.PrettyMIDI(str(tmp_path / "a.mid"))):
        piece = read_midi(source, 4, beats)
        assert piece.notes["start"].tolist() == [16 * start for start in starts]
        assert piece.notes["end"].tolist() == [16 * end for end in [*starts[1:], 3.5]]


def test_a_pickup_counts_the_bars_back_by_the_first_one() -> None:
    three_then_two = np.array([0, 1, 0, 0, 1, 0, 1, 0, 1], bool)
    piece = read_midi(performed([(1.0, 1.6)]), 4, BeatTrack(np.array(SWAYING), three_then_two))
    assert piece.notes["start"].tolist() == [8]  # the third beat of a bar of three
    assert [(m.start_step, str(m)) for m in piece.metres] == [(0, "3/4"), (24, "2/4")]
    assert [tempo.start_step for tempo in piece.tempos] == [0, 24, 32]
    qpms = [180 / 1.5, 120 / 1.1, 120 / 0.8]
    assert [tempo.qpm for tempo in piece.tempos] == pytest.approx(qpms)


def test_the_last_bar_is_as_long_as_the_one_before_it() -> None:
    is_downbeat = np.array([1, 0, 0, 1, 0, 1, 0, 0, 0], bool)
    starts, lengths = BeatTrack(np.array(SWAYING), is_downbeat).bars()
    assert (starts.tolist(), lengths.tolist()) == ([0, 3, 5], [3, 2, 2])


def test_the_last_column_marks_downbeats(tmp_path: Path) -> None:
    lines = [f"{t} {n % 3} {int(n % 4 == 0)}\n" for n, t in enumerate(SWAYING)]
    (tmp_path / "a.txt").write_text("".join(lines))
    assert (read_beats(tmp_path / "a.txt").is_downbeat == TRACK.is_downbeat).all()


def test_read_and_written(tmp_path: Path) -> None:
    track = read_beats(write_beats(tmp_path / "a.txt", SWAYING, [1, 2, 3, 4, 1, 2, 3, 4, 1]))
    assert track.times == pytest.approx(TRACK.times)
    assert (track.is_downbeat == TRACK.is_downbeat).all()
    (tmp_path / "b.txt").write_text("\ufeff" + (tmp_path / "a.txt").read_text())
    assert (read_beats(tmp_path / "b.txt").times == track.times).all()


def test_real_songs_lie_on_their_beats(data_folder: Path) -> None:
    files = find_midi(data_folder / "midi" / "pop909")[::10]
    by_ticks, by_beats = [], []
    for file in files:
        track = read_beats(file_beside(file, "beat_midi.txt"))
        by_ticks += np.abs(read_midi(file, 4).notes["offset"]).tolist()
        by_beats += np.abs(read_midi(file, 4, track).notes["offset"]).tolist()
    assert np.mean(by_beats) < 0.05 < 0.15 < np.mean(by_ticks)  # 0.25 is chance
