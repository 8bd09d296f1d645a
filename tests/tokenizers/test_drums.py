"""Nine classes of drums: written by hand, and there and back through MIDI files."""

from pathlib import Path

import numpy as np
import pytest

from seqvae.errors import InputError
from seqvae.music.midi import find_midi, read_midi, to_pretty_midi
from seqvae.music.notes import Piece, make_notes
from seqvae.reasons import Reason
from seqvae.tokenizers.contract import Example
from seqvae.tokenizers.drums import DrumsTokenizer
from seqvae.tokenizers.kits import CLASS_OF, CLASSES, NO_DRUMS, ONLY_TRACK_TAKEN, OTHER_DRUM
from seqvae.tokenizers.windows import long_rest

ONE_BAR = DrumsTokenizer(num_bars=1)
KICK, SNARE, HAT, RIDE = 1, 2, 4, 256


def kit(*hits: tuple[int, int], track: int = 0) -> Piece:
    start, pitch = (np.array(column) for column in zip(*hits, strict=True))
    return Piece(make_notes(start, start + 1, pitch, is_drum=True, track=track), 4)


def test_the_vocabulary_is_that_of_musicvae() -> None:
    assert DrumsTokenizer().vocab_sizes == (512,)
    assert DrumsTokenizer().max_steps == 32
    assert DrumsTokenizer().eos_id is None
    pitches = [pitch for members in CLASSES.values() for pitch in members]
    assert len(pitches) == len(set(pitches)) == 63
    assert (CLASS_OF >= 0).sum() == 63
    assert CLASS_OF[[36, 38, 42, 46, 45, 48, 50, 49, 51]].tolist() == list(range(9))
    # what the kit of the Groove dataset adds to General MIDI
    assert [CLASS_OF[pitch] for pitch in (22, 26, 58)] == [2, 3, 4]


def test_encode_by_hand() -> None:
    piece = kit((0, 36), (0, 42), (4, 40), (4, 38), (8, 35), (10, 53), (15, 44))
    expected = [0] * 16
    expected[0], expected[4], expected[8] = KICK | HAT, SNARE, KICK
    expected[10], expected[15] = RIDE, HAT
    (example,) = ONE_BAR.encode(piece)
    assert example.ids[:, 0].tolist() == expected
    assert ONE_BAR.show(example.ids) == "KH . . . | S . . . | K . R . | . . . H"


def test_decode_by_hand() -> None:
    ids = np.zeros((16, 1), np.int64)
    ids[0], ids[4] = KICK | HAT, 511
    notes = ONE_BAR.decode(Example(ids, qpm=90)).notes
    assert notes["pitch"].tolist() == [36, 42, 36, 38, 42, 45, 46, 48, 49, 50, 51]
    assert notes["start"].tolist() == [0] * 2 + [4] * 9
    assert (notes["end"] - notes["start"] == 1).all()
    assert notes["is_drum"].all()


def test_tracks_are_one_kit_and_pitched_notes_no_part_of_it() -> None:
    pitched = make_notes([0, 4], [4, 8], [36, 38], track=2)
    both = np.concatenate([kit((0, 36)).notes, kit((0, 42), track=1).notes, pitched])
    (example,) = ONE_BAR.encode(Piece(both, 4))
    assert example.ids[:, 0].tolist() == [KICK | HAT] + [0] * 15


def test_what_is_no_drum_of_the_classes_is_counted() -> None:
    extraction = ONE_BAR.extract(kit((0, 36), (1, 21), (2, 88), (3, 127)))
    assert extraction.dropped == {OTHER_DRUM: 3}
    assert extraction.sequences[0][:, 0].tolist() == [KICK] + [0] * 15


@pytest.mark.parametrize(
    ("piece", "reason", "message"),
    [
        (
            Piece(make_notes([0], [4], [60], program=24), 4),
            NO_DRUMS,
            "track 1 .line: another line.; --tracks 'drums: track=1' takes track 1 for it",
        ),
        (kit((0, 21)), OTHER_DRUM, "1 note: a drum outside the nine classes"),
    ],
)
def test_a_piece_without_drums_has_a_reason(piece: Piece, reason: Reason, message: str) -> None:
    assert not ONE_BAR.extract(piece).sequences
    assert reason in ONE_BAR.extract(piece).dropped
    with pytest.raises(InputError, match=f"no drums in it: {message}$"):
        ONE_BAR.encode(piece)


def test_a_silent_bar_is_no_training_window() -> None:
    piece = kit((0, 36), (32, 36))
    extraction = ONE_BAR.extract(piece)
    assert len(extraction.sequences) == 2
    assert extraction.dropped == {long_rest(1): 1}
    assert len(ONE_BAR.encode(piece)) == 3


def test_every_subset_survives_a_file(tmp_path: Path) -> None:
    tokenizer = DrumsTokenizer(num_bars=32)
    ids = np.arange(512)[:, None]
    piece = tokenizer.decode(Example(ids))
    to_pretty_midi(piece).write(str(tmp_path / "all.mid"))
    (again,) = tokenizer.encode(read_midi(tmp_path / "all.mid", 4))
    assert np.array_equal(again.ids, ids)


@pytest.mark.parametrize("collection", ["groove", "freedoom"])
def test_real_windows_survive_a_file(data_folder: Path, tmp_path: Path, collection: str) -> None:
    tokenizer = DrumsTokenizer()
    windows = {}
    for file in find_midi(data_folder / "midi" / collection)[::4]:
        for ids in tokenizer.extract(read_midi(file, 4)).sequences:
            windows.setdefault(ids.tobytes(), ids)
    assert len(windows) > 400
    for ids in list(windows.values())[::5]:
        to_pretty_midi(tokenizer.decode(Example(ids.astype(np.int64)))).write(
            str(tmp_path / "clip.mid")
        )
        (again,) = tokenizer.encode(read_midi(tmp_path / "clip.mid", 4))
        assert np.array_equal(again.ids, ids)


def test_training_takes_drums_of_some_bars_from_another_window() -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(512, size=(400, 32, 1))
    before = ids.copy()
    mixed = DrumsTokenizer(num_bars=2, mix_share=0.5).mix(ids, np.random.default_rng(0))
    assert np.array_equal(ids, before)
    originals, made = (
        (x[:, :, 0, None] >> np.arange(9) & 1).reshape(400, 2, 16, 9) for x in (ids, mixed)
    )
    kept = (originals == made).all(2)  # (N, bars, 9): random bars agree by accident once in 65,536
    untouched = kept.all((1, 2))
    assert 160 < untouched.sum() < 240  # half of the windows
    assert abs(kept[~untouched].mean() - 0.5) < 0.05
    assert not np.array_equal(kept[~untouched][:, 0], kept[~untouched][:, 1])
    for window, taken in zip(made[~untouched][:50], ~kept[~untouched][:50], strict=True):
        donors = [
            (originals[:, bar, :, i] == window[bar, :, i]).all(1)
            for bar, i in zip(*np.nonzero(taken), strict=True)
        ]
        assert np.logical_and.reduce(donors).sum() == 1  # all from one, at the same steps


def test_chords_stay_with_their_window() -> None:
    ids = np.random.default_rng(0).integers(512, size=(40, 16, 2))
    mixed = DrumsTokenizer(num_bars=1, mix_share=1.0).mix(ids, np.random.default_rng(0))
    assert np.array_equal(mixed[..., 1], ids[..., 1])
    assert not np.array_equal(mixed[..., 0], ids[..., 0])


def test_mixing_can_be_turned_off() -> None:
    ids = np.random.default_rng(0).integers(512, size=(40, 16, 1))
    still = DrumsTokenizer(num_bars=1, mix_share=0.0)
    assert np.array_equal(still.mix(ids, np.random.default_rng(0)), ids)
    with pytest.raises(InputError, match=r"drums: mix_share is 1.5; it must lie in \[0, 1\]"):
        DrumsTokenizer(mix_share=1.5)


def test_an_only_track_that_is_taken_for_drums_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tune = make_notes([0, 4, 8], [4, 8, 12], [36, 38, 42])
    DrumsTokenizer(num_bars=1).encode(Piece(tune, 4, name="x.mid"))
    only = "x.mid: its only track is taken for drums; --tracks says what it is"
    assert caplog.messages == [only]
    caplog.clear()
    drums, kit = DrumsTokenizer(num_bars=1), Piece(make_notes([0], [4], [36], is_drum=True), 4)
    drums.encode(kit)
    assert not caplog.text
    assert drums.extract(Piece(tune, 4)).noted == {ONLY_TRACK_TAKEN: 1}
    assert drums.extract(kit).noted == {}
