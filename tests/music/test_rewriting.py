"""A file that is written again with some notes anew: all others to the tick."""

from pathlib import Path

import numpy as np
import pretty_midi
import pytest
from midi_events import midi_bytes, off, on, tempo, track

from seqvae.errors import InputError
from seqvae.music.midi import Original
from seqvae.music.midi.rewriting import beside
from seqvae.music.notes import Track, make_notes

NO_NOTES = make_notes([], [], [])


def played(*notes: tuple[int, int, int, int], channel: int = 0) -> bytes:
    """A track of (onset, end, pitch, velocity) in ticks."""
    events = [(start, on(pitch, velocity, channel)) for start, _, pitch, velocity in notes]
    events += [(end, off(pitch, channel)) for _, end, pitch, _ in notes]
    events.sort(key=lambda event: event[0])
    times = np.diff([0, *(time for time, _ in events)]).tolist()
    return track(*((delta, event) for delta, (_, event) in zip(times, events, strict=True)))


def ticks(file: Path) -> list[tuple[int, int, int, int, int]]:
    midi = pretty_midi.PrettyMIDI(str(file))
    return sorted(
        (midi.time_to_tick(note.start), midi.time_to_tick(note.end), note.pitch, note.velocity,
         instrument.program)
        for instrument in midi.instruments for note in instrument.notes
    )  # fmt: skip


@pytest.mark.parametrize(("division", "finer"), [(480, 1), (96, 1), (1000, 1), (90, 2), (1, 4)])
def test_kept_notes_stay_to_the_tick(tmp_path: Path, division: int, finer: int) -> None:
    rng = np.random.default_rng(division)
    starts = np.cumsum(rng.integers(1, division + 1, 60))
    notes = [(int(start), int(start + rng.integers(1, 3 * division + 2)), 40 + i, 1 + 2 * i)
             for i, start in enumerate(starts)]  # fmt: skip
    tempos = track((0, tempo(431_337)), (3 * division, tempo(777_777)), (division, tempo(500_001)))
    data = midi_bytes(tempos, played(*notes), played(*notes[:9], channel=3), division=division)
    (tmp_path / "a.mid").write_bytes(data)
    original = Original.of(tmp_path / "a.mid", 4)
    assert original.finer == finer
    whole = np.ones(69, np.bool_)
    original.rewritten(whole, NO_NOTES, [], 0).write(tmp_path / "b.mid")
    before = [(a * finer, b * finer, *rest) for a, b, *rest in ticks(tmp_path / "a.mid")]
    assert ticks(tmp_path / "b.mid") == before
    one, other = (pretty_midi.PrettyMIDI(str(tmp_path / name)) for name in ("a.mid", "b.mid"))
    for mine, its in zip(one.get_tempo_changes(), other.get_tempo_changes(), strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-12)
    whole[::2] = False
    original.rewritten(whole, NO_NOTES, [], 0).write(tmp_path / "b.mid")
    assert len(ticks(tmp_path / "b.mid")) == whole.sum()


def test_new_notes_come_on_their_steps_in_their_tracks(tmp_path: Path) -> None:
    data = midi_bytes(played((0, 100, 60, 90)), played((0, 100, 36, 90), channel=1), division=480)
    (tmp_path / "a.mid").write_bytes(data)
    original = Original.of(tmp_path / "a.mid", 4)
    new = make_notes([4, 8, 8], [6, 9, 10], [64, 38, 40], velocity=50, track=[0, 1, 2],
                     offset=[0.25, 0.0, 0.0])  # fmt: skip
    clip = original.rewritten(np.ones(2, np.bool_), new, [Track("bass", None, 33)], 16)
    assert [i.program for i in clip.instruments] == [0, 0, 33]
    assert clip.instruments[2].name == "bass"
    clip.write(tmp_path / "b.mid")
    assert ticks(tmp_path / "b.mid") == [
        (0, 100, 36, 90, 0), (0, 100, 60, 90, 0), (510, 720, 64, 50, 0),
        (960, 1080, 38, 50, 0), (960, 1200, 40, 50, 33),
    ]  # fmt: skip
    assert clip.time_to_tick(clip.get_end_time()) == 16 * 120


def test_controllers_bends_lyrics_and_metres_stay(tmp_path: Path) -> None:
    midi = pretty_midi.PrettyMIDI(resolution=480, initial_tempo=90)
    piano = pretty_midi.Instrument(4, name="keys")
    piano.notes = [pretty_midi.Note(70, 60, 0.0, 1.0)]
    piano.control_changes = [pretty_midi.ControlChange(64, 127, 0.5)]
    piano.pitch_bends = [pretty_midi.PitchBend(100, 0.75)]
    other = pretty_midi.Instrument(4, name="pad")
    other.notes = [pretty_midi.Note(70, 72, 0.0, 1.0)]
    midi.instruments = [other, piano]
    midi.lyrics = [pretty_midi.Lyric("la", 0.25)]
    midi.time_signature_changes = [pretty_midi.TimeSignature(3, 4, 0.0)]
    midi.write(str(tmp_path / "a.mid"))
    for source in (tmp_path / "a.mid", midi):
        clip = Original.of(source, 4).rewritten(np.ones(2, np.bool_), NO_NOTES, [], 12)
        keys = next(each for each in clip.instruments if each.name == "keys")
        assert [(c.number, c.value, c.time) for c in keys.control_changes] == [
            (64, 127, pytest.approx(0.5))
        ]
        assert [(bend.pitch, bend.time) for bend in keys.pitch_bends] == [
            (100, pytest.approx(0.75))
        ]
        (pad,) = (each for each in clip.instruments if each.name == "pad")
        assert not pad.control_changes
        assert [(lyric.text, lyric.time) for lyric in clip.lyrics] == [("la", pytest.approx(0.25))]
        assert [str(each)[:3] for each in clip.time_signature_changes] == ["3/4"]


def test_no_two_notes_of_a_pitch_sound_together() -> None:
    kept = make_notes([4], [8], [60])
    at = np.array([[400], [800]])
    new = make_notes([2, 5, 8, 9, 4], [6, 7, 12, 10, 5], [60, 60, 60, 60, 62])
    places = np.stack([new["start"], new["end"]]) * 100
    fitting, ends = beside(kept, at, new, places)
    found = list(zip(fitting["pitch"].tolist(), ends.T.tolist(), strict=True))
    assert found == [(60, [200, 400]), (62, [400, 500]), (60, [800, 1200])]
    elsewhere = make_notes([5], [7], [60], track=1)
    assert len(beside(kept, at, elsewhere, np.array([[500], [700]]))[0]) == 1


def test_what_has_no_quarters_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mid").write_bytes(midi_bytes(played((0, 9, 60, 9)), division=0xE728))
    with pytest.raises(InputError, match="SMPTE time code"):
        Original.of(tmp_path / "a.mid", 4)
    data = bytearray(midi_bytes(played((0, 9, 60, 9)), played((0, 9, 60, 9))))
    data[9] = 2
    (tmp_path / "b.mid").write_bytes(data)
    with pytest.raises(InputError, match="2 songs in one file"):
        Original.of(tmp_path / "b.mid", 4)
