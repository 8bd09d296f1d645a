"""Which windows are taken, shown with a representation whose tokens say where a window begins."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.music.notes import Metre, Piece, Tempo, make_notes
from seqvae.reasons import Dropped, Reason
from seqvae.tokenizers.windows import (
    NO_NOTES,
    TOO_MANY,
    Cut,
    Span,
    Windows,
    WindowSettings,
    encode_windows,
    extract_windows,
    long_rest,
    other_metre,
    taken_bars,
    window_piece,
)

DRUMS = Reason("track", "drums")


@dataclass(frozen=True, kw_only=True)
class Settings(WindowSettings):
    kind: ClassVar[str] = "planted"


def where(span: Span) -> Windows:
    """The start of each window, its length and the end of its metre, as one step of tokens."""
    starts = span.starts[:, None]
    about = np.concatenate(
        [starts, np.full_like(starts, span.length), np.full_like(starts, span.end_step)], axis=1
    )
    return Windows(about[:, None], np.zeros(len(starts), np.int64))


def resting(*rests: int, **refused: list[bool]) -> Cut:
    """A representation of windows with these rests, which it refuses for these reasons."""

    def cut(span: Span) -> Windows:
        num_windows = len(span.starts)
        return Windows(
            np.arange(num_windows)[:, None, None],
            np.array(rests[:num_windows]),
            {
                Reason("window", text): np.array(which[:num_windows])
                for text, which in refused.items()
            },
        )

    return cut


def piece(num_bars: int, *metres: Metre, last: int = 1) -> Piece:
    """A piece whose last note ends with its last bar."""
    start = np.array([0, 16 * num_bars - last])
    notes = make_notes(start, start + last, 60)
    return Piece(notes, 4, metres or (Metre(0, 4, 4),))


def starts_of(settings: Settings, whole: Piece) -> list[int]:
    extraction = extract_windows(settings, whole, [where], Dropped())
    return [int(ids[0, 0]) for ids in extraction.sequences]


@pytest.mark.parametrize(
    ("num_bars", "hop_bars", "starts"),
    [
        (1, 1, [0, 16, 32, 48, 64]),
        (2, 1, [0, 16, 32, 48]),
        (2, 2, [0, 32]),
        (5, 1, [0]),
        (6, 1, [0]),  # silent after the piece
    ],
)
def test_training_windows_begin_at_bars_up_to_the_last_that_is_full(
    num_bars: int, hop_bars: int, starts: list[int]
) -> None:
    settings = Settings(num_bars=num_bars, hop_bars=hop_bars)
    assert starts_of(settings, piece(5)) == starts


def test_windows_know_their_length_and_where_their_metre_ends() -> None:
    changing = piece(6, Metre(0, 4, 4), Metre(32, 3, 4), Metre(56, 2, 4))
    dropped = Dropped({DRUMS: 1})
    extraction = extract_windows(Settings(), changing, [where, where], dropped)
    one_part = [[0, 32, 32], [56, 32, 96], [72, 32, 96]]  # the last bar of 2/4 is half a bar
    assert [ids[0].tolist() for ids in extraction.sequences] == one_part * 2
    assert extraction.dropped == {
        DRUMS: 1,
        other_metre(Metre(0, 3, 4), Settings()): 2,
    }  # a window for each part


@pytest.mark.parametrize(
    ("num_bars", "of_training", "of_clip"), [(2, 1, "1 window"), (4, 3, "2 windows")]
)
def test_as_many_windows_of_another_metre_are_left_out_as_it_would_have(
    num_bars: int, of_training: int, of_clip: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In training they begin at each bar; of a clip they lie end to end."""
    notes = make_notes([0, 32 + 12 * num_bars - 1], [16, 32 + 12 * num_bars], 60)
    changing = Piece(notes, 4, (Metre(0, 4, 4), Metre(32, 3, 4)))
    extraction = extract_windows(Settings(), changing, [where], Dropped())
    assert extraction.dropped == {other_metre(Metre(0, 3, 4), Settings()): of_training}
    assert len(encode_windows(Settings(), changing, where, None)) == 1
    assert caplog.messages == [f"the clip: left out: {of_clip}: metre 3/4"]


def test_the_remedy_for_a_bar_that_is_no_whole_number_of_steps_makes_it_one() -> None:
    settings = Settings(metres=("4/4",))
    reason = other_metre(Metre(0, 3, 64), settings)
    assert reason.text == "metre 3/64, whose bar is no whole number of steps"
    assert reason.remedy == (
        "--data.tokenizer.metres 4/4,3/64 --data.tokenizer.steps_per_quarter 16"
    )
    assert Settings(metres=("4/4", "3/64"), steps_per_quarter=16).model_bars == (64, 3)


def test_a_piece_gives_so_many_windows_spread_over_it() -> None:
    whole = piece(401)
    settings = Settings(max_windows=40)
    starts = starts_of(settings, whole)
    assert [start // 160 for start in starts] == list(range(40))  # one in each ten
    assert {start // 16 % 4 for start in starts} == {0, 1, 2, 3}  # at any place of a phrase
    assert starts_of(settings, whole) == starts
    assert starts_of(settings, piece(401, last=2)) != starts
    two_parts = extract_windows(settings, whole, [where, where], Dropped())
    assert (len(two_parts.sequences), two_parts.dropped) == (40, {TOO_MANY: 760})
    for max_windows in (0, 400, 401):
        assert len(starts_of(Settings(max_windows=max_windows), whole)) == 400
    with pytest.raises(InputError, match="max_windows is -1"):
        Settings(max_windows=-1)


def test_no_notes_are_no_windows() -> None:
    empty = Piece(make_notes([], [], []), 4, num_steps=64)
    extraction = extract_windows(Settings(), empty, [where], Dropped())
    assert (extraction.sequences, extraction.dropped) == ([], {NO_NOTES: 1})


@pytest.mark.parametrize(
    ("gap_bars", "kept"),
    [
        (0.0, [0, 1, 2, 3, 4]),
        (0.5, [0]),
        (1.0, [0, 1]),
        (1.01, [0, 1, 2]),  # 17 steps or more
        (2.0, [0, 1, 2, 3]),
        (9.0, [0, 1, 2, 3]),  # silent throughout
    ],
)
def test_training_leaves_out_long_rests(gap_bars: float, kept: list[int]) -> None:
    settings = Settings(num_bars=2, gap_bars=gap_bars)
    extraction = extract_windows(settings, piece(6), [resting(0, 15, 16, 31, 32)], Dropped())
    assert [int(ids[0, 0]) for ids in extraction.sequences] == kept
    num_left_out = 5 - len(kept)
    assert extraction.dropped == ({long_rest(gap_bars): num_left_out} if num_left_out else {})


def test_a_window_counts_under_its_first_reason() -> None:
    cut = resting(0, 32, 32, 0, high=[True, True, False, False], low=[True, False, False, False])
    extraction = extract_windows(Settings(), piece(5), [cut], Dropped())
    assert [int(ids[0, 0]) for ids in extraction.sequences] == [3]
    assert extraction.dropped == {Reason("window", "high"): 2, long_rest(1.0): 1}


def test_a_clip_is_cut_end_to_end() -> None:
    changing = piece(6, Metre(0, 4, 4), Metre(48, 3, 4), Metre(60, 2, 4))
    examples = encode_windows(Settings(), changing, where, None, program=7)
    assert [e.ids[0].tolist() for e in examples] == [
        [0, 32, 48], [32, 32, 48], [60, 32, 96], [92, 32, 96],
    ]  # fmt: skip
    assert {e.program for e in examples} == {7}


def test_a_clip_keeps_its_rests_and_the_tempo_of_each_window() -> None:
    tempos = (Tempo(0, 100.0), Tempo(30, 80.0), Tempo(33, 60.0))
    whole = Piece(piece(4).notes, 4, tempos=tempos)
    examples = encode_windows(Settings(gap_bars=0.1), whole, resting(32), None)
    lasting = [30 / 100 + 2 / 80, 1 / 80 + 31 / 60]
    assert [e.qpm for e in examples] == pytest.approx([32 / time for time in lasting])


@pytest.mark.parametrize(("bar", "start"), [(1, 0), (2, 16), (3, 32), (6, 80)])
def test_a_window_may_begin_at_any_bar(bar: int, start: int) -> None:
    (example,) = encode_windows(Settings(), piece(6), where, bar)
    assert example.ids[0].tolist() == [start, 32, 96]


@pytest.mark.parametrize(
    ("bar", "reason"),
    [(0, "bar is 0; it has bars 1 to 6"), (7, "bar is 7; it has bars 1 to 6"), (1, "high")],
)
def test_a_clip_without_a_usable_window_says_why(bar: int, reason: str) -> None:
    with pytest.raises(InputError, match=f"^no usable window: {reason}$"):
        encode_windows(Settings(), piece(6), resting(0, high=[True]), bar)


def test_a_decoded_window_has_the_length_of_one() -> None:
    settings = Settings(metres=("6/8",), steps_per_quarter=12, num_bars=3)
    decoded = window_piece(settings, make_notes([0], [1], [60]), 93.0)
    assert decoded.metres == (Metre(0, 6, 8),)
    assert decoded.tempos == (Tempo(0, 93.0),)
    assert (decoded.steps_per_quarter, decoded.end_step) == (12, 3 * 36)


def bars_taken(probability: float) -> NDArray[np.bool_]:
    return taken_bars((4000, 4, 3), probability, np.random.default_rng(0))


def test_half_of_the_parts_are_taken_in_a_share_of_the_windows() -> None:
    taken = bars_taken(0.3)
    touched = taken.any((1, 2))
    assert abs(touched.mean() - 0.3) < 0.03  # 4 standard deviations
    each = taken[touched].mean(0)  # (bars, parts), 1200 windows
    assert np.abs(each - 0.5).max() < 0.06
    assert not bars_taken(0.0).any()
    assert bars_taken(1.0).any((1, 2)).mean() > 0.999
