"""Performed drums: loudness and timing by hand, and there and back through MIDI files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvae.errors import InputError
from seqvae.music.midi import find_midi, read_midi, to_pretty_midi
from seqvae.music.notes import Notes, Piece, make_notes
from seqvae.tokenizers.contract import Example, Ids
from seqvae.tokenizers.drums import DrumsTokenizer
from seqvae.tokenizers.groove import GrooveTokenizer
from seqvae.tokenizers.tracks import with_tracks

ONE_BAR = GrooveTokenizer(num_bars=1)
KICK, SNARE = 0, 1


def played(*hits: tuple[int, int, int, float]) -> Piece:
    """(step, pitch, velocity, offset in steps)."""
    start, pitch, velocity, offset = (np.array(column) for column in zip(*hits, strict=True))
    notes = make_notes(start, start + 1, pitch, velocity=velocity, offset=offset, is_drum=True)
    return Piece(notes, 4)


def encoded(tokenizer: GrooveTokenizer, piece: Piece) -> Ids:
    (example,) = tokenizer.encode(piece)
    return example.ids


def test_a_step_is_what_is_struck_and_nine_velocities_and_nine_offsets() -> None:
    assert ONE_BAR.vocab_sizes == (512, *(33,) * 18)
    assert GrooveTokenizer(num_velocity_bins=8, num_offset_bins=4).vocab_sizes == (
        512, *(9,) * 9, *(5,) * 9,
    )  # fmt: skip


def test_encode_by_hand() -> None:
    tokenizer = GrooveTokenizer(num_bars=1, num_velocity_bins=127, num_offset_bins=4)
    ids = encoded(tokenizer, played((0, 36, 1, 0.0), (4, 36, 127, -0.5), (4, 38, 64, 0.49)))
    expected = np.zeros((16, 19), np.int64)
    expected[0, [0, 1 + KICK, 10 + KICK]] = 1, 1, 3  # on time is where the third quarter begins
    expected[4, [0, 1 + KICK, 10 + KICK]] = 3, 127, 1
    expected[4, [1 + SNARE, 10 + SNARE]] = 64, 4
    assert np.array_equal(ids, expected)


def test_of_several_hits_the_loudest_counts() -> None:
    """40 and 38 are both the snare."""
    for hits in ([(2, 40, 90, 0.2), (2, 38, 30, -0.2)], [(2, 40, 30, -0.2), (2, 38, 90, 0.2)]):
        ids = encoded(ONE_BAR, played(*hits))
        assert np.array_equal(ids, encoded(ONE_BAR, played((2, 38, 90, 0.2))))


def test_what_is_struck_is_what_drums_say() -> None:
    piece = played((0, 36, 80, 0.1), (3, 42, 20, -0.3), (3, 51, 20, 0.3))
    (plain,) = DrumsTokenizer(num_bars=1).encode(piece)
    assert np.array_equal(encoded(ONE_BAR, piece)[:, :1], plain.ids)


@pytest.mark.parametrize("num_bins", [1, 8, 32, 100, 127])
def test_bins_come_back_and_are_near(num_bins: int) -> None:
    tokenizer = GrooveTokenizer(
        num_bars=8, num_velocity_bins=num_bins, num_offset_bins=num_bins + 1
    )
    velocity, steps = np.arange(1, 128), np.arange(127)
    offset = np.linspace(-0.5, 0.499, 127)
    notes = make_notes(steps, steps + 1, 36, velocity=velocity, offset=offset, is_drum=True)
    ids = encoded(tokenizer, Piece(notes, 4))
    piece = tokenizer.decode(Example(ids))
    assert np.array_equal(encoded(tokenizer, piece), ids)
    assert np.abs(piece.notes["velocity"] - velocity).max() <= 127 / num_bins / 2 + 0.5
    assert np.abs(piece.notes["offset"] - offset).max() <= 0.5 / num_bins + 1e-6
    assert piece.notes["velocity"].min() >= 1
    assert piece.notes["velocity"].max() <= 127


def test_whatever_a_model_draws_is_a_groove() -> None:
    rng = np.random.default_rng(0)
    ids = np.stack([rng.integers(size, size=16) for size in ONE_BAR.vocab_sizes], axis=1)
    ids[3:6, 1:] = 0  # struck, and yet silent
    piece = ONE_BAR.decode(Example(ids))
    again = encoded(ONE_BAR, piece)
    assert np.array_equal(again[:, 0], ids[:, 0])
    assert np.array_equal(encoded(ONE_BAR, ONE_BAR.decode(Example(again))), again)
    assert ((piece.notes["velocity"] >= 1) & (piece.notes["velocity"] <= 127)).all()


def test_performances_survive_a_file(data_folder: Path, tmp_path: Path) -> None:
    tokenizer, checked = GrooveTokenizer(), 0
    for file in find_midi(data_folder / "midi" / "groove")[::23]:
        for ids in tokenizer.extract(read_midi(file, 4)).sequences[::4]:
            played = tokenizer.decode(Example(ids.astype(np.int64), qpm=97.0))
            to_pretty_midi(played).write(str(tmp_path / "clip.mid"))
            (again,) = tokenizer.encode(read_midi(tmp_path / "clip.mid", 4))
            early = ids[0, 10:] <= 16  # nothing can be played before a file begins
            assert np.array_equal(again.ids[1:], ids[1:])
            assert np.array_equal(again.ids[0, :10], ids[0, :10])
            assert np.array_equal(again.ids[0, 10:][~early], ids[0, 10:][~early])
            checked += 1
    assert checked > 100


def test_performances_keep_their_timing(data_folder: Path) -> None:
    """Within a 64th of a step of what the file says, hit by hit."""
    tokenizer = GrooveTokenizer(num_bars=1, gap_bars=0)
    file = data_folder / "midi/groove/drummer1/eval_session/1_funk-groove1_138_beat_4-4.mid"
    piece = read_midi(file, 4)
    ids = np.concatenate(tokenizer.extract(piece).sequences)
    for note in piece.notes:
        assert ids[note["start"], 0] > 0
    lone = [
        n
        for n in piece.notes
        if n["pitch"] == 36
        and (piece.notes[piece.notes["pitch"] == 36]["start"] == n["start"]).sum() == 1
    ]
    assert len(lone) > 20
    for note in lone:
        token = ids[note["start"], 10]
        assert abs((token - 0.5) / 32 - 0.5 - note["offset"]) <= 1 / 64 + 1e-6


@pytest.mark.parametrize(
    ("view", "first"), [("performance", None), ("hits", [3, 0, 4]), ("taps", [8, 0, 8])]
)
def test_what_the_encoder_sees(view: str, first: list[int] | None) -> None:
    tokenizer = GrooveTokenizer(num_bars=1, encoder_sees=view)
    ids = encoded(tokenizer, played((0, 36, 90, 0.1), (0, 38, 20, 0.1), (2, 42, 20, 0.1)))[None]
    visible = tokenizer.encoder_input(ids)
    if first is None:
        assert visible is None
        return
    assert visible is not None
    assert visible[0, :3, 0].tolist() == first
    assert (visible[..., 1:] == 0).all()
    with_chords = np.concatenate([ids, np.full_like(ids[..., :1], 7)], axis=2)
    assert (tokenizer.encoder_input(with_chords)[..., 19:] == 7).all()  # a chord is no secret
    assert ids[0, 0, 1] > 0  # they themselves stay as they are


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {"encoder_sees": "all"},
            "encoder_sees is 'all'; choose one of performance, hits, taps, tap",
        ),
        ({"num_velocity_bins": 128}, "num_velocity_bins is 128; it must lie in \\[1, 127\\]"),
        ({"num_offset_bins": 0}, "num_offset_bins is 0; it must be 1 or more"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        GrooveTokenizer(**settings)


def test_tapping_is_the_loudest_hit_of_each_step_on_one_drum() -> None:
    tokenizer = GrooveTokenizer(num_bars=1, encoder_sees="tapping")
    ids = encoded(tokenizer, played((0, 36, 40, 0.1), (0, 42, 90, -0.2), (4, 38, 60, 0.3)))
    seen = tokenizer.encoder_input(ids[None])
    assert seen is not None
    alone = played((0, 46, 90, -0.2), (4, 46, 60, 0.3))
    assert seen[0].tolist() == encoded(tokenizer, alone).tolist()
    assert ids[0, 0] == 0b101


@pytest.mark.parametrize("view", ["taps", "tapping"])
def test_any_notes_are_taps_where_there_are_no_drums(view: str) -> None:
    tokenizer = GrooveTokenizer(num_bars=1, encoder_sees=view)
    line = make_notes([0, 3, 8], [2, 5, 9], [60, 72, 96], velocity=[50, 70, 90], track=1)
    taps = played((0, 46, 50, 0.0), (3, 46, 70, 0.0), (8, 46, 90, 0.0))
    for melody in (Piece(line, 4), of_two_tracks(line)):
        assert encoded(tokenizer, melody).tolist() == encoded(tokenizer, taps).tolist()
    (second,) = with_tracks(tokenizer, "drums: track=1").encode(of_two_tracks(line))
    assert np.flatnonzero(second.ids[:, 0]).tolist() == [3]
    kit = played((0, 36, 50, 0.0))
    both = Piece(np.concatenate([kit.notes, line]), 4)
    assert encoded(tokenizer, both)[:, 0].tolist() == [0b1] + [0] * 15  # the kick
    with pytest.raises(InputError, match="no groove in it"):
        GrooveTokenizer(num_bars=1, encoder_sees="hits").encode(of_two_tracks(line))


def of_two_tracks(line: Notes) -> Piece:
    """The same notes, the second of them in a track of its own."""
    split = line.copy()
    split["track"][1] = 0
    return Piece(split, 4)


def test_training_varies_how_loud_a_window_is() -> None:
    tokenizer = GrooveTokenizer(num_bars=1, num_velocity_bins=127, max_velocity_change=10)
    ids = encoded(tokenizer, played((0, 36, 60, 0.1), (4, 38, 70, -0.2), (8, 42, 125, 0.0)))
    many = np.repeat(ids[None], 500, axis=0)
    varied = tokenizer.augment(many, np.random.default_rng(0))
    changes = varied[:, 0, 1 + KICK] - 60
    assert set(changes.tolist()) >= set(range(-9, 10))
    assert np.abs(changes).max() <= 10
    assert np.abs(varied[:, 4, 1 + SNARE] - 70 - changes).max() <= 1  # a window as one
    assert abs(changes.mean()) < 1
    assert varied[..., 1:10].max() == 127  # as loud as MIDI goes
    silent = many[..., 1:10] == 0
    assert (varied[..., 1:10][silent] == 0).all()
    untouched = [0, *range(10, 19)]
    assert np.array_equal(varied[..., untouched], many[..., untouched])
    assert np.array_equal(many[0], ids)
    coarse = GrooveTokenizer(num_bars=1, num_velocity_bins=8).augment(
        np.minimum(many, 4), np.random.default_rng(0)
    )
    assert set(coarse[:, 0, 1 + KICK].tolist()) == {3, 4, 5}
    stiff = GrooveTokenizer(num_bars=1, max_velocity_change=0)
    assert np.array_equal(stiff.augment(many % 33, np.random.default_rng(0)), many % 33)


def test_a_drum_goes_into_another_window_as_it_is_played() -> None:
    rng = np.random.default_rng(0)
    ids = np.zeros((50, 16, 19), np.int64)
    struck = rng.random((50, 16, 9)) < 0.3
    ids[..., 0] = (struck << np.arange(9)).sum(-1)
    ids[..., 1:10] = struck * rng.integers(1, 33, struck.shape)
    ids[..., 10:] = struck * rng.integers(1, 33, struck.shape)
    mixed = GrooveTokenizer(num_bars=1, mix_share=1.0).mix(ids, np.random.default_rng(0))
    assert not np.array_equal(mixed, ids)
    hits = mixed[..., 0, None] >> np.arange(9) & 1
    assert np.array_equal(hits > 0, mixed[..., 1:10] > 0)
    assert np.array_equal(hits > 0, mixed[..., 10:] > 0)
    for drum in range(9):  # velocity and timing stay together
        played = {ids[n, :, [1 + drum, 10 + drum]].tobytes() for n in range(50)}
        assert {mixed[n, :, [1 + drum, 10 + drum]].tobytes() for n in range(50)} <= played
