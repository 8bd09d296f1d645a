"""Chord files, and where their chords lie on the grid."""

from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest
from chords import NAMES, named

from seqvae.errors import InputError
from seqvae.music.beats import BeatTrack
from seqvae.music.chord_names import NO_CHORD, parse_chord, parse_chords
from seqvae.music.chords import ChordTrack, read_chords
from seqvae.music.midi import read_midi


def test_a_chord_file(tmp_path: Path) -> None:
    file = tmp_path / "chords.txt"
    file.write_text("0.0\t1.0\tN\n1.0\t2.1\tC:maj\n\n2.1\t5.0\tA:min7\n")
    track = read_chords(file)
    assert track.times.tolist() == [0.0, 1.0, 2.1, 5.0]
    assert named(track.numbers) == ["N", "C", "Am", "N"]
    file.write_text("\ufeff0 1 C\n2 3 G\n")  # there is none between them
    track = read_chords(file)
    assert list(zip(track.times, named(track.numbers), strict=True)) == [
        (0, "C"), (1, "N"), (2, "G"), (3, "N"),
    ]  # fmt: skip
    for text, reason in [
        ("0 1 C\n1 2 Xm7\n", "line 2: 'Xm7' is not a chord"),
        ("0 1\n", "line 1: '0 1' must be begin, end, chord"),
        ("", "no chords"),
        ("1 2 C\n0 1 D\n", "line 2: the times 0 and 1 do not rise"),
        ("0 nan C\n", "line 1: the times 0 and nan do not rise"),
        ("0 1 C minor\n", "line 1: '0 1 C minor' must be begin, end, chord"),
    ]:
        file.write_text(text)
        with pytest.raises(InputError, match=reason):
            read_chords(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_chords(tmp_path / "absent")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings_of_windows(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "chords.txt"
    file.write_bytes("0 1 C\r\n1 2 Bb\r\n".encode(encoding))
    assert named(read_chords(file).numbers) == ["C", "Bb", "N"]
    file.write_bytes("0 1 C\r\n1 2 \xe9\r\n".encode("latin-1"))
    with pytest.raises(InputError, match="neither UTF-8 nor UTF-16"):
        read_chords(file)


@pytest.mark.parametrize(
    "text",
    [
        "0.0,1.0,C:maj\n1.0,2.5,A:min\n",
        "start,end,chord\n0.0, 1.0, C\n1.0, 2.5, Am\n",
        "Anfang;Ende;Akkord\n0,0;1,0;C\n1,0;2,5;A-\n",
        "0,0\t1,0\tC\n1,0\t2,5\tAm\n",
        '"0.0","1.0","C"\n"1.0","2.5","Am7(b5)/C"\n'.replace("(b5)", ""),
        "# by ear\n\n0 1 C\n// and\n1 2.5 A:min(9,11)\n",
        "0.0,1.0,C:7(b9,11)\r\n1.0,2.5,A\u22127\r\n",
    ],
)
def test_chord_files_of_other_programs(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8", newline="")
    track = read_chords(tmp_path / "a.csv")
    assert track.times.tolist() == [0.0, 1.0, 2.5]
    assert named(track.numbers) == ["C", "Am", "N"]


CHORDS = ChordTrack(np.array([0.0, 1.0, 2.02]), np.array(parse_chords("N C Am")))


def test_chords_lie_on_the_grid_of_their_file() -> None:
    song = pretty_midi.PrettyMIDI(initial_tempo=60)
    song.instruments.append(pretty_midi.Instrument(0))
    song.instruments[0].notes.append(pretty_midi.Note(80, 60, 0.0, 4.0))
    piece = read_midi(song, 4, chords=CHORDS)
    assert [(step, NAMES[n]) for step, n in piece.chords] == [(0, "N"), (4, "C"), (8, "Am")]
    beats = BeatTrack(np.arange(9) * 0.5, np.arange(9) % 4 == 0)
    piece = read_midi(song, 4, beats, CHORDS)
    assert [step for step, _ in piece.chords] == [0, 8, 16]


def test_chords_go_to_the_nearest_step_and_the_last_of_a_step_counts() -> None:
    chords = ChordTrack(np.arange(6.0), np.arange(1, 7))
    positions = np.array([-0.3, 3.49, 3.5, 7.99, 8.01, 12.6])
    assert chords.changes(positions) == ((0, 1), (3, 2), (4, 3), (8, 5), (13, 6))


def test_chords_of_a_performance_with_a_pickup_lie_in_its_bars() -> None:
    """The first downbeat is at 1 s, the pickup at 0.5 s; the chords change a moment early."""
    song = pretty_midi.PrettyMIDI(initial_tempo=60)
    song.instruments.append(pretty_midi.Instrument(0))
    song.instruments[0].notes += [
        pretty_midi.Note(80, 60, 0.5, 1.0), pretty_midi.Note(80, 64, 1.0, 3.0),
    ]  # fmt: skip
    beats = BeatTrack(1 + np.arange(9) * 0.5, np.arange(9) % 4 == 0)
    chords = ChordTrack(np.array([0.999, 2.999, 3.5]), np.array(parse_chords("C F N")))
    piece = read_midi(song, 4, beats, chords)
    assert piece.notes["start"].tolist() == [12, 16]
    assert piece.chords == ((16, parse_chord("C")), (32, parse_chord("F")), (36, NO_CHORD))


def test_chords_keep_to_tempos_that_change_within_a_step(tmp_path: Path) -> None:
    """Half a sixteenth at one tempo, half at another: on the grid both are lost."""
    song = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    song.tracks.append(track)
    for number in range(64):
        tempo = 400_000 if number % 2 else 600_000  # microseconds a quarter
        track.append(mido.MetaMessage("set_tempo", tempo=tempo, time=60 * (number > 0)))
    track.append(mido.Message("note_on", note=60, velocity=80))
    track.append(mido.Message("note_off", note=60, time=480))
    song.save(tmp_path / "a.mid")
    chords = ChordTrack(np.array([0.0, 4.0]), np.array([1, 2]))  # four seconds are eight quarters
    for source in (tmp_path / "a.mid", pretty_midi.PrettyMIDI(str(tmp_path / "a.mid"))):
        assert read_midi(source, 4, chords=chords).chords == ((0, 1), (32, 2))
