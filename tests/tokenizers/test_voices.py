"""The voices of a choir: by hand, and there and back through MIDI files."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvae.errors import InputError
from seqvae.inference.clips import in_style_of
from seqvae.music.keys import find_key
from seqvae.music.midi import find_midi, read_midi, to_pretty_midi
from seqvae.music.notes import Notes, Piece, Track, make_notes, sort_notes
from seqvae.tokenizers.contract import Example
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.tracks import NOT_TAKEN
from seqvae.tokenizers.voices import VoicesTokenizer, other_number

AS_WRITTEN = VoicesTokenizer(num_bars=1, keys="as_written")
NAMES = ("Soprano", "Alto", "Tenor", "Bass")
HALVES = {"Soprano": (72, 71), "Alto": (67, 65), "Tenor": (64, 62), "Bass": (48, 43)}


def voice(pitches: tuple[int, int], track: int) -> Notes:
    """Two halves."""
    return make_notes([0, 8], [8, 16], pitches, track=track)


def choir(*names: str) -> Piece:
    """These voices, in this order of tracks."""
    notes = [voice(HALVES[name], number) for number, name in enumerate(names)]
    tracks = tuple(Track(name, program=52 + i) for i, name in enumerate(names))
    return Piece(sort_notes(np.concatenate(notes)), 4, tracks=tracks, name="hymn.mid")


def test_the_lowest_voice_comes_first_whatever_the_order_of_tracks() -> None:
    assert AS_WRITTEN.channels == ("lowest", "voice_2", "voice_3", "highest")
    for names in (NAMES, NAMES[::-1], ("Alto", "Bass", "Soprano", "Tenor")):
        (example,) = AS_WRITTEN.encode(choir(*names))
        assert example.ids[0].tolist() == [pitch - 19 for pitch in (48, 64, 67, 72)]
        assert [example.tracks[i].name for i in range(4)] == [*NAMES]
        (ids,) = AS_WRITTEN.extract(choir(*names)).sequences
        assert ids.tolist() == example.ids.tolist()


def test_each_voice_is_that_of_a_melody() -> None:
    (example,) = AS_WRITTEN.encode(choir(*NAMES))
    for channel, name in enumerate(reversed(NAMES)):
        (alone,) = MelodyTokenizer(num_bars=1).encode(Piece(voice(HALVES[name], 0), 4))
        assert example.ids[:, channel].tolist() == alone.ids[:, 0].tolist()


@pytest.mark.parametrize(
    ("names", "channels"),
    [(("Soprano",), [3]), (("Bass", "Soprano"), [0, 3]), (("Bass", "Alto", "Soprano"), [0, 2, 3])],
)
def test_voices_that_a_clip_does_not_have_rest(names: tuple[str, ...], channels: list[int]) -> None:
    (example,) = AS_WRITTEN.encode(choir(*names))
    assert np.flatnonzero(example.ids.any(0)).tolist() == channels
    assert [example.tracks[3 - channel].name for channel in channels] == [*names]
    dropped = AS_WRITTEN.extract(choir(*names)).dropped
    assert dropped == {other_number(len(names)): 1}
    (resting,) = VoicesTokenizer(num_bars=1, gap_bars=0, keys="as_written").extract(
        choir(*names)
    ).sequences  # fmt: skip
    assert resting.tolist() == example.ids.tolist()


def test_more_lines_than_voices_are_refused_with_a_remedy() -> None:
    duo = VoicesTokenizer(num_bars=1, num_voices=2)
    assert duo.channels == ("lowest", "highest")
    with pytest.raises(InputError, match=r"4 lines; this model has 2 voices: --tracks 'none: tr"):
        duo.encode(choir(*NAMES))
    extraction = duo.extract(choir(*NAMES))
    (reason,) = extraction.dropped
    assert (reason.text, reason.remedy) == ("4 lines", "--data.tokenizer.num_voices 4")
    assert not extraction.sequences
    assert [other_number(lines).remedy for lines in (1, 9)] == ["--data.tracks"] * 2
    rules = ("none: name=alto, name=tenor",)
    outer = VoicesTokenizer(num_bars=1, num_voices=2, tracks=rules, keys="as_written")
    (example,) = outer.encode(choir(*NAMES))
    assert example.ids[0].tolist() == [48 - 19, 72 - 19]


def test_drums_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    kit = make_notes([0, 8], [1, 9], [36, 38], is_drum=True, track=4)
    hymn = choir(*NAMES)
    with_kit = Piece(sort_notes(np.concatenate([hymn.notes, kit])), 4, tracks=hymn.tracks)
    assert AS_WRITTEN.extract(with_kit).dropped == {NOT_TAKEN["drums"]: 1}
    with caplog.at_level(logging.WARNING):
        (example,) = AS_WRITTEN.encode(with_kit)
    assert "not heard: track 5 (drums" in caplog.text
    assert example.ids.tolist() == AS_WRITTEN.encode(hymn)[0].ids.tolist()
    with pytest.raises(
        InputError, match=r"no voices in it.*a model of drums, such as drums_2bar, takes"
    ):
        AS_WRITTEN.encode(Piece(kit, 4))


def test_an_outer_voice_has_the_outer_notes_of_its_chords() -> None:
    hymn = choir("Soprano", "Bass")
    divided = make_notes([0, 8, 0, 8], [8, 16] * 2, [76, 74, 36, 38], track=[0, 0, 1, 1])
    both = Piece(sort_notes(np.concatenate([hymn.notes, divided])), 4)
    two = VoicesTokenizer(num_bars=1, num_voices=2, max_chord_share=1.0, keys="as_written")
    (example,) = two.encode(both)
    assert example.ids[0].tolist() == [36 - 19, 76 - 19]


def test_chords_of_a_track_are_split_into_their_voices() -> None:
    """Two staves of two voices, or one of four."""
    hymn = choir(*NAMES)
    (expected,) = AS_WRITTEN.encode(hymn)
    for track_of in ([0, 0, 1, 1], [0, 0, 0, 0]):
        notes = hymn.notes.copy()
        notes["track"] = np.array(track_of)[notes["track"]]
        names = ("Upper", "Lower")
        staves = Piece(notes, 4, tracks=tuple(Track(name, program=19) for name in names))
        (example,) = AS_WRITTEN.encode(staves)
        assert example.ids.tolist() == expected.ids.tolist()
        assert [example.tracks[i].name for i in range(4)] == [names[track] for track in track_of]
        (ids,) = AS_WRITTEN.extract(staves).sequences
        assert ids.tolist() == expected.ids.tolist()
        highest = max(AS_WRITTEN.parts(staves), key=lambda part: part.height)
        assert highest.reason == f"voice 1 of {track_of.count(0)} in its chords"


def test_chords_that_are_no_voices_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    hymn = choir("Soprano", "Bass")
    hands = make_notes([0] * 5 + [8] * 3, [8] * 5 + [16] * 3, [*range(50, 58)], track=2)
    both = Piece(sort_notes(np.concatenate([hymn.notes, hands])), 4)
    duo = VoicesTokenizer(num_bars=1, num_voices=2)
    assert len(duo.encode(both)) == 1
    assert "track 3 (chords: 100% of its onsets are chords, which are" in caplog.text
    assert duo.extract(both).dropped == {NOT_TAKEN["chords"]: 1}
    with pytest.raises(InputError, match=r"no voices in it: track 3 \(chords"):
        duo.encode(Piece(hands, 4))


def test_there_and_back_with_names_and_programs() -> None:
    hymn = choir(*NAMES)
    (example,) = VoicesTokenizer(num_bars=1).encode(hymn)
    piece = in_style_of(example, VoicesTokenizer(num_bars=1).decode(example))
    midi = to_pretty_midi(piece)
    assert [i.name for i in midi.instruments] == [*NAMES]
    assert [i.program for i in midi.instruments] == [52, 53, 54, 55]
    again = read_midi(midi, 4)
    columns = ["start", "end", "pitch", "track"]
    assert again.notes[columns].tolist() == hymn.notes[columns].tolist()


def test_keys_are_normalised_by_default() -> None:
    up = choir(*NAMES)
    up.notes["pitch"] += 2
    tokenizer = VoicesTokenizer(num_bars=1)
    (example,) = tokenizer.encode(up)
    (common,) = tokenizer.encode(choir(*NAMES))
    assert (example.moved, common.moved) == (-2, 0)
    assert example.ids.tolist() == common.ids.tolist()
    assert (tokenizer.transposes_by, AS_WRITTEN.transposes_by) == (0, 5)
    assert VoicesTokenizer(max_transpose=2).transposes_by == 2
    assert find_key(up.notes) == find_key(in_style_of(example, tokenizer.decode(example)).notes)


def test_voices_are_transposed_together() -> None:
    (example,) = AS_WRITTEN.encode(choir(*NAMES))
    moved = AS_WRITTEN.augment(example.ids[None].repeat(50, 0), np.random.default_rng(0))
    by = moved[:, [0, 8]] - example.ids[[0, 8]]
    assert (by == by[:, :1, :1]).all()
    assert {*by.ravel().tolist()} == {*range(-5, 6)}
    still = VoicesTokenizer(num_bars=1).augment(example.ids[None], np.random.default_rng(0))
    assert still.tolist() == example.ids[None].tolist()


def test_mixing_takes_whole_bars_of_all_voices() -> None:
    tokenizer = VoicesTokenizer(num_bars=4, mix_share=1.0)
    ids = np.arange(6)[:, None, None].repeat(64, 1).repeat(4, 2)
    mixed = tokenizer.mix(ids, np.random.default_rng(0))
    bars = mixed.reshape(6, 4, 16 * 4)
    assert (bars == bars[..., :1]).all()
    assert any(len({*window[:, 0].tolist()}) == 2 for window in bars)
    assert (VoicesTokenizer(mix_share=0.0).mix(ids, np.random.default_rng(0)) == ids).all()


def test_the_highest_voice_is_shown_first() -> None:
    (example,) = AS_WRITTEN.encode(choir("Bass", "Soprano"))
    first, *others = AS_WRITTEN.show(example.ids).split(" // ")
    assert first == "C5 . . . | . . . . | B4 . . . | . . . ."
    assert len(others) == 3
    assert others[-1].startswith("C3 .")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_voices": 1}, r"voices: num_voices is 1; it must lie in \[2, 8\]"),
        ({"num_voices": 9}, "num_voices is 9"),
        ({"mix_share": -0.1}, "mix_share is -0.1"),
        ({"keys": "C"}, "voices: keys is 'C'; choose one of as_written, normalised"),
        ({"max_transpose": -1}, "max_transpose is -1"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        VoicesTokenizer(**settings)


def test_silence_is_legal() -> None:
    (example,) = AS_WRITTEN.encode(Piece(make_notes([], [], []), 4))
    assert not example.ids.any()
    assert not len(AS_WRITTEN.decode(Example(example.ids)).notes)


def test_real_chorales_come_back(data_folder: Path) -> None:
    tokenizer = VoicesTokenizer(keys="as_written")
    for file in sorted(find_midi(data_folder / "midi/jsb_chorales"))[30:60:10]:
        piece = read_midi(file, 4)
        for example in tokenizer.encode(piece):
            written = in_style_of(example, tokenizer.decode(example))
            (again,) = tokenizer.encode(written)
            assert again.ids.tolist() == example.ids.tolist()


def test_no_move_takes_a_voice_out_of_its_range() -> None:
    hymn = choir("Soprano", "Bass")
    hymn.notes["pitch"] += 7  # G major, which goes up to C
    narrow = VoicesTokenizer(num_bars=1, num_voices=2, max_pitch=82)
    assert VoicesTokenizer(num_bars=1, num_voices=2).encode(hymn)[0].moved == 5
    assert narrow.encode(hymn)[0].moved == -7


def test_four_voices_are_named_as_a_choir_names_them() -> None:
    heard = {voice.name: voice.heard for voice in AS_WRITTEN.voices(choir(*NAMES))}
    assert heard == {"bass": (3,), "tenor": (2,), "alto": (1,), "soprano": (0,)}
    three = VoicesTokenizer(num_bars=1, num_voices=3, keys="as_written")
    names = [voice.name for voice in three.voices(choir(*NAMES[:3]))]
    assert names == ["lowest", "voice_2", "highest"]
