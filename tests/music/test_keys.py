"""Keys: those of pieces that are in a known one, their names, and pieces that are moved."""

from pathlib import Path

import numpy as np
import pytest

from seqvae.errors import InputError
from seqvae.music.chord_names import parse_chords
from seqvae.music.keys import (
    find_key,
    in_common_key,
    key_name,
    nearest_way,
    parse_key,
    to_common_key,
    transposed,
)
from seqvae.music.midi import find_midi, read_midi
from seqvae.music.notes import Key, Notes, Piece, make_notes, pitched_notes, sort_notes

CADENCES = {False: [(0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7)],
            True: [(0, 3, 7), (5, 8, 12), (7, 11, 14), (0, 3, 7)]}  # fmt: skip
NAMES = ["C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"]


def cadence(tonic: int, *, is_minor: bool, begin: int = 0) -> Notes:
    """I IV V I above a tonic."""
    chords = CADENCES[is_minor]
    starts = np.repeat(np.arange(len(chords)) * 4, 3) + begin
    return make_notes(starts, starts + 4, tonic + np.array(chords).ravel())


@pytest.mark.parametrize("is_minor", [False, True])
@pytest.mark.parametrize("tonic", range(12))
def test_a_cadence_is_in_its_key(tonic: int, is_minor: bool) -> None:
    key = find_key(cadence(60 + tonic, is_minor=is_minor))
    assert key is not None
    assert key.is_minor == is_minor
    name = key_name(key)
    written = parse_key(f"{NAMES[tonic]} {'minor' if is_minor else 'major'}")
    assert parse_key(name) == key
    assert (key.num_sharps - written.num_sharps) % 12 == 0
    assert -5 <= key.num_sharps <= 6


def test_long_notes_weigh_more_but_not_as_much_as_they_last() -> None:
    scale = [60, 62, 64, 65, 67, 69, 71, 72, 67, 64, 62, 60]
    tune = make_notes(range(12), range(1, 13), scale)
    found = [
        find_key(np.concatenate([tune, make_notes([12], [end], [66])])) for end in (13, 17, 99)
    ]
    assert found == [Key(0), Key(0), Key(2, True)]


def test_silence_and_all_twelve_notes_have_no_key() -> None:
    assert find_key(make_notes([], [], [])) is None
    assert find_key(make_notes(range(12), range(1, 13), range(60, 72))) is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("C", Key(0)), ("C major", Key(0)), ("A minor", Key(0, True)), ("Am", Key(0, True)),
        ("a minor", Key(0, True)), ("E minor", Key(1, True)), ("F", Key(-1)), ("Bb", Key(-2)),
        ("F#", Key(6)), ("Gb major", Key(-6)), ("C#", Key(7)), ("G# major", Key(-4)),
        ("Ab minor", Key(-7, True)), ("Db minor", Key(4, True)), (" f# min ", Key(3, True)),
        ("Eb-maj", Key(-3)),
    ],
)  # fmt: skip
def test_names_of_keys(text: str, key: Key) -> None:
    assert parse_key(text) == key


@pytest.mark.parametrize("text", ["", "H", "e", "E minorr", "C##", "major", "E dorian", "Em7"])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(InputError, match="write it as 'E minor'"):
        parse_key(text)


@pytest.mark.parametrize(
    ("key", "name"),
    [(Key(0), "C major"), (Key(0, True), "A minor"), (Key(-1), "F major"),
     (Key(1, True), "E minor"), (Key(-3), "Eb major"), (Key(3), "A major"), (Key(6), "F# major"),
     (Key(-5), "Db major"), (Key(-7), "Cb major"), (Key(7, True), "A# minor")],
)  # fmt: skip
def test_keys_by_name(key: Key, name: str) -> None:
    assert key_name(key) == name
    assert parse_key(name) == key


@pytest.mark.parametrize("num_sharps", range(-7, 8))
def test_the_way_to_the_common_key_is_the_nearest(num_sharps: int) -> None:
    way = to_common_key(Key(num_sharps))
    assert -6 <= way <= 5
    assert (7 * num_sharps + way) % 12 == 0
    assert to_common_key(Key(num_sharps, True)) == way  # its relative has the same notes
    assert [nearest_way(n) for n in (6, 5, -6, -7, 12)] == [-6, 5, -6, 5, 0]


def test_a_piece_moves_to_the_common_key_once() -> None:
    kick = make_notes([0], [1], [36], is_drum=True)
    notes = np.concatenate([cadence(62, is_minor=False), kick])
    piece = Piece(notes, 4, chords=tuple(enumerate(parse_chords("D Bm A N"))))
    common = in_common_key(piece)
    assert (common.moved, common.chords) == (-2, tuple(enumerate(parse_chords("C Am G N"))))
    assert pitched_notes(common)["pitch"].tolist() == cadence(60, is_minor=False)["pitch"].tolist()
    assert common.notes["pitch"][common.notes["is_drum"]].tolist() == [36]
    assert in_common_key(common) is common
    assert in_common_key(piece, Key(1, True)).moved == 5  # where the user says E minor
    assert in_common_key(Piece(kick, 4)).moved == 0
    assert in_common_key(Piece(kick, 4), Key(3)).moved == 0


def test_kits_on_other_channels_stay_and_have_no_key() -> None:
    kit = make_notes(range(0, 64, 2), range(1, 65, 2), [37, 42, 44, 42] * 8, track=3)
    piece = Piece(sort_notes(np.concatenate([cadence(62, is_minor=False), kit])), 4)
    common = in_common_key(piece, kits=[3])
    assert common.moved == -2
    assert common.notes[common.notes["track"] == 3].tolist() == kit.tolist()
    assert in_common_key(piece).moved != -2


def test_the_range_is_kept_where_another_way_keeps_it() -> None:
    piece = Piece(cadence(67, is_minor=False), 4)  # G major, from G4 to D6
    assert in_common_key(piece).moved == 5
    assert in_common_key(piece, pitches=range(58, 86)).moved == -7
    assert in_common_key(piece, pitches=range(66, 82)).moved == 0  # neither way fits
    assert in_common_key(piece, pitches=range(66, 80)).moved == 5  # nor does the piece
    low = Piece(cadence(61, is_minor=False), 4)  # Db major, from C#4
    assert in_common_key(low).moved == -1
    assert in_common_key(low, pitches=range(61, 128)).moved == 11


def test_of_a_known_signature_the_mode_is_found() -> None:
    major, minor = cadence(67, is_minor=False), cadence(64, is_minor=True)
    for num_sharps in range(-6, 7):
        for notes in (major, minor):
            found = find_key(notes, num_sharps)
            assert found is not None
            assert (found.num_sharps - num_sharps) % 12 == 0
    assert find_key(major, 1) == Key(1)
    assert find_key(minor, 1) == Key(1, True)


def test_no_note_leaves_what_midi_has() -> None:
    piece = Piece(make_notes([0, 1], [1, 2], [1, 126]), 4)
    assert transposed(piece, -3).notes["pitch"].tolist() == [10, 123]
    assert transposed(piece, 3).notes["pitch"].tolist() == [4, 117]
    assert transposed(piece, 0) is piece


@pytest.mark.parametrize(("folder", "least"), [("jsb_chorales", 0.85), ("nottingham/MIDI", 0.9)])
def test_keys_of_real_pieces_agree_with_their_signatures(
    data_folder: Path, folder: str, least: float
) -> None:
    files = sorted(find_midi(data_folder / "midi" / folder))[::10]
    pieces = [piece for piece in (read_midi(file, 4) for file in files) if piece.key]
    found = [find_key(pitched_notes(piece)) for piece in pieces]
    agree = [
        key is not None and piece.key is not None and to_common_key(key) == to_common_key(piece.key)
        for key, piece in zip(found, pieces, strict=True)
    ]
    assert len(agree) > 40
    assert np.mean(agree) >= least
