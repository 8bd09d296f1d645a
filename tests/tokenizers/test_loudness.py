"""Loudness of melodies, trios and voices: by hand, and there and back through MIDI files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trained import band, choir

from seqvae.errors import InputError
from seqvae.music.midi import read_midi, to_pretty_midi
from seqvae.music.notes import Piece, make_notes
from seqvae.tokenizers import make_tokenizer
from seqvae.tokenizers.contract import Example
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.trio import TrioTokenizer

KINDS = ("melody", "trio", "voices")
MELODY = MelodyTokenizer(num_bars=1, num_velocity_bins=127)
TRIO = TrioTokenizer(num_bars=1, num_velocity_bins=127)


def tokenizer_of(kind: str, **settings: Any) -> Any:
    return make_tokenizer({"kind": kind, "num_bars": 2, "num_velocity_bins": 32, **settings})


def played(kind: str, seed: int = 0) -> Piece:
    """A piece whose notes are struck as it happens."""
    piece = choir(seed) if kind == "voices" else band(seed)
    rng = np.random.default_rng(seed)
    piece.notes["velocity"] = rng.integers(1, 128, len(piece.notes))
    return piece


def test_a_note_says_how_hard_it_is_struck() -> None:
    notes = make_notes([0, 6, 8], [4, 8, 12], [60, 62, 64], velocity=[1, 64, 127])
    (example,) = MELODY.encode(Piece(notes, 4))
    expected = np.zeros(16, np.int64)
    expected[[0, 6, 8]] = 1, 64, 127
    assert np.array_equal(example.ids[:, 1], expected)
    assert np.array_equal(
        example.ids[:, :1], MelodyTokenizer(num_bars=1).encode(Piece(notes, 4))[0].ids
    )
    assert MELODY.decode(example).notes["velocity"].tolist() == [1, 64, 127]


def test_a_note_that_is_held_into_a_window_has_no_loudness_there() -> None:
    notes = make_notes([12, 20], [20, 24], [60, 62], velocity=[90, 70])
    second = MELODY.encode(Piece(notes, 4))[1].ids
    assert np.flatnonzero(second[:, 1]).tolist() == [4]


def test_lines_and_drums_of_a_trio_have_a_loudness_each() -> None:
    kit = make_notes(
        [0, 0, 0], [1, 1, 1], [36, 40, 38], velocity=[50, 99, 30], is_drum=True, track=2
    )
    tracks = [
        make_notes([0], [16], [60], velocity=11, track=0),
        make_notes([4], [16], [36], velocity=22, program=33, track=1),
        kit,
    ]
    (example,) = TRIO.encode(Piece(np.concatenate(tracks), 4))
    assert TRIO.channels[3:7] == (
        "velocity of melody", "velocity of bass", "velocity of kick", "velocity of snare",
    )  # fmt: skip
    assert example.ids[0].tolist() == [60 - 19, 0, 0b11, 11, 0, 50, 99, *[0] * 7]
    assert example.ids[4].tolist() == [0, 36 - 19, 0, 0, 22, *[0] * 9]
    decoded = TRIO.decode(example).notes[["pitch", "velocity"]].tolist()
    assert sorted(decoded) == [(36, 22), (36, 50), (38, 99), (60, 11)]


@pytest.mark.parametrize("kind", KINDS)
def test_without_degrees_nothing_changes(kind: str) -> None:
    plain, loud = tokenizer_of(kind, num_velocity_bins=0), tokenizer_of(kind)
    piece = played(kind)
    for before, after in zip(plain.encode(piece), loud.encode(piece), strict=True):
        num_channels = len(plain.vocab_sizes)
        assert np.array_equal(before.ids, after.ids[:, :num_channels])
        assert {*plain.decode(before).notes["velocity"].tolist()} == {80}
    assert plain == make_tokenizer({"kind": kind, "num_bars": 2})
    assert plain.keeps == frozenset()
    assert loud.keeps == {"velocity"}
    assert len(loud.channels) == len(loud.vocab_sizes) == after.ids.shape[1]
    assert len(loud.steps.num_members) == len(loud.vocab_sizes)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_a_model_draws_can_be_read_again(kind: str) -> None:
    tokenizer = tokenizer_of(kind, keys="as_written", gap_bars=0, chords=True)
    rng = np.random.default_rng(0)
    sizes = (*tokenizer.vocab_sizes, *tokenizer.condition_sizes)
    ids = np.stack([rng.integers(size, size=32) for size in sizes], axis=1)
    ids[3:9, tokenizer.num_struck : -1] = 0  # struck, and yet silent
    piece = tokenizer.decode(Example(ids))
    assert ((piece.notes["velocity"] >= 1) & (piece.notes["velocity"] <= 127)).all()
    assert len({*piece.notes["velocity"].tolist()}) > 10
    (again,) = tokenizer.encode(piece)
    columns = ["start", "end", "pitch", "velocity"]  # of voices the order follows their heights
    notes = (clip.notes[columns].tolist() for clip in (piece, tokenizer.decode(again)))
    assert sorted(next(notes)) == sorted(next(notes))


@pytest.mark.parametrize("kind", KINDS)
def test_parts_own_the_channels_of_their_loudness(kind: str) -> None:
    tokenizer, piece = tokenizer_of(kind), played(kind)
    ids = tokenizer.encode(piece)[0].ids
    voices = tokenizer.voices(piece)
    owned = sorted(channel for voice in voices for channel in voice.channels)
    assert owned == [*range(len(tokenizer.vocab_sizes))]
    for voice in voices:
        alone = np.zeros_like(ids)
        alone[:, voice.channels] = ids[:, voice.channels]
        notes = tokenizer.decode(Example(ids)).notes
        of_voice = notes[notes["track"] == voice.track]
        assert tokenizer.decode(Example(alone)).notes.tolist() == of_voice.tolist()


@pytest.mark.parametrize(
    ("kind", "place"), [("melody", "pop909/00[1-9]/*.mid"), ("trio", "freedoom/**/*.mid")]
)
def test_loudness_survives_a_file(data_folder: Path, tmp_path: Path, kind: str, place: str) -> None:
    tokenizer, windows, found = tokenizer_of(kind), 0, set[int]()
    for file in sorted((data_folder / "midi").glob(place))[:12]:
        for ids in tokenizer.extract(read_midi(file, 4)).sequences[::9]:
            decoded = tokenizer.decode(Example(ids.astype(np.int64)))
            to_pretty_midi(decoded).write(str(tmp_path / "clip.mid"))
            again = read_midi(tmp_path / "clip.mid", 4).notes
            columns = ["start", "pitch", "velocity"]
            assert sorted(again[columns].tolist()) == sorted(decoded.notes[columns].tolist())
            found |= {*again["velocity"].tolist()}
            windows += 1
    assert windows > 10
    assert len(found) > 5


def test_training_makes_whole_windows_louder_or_softer() -> None:
    tokenizer = tokenizer_of("trio", max_transpose=0)
    ids = np.stack([tokenizer.encode(played("trio"))[0].ids] * 200)
    varied = tokenizer.augment(ids, np.random.default_rng(0))
    change = (varied - ids)[..., 3:]
    struck = ids[..., 3:] > 0
    assert np.array_equal(varied[..., :3], ids[..., :3])
    assert not varied[..., 3:][~struck].any()
    assert np.abs(change).max() <= 3  # 8 of 127 are two degrees, and a rounding
    means = np.array([row[which].mean() for row, which in zip(change, struck, strict=True)])
    assert means.min() < -1
    assert means.max() > 1
    still = tokenizer_of("trio", max_transpose=0, max_velocity_change=0)
    assert np.array_equal(still.augment(ids, np.random.default_rng(0)), ids)


def test_a_voice_of_another_window_brings_its_loudness() -> None:
    tokenizer = tokenizer_of("trio", mix_share=1.0)
    ids = np.arange(100)[:, None, None] + np.zeros((1, 32, len(tokenizer.vocab_sizes)), int)
    mixed = tokenizer.mix(ids, np.random.default_rng(0))
    owners = [0, 1, *[2] * 9]
    assert np.array_equal(mixed[..., 3:], mixed[..., owners])
    assert (mixed[..., 3] != mixed[..., 4]).any()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"num_velocity_bins": 128}, "num_velocity_bins is 128; it must lie in [0, 127]"),
        ({"num_velocity_bins": -1}, "num_velocity_bins is -1"),
        ({"max_velocity_change": -1}, "max_velocity_change is -1"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_impossible_loudness_is_refused(kind: str, settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError) as caught:
        tokenizer_of(kind, **settings)
    assert f"{kind}: {reason}" in str(caught.value)
