"""Melody, bass and drums together: by hand, and there and back through MIDI files."""

from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest

from seqvae.errors import InputError
from seqvae.music.midi import find_midi, read_midi, to_pretty_midi
from seqvae.music.notes import Notes, Piece, Track, make_notes, sort_notes
from seqvae.reasons import Reason
from seqvae.tokenizers.contract import Example
from seqvae.tokenizers.drums import DrumsTokenizer
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.tracks import NOT_TAKEN
from seqvae.tokenizers.trio import TrioTokenizer
from seqvae.tokenizers.windows import long_rest

ONE_BAR = TrioTokenizer(num_bars=1, gap_bars=1.0)


def line(pitch: int, program: int, track: int) -> Notes:
    return make_notes([0, 8], [4, 16], [pitch, pitch + 2], program=program, track=track)


MELODY, BASS = line(60, 0, 0), line(36, 33, 1)
KIT = make_notes([0, 4, 8, 12], [1, 5, 9, 13], [36, 38, 36, 38], is_drum=True, track=2)


def together(*tracks: Notes) -> Piece:
    return Piece(sort_notes(np.concatenate(tracks)), 4)


def test_the_vocabulary_is_that_of_musicvae() -> None:
    assert TrioTokenizer().vocab_sizes == (90, 90, 512)
    assert TrioTokenizer().max_steps == 256


def test_each_voice_is_that_of_its_own_tokenizer() -> None:
    (example,) = ONE_BAR.encode(together(MELODY, BASS, KIT))
    melodies = MelodyTokenizer(num_bars=1)
    for channel, (tokenizer, notes) in enumerate(
        [(melodies, MELODY), (melodies, BASS), (DrumsTokenizer(num_bars=1), KIT)]
    ):
        (alone,) = tokenizer.encode(Piece(notes, 4))
        assert np.array_equal(example.ids[:, channel], alone.ids[:, 0])


@pytest.mark.parametrize(
    ("program", "channel"), [(0, 0), (31, 0), (32, 1), (39, 1), (40, 0), (81, 0), (127, 0)]
)
def test_programs_tell_melody_from_bass(program: int, channel: int) -> None:
    (example,) = ONE_BAR.encode(together(line(60, program, 0), KIT))
    sounds = [example.ids[:, voice].any() for voice in (0, 1)]
    assert sounds == [channel == 0, channel == 1]


def test_a_piece_gives_its_highest_melody_and_its_lowest_bass() -> None:
    piece = together(MELODY, line(72, 31, 3), BASS, line(40, 39, 4), KIT)
    (example,) = ONE_BAR.encode(piece)
    assert example.ids[0].tolist() == [72 - 19, 36 - 19, 1]
    assert example.program == 31
    extraction = ONE_BAR.extract(piece)
    assert [ids[0].tolist() for ids in extraction.sequences] == [example.ids[0].tolist()]
    assert extraction.dropped == {NOT_TAKEN["line"]: 2}


def test_rules_pair_every_melody_with_every_bass() -> None:
    every = TrioTokenizer(num_bars=1, gap_bars=1.0, tracks=("melody: all; bass: program=32-39",))
    piece = together(MELODY, line(72, 31, 3), BASS, line(40, 39, 4), KIT)
    assert len(every.extract(piece).sequences) == 4
    (example,) = every.encode(piece)
    assert example.ids[0].tolist() == [72 - 19, 36 - 19, 1]


@pytest.mark.parametrize(
    ("tracks", "reason"),
    [
        ((MELODY, KIT), "no bass"),
        ((BASS, KIT), "no melody"),
        ((MELODY, BASS), "no drums"),
    ],
)
def test_a_piece_without_a_voice_has_a_reason(tracks: tuple[Notes, ...], reason: str) -> None:
    extraction = ONE_BAR.extract(together(*tracks))
    assert extraction.sequences == []
    assert extraction.dropped == {Reason("file", reason, "--data.tracks"): 1}
    # A clip is taken nevertheless: the voice rests, as it may in what a model writes.
    (example,) = ONE_BAR.encode(together(*tracks))
    again = ONE_BAR.encode(ONE_BAR.decode(example))
    assert np.array_equal(again[0].ids, example.ids)
    assert (example.ids == 0).all(0).sum() == 1


def test_a_piece_without_any_voice_is_no_trio() -> None:
    chords = make_notes([0, 0], [4, 4], [60, 64])
    with pytest.raises(InputError, match=r"no trio in it: track 1 \(chords: .*'melody: track=1'"):
        ONE_BAR.encode(Piece(chords, 4))
    (silence,) = ONE_BAR.encode(Piece(MELODY[:0], 4))
    assert (silence.ids == 0).all()


def test_a_track_that_is_no_voice_is_counted() -> None:
    strings = make_notes([0, 0], [16, 16], [60, 64], program=48, track=5)
    pad = line(70, 88, 6)
    dropped = ONE_BAR.extract(together(MELODY, BASS, KIT, strings, pad)).dropped
    assert dropped == {NOT_TAKEN["chords"]: 1, NOT_TAKEN["line"]: 1}


def test_a_window_needs_all_voices() -> None:
    later = KIT.copy()
    later["start"] += 16
    later["end"] += 16
    piece = together(MELODY, BASS, KIT, later)
    assert len(ONE_BAR.extract(piece).sequences) == 1
    assert ONE_BAR.extract(piece).dropped == {long_rest(1): 1}
    assert len(ONE_BAR.encode(piece)) == 2


def test_an_empty_clip_encodes() -> None:
    (example,) = ONE_BAR.encode(Piece(make_notes([], [], []), 4))
    assert example.ids.shape == (16, 3)
    assert (example.ids == 0).all()


def test_decode_writes_three_tracks(tmp_path: Path) -> None:
    (example,) = ONE_BAR.encode(together(line(60, 11, 0), BASS, KIT))
    song = to_pretty_midi(ONE_BAR.decode(example))
    voices = [(track.program, track.is_drum, len(track.notes)) for track in song.instruments]
    assert voices == [(11, False, 2), (33, False, 2), (0, True, 4)]


def test_melody_and_bass_are_transposed_together() -> None:
    ids = np.stack([example.ids for example in ONE_BAR.encode(together(MELODY, BASS, KIT))] * 200)
    moved = ONE_BAR.augment(ids, np.random.default_rng(0))
    shift = moved[:, 0, :2] - ids[:, 0, :2]
    assert (shift[:, 0] == shift[:, 1]).all()
    assert set(shift[:, 0].tolist()) == set(range(-5, 6))
    assert np.array_equal(moved[..., 2], ids[..., 2])
    assert np.array_equal(moved[..., :2] < 2, ids[..., :2] < 2)


def test_voices_of_bars_come_from_another_window() -> None:
    ids = np.arange(200)[:, None, None] * 100 + np.arange(32)[:, None] + np.zeros((1, 1, 4), int)
    before = ids.copy()
    mixed = TrioTokenizer(num_bars=2).mix(ids, np.random.default_rng(0))
    assert np.array_equal(ids, before)
    assert np.array_equal(mixed[..., 3], ids[..., 3])  # the chords
    assert np.array_equal(mixed % 100, ids % 100)  # at the same steps
    donors = (mixed[..., :3] // 100).reshape(200, 2, 16, 3)
    assert (donors == donors[:, :, :1]).all()  # whole bars
    taken = donors[:, :, 0] != np.arange(200)[:, None, None]
    touched = taken.any((1, 2))
    assert 70 < touched.sum() < 130  # half of the windows
    assert abs(taken[touched].mean() - 0.5) < 0.05
    for window, number in zip(donors[touched][:, :, 0], np.flatnonzero(touched), strict=True):
        assert len({*window.flat} - {number}) == 1  # all from one


def test_melody_and_bass_stay_with_their_chords() -> None:
    ids = np.random.default_rng(0).integers(90, size=(40, 16, 4))
    mixed = TrioTokenizer(num_bars=1, chords=True, mix_share=1.0).mix(ids, np.random.default_rng(0))
    assert np.array_equal(mixed[..., [0, 1, 3]], ids[..., [0, 1, 3]])
    assert not np.array_equal(mixed[..., 2], ids[..., 2])
    still = TrioTokenizer(num_bars=1, mix_share=0.0)
    assert np.array_equal(still.mix(ids, np.random.default_rng(0)), ids)


def test_real_trios_survive_a_file(data_folder: Path, tmp_path: Path) -> None:
    tokenizer, windows = TrioTokenizer(num_bars=4), {}
    for file in find_midi(data_folder / "midi" / "freedoom")[::4]:
        for ids in tokenizer.extract(read_midi(file, 4)).sequences:
            windows.setdefault(ids.tobytes(), ids)
    assert len(windows) > 200
    for ids in list(windows.values())[::7]:
        to_pretty_midi(tokenizer.decode(Example(ids.astype(np.int64)))).write(
            str(tmp_path / "clip.mid")
        )
        (again,) = tokenizer.encode(read_midi(tmp_path / "clip.mid", 4))
        assert np.array_equal(again.ids, ids)


@pytest.mark.parametrize(
    "settings", [{"min_pitch": 80, "max_pitch": 70}, {"max_transpose": -1}, {"mix_share": 1.5}]
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="trio: "):
        TrioTokenizer(**settings)


@pytest.mark.parametrize("file_type", [0, 1])
def test_voices_are_told_apart_in_files_of_every_type(tmp_path: Path, file_type: int) -> None:
    """By channel and program where all are in one track; a track without a program is a piano."""
    voices = {  # channel -> pitch, ticks from one onset to the next, notes
        0: (60, 240, 32),
        1: (36, 960, 8),
        9: (38, 480, 16),
    }
    events = [(0, -1, mido.Message("program_change", channel=1, program=33))]
    for channel, (pitch, ticks, count) in voices.items():
        for number in range(count):
            on = mido.Message("note_on", channel=channel, note=pitch + number % 4, velocity=80)
            off = mido.Message("note_off", channel=channel, note=pitch + number % 4)
            events += [(number * ticks, 1, on), ((number + 1) * ticks, 0, off)]
    song = mido.MidiFile(type=file_type, ticks_per_beat=480)
    for group in [voices] if file_type == 0 else [[channel] for channel in voices]:
        track, now = mido.MidiTrack(), 0
        chosen = [event for event in events if event[2].channel in group]
        for tick, _, message in sorted(chosen, key=lambda event: event[:2]):
            track.append(message.copy(time=tick - now))
            now = tick
        song.tracks.append(track)
    song.save(tmp_path / "song.mid")
    (example,) = TrioTokenizer(num_bars=4).encode(read_midi(tmp_path / "song.mid", 4))
    melody, bass, kit = example.ids.T
    assert melody[::2].tolist() == [41 + number % 4 for number in range(32)]
    assert bass[::8].tolist() == [17 + number % 4 for number in range(8)]
    assert (kit[::4] > 0).all()


def test_a_kit_that_only_its_name_tells_stays_where_keys_are_normalised() -> None:
    """As a DAW exports it, on channel 1."""
    up, low, kit = MELODY.copy(), BASS.copy(), KIT.copy()
    up["pitch"] += 1
    low["pitch"] += 1
    kit["is_drum"] = False
    tracks = (Track("Lead"), Track("Bass"), Track("Drums"))
    band = Piece(sort_notes(np.concatenate([up, low, kit])), 4, tracks=tracks)
    plain = ONE_BAR.encode(band)[0]
    moved = TrioTokenizer(num_bars=1, keys="normalised").encode(band)[0]
    assert moved.moved != 0
    assert moved.ids[:, 2].tolist() == plain.ids[:, 2].tolist()
    assert moved.ids[0, 0] == plain.ids[0, 0] + moved.moved
    (alone,) = TrioTokenizer(num_bars=1, keys="normalised").encode(
        Piece(sort_notes(np.concatenate([up, low])), 4, tracks=tracks)
    )
    assert alone.moved == moved.moved
