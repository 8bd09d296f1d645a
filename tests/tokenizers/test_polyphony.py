"""A step a note: by hand, and there and back through MIDI files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvae.corpus.batches import training_loader
from seqvae.corpus.store import Split
from seqvae.errors import InputError
from seqvae.music.midi import find_midi, read_midi, to_pretty_midi
from seqvae.music.notes import Piece, make_notes, sort_notes
from seqvae.tokenizers.contract import Example, Ids
from seqvae.tokenizers.polyphony import (
    DRUMS,
    STRUCK_TWICE,
    PolyphonyTokenizer,
    longest_rests,
    too_many_notes,
)
from seqvae.tokenizers.windows import long_rest

ONE_BAR = PolyphonyTokenizer(num_bars=1, num_velocity_bins=127)
TWO_BARS = PolyphonyTokenizer(num_bars=2, max_notes=30)
END = [0, 0, 0, 0, 0]


def tokens(tokenizer: PolyphonyTokenizer, piece: Piece) -> list[list[int]]:
    (example,) = tokenizer.encode(piece)
    return example.ids.tolist()


def notes_of(piece: Piece) -> list[tuple[int, ...]]:
    return piece.notes[["start", "end", "pitch", "velocity", "program", "is_drum"]].tolist()


def test_the_vocabulary() -> None:
    assert ONE_BAR.vocab_sizes == (17, 128, 16, 127, 129)
    assert ONE_BAR.eos_id == 0
    assert PolyphonyTokenizer().max_steps == 257
    assert PolyphonyTokenizer().vocab_sizes == (65, 128, 64, 16, 129)


def test_encode_and_decode_by_hand() -> None:
    chord = make_notes([0, 0, 4], [16, 4, 8], [60, 64, 62], velocity=[1, 90, 127], program=40)
    drums = make_notes([4, 15], [5, 16], [36, 42], is_drum=True, velocity=64, track=1)
    piece = Piece(sort_notes(np.concatenate([chord, drums])), 4)
    assert tokens(ONE_BAR, piece) == [
        [1, 60, 15, 0, 40],
        [1, 64, 3, 89, 40],
        [5, 36, 0, 63, DRUMS],
        [1, 62, 3, 126, 40],
        [12, 42, 0, 63, DRUMS],
        END,
    ]
    (example,) = ONE_BAR.encode(piece)
    assert notes_of(ONE_BAR.decode(example)) == [
        (0, 16, 60, 1, 40, False),
        (0, 4, 64, 90, 40, False),
        (4, 5, 36, 64, 0, True),
        (4, 8, 62, 127, 40, False),
        (15, 16, 42, 64, 0, True),
    ]
    assert ONE_BAR.show(example.ids) == "C4*16 E4*4 +4 drum36*1 D4*4 +11 drum42*1"


def test_the_same_note_struck_again_ends_the_one_before() -> None:
    piece = Piece(make_notes([0, 4, 4, 8], [16, 6, 10, 12], [60, 60, 60, 60]), 4)
    extraction = ONE_BAR.extract(piece)
    assert extraction.dropped == {STRUCK_TWICE: 1}
    assert extraction.sequences[0][:, :3].tolist() == [
        [1, 60, 3], [5, 60, 3], [5, 60, 3], [0, 0, 0],
    ]  # fmt: skip


def test_two_instruments_may_play_the_same_note() -> None:
    piece = Piece(make_notes([0, 0, 0], [8, 8, 1], [36, 36, 36], program=[0, 5, 0],
                             is_drum=[False, False, True]), 4)  # fmt: skip
    ids = tokens(ONE_BAR, piece)
    assert [row[4] for row in ids] == [0, 5, DRUMS, 0]
    assert len(notes_of(ONE_BAR.decode(ONE_BAR.encode(piece)[0]))) == 3


def test_what_a_window_does_not_hold_is_cut() -> None:
    piece = Piece(make_notes([0, 12, 18], [40, 20, 20], [60, 64, 67]), 4)
    first, second, third = ONE_BAR.encode(piece)
    assert first.ids[:, :3].tolist() == [[1, 60, 15], [13, 64, 3], [0, 0, 0]]
    assert second.ids[:, :3].tolist() == [[3, 67, 1], [0, 0, 0]]
    assert third.ids.tolist() == [END]  # silence is a sequence, too


def test_a_window_of_too_many_notes_is_left_out() -> None:
    tokenizer = PolyphonyTokenizer(num_bars=1, max_notes=4)
    few, many = np.arange(4), np.arange(16, 21)
    start = np.concatenate([few, many])
    piece = Piece(make_notes(start, start + 16, start + 30), 4)
    extraction = tokenizer.extract(piece)
    assert len(extraction.sequences) == 1
    # nothing begins in the third bar
    assert extraction.dropped == {too_many_notes(tokenizer.max_notes): 1, long_rest(1): 1}


def test_windows_with_a_long_rest_are_left_out() -> None:
    tokenizer = PolyphonyTokenizer(num_bars=2, hop_bars=2)
    for end, kept in ((17, True), (16, False)):
        piece = Piece(make_notes([0], [end], [60]), 4, num_steps=32)
        assert len(tokenizer.extract(piece).sequences) == kept


def test_a_long_note_under_short_ones_is_no_rest() -> None:
    piece = Piece(make_notes([0, 4, 4], [32, 6, 5], [40, 60, 64]), 4)
    extraction = PolyphonyTokenizer(num_bars=2).extract(piece)
    assert (len(extraction.sequences), extraction.dropped) == (1, {})


def test_rests_are_counted_as_they_sound() -> None:
    """Against a grid of the steps at which a note of the window sounds."""
    rng = np.random.default_rng(0)
    starts = np.arange(0, 320, 16)
    onsets, ends, begins, window, expected = [], [], [], [], []
    for number, start in enumerate(starts.tolist()):
        size = int(rng.integers(0, 4))
        onset = np.sort(rng.integers(start, start + 32, size))
        end = onset + rng.integers(1, 20, size)
        sounds = [bool(((onset <= t) & (t < end)).any()) for t in range(start, start + 32)]
        expected.append(max(map(len, "".join("10"[int(x)] for x in sounds).split("0"))))
        begins.append(len(onsets))
        window += [number] * (size + 1)
        onsets += [*onset, start + 32]
        ends += [*end, start + 33]
    columns = map(np.array, (onsets, ends, starts, begins, window))
    rests = longest_rests(*columns)
    assert rests.tolist() == expected
    assert len(set(expected)) > 8


def test_whatever_a_model_draws_is_a_piece(tmp_path: Path) -> None:
    tokenizer = PolyphonyTokenizer(num_bars=2, max_notes=40)
    rng = np.random.default_rng(0)
    lengths = []
    for _ in range(50):
        ids = np.stack([rng.integers(size, size=41) for size in tokenizer.vocab_sizes], axis=1)
        ids[:, 0] = rng.integers(0 if len(lengths) % 2 else 1, 3, 41)
        piece = tokenizer.decode(Example(ids))
        lengths.append(len(piece.notes))
        assert (piece.notes["end"] <= 32).all()
        to_pretty_midi(piece).write(str(tmp_path / "clip.mid"))
        written = read_midi(tmp_path / "clip.mid", 4)
        assert notes_of(written) == notes_of(piece)
        (again,) = tokenizer.encode(written)
        assert notes_of(tokenizer.decode(again)) == notes_of(piece)
    assert max(lengths) > 10


@pytest.mark.parametrize(
    ("collection", "step"), [("jsb_chorales", 10), ("freedoom", 6), ("nottingham", 40)]
)
def test_real_windows_survive_a_file(
    data_folder: Path, tmp_path: Path, collection: str, step: int
) -> None:
    tokenizer, windows = PolyphonyTokenizer(), dict[bytes, Ids]()
    for file in find_midi(data_folder / "midi" / collection)[::step]:
        for ids in tokenizer.extract(read_midi(file, 4)).sequences:
            assert (ids.max(0) < np.array(tokenizer.vocab_sizes)).all()
            windows.setdefault(ids.tobytes(), ids)
    assert len(windows) > 200
    for ids in list(windows.values())[::17]:
        to_pretty_midi(tokenizer.decode(Example(ids.astype(np.int64)))).write(
            str(tmp_path / "clip.mid")
        )
        (again,) = tokenizer.encode(read_midi(tmp_path / "clip.mid", 4))
        assert np.array_equal(again.ids, ids)


def random_windows(num_windows: int, max_notes: int) -> list[Ids]:
    rng, windows = np.random.default_rng(0), list[Ids]()
    for _ in range(num_windows):
        start = np.sort(rng.integers(32, size=rng.integers(1, max_notes + 1)))
        pitch = rng.integers(128, size=len(start))
        piece = Piece(make_notes(start, start + 1, pitch, program=pitch % 3), 4, num_steps=32)
        windows += [example.ids for example in TWO_BARS.encode(piece)]
    return windows


def bars_of(ids: Ids) -> tuple[list[list[int]], list[list[int]]]:
    """The notes of each bar, counted from the window's first step."""
    step = 0
    bars: tuple[list[list[int]], list[list[int]]] = ([], [])
    for onset, *others in ids.tolist():
        if onset == 0:
            return bars
        step += onset - 1
        bars[step // 16].append([step, *others])
    raise AssertionError("no end")


def test_bars_come_from_another_window() -> None:
    windows = random_windows(200, 20)
    ids = np.zeros((200, max(map(len, windows)), 5), np.int64)
    for row, window in zip(ids, windows, strict=True):
        row[: len(window)] = window
    before = ids.copy()
    mixed = TWO_BARS.mix(ids, np.random.default_rng(0))
    assert np.array_equal(ids, before)
    originals, made = list(map(bars_of, ids)), list(map(bars_of, mixed))
    pairs = [(a, b) for a in originals for b in originals]
    taken = np.array([[made[i][b] != originals[i][b] for b in (0, 1)] for i in range(200)])
    assert 55 < taken.any(1).sum() < 95  # three quarters of the half of the windows
    assert (taken.sum(0) > 30).all()
    for i in np.flatnonzero(taken.all(1)):
        assert any(made[i] == b for _, b in pairs)  # both from one
    for bars in made:
        assert len(bars[0]) + len(bars[1]) <= 30
        assert any(bars[0] == b[0] for b in originals)
        assert any(bars[1] == b[1] for b in originals)
    assert max(len(bars[0] + bars[1]) for bars in made) > 20  # longer than any was
    first_end = (mixed[..., 0] == 0).argmax(1)
    for row, end in zip(mixed, first_end, strict=True):
        assert not row[end:].any()


def test_batches_know_how_long_mixed_windows_are() -> None:
    windows = random_windows(64, 20)
    split = Split(np.concatenate(windows), np.cumsum([0, *map(len, windows)]))
    batches = list(training_loader(split, 16, TWO_BARS, seed=0, epoch=0))
    for batch in batches:
        for ids, length in zip(batch.ids, batch.lengths.tolist(), strict=True):
            assert ids[length - 1, 0] == 0
            assert (ids[: length - 1, 0] > 0).all()
        assert batch.lengths.max() == batch.ids.shape[1]
    total = sum(int(batch.lengths.sum()) for batch in batches)
    assert total != sum(map(len, windows))


def test_a_window_that_would_be_crowded_stays() -> None:
    few = TWO_BARS.encode(Piece(make_notes([20], [21], [60]), 4))[0].ids
    many = TWO_BARS.encode(Piece(make_notes(np.arange(16), np.arange(1, 17), [60] * 16), 4))[0].ids
    tokenizer = PolyphonyTokenizer(num_bars=2, max_notes=16, mix_share=1.0)
    ids = np.zeros((2, 17, 5), np.int64)
    ids[0, :2], ids[1, :17] = few, many
    for seed in range(20):
        mixed = tokenizer.mix(ids, np.random.default_rng(seed))
        assert max(len(bars[0]) + len(bars[1]) for bars in map(bars_of, mixed)) <= 16


def test_augment_moves_all_but_drums_and_padding() -> None:
    ids = np.zeros((300, 6, 5), np.int64)
    ids[:, 0], ids[:, 1], ids[:, 2] = [1, 60, 3, 5, 0], [1, 36, 0, 5, DRUMS], [2, 126, 3, 5, 7]
    moved = PolyphonyTokenizer().augment(ids, np.random.default_rng(0))
    shift = moved[..., 1] - ids[..., 1]
    assert (shift[:, 0] == shift[:, 2]).all()
    assert set(shift[:, 0].tolist()) == {-5, -4, -3, -2, -1, 0, 1}  # 127 is the highest pitch
    assert (shift[:, [1, 3, 4, 5]] == 0).all()
    assert np.array_equal(np.delete(moved, 1, axis=2), np.delete(ids, 1, axis=2))
    assert PolyphonyTokenizer(max_transpose=0).augment(ids, np.random.default_rng(0)) is ids


@pytest.mark.parametrize(
    "settings", [{"max_notes": 0}, {"num_velocity_bins": 128}, {"max_transpose": -1}]
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="polyphony: "):
        PolyphonyTokenizer(**settings)
