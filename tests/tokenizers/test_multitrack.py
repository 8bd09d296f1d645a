"""Tracks of a bar as events: what comes back, in which order, and what is left out."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seqvae.errors import InputError
from seqvae.inference.clips import in_style_of
from seqvae.music.chord_names import parse_chords
from seqvae.music.midi import read_midi, to_pretty_midi
from seqvae.music.notes import Notes, Piece, Track, join, make_notes, sort_notes
from seqvae.tokenizers import (
    complete_settings,
    load_tokenizer,
    make_tokenizer,
    save_tokenizer,
    settings_of,
)
from seqvae.tokenizers.contract import Example, Ids
from seqvae.tokenizers.events import OFF, SHIFT
from seqvae.tokenizers.multitrack import MultitrackTokenizer

BAR = 96
TOKENIZER = MultitrackTokenizer()
LOUDEST, SOFT = 127, 40  # which is in the degree 2 of 0 to 7
PIANO, BASS, DRUMS, END, NOTHING = 360, 393, 488, 489, 490


def piece(*tracks: Notes, names: Sequence[str] = ()) -> Piece:
    """Tracks, numbered in order; a kit is on MIDI's drum channel."""
    numbered = []
    for number, notes in enumerate(tracks):
        notes["track"] = number
        numbered.append(notes)
    about = tuple(
        Track(name, 10 if notes["is_drum"][0] else 1, int(notes["program"][0]))
        for name, notes in zip(names or [""] * len(tracks), tracks, strict=True)
    )
    return Piece(sort_notes(np.concatenate(numbered)), 24, tracks=about, name="clip.mid")


def kit() -> Notes:
    return make_notes([0, 48], [24, 72], [36, 38], velocity=LOUDEST, is_drum=True)


def bass() -> Notes:
    return make_notes([0, 48], [48, 60], [40, 43], velocity=[LOUDEST, SOFT], program=33)


def events(ids: Ids, track: int) -> list[int]:
    """The tokens of a track without what fills it up."""
    tokens = ids.reshape(8, 64, -1)[track, :, 0]
    return [token for token in tokens.tolist() if token != NOTHING]


def written(tokens: Sequence[int], program: int = PIANO) -> Notes:
    """The notes of a bar with one track of these events."""
    ids = np.full((8, 64), NOTHING)
    ids[:, 0] = END
    ids[0, : len(tokens) + 2] = [program, *tokens, END]
    return TOKENIZER.decode(Example(ids.reshape(-1, 1))).notes


def test_tracks_go_by_program_with_drums_last_and_end_where_the_bar_does() -> None:
    (example,) = TOKENIZER.encode(piece(kit(), bass()))
    # The loudest degree is not said at first; a loudness is said before the first note that has it.
    of_bass = [BASS, 40, SHIFT + 47, OFF + 40, 354, 43, SHIFT + 11, OFF + 43, SHIFT + 35, END]
    of_kit = [DRUMS, 36, SHIFT + 23, OFF + 36, SHIFT + 23, 38, SHIFT + 23, OFF + 38, SHIFT + 23,
              END]  # fmt: skip
    assert events(example.ids, 0) == of_bass
    assert events(example.ids, 1) == of_kit
    assert [events(example.ids, track) for track in range(2, 8)] == [[END]] * 6
    assert (TOKENIZER.vocab_sizes, TOKENIZER.max_steps) == ((491,), 512)
    assert TOKENIZER.steps.segment_eos_id == END
    shown = TOKENIZER.show(example.ids)
    assert shown == ("p33 +E2 >48 -E2 v2 +G2 >12 -G2 >36 // drums +36 >24 -36 >24 +38 >24 -38 >24")


def test_at_one_step_the_ends_of_earlier_notes_come_first() -> None:
    notes = make_notes([0, 48, 48], [48, 96, 96], [72, 60, 64], velocity=LOUDEST)
    (example,) = TOKENIZER.encode(piece(notes))
    expected = [PIANO, 72, SHIFT + 47, OFF + 72, 60, 64, SHIFT + 47, OFF + 60, OFF + 64, END]
    assert events(example.ids, 0) == expected


def test_bars_of_files_come_back_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tracks = []
    for program in (33, 25, 25, 48):  # two guitars, which play in unison at times
        start = np.flatnonzero(rng.random(4 * BAR) < 0.08)
        end = np.minimum(start + rng.integers(1, 30, len(start)), 4 * BAR)
        pitch, velocity = rng.integers(40, 44, len(start)), rng.integers(1, 128, len(start))
        tracks.append(make_notes(start, end, pitch, velocity=velocity, program=program))
    song = piece(*tracks, kit())
    examples = TOKENIZER.encode(song)
    assert len(examples) == 4
    decoded = [in_style_of(example, TOKENIZER.decode(example)) for example in examples]
    to_pretty_midi(join(decoded)).write(str(tmp_path / "a.mid"))
    again = TOKENIZER.encode(read_midi(tmp_path / "a.mid", 24))
    for one, other in zip(examples, again, strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)
    assert {*decoded[0].notes["track"].tolist()} == {33, 25, 25 + 129, 48, 128}


def test_loudness_comes_back_as_the_middle_of_its_degree() -> None:
    velocity = np.arange(1, 128)
    notes = make_notes(velocity // 2, 96, velocity, velocity=velocity)
    back = TOKENIZER.events.notes(TOKENIZER.events.of(notes), 0)["velocity"]
    np.testing.assert_array_equal((back - 1) // 16, (velocity - 1) // 16)
    assert np.abs(back - velocity).max() <= 8


def test_a_name_goes_with_the_one_track_of_a_program() -> None:
    guitars = [make_notes([0], [24], [pitch], program=25) for pitch in (60, 64)]
    song = piece(bass(), *guitars, kit(), names=("Low", "Left", "Right", "Kit"))
    (example,) = TOKENIZER.encode(song)
    assert {number: track.name for number, track in example.tracks.items()} == {
        33: "Low", 128: "Kit",
    }  # fmt: skip


def test_notes_of_other_bars_do_not_reach_into_one(caplog: pytest.LogCaptureFixture) -> None:
    notes = make_notes([0, 90, 100], [24, 110, 120], [60, 62, 64], velocity=LOUDEST)
    first, second = TOKENIZER.encode(piece(notes))
    assert TOKENIZER.decode(first).notes["end"].tolist() == [24, 96]
    assert TOKENIZER.decode(second).notes["pitch"].tolist() == [64]
    assert not caplog.records


def test_what_a_bar_does_not_hold_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    fast = make_notes(range(0, 80, 2), range(1, 81, 2), 60, velocity=LOUDEST)
    (example,) = TOKENIZER.encode(piece(fast))
    # 15 notes of four events each, of which the first has no time before it; and the rest.
    assert TOKENIZER.decode(example).notes["start"].tolist() == [*range(0, 30, 2)]
    assert len(events(example.ids, 0)) <= 64
    assert "25 notes: beyond 64 events of a track in a bar" in caplog.text
    many = [make_notes(range(n), range(1, n + 1), 60, program=n) for n in range(1, 11)]
    (example,) = TOKENIZER.encode(piece(*many))
    assert [events(example.ids, i)[0] - PIANO for i in range(8)] == [*range(3, 11)]
    assert "3 notes: of more than 8 tracks in a bar" in caplog.text
    twice = make_notes([0, 0], [24, 48], 60)
    TOKENIZER.encode(piece(twice))
    assert "1 note: struck twice at once" in caplog.text


def test_tracks_may_be_left_out_by_rules(caplog: pytest.LogCaptureFixture) -> None:
    song = piece(kit(), bass(), names=("Kit", "Low"))
    (example,) = replace(TOKENIZER, tracks=("none: name=kit",)).encode(song)
    assert events(example.ids, 1) == [END]
    assert "not heard: track 1 'Kit'" in caplog.text
    assert "track 2" not in caplog.text
    with pytest.raises(InputError, match="no multitrack in it: track 1 'Kit'"):
        replace(TOKENIZER, tracks=("none: all",)).encode(song)


def test_whatever_a_model_writes_has_notes() -> None:
    held = written([60, SHIFT + 11, 64, OFF + 60])  # an end after its beginning, and none
    assert held[["start", "end", "pitch"]].tolist() == [(0, 12, 60), (12, 96, 64)]
    assert written([OFF + 60, 60, OFF + 60, SHIFT + 95, 62]).size == 0  # no beginning; no time
    twice = written([60, SHIFT + 11, 60, SHIFT + 11, OFF + 60, SHIFT + 11, OFF + 60])
    assert twice[["start", "end"]].tolist() == [(0, 12), (12, 36)]
    late = written([SHIFT + 89, 60, SHIFT + 89, OFF + 60])
    assert late[["start", "end"]].tolist() == [(90, 96)]
    several = written([BASS, 60, SHIFT], program=DRUMS)
    assert several[["is_drum", "program"]].tolist() == [(True, 0)]
    unnamed = written([60, SHIFT], program=SHIFT)
    assert unnamed[["start", "program"]].tolist() == [(1, 0)]
    full = np.full((512, 1), 60)
    full[1::2] = SHIFT  # no track ends
    assert len(TOKENIZER.decode(Example(full)).notes) == 8 * 32


def test_chords_stand_beside_all_events_but_programs() -> None:
    with_chords = replace(TOKENIZER, chords=True)
    (a_minor,) = parse_chords("Am")
    named = with_chords.chord_steps(np.array([a_minor])).reshape(8, 64)
    assert (named[:, 0] == 0).all()
    assert (named[:, 1:] == a_minor).all()
    with pytest.raises(InputError, match="2 chords, but a window of multitrack has one"):
        with_chords.chord_steps(np.array([1, 2]))
    triad = make_notes([0, 0, 0], [96, 96, 96], [57, 60, 64])
    (heard,) = with_chords.encode(piece(triad))
    np.testing.assert_array_equal(heard.ids[:, 1:], named.reshape(-1, 1))
    (c, g) = parse_chords("C G")
    said = replace(piece(triad), chords=((0, c), (24, g)))
    (of_file,) = with_chords.encode(said)
    assert of_file.ids[1, 1] == g  # which holds longer
    assert with_chords.steps.condition_sizes == (61,)


def test_training_windows_are_those_of_clips() -> None:
    song = piece(kit(), bass())
    extraction = TOKENIZER.extract(song)
    np.testing.assert_array_equal(extraction.sequences[0], TOKENIZER.encode(song)[0].ids)
    rest = piece(make_notes([0, 2 * BAR], [24, 2 * BAR + 24], 60))
    assert len(TOKENIZER.extract(rest).sequences) == 2  # a bar of silence is left out


def test_models_of_the_kind_are_loaded_and_not_trained(tmp_path: Path) -> None:
    mine = MultitrackTokenizer(max_tracks=4, chords=True)
    save_tokenizer(mine, tmp_path)
    assert load_tokenizer(tmp_path) == mine
    for make in (make_tokenizer, complete_settings):
        with pytest.raises(InputError, match="multitrack, which is for imported models alone"):
            make(settings_of(mine))
